//! ds:Signature: taken apart, digests and value checked in place (XML Signature 1.1).

use crate::xml::{C14n, Element, Mode, NodeId, canonicalize, canonicalize_document};

use openssl::pkey::{PKeyRef, Public};

use super::algorithms::{DigestAlgorithm, Hasher, SignatureAlgorithm};
use super::error::Error;
use super::keys::decode_base64;
use super::names::{ATTACHMENT_CONTENT, DS, EC, ENVELOPED};
use super::signed_reference::SignedReference;

/// A ds:Signature as written. Nothing of it is judged by reading it.
#[derive(Debug, Clone)]
pub struct Signature<'d> {
    /// The ds:Signature.
    pub element: Element<'d>,
    /// Its ds:SignedInfo.
    pub signed_info: Element<'d>,
    /// CanonicalizationMethod with its prefix list.
    pub canonicalization: Transform,
    /// URI of the SignatureMethod.
    pub algorithm: &'d str,
    /// The references in document order.
    pub references: Vec<Reference<'d>>,
    /// SignatureValue, decoded.
    pub value: Vec<u8>,
    /// Its ds:KeyInfo.
    pub key_info: Option<Element<'d>>,
}

/// A ds:Reference as written.
#[derive(Debug, Clone)]
pub struct Reference<'d> {
    /// The ds:Reference.
    pub element: Element<'d>,
    /// `""`, `#id` or `cid:...` as written; `None` when the attribute is absent.
    pub uri: Option<&'d str>,
    /// The transforms in order.
    pub transforms: Vec<Transform>,
    /// URI of the DigestMethod.
    pub digest_method: &'d str,
    /// DigestValue, decoded.
    pub digest_value: Vec<u8>,
}

/// A transform or canonicalisation method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transform {
    /// Leaves out the signature.
    Enveloped,
    /// Canonicalises, prefix list included.
    C14n(C14n),
    /// Content of an attachment (SwA profile 5.4.2).
    AttachmentContent,
    /// Anything else, by its URI: never applied.
    Unknown(String),
}

/// What a same-document reference means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// URI `""`: the whole document.
    Document,
    /// One element.
    Element(NodeId),
}

/// Most references of one signature where nobody says otherwise: twice what Java peers verify (as4-wire 1.4).
pub const MOST_REFERENCES: usize = 64;
/// Most transforms of one reference (as4-wire 6, "transform abuse").
const MOST_TRANSFORMS: usize = 5;

impl<'d> Signature<'d> {
    /// Takes a ds:Signature with at most [`MOST_REFERENCES`] apart.
    ///
    /// # Errors
    /// As [`Signature::parse_within`].
    pub fn parse(element: Element<'d>) -> Result<Self, Error> {
        Self::parse_within(element, MOST_REFERENCES)
    }

    /// Takes a ds:Signature with at most `most` references apart.
    ///
    /// # Errors
    /// [`Error::Structure`] when an element that the schema demands is missing or there are absurdly many.
    pub fn parse_within(element: Element<'d>, most: usize) -> Result<Self, Error> {
        let signed_info = one(element, "SignedInfo")?;
        let references: Vec<_> = signed_info
            .children_named(DS, "Reference")
            .take(most.saturating_add(1))
            .map(Reference::parse)
            .collect::<Result<_, _>>()?;
        if references.is_empty() || references.len() > most {
            return Err(Error::structure(format!("SignedInfo has not 1 to {most} References")));
        }
        let value = decode_base64(&one(element, "SignatureValue")?.text())
            .ok_or_else(|| Error::structure("SignatureValue is not base64"))?;
        Ok(Self {
            element,
            signed_info,
            canonicalization: Transform::parse(one(signed_info, "CanonicalizationMethod")?),
            algorithm: algorithm_of(one(signed_info, "SignatureMethod")?),
            references,
            value,
            key_info: element.child(DS, "KeyInfo"),
        })
    }

    /// Whether SignatureValue is this key's over SignedInfo, canonicalised in place.
    ///
    /// # Errors
    /// [`Error::Unsupported`] and [`Error::KeyType`] when that cannot be told.
    pub fn verify_value(&self, key: &PKeyRef<Public>) -> Result<bool, Error> {
        let algorithm = SignatureAlgorithm::from_uri(self.algorithm)
            .ok_or_else(|| Error::unsupported("SignatureMethod", self.algorithm))?;
        let Transform::C14n(how) = &self.canonicalization else {
            return Err(Error::unsupported("CanonicalizationMethod", self.canonicalization.uri()));
        };
        let octets = crate::xml::canonicalize_to_vec(self.signed_info, how, None);
        algorithm.verify(key, &octets, &self.value)
    }

    /// Whether a same-document reference has the digest that it states.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when a transform or digest is not known.
    pub fn verify_reference(&self, reference: &Reference<'d>, target: Target) -> Result<bool, Error> {
        Ok(super::keys::same(&self.digest_of(reference, target)?, &reference.digest_value))
    }

    /// The digest of what a same-document reference names, its transforms applied in place.
    pub fn digest_of(&self, reference: &Reference<'d>, target: Target) -> Result<Vec<u8>, Error> {
        let (enveloped, how) = reference.same_document_transforms()?;
        let without = enveloped.then(|| self.element.id());
        let mut hasher = Hasher::new(reference.digest_algorithm()?)?;
        let mut failed = None;
        let mut out = |octets: &[u8]| {
            if let Err(error) = hasher.update(octets) {
                failed = Some(error);
            }
        };
        let document = self.element.document();
        match target {
            Target::Document => canonicalize_document(document, &how, without, &mut out),
            Target::Element(id) => canonicalize(document.element(id), &how, without, &mut out),
        }
        match failed {
            Some(error) => Err(error),
            None => hasher.finish(),
        }
    }

    /// The references as values that outlive the document.
    pub fn signed_references(&self) -> Vec<SignedReference> {
        self.references.iter().map(Reference::to_signed).collect()
    }
}

impl<'d> Reference<'d> {
    fn parse(element: Element<'d>) -> Result<Self, Error> {
        let transforms: Vec<Transform> = match element.child(DS, "Transforms") {
            Some(all) => all.children_named(DS, "Transform").map(Transform::parse).collect(),
            None => Vec::new(),
        };
        if transforms.len() > MOST_TRANSFORMS {
            return Err(Error::structure(format!("a Reference has more than {MOST_TRANSFORMS} Transforms")));
        }
        let digest_value = decode_base64(&one(element, "DigestValue")?.text())
            .ok_or_else(|| Error::structure("a DigestValue is not base64"))?;
        Ok(Self {
            element,
            uri: element.attribute("URI"),
            transforms,
            digest_method: algorithm_of(one(element, "DigestMethod")?),
            digest_value,
        })
    }

    /// The id that `#id` names.
    pub fn fragment(&self) -> Option<&'d str> {
        self.uri?.strip_prefix('#').filter(|id| crate::xml::is_id(id))
    }

    /// The digest algorithm, when it is known.
    pub fn digest_algorithm(&self) -> Result<DigestAlgorithm, Error> {
        DigestAlgorithm::from_uri(self.digest_method)
            .ok_or_else(|| Error::unsupported("DigestMethod", self.digest_method))
    }

    /// Whether the transforms are exactly the attachment content transform.
    pub fn is_attachment_content(&self) -> bool {
        self.transforms == [Transform::AttachmentContent]
    }

    /// The reference as a value.
    pub fn to_signed(&self) -> SignedReference {
        SignedReference {
            uri: self.uri.unwrap_or_default().to_owned(),
            transforms: self.transforms.iter().map(|transform| transform.uri().to_owned()).collect(),
            digest_method: self.digest_method.to_owned(),
            digest_value: self.digest_value.clone(),
        }
    }

    /// What the transforms of a same-document reference come to: enveloped-signature at most once and first, one
    /// canonicalisation at most and last. Same-document references never hold comments (XML Signature 1.1, 4.4.3.2).
    fn same_document_transforms(&self) -> Result<(bool, C14n), Error> {
        let (enveloped, rest) = match self.transforms.as_slice() {
            [Transform::Enveloped, rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let mut how = match rest {
            [] => C14n { mode: Mode::Inclusive10, comments: false, prefixes: Vec::new() },
            [Transform::C14n(how)] => how.clone(),
            [odd, ..] => return Err(Error::unsupported("Transform", odd.uri())),
        };
        how.comments = false;
        Ok((enveloped, how))
    }
}

impl Transform {
    fn parse(element: Element<'_>) -> Self {
        let uri = algorithm_of(element);
        match (uri, C14n::from_uri(uri)) {
            (_, Some(how)) => {
                let list = element.child(EC, "InclusiveNamespaces").and_then(|e| e.attribute("PrefixList"));
                Self::C14n(how.with_prefix_list(list.unwrap_or_default()))
            }
            (ENVELOPED, _) => Self::Enveloped,
            (ATTACHMENT_CONTENT, _) => Self::AttachmentContent,
            (other, _) => Self::Unknown(other.to_owned()),
        }
    }

    /// The algorithm URI.
    pub fn uri(&self) -> &str {
        match self {
            Self::Enveloped => ENVELOPED,
            Self::C14n(how) => how.uri(),
            Self::AttachmentContent => ATTACHMENT_CONTENT,
            Self::Unknown(uri) => uri,
        }
    }
}

/// The child element that the schema demands exactly once.
fn one<'d>(parent: Element<'d>, local: &str) -> Result<Element<'d>, Error> {
    let mut found = parent.children_named(DS, local);
    match (found.next(), found.next()) {
        (Some(child), None) => Ok(child),
        (None, _) => Err(Error::structure(format!("{} has no {local}", parent.local()))),
        (Some(_), Some(_)) => Err(Error::structure(format!("{} has more than one {local}", parent.local()))),
    }
}

fn algorithm_of<'d>(element: Element<'d>) -> &'d str {
    element.attribute("Algorithm").unwrap_or_default()
}
