//! Sees whether text is in exclusive canonical form as it stands: what we wrote ourselves and are about to sign mostly is, and need not
//! be read and written again. Whatever is unusual counts as "no"; nothing that is no canonical form counts as "yes".

use super::XML_NAMESPACE;

/// Elements within each other; deeper text is not looked into.
const DEEPEST: usize = 64;

/// An attribute of the root of such a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainAttribute<'t> {
    /// Its namespace; empty for none.
    pub namespace: &'t str,
    /// Local name.
    pub local: &'t str,
    /// The value as written, references not resolved.
    pub value: &'t str,
}

/// The attributes of the root, when `text` is one element in exclusive canonical form (Exclusive XML Canonicalization 1.0, without
/// comments and prefix list) and plain enough to be sure of it.
pub fn root_of_canonical(text: &str) -> Option<Vec<PlainAttribute<'_>>> {
    let mut scan = Scan { rest: text, open: Vec::new(), scope: Vec::new() };
    let root = scan.start()?;
    while !scan.open.is_empty() {
        match scan.rest.as_bytes() {
            [b'<', b'/', ..] => scan.end()?,
            [b'<', ..] => drop(scan.start()?),
            _ => scan.text()?,
        }
    }
    scan.rest.is_empty().then_some(root)
}

struct Scan<'t> {
    rest: &'t str,
    /// Names of the elements that are open, and how many declarations stood before each.
    open: Vec<(&'t str, usize)>,
    /// Prefixes that are declared, and their namespaces.
    scope: Vec<(&'t str, &'t str)>,
}

impl<'t> Scan<'t> {
    fn skip(&mut self, what: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(what)?;
        Some(())
    }

    fn start(&mut self) -> Option<Vec<PlainAttribute<'t>>> {
        self.skip("<")?;
        let (whole, prefix, _) = self.name()?;
        let before = self.scope.len();
        let mut written: Vec<(&str, &str, &str)> = Vec::new();
        while self.skip(" ").is_some() {
            let (name, prefix, local) = self.name()?;
            self.skip("=\"")?;
            let value = self.value()?;
            match (name, prefix) {
                ("xmlns", _) => return None,
                (_, "xmlns") if written.is_empty() => self.declare(local, value, before)?,
                (_, "xmlns") => return None,
                _ => written.push((prefix, local, value)),
            }
        }
        self.skip(">")?;
        let used = |declared: &str| prefix == declared || written.iter().any(|(p, ..)| *p == declared);
        if !self.scope[before..].iter().all(|(declared, _)| used(declared)) {
            return None;
        }
        self.namespace(prefix)?;
        let attributes = self.attributes(&written)?;
        self.open.push((whole, before));
        (self.open.len() <= DEEPEST).then_some(attributes)
    }

    /// Declarations are in the order of their prefixes, and none says what is said already.
    fn declare(&mut self, prefix: &'t str, namespace: &'t str, before: usize) -> Option<()> {
        let behind = self.scope[before..].last().is_none_or(|(last, _)| *last < prefix);
        let new = self.namespace(prefix) != Some(namespace);
        let plain = !namespace.is_empty() && !namespace.contains('&') && !matches!(prefix, "xml" | "xmlns");
        (behind && new && plain).then(|| self.scope.push((prefix, namespace)))
    }

    /// In the order of namespace and local name.
    fn attributes(&self, written: &[(&'t str, &'t str, &'t str)]) -> Option<Vec<PlainAttribute<'t>>> {
        let of = |(prefix, local, value): &(&'t str, &'t str, &'t str)| {
            let namespace = self.namespace(prefix)?;
            Some(PlainAttribute { namespace, local, value })
        };
        let all: Vec<_> = written.iter().map(of).collect::<Option<_>>()?;
        all.is_sorted_by(|a, b| (a.namespace, a.local) < (b.namespace, b.local)).then_some(all)
    }

    fn namespace(&self, prefix: &str) -> Option<&'t str> {
        match prefix {
            "" => Some(""),
            "xml" => Some(XML_NAMESPACE),
            _ => self.scope.iter().rev().find(|(declared, _)| *declared == prefix).map(|(_, uri)| *uri),
        }
    }

    fn end(&mut self) -> Option<()> {
        self.skip("</")?;
        let (name, before) = self.open.pop()?;
        self.skip(name)?;
        self.scope.truncate(before);
        self.skip(">")
    }

    /// Whole, prefix, and local part of a name in ASCII.
    fn name(&mut self) -> Option<(&'t str, &'t str, &'t str)> {
        let length = self.rest.bytes().position(|b| !(b.is_ascii_alphanumeric() || b":_-.".contains(&b)))?;
        let (name, rest) = self.rest.split_at(length);
        self.rest = rest;
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let good = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let plain = good(local) && !local.contains(':') && (good(prefix) || length == local.len());
        plain.then_some((name, prefix, local))
    }

    fn text(&mut self) -> Option<()> {
        let (text, _) = self.rest.split_at(self.rest.find('<')?);
        self.rest = &self.rest[text.len()..];
        is_plain(text, b">", b"\t\n", &["amp;", "lt;", "gt;", "#xD;"]).then_some(())
    }

    fn value(&mut self) -> Option<&'t str> {
        let (value, rest) = self.rest.split_once('"')?;
        self.rest = rest;
        is_plain(value, b"<", b"", &["amp;", "lt;", "quot;", "#x9;", "#xA;", "#xD;"]).then_some(value)
    }
}

/// Characters that stand for themselves, and references as canonical form has them.
fn is_plain(text: &str, never: &[u8], controls: &[u8], references: &[&str]) -> bool {
    let octets = text.as_bytes();
    octets.iter().enumerate().all(|(at, octet)| match octet {
        b'&' => references.iter().any(|reference| octets[at + 1..].starts_with(reference.as_bytes())),
        0..0x20 => controls.contains(octet),
        // U+FFFE and U+FFFF begin so, and much that is seldom.
        0xef => !octets[at..].starts_with(b"\xef\xbf"),
        _ => !never.contains(octet),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_text_is_seen_and_its_root_read() {
        let text = "<a:b xmlns:a=\"urn:a\" xmlns:z=\"urn:1\" c=\"&lt;>\" z:d=\"&#xA;\" a:Id=\"i\">x &gt; \u{101}\n<c></c><a:c \
                    xml:lang=\"en\"></a:c></a:b>";
        let root = root_of_canonical(text).unwrap();
        assert_eq!(root[2], PlainAttribute { namespace: "urn:a", local: "Id", value: "i" });
        assert_eq!(root.len(), 3);
    }

    #[test]
    fn what_is_not_canonical_is_not_taken_for_it() {
        for text in [
            "",
            "x",
            "<a/>",
            "<a></a> ",
            "<a></b>",
            "<a><b></a></b>",
            "<a></a><a></a>",
            "<a  b=\"1\"></a>",
            "<a b='1'></a>",
            "<a b=\"1\" ></a>",
            "<a c=\"1\" b=\"2\"></a>",
            "<a b=\"1\" b=\"2\"></a>",
            "<a xmlns=\"urn:a\"></a>",
            "<p:a></p:a>",
            "<a xmlns:p=\"urn:p\"></a>",
            "<p:a b=\"1\" xmlns:p=\"urn:p\"></p:a>",
            "<p:a xmlns:p=\"urn:p\" xmlns:o=\"urn:o\" o:c=\"\"></p:a>",
            "<p:a xmlns:p=\"urn:p\"><p:b xmlns:p=\"urn:p\"></p:b></p:a>",
            "<a>></a>",
            "<a>\r</a>",
            "<a>&quot;</a>",
            "<a>&#13;</a>",
            "<a>\u{ffff}</a>",
            "<a b=\"&gt;\"></a>",
            "<a b=\"\n\"></a>",
            "<a><!-- --></a>",
            "<a><?p?></a>",
            "<a><![CDATA[x]]></a>",
            "<a:b:c></a:b:c>",
            "<:a></:a>",
            "<1></1>",
            "<a",
            "<a>",
        ] {
            assert_eq!(root_of_canonical(text), None, "{text}");
        }
    }
}
