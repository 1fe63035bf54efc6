//! The suite as receiving handler: records every request and answers as the case demands.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use openssl::ssl::{Ssl, SslAcceptor, SslMethod};
use tokio::net::{TcpListener, TcpStream};
use tokio_openssl::SslStream;

use super::capture::{Capture, Opened};
use super::signal::{Receipt, envelope_of};
use crate::ca::Identity;

/// What is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A SOAP envelope with an HTTP status.
    Soap(u16, String),
    /// A status and nothing else.
    Empty(u16),
    /// The connection is closed.
    Drop,
}

/// Decides on the answer: what came, and how many came before.
pub type Script = Arc<dyn Fn(&Opened, usize) -> Result<Answer> + Send + Sync>;

struct Lane {
    key: String,
    script: Script,
    captures: Vec<(Instant, Capture)>,
}

/// The receiver. Each case has its own lane, told by a word that stands in the message.
pub struct Receiver {
    lanes: Arc<Mutex<Vec<Lane>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// Listens; with TLS where an identity is given.
    pub async fn bind(address: SocketAddr, tls: Option<&Identity>) -> Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| format!("cannot bind {address}"))?;
        let acceptor = tls.map(acceptor).transpose()?.map(Arc::new);
        let lanes = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(run(listener, acceptor, lanes.clone()));
        Ok(Self { lanes, task })
    }

    /// Opens a lane for every message in which `key` stands.
    pub fn expect(&self, key: &str, script: Script) {
        let lane = Lane { key: key.into(), script, captures: Vec::new() };
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).push(lane);
    }

    /// What came for a lane so far, with the time of each.
    pub fn captures(&self, key: &str) -> Vec<(Instant, Capture)> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.iter().find(|lane| lane.key == key).map(|lane| lane.captures.clone()).unwrap_or_default()
    }

    /// Waits for `count` messages of a lane.
    pub async fn wait(&self, key: &str, count: usize, within: Duration) -> Result<Vec<Capture>> {
        let until = Instant::now() + within;
        loop {
            let found = self.captures(key);
            if found.len() >= count {
                return Ok(found.into_iter().map(|(_, capture)| capture).collect());
            }
            ensure!(Instant::now() < until, "{} of {count} messages came in {within:?}", found.len());
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}

/// The script that answers every message with the right receipt.
pub fn receipt(identity: &Arc<Identity>) -> Script {
    let identity = identity.clone();
    Arc::new(move |message, _| {
        Ok(Answer::Soap(200, envelope_of(&Receipt::to(message)?.signal(), Some(&identity))?))
    })
}

fn acceptor(tls: &Identity) -> Result<SslAcceptor> {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    acceptor.set_private_key(&tls.key)?;
    acceptor.set_certificate(&tls.certificate)?;
    Ok(acceptor.build())
}

async fn run(listener: TcpListener, acceptor: Option<Arc<SslAcceptor>>, lanes: Arc<Mutex<Vec<Lane>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, lanes) = (acceptor.clone(), lanes.clone());
        tokio::spawn(async move {
            let _ = connection(stream, acceptor, lanes).await;
        });
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: Option<Arc<SslAcceptor>>,
    lanes: Arc<Mutex<Vec<Lane>>>,
) -> Result<()> {
    let builder = hyper::server::conn::http1::Builder::new();
    let Some(acceptor) = acceptor else {
        let serve = service_fn(move |request| answer(lanes.clone(), request));
        return Ok(builder.serve_connection(TokioIo::new(stream), serve).await?);
    };
    let mut stream = SslStream::new(Ssl::new(acceptor.context())?, stream)?;
    Pin::new(&mut stream).accept().await?;
    let serve = service_fn(move |request| answer(lanes.clone(), request));
    Ok(builder.serve_connection(TokioIo::new(stream), serve).await?)
}

/// An error in the place of an answer closes the connection.
type Dropped = std::io::Error;

fn dropped() -> Dropped {
    std::io::Error::other("dropped as the case demands")
}

async fn answer(
    lanes: Arc<Mutex<Vec<Lane>>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Dropped> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| dropped())?.to_bytes().to_vec();
    let headers = head.headers.iter();
    let headers = headers.map(|(n, v)| (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into()));
    let capture = Capture { headers: headers.collect(), body };
    match decide(&lanes, capture) {
        Ok(Answer::Drop) => Err(dropped()),
        Ok(Answer::Empty(status)) => Ok(response(status, "", String::new())),
        Ok(Answer::Soap(status, text)) => Ok(response(status, "application/soap+xml;charset=UTF-8", text)),
        Err(error) => Ok(response(500, "text/plain", format!("{error:#}"))),
    }
}

fn decide(lanes: &Mutex<Vec<Lane>>, capture: Capture) -> Result<Answer> {
    let opened = capture.open()?;
    let mut lanes = lanes.lock().unwrap_or_else(PoisonError::into_inner);
    let lane =
        lanes.iter_mut().find(|lane| opened.text.contains(&lane.key)).context("nobody expects this")?;
    let before = lane.captures.len();
    lane.captures.push((Instant::now(), capture));
    (lane.script)(&opened, before)
}

fn response(status: u16, kind: &str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let (false, Ok(kind)) = (kind.is_empty(), kind.parse()) {
        response.headers_mut().insert("content-type", kind);
    }
    response
}
