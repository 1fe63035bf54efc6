//! Encrypted parts written by hand, with openssl alone, so that each piece of the Security header can be bent.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::encrypt::Encrypter;
use openssl::hash::MessageDigest;
use openssl::pkey::{HasPublic, PKeyRef};
use openssl::rand::rand_bytes;
use openssl::rsa::Padding;
use openssl::symm::{Cipher, encrypt_aead};

use crate::as4::{
    DS, Message, Part, Request, body, envelope, of_element, of_part, security_around, signature, token,
};
use crate::ca::Identity;

/// Namespace of XML Encryption.
pub const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
/// AES-128 in GCM.
pub const AES128_GCM: &str = "http://www.w3.org/2009/xmlenc11#aes128-gcm";
/// RSA-OAEP of XML Encryption 1.1.
pub const RSA_OAEP: &str = "http://www.w3.org/2009/xmlenc11#rsa-oaep";
const MGF1_SHA256: &str = "http://www.w3.org/2009/xmlenc11#mgf1sha256";
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
const X509: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
const CONTENT_ONLY: &str = "http://docs.oasis-open.org/wss/oasis-wss-SwAProfile-1.1#Attachment-Content-Only";
const CIPHERTEXT: &str =
    "http://docs.oasis-open.org/wss/oasis-wss-SwAProfile-1.1#Attachment-Ciphertext-Transform";

/// A message whose parts are signed and encrypted, in the pieces of its Security header.
#[derive(Clone)]
pub struct Encrypted {
    /// The Messaging header; its id is `messaging`.
    pub messaging: String,
    /// The tokens of recipient (`X509-2`) and signer (`X509-1`).
    pub tokens: String,
    /// The EncryptedKey elements.
    pub keys: Vec<String>,
    /// The EncryptedData elements, one for each part.
    pub data: Vec<String>,
    /// The ds:Signature.
    pub signature: String,
    /// The parts as they travel.
    pub parts: Vec<Part>,
}

/// Encrypts every part for `recipient` and signs the plain octets, as the eDelivery profile 1.15 demands.
pub fn encrypt(message: &Message, signer: &Identity, recipient: &Identity) -> Result<Encrypted> {
    let (messaging, empty) = (message.messaging("messaging"), body("body"));
    let mut references = vec![of_element("messaging", &messaging), of_element("body", &empty)];
    references.extend(message.parts.iter().map(of_part));
    let content_key = random::<16>()?;
    let parts = message.parts.iter().map(|part| sealed(part, &content_key)).collect::<Result<Vec<_>>>()?;
    let reference = |id: &str| {
        format!(
            "<wsse:SecurityTokenReference><wsse:Reference URI=\"#{id}\" ValueType=\"{X509}\"></wsse:Reference>\
             </wsse:SecurityTokenReference>"
        )
    };
    let key =
        encrypted_key("EK-1", &*recipient.certificate.public_key()?, &reference("X509-2"), &content_key)?;
    Ok(Encrypted {
        messaging,
        tokens: token(recipient, "X509-2")? + &token(signer, "X509-1")?,
        keys: vec![key],
        data: message.parts.iter().enumerate().map(|(n, part)| encrypted_data(n, &part.cid)).collect(),
        signature: signature(signer, &references, &reference("X509-1"))?,
        parts,
    })
}

impl Encrypted {
    /// The whole request.
    pub fn request(&self) -> Request {
        let inside = self.tokens.clone() + &self.keys.concat() + &self.data.concat() + &self.signature;
        let security = security_around(&inside);
        Request::multipart(&envelope(&[&self.messaging, &security], &body("body")), &self.parts)
    }
}

/// An EncryptedKey of that content key for `recipient`; `key_info` stands in its KeyInfo.
pub fn encrypted_key(
    id: &str,
    recipient: &PKeyRef<impl HasPublic>,
    key_info: &str,
    content_key: &[u8],
) -> Result<String> {
    let mut by = Encrypter::new(recipient)?;
    by.set_rsa_padding(Padding::PKCS1_OAEP)?;
    by.set_rsa_oaep_md(MessageDigest::sha256())?;
    by.set_rsa_mgf1_md(MessageDigest::sha256())?;
    let mut value = vec![0; by.encrypt_len(content_key)?];
    let length = by.encrypt(content_key, &mut value)?;
    Ok(format!(
        "<xenc:EncryptedKey xmlns:xenc=\"{XENC}\" Id=\"{id}\"><xenc:EncryptionMethod Algorithm=\"{RSA_OAEP}\">\
         <ds:DigestMethod xmlns:ds=\"{DS}\" Algorithm=\"{SHA256}\"/><xenc11:MGF \
         xmlns:xenc11=\"http://www.w3.org/2009/xmlenc11#\" Algorithm=\"{MGF1_SHA256}\"/></xenc:EncryptionMethod>\
         <ds:KeyInfo xmlns:ds=\"{DS}\">{key_info}</ds:KeyInfo><xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue>\
         </xenc:CipherData><xenc:ReferenceList><xenc:DataReference URI=\"#ED-0\"/></xenc:ReferenceList>\
         </xenc:EncryptedKey>",
        STANDARD.encode(&value[..length])
    ))
}

/// The part with its octets encrypted: nonce, ciphertext, tag.
pub fn sealed(part: &Part, content_key: &[u8; 16]) -> Result<Part> {
    let nonce = random::<12>()?;
    let mut tag = [0; 16];
    let cipher = encrypt_aead(Cipher::aes_128_gcm(), content_key, Some(&nonce), &[], &part.octets, &mut tag)?;
    let octets = [&nonce[..], &cipher, &tag].concat();
    Ok(Part { media_type: "application/octet-stream".into(), octets, ..part.clone() })
}

/// The EncryptedData of part `number`.
pub fn encrypted_data(number: usize, cid: &str) -> String {
    format!(
        "<xenc:EncryptedData xmlns:xenc=\"{XENC}\" Id=\"ED-{number}\" MimeType=\"application/octet-stream\" \
         Type=\"{CONTENT_ONLY}\"><xenc:EncryptionMethod Algorithm=\"{AES128_GCM}\"/><ds:KeyInfo xmlns:ds=\"{DS}\">\
         <wsse:SecurityTokenReference><wsse:Reference URI=\"#EK-1\"/></wsse:SecurityTokenReference></ds:KeyInfo>\
         <xenc:CipherData><xenc:CipherReference URI=\"cid:{cid}\"><xenc:Transforms><ds:Transform xmlns:ds=\"{DS}\" \
         Algorithm=\"{CIPHERTEXT}\"/></xenc:Transforms></xenc:CipherReference></xenc:CipherData></xenc:EncryptedData>"
    )
}

/// Octets that nobody can foresee.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut octets = [0; N];
    rand_bytes(&mut octets)?;
    Ok(octets)
}
