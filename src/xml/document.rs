//! The document as an arena of nodes over its own text.

use std::borrow::Cow;
use std::ops::Range;

use super::encoding::{self, Decoder};
use super::error::{Error, Limits};
use super::names::{Symbol, Symbols};
use super::reader::{Reader, Sink, Tag};

/// A parsed document: owns its text, is `Send` and `Sync`, and never changes.
pub struct Document {
    source: String,
    /// Values that are not verbatim in `source`: with references, line ends or white space to normalise.
    pool: String,
    pub(super) symbols: Symbols,
    pub(super) nodes: Vec<Node>,
    attributes: Vec<StoredAttribute>,
    declarations: Vec<(Symbol, Symbol)>,
    ids: Vec<(Span, NodeId)>,
    root: NodeId,
}

/// A node of one [`Document`]; means nothing in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(super) u32);

/// An element of a [`Document`]. Equal when it is the same node of the same document.
#[derive(Clone, Copy)]
pub struct Element<'d> {
    pub(super) document: &'d Document,
    pub(super) id: NodeId,
}

/// An attribute that is no namespace declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'d> {
    /// Prefix as written, empty when there is none.
    pub prefix: &'d str,
    /// Namespace, empty for none.
    pub namespace: &'d str,
    /// Local name.
    pub local: &'d str,
    /// Normalised value.
    pub value: &'d str,
}

impl Document {
    /// Reads a whole document: UTF-8 (with or without byte order mark), UTF-16 with one, or ISO-8859-1 / US-ASCII as
    /// declared. No DOCTYPE, no entity but the five.
    pub fn parse(octets: &[u8], limits: &Limits) -> Result<Self, Error> {
        if octets.len() > limits.max_octets {
            return Err(Error::Limit { what: "octets", limit: limits.max_octets });
        }
        let mut decoder = Decoder::new();
        let mut source = String::with_capacity(octets.len());
        decoder.push(octets, &mut source)?;
        decoder.finish(&mut source)?;
        Self::of(source, decoder.kind(), limits)
    }

    /// Reads text that was decoded already.
    pub(super) fn of(source: String, kind: Option<encoding::Kind>, limits: &Limits) -> Result<Self, Error> {
        let mut reader = Reader::new(limits.clone());
        if let Some(kind) = kind {
            reader.set_encoding(kind);
        }
        let mut builder = Builder::new(&source);
        reader.feed(&source, &mut builder)?;
        reader.finish()?;
        let Builder { nodes, attributes, declarations, ids, pool, root, .. } = builder;
        let root = root.ok_or_else(|| Error::syntax(0, "there is no root element"))?;
        Ok(Self { pool, symbols: reader.symbols, nodes, attributes, declarations, ids, root, source })
    }

    /// The root element.
    pub fn root(&self) -> Element<'_> {
        self.element(self.root)
    }

    /// The element that an id from this document names.
    pub fn element(&self, id: NodeId) -> Element<'_> {
        Element { document: self, id }
    }

    /// Every element that carries `id` in an id-like attribute: `wsu:Id`, `xml:id`, and `Id`, `ID`, `id`, `AssertionID`
    /// without namespace (as4-wire 1.2). More than one is an attack.
    pub fn by_id(&self, id: &str) -> Vec<NodeId> {
        let mut found: Vec<NodeId> =
            self.ids.iter().filter(|(span, _)| self.text(*span) == id).map(|(_, node)| *node).collect();
        found.dedup();
        found
    }

    /// Ids that more than one element carries, sorted.
    pub fn duplicate_ids(&self) -> Vec<String> {
        let mut all: Vec<(&str, NodeId)> = self.ids.iter().map(|(span, n)| (self.text(*span), *n)).collect();
        all.sort_unstable();
        all.dedup();
        let mut twice: Vec<String> =
            all.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[0].0.to_owned()).collect();
        twice.dedup();
        twice
    }

    /// The text that was parsed, without byte order mark.
    pub fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn text(&self, span: Span) -> &str {
        match span.pooled {
            true => &self.pool[span.start as usize..span.end as usize],
            false => &self.source[span.start as usize..span.end as usize],
        }
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(super) fn declarations_of(&self, id: NodeId) -> &[(Symbol, Symbol)] {
        let range = &self.node(id).declarations;
        &self.declarations[range.start as usize..range.end as usize]
    }

    pub(super) fn attributes_of(&self, id: NodeId) -> &[StoredAttribute] {
        let range = &self.node(id).attributes;
        &self.attributes[range.start as usize..range.end as usize]
    }
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Document({} octets, {} nodes)", self.source.len(), self.nodes.len())
    }
}

impl<'d> Element<'d> {
    /// Which node this is.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The document it belongs to.
    pub fn document(&self) -> &'d Document {
        self.document
    }

    /// Local name.
    pub fn local(&self) -> &'d str {
        self.document.text(self.node().name)
    }

    /// Namespace, empty for none.
    pub fn namespace(&self) -> &'d str {
        self.document.symbols.text(self.node().uri)
    }

    /// Prefix as written, empty for none.
    pub fn prefix(&self) -> &'d str {
        self.document.symbols.text(self.node().prefix)
    }

    /// Whether this is the element `{namespace}local`.
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.local() == local && self.namespace() == namespace
    }

    /// Value of the attribute without namespace.
    pub fn attribute(&self, local: &str) -> Option<&'d str> {
        self.attribute_ns("", local)
    }

    /// Value of the attribute `{namespace}local`.
    pub fn attribute_ns(&self, namespace: &str, local: &str) -> Option<&'d str> {
        self.attributes().find(|a| a.local == local && a.namespace == namespace).map(|a| a.value)
    }

    /// The attributes in document order, namespace declarations left out.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'d>> + use<'d> {
        let document = self.document;
        document.attributes_of(self.id).iter().map(move |stored| Attribute {
            prefix: document.symbols.text(stored.prefix),
            namespace: document.symbols.text(stored.uri),
            local: document.text(stored.local),
            value: document.text(stored.value),
        })
    }

    /// The element around this one; `None` for the root.
    pub fn parent(&self) -> Option<Element<'d>> {
        let parent = self.node().parent?;
        (parent != DOCUMENT).then(|| self.document.element(parent))
    }

    /// Child elements in document order.
    pub fn children(&self) -> impl Iterator<Item = Element<'d>> + use<'d> {
        let document = self.document;
        self.child_nodes()
            .filter(move |id| document.node(*id).kind == Kind::Element)
            .map(move |id| document.element(id))
    }

    /// The first child element `{namespace}local`.
    pub fn child(&self, namespace: &str, local: &str) -> Option<Element<'d>> {
        self.children().find(|child| child.is(namespace, local))
    }

    /// The child elements `{namespace}local` in document order.
    pub fn children_named<'n>(
        &self,
        namespace: &'n str,
        local: &'n str,
    ) -> impl Iterator<Item = Element<'d>> + use<'d, 'n> {
        self.children().filter(move |child| child.is(namespace, local))
    }

    /// All elements below this one in document order, itself left out.
    pub fn descendants(&self) -> impl Iterator<Item = Element<'d>> + use<'d> {
        let document = self.document;
        let (from, to) = (self.id.0 + 1, self.node().last_inside.0 + 1);
        (from..to)
            .map(NodeId)
            .filter(move |id| document.node(*id).kind == Kind::Element)
            .map(move |id| document.element(id))
    }

    /// Whether `other` is this element or inside it.
    pub fn contains(&self, other: NodeId) -> bool {
        (self.id..=self.node().last_inside).contains(&other)
    }

    /// The text directly inside, pieces joined; text of child elements left out.
    pub fn text(&self) -> String {
        self.text_pieces().collect()
    }

    /// Whether nothing but white space, comments and processing instructions is inside.
    pub fn is_empty(&self) -> bool {
        self.children().next().is_none() && self.text_pieces().all(|text| text.trim_ascii().is_empty())
    }

    /// The namespace that a prefix (empty: the default) is bound to here; `None` when it is not.
    pub fn resolve_prefix(&self, prefix: &str) -> Option<&'d str> {
        if prefix == "xml" {
            return Some(super::XML_NAMESPACE);
        }
        let mut at = Some(*self);
        while let Some(element) = at {
            let declared = element
                .document
                .declarations_of(element.id)
                .iter()
                .find(|(known, _)| element.document.symbols.text(*known) == prefix);
            if let Some((_, uri)) = declared {
                return Some(element.document.symbols.text(*uri)).filter(|uri| !uri.is_empty());
            }
            at = element.parent();
        }
        None
    }

    /// Octets of [`Document::source`] from the start tag to the end tag.
    pub fn source_range(&self) -> Range<usize> {
        let range = &self.node().range;
        range.start as usize..range.end as usize
    }

    fn text_pieces(&self) -> impl Iterator<Item = &'d str> + use<'d> {
        let document = self.document;
        self.child_nodes()
            .map(move |id| document.node(id))
            .filter(|node| node.kind == Kind::Text)
            .map(move |node| document.text(node.name))
    }

    pub(super) fn child_nodes(&self) -> impl Iterator<Item = NodeId> + use<'d> {
        let document = self.document;
        std::iter::successors(self.node().first_child, move |id| document.node(*id).next)
    }

    fn node(&self) -> &'d Node {
        self.document.node(self.id)
    }
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.document, other.document) && self.id == other.id
    }
}

impl Eq for Element<'_> {}

impl std::fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Element({{{}}}{} #{})", self.namespace(), self.local(), self.id.0)
    }
}

/// The document itself: parent of the root and of what stands beside it.
pub(super) const DOCUMENT: NodeId = NodeId(0);

/// Part of a document's source or pool.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    start: u32,
    end: u32,
    pooled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Document,
    Element,
    Text,
    Comment,
    Instruction,
}

pub(super) struct Node {
    pub kind: Kind,
    pub parent: Option<NodeId>,
    pub first_child: Option<NodeId>,
    pub next: Option<NodeId>,
    last_child: Option<NodeId>,
    /// The highest node inside; the node itself when there is none.
    pub last_inside: NodeId,
    pub prefix: Symbol,
    pub uri: Symbol,
    /// Local name, text, or target of a processing instruction.
    pub name: Span,
    /// Data of a processing instruction.
    pub data: Span,
    pub attributes: Range<u32>,
    pub declarations: Range<u32>,
    range: Range<u32>,
}

pub(super) struct StoredAttribute {
    pub prefix: Symbol,
    pub uri: Symbol,
    pub local: Span,
    pub value: Span,
}

const NOTHING: Span = Span { start: 0, end: 0, pooled: false };

/// Builds the arena from what the reader finds.
struct Builder<'w> {
    source: &'w str,
    pool: String,
    nodes: Vec<Node>,
    attributes: Vec<StoredAttribute>,
    declarations: Vec<(Symbol, Symbol)>,
    ids: Vec<(Span, NodeId)>,
    current: NodeId,
    root: Option<NodeId>,
}

impl<'w> Builder<'w> {
    fn new(source: &'w str) -> Self {
        let mut builder = Self {
            source,
            pool: String::new(),
            nodes: Vec::with_capacity(source.len() / 24 + 4),
            attributes: Vec::with_capacity(source.len() / 64 + 4),
            declarations: Vec::new(),
            ids: Vec::new(),
            current: DOCUMENT,
            root: None,
        };
        builder.nodes.push(node(Kind::Document, None, DOCUMENT));
        builder
    }

    fn append(&mut self, kind: Kind) -> &mut Node {
        let id = NodeId(self.nodes.len() as u32);
        let parent = self.current;
        self.nodes.push(node(kind, Some(parent), id));
        let before = self.nodes[parent.0 as usize].last_child.replace(id);
        match before {
            Some(before) => self.nodes[before.0 as usize].next = Some(id),
            None => self.nodes[parent.0 as usize].first_child = Some(id),
        }
        &mut self.nodes[id.0 as usize]
    }

    /// Where `text` is: in the source if it is part of it, else put into the pool.
    fn span(&mut self, text: Cow<'w, str>) -> Span {
        match text {
            Cow::Borrowed(text) => self.part(text),
            Cow::Owned(text) => {
                let start = self.pool.len() as u32;
                self.pool.push_str(&text);
                Span { start, end: self.pool.len() as u32, pooled: true }
            }
        }
    }

    fn part(&self, text: &'w str) -> Span {
        let start = (text.as_ptr() as usize - self.source.as_ptr() as usize) as u32;
        Span { start, end: start + text.len() as u32, pooled: false }
    }

    /// Joins text to the text node before it; a reference or CDATA section does not split text.
    fn join(&mut self, last: NodeId, text: &str) {
        let span = self.nodes[last.0 as usize].name;
        let start = match span.pooled && span.end as usize == self.pool.len() {
            true => span.start,
            false => {
                let start = self.pool.len() as u32;
                let before = match span.pooled {
                    true => self.pool[span.start as usize..span.end as usize].to_owned(),
                    false => self.source[span.start as usize..span.end as usize].to_owned(),
                };
                self.pool.push_str(&before);
                start
            }
        };
        self.pool.push_str(text);
        self.nodes[last.0 as usize].name = Span { start, end: self.pool.len() as u32, pooled: true };
    }
}

impl<'w> Sink<'w> for Builder<'w> {
    fn start(&mut self, tag: &Tag<'_, 'w>) -> Result<(), Error> {
        let name = self.part(tag.local);
        let attributes_from = self.attributes.len() as u32;
        let declarations_from = self.declarations.len() as u32;
        let id = NodeId(self.nodes.len() as u32);
        for attribute in tag.attributes {
            let (local, value) = (self.part(attribute.local), self.span(attribute.value.clone()));
            if is_id(tag.symbols.text(attribute.uri), attribute.local) {
                self.ids.push((value, id));
            }
            self.attributes.push(StoredAttribute {
                prefix: attribute.prefix,
                uri: attribute.uri,
                local,
                value,
            });
        }
        self.declarations.extend_from_slice(tag.declarations);
        let (attributes_to, declarations_to) = (self.attributes.len() as u32, self.declarations.len() as u32);
        let node = self.append(Kind::Element);
        node.prefix = tag.prefix;
        node.uri = tag.uri;
        node.name = name;
        node.attributes = attributes_from..attributes_to;
        node.declarations = declarations_from..declarations_to;
        node.range = tag.range.start as u32..tag.range.end as u32;
        self.current = id;
        self.root = self.root.or(Some(id));
        Ok(())
    }

    fn end(&mut self, end_at: usize) -> Result<(), Error> {
        let last = NodeId(self.nodes.len() as u32 - 1);
        let node = &mut self.nodes[self.current.0 as usize];
        node.last_inside = last;
        node.range.end = end_at as u32;
        self.current = node.parent.unwrap_or(DOCUMENT);
        Ok(())
    }

    fn text(&mut self, text: Cow<'w, str>) -> Result<(), Error> {
        let last = self.nodes[self.current.0 as usize].last_child;
        match last.filter(|last| self.nodes[last.0 as usize].kind == Kind::Text) {
            Some(last) => self.join(last, &text),
            None => {
                let span = self.span(text);
                self.append(Kind::Text).name = span;
            }
        }
        Ok(())
    }

    fn comment(&mut self, text: Cow<'w, str>) -> Result<(), Error> {
        let span = self.span(text);
        self.append(Kind::Comment).name = span;
        Ok(())
    }

    fn instruction(&mut self, target: &'w str, data: Cow<'w, str>) -> Result<(), Error> {
        let (target, data) = (self.part(target), self.span(data));
        let node = self.append(Kind::Instruction);
        node.name = target;
        node.data = data;
        Ok(())
    }
}

const WSU: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";

fn is_id(namespace: &str, local: &str) -> bool {
    match namespace {
        "" => matches!(local, "Id" | "ID" | "id" | "AssertionID"),
        WSU => local == "Id",
        super::XML_NAMESPACE => local == "id",
        _ => false,
    }
}

fn node(kind: Kind, parent: Option<NodeId>, id: NodeId) -> Node {
    Node {
        kind,
        parent,
        first_child: None,
        next: None,
        last_child: None,
        last_inside: id,
        prefix: super::names::NONE,
        uri: super::names::NONE,
        name: NOTHING,
        data: NOTHING,
        attributes: 0..0,
        declarations: 0..0,
        range: 0..0,
    }
}
