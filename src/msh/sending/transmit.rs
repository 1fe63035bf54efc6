//! Stage 4: over the network. Payloads go from the spool through the cipher into the socket, a chunk at a time.

use std::io;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use tokio::sync::mpsc;

use super::super::Node;
use super::plan::Unplanned;
use super::seal::Sealed;
use crate::store::{self, Octets};
use crate::transport::body::{OutgoingBody, channel, full};
use crate::transport::{Request, Response};
use crate::wssec::ContentKey;
use crate::{soap, thread};

/// Octets that are read, encrypted and handed on at a time.
const CHUNK: usize = 128 * 1024;
/// Chunks that wait for the socket at most.
const WAITING: usize = 3;
/// A body up to this size is made in memory: one write, no worker thread.
const SMALL: u64 = 512 * 1024;
/// Largest answer that is read.
const ANSWER: usize = 1 << 20;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsent {
    /// The payload could not be opened; nothing was sent.
    #[error("the payload cannot be read: {0}")]
    Payload(store::Error),
    /// The network.
    #[error(transparent)]
    Transport(#[from] crate::transport::Error),
    /// There is no client for the route.
    #[error("no HTTPS client is configured for {0:?}")]
    NoClient(String),
}

/// The payloads in order, opened; or why one cannot be.
pub(super) type Opened = Result<Vec<Octets>, store::Error>;

/// Opens the payloads. What cannot be had at this moment is found here, before an attempt begins.
pub(super) async fn open(node: &Node, sealed: &Sealed<'_>) -> Result<Opened, Unplanned> {
    let mut readers = Vec::with_capacity(sealed.packaged.parts.len());
    for part in &sealed.packaged.parts {
        match node.store.open_payload(part.part.payload, part.form).await {
            // The peer compares them with what is signed.
            Ok(reader) => readers.push(reader.unchecked()),
            Err(error) if error.is_passing() => {
                let steps = sealed.packaged.planned.message.lookup.clone();
                let steps = steps.unwrap_or(Value::Array(Vec::new()));
                return Err(Unplanned::Later { reason: error.to_string(), steps });
            }
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(readers))
}

/// Sends the message and reads the answer.
pub(super) async fn transmit(node: &Node, sealed: &Sealed<'_>, payloads: Opened) -> Result<Response, Unsent> {
    let payloads = payloads.map_err(Unsent::Payload)?;
    let planned = &sealed.packaged.planned;
    let client = node.clients.get(&planned.client).ok_or_else(|| Unsent::NoClient(planned.client.clone()))?;
    let (content_type, content_length) = match &sealed.layout {
        Some(layout) => (layout.content_type().to_owned(), layout.content_length()),
        None => (soap::CONTENT_TYPE.to_owned(), sealed.envelope.len() as u64),
    };
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&content_type) {
        headers.insert(CONTENT_TYPE, value);
    }
    let body = body(sealed, payloads, content_length)?;
    let request = Request {
        method: Method::POST,
        url: planned.endpoint.url.clone(),
        headers,
        body,
        content_length,
        max_response: ANSWER,
    };
    Ok(client.send(request).await?)
}

fn body(sealed: &Sealed<'_>, payloads: Vec<Octets>, length: u64) -> Result<OutgoingBody, Unsent> {
    let Some(layout) = &sealed.layout else { return Ok(full(sealed.envelope.clone())) };
    let mut pieces = vec![Piece::Octets(Bytes::from([layout.before(0), &sealed.envelope].concat()))];
    for (index, reader) in payloads.into_iter().enumerate() {
        pieces.push(Piece::Octets(Bytes::copy_from_slice(layout.before(index + 1))));
        pieces.push(Piece::Payload(reader));
    }
    pieces.push(Piece::Octets(Bytes::copy_from_slice(layout.after())));
    let key = sealed.content_key.clone();
    if length <= SMALL {
        return in_memory(pieces, key.as_ref(), length);
    }
    let (sender, body) = channel(WAITING);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = produce(pieces, key.as_ref(), &mut |chunk| give(&sender, chunk)) {
            // The connection breaks off and the peer sees a truncated message: never a wrong one.
            let _ = sender.blocking_send(Err(error));
        }
    });
    Ok(body)
}

enum Piece {
    Octets(Bytes),
    Payload(Octets),
}

fn in_memory(pieces: Vec<Piece>, key: Option<&ContentKey>, length: u64) -> Result<OutgoingBody, Unsent> {
    let mut all = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    let made = thread::work(all.capacity(), || {
        produce(pieces, key, &mut |chunk| {
            all.extend_from_slice(&chunk);
            Ok(())
        })
    });
    made.map_err(|e| Unsent::Payload(store::Error::of_reading(&e)))?;
    Ok(full(all))
}

fn give(sender: &mpsc::Sender<io::Result<Bytes>>, chunk: Bytes) -> io::Result<()> {
    sender.blocking_send(Ok(chunk)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
}

type Take<'t> = &'t mut dyn FnMut(Bytes) -> io::Result<()>;

fn produce(pieces: Vec<Piece>, key: Option<&ContentKey>, take: Take<'_>) -> io::Result<()> {
    for piece in pieces {
        match (piece, key) {
            (Piece::Octets(octets), _) => take(octets)?,
            (Piece::Payload(reader), Some(key)) => encrypted(reader, key, take)?,
            (Piece::Payload(reader), None) => {
                chunks(reader, &mut |chunk| take(Bytes::copy_from_slice(chunk)))?
            }
        }
    }
    Ok(())
}

fn encrypted(reader: Octets, key: &ContentKey, take: Take<'_>) -> io::Result<()> {
    let mut cipher = key.encryptor().map_err(io::Error::other)?;
    chunks(reader, &mut |chunk| {
        let mut out = Vec::new();
        cipher.push(chunk, &mut out).map_err(io::Error::other)?;
        take(Bytes::from(out))
    })?;
    let mut tag = Vec::new();
    cipher.finish(&mut tag).map_err(io::Error::other)?;
    take(Bytes::from(tag))
}

fn chunks(mut reader: Octets, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    loop {
        let there = reader.fill_buf()?;
        let count = there.len().min(CHUNK);
        if count == 0 {
            return Ok(());
        }
        take(&there[..count])?;
        reader.consume(count);
    }
}
