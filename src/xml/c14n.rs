//! Canonical XML, in place: exclusive 1.0, inclusive 1.0 and 1.1, with and without comments.
//!
//! [`Canon`] holds the rules and knows neither tree nor stream; the tree walk here and `StreamC14n` both drive it.

use std::borrow::Cow;

use super::XML_NAMESPACE;
use super::base;
use super::document::{DOCUMENT, Document, Element, Kind, NodeId};
use super::names::{NONE, Symbol, Symbols, XML, XML_URI};

/// Which canonical form (W3C Canonical XML 1.0, 1.1, Exclusive Canonicalization 1.0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Exclusive C14N 1.0.
    Exclusive,
    /// Canonical XML 1.0: `xml:*` attributes of left-out ancestors are inherited.
    Inclusive10,
    /// Canonical XML 1.1: `xml:lang` and `xml:space` are inherited, `xml:base` is joined, `xml:id` stays.
    Inclusive11,
}

/// How to canonicalise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct C14n {
    /// Which rules.
    pub mode: Mode,
    /// Whether comments are kept.
    pub comments: bool,
    /// Prefixes treated as inclusive C14N treats them (`InclusiveNamespaces/@PrefixList`); `#default` is the empty
    /// string. Without meaning for the inclusive forms.
    pub prefixes: Vec<String>,
}

impl C14n {
    /// Exclusive, without comments, without prefix list: what eDelivery writes.
    pub fn exclusive() -> Self {
        Self { mode: Mode::Exclusive, comments: false, prefixes: Vec::new() }
    }

    /// The canonicalisation that an algorithm URI names, `None` when it names none.
    pub fn from_uri(uri: &str) -> Option<Self> {
        let (mode, comments) =
            ALGORITHMS.iter().find(|(_, _, known)| *known == uri).map(|(m, c, _)| (*m, *c))?;
        Some(Self { mode, comments, prefixes: Vec::new() })
    }

    /// The algorithm URI; the prefix list is not part of it.
    pub fn uri(&self) -> &'static str {
        ALGORITHMS
            .iter()
            .find(|(mode, comments, _)| *mode == self.mode && *comments == self.comments)
            .map_or("", |(_, _, uri)| *uri)
    }

    /// The same with the prefixes of a `PrefixList` attribute, parted by white space.
    pub fn with_prefix_list(mut self, list: &str) -> Self {
        self.prefixes = list
            .split_ascii_whitespace()
            .map(|prefix| if prefix == "#default" { String::new() } else { prefix.to_owned() })
            .collect();
        self
    }
}

const ALGORITHMS: [(Mode, bool, &str); 6] = [
    (Mode::Exclusive, false, "http://www.w3.org/2001/10/xml-exc-c14n#"),
    (Mode::Exclusive, true, "http://www.w3.org/2001/10/xml-exc-c14n#WithComments"),
    (Mode::Inclusive10, false, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
    (Mode::Inclusive10, true, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments"),
    (Mode::Inclusive11, false, "http://www.w3.org/2006/12/xml-c14n11"),
    (Mode::Inclusive11, true, "http://www.w3.org/2006/12/xml-c14n11#WithComments"),
];

/// Gives the canonical octets of `element` and all below it, as it stands in its document: namespaces and `xml:*`
/// attributes of its ancestors count as the mode says. The subtree `without` is left out (enveloped signature).
pub fn canonicalize(element: Element<'_>, how: &C14n, without: Option<NodeId>, out: &mut dyn FnMut(&[u8])) {
    let mut walk = Walk::new(element.document(), how, without, out);
    walk.canon.inherit(inherited_scope(element));
    walk.element(element, inherited_attributes(element, how.mode));
    walk.flush(0);
}

/// Gives the canonical octets of a whole document, comments and processing instructions beside the root included.
pub fn canonicalize_document(
    document: &Document,
    how: &C14n,
    without: Option<NodeId>,
    out: &mut dyn FnMut(&[u8]),
) {
    let mut walk = Walk::new(document, how, without, out);
    let mut after_root = false;
    let top = std::iter::successors(document.node(DOCUMENT).first_child, |id| document.node(*id).next);
    for id in top {
        match document.node(id).kind {
            Kind::Element => {
                walk.element(document.element(id), Vec::new());
                after_root = true;
            }
            _ => walk.beside_root(id, after_root),
        }
    }
    walk.flush(0);
}

/// [`canonicalize`] into a buffer.
pub fn canonicalize_to_vec(element: Element<'_>, how: &C14n, without: Option<NodeId>) -> Vec<u8> {
    let mut octets = Vec::new();
    canonicalize(element, how, without, &mut |piece| octets.extend_from_slice(piece));
    octets
}

/// Octets gathered before they are handed on.
const FLUSH_AT: usize = 8 << 10;

struct Walk<'d, 'o> {
    document: &'d Document,
    canon: Canon,
    without: Option<NodeId>,
    attributes: Vec<CanonAttribute<'d>>,
    out: &'o mut dyn FnMut(&[u8]),
}

impl<'d, 'o> Walk<'d, 'o> {
    fn new(
        document: &'d Document,
        how: &C14n,
        without: Option<NodeId>,
        out: &'o mut dyn FnMut(&[u8]),
    ) -> Self {
        Self { document, canon: Canon::new(how), without, attributes: Vec::new(), out }
    }

    /// Walks a subtree without recursion, so that depth costs no stack.
    fn element(&mut self, apex: Element<'d>, inherited: Vec<Inherited<'d>>) {
        if self.without == Some(apex.id()) {
            return;
        }
        self.start(apex.id(), &inherited);
        let document = self.document;
        let mut at = apex.id();
        let mut next = document.node(at).first_child;
        loop {
            match next {
                Some(id) if self.without == Some(id) => next = document.node(id).next,
                Some(id) if document.node(id).kind == Kind::Element => {
                    self.start(id, &[]);
                    (at, next) = (id, document.node(id).first_child);
                }
                Some(id) => {
                    self.leaf(id);
                    next = document.node(id).next;
                }
                None => {
                    let node = document.node(at);
                    self.canon.end(&document.symbols, node.prefix, document.text(node.name));
                    self.flush(FLUSH_AT);
                    if at == apex.id() {
                        return;
                    }
                    next = node.next;
                    at = node.parent.unwrap_or(DOCUMENT);
                }
            }
        }
    }

    fn start(&mut self, id: NodeId, inherited: &[Inherited<'d>]) {
        let document = self.document;
        let node = document.node(id);
        self.attributes.clear();
        self.attributes.extend(document.attributes_of(id).iter().map(|stored| CanonAttribute {
            prefix: stored.prefix,
            uri: stored.uri,
            local: document.text(stored.local),
            value: Cow::Borrowed(document.text(stored.value)),
        }));
        for (local, value) in inherited {
            self.attributes.retain(|known| known.uri != XML_URI || known.local != *local);
            self.attributes.push(CanonAttribute { prefix: XML, uri: XML_URI, local, value: value.clone() });
        }
        let name = CanonName { prefix: node.prefix, uri: node.uri, local: document.text(node.name) };
        self.canon.start(&document.symbols, name, document.declarations_of(id), &mut self.attributes);
        self.flush(FLUSH_AT);
    }

    fn leaf(&mut self, id: NodeId) {
        let node = self.document.node(id);
        let name = self.document.text(node.name);
        match node.kind {
            Kind::Text => self.canon.text(name),
            Kind::Comment => self.canon.comment(name),
            Kind::Instruction => self.canon.instruction(name, self.document.text(node.data)),
            Kind::Document | Kind::Element => {}
        }
        self.flush(FLUSH_AT);
    }

    fn beside_root(&mut self, id: NodeId, after_root: bool) {
        let kind = self.document.node(id).kind;
        if kind == Kind::Comment && !self.canon.comments {
            return;
        }
        if after_root {
            self.canon.raw("\n");
        }
        self.leaf(id);
        if !after_root {
            self.canon.raw("\n");
        }
    }

    fn flush(&mut self, at_least: usize) {
        if self.canon.buffer.len() >= at_least.max(1) {
            (self.out)(&self.canon.buffer);
            self.canon.buffer.clear();
        }
    }
}

/// Bindings that the ancestors of `element` put into scope, nearest last.
fn inherited_scope(element: Element<'_>) -> Vec<(Symbol, Symbol)> {
    let document = element.document();
    let mut above = Vec::new();
    let mut at = element.parent();
    while let Some(ancestor) = at {
        above.push(ancestor);
        at = ancestor.parent();
    }
    let mut scope: Vec<(Symbol, Symbol)> = Vec::new();
    for ancestor in above.iter().rev() {
        for (prefix, uri) in document.declarations_of(ancestor.id()) {
            scope.retain(|(known, _)| known != prefix);
            scope.push((*prefix, *uri));
        }
    }
    scope
}

/// `xml:*` attributes that an apex element takes over from its left-out ancestors (C14N 1.0, 2.4; C14N 1.1, 2.4).
fn inherited_attributes<'d>(element: Element<'d>, mode: Mode) -> Vec<Inherited<'d>> {
    if mode == Mode::Exclusive {
        return Vec::new();
    }
    let mut inherited: Vec<Inherited<'d>> = Vec::new();
    let own_base = element.attribute_ns(XML_NAMESPACE, "base");
    let mut bases: Vec<&str> = own_base.into_iter().collect();
    let mut at = element.parent();
    while let Some(ancestor) = at {
        for attribute in ancestor.attributes().filter(|a| a.namespace == XML_NAMESPACE) {
            match (mode, attribute.local) {
                (Mode::Inclusive11, "base") => bases.push(attribute.value),
                (Mode::Inclusive11, "id") => {}
                (Mode::Inclusive11, local) if !matches!(local, "lang" | "space") => {}
                (_, local) => {
                    let known = element.attribute_ns(XML_NAMESPACE, local).is_some()
                        || inherited.iter().any(|(name, _)| *name == local);
                    if !known {
                        inherited.push((local, Cow::Borrowed(attribute.value)));
                    }
                }
            }
        }
        at = ancestor.parent();
    }
    if mode == Mode::Inclusive11 && bases.len() > usize::from(own_base.is_some()) {
        inherited.push(("base", Cow::Owned(base::join_all(bases.iter().rev().copied()))));
    }
    inherited
}

/// Local name and value of an attribute of the `xml` namespace.
type Inherited<'d> = (&'d str, Cow<'d, str>);

/// An element's name for the canonicaliser.
pub(super) struct CanonName<'a> {
    pub prefix: Symbol,
    pub uri: Symbol,
    pub local: &'a str,
}

/// An attribute for the canonicaliser.
pub(super) struct CanonAttribute<'a> {
    pub prefix: Symbol,
    pub uri: Symbol,
    pub local: &'a str,
    pub value: Cow<'a, str>,
}

/// The rules: takes events, appends canonical octets to `buffer`.
pub(super) struct Canon {
    pub buffer: Vec<u8>,
    pub comments: bool,
    inclusive: bool,
    prefixes: Vec<String>,
    /// Bindings in scope; kept only where a rule asks for them (inclusive apex, prefix list).
    scope: Vec<(Symbol, Symbol)>,
    /// Bindings written by output ancestors.
    rendered: Vec<(Symbol, Symbol)>,
    open: Vec<(usize, usize)>,
    chosen: Vec<(Symbol, Symbol)>,
}

impl Canon {
    pub(super) fn new(how: &C14n) -> Self {
        let inclusive = how.mode != Mode::Exclusive;
        Self {
            buffer: Vec::with_capacity(FLUSH_AT + 1024),
            comments: how.comments,
            inclusive,
            prefixes: if inclusive { Vec::new() } else { how.prefixes.clone() },
            scope: Vec::new(),
            rendered: Vec::new(),
            open: Vec::new(),
            chosen: Vec::new(),
        }
    }

    /// What is in scope before the first start tag.
    pub(super) fn inherit(&mut self, scope: Vec<(Symbol, Symbol)>) {
        self.scope = scope;
    }

    pub(super) fn start(
        &mut self,
        symbols: &Symbols,
        name: CanonName<'_>,
        declarations: &[(Symbol, Symbol)],
        attributes: &mut [CanonAttribute<'_>],
    ) {
        let apex = self.open.is_empty();
        self.open.push((self.scope.len(), self.rendered.len()));
        self.scope.extend_from_slice(declarations);
        self.choose(symbols, &name, declarations, attributes, apex);
        self.raw("<");
        self.name(symbols, name.prefix, name.local);
        let chosen = std::mem::take(&mut self.chosen);
        for (prefix, uri) in &chosen {
            self.raw(" xmlns");
            if *prefix != NONE {
                self.raw(":");
                self.raw(symbols.text(*prefix));
            }
            self.value(symbols.text(*uri));
        }
        self.rendered.extend_from_slice(&chosen);
        self.chosen = chosen;
        attributes
            .sort_unstable_by(|a, b| (symbols.text(a.uri), a.local).cmp(&(symbols.text(b.uri), b.local)));
        for attribute in attributes.iter() {
            self.raw(" ");
            self.name(symbols, attribute.prefix, attribute.local);
            self.value(&attribute.value);
        }
        self.raw(">");
    }

    pub(super) fn end(&mut self, symbols: &Symbols, prefix: Symbol, local: &str) {
        self.raw("</");
        self.name(symbols, prefix, local);
        self.close();
    }

    /// [`Canon::end`] for a name as written.
    pub(super) fn end_written(&mut self, name: &str) {
        self.raw("</");
        self.raw(name);
        self.close();
    }

    fn close(&mut self) {
        self.raw(">");
        if let Some((scope, rendered)) = self.open.pop() {
            self.scope.truncate(scope);
            self.rendered.truncate(rendered);
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        escape(&mut self.buffer, text, |octet| match octet {
            b'&' => Some("&amp;"),
            b'<' => Some("&lt;"),
            b'>' => Some("&gt;"),
            b'\r' => Some("&#xD;"),
            _ => None,
        });
    }

    pub(super) fn comment(&mut self, text: &str) {
        if self.comments {
            self.raw("<!--");
            self.raw(text);
            self.raw("-->");
        }
    }

    pub(super) fn instruction(&mut self, target: &str, data: &str) {
        self.raw("<?");
        self.raw(target);
        if !data.is_empty() {
            self.raw(" ");
            self.raw(data);
        }
        self.raw("?>");
    }

    pub(super) fn raw(&mut self, text: &str) {
        self.buffer.extend_from_slice(text.as_bytes());
    }

    /// Chooses the namespace declarations to write here, sorted by prefix.
    fn choose(
        &mut self,
        symbols: &Symbols,
        name: &CanonName<'_>,
        declarations: &[(Symbol, Symbol)],
        attributes: &[CanonAttribute<'_>],
        apex: bool,
    ) {
        self.chosen.clear();
        if self.inclusive {
            if apex {
                for at in 0..self.scope.len() {
                    let (prefix, uri) = self.scope[at];
                    if !self.scope[at + 1..].iter().any(|(later, _)| *later == prefix) {
                        self.propose(prefix, uri);
                    }
                }
            } else {
                declarations.iter().for_each(|(prefix, uri)| self.propose(*prefix, *uri));
            }
        } else {
            self.propose(name.prefix, name.uri);
            for attribute in attributes.iter().filter(|attribute| attribute.prefix != NONE) {
                self.propose(attribute.prefix, attribute.uri);
            }
            self.propose_listed(symbols);
        }
        self.chosen.sort_unstable_by(|a, b| symbols.text(a.0).cmp(symbols.text(b.0)));
    }

    fn propose_listed(&mut self, symbols: &Symbols) {
        for at in 0..self.prefixes.len() {
            let wanted = &self.prefixes[at];
            let bound = self.scope.iter().rev().find(|(prefix, _)| symbols.text(*prefix) == wanted).copied();
            match bound {
                Some((prefix, uri)) => self.propose(prefix, uri),
                None if wanted.is_empty() => self.propose(NONE, NONE),
                None => {}
            }
        }
    }

    /// Takes a binding unless the nearest output ancestor already wrote the same one.
    fn propose(&mut self, prefix: Symbol, uri: Symbol) {
        if prefix == XML || self.chosen.iter().any(|(known, _)| *known == prefix) {
            return;
        }
        let written = self.rendered.iter().rev().find(|(known, _)| *known == prefix).map(|(_, uri)| *uri);
        let same = match written {
            Some(written) => written == uri,
            None => prefix == NONE && uri == NONE,
        };
        if !same {
            self.chosen.push((prefix, uri));
        }
    }

    fn name(&mut self, symbols: &Symbols, prefix: Symbol, local: &str) {
        if prefix != NONE {
            self.raw(symbols.text(prefix));
            self.raw(":");
        }
        self.raw(local);
    }

    fn value(&mut self, text: &str) {
        self.raw("=\"");
        escape(&mut self.buffer, text, |octet| match octet {
            b'&' => Some("&amp;"),
            b'<' => Some("&lt;"),
            b'"' => Some("&quot;"),
            b'\t' => Some("&#x9;"),
            b'\n' => Some("&#xA;"),
            b'\r' => Some("&#xD;"),
            _ => None,
        });
        self.raw("\"");
    }
}

fn escape(buffer: &mut Vec<u8>, text: &str, replacement: fn(u8) -> Option<&'static str>) {
    let octets = text.as_bytes();
    let mut from = 0;
    for (at, octet) in octets.iter().enumerate() {
        if let Some(instead) = replacement(*octet) {
            buffer.extend_from_slice(&octets[from..at]);
            buffer.extend_from_slice(instead.as_bytes());
            from = at + 1;
        }
    }
    buffer.extend_from_slice(&octets[from..]);
}
