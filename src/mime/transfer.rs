//! Content-Transfer-Encodings undone chunk by chunk (RFC 2045 6.7 and 6.8).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::TransferEncoding;

/// More blanks than this at a line's end are given out as they are, so that memory stays bounded.
const MAX_TRAILING_BLANKS: usize = 1000;

/// The state of one part's decoding.
pub(super) enum Decoder {
    Identity,
    Base64 { quad: Vec<u8>, ended: bool },
    QuotedPrintable { held: Vec<u8> },
}

/// The octets do not fit the encoding named.
pub(super) struct Undecodable(pub(super) &'static str);

impl Decoder {
    pub(super) fn new(encoding: TransferEncoding) -> Self {
        match encoding {
            TransferEncoding::Identity => Self::Identity,
            TransferEncoding::Base64 => Self::Base64 { quad: Vec::new(), ended: false },
            TransferEncoding::QuotedPrintable => Self::QuotedPrintable { held: Vec::new() },
        }
    }

    /// Decodes a chunk; `None` means the chunk itself is the output.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<Option<Vec<u8>>, Undecodable> {
        match self {
            Self::Identity => Ok(None),
            Self::Base64 { quad, ended } => {
                base64_chunk(quad, ended, chunk).map(Some).ok_or(Undecodable("base64"))
            }
            Self::QuotedPrintable { held } => {
                held.extend_from_slice(chunk);
                quoted_printable(held, false).map(Some).ok_or(Undecodable("quoted-printable"))
            }
        }
    }

    /// What is left at the end of the part.
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, Undecodable> {
        match self {
            Self::Identity => Ok(Vec::new()),
            Self::Base64 { quad, .. } => match quad.is_empty() {
                true => Ok(Vec::new()),
                false => Err(Undecodable("base64")),
            },
            Self::QuotedPrintable { held } => {
                quoted_printable(held, true).ok_or(Undecodable("quoted-printable"))
            }
        }
    }
}

/// Whole quads at once; line breaks and blanks between are skipped, anything after the padding is refused.
fn base64_chunk(quad: &mut Vec<u8>, ended: &mut bool, chunk: &[u8]) -> Option<Vec<u8>> {
    quad.extend(chunk.iter().filter(|c| !c.is_ascii_whitespace()));
    let whole = quad.len() / 4 * 4;
    if whole == 0 {
        return (!*ended || quad.is_empty()).then(Vec::new);
    }
    if *ended {
        return None;
    }
    *ended = quad[whole - 1] == b'=';
    if *ended && quad.len() > whole {
        return None;
    }
    let out = STANDARD.decode(&quad[..whole]).ok()?;
    quad.drain(..whole);
    Some(out)
}

/// Decodes what is decidable of `held` and leaves the rest there; all of it when `last`.
fn quoted_printable(held: &mut Vec<u8>, last: bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(held.len());
    let mut at = 0;
    while at < held.len() {
        let rest = &held[at..];
        let used = match rest[0] {
            b'=' => escape(rest, last, &mut out)?,
            b' ' | b'\t' => blanks(rest, last, &mut out),
            octet => {
                out.push(octet);
                1
            }
        };
        if used == 0 {
            break;
        }
        at += used;
    }
    held.drain(..at);
    Some(out)
}

/// `=XX` or a soft line break; 0 when more octets are needed, `None` when it is neither.
fn escape(rest: &[u8], last: bool, out: &mut Vec<u8>) -> Option<usize> {
    let blanks = rest[1..].iter().take_while(|c| matches!(**c, b' ' | b'\t')).count();
    match rest.get(1 + blanks..).unwrap_or_default() {
        [b'\n', ..] => Some(blanks + 2),
        [b'\r', b'\n', ..] => Some(blanks + 3),
        [] if last => Some(rest.len()),
        [b'\r'] if last => Some(rest.len()),
        [] | [b'\r'] if blanks <= MAX_TRAILING_BLANKS => Some(0),
        [_] if blanks == 0 && !last => Some(0),
        [high, low, ..] if blanks == 0 => {
            out.extend(hex::decode([*high, *low]).ok()?);
            Some(3)
        }
        _ => None,
    }
}

/// Blanks before a line break are dropped (RFC 2045 6.7 rule 3), others kept.
fn blanks(rest: &[u8], last: bool, out: &mut Vec<u8>) -> usize {
    let count = rest.iter().take_while(|c| matches!(**c, b' ' | b'\t')).count();
    match rest.get(count..).unwrap_or_default() {
        [b'\n', ..] | [b'\r', b'\n', ..] => {}
        [] | [b'\r'] if last => {}
        [] | [b'\r'] if count <= MAX_TRAILING_BLANKS => return 0,
        _ => out.extend_from_slice(&rest[..count]),
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(encoding: TransferEncoding, input: &[u8], size: usize) -> Option<Vec<u8>> {
        let mut decoder = Decoder::new(encoding);
        let mut out = Vec::new();
        for chunk in input.chunks(size) {
            out.extend(decoder.push(chunk).ok()?.unwrap_or_else(|| chunk.to_vec()));
        }
        out.extend(decoder.finish().ok()?);
        Some(out)
    }

    #[test]
    fn quoted_printable_reads_the_same_under_any_chunking() {
        let input = b"a=3D1=\r\n b \t\r\nc= \t\r\nd  e=C5=A1  ";
        for size in 1..input.len() {
            let out = decode(TransferEncoding::QuotedPrintable, input, size).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), "a=1 b\r\ncd  eš", "chunks of {size}");
        }
        assert!(decode(TransferEncoding::QuotedPrintable, b"=XY", 3).is_none());
    }

    #[test]
    fn base64_refuses_what_it_should() {
        for wrong in [&b"QUJ"[..], b"QQ==QQ==", b"QQ==Q", b"Q!==", b"Q"] {
            for size in 1..=wrong.len() {
                assert!(decode(TransferEncoding::Base64, wrong, size).is_none(), "{wrong:?} {size}");
            }
        }
    }

    proptest! {
        #[test]
        fn base64_reads_back_equal(octets in prop::collection::vec(any::<u8>(), 0..200), size in 1usize..50, line in 1usize..80) {
            let text = STANDARD.encode(&octets);
            let folded: Vec<u8> = text.as_bytes().chunks(line).flat_map(|l| [l, b"\r\n"].concat()).collect();
            prop_assert_eq!(decode(TransferEncoding::Base64, &folded, size), Some(octets));
        }
    }
}
