//! The beginning of a document that may be too large to be read whole.

use std::borrow::Cow;

use super::document::Document;
use super::encoding::{Decoder, Kind};
use super::error::{Error, Limits};
use super::names::NONE;
use super::reader::{Reader, Sink, Tag};
use super::stream::Cutter;

/// Up to where the beginning of a document is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadEnd {
    /// The start tag of the root element.
    Root,
    /// The start tag of the root's second child element: a header block is read whole, what it heads is only named.
    SecondChild,
}

impl Document {
    /// Reads the beginning of a document as a document of its own: all up to and including the start tag that `end` means, with
    /// the elements then open closed. What comes behind is neither read nor judged. `octets` are the first of the document;
    /// `whole` says that there are no more. A document without such a tag is read whole, and has to be whole.
    ///
    /// # Errors
    /// [`Error::Limit`] when the tag is not within `octets`; everything else as [`Document::parse`].
    pub fn parse_head(octets: &[u8], whole: bool, end: HeadEnd, limits: &Limits) -> Result<Self, Error> {
        let (source, kind) = decode(octets, whole)?;
        match scout(&source, kind, whole, end, limits)? {
            Some(head) => Self::of(head, kind, limits),
            None if whole => Self::of(source, kind, limits),
            None => Err(Error::Limit { what: "octets before the content", limit: octets.len() }),
        }
    }
}

fn decode(octets: &[u8], whole: bool) -> Result<(String, Option<Kind>), Error> {
    let mut decoder = Decoder::new();
    let mut source = String::with_capacity(octets.len());
    decoder.push(octets, &mut source)?;
    if whole {
        decoder.finish(&mut source)?;
    }
    let kind = decoder.kind();
    Ok((source, kind))
}

/// The text up to the tag that ends the head, and the end tags that then are missing.
fn scout(
    source: &str,
    kind: Option<Kind>,
    whole: bool,
    end: HeadEnd,
    limits: &Limits,
) -> Result<Option<String>, Error> {
    let mut reader = Reader::new(limits.clone());
    if let Some(kind) = kind {
        reader.set_encoding(kind);
    }
    let cut = if whole { source.len() } else { Cutter::default().advance(source.as_bytes()) };
    let mut scout = Scout { end, open: Vec::new(), children: 0, found: None };
    let read = reader.feed(&source[..cut], &mut scout);
    let Some(at) = scout.found else { return read.map(|()| None) };
    let mut head = source[..at].to_owned();
    let closed = head.ends_with("/>");
    for name in scout.open.iter().rev().skip(usize::from(closed)) {
        head.push_str("</");
        head.push_str(name);
        head.push('>');
    }
    Ok(Some(head))
}

/// Looks for the tag that ends the head, and stops there.
struct Scout {
    end: HeadEnd,
    /// Names of the open elements as written.
    open: Vec<String>,
    /// Child elements of the root so far.
    children: usize,
    found: Option<usize>,
}

impl<'w> Sink<'w> for Scout {
    fn start(&mut self, tag: &Tag<'_, 'w>) -> Result<(), Error> {
        let written = match tag.prefix == NONE {
            true => tag.local.to_owned(),
            false => format!("{}:{}", tag.symbols.text(tag.prefix), tag.local),
        };
        self.children += usize::from(self.open.len() == 1);
        self.open.push(written);
        let ends = match self.end {
            HeadEnd::Root => true,
            HeadEnd::SecondChild => self.open.len() == 2 && self.children == 2,
        };
        if ends {
            self.found = Some(tag.range.end);
            // Whatever is said here stops the reader; it is not handed on.
            return Err(Error::syntax(tag.range.end, "the head ends here"));
        }
        Ok(())
    }

    fn end(&mut self, _end_at: usize) -> Result<(), Error> {
        self.open.pop();
        Ok(())
    }

    fn text(&mut self, _text: Cow<'w, str>) -> Result<(), Error> {
        Ok(())
    }

    fn comment(&mut self, _text: Cow<'w, str>) -> Result<(), Error> {
        Ok(())
    }

    fn instruction(&mut self, _target: &'w str, _data: Cow<'w, str>) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(octets: &[u8], whole: bool, end: HeadEnd) -> Result<Document, Error> {
        Document::parse_head(octets, whole, end, &Limits::default())
    }

    const LONG: &[u8] =
        b"<?xml version='1.0'?><!-- c --><a:r xmlns:a='urn:a'><h><i/>\xc3\xa4</h> <m xmlns='urn:m' x='1'>";

    #[test]
    fn the_header_is_read_whole_and_its_content_named() {
        for rest in [&b"never closed \xc3"[..], b"", b"<broken", b"</m></a:r>"] {
            let document = head(&[LONG, rest].concat(), false, HeadEnd::SecondChild).unwrap();
            let children: Vec<_> = document.root().children().collect();
            assert_eq!(children.len(), 2, "{}", document.source());
            assert_eq!(children[0].text(), "\u{e4}");
            assert!(children[1].is("urn:m", "m"));
            assert_eq!(children[1].attribute("x"), Some("1"));
        }
        let empty = head(b"<r><h/><m/><n", false, HeadEnd::SecondChild).unwrap();
        assert_eq!(empty.source(), "<r><h/><m/></r>");
        let root = head(b"\xef\xbb\xbf<r a='>'>text", false, HeadEnd::Root).unwrap();
        assert_eq!(root.source(), "<r a='>'></r>");
    }

    #[test]
    fn without_that_tag_the_document_has_to_be_whole() {
        let one = head(b"<r><h/></r>", true, HeadEnd::SecondChild).unwrap();
        assert_eq!(one.root().children().count(), 1);
        assert!(matches!(head(b"<r><h/>", false, HeadEnd::SecondChild), Err(Error::Limit { .. })));
        assert!(matches!(head(b"<r><h>", true, HeadEnd::SecondChild), Err(Error::Syntax { .. })));
        assert!(matches!(head(b"<r><h></r><m>", false, HeadEnd::SecondChild), Err(Error::Syntax { .. })));
        let doctype = b"<!DOCTYPE r [<!ENTITY a 'b'>]><r><h/><m>";
        assert!(matches!(head(doctype, false, HeadEnd::SecondChild), Err(Error::Doctype { .. })));
    }

    #[test]
    fn every_cut_reads_the_same_or_says_that_it_is_too_short() {
        let whole = head(LONG, false, HeadEnd::SecondChild).unwrap();
        for length in 0..LONG.len() {
            match head(&LONG[..length], false, HeadEnd::SecondChild) {
                Err(Error::Limit { .. }) => {}
                other => panic!("{length}: {other:?}, {}", whole.source()),
            }
        }
    }
}
