//! ds:KeyInfo without WS-Security: which key a signature or encrypted key means.

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Public};
use openssl::rsa::Rsa;

use crate::pki::Certificate;
use crate::xml::Element;

use super::keys::{by_issuer_serial, by_ski, by_thumbprint, decode_base64};
use super::names::{DS, DSIG11};
use super::x25519;

/// How a key was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// BinarySecurityToken with one certificate.
    X509v3,
    /// BinarySecurityToken with a path of certificates.
    X509PkiPathv1,
    /// WSS KeyIdentifier with a subject key identifier.
    X509SubjectKeyIdentifier,
    /// ds:X509IssuerSerial.
    X509IssuerSerial,
    /// WSS KeyIdentifier with the SHA-1 of the certificate.
    ThumbprintSha1,
    /// ds:X509Certificate.
    X509Certificate,
    /// ds:X509SKI.
    X509Ski,
    /// ds:KeyValue.
    KeyValue,
    /// dsig11:DEREncodedKeyValue.
    DerEncodedKeyValue,
    /// ds:KeyName.
    KeyName,
}

impl TokenKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X509v3 => "X509v3",
            Self::X509PkiPathv1 => "X509PKIPathv1",
            Self::X509SubjectKeyIdentifier => "X509SubjectKeyIdentifier",
            Self::X509IssuerSerial => "X509IssuerSerial",
            Self::ThumbprintSha1 => "ThumbprintSHA1",
            Self::X509Certificate => "X509Certificate",
            Self::X509Ski => "X509SKI",
            Self::KeyValue => "KeyValue",
            Self::DerEncodedKeyValue => "DEREncodedKeyValue",
            Self::KeyName => "KeyName",
        }
    }
}

/// One way in which a message names a key.
#[derive(Clone)]
pub enum KeyHint {
    /// Certificates in the message, the key's own first.
    Certificates(TokenKind, Vec<Certificate>),
    /// Issuer and serial number of a certificate.
    IssuerSerial(String, String),
    /// Subject key identifier of a certificate.
    Ski(TokenKind, Vec<u8>),
    /// SHA-1 of a certificate.
    Thumbprint(Vec<u8>),
    /// The key itself.
    Key(TokenKind, PKey<Public>),
    /// A name that means something to the receiver only.
    Name(String),
    /// Something of a known kind whose content cannot be read.
    Unreadable(TokenKind),
}

impl KeyHint {
    /// How the key is named.
    pub fn kind(&self) -> TokenKind {
        match self {
            Self::Certificates(kind, _)
            | Self::Ski(kind, _)
            | Self::Key(kind, _)
            | Self::Unreadable(kind) => *kind,
            Self::IssuerSerial(..) => TokenKind::X509IssuerSerial,
            Self::Thumbprint(_) => TokenKind::ThumbprintSha1,
            Self::Name(_) => TokenKind::KeyName,
        }
    }
}

/// A key that was found, and by what.
#[derive(Clone)]
pub struct FoundKey {
    /// How the message names it.
    pub kind: TokenKind,
    /// The public key.
    pub key: PKey<Public>,
    /// Its certificate; `None` for a bare key.
    pub certificate: Option<Certificate>,
    /// Further certificates from the message.
    pub chain: Vec<Certificate>,
}

/// The hints of a ds:KeyInfo in document order; children that are not known are passed over.
pub fn hints(key_info: Element<'_>) -> Vec<KeyHint> {
    key_info.children().flat_map(hints_of).collect()
}

/// The key that a hint means, by the certificates known here; `None` when it cannot be told.
pub fn resolve(hint: &KeyHint, known: &[Certificate]) -> Option<FoundKey> {
    let kind = hint.kind();
    let of = |certificate: Certificate, chain: Vec<Certificate>| {
        let key = certificate.public_key().ok()?;
        Some(FoundKey { kind, key, certificate: Some(certificate), chain })
    };
    match hint {
        KeyHint::Certificates(_, all) => of(all.first()?.clone(), all[1..].to_vec()),
        KeyHint::IssuerSerial(issuer, serial) => of(by_issuer_serial(known, issuer, serial)?, Vec::new()),
        KeyHint::Ski(_, ski) => of(by_ski(known, ski)?, Vec::new()),
        KeyHint::Thumbprint(sha1) => of(by_thumbprint(known, sha1)?, Vec::new()),
        KeyHint::Key(_, key) => {
            Some(FoundKey { kind, key: key.clone(), certificate: None, chain: Vec::new() })
        }
        KeyHint::Name(_) | KeyHint::Unreadable(_) => None,
    }
}

fn hints_of(child: Element<'_>) -> Vec<KeyHint> {
    match (child.namespace(), child.local()) {
        (DS, "X509Data") => x509_data(child),
        (DS, "KeyValue") => vec![match key_value(child) {
            Some(key) => KeyHint::Key(TokenKind::KeyValue, key),
            None => KeyHint::Unreadable(TokenKind::KeyValue),
        }],
        (DSIG11, "DEREncodedKeyValue") => vec![match der_key(child) {
            Some(key) => KeyHint::Key(TokenKind::DerEncodedKeyValue, key),
            None => KeyHint::Unreadable(TokenKind::DerEncodedKeyValue),
        }],
        (DS, "KeyName") => vec![KeyHint::Name(child.text().trim().to_owned())],
        _ => Vec::new(),
    }
}

/// ds:X509Data: its certificates as one hint, the key's own first; else what names a certificate.
pub(crate) fn x509_data(data: Element<'_>) -> Vec<KeyHint> {
    let encoded: Vec<_> = data.children_named(DS, "X509Certificate").collect();
    if !encoded.is_empty() {
        let read: Option<Vec<Certificate>> = encoded
            .iter()
            .map(|element| Certificate::from_der(&decode_base64(&element.text())?).ok())
            .collect();
        return vec![match read {
            Some(certificates) => KeyHint::Certificates(TokenKind::X509Certificate, leaf_first(certificates)),
            None => KeyHint::Unreadable(TokenKind::X509Certificate),
        }];
    }
    data.children().filter_map(x509_name).collect()
}

fn x509_name(child: Element<'_>) -> Option<KeyHint> {
    match (child.namespace(), child.local()) {
        (DS, "X509IssuerSerial") => Some(KeyHint::IssuerSerial(
            child.child(DS, "X509IssuerName")?.text(),
            child.child(DS, "X509SerialNumber")?.text(),
        )),
        (DS, "X509SKI") => Some(match decode_base64(&child.text()) {
            Some(ski) => KeyHint::Ski(TokenKind::X509Ski, ski),
            None => KeyHint::Unreadable(TokenKind::X509Ski),
        }),
        _ => None,
    }
}

/// Puts the certificate first that is the issuer of none of the others.
pub(crate) fn leaf_first(mut certificates: Vec<Certificate>) -> Vec<Certificate> {
    let leaf = certificates.iter().position(|candidate| {
        !certificates.iter().any(|other| other != candidate && other.is_issued_by(candidate))
    });
    if let Some(leaf) = leaf {
        let own = certificates.remove(leaf);
        certificates.insert(0, own);
    }
    certificates
}

fn key_value(value: Element<'_>) -> Option<PKey<Public>> {
    if let Some(rsa) = value.child(DS, "RSAKeyValue") {
        let number = |local| BigNum::from_slice(&decode_base64(&rsa.child(DS, local)?.text())?).ok();
        let rsa = Rsa::from_public_components(number("Modulus")?, number("Exponent")?).ok()?;
        return PKey::from_rsa(rsa).ok();
    }
    let ec = value.child(DSIG11, "ECKeyValue")?;
    let curve = ec.child(DSIG11, "NamedCurve")?.attribute("URI")?;
    ec_key(curve, &decode_base64(&ec.child(DSIG11, "PublicKey")?.text())?)
}

fn ec_key(curve: &str, point: &[u8]) -> Option<PKey<Public>> {
    let nid = CURVES.iter().find(|(_, oid)| curve.strip_prefix("urn:oid:") == Some(oid))?.0;
    let group = EcGroup::from_curve_name(nid).ok()?;
    let mut context = BigNumContext::new().ok()?;
    let point = EcPoint::from_bytes(&group, point, &mut context).ok()?;
    let key = EcKey::from_public_key(&group, &point).ok()?;
    key.check_key().ok()?;
    PKey::from_ec_key(key).ok()
}

/// The object identifier of a curve that is read and written here.
pub(super) fn curve_oid(curve: Nid) -> Option<&'static str> {
    CURVES.iter().find(|(known, _)| *known == curve).map(|(_, oid)| *oid)
}

/// Curves of eDelivery AS4 2.0 (as4-wire 2.1).
const CURVES: [(Nid, &str); 6] = [
    (Nid::X9_62_PRIME256V1, "1.2.840.10045.3.1.7"),
    (Nid::SECP384R1, "1.3.132.0.34"),
    (Nid::SECP521R1, "1.3.132.0.35"),
    (Nid::BRAINPOOL_P256R1, "1.3.36.3.3.2.8.1.1.7"),
    (Nid::BRAINPOOL_P384R1, "1.3.36.3.3.2.8.1.1.11"),
    (Nid::BRAINPOOL_P512R1, "1.3.36.3.3.2.8.1.1.13"),
];

fn der_key(element: Element<'_>) -> Option<PKey<Public>> {
    let octets = decode_base64(&element.text())?;
    x25519::from_der(&octets).or_else(|| PKey::public_key_from_der(&octets).ok())
}
