//! What can be wrong with XML, and how much of it is taken.

/// Bounds on one document; beyond any of them parsing stops with [`Error::Limit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the document as received.
    pub max_octets: usize,
    /// Elements within elements.
    pub max_depth: usize,
    /// Elements, texts, comments and processing instructions together.
    pub max_nodes: usize,
    /// Attributes and namespace declarations of one element.
    pub max_attributes: usize,
    /// Namespace declarations in scope at one place.
    pub max_namespaces: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_octets: 4 << 20,
            max_depth: 100,
            max_nodes: 200_000,
            max_attributes: 256,
            max_namespaces: 512,
        }
    }
}

/// Why octets are not a document that is read here. Always the sender's fault; positions count octets of the
/// decoded text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Against the grammar of XML 1.0.
    #[error("XML is not well-formed at octet {at}: {what}")]
    Syntax {
        /// Where.
        at: usize,
        /// What was found or missing.
        what: String,
    },
    /// A document type declaration: refused whatever it says (as4-wire 6, "XXE / billion laughs").
    #[error("XML holds a DOCTYPE at octet {at}; none is allowed")]
    Doctype {
        /// Where.
        at: usize,
    },
    /// An entity that is none of the five of XML itself.
    #[error("XML refers to the entity `&{name};` at octet {at}; only the five of XML itself are allowed")]
    Entity {
        /// Where.
        at: usize,
        /// The entity's name.
        name: String,
    },
    /// Against Namespaces in XML 1.0.
    #[error("XML namespaces are wrong at octet {at}: {what}")]
    Namespace {
        /// Where.
        at: usize,
        /// The prefix or declaration.
        what: String,
    },
    /// Two attributes with one expanded name.
    #[error("XML element at octet {at} has the attribute `{name}` twice")]
    DuplicateAttribute {
        /// Where.
        at: usize,
        /// The attribute as written the second time.
        name: String,
    },
    /// Octets that are no text in the encoding found or declared.
    #[error("XML encoding: {0}")]
    Encoding(String),
    /// A bound of [`Limits`] was reached.
    #[error("XML has more than {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
}

impl Error {
    pub(super) fn syntax(at: usize, what: impl Into<String>) -> Self {
        Self::Syntax { at, what: what.into() }
    }
}
