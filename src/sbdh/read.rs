//! From octets to values: how often each element is there, and no more.

use super::header::{Envelope, Header, Identifier, Name, Scope};
use super::write::Bare;
use super::{Error, NAMESPACE};
use crate::clock::read_wire_time;
use crate::xml::{Document, Element, HeadEnd, Limits};

/// As much of a document's beginning as is looked at, in octets: the header, what stands before it, and the next start tag.
pub const OPENING: usize = 128 << 10;
/// Largest header, in octets.
const HEADER: usize = 64 << 10;

/// What a payload turns out to be.
#[derive(Debug)]
pub enum Opening {
    /// An envelope, its rules not yet checked.
    Envelope(Box<Envelope>),
    /// Another XML document.
    Bare(Bare),
}

/// Looks at the first octets of a payload, at most [`OPENING`] of them; `whole` says that there are no more.
///
/// # Errors
/// [`Error::Xml`] when it is no XML; for an envelope whatever its structure lacks.
pub fn open(octets: &[u8], whole: bool) -> Result<Opening, Error> {
    let limits = Limits { max_nodes: 10_000, max_depth: 20, ..Limits::default() };
    let root = Document::parse_head(octets, whole, HeadEnd::Root, &limits)?;
    if !root.root().is(NAMESPACE, "StandardBusinessDocument") {
        return Ok(Opening::Bare(Bare::of(octets, &root)?));
    }
    let document = Document::parse_head(octets, whole, HeadEnd::SecondChild, &limits)?;
    envelope(document.root()).map(|envelope| Opening::Envelope(Box::new(envelope)))
}

fn envelope(root: Element<'_>) -> Result<Envelope, Error> {
    let mut children = root.children();
    let header = children.next().filter(|e| e.is(NAMESPACE, "StandardBusinessDocumentHeader"));
    let header = header.ok_or(Error::NoHeader)?;
    let octets = header.source_range().len();
    if octets > HEADER {
        return Err(Error::TooLarge { octets, most: HEADER });
    }
    let header = read_header(header)?;
    let content = children.next().ok_or(Error::NoBusinessDocument)?;
    let content = Name { namespace: content.namespace().into(), local: content.local().into() };
    Ok(Envelope { header, content })
}

/// Reads a StandardBusinessDocumentHeader.
pub(super) fn read_header(header: Element<'_>) -> Result<Header, Error> {
    let identification = one(header, "DocumentIdentification")?;
    let created = text(identification, "CreationDateAndTime")?;
    Ok(Header {
        version: text(header, "HeaderVersion")?,
        sender: party(header, "Sender")?,
        receiver: party(header, "Receiver")?,
        standard: text(identification, "Standard")?,
        type_version: text(identification, "TypeVersion")?,
        instance: text(identification, "InstanceIdentifier")?,
        document: text(identification, "Type")?,
        created: read_wire_time(&created).ok_or_else(|| Error::Value {
            element: "CreationDateAndTime",
            value: created.clone(),
            rule: "a date and time with a time zone is wanted",
        })?,
        scopes: scopes(header)?,
    })
}

fn party(header: Element<'_>, element: &'static str) -> Result<Identifier, Error> {
    let identifier = one(one(header, element)?, "Identifier")?;
    let scheme = identifier.attribute("Authority").unwrap_or_default().trim().to_owned();
    Ok(Identifier { scheme, value: identifier.text().trim().to_owned() })
}

fn scopes(header: Element<'_>) -> Result<Vec<Scope>, Error> {
    let scopes = one(header, "BusinessScope")?;
    let scope = |scope: Element<'_>| {
        let optional = |name: &str| scope.child(NAMESPACE, name).map(|e| e.text().trim().to_owned());
        Ok(Scope {
            kind: text(scope, "Type")?,
            value: one(scope, "InstanceIdentifier")?.text().trim().to_owned(),
            scheme: optional("Identifier").filter(|scheme| !scheme.is_empty()),
        })
    };
    scopes.children_named(NAMESPACE, "Scope").map(scope).collect()
}

fn one<'d>(parent: Element<'d>, element: &'static str) -> Result<Element<'d>, Error> {
    let mut found = parent.children_named(NAMESPACE, element);
    let (first, more) = (found.next(), found.count());
    match (first, more) {
        (Some(only), 0) => Ok(only),
        (first, more) => Err(Error::Count { element, count: usize::from(first.is_some()) + more }),
    }
}

fn text(parent: Element<'_>, element: &'static str) -> Result<String, Error> {
    Ok(one(parent, element)?.text().trim().to_owned())
}
