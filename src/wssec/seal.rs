//! Writing: the whole envelope in one go, the layout of as4-wire 2.4.
//!
//! SignedInfo and Body are written in the canonical form that is signed, and `eb:Messaging` is self-contained, so one
//! message costs one parse of that header, one private-key operation and some microseconds of text.

use crate::id::xml_id;
use crate::mime::href_of_cid;
use crate::pki::Certificate;
use crate::soap::SOAP12;
use crate::xml::{C14n, Document, Limits, PlainAttribute, Writer, canonicalize, root_of_canonical};
use crate::xmlsec::{
    ContentAlgorithm, ContentKey, DigestAlgorithm, Hasher, SignedReference, names as x, sign_octets,
    signed_info, write_encrypted_key,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::Error;
use super::keys::SigningKey;
use super::names::{BASE64, ENCRYPTED_KEY, PKIPATH, SKI, WSSE, WSSE11, WSU, X509V3};
use super::policy::{SecurityPolicy, TokenForm};
use super::token::write_pki_path;

/// A payload part as far as its seal needs it.
#[derive(Debug, Clone, Copy)]
pub struct PartToSeal<'p> {
    /// Content-ID without brackets.
    pub cid: &'p str,
    /// Media type of the octets before encryption: `application/gzip` when compressed.
    pub media_type: &'p str,
    /// SHA-256 of the octets as they are digested (as4-wire 2.3).
    pub digest: [u8; 32],
}

/// A message ready to be sent.
#[derive(Debug)]
pub struct Sealed {
    /// The SOAP envelope.
    pub envelope: Vec<u8>,
    /// Encrypts the parts; `None` when they travel in the clear.
    pub content_key: Option<ContentKey>,
    /// What was signed, in order.
    pub references: Vec<SignedReference>,
}

/// Signs `messaging` (a self-contained `eb:Messaging` with `wsu:Id`), an empty Body and the parts; encrypts the parts for
/// `recipient` under a fresh content key when one is given. Called again with the same header and digests it gives the same
/// references, so that the receipt of any attempt matches.
///
/// # Errors
/// [`Error::Configuration`] when a key does not fit the policy or `messaging` is not what it must be.
pub fn seal(
    messaging: &str,
    parts: &[PartToSeal<'_>],
    policy: &SecurityPolicy,
    signing: &SigningKey,
    recipient: Option<&Certificate>,
) -> Result<Sealed, Error> {
    let messaging_reference = messaging_reference(messaging)?;
    // Not random: a receipt of one attempt has to match the references of every other.
    let body_id = format!("body-{}", &messaging_reference.uri[1..]);
    let body = body(&body_id);
    let mut references = vec![
        messaging_reference,
        reference(format!("#{body_id}"), x::EXC_C14N, DigestAlgorithm::Sha256.digest(body.as_bytes())?),
    ];
    references.extend(
        parts
            .iter()
            .map(|part| reference(href_of_cid(part.cid), x::ATTACHMENT_CONTENT, part.digest.to_vec())),
    );
    let recipient = recipient.filter(|_| !parts.is_empty());
    let (encryption, content_key) = match recipient {
        Some(recipient) => {
            let key = ContentKey::random(ContentAlgorithm::Aes128Gcm)?;
            (encryption(&key, parts, policy, recipient)?, Some(key))
        }
        None => (String::new(), None),
    };
    let signature = signature(&references, policy, signing)?;
    let security = format!(
        "<wsse:Security xmlns:wsse=\"{WSSE}\" xmlns:wsu=\"{WSU}\" env:mustUnderstand=\"true\">{encryption}{signature}\
         </wsse:Security>"
    );
    Ok(Sealed { envelope: envelope(&[messaging, &security], &body), content_key, references })
}

/// Signs a receipt, error or pull request and gives the envelope. `messaging_id` is the `wsu:Id` of `messaging`.
pub fn seal_signal(
    messaging: &str,
    messaging_id: &str,
    policy: &SecurityPolicy,
    signing: &SigningKey,
) -> Result<Vec<u8>, Error> {
    let sealed = seal(messaging, &[], policy, signing, None)?;
    match sealed.references.first().is_some_and(|first| first.uri.strip_prefix('#') == Some(messaging_id)) {
        true => Ok(sealed.envelope),
        false => {
            Err(Error::Configuration(format!("the Messaging header does not have the id {messaging_id}")))
        }
    }
}

/// An envelope without a Security header: errors while no agreement is known (model.md 2).
pub fn unsecured(messaging: &str) -> Vec<u8> {
    envelope(&[messaging], &body(&xml_id("body")))
}

/// Octets of a part on the wire when it is encrypted.
pub fn sealed_len(plain_len: u64) -> u64 {
    ContentKey::sealed_len(plain_len)
}

fn envelope(blocks: &[&str], body: &str) -> Vec<u8> {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<env:Envelope xmlns:env=\"{SOAP12}\"><env:Header>{}</env:Header>\
         {body}</env:Envelope>",
        blocks.concat()
    )
    .into_bytes()
}

/// The empty Body in its canonical form.
fn body(id: &str) -> String {
    format!("<env:Body xmlns:env=\"{SOAP12}\" xmlns:wsu=\"{WSU}\" wsu:Id=\"{id}\"></env:Body>")
}

/// What we write is canonical as it stands; what an older version wrote and kept is made so.
fn messaging_reference(messaging: &str) -> Result<SignedReference, Error> {
    let id =
        |one: &&PlainAttribute<'_>| (one.namespace, one.local) == (WSU, "Id") && !one.value.contains('&');
    if let Some(id) = root_of_canonical(messaging).as_deref().and_then(|all| all.iter().find(id)) {
        let digest = DigestAlgorithm::Sha256.digest(messaging.as_bytes())?;
        return Ok(reference(format!("#{}", id.value), x::EXC_C14N, digest));
    }
    made_canonical(messaging)
}

fn made_canonical(messaging: &str) -> Result<SignedReference, Error> {
    let wrong = |what: String| Error::Configuration(format!("the Messaging header: {what}"));
    let document = Document::parse(messaging.as_bytes(), &Limits::default())
        .map_err(|error| wrong(error.to_string()))?;
    let root = document.root();
    let id = root.attribute_ns(WSU, "Id").ok_or_else(|| wrong("it has no wsu:Id".into()))?;
    let mut hasher = Hasher::new(DigestAlgorithm::Sha256)?;
    let mut failed = Ok(());
    canonicalize(root, &C14n::exclusive(), None, &mut |octets| {
        if failed.is_ok() {
            failed = hasher.update(octets);
        }
    });
    failed?;
    Ok(reference(format!("#{id}"), x::EXC_C14N, hasher.finish()?))
}

fn reference(uri: String, transform: &str, digest_value: Vec<u8>) -> SignedReference {
    SignedReference { uri, transforms: vec![transform.into()], digest_method: x::SHA256.into(), digest_value }
}

fn signature(
    references: &[SignedReference],
    policy: &SecurityPolicy,
    signing: &SigningKey,
) -> Result<String, Error> {
    let algorithm = policy.signature_with(&signing.key).ok_or_else(|| {
        Error::Configuration(format!("the key of {} does not sign here", signing.certificate.subject()))
    })?;
    let info = signed_info(algorithm, references);
    let value = sign_octets(algorithm, &signing.key, info.as_bytes())
        .map_err(|error| Error::Configuration(format!("signing key: {error}")))?;
    let own: Vec<Certificate> =
        std::iter::once(&signing.certificate).chain(&signing.chain).cloned().collect();
    let token = token(policy.signing_token, &own);
    Ok(format!(
        "{}<ds:Signature xmlns:ds=\"{}\" Id=\"{}\">{info}<ds:SignatureValue>{}</ds:SignatureValue><ds:KeyInfo>{}\
         </ds:KeyInfo></ds:Signature>",
        token.binary,
        x::DS,
        xml_id("SIG"),
        STANDARD.encode(value),
        token.reference
    ))
}

/// The EncryptedKey and one EncryptedData for each part, and before them the recipient's token where one is written.
fn encryption(
    content_key: &ContentKey,
    parts: &[PartToSeal<'_>],
    policy: &SecurityPolicy,
    recipient: &Certificate,
) -> Result<String, Error> {
    let key_id = xml_id("EK");
    let data_ids: Vec<String> = parts.iter().map(|_| xml_id("ED")).collect();
    let key = recipient.public_key().map_err(|error| Error::Configuration(error.to_string()))?;
    if !policy.encrypts_for(&key) {
        let whose = recipient.subject();
        return Err(Error::Configuration(format!(
            "nothing is encrypted here for a key such as that of {whose}"
        )));
    }
    let form = match policy.encryption_token {
        TokenForm::PkiPath => TokenForm::BinarySecurityToken,
        form => form,
    };
    let token = token(form, std::slice::from_ref(recipient));
    let encrypted_key = write_encrypted_key(&key_id, content_key, &key, &token.reference, &data_ids)
        .map_err(|error| Error::Configuration(format!("recipient {}: {error}", recipient.subject())))?;
    let data = parts.iter().zip(&data_ids).map(|(part, id)| encrypted_data(part, id, &key_id));
    Ok(token.binary + &encrypted_key + &data.collect::<String>())
}

fn encrypted_data(part: &PartToSeal<'_>, id: &str, key_id: &str) -> String {
    let mut xml = Writer::new();
    xml.start("xenc:EncryptedData").attr("xmlns:xenc", x::XENC).attr("Id", id);
    xml.attr("MimeType", part.media_type).attr("Type", x::ATTACHMENT_CONTENT_ONLY);
    xml.start("xenc:EncryptionMethod").attr("Algorithm", x::AES128_GCM).end();
    xml.start("ds:KeyInfo").attr("xmlns:ds", x::DS);
    xml.start("wsse:SecurityTokenReference")
        .attr("xmlns:wsse11", WSSE11)
        .attr("wsse11:TokenType", ENCRYPTED_KEY);
    xml.start("wsse:Reference").attr("URI", &format!("#{key_id}")).end().end().end();
    xml.start("xenc:CipherData").start("xenc:CipherReference").attr("URI", &href_of_cid(part.cid));
    xml.start("xenc:Transforms").start("ds:Transform").attr("xmlns:ds", x::DS);
    xml.attr("Algorithm", x::ATTACHMENT_CIPHERTEXT);
    xml.into_string()
}

/// A token where one stands in the message, and the reference to it.
struct Token {
    binary: String,
    reference: String,
}

/// The form asked for; a certificate without subject key identifier is referred to by issuer and serial number.
fn token(form: TokenForm, certificates: &[Certificate]) -> Token {
    let own = &certificates[0];
    match (form, own.ski()) {
        (TokenForm::BinarySecurityToken, _) => binary(X509V3, own.der(), ""),
        (TokenForm::PkiPath, _) => {
            let token_type = format!(" xmlns:wsse11=\"{WSSE11}\" wsse11:TokenType=\"{PKIPATH}\"");
            binary(PKIPATH, &write_pki_path(certificates), &token_type)
        }
        (TokenForm::SubjectKeyIdentifier, Some(ski)) => Token {
            binary: String::new(),
            reference: format!(
                "<wsse:SecurityTokenReference><wsse:KeyIdentifier EncodingType=\"{BASE64}\" ValueType=\"{SKI}\">{}\
                 </wsse:KeyIdentifier></wsse:SecurityTokenReference>",
                STANDARD.encode(ski)
            ),
        },
        (TokenForm::SubjectKeyIdentifier | TokenForm::IssuerSerial, _) => issuer_serial(own),
    }
}

fn binary(value_type: &str, octets: &[u8], attributes: &str) -> Token {
    let id = xml_id("X509");
    Token {
        binary: format!(
            "<wsse:BinarySecurityToken EncodingType=\"{BASE64}\" ValueType=\"{value_type}\" wsu:Id=\"{id}\">{}\
             </wsse:BinarySecurityToken>",
            STANDARD.encode(octets)
        ),
        reference: format!(
            "<wsse:SecurityTokenReference{attributes}><wsse:Reference URI=\"#{id}\" ValueType=\"{value_type}\"/>\
             </wsse:SecurityTokenReference>"
        ),
    }
}

fn issuer_serial(certificate: &Certificate) -> Token {
    let mut xml = Writer::new();
    xml.start("wsse:SecurityTokenReference").start("ds:X509Data").start("ds:X509IssuerSerial");
    xml.leaf("ds:X509IssuerName", &certificate.issuer());
    xml.leaf("ds:X509SerialNumber", &certificate.serial_decimal());
    Token { binary: String::new(), reference: xml.into_string() }
}
