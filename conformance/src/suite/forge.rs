//! Messages of the suite as sending handler: each piece can be bent before it is signed, after, or not at all.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::pkey::Id;
use openssl::x509::{X509, X509Ref};

use super::agreement::{self, Agreement};
use crate::as4::{self, Message, Part, Request};
use crate::ca::Identity;
use crate::encryption;

/// Names of the forms begin so.
pub const TOKENS: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0";
const WSSE11: &str = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd";
const BASE64: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";

/// How a certificate is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// BinarySecurityToken, X.509v3.
    Token,
    /// BinarySecurityToken, the path to the certificate, which is its last and here its only one.
    Path,
    /// SubjectKeyIdentifier.
    Ski,
    /// Issuer and serial number.
    IssuerSerial,
}

/// A message in pieces.
#[derive(Clone)]
pub struct Forge<'k> {
    /// MessageId.
    pub id: String,
    /// The Messaging header; canonical, its id is `messaging`.
    pub messaging: String,
    /// The Body; canonical, its id is `body`.
    pub body: String,
    /// The parts as they travel before encryption.
    pub parts: Vec<Part>,
    /// Octets that are signed instead of the parts' own.
    pub signed: Option<Vec<Vec<u8>>>,
    /// Whose signature.
    pub signer: &'k Identity,
    /// For whom the parts are encrypted.
    pub recipient: Option<X509>,
    /// Who must sign the answer.
    pub answers: X509,
    /// How the content key is agreed upon, where the recipient's key is for agreement.
    pub agreement: Agreement,
    /// How signer and recipient are named.
    pub forms: (Form, Form),
    /// Created and Expires of a wsu:Timestamp, where there is one.
    pub timestamp: Option<(String, String)>,
    /// What is done to the finished Security header.
    pub bends: Vec<(String, String)>,
    /// What is done to the finished envelope.
    pub envelope_bends: Vec<(String, String)>,
}

impl<'k> Forge<'k> {
    /// A message that breaks no rule.
    pub fn new(message: &Message, signer: &'k Identity, recipient: Option<X509>, answers: X509) -> Self {
        Self {
            id: message.id.clone(),
            messaging: message.messaging("messaging"),
            body: as4::body("body"),
            parts: message.parts.clone(),
            signed: None,
            signer,
            recipient,
            answers,
            agreement: Agreement::default(),
            forms: (Form::Token, Form::Ski),
            timestamp: None,
            bends: Vec::new(),
            envelope_bends: Vec::new(),
        }
    }

    /// Changes the header before it is signed.
    pub fn header(mut self, from: &str, to: &str) -> Self {
        self.messaging = self.messaging.replacen(from, to, 1);
        self
    }

    /// Changes the Security header after signing.
    pub fn bent(mut self, from: &str, to: &str) -> Self {
        self.bends.push((from.into(), to.into()));
        self
    }

    /// Changes the envelope after signing.
    pub fn enveloped(mut self, from: &str, to: &str) -> Self {
        self.envelope_bends.push((from.into(), to.into()));
        self
    }

    /// The references that an honest signature has.
    pub fn references(&self) -> Vec<String> {
        let mut references =
            vec![as4::of_element("messaging", &self.messaging), as4::of_element("body", &self.body)];
        for (n, part) in self.parts.iter().enumerate() {
            let octets = self.signed.as_ref().map_or(&part.octets, |signed| &signed[n]);
            references.push(as4::of_part(&Part { octets: octets.clone(), ..part.clone() }));
        }
        references
    }

    /// The request under an honest signature.
    pub fn request(&self) -> Result<Request> {
        self.signed_over(&self.references())
    }

    /// The request under a signature over those references.
    pub fn signed_over(&self, references: &[String]) -> Result<Request> {
        let (envelope, parts) = self.pieces(references)?;
        Ok(Request::multipart(&envelope, &parts))
    }

    /// Envelope and parts as they travel.
    pub fn pieces(&self, references: &[String]) -> Result<(String, Vec<Part>)> {
        let mut inside = String::new();
        let mut parts = self.parts.clone();
        if let Some(recipient) = self.recipient.as_ref().filter(|_| !parts.is_empty()) {
            let key = encryption::random::<16>()?;
            parts = parts.iter().map(|p| encryption::sealed(p, &key)).collect::<Result<_>>()?;
            let (token, info) = named(recipient, self.forms.1, "X509-2")?;
            let public = recipient.public_key()?;
            let key = match public.id() {
                Id::X25519 | Id::EC => agreement::encrypted_key(&public, &info, &key, &self.agreement)?,
                _ => encryption::encrypted_key("EK-1", &*public, &info, &key)?,
            };
            let cids = parts.iter().enumerate().map(|(n, part)| encryption::encrypted_data(n, &part.cid));
            let listed: String =
                (0..parts.len()).map(|n| format!("<xenc:DataReference URI=\"#ED-{n}\"/>")).collect();
            let key = key.replace("<xenc:DataReference URI=\"#ED-0\"/>", &listed);
            inside = token + &key + &cids.collect::<String>();
        }
        let (token, info) = named(&self.signer.certificate, self.forms.0, "X509-1")?;
        let (timestamp, references) = self.timed(references);
        inside = timestamp + &token + &inside + &as4::signature(self.signer, &references, &info)?;
        let security = replaced(as4::security_around(&inside), &self.bends);
        let envelope = as4::envelope(&[&self.messaging, &security], &self.body);
        Ok((replaced(envelope, &self.envelope_bends), parts))
    }

    /// The Timestamp, and its reference besides the others.
    fn timed(&self, references: &[String]) -> (String, Vec<String>) {
        let mut references = references.to_vec();
        let Some((created, expires)) = &self.timestamp else { return (String::new(), references) };
        let inside = format!(
            "<wsu:Created>{created}</wsu:Created><wsu:Expires>{expires}</wsu:Expires></wsu:Timestamp>"
        );
        let canonical = format!("<wsu:Timestamp xmlns:wsu=\"{}\" wsu:Id=\"TS-1\">{inside}", as4::WSU);
        references.push(as4::of_element("TS-1", &canonical));
        (format!("<wsu:Timestamp wsu:Id=\"TS-1\">{inside}"), references)
    }

    /// The envelope without any Security header.
    pub fn unsigned(&self) -> Request {
        Request::multipart(&as4::envelope(&[&self.messaging], &self.body), &self.parts)
    }
}

fn replaced(text: String, bends: &[(String, String)]) -> String {
    bends.iter().fold(text, |text, (from, to)| text.replacen(from, to, 1))
}

/// The token that must stand in the header, and the content of KeyInfo.
pub fn named(certificate: &X509Ref, form: Form, id: &str) -> Result<(String, String)> {
    let reference =
        |inside: &str| format!("<wsse:SecurityTokenReference>{inside}</wsse:SecurityTokenReference>");
    Ok(match form {
        Form::Token => {
            let (token, inside) = token(id, "X509v3", &certificate.to_der()?);
            (token, reference(&inside))
        }
        Form::Path => {
            let (token, inside) = token(id, "X509PKIPathv1", &sequence(&certificate.to_der()?)?);
            let kind = format!("xmlns:wsse11=\"{WSSE11}\" wsse11:TokenType=\"{TOKENS}#X509PKIPathv1\"");
            (token, format!("<wsse:SecurityTokenReference {kind}>{inside}</wsse:SecurityTokenReference>"))
        }
        Form::Ski => {
            let ski =
                certificate.subject_key_id().map(|ski| STANDARD.encode(ski.as_slice())).unwrap_or_default();
            let inside = format!(
                "<wsse:KeyIdentifier EncodingType=\"{BASE64}\" ValueType=\"{TOKENS}#X509SubjectKeyIdentifier\">{ski}\
                 </wsse:KeyIdentifier>"
            );
            (String::new(), reference(&inside))
        }
        Form::IssuerSerial => {
            let serial = certificate.serial_number().to_bn()?.to_dec_str()?.to_string();
            let inside = format!(
                "<ds:X509Data><ds:X509IssuerSerial><ds:X509IssuerName>{}</ds:X509IssuerName><ds:X509SerialNumber>{serial}\
                 </ds:X509SerialNumber></ds:X509IssuerSerial></ds:X509Data>",
                issuer(certificate)?
            );
            (String::new(), reference(&inside))
        }
    })
}

/// A BinarySecurityToken, and the reference to it.
fn token(id: &str, kind: &str, octets: &[u8]) -> (String, String) {
    let token = format!(
        "<wsse:BinarySecurityToken EncodingType=\"{BASE64}\" ValueType=\"{TOKENS}#{kind}\" wsu:Id=\"{id}\">{}\
         </wsse:BinarySecurityToken>",
        STANDARD.encode(octets)
    );
    let reference = format!("<wsse:Reference URI=\"#{id}\" ValueType=\"{TOKENS}#{kind}\"></wsse:Reference>");
    (token, reference)
}

/// DER: SEQUENCE OF one certificate.
fn sequence(der: &[u8]) -> Result<Vec<u8>> {
    let length = u16::try_from(der.len())?.to_be_bytes();
    Ok([&[0x30, 0x82], &length[..], der].concat())
}

/// RFC 2253: last relative name first.
fn issuer(certificate: &X509Ref) -> Result<String> {
    let mut names = Vec::new();
    for entry in certificate.issuer_name().entries() {
        let value = entry.data().to_string()?;
        names.push(format!("{}={value}", entry.object().nid().short_name()?));
    }
    names.reverse();
    Ok(names.join(","))
}
