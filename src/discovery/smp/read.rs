//! Reads an answer of any dialect; says nothing about its signature.

use crate::pki::{Certificate, KeyStore};
use crate::xml::{Document, Element, Limits};

use super::{Answer, Dialect, one, two};
use crate::discovery::Identifier;

/// Octets of an answer that are read at most (discovery 2.4).
pub const MAX_OCTETS: usize = 1 << 20;

/// Parses the octets with the limits for answers of SMPs. The error says what is wrong, for people.
pub fn parse(octets: &[u8]) -> Result<Document, String> {
    let limits = Limits { max_octets: MAX_OCTETS, max_depth: 50, ..Limits::default() };
    Document::parse(octets, &limits).map_err(|error| error.to_string())
}

/// Takes a parsed answer apart. The error says what is wrong, for people.
pub fn read(document: &Document) -> Result<Answer, String> {
    let root = document.root();
    match dialect_of(root) {
        Some(Dialect::Bdxr2) => two::read(root).map(|content| Answer { dialect: Dialect::Bdxr2, content }),
        Some(dialect) => one::read(root).map(|content| Answer { dialect, content }),
        None => Err(format!("{{{}}}{} is no answer of an SMP", root.namespace(), root.local())),
    }
}

/// The dialect, by the namespace of the root.
pub fn dialect_of(root: Element<'_>) -> Option<Dialect> {
    match root.namespace() {
        one::PEPPOL => Some(Dialect::Peppol),
        one::BDXR_2016 | one::BDXR_2014 => Some(Dialect::Bdxr1),
        two::GROUP | two::METADATA => Some(Dialect::Bdxr2),
        _ => None,
    }
}

/// An identifier element: its trimmed text and the scheme in the attribute named; an empty value is an error.
pub(super) fn identifier(
    element: Option<Element<'_>>,
    what: &str,
    scheme: &str,
) -> Result<Identifier, String> {
    let element = element.ok_or_else(|| format!("no {what}"))?;
    let value = element.text().trim().to_owned();
    match value.is_empty() {
        true => Err(format!("{what} is empty")),
        false => Ok(Identifier::new(element.attribute(scheme).unwrap_or_default().trim(), value)),
    }
}

/// The text of a certificate element: base64 of DER with any blanks in it, with or without PEM lines; exactly one.
pub(super) fn certificate(text: &str) -> Option<Certificate> {
    let store = KeyStore::read(text.trim().as_bytes(), None, &[]).ok()?;
    match store.entries.as_slice() {
        [entry] => entry.certificate.clone(),
        _ => None,
    }
}
