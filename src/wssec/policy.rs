//! What is written and what is accepted: a value that an agreement yields.

use openssl::pkey::{HasPublic, PKeyRef};

use crate::pki::Certificate;
use crate::xmlsec::{
    DigestAlgorithm, EncryptedData, EncryptedKey, KeyEncryption, MOST_REFERENCES, Signature,
    SignatureAlgorithm, names as x,
};

use super::error::Error;

/// How a certificate is referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenForm {
    /// BinarySecurityToken with the certificate.
    BinarySecurityToken,
    /// BinarySecurityToken with the path from the trust anchor's side to the certificate.
    PkiPath,
    /// Subject key identifier; the certificate is not in the message.
    SubjectKeyIdentifier,
    /// Issuer and serial number; the certificate is not in the message.
    IssuerSerial,
}

/// Algorithms, forms and demands of one agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityPolicy {
    /// Whether a message must be signed; what a signature covers is fixed (Messaging, Body, every part).
    pub sign: bool,
    /// Whether every part must be encrypted, and is when written.
    pub encrypt: bool,
    /// How our certificate is referred to.
    pub signing_token: TokenForm,
    /// How the recipient's certificate is referred to.
    pub encryption_token: TokenForm,
    /// What is written, best first: the first that fits the signing key.
    pub signatures: Vec<SignatureAlgorithm>,
    /// What is accepted. `None`: every algorithm that is known here, only to take messages apart.
    pub allowed: Option<Allowed>,
    /// Most references of a signature that is read.
    pub most_references: usize,
}

/// Algorithm URIs that are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// SignatureMethod.
    pub signatures: Vec<String>,
    /// DigestMethod of references.
    pub digests: Vec<String>,
    /// Canonicalisation of SignedInfo and of same-document references.
    pub canonicalizations: Vec<String>,
    /// EncryptionMethod of content.
    pub contents: Vec<String>,
    /// Ways to protect the content key.
    pub keys: Vec<KeyProtection>,
}

/// One way to protect the content key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyProtection {
    /// RSA-OAEP: algorithm, digest, mask generation function.
    Oaep(String, String, String),
    /// Key agreement: key wrap, agreement, key derivation.
    Agreement(String, String, String),
}

impl SecurityPolicy {
    /// eDelivery AS4 1.15 Common Usage Profile: RSA-SHA256, RSA-OAEP with SHA-256 and MGF1-SHA256, AES-128-GCM.
    pub fn edelivery_1_15() -> Self {
        Self {
            sign: true,
            encrypt: true,
            signing_token: TokenForm::BinarySecurityToken,
            encryption_token: TokenForm::SubjectKeyIdentifier,
            signatures: vec![SignatureAlgorithm::Rsa(DigestAlgorithm::Sha256)],
            allowed: Some(allowed(&[x::RSA_SHA256], vec![oaep(x::RSA_OAEP, x::SHA256, x::MGF1_SHA256)])),
            most_references: MOST_REFERENCES,
        }
    }

    /// Peppol AS4 2.0: the algorithms of 1.15, both tokens as phase4 writes them.
    pub fn peppol() -> Self {
        Self { encryption_token: TokenForm::BinarySecurityToken, ..Self::edelivery_1_15() }
    }

    /// eDelivery AS4 2.0 with either kind of keys, those of the Common Usage Profile first.
    pub fn edelivery_2_0() -> Self {
        let (mut both, ec) = (Self::edelivery_2_0_eddsa(), Self::edelivery_2_0_ec());
        both.signatures.extend(ec.signatures);
        if let (Some(allowed), Some(more)) = (&mut both.allowed, ec.allowed) {
            allowed.signatures.extend(more.signatures);
            allowed.keys.extend(more.keys);
        }
        both
    }

    /// eDelivery AS4 2.0 Common Usage Profile: Ed25519, X25519 with HKDF, AES-128-GCM.
    pub fn edelivery_2_0_eddsa() -> Self {
        Self::agreeing(SignatureAlgorithm::Ed25519, KeyEncryption::X25519)
    }

    /// eDelivery AS4 2.0 with alternative elliptic curves: ECDSA-SHA256, ECDH-ES with HKDF, AES-128-GCM.
    pub fn edelivery_2_0_ec() -> Self {
        Self::agreeing(SignatureAlgorithm::Ecdsa(DigestAlgorithm::Sha256), KeyEncryption::EcdhEs)
    }

    fn agreeing(signature: SignatureAlgorithm, key: KeyEncryption) -> Self {
        Self {
            signing_token: TokenForm::PkiPath,
            signatures: vec![signature],
            allowed: Some(allowed(&[signature.uri()], vec![protection(key)])),
            ..Self::edelivery_1_15()
        }
    }

    /// Demands nothing and knows every algorithm: to take captured messages apart.
    pub fn any() -> Self {
        Self { sign: false, encrypt: false, allowed: None, ..Self::edelivery_1_15() }
    }

    /// The same, reading signatures with at most so many references.
    pub fn with_most_references(self, most_references: usize) -> Self {
        Self { most_references, ..self }
    }

    /// The same with other references to certificates.
    pub fn with_tokens(mut self, signing: TokenForm, encryption: TokenForm) -> Self {
        (self.signing_token, self.encryption_token) = (signing, encryption);
        self
    }

    /// The same, writing signatures by the algorithm of that URI first, if it is among those that are written.
    pub fn preferring(mut self, signature: &str) -> Self {
        // Stable: the others keep their order.
        self.signatures.sort_by_key(|algorithm| algorithm.uri() != signature);
        self
    }

    /// The same, writing first the signatures that go with keys such as the recipient's.
    pub fn preferring_kin_of(self, recipient: &Certificate) -> Self {
        let kind = recipient.public_key().ok().and_then(|key| KeyEncryption::for_key(&key));
        match kind {
            Some(KeyEncryption::X25519) => self.preferring(x::EDDSA_ED25519),
            Some(KeyEncryption::EcdhEs) => self.preferring(x::ECDSA_SHA256),
            Some(KeyEncryption::RsaOaep) | None => self,
        }
    }

    /// What is written with that key; `None` when the policy signs with other kinds.
    pub fn signature_with<T: HasPublic>(&self, key: &PKeyRef<T>) -> Option<SignatureAlgorithm> {
        self.signatures.iter().copied().find(|algorithm| algorithm.fits(key))
    }

    /// Whether signatures by the algorithm of that URI are accepted.
    pub fn accepts_signature(&self, uri: &str) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.signatures.iter().any(|known| known == uri))
    }

    /// Whether content keys are protected for such a key; the same goes for keys of ours.
    pub fn encrypts_for<T: HasPublic>(&self, key: &PKeyRef<T>) -> bool {
        KeyEncryption::for_key(key).is_some_and(|kind| {
            self.allowed.as_ref().is_none_or(|allowed| allowed.keys.contains(&protection(kind)))
        })
    }

    /// The first certificate that the policy encrypts for.
    pub fn recipient<'c>(&self, certificates: &'c [Certificate]) -> Option<&'c Certificate> {
        certificates.iter().find(|c| c.public_key().is_ok_and(|key| self.encrypts_for(&key)))
    }

    /// The same for receipts, errors and pull requests: signed, never encrypted (as4-wire 2.2).
    pub fn for_signals(mut self) -> Self {
        self.encrypt = false;
        self
    }

    /// Judges every algorithm of a signature.
    pub fn judge_signature(&self, signature: &Signature<'_>) -> Result<(), Error> {
        let Some(allowed) = &self.allowed else { return Ok(()) };
        listed("SignatureMethod", signature.algorithm, &allowed.signatures)?;
        listed("CanonicalizationMethod", signature.canonicalization.uri(), &allowed.canonicalizations)?;
        for reference in &signature.references {
            listed("DigestMethod", reference.digest_method, &allowed.digests)?;
            let attachment = reference.uri.is_some_and(|uri| uri.starts_with("cid:"));
            match reference.transforms.as_slice() {
                [one] if attachment => {
                    listed("Transform", one.uri(), &[x::ATTACHMENT_CONTENT.to_owned()])?;
                }
                [one] => listed("Transform", one.uri(), &allowed.canonicalizations)?,
                other => {
                    return Err(Error::policy(format!("{} transforms on one reference", other.len())));
                }
            }
        }
        Ok(())
    }

    /// Judges every algorithm that protects the content key.
    pub fn judge_key(&self, key: &EncryptedKey<'_>) -> Result<(), Error> {
        let Some(allowed) = &self.allowed else { return Ok(()) };
        let found = match &key.agreement {
            Some(by) => KeyProtection::Agreement(
                key.algorithm.into(),
                by.algorithm.into(),
                by.kdf.unwrap_or_default().into(),
            ),
            None => oaep(key.algorithm, key.digest.unwrap_or_default(), key.mgf.unwrap_or_default()),
        };
        if !allowed.keys.contains(&found) {
            return Err(Error::policy(format!("the content key is protected by {found:?}")));
        }
        match key.agreement.as_ref().and_then(|by| by.prf) {
            None | Some(x::HMAC_SHA256) => Ok(()),
            Some(other) => Err(Error::policy(format!("PRF `{other}` is not allowed"))),
        }
    }

    /// Judges the algorithm of an encrypted content.
    pub fn judge_content(&self, data: &EncryptedData<'_>) -> Result<(), Error> {
        match &self.allowed {
            Some(allowed) => listed("EncryptionMethod", data.algorithm, &allowed.contents),
            None => Ok(()),
        }
    }
}

fn listed(role: &str, uri: &str, allowed: &[String]) -> Result<(), Error> {
    match allowed.iter().any(|known| known == uri) {
        true => Ok(()),
        false => Err(Error::policy(format!("{role} `{uri}` is not allowed"))),
    }
}

fn allowed(signatures: &[&str], keys: Vec<KeyProtection>) -> Allowed {
    Allowed {
        signatures: signatures.iter().map(|&uri| uri.to_owned()).collect(),
        digests: vec![x::SHA256.into()],
        canonicalizations: vec![x::EXC_C14N.into()],
        contents: vec![x::AES128_GCM.into()],
        keys,
    }
}

/// What is written for a key of that kind.
fn protection(kind: KeyEncryption) -> KeyProtection {
    let agreed = |by: &str| KeyProtection::Agreement(x::KW_AES128.into(), by.into(), x::HKDF.into());
    match kind {
        KeyEncryption::RsaOaep => oaep(x::RSA_OAEP, x::SHA256, x::MGF1_SHA256),
        KeyEncryption::X25519 => agreed(x::X25519),
        KeyEncryption::EcdhEs => agreed(x::ECDH_ES),
    }
}

fn oaep(algorithm: &str, digest: &str, mgf: &str) -> KeyProtection {
    KeyProtection::Oaep(algorithm.into(), digest.into(), mgf.into())
}
