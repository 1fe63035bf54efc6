//! A small XML reader and exclusive C14N of the suite's own, so that what an endpoint wrote is judged by other code than the
//! endpoint's. It reads what SOAP messages are made of and nothing else: a DTD is an error, comments are left out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, bail, ensure};

/// An element with the namespaces in scope.
#[derive(Debug, Clone, Default)]
pub struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    scope: BTreeMap<String, String>,
    children: Vec<Node>,
}

#[derive(Debug, Clone)]
enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    /// Name without prefix.
    pub fn local(&self) -> &str {
        self.name.split_once(':').map_or(self.name.as_str(), |(_, local)| local)
    }

    /// Namespace name; empty without one.
    pub fn namespace(&self) -> &str {
        let prefix = self.name.split_once(':').map_or("", |(prefix, _)| prefix);
        self.scope.get(prefix).map_or("", String::as_str)
    }

    /// Value of the attribute of that local name, with or without prefix.
    pub fn attribute(&self, local: &str) -> Option<&str> {
        let named = |name: &str| name.split_once(':').map_or(name, |(_, local)| local) == local;
        self.attributes.iter().find(|(name, _)| named(name)).map(|(_, value)| value.as_str())
    }

    /// Child elements.
    pub fn children(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child of that local name.
    pub fn child(&self, local: &str) -> Option<&Element> {
        self.children().find(|child| child.local() == local)
    }

    /// Every element of that local name below this one, in document order.
    pub fn all(&self, local: &str) -> Vec<&Element> {
        let mut found = Vec::new();
        for child in self.children() {
            if child.local() == local {
                found.push(child);
            }
            found.extend(child.all(local));
        }
        found
    }

    /// The first element of that local name below this one.
    pub fn first(&self, local: &str) -> Result<&Element> {
        self.all(local).first().copied().with_context(|| format!("there is no {local} in {}", self.name))
    }

    /// The element whose id attribute (`Id`, `wsu:Id`, `xml:id`) has that value.
    pub fn by_id(&self, id: &str) -> Option<&Element> {
        let own = [self.attribute("Id"), self.attribute("id")].into_iter().flatten().any(|value| value == id);
        if own { Some(self) } else { self.children().find_map(|child| child.by_id(id)) }
    }

    /// All text inside, trimmed.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for node in &self.children {
            match node {
                Node::Text(more) => text.push_str(more),
                Node::Element(element) => text.push_str(&element.text()),
            }
        }
        text.trim().to_owned()
    }

    /// Whether there is nothing inside but white space.
    pub fn is_empty(&self) -> bool {
        self.children().next().is_none() && self.text().is_empty()
    }

    /// Exclusive C14N without comments; `inclusive` are the prefixes of an InclusiveNamespaces PrefixList.
    pub fn canonical(&self, inclusive: &str) -> String {
        let mut text = String::new();
        self.write(&mut text, &BTreeMap::new(), &inclusive.split_whitespace().collect::<Vec<_>>());
        text
    }

    fn write(&self, text: &mut String, rendered: &BTreeMap<String, String>, inclusive: &[&str]) {
        let prefix_of = |name: &str| name.split_once(':').map(|(prefix, _)| prefix.to_owned());
        let mut used = vec![prefix_of(&self.name).unwrap_or_default()];
        used.extend(self.attributes.iter().filter_map(|(name, _)| prefix_of(name)));
        let listed = inclusive.iter().map(|p| if *p == "#default" { "" } else { p }.to_owned());
        used.extend(listed.filter(|p| self.scope.contains_key(p)));
        used.retain(|p| p != "xml");
        used.sort();
        used.dedup();
        let mut rendered = rendered.clone();
        let _ = write!(text, "<{}", self.name);
        for prefix in used {
            let uri = self.scope.get(&prefix).cloned().unwrap_or_default();
            if rendered.get(&prefix).map_or("", String::as_str) == uri {
                continue;
            }
            let name = if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
            let _ = write!(text, " {name}=\"{}\"", escaped(&uri, true));
            rendered.insert(prefix, uri);
        }
        let mut attributes: Vec<_> = self.attributes.iter().collect();
        attributes.sort_by_key(|(name, _)| {
            let (uri, local) = match name.split_once(':') {
                Some((prefix, local)) => (self.scope.get(prefix).cloned().unwrap_or_default(), local),
                None => (String::new(), name.as_str()),
            };
            (uri, local.to_owned())
        });
        for (name, value) in attributes {
            let _ = write!(text, " {name}=\"{}\"", escaped(value, true));
        }
        text.push('>');
        for node in &self.children {
            match node {
                Node::Text(more) => text.push_str(&escaped(more, false)),
                Node::Element(element) => element.write(text, &rendered, inclusive),
            }
        }
        let _ = write!(text, "</{}>", self.name);
    }
}

fn escaped(text: &str, attribute: bool) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('\r', "&#xD;");
    match attribute {
        true => text.replace('"', "&quot;").replace('\t', "&#x9;").replace('\n', "&#xA;"),
        false => text.replace('>', "&gt;"),
    }
}

/// Reads a document; gives its root element.
pub fn parse(text: &str) -> Result<Element> {
    let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text) };
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    while let Some(piece) = reader.next()? {
        match piece {
            Piece::Text(text) => match open.last_mut() {
                Some(parent) => parent.children.push(Node::Text(text)),
                None => ensure!(text.trim().is_empty(), "text outside the root element"),
            },
            Piece::Start(mut element, empty) => {
                scope(&mut element, open.last());
                open.push(element);
                if empty {
                    close(&mut open, &mut root)?;
                }
            }
            Piece::End(name) => {
                ensure!(open.last().is_some_and(|e| e.name == name), "</{name}> closes nothing");
                close(&mut open, &mut root)?;
            }
        }
    }
    ensure!(open.is_empty(), "an element is not closed");
    root.context("no element")
}

fn scope(element: &mut Element, parent: Option<&Element>) {
    element.scope = parent.map(|p| p.scope.clone()).unwrap_or_default();
    if parent.is_none() {
        element.scope.insert("xml".into(), "http://www.w3.org/XML/1998/namespace".into());
    }
    let declared = |name: &str| match name {
        "xmlns" => Some(String::new()),
        other => other.strip_prefix("xmlns:").map(str::to_owned),
    };
    for (name, value) in &element.attributes {
        if let Some(prefix) = declared(name) {
            element.scope.insert(prefix, value.clone());
        }
    }
    element.attributes.retain(|(name, _)| declared(name).is_none());
}

fn close(open: &mut Vec<Element>, root: &mut Option<Element>) -> Result<()> {
    let element = open.pop().context("nothing is open")?;
    match open.last_mut() {
        Some(parent) => parent.children.push(Node::Element(element)),
        None => ensure!(root.replace(element).is_none(), "two root elements"),
    }
    Ok(())
}

enum Piece {
    Text(String),
    Start(Element, bool),
    End(String),
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn next(&mut self) -> Result<Option<Piece>> {
        loop {
            if self.rest.is_empty() {
                return Ok(None);
            }
            if let Some(rest) = self.rest.strip_prefix("<!--") {
                self.rest = rest.split_once("-->").context("an endless comment")?.1;
            } else if let Some(rest) = self.rest.strip_prefix("<?") {
                self.rest = rest.split_once("?>").context("an endless instruction")?.1;
            } else if let Some(rest) = self.rest.strip_prefix("<![CDATA[") {
                let (text, rest) = rest.split_once("]]>").context("an endless CDATA section")?;
                self.rest = rest;
                return Ok(Some(Piece::Text(text.into())));
            } else if self.rest.starts_with("<!") {
                bail!("a DTD");
            } else if let Some(rest) = self.rest.strip_prefix("</") {
                let (name, rest) = rest.split_once('>').context("an endless tag")?;
                self.rest = rest;
                return Ok(Some(Piece::End(name.trim().into())));
            } else if let Some(rest) = self.rest.strip_prefix('<') {
                return self.start(end_of_tag(rest)?).map(Some);
            } else {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                return Ok(Some(Piece::Text(unescaped(&text.replace("\r\n", "\n"))?)));
            }
        }
    }

    fn start(&mut self, length: usize) -> Result<Piece> {
        let tag = &self.rest[1..=length];
        let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        self.rest = &self.rest[length + 2..];
        let end = tag.find(|c: char| c.is_ascii_whitespace()).unwrap_or(tag.len());
        let (name, mut rest) = tag.split_at(end);
        let mut attributes = Vec::new();
        while let Some((key, value)) = rest.split_once('=') {
            let value = value.trim_start();
            let quote = value.chars().next().filter(|c| "\"'".contains(*c)).context("no quote")?;
            let (value, behind) = value[1..].split_once(quote).context("an endless value")?;
            let value = value.replace(['\t', '\n', '\r'], " ");
            attributes.push((key.trim().to_owned(), unescaped(&value)?));
            rest = behind;
        }
        ensure!(rest.trim().is_empty(), "what is {rest:?} in <{name}>?");
        Ok(Piece::Start(Element { name: name.into(), attributes, ..Element::default() }, empty))
    }
}

/// Length of a tag up to its `>`, which may also stand in a value.
fn end_of_tag(rest: &str) -> Result<usize> {
    let mut quote = None;
    for (at, c) in rest.char_indices() {
        match (quote, c) {
            (None, '>') => return Ok(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    bail!("an endless tag")
}

fn unescaped(text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        let (name, behind) = behind.split_once(';').context("an endless reference")?;
        out.push_str(before);
        let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            other => match (other.strip_prefix("#x"), other.strip_prefix('#')) {
                (Some(hex), _) => number(hex, 16).context("no character")?,
                (None, Some(decimal)) => number(decimal, 10).context("no character")?,
                _ => bail!("the entity {other} is not declared"),
            },
        });
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn exclusive_c14n_declares_what_is_used_where_it_is_used() {
        let text = "<?xml version='1.0'?><a:x xmlns:a='urn:a' xmlns:b='urn:b' xmlns='urn:d'>\
                    <a:y b:z='&lt;&quot;' k='1'>t &gt; &#x41;</a:y><w/></a:x>";
        let root = parse(text).unwrap();
        let y = root.child("y").unwrap();
        assert_eq!(
            y.canonical(""),
            "<a:y xmlns:a=\"urn:a\" xmlns:b=\"urn:b\" k=\"1\" b:z=\"&lt;&quot;\">t &gt; A</a:y>"
        );
        assert_eq!(root.child("w").unwrap().canonical("a"), "<w xmlns=\"urn:d\" xmlns:a=\"urn:a\"></w>");
        assert!(root.canonical("").starts_with("<a:x xmlns:a=\"urn:a\"><a:y xmlns:b="));
    }

    #[test]
    fn what_is_not_well_formed_is_an_error() {
        for text in ["<a>", "<a></b>", "<!DOCTYPE a><a/>", "<a/><b/>", "<a>&x;</a>", "text", "<a b=c/>"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
