//! A multipart request body, streamed: the first part into memory, each further one into the spool.

use std::io::Write;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use http_body_util::BodyExt;

use super::Desk;
use super::error::Problem;
use crate::backend::document::Part;
use crate::backend::submission::DESCRIPTION as FIRST;
use crate::mime::{ContentType, Event, Limits, PartHeaders, PushParser};
use crate::store::{Keep, SpoolWriter, StagedPayload};
use crate::thread;

/// A request taken apart.
pub(super) struct Staged {
    /// The first part: description or envelope.
    pub first: Vec<u8>,
    /// The payloads.
    pub parts: Vec<Part>,
}

/// Reads a multipart body; a body of another type is its own first part.
pub(super) async fn stage(desk: &Desk, headers: &HeaderMap, mut body: Body) -> Result<Staged, Problem> {
    desk.office.store.check_taking()?;
    let text = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let content_type =
        ContentType::parse(text).map_err(|e| Problem::invalid(format!("Content-Type {text:?}: {e}")))?;
    let mut intake = Intake::new(desk);
    if !content_type.media_type.starts_with("multipart/") {
        while let Some(chunk) = chunk(&mut body).await? {
            intake.first(&chunk)?;
        }
        return Ok(Staged { first: intake.first, parts: Vec::new() });
    }
    let limits = Limits { root_octets: FIRST, body_octets: u64::MAX, parts: 200, ..Limits::default() };
    let mut parser = PushParser::new(&content_type, limits).map_err(|e| Problem::invalid(e.to_string()))?;
    while let Some(chunk) = chunk(&mut body).await? {
        thread::work(chunk.len(), || parser.push(&chunk, &mut |event| intake.take(event)))?;
    }
    parser.finish().map_err(|e| Problem::invalid(format!("the request is not complete: {e}")))?;
    Ok(Staged { first: intake.first, parts: intake.parts })
}

async fn chunk(body: &mut Body) -> Result<Option<bytes::Bytes>, Problem> {
    match body.frame().await {
        None => Ok(None),
        Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
        Some(Err(error)) => Err(Problem::invalid(format!("the request broke off: {error}"))),
    }
}

struct Intake<'d> {
    desk: &'d Desk,
    first: Vec<u8>,
    parts: Vec<Part>,
    begun: usize,
    current: Option<(PartHeaders, SpoolWriter)>,
}

impl<'d> Intake<'d> {
    fn new(desk: &'d Desk) -> Self {
        Self { desk, first: Vec::new(), parts: Vec::new(), begun: 0, current: None }
    }

    fn first(&mut self, octets: &[u8]) -> Result<(), Problem> {
        if (self.first.len() + octets.len()) as u64 > FIRST {
            return Err(Problem::too_large(format!("the description is larger than {FIRST} octets")));
        }
        self.first.extend_from_slice(octets);
        Ok(())
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), Problem> {
        match event {
            Event::PartStart(headers) => {
                self.begun += 1;
                if self.begun > 1 {
                    let writer = self.desk.office.store.spool().writer_keeping(Keep::Compressed);
                    self.current = Some((headers, writer));
                }
                Ok(())
            }
            Event::Data(octets) => match &mut self.current {
                None => self.first(octets),
                Some((_, writer)) => write(writer, octets, self.desk.office.payload_octets),
            },
            Event::PartEnd => match self.current.take() {
                Some((headers, writer)) => self.end(headers, writer),
                None => Ok(()),
            },
            Event::End => Ok(()),
        }
    }

    fn end(&mut self, headers: PartHeaders, writer: SpoolWriter) -> Result<(), Problem> {
        let staged: StagedPayload = writer.finish()?;
        // A disposition has the grammar of a media type, but for the slash.
        let disposition = headers.header("Content-Disposition").map(|value| format!("disposition/{value}"));
        let disposition = disposition.and_then(|value| ContentType::parse(&value).ok());
        let parameter = |name: &str| disposition.as_ref().and_then(|d| d.parameter(name)).map(str::to_owned);
        let id = headers.content_id.clone().or_else(|| parameter("name"));
        let id = id.unwrap_or_else(|| format!("part-{}", self.begun - 1));
        if self.parts.iter().any(|known| known.id == id) {
            return Err(Problem::invalid(format!("two parts are called {id:?}")));
        }
        let media_type = match headers.content_type {
            Some(_) => headers.media_type,
            None => "application/octet-stream".into(),
        };
        let content_id = headers.content_id.clone();
        self.parts.push(Part { id, content_id, media_type, name: parameter("filename"), staged });
        Ok(())
    }
}

fn write(writer: &mut SpoolWriter, octets: &[u8], limit: u64) -> Result<(), Problem> {
    if writer.size() + octets.len() as u64 > limit {
        return Err(Problem::too_large(format!("a part is larger than {limit} octets")));
    }
    writer.write_all(octets).map_err(|error| {
        tracing::error!(%error, "the spool cannot be written");
        Problem::unavailable()
    })
}

impl From<crate::mime::Error> for Problem {
    fn from(error: crate::mime::Error) -> Self {
        Problem::invalid(format!("the multipart body: {error}"))
    }
}
