//! Canonicalisation of a document that never is in memory as a whole.

use std::borrow::Cow;

use super::c14n::{C14n, Canon, CanonAttribute, CanonName};
use super::encoding::Decoder;
use super::error::{Error, Limits};
use super::reader::{Reader, Sink, Tag};

/// Exclusive C14N without comments of a whole document pushed in chunks: what an XML payload part that is not
/// compressed is digested over (as4-wire 2.3). Memory is bounded by the depth of the document and the size of its
/// largest tag, not by its length.
pub struct StreamC14n {
    decoder: Decoder,
    reader: Reader,
    window: String,
    cutter: Cutter,
    state: State,
    failed: bool,
}

impl Default for StreamC14n {
    fn default() -> Self {
        Self::new()
    }
}

impl StreamC14n {
    /// A canonicaliser that has seen nothing yet.
    pub fn new() -> Self {
        let limits = Limits { max_nodes: usize::MAX, max_depth: DEEPEST, ..Limits::default() };
        Self {
            decoder: Decoder::new(),
            reader: Reader::new(limits),
            window: String::new(),
            cutter: Cutter::default(),
            state: State { canon: Canon::new(&C14n::exclusive()), open: Vec::new(), root_closed: false },
            failed: false,
        }
    }

    /// Takes the next octets and gives `out` the canonical octets that are certain by now. After an error every
    /// further call is an error.
    pub fn push(&mut self, chunk: &[u8], out: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let pushed = chunk.chunks(LARGEST_STEP).try_for_each(|step| self.step(step, out));
        self.note(pushed)
    }

    /// Ends the document.
    pub fn finish(&mut self, out: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let finished = self.rest(out);
        self.note(finished)
    }

    fn step(&mut self, chunk: &[u8], out: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        if self.failed {
            return Err(Error::syntax(0, "the document already failed"));
        }
        self.decoder.push(chunk, &mut self.window)?;
        let cut = self.cutter.advance(self.window.as_bytes());
        self.feed(cut, out)?;
        match self.window.len() > LARGEST_TOKEN {
            true => Err(Error::Limit { what: "octets in one tag or comment", limit: LARGEST_TOKEN }),
            false => Ok(()),
        }
    }

    fn rest(&mut self, out: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        if self.failed {
            return Err(Error::syntax(0, "the document already failed"));
        }
        self.decoder.finish(&mut self.window)?;
        self.feed(self.window.len(), out)?;
        self.reader.finish()
    }

    fn feed(&mut self, cut: usize, out: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        if cut == 0 {
            return Ok(());
        }
        if let Some(kind) = self.decoder.kind() {
            self.reader.set_encoding(kind);
        }
        self.reader.feed(&self.window[..cut], &mut self.state)?;
        self.window.drain(..cut);
        self.cutter.drained(cut);
        out(&self.state.canon.buffer);
        self.state.canon.buffer.clear();
        Ok(())
    }

    fn note(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        self.failed |= result.is_err();
        result
    }
}

/// Deepest nesting of a payload.
const DEEPEST: usize = 1000;
/// Largest tag, comment, CDATA section or processing instruction, in octets.
const LARGEST_TOKEN: usize = 4 << 20;
/// Octets looked at in one go, so that a huge chunk does not make a huge window.
const LARGEST_STEP: usize = 64 << 10;

struct State {
    canon: Canon,
    open: Vec<String>,
    root_closed: bool,
}

impl<'w> Sink<'w> for State {
    fn start(&mut self, tag: &Tag<'_, 'w>) -> Result<(), Error> {
        let mut attributes: Vec<CanonAttribute<'_>> = tag
            .attributes
            .iter()
            .map(|attribute| CanonAttribute {
                prefix: attribute.prefix,
                uri: attribute.uri,
                local: attribute.local,
                value: Cow::Borrowed(&*attribute.value),
            })
            .collect();
        let name = CanonName { prefix: tag.prefix, uri: tag.uri, local: tag.local };
        self.canon.start(tag.symbols, name, tag.declarations, &mut attributes);
        let prefix = tag.symbols.text(tag.prefix);
        let written =
            if prefix.is_empty() { tag.local.to_owned() } else { format!("{prefix}:{}", tag.local) };
        self.open.push(written);
        Ok(())
    }

    fn end(&mut self, _end_at: usize) -> Result<(), Error> {
        if let Some(written) = self.open.pop() {
            self.canon.end_written(&written);
        }
        self.root_closed = self.open.is_empty();
        Ok(())
    }

    fn text(&mut self, text: Cow<'w, str>) -> Result<(), Error> {
        self.canon.text(&text);
        Ok(())
    }

    fn comment(&mut self, _text: Cow<'w, str>) -> Result<(), Error> {
        Ok(())
    }

    fn instruction(&mut self, target: &'w str, data: Cow<'w, str>) -> Result<(), Error> {
        if self.root_closed {
            self.canon.raw("\n");
        }
        self.canon.instruction(target, &data);
        if self.open.is_empty() && !self.root_closed {
            self.canon.raw("\n");
        }
        Ok(())
    }
}

/// Tells how much of a window ends between tokens, so that the reader gets only whole ones. It decides nothing about
/// meaning: a cut inside a token would be an error of the reader, never another reading.
#[derive(Default)]
pub(super) struct Cutter {
    scanned: usize,
    inside: Inside,
    /// Where the token being scanned begins; in text, where the text does.
    token: usize,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Inside {
    #[default]
    Text,
    Opening,
    Tag(Option<u8>),
    /// What ends the token, and how many octets open it.
    Until(&'static [u8], usize),
}

impl Cutter {
    pub(super) fn advance(&mut self, window: &[u8]) -> usize {
        while self.scanned < window.len() {
            let rest = &window[self.scanned..];
            match self.inside {
                Inside::Text => match rest.iter().position(|octet| *octet == b'<') {
                    Some(at) => {
                        self.token = self.scanned + at;
                        self.scanned = self.token + 1;
                        self.inside = Inside::Opening;
                    }
                    None => self.scanned = window.len(),
                },
                Inside::Opening => match opening(&window[self.token..]) {
                    Some(inside) => self.inside = inside,
                    None => return self.token,
                },
                Inside::Tag(None) => match rest.iter().position(|o| matches!(o, b'>' | b'"' | b'\'')) {
                    Some(at) => {
                        self.scanned += at + 1;
                        match rest[at] {
                            b'>' => self.text(),
                            quote => self.inside = Inside::Tag(Some(quote)),
                        }
                    }
                    None => self.scanned = window.len(),
                },
                Inside::Tag(Some(quote)) => match rest.iter().position(|octet| *octet == quote) {
                    Some(at) => {
                        self.inside = Inside::Tag(None);
                        self.scanned += at + 1;
                    }
                    None => self.scanned = window.len(),
                },
                Inside::Until(end, opened) => {
                    // The end may straddle what was scanned before, but not the token's own beginning.
                    let from = self.scanned.saturating_sub(end.len() - 1).max(self.token + opened);
                    match window[from.min(window.len())..].windows(end.len()).position(|octets| octets == end)
                    {
                        Some(at) => {
                            self.scanned = from + at + end.len();
                            self.text();
                        }
                        None => self.scanned = window.len(),
                    }
                }
            }
        }
        match self.inside {
            Inside::Text => self.token + safe_text(&window[self.token..]),
            _ => self.token,
        }
    }

    fn text(&mut self) {
        self.inside = Inside::Text;
        self.token = self.scanned;
    }

    fn drained(&mut self, cut: usize) {
        self.scanned = self.scanned.saturating_sub(cut);
        self.token = self.token.saturating_sub(cut);
    }
}

/// What begins with `<`; `None` while that cannot be told.
fn opening(token: &[u8]) -> Option<Inside> {
    match token {
        [b'<', b'?', ..] => Some(Inside::Until(b"?>", 2)),
        [b'<', b'!', b'-', ..] => (token.len() >= 4).then_some(Inside::Until(b"-->", 4)),
        [b'<', b'!', b'[', ..] => Some(Inside::Until(b"]]>", 9)),
        [b'<', b'!', _, ..] => Some(Inside::Tag(None)),
        [b'<', b'!'] | [b'<'] => None,
        _ => Some(Inside::Tag(None)),
    }
}

/// The most of a text that can go without cutting a reference, a line end or `]]>`.
fn safe_text(text: &[u8]) -> usize {
    let mut end = text.len();
    let tail = &text[end.saturating_sub(LONGEST_REFERENCE)..];
    if let Some(at) = tail.iter().rposition(|octet| *octet == b'&')
        && !tail[at..].contains(&b';')
    {
        end -= tail.len() - at;
    }
    for held in [b'\r', b']', b']'] {
        if end > 0 && text[end - 1] == held {
            end -= 1;
        }
    }
    end
}

/// Octets within which a reference has to end; the reader refuses a longer one.
const LONGEST_REFERENCE: usize = 64;
