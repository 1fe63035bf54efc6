//! An SMP stand-in: serves a folder of signed metadata over HTTPS, as any file server could.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use openssl::ssl::{Ssl, SslAcceptor, SslMethod};
use tokio::net::TcpListener;
use tokio_openssl::SslStream;

use crate::ca::Identity;

/// HTTPS on a bound address.
pub struct Https {
    listener: TcpListener,
    acceptor: Arc<SslAcceptor>,
}

impl Https {
    /// Binds `address` (port 0 takes a free one) with a TLS identity.
    pub async fn bind(address: SocketAddr, tls: &Identity) -> Result<Self> {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        acceptor.set_private_key(&tls.key)?;
        acceptor.set_certificate(&tls.certificate)?;
        let listener = TcpListener::bind(address).await.with_context(|| format!("cannot bind {address}"))?;
        Ok(Self { listener, acceptor: Arc::new(acceptor.build()) })
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Gives each request to `answer` until the task is dropped.
    pub async fn run<A, F>(self, answer: A) -> Result<()>
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<Full<Bytes>>> + Send,
    {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let (acceptor, answer) = (self.acceptor.clone(), answer.clone());
            tokio::spawn(async move {
                let Ok(ssl) = Ssl::new(acceptor.context()) else { return };
                let Ok(mut stream) = SslStream::new(ssl, stream) else { return };
                if Pin::new(&mut stream).accept().await.is_err() {
                    return;
                }
                let answer = service_fn(move |request| {
                    let answer = answer(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
            });
        }
    }
}

/// A bound SMP.
pub struct Smp {
    https: Https,
    root: Arc<PathBuf>,
}

impl Smp {
    /// Binds `address` (port 0 takes a free one) with a TLS identity.
    pub async fn bind(address: SocketAddr, tls: &Identity, root: &Path) -> Result<Self> {
        Ok(Self { https: Https::bind(address, tls).await?, root: Arc::new(root.into()) })
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr> {
        self.https.address()
    }

    /// Serves until the task is dropped.
    pub async fn run(self) -> Result<()> {
        let root = self.root;
        self.https.run(move |request| answer(root.clone(), request)).await
    }
}

async fn answer(root: Arc<PathBuf>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return status(StatusCode::METHOD_NOT_ALLOWED);
    }
    let Some(path) = file_for(&root, request.uri().path()) else { return status(StatusCode::NOT_FOUND) };
    let Ok(octets) = tokio::fs::read(path).await else { return status(StatusCode::NOT_FOUND) };
    xml(octets)
}

/// An XML document as an answer.
pub fn xml(octets: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(octets.into()));
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("text/xml"));
    response
}

/// An answer without content.
pub fn status(code: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = code;
    response
}

/// The file behind a URL path, each percent-escape undone; a folder answers with its `index.xml`.
fn file_for(root: &Path, path: &str) -> Option<PathBuf> {
    let mut file = root.to_owned();
    for segment in decoded(path)?.split('/').filter(|s| !s.is_empty()) {
        if segment == "." || segment == ".." {
            return None;
        }
        file.push(segment);
    }
    if file.is_dir() {
        file.push("index.xml");
    }
    Some(file)
}

fn decoded(path: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(octet) = rest.next() {
        match octet {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let text = std::str::from_utf8(&digits).ok()?.to_owned();
                octets.push(u8::from_str_radix(&text, 16).ok()?);
            }
            other => octets.push(other),
        }
    }
    String::from_utf8(octets).ok()
}
