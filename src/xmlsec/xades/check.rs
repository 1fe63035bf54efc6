//! Judging a signature in its document: value, digests, and what exactly they cover.

use super::super::names::DS;
use super::super::{
    DigestAlgorithm, Error, FoundKey, Reference, Signature, Target, decode_base64, hints, resolve,
};
use crate::pki::Certificate;
use crate::xml::{Element, NodeId};

use super::SIGNED_PROPERTIES;

/// What a signature covers, by identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covered {
    /// The whole document (enveloped).
    Document,
    /// This element.
    Element(NodeId),
    /// Its own signed properties.
    Properties(NodeId),
}

/// A signature after every check that its document allows. Whether its signer is trusted is the caller's question.
#[derive(Clone)]
pub struct Checked {
    /// URI of the SignatureMethod.
    pub algorithm: String,
    /// URIs of the DigestMethods, in order.
    pub digests: Vec<String>,
    /// Whether SignatureValue is the key's.
    pub value_ok: bool,
    /// URI and result of each reference in order; `None` names nothing or more than one element.
    pub references: Vec<(String, bool, Option<Covered>)>,
    /// The key that was tried.
    pub key: FoundKey,
    /// The signed properties; `None` when there are none or the signature does not cover them.
    pub properties: Option<Properties>,
}

impl Checked {
    /// True when value and every digest hold.
    pub fn is_valid(&self) -> bool {
        self.value_ok && self.references.iter().all(|(_, ok, _)| *ok)
    }

    /// True when any algorithm rests on SHA-1 or weaker.
    pub fn is_weak(&self) -> bool {
        let weak = |uri: &String| uri.ends_with("sha1") || uri.contains("sha1-") || uri.ends_with("md5");
        weak(&self.algorithm) || self.digests.iter().any(weak)
    }

    /// True when the signature covers `element` itself.
    pub fn covers(&self, element: Element<'_>) -> bool {
        self.references.iter().any(|(_, ok, covered)| *ok && *covered == Some(Covered::Element(element.id())))
    }

    /// The signer's certificate, when the signature names one.
    pub fn signer(&self) -> Option<&Certificate> {
        self.key.certificate.as_ref()
    }
}

/// Checks a ds:Signature in place. The key is the first in KeyInfo that yields one, certificates before bare key values;
/// `known` certificates resolve references to certificates that are not in the message.
///
/// # Errors
/// [`Error`] when the signature cannot be read or an algorithm is not supported, so that nothing can be said.
pub fn check(element: Element<'_>, known: &[Certificate]) -> Result<Checked, Error> {
    let signature = Signature::parse(element)?;
    let key = key_of(&signature, known)?;
    let value_ok = signature.verify_value(&key.key)?;
    let mut references = Vec::with_capacity(signature.references.len());
    for reference in &signature.references {
        let target = target_of(&signature, reference);
        let ok = match target {
            Some(covered) => signature.verify_reference(reference, as_target(covered))?,
            None => false,
        };
        references.push((reference.uri.unwrap_or_default().to_owned(), ok, target));
    }
    let covered = references.iter().find_map(|(_, ok, covered)| match covered {
        Some(Covered::Properties(id)) if *ok => Some(*id),
        _ => None,
    });
    Ok(Checked {
        algorithm: signature.algorithm.to_owned(),
        digests: signature.references.iter().map(|r| r.digest_method.to_owned()).collect(),
        value_ok,
        references,
        key,
        properties: covered.map(|id| Properties::read(element.document().element(id))),
    })
}

/// A certificate beats a bare key value: DIV writes both, the value first, and only a certificate says who signed.
fn key_of(signature: &Signature<'_>, known: &[Certificate]) -> Result<FoundKey, Error> {
    let hints = signature.key_info.map(hints).unwrap_or_default();
    let mut found: Vec<FoundKey> = hints.iter().filter_map(|hint| resolve(hint, known)).collect();
    let named = found.iter().position(|key| key.certificate.is_some()).unwrap_or(0);
    if found.is_empty() {
        return Err(Error::Structure("KeyInfo names no key that is at hand".to_owned()));
    }
    Ok(found.swap_remove(named))
}

/// The signature's own signed properties are looked for inside it first: other signatures in the document may use the same
/// ids (div-recorded 1). Everything else must exist exactly once.
fn target_of(signature: &Signature<'_>, reference: &Reference<'_>) -> Option<Covered> {
    if reference.uri == Some("") {
        return Some(Covered::Document);
    }
    let id = reference.fragment()?;
    let document = signature.element.document();
    let mut named = document.by_id(id);
    if reference.element.attribute("Type") == Some(SIGNED_PROPERTIES) {
        named.retain(|node| {
            signature.element.contains(*node) && is_signed_properties(document.element(*node))
        });
        return match named.as_slice() {
            [only] => Some(Covered::Properties(*only)),
            _ => None,
        };
    }
    match named.as_slice() {
        [only] => Some(Covered::Element(*only)),
        _ => None,
    }
}

fn as_target(covered: Covered) -> Target {
    match covered {
        Covered::Document => Target::Document,
        Covered::Element(id) | Covered::Properties(id) => Target::Element(id),
    }
}

/// What a XAdES signature says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Properties {
    /// SigningTime as written.
    pub signing_time: Option<String>,
    /// (DigestMethod, DigestValue) of each certificate named.
    pub certificates: Vec<(String, Vec<u8>)>,
}

impl Properties {
    /// Reads a SignedProperties element.
    pub fn read(properties: Element<'_>) -> Self {
        let named = |name: &str| properties.descendants().find(|e| e.local() == name);
        let certificates =
            properties.descendants().filter(|e| e.local() == "CertDigest").filter_map(|digest| {
                let method = digest.child(DS, "DigestMethod")?.attribute("Algorithm")?.to_owned();
                Some((method, decode_base64(&digest.child(DS, "DigestValue")?.text())?))
            });
        Self {
            signing_time: named("SigningTime").map(|e| e.text().trim().to_owned()),
            certificates: certificates.collect(),
        }
    }

    /// Whether the first certificate named is `signer`; `None` when none is named or its digest is not known.
    pub fn names(&self, signer: &Certificate) -> Option<bool> {
        let (method, value) = self.certificates.first()?;
        let digest = DigestAlgorithm::from_uri(method)?.digest(signer.der()).ok()?;
        Some(digest == *value)
    }
}

/// `SignedProperties`, or `SignedProperties-<n>` as the national client writes it, in any XAdES namespace.
pub fn is_signed_properties(element: Element<'_>) -> bool {
    let rest = element.local().strip_prefix("SignedProperties");
    let named = rest.is_some_and(|rest| {
        let number = rest.strip_prefix('-');
        rest.is_empty() || number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    });
    named && element.namespace().starts_with("http://uri.etsi.org/01903/")
}
