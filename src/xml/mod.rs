//! Hardened XML parse, canonicalisation and writer.
//!
//! One reader serves everything: [`Document::parse`] builds an arena from it and [`StreamC14n`] pushes its tokens
//! straight into the canonicaliser, so what is verified is by construction what is read. There is no DTD, no entity
//! beyond the five, and every quantity has a limit ([`Limits`]).

mod base;
mod c14n;
mod document;
mod encoding;
mod error;
mod head;
mod names;
mod plain;
mod reader;
mod stream;
mod writer;

pub use c14n::{C14n, Mode, canonicalize, canonicalize_document, canonicalize_to_vec};
pub use document::{Attribute, Document, Element, NodeId};
pub use error::{Error, Limits};
pub use head::HeadEnd;
pub use names::{is_id, is_xml_char};
pub use plain::{PlainAttribute, root_of_canonical};
pub use stream::StreamC14n;
pub use writer::{Writer, escape_attribute, escape_text};

/// The namespace that the prefix `xml` is bound to.
pub const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";

#[cfg(test)]
mod tests;
