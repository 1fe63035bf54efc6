//! The client: one request, one answer, no redirect, no guess about what the peer may have read.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use super::body::{Counted, OutgoingBody, Progress};
use super::connector::Connector;
use super::egress::absolute;
use super::{ClientTls, Egress, Error, Network, PeerTls, Resolve, Sent};

/// Time-outs of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// For resolving, connecting and the TLS handshake together.
    pub connect: Duration,
    /// Without an octet moving in either direction while a body is on its way.
    pub idle: Duration,
    /// From the last octet of the request to the head of the answer.
    pub answer: Duration,
    /// For the whole exchange.
    pub total: Duration,
}

impl Default for ClientTimeouts {
    /// 10 s to connect, 60 s idle, 300 s for the answer (the peer may check a large message), 3600 s in total.
    fn default() -> Self {
        let [connect, idle, answer, total] = [10, 60, 300, 3600].map(Duration::from_secs);
        Self { connect, idle, answer, total }
    }
}

/// Everything that makes a client: one for each partner or domain.
#[derive(Clone, Default)]
pub struct ClientConfig {
    /// TLS.
    pub tls: ClientTls,
    /// Where it may go.
    pub egress: Egress,
    /// How long it may take.
    pub timeouts: ClientTimeouts,
    /// Who turns host names into addresses; the system when absent.
    pub resolver: Option<Arc<dyn Resolve>>,
    /// What makes the connections; the system when absent.
    pub network: Option<Arc<dyn Network>>,
}

/// A request to be sent.
pub struct Request {
    /// GET or POST; of an object store also others.
    pub method: Method,
    /// Absolute `https:` (or, where the gate permits it, `http:`) address.
    pub url: String,
    /// Headers besides Host, Content-Length and User-Agent.
    pub headers: HeaderMap,
    /// The body.
    pub body: OutgoingBody,
    /// Its exact length in octets.
    pub content_length: u64,
    /// The answer may not be larger than this, in octets.
    pub max_response: usize,
}

impl Request {
    /// A GET without a body.
    pub fn get(url: impl Into<String>, max_response: usize) -> Self {
        let body = super::body::full(Bytes::new());
        Self {
            method: Method::GET,
            url: url.into(),
            headers: HeaderMap::new(),
            body,
            content_length: 0,
            max_response,
        }
    }

    /// A POST of octets in memory.
    pub fn post(
        url: impl Into<String>,
        content_type: HeaderValue,
        octets: impl Into<Bytes>,
        max_response: usize,
    ) -> Self {
        let octets = octets.into();
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type)]);
        let content_length = octets.len() as u64;
        let body = super::body::full(octets);
        Self { method: Method::POST, url: url.into(), headers, body, content_length, max_response }
    }
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status; a redirect is an answer like any other.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What TLS says of the peer; empty over plain HTTP.
    pub peer: PeerTls,
    /// `Nothing` when the peer answered before the whole request was handed over.
    pub sent: Sent,
}

/// Sends requests over a pool of connections. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pool: legacy::Client<Connector, Counted>,
    timeouts: ClientTimeouts,
    plain_http: bool,
}

impl Client {
    /// Builds the TLS context and the pool: once for each configuration, never for each request.
    pub fn new(config: ClientConfig) -> Result<Self, Error> {
        let plain_http = config.egress.plain_http;
        let timeouts = config.timeouts.clone();
        let connector = Connector::new(config)?;
        let pool = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            // Not bounded in number: what is on its way at once is, and a connection that is closed only because others
            // are idle beside it costs a handshake again.
            .pool_idle_timeout(Duration::from_secs(20))
            .build(connector);
        Ok(Self { pool, timeouts, plain_http })
    }

    /// Sends the request and reads the answer. On an error, [`Error::sent`] says whether the peer may have read it all.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        let max = request.max_response;
        let (exchange, pending) = self.begin(request)?;
        let whole = async {
            let head = exchange.until_head(pending).await?;
            exchange.read(head, max).await
        };
        let total = self.timeouts.total;
        tokio::time::timeout(total, whole).await.unwrap_or_else(|_| Err(exchange.late("finish", total)))
    }

    /// Sends the request and reads the head of the answer: its body is left to whoever calls.
    pub(super) async fn head(&self, request: Request) -> Result<hyper::Response<Incoming>, Error> {
        let (exchange, pending) = self.begin(request)?;
        exchange.until_head(pending).await
    }

    /// Its time-outs.
    pub(super) fn timeouts(&self) -> &ClientTimeouts {
        &self.timeouts
    }

    fn begin(&self, request: Request) -> Result<(Exchange<'_>, legacy::ResponseFuture), Error> {
        let url = absolute(&request.url, self.plain_http)?;
        let host = url.host().unwrap_or_default().to_owned();
        let (outgoing, progress) = self.prepare(request, url)?;
        Ok((Exchange { host, progress, timeouts: &self.timeouts }, self.pool.request(outgoing)))
    }

    fn prepare(&self, request: Request, url: Uri) -> Result<(hyper::Request<Counted>, Arc<Progress>), Error> {
        let (body, progress) = Counted::new(request.body, request.content_length);
        let mut outgoing = hyper::Request::new(body);
        *outgoing.method_mut() = request.method;
        *outgoing.uri_mut() = url;
        *outgoing.headers_mut() = request.headers;
        let headers = outgoing.headers_mut();
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("tilts/", env!("CARGO_PKG_VERSION"))),
        );
        if request.content_length > 0 || *outgoing.method() == Method::POST {
            outgoing.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(request.content_length));
        }
        Ok((outgoing, progress))
    }
}

/// One request under way.
struct Exchange<'c> {
    host: String,
    progress: Arc<Progress>,
    timeouts: &'c ClientTimeouts,
}

impl Exchange<'_> {
    fn sent(&self) -> Sent {
        if self.progress.complete() { Sent::Maybe } else { Sent::Nothing }
    }

    fn late(&self, phase: &'static str, limit: Duration) -> Error {
        Error::TimedOut { host: self.host.clone(), phase, limit, sent: self.sent() }
    }

    /// Waits for the head of the answer, as long as the request moves on or the answer is not overdue.
    async fn until_head(&self, pending: legacy::ResponseFuture) -> Result<hyper::Response<Incoming>, Error> {
        let mut pending = std::pin::pin!(pending);
        let mut moved = (self.progress.given(), self.progress.complete());
        let patience = |complete| if complete { self.timeouts.answer } else { self.timeouts.idle };
        // Connecting has its own limit in the connector; the first octet is given only after it.
        let mut deadline = Instant::now() + self.timeouts.connect + patience(moved.1);
        loop {
            tokio::select! {
                biased;
                answer = pending.as_mut() => return answer.map_err(|error| self.failed(&error)),
                () = tokio::time::sleep_until(deadline) => {}
            }
            let now = (self.progress.given(), self.progress.complete());
            if now == moved {
                return Err(self.late(if now.1 { "answer" } else { "take the request" }, patience(now.1)));
            }
            moved = now;
            deadline = Instant::now() + patience(now.1);
        }
    }

    async fn read(&self, answer: hyper::Response<Incoming>, max: usize) -> Result<Response, Error> {
        let sent = self.sent();
        let (head, mut body) = answer.into_parts();
        let mut octets = BytesMut::new();
        let idle = self.timeouts.idle;
        loop {
            let frame = tokio::time::timeout(idle, body.frame())
                .await
                .map_err(|_| self.late("go on answering", idle))?;
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| self.broken(error.to_string()))?;
            let data = frame.data_ref().map_or(&[][..], |data| data);
            if octets.len() + data.len() > max {
                return Err(Error::ResponseTooLarge { host: self.host.clone(), limit: max });
            }
            octets.extend_from_slice(data);
        }
        let peer = head.extensions.get::<PeerTls>().cloned().unwrap_or_default();
        Ok(Response { status: head.status, headers: head.headers, body: octets.freeze(), peer, sent })
    }

    fn broken(&self, detail: String) -> Error {
        Error::Connection { host: self.host.clone(), detail, sent: self.sent() }
    }

    /// The connector's own error where there is one; else what became of the connection.
    fn failed(&self, error: &legacy::Error) -> Error {
        let chain = || std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
        if let Some(ours) = chain().find_map(|error| error.downcast_ref::<Error>()) {
            return ours.clone();
        }
        let detail = chain().skip(1).last().unwrap_or(error).to_string();
        match self.progress.failed() {
            true => Error::Body { detail },
            false => self.broken(detail),
        }
    }
}
