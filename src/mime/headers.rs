//! The header block of one part.

use super::{Error, cid::without_brackets};

/// How a part's octets are written (RFC 2045 6). 7bit, 8bit and binary are the octets themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransferEncoding {
    /// 7bit, 8bit, binary, or no such header.
    #[default]
    Identity,
    /// base64.
    Base64,
    /// quoted-printable.
    QuotedPrintable,
}

/// The headers of one part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartHeaders {
    /// Content-Type as written.
    pub content_type: Option<String>,
    /// The media type in it, lower case; `text/plain` when there is no such header (RFC 2046 5.1).
    pub media_type: String,
    /// Content-ID without angle brackets.
    pub content_id: Option<String>,
    /// Content-Transfer-Encoding; the parser has already undone it.
    pub transfer_encoding: TransferEncoding,
    /// All headers as written, unfolded, in order.
    pub all: Vec<(String, String)>,
}

impl PartHeaders {
    /// The first header with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Reads the lines of a block (without the empty one that ends it). `part` is for the error.
pub(super) fn parse(block: &[u8], part: usize, max_headers: usize) -> Result<PartHeaders, Error> {
    let mut all: Vec<(String, String)> = Vec::new();
    for line in block.split(|c| *c == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let text = text_of(line);
        let malformed = || Error::Header { part, line: text.chars().take(80).collect() };
        if text.starts_with([' ', '\t']) {
            let (_, value) = all.last_mut().ok_or_else(malformed)?;
            value.push(' ');
            value.push_str(text.trim());
            continue;
        }
        let (name, value) = text.split_once(':').ok_or_else(malformed)?;
        let name = name.trim_end();
        if name.is_empty() || !name.bytes().all(|c| c.is_ascii_graphic()) {
            return Err(malformed());
        }
        if all.len() == max_headers {
            return Err(Error::TooMuch { limit: max_headers as u64, what: "headers in one part" });
        }
        all.push((name.to_owned(), value.trim().to_owned()));
    }
    interpret(all, part)
}

fn interpret(all: Vec<(String, String)>, part: usize) -> Result<PartHeaders, Error> {
    let once = |name: &str| -> Result<Option<String>, Error> {
        let mut found =
            all.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone());
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(Error::HeaderTwice { part, name: name.to_owned() }),
            (first, None) => Ok(first),
        }
    };
    let content_type = once("Content-Type")?;
    let media_type =
        content_type.as_deref().and_then(|value| value.split(';').next()).unwrap_or("text/plain");
    let media_type = media_type.trim().to_ascii_lowercase();
    let content_id = once("Content-ID")?.map(|id| without_brackets(&id).to_owned());
    let transfer_encoding = transfer_encoding(once("Content-Transfer-Encoding")?, part)?;
    Ok(PartHeaders { content_type, media_type, content_id, transfer_encoding, all })
}

fn transfer_encoding(value: Option<String>, part: usize) -> Result<TransferEncoding, Error> {
    let Some(value) = value else { return Ok(TransferEncoding::Identity) };
    match value.to_ascii_lowercase().as_str() {
        "binary" | "7bit" | "8bit" => Ok(TransferEncoding::Identity),
        "base64" => Ok(TransferEncoding::Base64),
        "quoted-printable" => Ok(TransferEncoding::QuotedPrintable),
        _ => Err(Error::TransferEncoding { part, encoding: value.chars().take(80).collect() }),
    }
}

/// UTF-8, or else Latin-1: header octets are seldom anything but ASCII, and never a reason to refuse.
fn text_of(line: &[u8]) -> String {
    match std::str::from_utf8(line) {
        Ok(text) => text.to_owned(),
        Err(_) => line.iter().map(|&octet| char::from(octet)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_and_odd_headers_are_read() {
        let block = b"Content-Type: Application/XML;\r\n charset=utf-8\r\nContent-ID: <a@b>\ncontent-transfer-encoding:BASE64";
        let headers = parse(block, 0, 10).unwrap();
        assert_eq!(headers.content_type.as_deref(), Some("Application/XML; charset=utf-8"));
        assert_eq!(headers.media_type, "application/xml");
        assert_eq!(headers.content_id.as_deref(), Some("a@b"));
        assert_eq!(headers.transfer_encoding, TransferEncoding::Base64);
        assert_eq!(headers.header("CONTENT-id"), Some("<a@b>"));
        assert_eq!(parse(b"", 0, 10).unwrap().media_type, "text/plain");
    }

    #[test]
    fn ambiguous_headers_are_refused() {
        assert!(matches!(
            parse(b"Content-ID: <a>\nContent-id: <b>", 3, 9),
            Err(Error::HeaderTwice { part: 3, .. })
        ));
        assert!(matches!(parse(b"no colon here", 0, 9), Err(Error::Header { .. })));
        assert!(matches!(parse(b" folded first", 0, 9), Err(Error::Header { .. })));
        assert!(matches!(parse(b"a: 1\nb: 2\nc: 3", 0, 2), Err(Error::TooMuch { limit: 2, .. })));
        assert!(parse(b"Content-Transfer-Encoding: uuencode", 0, 9).is_err());
    }
}
