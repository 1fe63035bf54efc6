//! Submissions, a chunk at a time: however large a payload is, nothing here holds it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::Request;
use hyper::body::{Body, Frame};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;

use super::Content;
use crate::world::{ENVELOPE, PROCESS};

/// Connections on which submissions come.
const LANES: usize = 8;
const BOUNDARY: &str = "tilts-bench";

/// Hands in payloads of one kind and size, with the numbers that follow `count`, and counts what was taken over.
pub(super) async fn hand_in(
    to: SocketAddr,
    messages: usize,
    (content, octets): (Content, u64),
    count: &AtomicUsize,
) -> Result<()> {
    let first = count.load(Ordering::Relaxed);
    let lanes = (0..LANES).map(|lane| {
        let numbers = (first + lane..first + messages).step_by(LANES);
        submit_all(to, numbers, content, octets, count)
    });
    futures_util::future::try_join_all(lanes).await.map(drop)
}

/// One kept connection that submits one message after the other.
async fn submit_all(
    to: SocketAddr,
    numbers: impl Iterator<Item = usize>,
    content: Content,
    octets: u64,
    count: &AtomicUsize,
) -> Result<()> {
    let stream = TcpStream::connect(to).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    for number in numbers {
        sender.ready().await?;
        let response = sender.send_request(submission(to, number, content, octets)?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status == 201, "HTTP {status}: {}", String::from_utf8_lossy(&body));
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// A description and one payload as multipart/related.
fn submission(
    to: SocketAddr,
    number: usize,
    content: Content,
    octets: u64,
) -> Result<Request<impl Body<Data = Bytes, Error = Infallible> + Send>> {
    let description = json!({
        "client_id": format!("bench-{number}"), "original_sender": "to-a::bench", "document_type": ENVELOPE,
        "process": PROCESS, "recipients": [{ "participant": "to-b::bench" }],
    });
    let head = format!(
        "--{BOUNDARY}\r\nContent-Type: application/json\r\nContent-ID: <description>\r\n\r\n{description}\r\n--{BOUNDARY}\r\n\
         Content-Type: {}\r\nContent-ID: <payload>\r\nContent-Transfer-Encoding: binary\r\n\r\n",
        content.media_type()
    );
    let end = format!("\r\n--{BOUNDARY}--\r\n");
    let length = head.len() as u64 + octets + end.len() as u64;
    let chunks = content.chunks(number as u64, octets);
    let chunks = [Bytes::from(head)].into_iter().chain(chunks).chain([Bytes::from(end)]);
    let body = StreamBody::new(stream::iter(chunks.map(|chunk| Ok(Frame::data(chunk)))));
    Ok(Request::post("/v1/submissions?backend=all")
        .header("host", to.to_string())
        .header("content-length", length)
        .header(
            "content-type",
            format!("multipart/related; boundary=\"{BOUNDARY}\"; type=\"application/json\""),
        )
        .body(body)?)
}
