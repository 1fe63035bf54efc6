//! From a file to an envelope and its parts, whatever tool wrote the file.

use crate::ebms::Code;
use crate::mime::{self, ContentType, Event, PartHeaders, PushParser, check_start};

/// What a file holds.
#[derive(Default)]
pub(super) struct Captured {
    /// Whether it is a multipart.
    pub multipart: bool,
    /// The XML; `None` when none was found.
    pub root: Option<Vec<u8>>,
    /// The parts behind the root.
    pub parts: Vec<RawPart>,
    /// What is wrong with the packaging.
    pub problems: Vec<(Code, String)>,
}

/// A part, transfer encoding undone.
pub(super) struct RawPart {
    pub headers: PartHeaders,
    pub octets: Vec<u8>,
}

/// Takes a file apart. `content_type` overrides what is found or guessed.
pub(super) fn read(octets: &[u8], content_type: Option<&str>) -> Captured {
    let content = octets.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(octets).trim_ascii_start();
    let (headers, body) = split_headers(content);
    let header =
        |name: &str| headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str());
    let dechunked = match header("transfer-encoding") {
        Some(coding) if coding.eq_ignore_ascii_case("chunked") => dechunk(body),
        _ => None,
    };
    let body = dechunked.as_deref().unwrap_or(body);
    match content_type.or(header("content-type")) {
        Some(value) => match ContentType::parse(value) {
            Ok(kind) if kind.media_type.starts_with("multipart/") => multipart(body, &kind),
            Ok(_) => guess(body),
            Err(error) => {
                Captured { problems: vec![(Code::MimeInconsistency, error.to_string())], ..guess(body) }
            }
        },
        None => guess(body),
    }
}

fn guess(body: &[u8]) -> Captured {
    let content = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii_start();
    match content {
        [b'-', b'-', rest @ ..] => {
            let line = rest.split(|octet| *octet == b'\n').next().unwrap_or_default().trim_ascii_end();
            let kind = ContentType {
                media_type: "multipart/related".into(),
                parameters: vec![("boundary".into(), String::from_utf8_lossy(line).into_owned())],
            };
            multipart(content, &kind)
        }
        [b'<', ..] => Captured { root: Some(content.to_vec()), ..Captured::default() },
        // UTF-16, which white space cannot be trimmed from.
        [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] => Captured { root: Some(body.to_vec()), ..Captured::default() },
        _ => Captured {
            problems: vec![(
                Code::MimeInconsistency,
                "neither XML nor a MIME boundary is where it should be".into(),
            )],
            ..Captured::default()
        },
    }
}

fn multipart(body: &[u8], kind: &ContentType) -> Captured {
    let mut captured = Captured { multipart: true, ..Captured::default() };
    let mut all: Vec<RawPart> = Vec::new();
    let mut open = false;
    let limits = mime::Limits { root_octets: 64 << 20, ..mime::Limits::default() };
    let parsed = PushParser::new(kind, limits).and_then(|mut parser| {
        parser.push(body, &mut |event| -> Result<(), mime::Error> {
            match event {
                Event::PartStart(headers) => {
                    all.push(RawPart { headers, octets: Vec::new() });
                    open = true;
                }
                Event::Data(octets) => {
                    if let Some(part) = all.last_mut() {
                        part.octets.extend_from_slice(octets);
                    }
                }
                Event::PartEnd => open = false,
                Event::End => {}
            }
            Ok(())
        })?;
        parser.finish()
    });
    if let Err(error) = parsed {
        let truncated = matches!(error, mime::Error::Truncated(_)) && all.len() > 1;
        let code = if truncated { Code::ExternalPayloadError } else { Code::MimeInconsistency };
        captured.problems.push((code, error.to_string()));
    }
    if open {
        all.pop();
    }
    let mut parts = all.into_iter();
    if let Some(root) = parts.next() {
        if let Err(error) = check_start(kind, &root.headers) {
            captured.problems.push((Code::MimeInconsistency, error.to_string()));
        }
        captured.root = Some(root.octets.trim_ascii_start().to_vec());
    }
    captured.parts = parts.collect();
    let ids = captured.parts.iter().filter_map(|part| part.headers.content_id.as_deref());
    if let Some(twice) = mime::first_duplicate(ids) {
        captured.problems.push((Code::MimeInconsistency, format!("two parts have the Content-ID {twice}")));
    }
    captured
}

/// HTTP start line and header lines up to the first empty line; nothing when the file does not begin with such.
fn split_headers(content: &[u8]) -> (Vec<(String, String)>, &[u8]) {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut rest = content;
    let mut first = true;
    while let Some(end) = rest.iter().position(|octet| *octet == b'\n') {
        let line = String::from_utf8_lossy(rest[..end].trim_ascii_end()).into_owned();
        rest = &rest[end + 1..];
        let is_start = first && is_start_line(&line);
        first = false;
        if line.is_empty() {
            return (headers, rest);
        }
        match (line.split_once(':'), line.starts_with([' ', '\t']), headers.last_mut()) {
            _ if is_start => {}
            (_, true, Some((_, value))) => {
                value.push(' ');
                value.push_str(line.trim());
            }
            (Some((name, value)), false, _) if is_header_name(name) => {
                headers.push((name.to_owned(), value.trim().to_owned()));
            }
            _ => return (Vec::new(), content),
        }
    }
    (Vec::new(), content)
}

fn is_start_line(line: &str) -> bool {
    line.starts_with("HTTP/") || line.ends_with("HTTP/1.1") || line.ends_with("HTTP/1.0")
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&c))
        && !name.starts_with("--")
}

/// Undoes the chunked transfer coding; `None` when the body is not chunked after all, as in captures made above HTTP.
fn dechunk(body: &[u8]) -> Option<Vec<u8>> {
    let (mut rest, mut whole) = (body, Vec::new());
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = std::str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
}
