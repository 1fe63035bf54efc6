//! Making a XAdES signature: a template with everything but the digests, filled in place.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use openssl::pkey::{Id, PKey, Private};

use super::super::names::{DS, ENVELOPED};
use super::super::{DigestAlgorithm, Error, SignatureAlgorithm, sign_template};
use super::{SIGNED_PROPERTIES, XADES};
use crate::clock::Timestamp;
use crate::pki::Certificate;
use crate::xml::{C14n, escape_attribute, escape_text};

/// How a community writes its signatures.
#[derive(Debug, Clone)]
pub struct Style {
    /// C14N of SignedInfo and of every reference.
    pub c14n: C14n,
    /// Digest of the references and of the signature.
    pub digest: DigestAlgorithm,
    /// Digest of the certificate in SigningCertificate.
    pub certificate_digest: DigestAlgorithm,
    /// Whether the reference to the signed properties names its C14N; without, inclusive C14N is meant.
    pub properties_transform: bool,
    /// Whether KeyInfo begins with a KeyValue (RSA keys only).
    pub key_value: bool,
}

/// Who signs, when, what, and under which id.
pub struct Signing<'a> {
    /// The signer's certificate.
    pub certificate: &'a Certificate,
    /// Its key.
    pub key: &'a PKey<Private>,
    /// SigningTime, written to the second.
    pub at: Timestamp,
    /// `Id` of the ds:Signature, an NCName.
    pub id: &'a str,
    /// What is signed: `""` for the whole document without the signature, `#id` for an element.
    pub targets: &'a [&'a str],
}

/// Signs, and puts the ds:Signature into the text of `document` at octet `at`, where an element may stand.
///
/// # Errors
/// [`Error::KeyType`] for a key that is neither RSA, EC nor Ed25519; [`Error::Structure`] when the document or a target is not there.
pub fn sign(document: &str, at: usize, style: &Style, signing: &Signing<'_>) -> Result<String, Error> {
    let (Some(before), Some(after)) = (document.get(..at), document.get(at..)) else {
        return Err(Error::Structure(format!("no place for a signature at octet {at}")));
    };
    let template = [before, &template(style, signing)?, after].concat();
    sign_template(&template, signing.key)
}

fn template(style: &Style, signing: &Signing<'_>) -> Result<String, Error> {
    let id = signing.id;
    let certificate = BASE64.encode(signing.certificate.der());
    Ok(format!(
        "<ds:Signature xmlns:ds=\"{DS}\" Id=\"{id}\">{}<ds:SignatureValue Id=\"{id}-Value\"></ds:SignatureValue>\
         <ds:KeyInfo>{}<ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>\
         <ds:Object>{}</ds:Object></ds:Signature>",
        signed_info(style, signing)?,
        key_value(style, signing)?,
        properties(style, signing)?
    ))
}

fn signed_info(style: &Style, signing: &Signing<'_>) -> Result<String, Error> {
    let method = match signing.key.id() {
        Id::RSA => SignatureAlgorithm::Rsa(style.digest),
        Id::EC => SignatureAlgorithm::Ecdsa(style.digest),
        Id::ED25519 => SignatureAlgorithm::Ed25519,
        _ => return Err(Error::KeyType(signing.certificate.subject())),
    };
    let references: String = signing.targets.iter().map(|uri| reference(style, uri)).collect();
    Ok(format!(
        "<ds:SignedInfo><ds:CanonicalizationMethod Algorithm=\"{}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{}\"></ds:SignatureMethod>{references}{}</ds:SignedInfo>",
        style.c14n.uri(),
        method.uri(),
        properties_reference(style, signing.id),
    ))
}

fn reference(style: &Style, uri: &str) -> String {
    let enveloped = match uri {
        "" => format!("<ds:Transform Algorithm=\"{ENVELOPED}\"></ds:Transform>"),
        _ => String::new(),
    };
    let c14n = style.c14n.uri();
    let transforms = format!(
        "<ds:Transforms>{enveloped}<ds:Transform Algorithm=\"{c14n}\"></ds:Transform></ds:Transforms>"
    );
    empty_reference(style, &format!("URI=\"{}\"", escape_attribute(uri)), &transforms)
}

fn properties_reference(style: &Style, id: &str) -> String {
    let transforms = match style.properties_transform {
        true => format!(
            "<ds:Transforms><ds:Transform Algorithm=\"{}\"></ds:Transform></ds:Transforms>",
            style.c14n.uri()
        ),
        false => String::new(),
    };
    empty_reference(
        style,
        &format!("Type=\"{SIGNED_PROPERTIES}\" URI=\"#{}\"", properties_id(id)),
        &transforms,
    )
}

fn empty_reference(style: &Style, attributes: &str, transforms: &str) -> String {
    format!(
        "<ds:Reference {attributes}>{transforms}<ds:DigestMethod Algorithm=\"{}\"></ds:DigestMethod>\
         <ds:DigestValue></ds:DigestValue></ds:Reference>",
        style.digest.uri()
    )
}

fn properties_id(signature: &str) -> String {
    format!("{signature}-SignedProperties")
}

fn key_value(style: &Style, signing: &Signing<'_>) -> Result<String, Error> {
    if !style.key_value || signing.key.id() != Id::RSA {
        return Ok(String::new());
    }
    let rsa = signing.key.rsa()?;
    let (modulus, exponent) = (BASE64.encode(rsa.n().to_vec()), BASE64.encode(rsa.e().to_vec()));
    Ok(format!(
        "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>{modulus}</ds:Modulus><ds:Exponent>{exponent}</ds:Exponent>\
         </ds:RSAKeyValue></ds:KeyValue>"
    ))
}

/// Child elements of XAdES go without prefix, as the national client writes them (national-div 4).
fn properties(style: &Style, signing: &Signing<'_>) -> Result<String, Error> {
    let (id, certificate) = (signing.id, signing.certificate);
    let digest = BASE64.encode(style.certificate_digest.digest(certificate.der())?);
    let seconds = Timestamp::from_second(signing.at.as_second()).unwrap_or(signing.at);
    Ok(format!(
        "<QualifyingProperties xmlns=\"{XADES}\" Target=\"#{id}\"><SignedProperties Id=\"{}\"><SignedSignatureProperties>\
         <SigningTime>{seconds}</SigningTime><SigningCertificate><Cert><CertDigest>\
         <ds:DigestMethod Algorithm=\"{}\"></ds:DigestMethod><ds:DigestValue>{digest}</ds:DigestValue></CertDigest>\
         <IssuerSerial><ds:X509IssuerName>{}</ds:X509IssuerName><ds:X509SerialNumber>{}</ds:X509SerialNumber>\
         </IssuerSerial></Cert></SigningCertificate></SignedSignatureProperties></SignedProperties></QualifyingProperties>",
        properties_id(id),
        style.certificate_digest.uri(),
        escape_text(&certificate.issuer()),
        certificate.serial_decimal(),
    ))
}
