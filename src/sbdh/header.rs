//! The header as values.

use std::fmt;

use super::{
    COUNTRY_C1, DOCUMENT_ID, DOCUMENT_SCHEME, MLS_TO, MLS_TYPE, PARTICIPANT_SCHEME, PROCESS_ID,
    PROCESS_SCHEME,
};
use crate::clock::Timestamp;

/// A standard business document, as far as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Its header.
    pub header: Header,
    /// The root of the business document.
    pub content: Name,
}

/// Name of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Namespace, empty for none.
    pub namespace: String,
    /// Local name.
    pub local: String,
}

/// A StandardBusinessDocumentHeader (envelopes-evidence 1.1). Values are trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// HeaderVersion.
    pub version: String,
    /// The one Sender (C1).
    pub sender: Identifier,
    /// The one Receiver (C4).
    pub receiver: Identifier,
    /// Standard: namespace of the business document.
    pub standard: String,
    /// TypeVersion: version of the business document's syntax.
    pub type_version: String,
    /// InstanceIdentifier: names this envelope; neither an invoice number nor the MessageId.
    pub instance: String,
    /// Type: local name of the business document.
    pub document: String,
    /// CreationDateAndTime.
    pub created: Timestamp,
    /// BusinessScope, in the order written.
    pub scopes: Vec<Scope>,
}

/// An identifier with its scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier {
    /// Scheme: `@Authority` of a party, `Identifier` of a scope.
    pub scheme: String,
    /// Value.
    pub value: String,
}

impl Identifier {
    /// Reads `scheme::value`; a value alone gets `scheme`.
    pub fn parse(text: &str, scheme: &str) -> Self {
        let (scheme, value) =
            text.split_once("::").filter(|(s, _)| !s.contains(':')).unwrap_or((scheme, text));
        Self { scheme: scheme.into(), value: value.into() }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.scheme, self.value)
    }
}

/// One entry of the BusinessScope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Type.
    pub kind: String,
    /// InstanceIdentifier: the value, which may be empty in scopes of the users' own.
    pub value: String,
    /// Identifier: the value's scheme.
    pub scheme: Option<String>,
}

impl Scope {
    /// A scope without a scheme.
    pub fn plain(kind: &str, value: &str) -> Self {
        Self { kind: kind.into(), value: value.into(), scheme: None }
    }

    /// A scope whose value has a scheme.
    pub fn of(kind: &str, id: &Identifier) -> Self {
        Self { kind: kind.into(), value: id.value.clone(), scheme: Some(id.scheme.clone()) }
    }
}

impl Header {
    /// The scope of that type.
    pub fn scope(&self, kind: &str) -> Option<&Scope> {
        self.scopes.iter().find(|scope| scope.kind == kind)
    }

    /// DOCUMENTID; `None` when it is missing or empty.
    pub fn document_type(&self) -> Option<Identifier> {
        self.identifier(DOCUMENT_ID, DOCUMENT_SCHEME)
    }

    /// PROCESSID; `None` when it is missing or empty.
    pub fn process(&self) -> Option<Identifier> {
        self.identifier(PROCESS_ID, PROCESS_SCHEME)
    }

    /// COUNTRY_C1.
    pub fn country(&self) -> Option<&str> {
        self.scope(COUNTRY_C1).map(|scope| scope.value.as_str())
    }

    /// MLS_TO; `None` without the scheme that it has to name.
    pub fn mls_to(&self) -> Option<Identifier> {
        let scope = self.scope(MLS_TO)?;
        let named = scope.scheme.as_deref() == Some(PARTICIPANT_SCHEME);
        named.then(|| Identifier { scheme: PARTICIPANT_SCHEME.into(), value: scope.value.clone() })
    }

    /// MLS_TYPE as written.
    pub fn mls_type(&self) -> Option<&str> {
        self.scope(MLS_TYPE).map(|scope| scope.value.as_str())
    }

    fn identifier(&self, kind: &str, scheme: &str) -> Option<Identifier> {
        let scope = self.scope(kind).filter(|scope| !scope.value.is_empty())?;
        let scheme = scope.scheme.as_deref().unwrap_or(scheme);
        Some(Identifier { scheme: scheme.into(), value: scope.value.clone() })
    }
}
