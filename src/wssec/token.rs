//! wsse:SecurityTokenReference: which certificate it means (as4-wire 2.1, 2.4).

use crate::pki::Certificate;
use crate::xml::Element;
use crate::xmlsec::{KeyHint, TokenKind, decode_base64, hints};

use super::names::{PKIPATH, SKI, THUMBPRINT, WSSE, X509V3};

/// The ways in which a ds:KeyInfo names a key, in document order: SecurityTokenReferences resolved to what they hold,
/// the children of plain XML Signature as they are.
pub fn key_hints(key_info: Element<'_>) -> Vec<KeyHint> {
    let references: Vec<_> = key_info.children_named(WSSE, "SecurityTokenReference").collect();
    match references.is_empty() {
        true => hints(key_info),
        false => references.into_iter().flat_map(of_reference).collect(),
    }
}

fn of_reference(reference: Element<'_>) -> Vec<KeyHint> {
    let Some(child) = reference.children().next() else { return Vec::new() };
    match (child.namespace(), child.local()) {
        (WSSE, "Reference") => direct(child).into_iter().collect(),
        (WSSE, "KeyIdentifier") => identifier(child).into_iter().collect(),
        _ => hints(reference),
    }
}

/// A reference to a token in the message: `#id` of one BinarySecurityToken.
fn direct(reference: Element<'_>) -> Option<KeyHint> {
    let kind = kind_of(reference.attribute("ValueType").unwrap_or_default());
    let unreadable = kind.map(KeyHint::Unreadable);
    let Some(id) = reference.attribute("URI").and_then(|uri| uri.strip_prefix('#')) else {
        return unreadable;
    };
    let document = reference.document();
    let token = match document.by_id(id).as_slice() {
        [one] => document.element(*one),
        _ => return unreadable,
    };
    match token.is(WSSE, "BinarySecurityToken") {
        true => Some(of_token(token)),
        false => unreadable,
    }
}

fn of_token(token: Element<'_>) -> KeyHint {
    // A token without ValueType is read as what nearly all of them are.
    let kind = kind_of(token.attribute("ValueType").unwrap_or(X509V3)).unwrap_or(TokenKind::X509v3);
    let certificates = decode_base64(&token.text()).and_then(|octets| match kind {
        TokenKind::X509PkiPathv1 => pki_path(&octets),
        _ => certificate(&octets).map(|one| vec![one]),
    });
    match certificates {
        Some(certificates) => KeyHint::Certificates(kind, certificates),
        None => KeyHint::Unreadable(kind),
    }
}

/// DER, or PEM text: one national system encodes the latter (div-recorded).
fn certificate(octets: &[u8]) -> Option<Certificate> {
    Certificate::from_der(octets).or_else(|_| Certificate::from_pem(octets)).ok()
}

fn kind_of(value_type: &str) -> Option<TokenKind> {
    match value_type {
        X509V3 => Some(TokenKind::X509v3),
        PKIPATH => Some(TokenKind::X509PkiPathv1),
        _ => None,
    }
}

fn identifier(identifier: Element<'_>) -> Option<KeyHint> {
    let octets = decode_base64(&identifier.text())?;
    match identifier.attribute("ValueType").unwrap_or_default() {
        SKI => Some(KeyHint::Ski(TokenKind::X509SubjectKeyIdentifier, octets)),
        THUMBPRINT => Some(KeyHint::Thumbprint(octets)),
        X509V3 => Some(match certificate(&octets) {
            Some(one) => KeyHint::Certificates(TokenKind::X509v3, vec![one]),
            None => KeyHint::Unreadable(TokenKind::X509v3),
        }),
        _ => None,
    }
}

/// Most certificates of one path.
const LONGEST_PATH: usize = 10;

/// A PkiPath: DER `SEQUENCE OF Certificate`, the trust anchor's side first. Given with the key's own first.
fn pki_path(octets: &[u8]) -> Option<Vec<Certificate>> {
    let (mut inside, rest) = sequence(octets)?;
    let mut path = Vec::new();
    while !inside.is_empty() {
        let (_, after) = sequence(inside)?;
        path.push(Certificate::from_der(&inside[..inside.len() - after.len()]).ok()?);
        inside = after;
    }
    path.reverse();
    (rest.is_empty() && !path.is_empty() && path.len() <= LONGEST_PATH).then_some(path)
}

/// Content of the DER SEQUENCE at the beginning, and what follows it.
fn sequence(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[tag, first], rest) = octets.split_first_chunk::<2>()?;
    if tag != 0x30 {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7F => (usize::from(first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x0F))?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// The DER of a PkiPath over certificates given with the key's own first.
pub(super) fn write_pki_path(certificates: &[Certificate]) -> Vec<u8> {
    let inside: Vec<u8> = certificates.iter().rev().flat_map(|one| one.der().to_vec()).collect();
    let length = inside.len();
    let head = match length {
        0..=0x7F => vec![0x30, length as u8],
        0x80..=0xFF => vec![0x30, 0x81, length as u8],
        0x100..=0xFFFF => vec![0x30, 0x82, (length >> 8) as u8, length as u8],
        _ => vec![0x30, 0x83, (length >> 16) as u8, (length >> 8) as u8, length as u8],
    };
    [head, inside].concat()
}
