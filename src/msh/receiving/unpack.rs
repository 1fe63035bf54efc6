//! Stage 1: from the request to the parsed envelope; payload octets stay in the connection.
//!
//! Raises EBMS:0007 (MIME) and EBMS:0009 (XML, SOAP), and the HTTP statuses 400, 405, 408, 413 and 415.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Method, Request, StatusCode};

use super::super::Node;
use super::reject::Refusal;
use crate::ebms::Code;
use crate::mime::{self, ContentType, Event, PartHeaders, PushParser};
use crate::soap;
use crate::transport::body::RequestBody;
use crate::wssec::Document;

/// An envelope, and the rest of the request behind it.
pub(super) struct Unpacked {
    /// The SOAP envelope.
    pub document: Document,
    /// The rest; `None` when the message has no MIME parts.
    pub rest: Option<Rest>,
}

/// What follows the envelope.
pub(super) struct Rest {
    /// Events that came in the same chunk as the end of the envelope.
    pub pending: Vec<Seen>,
    /// Knows where in the body we are.
    pub parser: PushParser,
    /// The octets not read yet.
    pub body: RequestBody,
    /// Content-ID of the envelope, which no part may have again.
    pub root: Option<String>,
}

/// A MIME event that outlives its chunk.
pub(super) enum Seen {
    /// A part begins.
    Start(PartHeaders),
    /// Octets of it.
    Data(Bytes),
    /// It ends.
    End,
    /// The closing boundary.
    Close,
}

impl Seen {
    /// Octets of payload in it.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Data(octets) => octets.len(),
            Self::Start(_) | Self::End | Self::Close => 0,
        }
    }
}

/// Reads the request up to the end of the SOAP envelope.
pub(super) async fn unpack(node: &Node, request: Request<RequestBody>) -> Result<Unpacked, Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::http(
            StatusCode::METHOD_NOT_ALLOWED,
            "this endpoint takes AS4 messages by POST",
        ));
    }
    let content_type = content_type(&request)?;
    let body = request.into_body();
    match content_type.media_type.as_str() {
        "multipart/related" => multipart(node, &content_type, body).await,
        soap::MEDIA_TYPE => plain(node, body).await,
        other => Err(unsupported(other)),
    }
}

fn content_type(request: &Request<RequestBody>) -> Result<ContentType, Refusal> {
    let header = request.headers().get(hyper::header::CONTENT_TYPE);
    let text = header.and_then(|value| value.to_str().ok()).ok_or_else(|| {
        Refusal::http(
            StatusCode::BAD_REQUEST,
            "no Content-Type: send multipart/related or application/soap+xml",
        )
    })?;
    let parsed = ContentType::parse(text)
        .map_err(|e| Refusal::http(StatusCode::BAD_REQUEST, format!("Content-Type {text:?}: {e}")))?;
    match parsed.parameter("type") {
        Some(root) if parsed.media_type == "multipart/related" && !root.starts_with(soap::MEDIA_TYPE) => {
            Err(unsupported(root))
        }
        _ => Ok(parsed),
    }
}

fn unsupported(media_type: &str) -> Refusal {
    let text = format!("{media_type} is not taken here: AS4 is SOAP 1.2, application/soap+xml");
    Refusal::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
}

/// A message without MIME: the body is the envelope.
async fn plain(node: &Node, mut body: RequestBody) -> Result<Unpacked, Refusal> {
    let mut envelope = Vec::new();
    while let Some(chunk) = next_chunk(&mut body).await? {
        if envelope.len() + chunk.len() > node.limits.xml.max_octets {
            return Err(Refusal::http(StatusCode::PAYLOAD_TOO_LARGE, "the SOAP envelope is too large"));
        }
        envelope.extend_from_slice(&chunk);
    }
    Ok(Unpacked { document: parse(node, &envelope)?, rest: None })
}

async fn multipart(
    node: &Node,
    content_type: &ContentType,
    mut body: RequestBody,
) -> Result<Unpacked, Refusal> {
    let mut parser = PushParser::new(content_type, node.limits.mime)?;
    let mut root = Root::default();
    while !root.complete {
        let chunk = next_chunk(&mut body).await?.ok_or_else(|| truncated("the end of the SOAP envelope"))?;
        parser.push(&chunk, &mut |event| root.take(content_type, event))?;
    }
    let document = parse(node, &root.envelope)?;
    Ok(Unpacked { document, rest: Some(Rest { pending: root.pending, parser, body, root: root.id }) })
}

/// The next chunk of a body; `None` at its end. A connection that breaks says nothing about the message: were it told
/// EBMS:0007, its sender would give up.
pub(super) async fn next_chunk(body: &mut RequestBody) -> Result<Option<Bytes>, Refusal> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                Err(_trailers) => {}
            },
            Some(Err(error)) => return Err(Refusal::broken_off(error.to_string())),
        }
    }
}

pub(super) fn truncated(what: &str) -> Refusal {
    Refusal::new(Code::MimeInconsistency, format!("the request broke off before {what}"))
}

fn parse(node: &Node, envelope: &[u8]) -> Result<Document, Refusal> {
    Document::parse(envelope, &node.limits.xml).map_err(|e| Refusal::new(Code::InvalidHeader, e.to_string()))
}

/// Collects the first part and keeps whatever comes behind it in the same chunk.
#[derive(Default)]
struct Root {
    begun: bool,
    id: Option<String>,
    complete: bool,
    envelope: Vec<u8>,
    pending: Vec<Seen>,
}

impl Root {
    fn take(&mut self, content_type: &ContentType, event: Event<'_>) -> Result<(), Refusal> {
        if self.complete {
            self.pending.push(Seen::of(event));
            return Ok(());
        }
        match event {
            Event::PartStart(headers) if !self.begun => {
                mime::check_start(content_type, &headers)?;
                if headers.media_type != soap::MEDIA_TYPE {
                    return Err(unsupported(&headers.media_type));
                }
                self.id = headers.content_id;
                self.begun = true;
            }
            Event::Data(octets) => self.envelope.extend_from_slice(octets),
            Event::PartEnd => self.complete = true,
            Event::PartStart(_) | Event::End => return Err(truncated("the SOAP envelope")),
        }
        Ok(())
    }
}

impl Seen {
    /// A copy of an event.
    pub(super) fn of(event: Event<'_>) -> Self {
        match event {
            Event::PartStart(headers) => Self::Start(headers),
            Event::Data(octets) => Self::Data(Bytes::copy_from_slice(octets)),
            Event::PartEnd => Self::End,
            Event::End => Self::Close,
        }
    }
}

impl From<mime::Error> for Refusal {
    fn from(error: mime::Error) -> Self {
        Refusal::new(Code::MimeInconsistency, error.to_string())
    }
}
