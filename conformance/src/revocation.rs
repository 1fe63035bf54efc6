//! Where authorities publish what they have revoked: a web server for lists, and OpenSSL's own OCSP responder.

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::ca::{Authority, Identity};
use crate::node::free;

/// A web server with one list, over plain HTTP as authorities have it.
pub struct ListServer {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    says: Mutex<Says>,
    asked: AtomicUsize,
}

/// What the server does with a request.
#[derive(Debug, Clone, Default)]
pub enum Says {
    /// HTTP 404.
    #[default]
    Nothing,
    /// This list.
    List(Vec<u8>),
    /// Takes the request and never answers.
    Hangs,
}

impl Drop for ListServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ListServer {
    /// Starts on a free loopback port, with nothing published.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(free()?).await?;
        let (address, state) = (listener.local_addr()?, Arc::new(State::default()));
        let task = tokio::spawn(accept(listener, state.clone()));
        Ok(Self { address, state, task })
    }

    /// Address of the list.
    pub fn url(&self) -> String {
        format!("http://{}/ca.crl", self.address)
    }

    /// Publishes something else.
    pub fn say(&self, says: Says) {
        *self.state.says.lock().unwrap_or_else(PoisonError::into_inner) = says;
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |_| answer(state.clone()));
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await
        });
    }
}

async fn answer(state: Arc<State>) -> Result<Response<Full<Bytes>>, Infallible> {
    state.asked.fetch_add(1, Ordering::SeqCst);
    let says = state.says.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (status, body) = match says {
        Says::Nothing => (StatusCode::NOT_FOUND, Vec::new()),
        Says::List(octets) => (StatusCode::OK, octets),
        Says::Hangs => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            (StatusCode::GATEWAY_TIMEOUT, Vec::new())
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    Ok(response)
}

/// `openssl ocsp` as a server. It is killed when dropped.
pub struct Responder {
    _child: Child,
}

impl Responder {
    /// Starts a responder of `authority` at `address`, with its files in `folder`: it knows `good` and `revoked`.
    pub async fn start(
        authority: &Authority,
        address: SocketAddr,
        folder: &Path,
        (good, revoked): (&[&Identity], &[&Identity]),
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        authority.write_pair(&folder.join("ca.pem"), &folder.join("ca.key"))?;
        let index: Result<String> = good
            .iter()
            .map(|one| line(one, "V", ""))
            .chain(revoked.iter().map(|one| line(one, "R", "260101000000Z")))
            .collect();
        fs::write(folder.join("index.txt"), index?)?;
        let child = Command::new("openssl")
            .args(["ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key"])
            .args(["-ndays", "1", "-port", &address.port().to_string()])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(fs::File::create(folder.join("ocsp.log"))?)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start `openssl ocsp`")?;
        // A connection without a request would keep it waiting for one: it says by itself that it listens.
        for _ in 0..200 {
            if fs::read_to_string(folder.join("ocsp.log"))?.contains("ACCEPT") {
                return Ok(Self { _child: child });
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        anyhow::bail!("`openssl ocsp` does not listen on {address}")
    }
}

/// One line of the database of OpenSSL's small authority.
fn line(identity: &Identity, status: &str, revoked: &str) -> Result<String> {
    let serial = identity.certificate.serial_number().to_bn()?.to_hex_str()?;
    Ok(format!("{status}\t491231000000Z\t{revoked}\t{serial}\tunknown\t/CN=x\n"))
}
