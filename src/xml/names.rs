//! Names and the table of prefixes and namespace names.

use std::collections::HashMap;
use std::sync::Arc;

use super::XML_NAMESPACE;

/// A prefix or namespace name in a [`Symbols`] table; equal symbols are equal strings.
pub(super) type Symbol = u32;

/// The empty string: no prefix, no namespace.
pub(super) const NONE: Symbol = 0;
/// The prefix `xml`.
pub(super) const XML: Symbol = 1;
/// The namespace of the prefix `xml`.
pub(super) const XML_URI: Symbol = 2;

/// Interned prefixes and namespace names of one document.
#[derive(Debug, Clone)]
pub(super) struct Symbols {
    texts: Vec<Arc<str>>,
    index: HashMap<Arc<str>, Symbol>,
}

impl Symbols {
    pub(super) fn new() -> Self {
        let mut symbols = Self { texts: Vec::with_capacity(24), index: HashMap::with_capacity(24) };
        for known in ["", "xml", XML_NAMESPACE] {
            symbols.intern(known);
        }
        symbols
    }

    pub(super) fn text(&self, symbol: Symbol) -> &str {
        &self.texts[symbol as usize]
    }

    pub(super) fn intern(&mut self, text: &str) -> Symbol {
        if let Some(known) = self.index.get(text) {
            return *known;
        }
        let symbol = self.texts.len() as Symbol;
        let shared: Arc<str> = Arc::from(text);
        self.texts.push(shared.clone());
        self.index.insert(shared, symbol);
        symbol
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }
}

/// Whether `text` can be the id that a reference names: characters of an NCName, whichever stands first. Schemas want a letter
/// or `_` there, but some stacks write a bare UUID. No pointer is such a text.
pub fn is_id(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_name_char)
}

/// Whether `text` is an NCName (Namespaces in XML 1.0, production 4).
pub(super) fn is_ncname(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(is_name_start) && characters.all(is_name_char)
}

/// Splits a qualified name into prefix (empty when none) and local part; `None` when it is none.
pub(super) fn split_qname(name: &str) -> Option<(&str, &str)> {
    let (prefix, local) = match name.split_once(':') {
        None => ("", name),
        Some((prefix, local)) if is_ncname(prefix) => (prefix, local),
        Some(_) => return None,
    };
    is_ncname(local).then_some((prefix, local))
}

fn is_name_start(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '_' => true,
        _ if c.is_ascii() => false,
        _ => matches!(c,
            '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}'
            | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
            | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}'
            | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}'),
    }
}

fn is_name_char(c: char) -> bool {
    is_name_start(c)
        || matches!(c, '0'..='9' | '-' | '.' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// Whether XML 1.0 allows the character anywhere at all (production 2).
pub fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// White space of XML 1.0 (production 3).
pub(super) fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_productions() {
        for good in ["a", "_1", "ž.b-c", "ED-0", "x·y"] {
            assert!(is_ncname(good), "{good}");
        }
        for bad in ["", "1a", "-a", "a:b", "a b", "·a", "a#", "a\u{D7}"] {
            assert!(!is_ncname(bad), "{bad}");
        }
        for good in ["a", "52b78acd-43ff-4e1a-8b18-9e00a4f78794", "-a", "_1"] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", "a:b", "a b", "a#", "xpointer(/)", "element(/1)", "a/b", "%61"] {
            assert!(!is_id(bad), "{bad}");
        }
        assert_eq!(split_qname("a:b"), Some(("a", "b")));
        assert_eq!(split_qname("b"), Some(("", "b")));
        for bad in [":b", "a:", "a:b:c", "a::b"] {
            assert_eq!(split_qname(bad), None, "{bad}");
        }
    }

    #[test]
    fn equal_texts_are_one_symbol() {
        let mut symbols = Symbols::new();
        let first = symbols.intern("urn:a");
        assert_eq!(symbols.intern("urn:a"), first);
        assert_eq!(symbols.intern(""), NONE);
        assert_eq!(symbols.intern("xml"), XML);
        assert_eq!(symbols.intern(XML_NAMESPACE), XML_URI);
    }
}
