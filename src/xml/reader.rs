//! The strict layer over `quick-xml`: it splits the octets, this decides what they mean and what is refused.
//!
//! Text may come in pieces ([`Reader::feed`]) as long as no markup, reference, line end or character is cut.

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::events::{BytesRef, Event};

use super::XML_NAMESPACE;
use super::encoding::Kind;
use super::error::{Error, Limits};
use super::names::{NONE, Symbol, Symbols, XML, XML_URI, is_ncname, is_space, is_xml_char, split_qname};

const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";

/// Takes what the reader finds.
pub(super) trait Sink<'w> {
    fn start(&mut self, tag: &Tag<'_, 'w>) -> Result<(), Error>;
    fn end(&mut self, end_at: usize) -> Result<(), Error>;
    fn text(&mut self, text: Cow<'w, str>) -> Result<(), Error>;
    fn comment(&mut self, text: Cow<'w, str>) -> Result<(), Error>;
    fn instruction(&mut self, target: &'w str, data: Cow<'w, str>) -> Result<(), Error>;
}

/// A start tag with its names resolved.
pub(super) struct Tag<'t, 'w> {
    pub symbols: &'t Symbols,
    pub prefix: Symbol,
    pub uri: Symbol,
    pub local: &'w str,
    /// Prefix ([`NONE`] for the default) and namespace, in document order.
    pub declarations: &'t [(Symbol, Symbol)],
    pub attributes: &'t [TagAttribute<'w>],
    /// Octets of the tag itself.
    pub range: Range<usize>,
}

/// An attribute that is no namespace declaration.
#[derive(Clone)]
pub(super) struct TagAttribute<'w> {
    pub prefix: Symbol,
    pub uri: Symbol,
    pub local: &'w str,
    pub value: Cow<'w, str>,
}

pub(super) struct Reader {
    limits: Limits,
    encoding: Option<Kind>,
    pub symbols: Symbols,
    scope: Vec<(Symbol, Symbol)>,
    open: Vec<Open>,
    names: String,
    nodes: usize,
    at: usize,
    root_seen: bool,
}

struct Open {
    scope: usize,
    name: usize,
}

impl Reader {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            encoding: None,
            symbols: Symbols::new(),
            scope: vec![(NONE, NONE), (XML, XML_URI)],
            open: Vec::with_capacity(16),
            names: String::new(),
            nodes: 0,
            at: 0,
            root_seen: false,
        }
    }

    /// What the octets turned out to be; a declaration has to agree.
    pub(super) fn set_encoding(&mut self, kind: Kind) {
        self.encoding = Some(kind);
    }

    /// Reads the next piece of the document.
    pub(super) fn feed<'w>(&mut self, piece: &'w str, sink: &mut impl Sink<'w>) -> Result<(), Error> {
        check_characters(piece, self.at)?;
        let base = self.at;
        // quick-xml takes a byte order mark off whatever it is given; within a document it is a character.
        let body = piece.trim_start_matches('\u{FEFF}');
        let mark = piece.len() - body.len();
        if mark > 0 {
            self.text(&piece[..mark], base, sink)?;
        }
        let mut splitter = quick_xml::Reader::from_str(body);
        let config = splitter.config_mut();
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.check_comments = true;
        let mut scratch = Scratch::default();
        loop {
            let from = base + mark + splitter.buffer_position() as usize;
            let event = splitter.read_event().map_err(|e| Error::syntax(from, e.to_string()))?;
            let to = base + mark + splitter.buffer_position() as usize;
            self.at = from;
            match event {
                Event::Eof => break,
                Event::Start(_) => {
                    self.start(inside(piece, base, from, to, ">")?, from..to, &mut scratch, sink)?
                }
                Event::Empty(_) => {
                    self.start(inside(piece, base, from, to, "/>")?, from..to, &mut scratch, sink)?;
                    self.close(to, sink)?;
                }
                Event::End(tag) => self.end(tag.name().into_inner(), from, to, sink)?,
                Event::Text(text) => self.text(borrowed(text.into_inner(), from)?, from, sink)?,
                Event::CData(text) => self.cdata(borrowed(text.into_inner(), from)?, from, sink)?,
                Event::GeneralRef(name) => self.reference(&name, from, sink)?,
                Event::Comment(text) => self.comment(borrowed(text.into_inner(), from)?, sink)?,
                Event::PI(text) => self.instruction(borrowed(text.into_inner(), from)?, from, sink)?,
                Event::Decl(decl) => self.declaration(&decl, from)?,
                Event::DocType(_) => return Err(Error::Doctype { at: from }),
            }
        }
        self.at = base + piece.len();
        Ok(())
    }

    /// Ends the document: one root element, closed.
    pub(super) fn finish(&self) -> Result<(), Error> {
        match (self.open.is_empty(), self.root_seen) {
            (false, _) => Err(Error::syntax(self.at, "an element is not closed")),
            (true, false) => Err(Error::syntax(self.at, "there is no root element")),
            (true, true) => Ok(()),
        }
    }

    fn start<'w>(
        &mut self,
        content: &'w str,
        range: Range<usize>,
        scratch: &mut Scratch<'w>,
        sink: &mut impl Sink<'w>,
    ) -> Result<(), Error> {
        let at = range.start;
        self.count()?;
        if self.open.is_empty() && std::mem::replace(&mut self.root_seen, true) {
            return Err(Error::syntax(at, "there is a second root element"));
        }
        if self.open.len() >= self.limits.max_depth {
            return Err(Error::Limit { what: "levels of elements", limit: self.limits.max_depth });
        }
        let name_len = content.bytes().position(is_space).unwrap_or(content.len());
        let (name, rest) = content.split_at(name_len);
        let (prefix, local) = qname(name, at)?;
        self.open.push(Open { scope: self.scope.len(), name: self.names.len() });
        self.names.push_str(name);
        scratch.clear();
        self.split_attributes(rest, at, scratch)?;
        self.declare(at, scratch)?;
        self.resolve_attributes(at, scratch)?;
        let (prefix, uri) = self.resolve(prefix, at)?;
        sink.start(&Tag {
            symbols: &self.symbols,
            prefix,
            uri,
            local,
            declarations: &scratch.declarations,
            attributes: &scratch.attributes,
            range,
        })
    }

    /// Splits the attributes as written (production 41), values normalised (XML 1.0, 3.3.3).
    fn split_attributes<'w>(&self, rest: &'w str, at: usize, scratch: &mut Scratch<'w>) -> Result<(), Error> {
        let mut rest = rest;
        loop {
            let trimmed = rest.trim_start_matches(space);
            if trimmed.is_empty() {
                return Ok(());
            }
            if trimmed.len() == rest.len() {
                return Err(Error::syntax(at, "attributes are not parted by white space"));
            }
            let (name, value, after) = split_attribute(trimmed)
                .ok_or_else(|| Error::syntax(at, "an attribute is not `name=\"value\"`"))?;
            let value = attribute_value(value, at)?;
            if scratch.written.len() >= self.limits.max_attributes {
                return Err(Error::Limit {
                    what: "attributes of one element",
                    limit: self.limits.max_attributes,
                });
            }
            let (prefix, local) = qname(name, at)?;
            scratch.written.push((prefix, local, value));
            rest = after;
        }
    }

    /// Puts the namespace declarations into scope (Namespaces in XML 1.0, 3 and 6).
    fn declare(&mut self, at: usize, scratch: &mut Scratch<'_>) -> Result<(), Error> {
        for (prefix, local, value) in &scratch.written {
            let declared = match (*prefix, *local) {
                ("", "xmlns") => "",
                ("xmlns", local) => local,
                _ => continue,
            };
            check_declaration(declared, value, at)?;
            let pair = (self.symbols.intern(declared), self.symbols.intern(value));
            if scratch.declarations.iter().any(|(known, _)| *known == pair.0) {
                return Err(Error::DuplicateAttribute { at, name: format!("xmlns:{declared}") });
            }
            scratch.declarations.push(pair);
            self.scope.push(pair);
        }
        if self.scope.len() > self.limits.max_namespaces.saturating_add(2)
            || self.symbols.len() > MOST_SYMBOLS
        {
            return Err(Error::Limit {
                what: "namespace declarations in scope",
                limit: self.limits.max_namespaces,
            });
        }
        Ok(())
    }

    fn resolve_attributes(&self, at: usize, scratch: &mut Scratch<'_>) -> Result<(), Error> {
        for (prefix, local, value) in scratch.written.drain(..) {
            if prefix == "xmlns" || (prefix.is_empty() && local == "xmlns") {
                continue;
            }
            let (prefix, uri) = if prefix.is_empty() { (NONE, NONE) } else { self.resolve(prefix, at)? };
            if scratch.attributes.iter().any(|known| known.uri == uri && known.local == local) {
                return Err(Error::DuplicateAttribute { at, name: local.to_owned() });
            }
            scratch.attributes.push(TagAttribute { prefix, uri, local, value });
        }
        Ok(())
    }

    fn resolve(&self, prefix: &str, at: usize) -> Result<(Symbol, Symbol), Error> {
        let bound = self.scope.iter().rev().find(|(known, _)| self.symbols.text(*known) == prefix);
        bound
            .copied()
            .ok_or_else(|| Error::Namespace { at, what: format!("prefix `{prefix}` is not declared") })
    }

    fn end<'w>(&mut self, name: &str, from: usize, to: usize, sink: &mut impl Sink<'w>) -> Result<(), Error> {
        let Some(open) = self.open.last() else {
            return Err(Error::syntax(from, format!("`</{name}>` closes nothing")));
        };
        let expected = &self.names[open.name..];
        if name.trim_end_matches(space) != expected {
            return Err(Error::syntax(from, format!("`</{name}>` closes `<{expected}>`")));
        }
        self.close(to, sink)
    }

    fn close<'w>(&mut self, to: usize, sink: &mut impl Sink<'w>) -> Result<(), Error> {
        if let Some(open) = self.open.pop() {
            self.scope.truncate(open.scope);
            self.names.truncate(open.name);
        }
        sink.end(to)
    }

    fn text<'w>(&mut self, text: &'w str, at: usize, sink: &mut impl Sink<'w>) -> Result<(), Error> {
        if self.open.is_empty() {
            return match text.bytes().all(is_space) {
                true => Ok(()),
                false => Err(Error::syntax(at, "there is text outside the root element")),
            };
        }
        if text.contains("]]>") {
            return Err(Error::syntax(at, "`]]>` in text"));
        }
        self.count()?;
        sink.text(line_ends(text))
    }

    fn cdata<'w>(&mut self, text: &'w str, at: usize, sink: &mut impl Sink<'w>) -> Result<(), Error> {
        if self.open.is_empty() {
            return Err(Error::syntax(at, "there is a CDATA section outside the root element"));
        }
        self.count()?;
        sink.text(line_ends(text))
    }

    fn reference<'w>(
        &mut self,
        name: &BytesRef<'_>,
        at: usize,
        sink: &mut impl Sink<'w>,
    ) -> Result<(), Error> {
        if self.open.is_empty() {
            return Err(Error::syntax(at, "there is a reference outside the root element"));
        }
        self.count()?;
        let mut buffer = [0; 4];
        let character = referenced(name, at)?.encode_utf8(&mut buffer).to_owned();
        sink.text(Cow::Owned(character))
    }

    fn comment<'w>(&mut self, text: &'w str, sink: &mut impl Sink<'w>) -> Result<(), Error> {
        self.count()?;
        if text.ends_with('-') {
            return Err(Error::syntax(self.at, "a comment ends in `--->`"));
        }
        sink.comment(line_ends(text))
    }

    fn instruction<'w>(
        &mut self,
        content: &'w str,
        at: usize,
        sink: &mut impl Sink<'w>,
    ) -> Result<(), Error> {
        self.count()?;
        let split = content.bytes().position(is_space).unwrap_or(content.len());
        let (target, data) = content.split_at(split);
        if !is_ncname(target) || target.eq_ignore_ascii_case("xml") {
            return Err(Error::syntax(at, format!("`{target}` is no target of a processing instruction")));
        }
        sink.instruction(target, line_ends(data.trim_start_matches(space)))
    }

    fn declaration(&self, decl: &quick_xml::events::BytesDecl<'_>, at: usize) -> Result<(), Error> {
        if at != 0 {
            return Err(Error::syntax(at, "the XML declaration is not at the beginning"));
        }
        match decl.version() {
            Ok(version) if version.starts_with("1.") => {}
            _ => return Err(Error::syntax(at, "the XML declaration has no version 1.x")),
        }
        let Some(encoding) = decl.encoding() else { return Ok(()) };
        let encoding = encoding.map_err(|e| Error::syntax(at, e.to_string()))?;
        match self.encoding {
            Some(kind) if !kind.fits(&encoding) => {
                Err(Error::Encoding(format!("declared as `{encoding}`, which is not what the octets are")))
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self) -> Result<(), Error> {
        self.nodes += 1;
        match self.nodes > self.limits.max_nodes {
            true => Err(Error::Limit { what: "nodes", limit: self.limits.max_nodes }),
            false => Ok(()),
        }
    }
}

/// Most different prefixes and namespaces of one document: a stream must not grow its table for ever.
const MOST_SYMBOLS: usize = 10_000;

/// What one tag is split into; kept over the tags of a piece to spare allocations.
#[derive(Default)]
struct Scratch<'w> {
    written: Vec<(&'w str, &'w str, Cow<'w, str>)>,
    declarations: Vec<(Symbol, Symbol)>,
    attributes: Vec<TagAttribute<'w>>,
}

impl Scratch<'_> {
    fn clear(&mut self) {
        self.written.clear();
        self.declarations.clear();
        self.attributes.clear();
    }
}

/// The text between `<` and `close` of the tag at `from..to`.
fn inside<'w>(piece: &'w str, base: usize, from: usize, to: usize, close: &str) -> Result<&'w str, Error> {
    piece
        .get(from - base..to - base)
        .and_then(|tag| tag.strip_prefix('<')?.strip_suffix(close))
        .ok_or_else(|| Error::syntax(from, "a tag is not part of the text read"))
}

fn borrowed<'w>(text: Cow<'w, str>, at: usize) -> Result<&'w str, Error> {
    match text {
        Cow::Borrowed(text) => Ok(text),
        Cow::Owned(_) => Err(Error::syntax(at, "a token is not part of the text read")),
    }
}

fn qname(name: &str, at: usize) -> Result<(&str, &str), Error> {
    split_qname(name).ok_or_else(|| Error::syntax(at, format!("`{name}` is no name")))
}

fn check_declaration(prefix: &str, uri: &str, at: usize) -> Result<(), Error> {
    let wrong = |what: String| Err(Error::Namespace { at, what });
    match (prefix, uri) {
        ("xmlns", _) => wrong("the prefix `xmlns` cannot be declared".into()),
        ("xml", XML_NAMESPACE) => Ok(()),
        ("xml", _) => wrong("the prefix `xml` cannot be bound to another namespace".into()),
        (_, XML_NAMESPACE | XMLNS_NAMESPACE) => wrong(format!("`{uri}` cannot be declared")),
        ("", _) => Ok(()),
        (_, "") => wrong(format!("prefix `{prefix}` cannot be undeclared")),
        _ => Ok(()),
    }
}

/// Name, raw value and what follows of `name = "value"...`.
fn split_attribute(text: &str) -> Option<(&str, &str, &str)> {
    let equals = text.find('=')?;
    let name = text[..equals].trim_end_matches(space);
    let value = text[equals + 1..].trim_start_matches(space);
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (inside, after) = value[1..].split_once(quote)?;
    Some((name, inside, after))
}

fn attribute_value(raw: &str, at: usize) -> Result<Cow<'_, str>, Error> {
    if !raw.bytes().any(|octet| matches!(octet, b'&' | b'<' | b'\t' | b'\n' | b'\r')) {
        return Ok(Cow::Borrowed(raw));
    }
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(stop) = rest.find(['&', '<', '\t', '\n', '\r']) {
        value.push_str(&rest[..stop]);
        let (special, after) = rest[stop..].split_at(1);
        rest = after;
        match special {
            "<" => return Err(Error::syntax(at, "`<` in an attribute value")),
            "&" => {
                let (name, after) =
                    rest.split_once(';').ok_or_else(|| Error::syntax(at, "`&` without `;`"))?;
                value.push(referenced(name, at)?);
                rest = after;
            }
            "\r" => {
                value.push(' ');
                rest = rest.strip_prefix('\n').unwrap_or(rest);
            }
            _ => value.push(' '),
        }
    }
    value.push_str(rest);
    Ok(Cow::Owned(value))
}

/// The character that `&name;` stands for: one of the five, or a character reference.
fn referenced(name: &str, at: usize) -> Result<char, Error> {
    let number = match name.strip_prefix('#') {
        Some(number) => number,
        None => {
            return match name {
                "amp" => Ok('&'),
                "lt" => Ok('<'),
                "gt" => Ok('>'),
                "quot" => Ok('"'),
                "apos" => Ok('\''),
                _ => Err(Error::Entity { at, name: name.chars().take(64).collect() }),
            };
        }
    };
    let (digits, radix) = match number.strip_prefix('x') {
        Some(hex) => (hex, 16),
        None => (number, 10),
    };
    let code = digits
        .bytes()
        .all(|octet| char::from(octet).is_digit(radix))
        .then(|| u32::from_str_radix(digits, radix).ok())
        .flatten();
    code.and_then(char::from_u32)
        .filter(|c| is_xml_char(*c))
        .ok_or_else(|| Error::syntax(at, format!("`&{name};` is no character of XML")))
}

/// Line ends become LF (XML 1.0, 2.11).
fn line_ends(text: &str) -> Cow<'_, str> {
    match text.contains('\r') {
        false => Cow::Borrowed(text),
        true => Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")),
    }
}

fn check_characters(text: &str, base: usize) -> Result<(), Error> {
    let octets = text.as_bytes();
    let wrong = octets.iter().position(|octet| *octet < 0x20 && !is_space(*octet)).or_else(|| {
        octets
            .windows(3)
            .position(|three| three[0] == 0xEF && three[1] == 0xBF && matches!(three[2], 0xBE | 0xBF))
    });
    match wrong {
        Some(at) => Err(Error::syntax(base + at, "a character that XML does not allow")),
        None => Ok(()),
    }
}

fn space(c: char) -> bool {
    u8::try_from(c).is_ok_and(is_space)
}
