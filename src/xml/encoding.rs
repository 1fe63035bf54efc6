//! From octets to text: UTF-8, UTF-16 with a byte order mark, and the two 8-bit encodings a declaration may name.

use super::error::Error;

/// Decodes one document given in pieces.
pub(super) struct Decoder {
    kind: Option<Kind>,
    pending: Vec<u8>,
}

/// An encoding that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Utf8,
    Utf16Be,
    Utf16Le,
    Latin1,
    Ascii,
}

impl Kind {
    /// Whether a declaration `encoding="name"` fits what the octets are.
    pub(super) fn fits(self, name: &str) -> bool {
        match by_name(name) {
            Some(Kind::Utf16Be | Kind::Utf16Le) => matches!(self, Kind::Utf16Be | Kind::Utf16Le),
            Some(named) => named == self || (named == Kind::Ascii && self == Kind::Utf8),
            None => false,
        }
    }
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { kind: None, pending: Vec::new() }
    }

    /// The encoding, once enough octets were seen.
    pub(super) fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// Appends to `out` what can be decoded by now.
    pub(super) fn push(&mut self, chunk: &[u8], out: &mut String) -> Result<(), Error> {
        self.pending.extend_from_slice(chunk);
        if self.kind.is_none() {
            self.kind = self.detect(false)?;
        }
        self.drain(out)
    }

    /// Decodes the rest; an incomplete character is an error.
    pub(super) fn finish(&mut self, out: &mut String) -> Result<(), Error> {
        if self.kind.is_none() {
            self.kind = self.detect(true)?;
        }
        self.drain(out)?;
        match self.pending.is_empty() {
            true => Ok(()),
            false => Err(Error::Encoding("the document ends within a character".into())),
        }
    }

    fn drain(&mut self, out: &mut String) -> Result<(), Error> {
        let used = match self.kind {
            None => 0,
            Some(Kind::Utf8) => utf8(&self.pending, out)?,
            Some(Kind::Utf16Be) => utf16(&self.pending, u16::from_be_bytes, out)?,
            Some(Kind::Utf16Le) => utf16(&self.pending, u16::from_le_bytes, out)?,
            Some(Kind::Latin1) => {
                out.extend(self.pending.iter().map(|octet| char::from(*octet)));
                self.pending.len()
            }
            Some(Kind::Ascii) => ascii(&self.pending, out)?,
        };
        self.pending.drain(..used);
        Ok(())
    }

    /// Tells the encoding (XML 1.0 appendix F) and drops the byte order mark; `None` while more octets are needed.
    fn detect(&mut self, last: bool) -> Result<Option<Kind>, Error> {
        let head = &self.pending;
        if head.len() < 4 && !last {
            return Ok(None);
        }
        let (kind, mark) = match head.as_slice() {
            [0xEF, 0xBB, 0xBF, ..] => (Some(Kind::Utf8), 3),
            [0xFE, 0xFF, ..] => (Some(Kind::Utf16Be), 2),
            [0xFF, 0xFE, ..] => (Some(Kind::Utf16Le), 2),
            [0, b'<', ..] | [b'<', 0, ..] => {
                return Err(Error::Encoding("UTF-16 without a byte order mark".into()));
            }
            _ => (declared(head, last)?, 0),
        };
        self.pending.drain(..mark);
        Ok(kind)
    }
}

/// Longest XML declaration looked at for its encoding, in octets.
const LONGEST_DECLARATION: usize = 1024;

/// The encoding that an XML declaration in ASCII-compatible octets names; UTF-8 without one.
fn declared(head: &[u8], last: bool) -> Result<Option<Kind>, Error> {
    let start = b"<?xml";
    if !head.starts_with(&start[..start.len().min(head.len())]) {
        return Ok(Some(Kind::Utf8));
    }
    let Some(end) = head.windows(2).position(|pair| pair == b"?>") else {
        return Ok((last || head.len() > LONGEST_DECLARATION).then_some(Kind::Utf8));
    };
    let declaration = String::from_utf8_lossy(&head[..end]);
    let Some(name) = declaration.split_once("encoding").and_then(|(_, rest)| quoted(rest)) else {
        return Ok(Some(Kind::Utf8));
    };
    match by_name(name) {
        Some(Kind::Utf16Be | Kind::Utf16Le) | None => Err(Error::Encoding(format!(
            "declared as `{name}`, which is not what the octets are or not known"
        ))),
        known => Ok(known),
    }
}

fn quoted(text: &str) -> Option<&str> {
    let text = text.trim_start().strip_prefix('=')?.trim_start();
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    text[1..].split(quote).next()
}

fn by_name(name: &str) -> Option<Kind> {
    match name.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" => Some(Kind::Utf8),
        "utf-16" | "utf-16be" => Some(Kind::Utf16Be),
        "utf-16le" => Some(Kind::Utf16Le),
        "iso-8859-1" | "latin1" => Some(Kind::Latin1),
        "us-ascii" | "ascii" => Some(Kind::Ascii),
        _ => None,
    }
}

fn utf8(octets: &[u8], out: &mut String) -> Result<usize, Error> {
    match std::str::from_utf8(octets) {
        Ok(text) => {
            out.push_str(text);
            Ok(octets.len())
        }
        Err(error) if error.error_len().is_some() => {
            let at = error.valid_up_to();
            Err(Error::Encoding(format!("octet 0x{:02X} is not UTF-8", octets[at])))
        }
        Err(error) => {
            let good = error.valid_up_to();
            out.push_str(&String::from_utf8_lossy(&octets[..good]));
            Ok(good)
        }
    }
}

fn utf16(octets: &[u8], unit: fn([u8; 2]) -> u16, out: &mut String) -> Result<usize, Error> {
    let mut units: Vec<u16> = octets.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
    if units.last().is_some_and(|last| (0xD800..0xDC00).contains(last)) {
        units.pop();
    }
    for character in char::decode_utf16(units.iter().copied()) {
        out.push(character.map_err(|error| Error::Encoding(format!("UTF-16: {error}")))?);
    }
    Ok(units.len() * 2)
}

fn ascii(octets: &[u8], out: &mut String) -> Result<usize, Error> {
    match octets.iter().find(|octet| !octet.is_ascii()) {
        Some(octet) => Err(Error::Encoding(format!("octet 0x{octet:02X} is not US-ASCII"))),
        None => utf8(octets, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(octets: &[u8], step: usize) -> Result<String, Error> {
        let (mut decoder, mut out) = (Decoder::new(), String::new());
        for chunk in octets.chunks(step) {
            decoder.push(chunk, &mut out)?;
        }
        decoder.finish(&mut out)?;
        Ok(out)
    }

    #[test]
    fn every_encoding_reads_the_same_in_any_pieces() {
        let text = "<a>Ķekava 🐝</a>";
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let utf16le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for step in [1, 2, 3, 7, 1000] {
            assert_eq!(decode(text.as_bytes(), step).unwrap(), text);
            assert_eq!(decode(&[b"\xEF\xBB\xBF", text.as_bytes()].concat(), step).unwrap(), text);
            assert_eq!(decode(&[b"\xFE\xFF".as_slice(), &utf16].concat(), step).unwrap(), text);
            assert_eq!(decode(&[b"\xFF\xFE".as_slice(), &utf16le].concat(), step).unwrap(), text);
            let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xE9</a>";
            assert!(decode(latin, step).unwrap().ends_with("<a>é</a>"));
        }
    }

    #[test]
    fn octets_that_are_no_text_are_refused() {
        for bad in [
            b"<a>\xE9</a>".as_slice(),
            b"<a>\xE2\x82",
            b"\xFE\xFF\xD8\x00",
            b"\x00<\x00a",
            b"<?xml version='1.0' encoding='UTF-16'?><a/>",
            b"<?xml version='1.0' encoding='EBCDIC'?><a/>",
            b"<?xml version='1.0' encoding='US-ASCII'?><a>\xC3\xA9</a>",
        ] {
            assert!(matches!(decode(bad, 1), Err(Error::Encoding(_))), "{bad:?}");
            assert!(matches!(decode(bad, 100), Err(Error::Encoding(_))), "{bad:?}");
        }
    }
}
