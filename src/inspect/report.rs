//! The report, as design 5 fixes its words.

use serde::Serialize;

use crate::ebms::UnitView;

/// One captured message, taken apart.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `accepted` exactly when `errors` is empty, else `rejected`.
    pub verdict: &'static str,
    /// What is wrong.
    pub errors: Vec<ErrorRow>,
    /// `multipart`, `soap`, `xml` or `unreadable`.
    pub form: &'static str,
    /// `1.2` or `1.1`.
    pub soap: Option<&'static str>,
    /// Message units in document order, accepted or not.
    pub units: Vec<UnitRow>,
    /// What the cryptography says of the signature.
    pub signature: SignatureRow,
    /// What the cryptography says of the encryption.
    pub encryption: EncryptionRow,
    /// The parts behind the envelope, in their order.
    pub parts: Vec<PartRow>,
    /// Whether the receipt is one for the request given.
    pub receipt_matches: Option<bool>,
}

/// One error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorRow {
    /// EBMS code.
    pub code: String,
    /// What exactly.
    pub detail: String,
}

/// One message unit.
#[derive(Debug, Clone, Serialize)]
pub struct UnitRow {
    /// UserMessage, Receipt, Error or PullRequest.
    pub kind: &'static str,
    /// MessageId.
    pub message_id: Option<String>,
    /// RefToMessageId.
    pub ref_to_message_id: Option<String>,
    /// Message partition channel of UserMessage and PullRequest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mpc: Option<String>,
    /// The entries of an Error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<UnitError>>,
    /// Count of references in a Receipt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nri_references: Option<usize>,
}

/// One entry of an Error unit.
#[derive(Debug, Clone, Serialize)]
pub struct UnitError {
    /// EBMS code as written.
    pub code: String,
    /// Severity as written.
    pub severity: String,
}

/// The signature.
#[derive(Debug, Clone, Serialize)]
pub struct SignatureRow {
    /// `valid`, `invalid`, `incomplete` or `absent`.
    pub status: &'static str,
    /// Whether SignatureValue holds.
    pub value_ok: Option<bool>,
    /// SignatureMethod.
    pub algorithm: Option<String>,
    /// The references in SignedInfo's order.
    pub references: Vec<ReferenceRow>,
    /// How the signature names its key.
    pub token_reference: Option<&'static str>,
    /// The certificate so named.
    pub signer: Option<SignerRow>,
    /// What the anchors given say of it.
    pub trust: Option<&'static str>,
}

/// One ds:Reference.
#[derive(Debug, Clone, Serialize)]
pub struct ReferenceRow {
    /// As written.
    pub uri: Option<String>,
    /// Messaging, Body, document, `cid:...` or `{namespace}name`.
    pub target: Option<String>,
    /// Whether the digest holds.
    pub digest_ok: Option<bool>,
}

/// A certificate.
#[derive(Debug, Clone, Serialize)]
pub struct SignerRow {
    /// Subject.
    pub subject: String,
    /// SHA-256 over the DER octets.
    pub sha256: String,
}

/// The encryption.
#[derive(Debug, Clone, Serialize)]
pub struct EncryptionRow {
    /// `decrypted`, `failed` or `absent`.
    pub status: &'static str,
    /// SHA-256 of the unwrapped key.
    pub content_key_sha256: Option<String>,
    /// Content encryption.
    pub algorithm: Option<String>,
    /// Key transport or wrap.
    pub key_algorithm: Option<String>,
    /// OAEP digest.
    pub digest: Option<String>,
    /// OAEP mask generation function.
    pub mgf: Option<String>,
    /// Key agreement.
    pub agreement: Option<String>,
    /// Key derivation.
    pub kdf: Option<String>,
    /// How the recipient's key is named.
    pub token_reference: Option<&'static str>,
}

/// One part.
#[derive(Debug, Clone, Serialize)]
pub struct PartRow {
    /// Content-ID without brackets.
    pub cid: Option<String>,
    /// Media type of the payload.
    pub media_type: Option<String>,
    /// SHA-256 of the part as signed.
    pub sha256: Option<String>,
    /// Its octets.
    pub size: Option<u64>,
    /// SHA-256 of the inflated part.
    pub uncompressed_sha256: Option<String>,
    /// Its octets.
    pub uncompressed_size: Option<u64>,
}

impl Report {
    pub(super) fn new(form: &'static str) -> Self {
        Self {
            verdict: "rejected",
            errors: Vec::new(),
            form,
            soap: None,
            units: Vec::new(),
            signature: SignatureRow::absent(),
            encryption: EncryptionRow::absent(),
            parts: Vec::new(),
            receipt_matches: None,
        }
    }

    pub(super) fn conclude(&mut self, errors: Vec<ErrorRow>) {
        self.verdict = if errors.is_empty() { "accepted" } else { "rejected" };
        self.errors = errors;
    }
}

impl SignatureRow {
    pub(super) fn absent() -> Self {
        Self {
            status: "absent",
            value_ok: None,
            algorithm: None,
            references: Vec::new(),
            token_reference: None,
            signer: None,
            trust: None,
        }
    }

    /// `invalid` when anything is false, `valid` when all is true, else `incomplete`.
    pub(super) fn settle(&mut self) {
        let all: Vec<Option<bool>> =
            self.references.iter().map(|r| r.digest_ok).chain([self.value_ok]).collect();
        self.status = if all.contains(&Some(false)) {
            "invalid"
        } else if all.contains(&None) {
            "incomplete"
        } else {
            "valid"
        };
    }
}

impl EncryptionRow {
    pub(super) fn absent() -> Self {
        Self {
            status: "absent",
            content_key_sha256: None,
            algorithm: None,
            key_algorithm: None,
            digest: None,
            mgf: None,
            agreement: None,
            kdf: None,
            token_reference: None,
        }
    }
}

impl From<UnitView> for UnitRow {
    fn from(unit: UnitView) -> Self {
        let errors = unit.errors.into_iter().map(|(code, severity)| UnitError { code, severity }).collect();
        Self {
            errors: (unit.kind == "Error").then_some(errors),
            nri_references: (unit.kind == "Receipt").then_some(unit.nri_references),
            kind: unit.kind,
            message_id: unit.message_id,
            ref_to_message_id: unit.ref_to_message_id,
            mpc: unit.mpc,
        }
    }
}
