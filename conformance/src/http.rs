//! A small HTTP client for the loopback interfaces of a node (backend and administration, plain HTTP).

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// An answer, read whole.
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Content-Type, empty when absent.
    pub content_type: String,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; an error names the status and what came instead.
    pub fn json(&self) -> Result<Value> {
        let text = String::from_utf8_lossy(&self.body);
        if !self.status.is_success() {
            bail!("HTTP {}: {}", self.status.as_u16(), text.trim());
        }
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {text}"))
    }
}

/// A request with a body in memory.
pub type Asked = Request<Full<Bytes>>;

/// Brings requests to a node, each on a connection of its own.
pub trait Ask: Send + Sync {
    /// One request, and its answer.
    fn ask(&self, to: SocketAddr, request: Asked) -> BoxFuture<'_, Result<Answer>>;
}

/// Over the system's TCP.
pub struct Sockets;

impl Ask for Sockets {
    fn ask(&self, to: SocketAddr, request: Asked) -> BoxFuture<'_, Result<Answer>> {
        exchange(to, request).boxed()
    }
}

/// One request on a connection of its own.
pub async fn request(
    to: SocketAddr,
    method: Method,
    path: &str,
    content_type: &str,
    body: impl Into<Bytes>,
) -> Result<Answer> {
    request_by(&Sockets, to, method, path, (content_type, body.into())).await
}

/// The same by whoever brings it.
///
/// # Errors
/// The connection's.
pub async fn request_by(
    by: &dyn Ask,
    to: SocketAddr,
    method: Method,
    path: &str,
    (content_type, body): (&str, Bytes),
) -> Result<Answer> {
    let mut builder = Request::builder().method(method).uri(path).header("host", to.to_string());
    if !content_type.is_empty() {
        builder = builder.header("content-type", content_type);
    }
    by.ask(to, builder.body(Full::new(body))?).await
}

/// One request of XML in somebody's name.
pub async fn authorized(
    to: SocketAddr,
    method: Method,
    path: &str,
    login: &str,
    body: String,
) -> Result<Answer> {
    let builder = Request::builder().method(method).uri(path).header("host", to.to_string());
    let builder = builder.header("content-type", "application/xml").header("authorization", login);
    exchange(to, builder.body(Full::new(body.into()))?).await
}

async fn exchange(to: SocketAddr, request: Asked) -> Result<Answer> {
    let stream = TcpStream::connect(to).await.with_context(|| format!("cannot connect to {to}"))?;
    exchange_on(stream, request).await
}

/// One request on a connection that is there already.
///
/// # Errors
/// The connection's.
pub async fn exchange_on(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Asked,
) -> Result<Answer> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let kind = response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let content_type = kind.to_owned();
    let body = response.into_body().collect().await?.to_bytes();
    Ok(Answer { status, content_type, body })
}

/// GET, as JSON.
pub async fn get(to: SocketAddr, path: &str) -> Result<Value> {
    get_by(&Sockets, to, path).await
}

/// The same by whoever brings it.
///
/// # Errors
/// The connection's, and what is no JSON.
pub async fn get_by(by: &dyn Ask, to: SocketAddr, path: &str) -> Result<Value> {
    let answer = request_by(by, to, Method::GET, path, ("", Bytes::new())).await?;
    answer.json().with_context(|| format!("GET {path}"))
}

/// POST of JSON, answered with JSON.
pub async fn post(to: SocketAddr, path: &str, body: &Value) -> Result<Value> {
    let answer = request(to, Method::POST, path, "application/json", body.to_string()).await?;
    answer.json().with_context(|| format!("POST {path}"))
}

/// One part of a multipart body.
pub struct Part {
    /// Content-ID without brackets.
    pub id: String,
    /// Content-Type.
    pub content_type: String,
    /// File name, where there is one.
    pub name: Option<String>,
    /// Octets.
    pub body: Vec<u8>,
}

impl Part {
    /// A part without a file name.
    pub fn new(id: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { id: id.into(), content_type: content_type.into(), name: None, body: body.into() }
    }

    /// A file under its own name.
    pub fn file(id: &str, content_type: &str, path: &Path) -> Result<Self> {
        let body = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(Self { name, ..Self::new(id, content_type, body) })
    }
}

/// A multipart/related body and its Content-Type.
pub fn multipart(parts: &[Part]) -> (String, Vec<u8>) {
    let boundary = format!("b-{}", uuid::Uuid::new_v4().simple());
    let mut body = Vec::new();
    for part in parts {
        body.extend_from_slice(format!("--{boundary}\r\nContent-Type: {}\r\n", part.content_type).as_bytes());
        body.extend_from_slice(format!("Content-ID: <{}>\r\n", part.id).as_bytes());
        if let Some(name) = &part.name {
            let line = format!("Content-Disposition: attachment; filename=\"{name}\"\r\n");
            body.extend_from_slice(line.as_bytes());
        }
        body.extend_from_slice(b"Content-Transfer-Encoding: binary\r\n\r\n");
        body.extend_from_slice(&part.body);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let kind = parts.first().map(|p| p.content_type.as_str()).unwrap_or("application/octet-stream");
    (format!("multipart/related; boundary=\"{boundary}\"; type=\"{kind}\""), body)
}
