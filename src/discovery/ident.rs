//! Identifiers of participants, document types and processes: `scheme::value`, or the value alone (discovery 3).

use serde::{Serialize, Serializer};

/// The prefix of ebCore party identifiers (ebCore Party Id 1.0 and 2.0).
pub const EBCORE: &str = "urn:oasis:names:tc:ebcore:partyid-type:";

/// Schemes whose values mean something else in other letters (Peppol policy for identifiers; discovery 3.1).
const CASE_SENSITIVE: &[&str] = &["busdox-docid-qns", "peppol-doctype-wildcard", "cenbii-procid-ubl"];

/// An identifier as it was written. Compare with [`Identifier::means`], never the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identifier {
    /// The scheme; absent where the network needs none.
    pub scheme: Option<String>,
    /// The value.
    pub value: String,
}

impl Identifier {
    /// An identifier with a scheme.
    pub fn new(scheme: impl Into<String>, value: impl Into<String>) -> Self {
        let scheme = scheme.into();
        Self { scheme: (!scheme.is_empty()).then_some(scheme), value: value.into() }
    }

    /// Splits at the first `::`; without one, or with nothing before it, there is no scheme.
    pub fn parse(text: &str) -> Self {
        match text.split_once("::") {
            Some((scheme, value)) => Self::new(scheme, value),
            None => Self { scheme: None, value: text.to_owned() },
        }
    }

    /// The scheme, or nothing.
    pub fn scheme(&self) -> &str {
        self.scheme.as_deref().unwrap_or_default()
    }

    /// Whether `self`, as asked for, names what `other`, as published, names: an absent scheme matches any; letters count
    /// only where the scheme says so.
    pub fn means(&self, other: &Self) -> bool {
        let schemes = self.scheme.is_none() || self.scheme().eq_ignore_ascii_case(other.scheme());
        schemes && self.fold() == other.fold()
    }

    /// The ebCore URN that scheme and value form together, if they do (discovery 1.1).
    pub fn ebcore(&self) -> Option<String> {
        let joined = match &self.scheme {
            Some(scheme) => format!("{scheme}:{}", self.value),
            None => self.value.clone(),
        };
        joined.to_lowercase().starts_with(EBCORE).then_some(joined)
    }

    /// The URL path segment: `scheme::value` with all but unreserved characters percent-encoded (RFC 3986; discovery 2.1).
    /// Without a scheme the `::` stays in front, except in OASIS SMP 2.0.
    pub fn path_segment(&self, keep_separator: bool) -> String {
        match (&self.scheme, keep_separator) {
            (None, false) => percent_encode(&self.value),
            _ => percent_encode(&format!("{}::{}", self.scheme(), self.value)),
        }
    }

    fn fold(&self) -> String {
        match CASE_SENSITIVE.contains(&self.scheme()) {
            true => self.value.clone(),
            false => self.value.to_lowercase(),
        }
    }
}

impl std::fmt::Display for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.scheme {
            Some(scheme) => write!(f, "{scheme}::{}", self.value),
            None => f.write_str(&self.value),
        }
    }
}

impl Serialize for Identifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986 2.3, upper-case hex.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for octet in text.bytes() {
        match octet {
            c if c.is_ascii_alphanumeric() || b"-._~".contains(&c) => out.push(char::from(c)),
            c => out.push_str(&format!("%{c:02X}")),
        }
    }
    out
}

/// Undoes percent-encoding once; `None` when an escape is malformed or the octets are no UTF-8.
pub fn percent_decode(text: &str) -> Option<String> {
    let octets = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(octets.len()), 0);
    while at < octets.len() {
        if octets[at] == b'%' {
            out.extend(hex::decode(octets.get(at + 1..at + 3)?).ok()?);
            at += 3;
        } else {
            out.push(octets[at]);
            at += 1;
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn letters_count_where_the_scheme_says_so() {
        let means = |a: &str, b: &str| Identifier::parse(a).means(&Identifier::parse(b));
        assert!(means("iso6523-actorid-upis::0088:ABC", "iso6523-actorid-upis::0088:abc"));
        assert!(!means("busdox-docid-qns::A", "busdox-docid-qns::a"));
        assert!(means("0088:abc", "iso6523-actorid-upis::0088:abc"), "the value alone");
        assert!(!means("x::0088:abc", "iso6523-actorid-upis::0088:abc"));
    }

    #[test]
    fn a_document_type_keeps_its_inner_separators() {
        let id = Identifier::parse("busdox-docid-qns::urn:a::Invoice##urn:b#c::2.1");
        assert_eq!((id.scheme(), id.value.as_str()), ("busdox-docid-qns", "urn:a::Invoice##urn:b#c::2.1"));
        assert_eq!(
            id.path_segment(true),
            "busdox-docid-qns%3A%3Aurn%3Aa%3A%3AInvoice%23%23urn%3Ab%23c%3A%3A2.1"
        );
        let bare = Identifier::parse("x/y*");
        assert_eq!(
            (bare.path_segment(true), bare.path_segment(false)),
            ("%3A%3Ax%2Fy%2A".into(), "x%2Fy%2A".into())
        );
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_equal(text in "\\PC{0,30}") {
            prop_assert_eq!(percent_decode(&percent_encode(&text)), Some(text));
        }
    }
}
