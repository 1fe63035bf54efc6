//! What an envelope has to say (envelopes-evidence 1.1; Peppol Business Message Envelope 2.0, 2.4 to 2.6).

use super::header::{Envelope, Header, Identifier};
use super::{COUNTRY_C1, DOCUMENT_ID, Error, MLS_TYPE, NAMESPACE, PARTICIPANT_SCHEME, PROCESS_ID};

/// Namespace of the wrapper for what is no XML; Standard and Type then are the document type's, not the wrapper's.
const NOT_XML: &str = "http://peppol.eu/xsd/ticc/envelope/1.0";

/// How much is demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// Version 2.0, as Peppol demands it.
    Peppol,
    /// Versions before 2.0 too, which have no COUNTRY_C1.
    Lax,
}

impl Envelope {
    /// Checks every rule; the first that is broken is named.
    ///
    /// # Errors
    /// [`Error`] with the value that breaks the rule.
    pub fn check(&self, rules: Rules) -> Result<(), Error> {
        self.header.check(rules)?;
        let Self { header, content } = self;
        if content.namespace == NAMESPACE {
            return Err(Error::Nested);
        }
        if content.namespace == NOT_XML {
            return Ok(());
        }
        same("Standard", &header.standard, &content.namespace)?;
        same("Type", &header.document, &content.local)
    }
}

impl Header {
    /// Checks the rules of the header alone.
    ///
    /// # Errors
    /// [`Error`] with the value that breaks the rule.
    pub fn check(&self, rules: Rules) -> Result<(), Error> {
        if self.version != "1.0" {
            return wrong("HeaderVersion", &self.version, "it is always 1.0");
        }
        party("Sender", &self.sender)?;
        party("Receiver", &self.receiver)?;
        for (element, value) in [
            ("Standard", &self.standard),
            ("InstanceIdentifier", &self.instance),
            ("Type", &self.document),
            ("TypeVersion", &self.type_version),
        ] {
            if value.is_empty() {
                return wrong(element, value, "it must not be empty");
            }
        }
        self.check_scopes(rules)?;
        self.check_version()
    }

    fn check_scopes(&self, rules: Rules) -> Result<(), Error> {
        for (index, scope) in self.scopes.iter().enumerate() {
            if self.scopes[..index].iter().any(|earlier| earlier.kind == scope.kind) {
                return Err(Error::ScopeTwice(scope.kind.clone()));
            }
        }
        self.document_type().ok_or(Error::Scope(DOCUMENT_ID))?;
        self.process().ok_or(Error::Scope(PROCESS_ID))?;
        match self.country() {
            Some(country) => check_country(country)?,
            None if rules == Rules::Lax => {}
            None => return Err(Error::Scope(COUNTRY_C1)),
        }
        match self.mls_type() {
            None | Some("FAILURE_ONLY" | "ALWAYS_SEND") => Ok(()),
            Some(other) => wrong(MLS_TYPE, other, "FAILURE_ONLY or ALWAYS_SEND is wanted"),
        }
    }

    /// TypeVersion is the last part of the document type, where that has parts.
    fn check_version(&self) -> Result<(), Error> {
        let document_type = self.document_type().ok_or(Error::Scope(DOCUMENT_ID))?;
        match document_type.value.rsplit_once("::") {
            Some((_, version)) => same("TypeVersion", &self.type_version, version),
            None => Ok(()),
        }
    }
}

/// Two capital letters or digits: ISO 3166-1 alpha-2, and `XK` or `1A` for Kosovo.
pub(super) fn check_country(country: &str) -> Result<(), Error> {
    let fits = country.len() == 2 && country.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    if fits { Ok(()) } else { wrong(COUNTRY_C1, country, "two capital letters or digits are wanted") }
}

fn party(element: &'static str, id: &Identifier) -> Result<(), Error> {
    if id.scheme != PARTICIPANT_SCHEME {
        return wrong(element, &id.scheme, "its Authority must be iso6523-actorid-upis");
    }
    let (icd, value) = id.value.split_once(':').unwrap_or_default();
    let fits = icd.len() == 4 && icd.bytes().all(|c| c.is_ascii_digit()) && !value.is_empty();
    if fits { Ok(()) } else { wrong(element, &id.value, "four digits, a colon and a value are wanted") }
}

fn same(element: &'static str, said: &str, found: &str) -> Result<(), Error> {
    match said == found {
        true => Ok(()),
        false => Err(Error::Mismatch { element, said: said.into(), found: found.into() }),
    }
}

fn wrong(element: &'static str, value: &str, rule: &'static str) -> Result<(), Error> {
    Err(Error::Value { element, value: value.into(), rule })
}
