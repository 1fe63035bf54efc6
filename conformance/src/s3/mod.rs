//! An S3 server in a folder, over HTTP or HTTPS, whose connections can be broken off: `s3s` speaks, `s3s-fs` keeps.
//!
//! It has a thread of its own, so that whoever waits for it does not keep it from answering.

mod client;
mod fault;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper::{Method, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use openssl::ssl::{Ssl, SslAcceptor, SslMethod};
use s3s::auth::SimpleAuth;
use s3s::service::{S3ServiceBuilder, SharedS3Service};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_openssl::SslStream;

use crate::ca::Identity;
pub use client::client;
pub use fault::Fault;
use fault::Faulty;

/// The bucket that is there from the beginning.
pub const BUCKET: &str = "payloads";
/// Id of the access key that is let in.
pub const ACCESS_KEY: &str = "TESTKEY";
/// Its secret.
pub const SECRET_KEY: &str = "not a secret";

/// A server while it runs. It ends when it is dropped.
pub struct S3 {
    /// Where it listens.
    pub address: SocketAddr,
    /// What goes wrong on its connections.
    pub fault: Arc<Fault>,
    scheme: &'static str,
    root: PathBuf,
    written: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
    end: Option<oneshot::Sender<()>>,
}

impl Drop for S3 {
    fn drop(&mut self) {
        drop(self.end.take());
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Shared {
    service: SharedS3Service,
    tls: Option<SslAcceptor>,
    fault: Arc<Fault>,
    written: Arc<AtomicU64>,
}

impl S3 {
    /// Starts one that keeps everything in `root`, by TLS where it has an identity.
    pub fn start(root: &Path, tls: Option<&Identity>) -> Result<Self> {
        fs::create_dir_all(root.join(BUCKET))?;
        let files = s3s_fs::FileSystem::new(root).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let (fault, written) = (Arc::new(Fault::default()), Arc::new(AtomicU64::new(0)));
        let shared = Shared {
            service: service.build().into_shared(),
            tls: tls.map(acceptor).transpose()?,
            fault: fault.clone(),
            written: written.clone(),
        };
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (end, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("s3".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = ended => {}
                    _ = serve(listener, shared) => {}
                }
            });
        })?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let root = root.to_owned();
        Ok(Self { address, fault, scheme, root, written, thread: Some(thread), end: Some(end) })
    }

    /// Address for clients.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The folder of what lies below a prefix of the bucket.
    pub fn folder(&self, prefix: &str) -> PathBuf {
        self.root.join(BUCKET).join(prefix)
    }

    /// Requests so far that write: PUT and POST.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// `[store.s3]` of a node: its two secrets are put into the folder of the configuration.
    pub fn configuration(&self, folder: &Path, prefix: &str) -> Result<String> {
        for (file, content) in [("s3.id", ACCESS_KEY), ("s3.secret", SECRET_KEY)] {
            fs::write(folder.join(file), content).with_context(|| folder.display().to_string())?;
        }
        Ok(format!(
            "[store.s3]\nbucket = \"{BUCKET}\"\nprefix = \"{prefix}\"\nendpoint = \"{}\"\n\
             access_key_file = \"s3.id\"\nsecret_key_file = \"s3.secret\"\n",
            self.url()
        ))
    }
}

fn acceptor(identity: &Identity) -> Result<SslAcceptor> {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    acceptor.set_private_key(&identity.key)?;
    acceptor.set_certificate(&identity.certificate)?;
    Ok(acceptor.build())
}

async fn serve(listener: std::net::TcpListener, shared: Shared) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        if shared.fault.is_down() {
            continue;
        }
        let _ = stream.set_nodelay(true);
        let stream = Faulty::new(stream, shared.fault.clone());
        let shared = shared.clone();
        tokio::spawn(async move {
            match &shared.tls {
                None => converse(stream, shared).await,
                Some(acceptor) => {
                    let mut stream = SslStream::new(Ssl::new(acceptor.context())?, stream)?;
                    Pin::new(&mut stream).accept().await?;
                    converse(stream, shared).await
                }
            }
        });
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Shared) -> Result<()> {
    let answer = service_fn(move |request: Request<Incoming>| {
        if matches!(*request.method(), Method::PUT | Method::POST) {
            shared.written.fetch_add(1, Ordering::Relaxed);
        }
        shared.service.call(request)
    });
    let mut connection = hyper::server::conn::http1::Builder::new();
    Ok(connection.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), answer).await?)
}
