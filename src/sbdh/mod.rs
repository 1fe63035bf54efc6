//! Business envelopes: the Peppol Business Message Envelope, a standard business document with its header (SBDH).
//!
//! Only the beginning of an envelope is read: the header and the name of what it heads. The business document behind it may be
//! gigabytes large and is neither read nor judged here; wrapping one streams it through unchanged.

mod check;
mod header;
mod read;
mod write;

pub use check::Rules;
pub use header::{Envelope, Header, Identifier, Name, Scope};
pub use read::{OPENING, Opening, open};
pub use write::{Bare, wrap};

/// Namespace of envelope and header.
pub const NAMESPACE: &str = "http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader";
/// Scheme of document types when a scope names none.
pub const DOCUMENT_SCHEME: &str = "busdox-docid-qns";
/// Scheme of processes when a scope names none.
pub const PROCESS_SCHEME: &str = "cenbii-procid-ubl";
/// The only scheme of participants in Peppol.
pub const PARTICIPANT_SCHEME: &str = "iso6523-actorid-upis";
/// Scope of the document type.
pub const DOCUMENT_ID: &str = "DOCUMENTID";
/// Scope of the process.
pub const PROCESS_ID: &str = "PROCESSID";
/// Scope of the sender's country.
pub const COUNTRY_C1: &str = "COUNTRY_C1";
/// Scope of the address for message level statuses.
pub const MLS_TO: &str = "MLS_TO";
/// Scope of when a message level status is wanted.
pub const MLS_TYPE: &str = "MLS_TYPE";

/// Why octets are no envelope that can be taken, or no document that can be wrapped. All but `Io` is the sender's fault.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not XML.
    #[error("SBDH: {0}")]
    Xml(#[from] crate::xml::Error),
    /// The root is something else.
    #[error("no StandardBusinessDocument but {{{namespace}}}{local}")]
    NoEnvelope {
        /// Namespace of what was found.
        namespace: String,
        /// Its local name.
        local: String,
    },
    /// The header is not the first child of the envelope.
    #[error("the StandardBusinessDocument has no StandardBusinessDocumentHeader")]
    NoHeader,
    /// The header is larger than any header is.
    #[error("the StandardBusinessDocumentHeader has {octets} octets; at most {most} are read")]
    TooLarge {
        /// How large it is.
        octets: usize,
        /// The limit.
        most: usize,
    },
    /// An element is missing, empty, or there more than once.
    #[error("SBDH: {element} is there {count} times, not once")]
    Count {
        /// Which element.
        element: &'static str,
        /// How often it was found.
        count: usize,
    },
    /// A value that must not be read so.
    #[error("SBDH: {element} reads {value:?}: {rule}")]
    Value {
        /// Which element or scope.
        element: &'static str,
        /// What it reads.
        value: String,
        /// The rule that this breaks.
        rule: &'static str,
    },
    /// A scope that must be there is not, or has no value.
    #[error("SBDH: the scope {0} is missing or empty")]
    Scope(&'static str),
    /// Two scopes of one type.
    #[error("SBDH: the scope {0:?} is there twice")]
    ScopeTwice(String),
    /// Nothing behind the header.
    #[error("the StandardBusinessDocument holds no business document")]
    NoBusinessDocument,
    /// An envelope in an envelope.
    #[error("the StandardBusinessDocument holds another envelope, not a business document")]
    Nested,
    /// The header says something else than the business document.
    #[error("SBDH: {element} reads {said:?}, the document says {found:?}")]
    Mismatch {
        /// Which element of the header.
        element: &'static str,
        /// What it reads.
        said: String,
        /// What the business document or the document type says.
        found: String,
    },
    /// A document to be wrapped that is not written in UTF-8.
    #[error("the business document is written in {0}; only UTF-8 can be wrapped")]
    Encoding(String),
    /// Our environment: reading or writing octets.
    #[error("business document: {0}")]
    Io(#[from] std::io::Error),
}

#[cfg(test)]
mod tests;
