//! AS4 messages written by hand: canonical text, signed with openssl alone, so that each octet of a request can be bent.
//!
//! Parts are signed, by whatever kind of key the signer has, but not encrypted. What is written is its own exclusive C14N, so a digest is taken of the text itself.

use std::fmt::Write as _;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKeyRef, Private};
use openssl::sha::sha256;
use openssl::sign::Signer;

use crate::ca::Identity;
use crate::world::PARTY_TYPE;

/// Namespace of SOAP 1.2.
pub const ENV: &str = "http://www.w3.org/2003/05/soap-envelope";
/// Namespace of ebMS 3.0.
pub const EB: &str = "http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/";
/// Namespace of WS-Security.
pub const WSSE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
/// Namespace of WS-Utility.
pub const WSU: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
/// Namespace of XML Signature.
pub const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// Exclusive C14N.
pub const C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
/// Transform of a signed part.
pub const ATTACHMENT: &str =
    "http://docs.oasis-open.org/wss/oasis-wss-SwAProfile-1.1#Attachment-Content-Signature-Transform";
/// RSA with SHA-256.
pub const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
/// Ed25519.
pub const EDDSA: &str = "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519";
/// ECDSA with SHA-256.
pub const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
const X509: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
const BASE64: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";

/// What a user message says.
#[derive(Clone)]
pub struct Message {
    /// MessageId.
    pub id: String,
    /// From/PartyId.
    pub from: String,
    /// To/PartyId.
    pub to: String,
    /// Service type and value; an empty type is not written.
    pub service: (String, String),
    /// Action.
    pub action: String,
    /// originalSender, `scheme::value`.
    pub sender: String,
    /// finalRecipient, `scheme::value`.
    pub recipient: String,
    /// More message properties.
    pub properties: Vec<(String, String)>,
    /// Parts in order.
    pub parts: Vec<Part>,
}

/// A payload part.
#[derive(Clone)]
pub struct Part {
    /// Content-ID without brackets; empty for a part without one.
    pub cid: String,
    /// Content-Type.
    pub media_type: String,
    /// Octets on the wire.
    pub octets: Vec<u8>,
    /// Whether the header calls it compressed.
    pub compressed: bool,
}

impl Part {
    /// Octets that nobody canonicalises.
    pub fn new(cid: &str, octets: &[u8]) -> Self {
        let media_type = "application/octet-stream".to_owned();
        Self { cid: cid.into(), media_type, octets: octets.into(), compressed: false }
    }

    /// Octets that the header calls gzip.
    pub fn compressed(cid: &str, octets: Vec<u8>) -> Self {
        Self { cid: cid.into(), media_type: "application/gzip".into(), octets, compressed: true }
    }
}

impl Message {
    /// The `eb:Messaging` header with that id, in its canonical form.
    pub fn messaging(&self, id: &str) -> String {
        format!(
            "<eb:Messaging xmlns:eb=\"{EB}\" xmlns:wsu=\"{WSU}\" wsu:Id=\"{id}\">{}</eb:Messaging>",
            self.user_message()
        )
    }

    /// The `eb:UserMessage` alone; its namespace is declared outside.
    pub fn user_message(&self) -> String {
        let party = |name: &str, id: &str, role: &str| {
            format!(
                "<eb:{name}><eb:PartyId type=\"{PARTY_TYPE}\">{id}</eb:PartyId><eb:Role>{EB}{role}</eb:Role></eb:{name}>"
            )
        };
        let mut text = format!(
            "<eb:UserMessage><eb:MessageInfo><eb:Timestamp>2026-01-01T00:00:00.000Z</eb:Timestamp><eb:MessageId>{}\
             </eb:MessageId></eb:MessageInfo><eb:PartyInfo>{}{}</eb:PartyInfo>",
            self.id,
            party("From", &self.from, "initiator"),
            party("To", &self.to, "responder")
        );
        let (kind, service) = &self.service;
        let kind = if kind.is_empty() { String::new() } else { format!(" type=\"{kind}\"") };
        let _ = write!(
            text,
            "<eb:CollaborationInfo><eb:Service{kind}>{service}</eb:Service><eb:Action>{}</eb:Action>\
             <eb:ConversationId>{}</eb:ConversationId></eb:CollaborationInfo><eb:MessageProperties>",
            self.action, self.id
        );
        for (name, value) in [("originalSender", &self.sender), ("finalRecipient", &self.recipient)] {
            let (scheme, value) = value.split_once("::").unwrap_or(("", value));
            let _ = write!(text, "<eb:Property name=\"{name}\" type=\"{scheme}\">{value}</eb:Property>");
        }
        for (name, value) in &self.properties {
            let _ = write!(text, "<eb:Property name=\"{name}\">{value}</eb:Property>");
        }
        text.push_str("</eb:MessageProperties>");
        if !self.parts.is_empty() {
            let parts: String = self.parts.iter().map(part_info).collect();
            let _ = write!(text, "<eb:PayloadInfo>{parts}</eb:PayloadInfo>");
        }
        text + "</eb:UserMessage>"
    }
}

fn part_info(part: &Part) -> String {
    let property = |name: &str, value: &str| format!("<eb:Property name=\"{name}\">{value}</eb:Property>");
    let mut properties = property("MimeType", "application/octet-stream");
    if part.compressed {
        properties += &property("CompressionType", "application/gzip");
    }
    format!(
        "<eb:PartInfo href=\"cid:{}\"><eb:PartProperties>{properties}</eb:PartProperties></eb:PartInfo>",
        part.cid
    )
}

/// An empty Body with that id, in its canonical form.
pub fn body(id: &str) -> String {
    body_with(id, "")
}

/// A Body around `inside`.
pub fn body_with(id: &str, inside: &str) -> String {
    format!("<env:Body xmlns:env=\"{ENV}\" xmlns:wsu=\"{WSU}\" wsu:Id=\"{id}\">{inside}</env:Body>")
}

/// An envelope around header blocks and whatever comes behind the Header.
pub fn envelope(blocks: &[&str], behind: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<env:Envelope xmlns:env=\"{ENV}\"><env:Header>{}</env:Header>\
         {behind}</env:Envelope>",
        blocks.concat()
    )
}

/// One ds:Reference.
pub fn reference(uri: &str, transforms: &[&str], octets: &[u8]) -> String {
    let transforms: String =
        transforms.iter().map(|uri| format!("<ds:Transform Algorithm=\"{uri}\"></ds:Transform>")).collect();
    format!(
        "<ds:Reference URI=\"{uri}\"><ds:Transforms>{transforms}</ds:Transforms><ds:DigestMethod \
         Algorithm=\"{SHA256}\"></ds:DigestMethod><ds:DigestValue>{}</ds:DigestValue></ds:Reference>",
        STANDARD.encode(sha256(octets))
    )
}

/// The reference to an element in its canonical form.
pub fn of_element(id: &str, canonical: &str) -> String {
    reference(&format!("#{id}"), &[C14N], canonical.as_bytes())
}

/// The reference to a part.
pub fn of_part(part: &Part) -> String {
    reference(&format!("cid:{}", part.cid), &[ATTACHMENT], &part.octets)
}

/// A ds:Signature over those references; `key_info` stands in KeyInfo.
pub fn signature(signer: &Identity, references: &[String], key_info: &str) -> Result<String> {
    let info = format!(
        "<ds:SignedInfo xmlns:ds=\"{DS}\"><ds:CanonicalizationMethod Algorithm=\"{C14N}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{}\"></ds:SignatureMethod>{}</ds:SignedInfo>",
        signature_method(signer.key.id()),
        references.concat()
    );
    let value = STANDARD.encode(signed(&signer.key, info.as_bytes())?);
    Ok(format!(
        "<ds:Signature xmlns:ds=\"{DS}\">{info}<ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo>{key_info}\
         </ds:KeyInfo></ds:Signature>"
    ))
}

/// The SignatureMethod of a kind of keys.
pub fn signature_method(kind: Id) -> &'static str {
    match kind {
        Id::ED25519 => EDDSA,
        Id::EC => ECDSA_SHA256,
        _ => RSA_SHA256,
    }
}

/// SignatureValue: PureEdDSA for Ed25519, r and s side by side for ECDSA (XML Signature 1.1, 6.4.3).
fn signed(key: &PKeyRef<Private>, octets: &[u8]) -> Result<Vec<u8>> {
    match key.id() {
        Id::ED25519 => Ok(Signer::new_without_digest(key)?.sign_oneshot_to_vec(octets)?),
        Id::EC => {
            let key = key.ec_key()?;
            let size = i32::try_from(key.group().degree().div_ceil(8))?;
            let signature = EcdsaSig::sign(&sha256(octets), &key)?;
            Ok([signature.r().to_vec_padded(size)?, signature.s().to_vec_padded(size)?].concat())
        }
        _ => {
            let mut by = Signer::new(MessageDigest::sha256(), key)?;
            by.update(octets)?;
            Ok(by.sign_to_vec()?)
        }
    }
}

/// A Security header whose signature covers those references.
pub fn security(signer: &Identity, references: &[String]) -> Result<String> {
    let token = token(signer, "X509-1")?;
    let key_info = format!(
        "<wsse:SecurityTokenReference><wsse:Reference URI=\"#X509-1\" ValueType=\"{X509}\"></wsse:Reference>\
         </wsse:SecurityTokenReference>"
    );
    Ok(security_around(&(token + &signature(signer, references, &key_info)?)))
}

/// A Security header around `inside`.
pub fn security_around(inside: &str) -> String {
    format!("<wsse:Security xmlns:wsse=\"{WSSE}\" xmlns:wsu=\"{WSU}\">{inside}</wsse:Security>")
}

/// A BinarySecurityToken.
pub fn token(owner: &Identity, id: &str) -> Result<String> {
    Ok(format!(
        "<wsse:BinarySecurityToken EncodingType=\"{BASE64}\" ValueType=\"{X509}\" wsu:Id=\"{id}\">{}\
         </wsse:BinarySecurityToken>",
        STANDARD.encode(owner.certificate.to_der()?)
    ))
}

/// A message in signed pieces, before they are put together.
#[derive(Clone)]
pub struct Sealed {
    /// MessageId.
    pub id: String,
    /// The Messaging header; its id is `messaging`.
    pub messaging: String,
    /// The Body; its id is `body`.
    pub body: String,
    /// The Security header.
    pub security: String,
    /// The parts as they travel.
    pub parts: Vec<Part>,
}

/// Signs header, Body and every part.
pub fn seal(message: &Message, signer: &Identity) -> Result<Sealed> {
    let (messaging, body) = (message.messaging("messaging"), body("body"));
    let mut references = vec![of_element("messaging", &messaging), of_element("body", &body)];
    references.extend(message.parts.iter().map(of_part));
    let security = security(signer, &references)?;
    Ok(Sealed { id: message.id.clone(), messaging, body, security, parts: message.parts.clone() })
}

impl Sealed {
    /// The envelope.
    pub fn envelope(&self) -> String {
        envelope(&[&self.messaging, &self.security], &self.body)
    }

    /// The whole request.
    pub fn request(&self) -> Request {
        Request::multipart(&self.envelope(), &self.parts)
    }

    /// The request with another envelope around the same parts.
    pub fn with_envelope(&self, envelope: &str) -> Request {
        Request::multipart(envelope, &self.parts)
    }
}

/// An HTTP request, octet by octet.
#[derive(Clone)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Path.
    pub path: String,
    /// Headers besides Host, Content-Length and Connection.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// Content-Length as announced, where it is not the body's.
    pub announced: Option<usize>,
    /// In chunks, without Content-Length.
    pub chunked: bool,
}

impl Request {
    /// A POST of `body`; without Content-Type when that is empty.
    pub fn post(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = match content_type {
            "" => Vec::new(),
            kind => vec![("Content-Type".into(), kind.into())],
        };
        let (method, path) = ("POST".into(), "/as4".into());
        Self { method, path, headers, body: body.into(), announced: None, chunked: false }
    }

    /// SOAP with attachments.
    pub fn multipart(envelope: &str, parts: &[Part]) -> Self {
        let boundary = "MIME-boundary-of-the-suite";
        let mut body = Vec::new();
        let mut part = |headers: &str, octets: &[u8]| {
            body.extend_from_slice(format!("--{boundary}\r\n{headers}\r\n").as_bytes());
            body.extend_from_slice(octets);
            body.extend_from_slice(b"\r\n");
        };
        part(
            "Content-Type: application/soap+xml; charset=UTF-8\r\nContent-ID: <root@suite>\r\n",
            envelope.as_bytes(),
        );
        for Part { cid, media_type, octets, .. } in parts {
            let id = if cid.is_empty() { String::new() } else { format!("Content-ID: <{cid}>\r\n") };
            let headers = format!("Content-Type: {media_type}\r\n{id}Content-Transfer-Encoding: binary\r\n");
            part(&headers, octets);
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let kind = format!(
            "multipart/related; boundary=\"{boundary}\"; type=\"application/soap+xml\"; start=\"<root@suite>\""
        );
        Self::post(&kind, body)
    }

    /// The octets on the wire; the server is asked to close the connection behind its answer.
    pub fn octets(&self, host: &str) -> Vec<u8> {
        let mut head =
            format!("{} {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if self.chunked {
            let chunks = self
                .body
                .chunks(1000)
                .flat_map(|c| [format!("{:x}\r\n", c.len()).as_bytes(), c, b"\r\n"].concat());
            let body: Vec<u8> = chunks.chain(*b"0\r\n\r\n").collect();
            return [head.as_bytes(), b"Transfer-Encoding: chunked\r\n\r\n", &body].concat();
        }
        let length = self.announced.unwrap_or(self.body.len());
        if self.method != "GET" {
            let _ = write!(head, "Content-Length: {length}\r\n");
        }
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }
}
