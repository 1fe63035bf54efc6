//! SOAP envelope: found in a parsed document, and the few octets that tilts writes of it itself.
//!
//! SOAP 1.2 only on the wire (as4-wire 1.2); a SOAP 1.1 envelope is recognised so that it can be refused by name
//! and taken apart by `tilts inspect`.

use crate::xml::{Document, Element};

/// Namespace of SOAP 1.2.
pub const SOAP12: &str = "http://www.w3.org/2003/05/soap-envelope";
/// Namespace of SOAP 1.1.
pub const SOAP11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// Media type of a SOAP 1.2 envelope.
pub const MEDIA_TYPE: &str = "application/soap+xml";
/// Content-Type of the envelopes that tilts sends.
pub const CONTENT_TYPE: &str = "application/soap+xml; charset=UTF-8";

/// Which SOAP an envelope is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// SOAP 1.1, never accepted on the wire.
    V11,
    /// SOAP 1.2.
    V12,
}

impl Version {
    /// The number as people write it: `1.1` or `1.2`.
    pub fn number(self) -> &'static str {
        match self {
            Self::V11 => "1.1",
            Self::V12 => "1.2",
        }
    }
}

/// What is wrong with an envelope. All of it is the peer's doing.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum Error {
    /// The root element is not a SOAP envelope.
    #[error("the root element is {{{namespace}}}{local}, not a SOAP Envelope")]
    NotAnEnvelope {
        /// Namespace of the root element.
        namespace: String,
        /// Local name of the root element.
        local: String,
    },
    /// Header or Body missing, repeated or out of order, or something else beside them.
    #[error("the SOAP Envelope must hold one Header at most and then exactly one Body: {0}")]
    Structure(&'static str),
}

/// A SOAP envelope in a parsed document.
#[derive(Clone, Copy)]
pub struct Envelope<'d> {
    version: Version,
    header: Option<Element<'d>>,
    body: Element<'d>,
}

impl<'d> Envelope<'d> {
    /// Finds Header and Body (SOAP 1.2 part 1, section 5).
    ///
    /// # Errors
    /// [`Error`] when the root is no envelope, or its children are not `Header?, Body`.
    pub fn locate(document: &'d Document) -> Result<Self, Error> {
        let root = document.root();
        let version = version_of(root)?;
        let namespace = root.namespace();
        let mut children = root.children();
        let mut next = children.next();
        let header = next.filter(|e| e.is(namespace, "Header"));
        if header.is_some() {
            next = children.next();
        }
        // BizTalk writes a Body of SOAP 1.1 into an envelope of SOAP 1.2; what counts is which node it is.
        let is_body = |e: &Element<'_>| e.is(SOAP12, "Body") || e.is(SOAP11, "Body");
        let body = next.filter(is_body).ok_or(Error::Structure("no Body where it belongs"))?;
        match children.next() {
            Some(_) => Err(Error::Structure("an element after the Body")),
            None => Ok(Self { version, header, body }),
        }
    }

    /// Which SOAP this is.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The Header; absent in a message without header blocks.
    pub fn header(&self) -> Option<Element<'d>> {
        self.header
    }

    /// The Body.
    pub fn body(&self) -> Element<'d> {
        self.body
    }

    /// The header blocks, in document order.
    pub fn blocks(&self) -> impl Iterator<Item = Element<'d>> + use<'d> {
        self.header.into_iter().flat_map(|h| h.children())
    }

    /// Header blocks that demand to be understood and are in none of the `known` (namespace, local name) pairs.
    pub fn not_understood(&self, known: &[(&str, &str)]) -> Vec<String> {
        let namespace = if self.version == Version::V11 { SOAP11 } else { SOAP12 };
        self.blocks()
            .filter(|block| {
                demands(*block, namespace) && !known.iter().any(|(ns, local)| block.is(ns, local))
            })
            .map(|block| format!("{{{}}}{}", block.namespace(), block.local()))
            .collect()
    }

    /// Whether the Body holds no element.
    pub fn body_is_empty(&self) -> bool {
        self.body.children().next().is_none()
    }
}

fn version_of(root: Element<'_>) -> Result<Version, Error> {
    match (root.namespace(), root.local()) {
        (SOAP12, "Envelope") => Ok(Version::V12),
        (SOAP11, "Envelope") => Ok(Version::V11),
        (namespace, local) => Err(Error::NotAnEnvelope { namespace: namespace.into(), local: local.into() }),
    }
}

fn demands(block: Element<'_>, soap: &str) -> bool {
    matches!(block.attribute_ns(soap, "mustUnderstand").map(str::trim), Some("true" | "1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Limits;

    fn parse(text: &str) -> Document {
        Document::parse(text.as_bytes(), &Limits::default()).unwrap()
    }

    #[test]
    fn header_and_body_are_found() {
        let document = parse(&format!(
            "<e:Envelope xmlns:e='{SOAP12}'><e:Header><a e:mustUnderstand='true'/><b/></e:Header><e:Body/></e:Envelope>"
        ));
        let envelope = Envelope::locate(&document).unwrap();
        assert_eq!(envelope.version(), Version::V12);
        assert_eq!(envelope.blocks().count(), 2);
        assert!(envelope.body_is_empty());
        assert_eq!(envelope.not_understood(&[]), ["{}a"]);
        assert!(envelope.not_understood(&[("", "a")]).is_empty());
    }

    #[test]
    fn what_is_no_envelope_is_named() {
        assert!(matches!(Envelope::locate(&parse("<x/>")), Err(Error::NotAnEnvelope { .. })));
        for inside in ["", "<e:Body/><e:Body/>", "<e:Body/><e:Header/>", "<x/><e:Body/>"] {
            let document = parse(&format!("<e:Envelope xmlns:e='{SOAP12}'>{inside}</e:Envelope>"));
            assert!(matches!(Envelope::locate(&document), Err(Error::Structure(_))), "{inside}");
        }
    }
}
