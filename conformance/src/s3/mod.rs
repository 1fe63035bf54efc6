//! An S3 server in a folder, over HTTP or HTTPS, whose connections can be broken off: `s3s` speaks, `s3s-fs` keeps.
//!
//! It has a thread of its own, so that whoever waits for it does not keep it from answering.

mod client;
mod fault;
mod pages;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use openssl::ssl::{Ssl, SslAcceptor, SslMethod};
use s3s::Body;
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
use pages::Page;

/// The bucket that is there from the beginning.
pub const BUCKET: &str = "payloads";
/// Id of the access key that is let in.
pub const ACCESS_KEY: &str = "TESTKEY";
/// Its secret.
pub const SECRET_KEY: &str = "not a secret";

/// Objects on a page of a listing, as S3 has them.
const PAGE: usize = 1000;

/// A server while it runs. It ends when it is dropped.
pub struct S3 {
    /// Where it listens.
    pub address: SocketAddr,
    /// What goes wrong on its connections.
    pub fault: Arc<Fault>,
    scheme: &'static str,
    root: PathBuf,
    said: Arc<Said>,
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
    said: Arc<Said>,
}

/// What the server was asked so far, and how it is to answer.
struct Said {
    written: AtomicU64,
    pages: AtomicU64,
    page: AtomicUsize,
}

impl S3 {
    /// Starts one that keeps everything in `root`, by TLS where it has an identity.
    pub fn start(root: &Path, tls: Option<&Identity>) -> Result<Self> {
        fs::create_dir_all(root.join(BUCKET))?;
        let files = s3s_fs::FileSystem::new(root).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let fault = Arc::new(Fault::default());
        let said =
            Said { written: AtomicU64::new(0), pages: AtomicU64::new(0), page: AtomicUsize::new(PAGE) };
        let said = Arc::new(said);
        let shared = Shared {
            service: service.build().into_shared(),
            tls: tls.map(acceptor).transpose()?,
            fault: fault.clone(),
            said: said.clone(),
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
        Ok(Self { address, fault, scheme, root, said, thread: Some(thread), end: Some(end) })
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
        self.said.written.load(Ordering::Relaxed)
    }

    /// Pages of listings that it gave so far.
    pub fn pages(&self) -> u64 {
        self.said.pages.load(Ordering::Relaxed)
    }

    /// From now on a page of a listing has so many objects at most; a thousand, unless it is told.
    pub fn page(&self, objects: usize) {
        self.said.page.store(objects, Ordering::Relaxed);
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
        let shared = shared.clone();
        async move { answer(request, &shared).await }
    });
    let mut connection = hyper::server::conn::http1::Builder::new();
    Ok(connection.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), answer).await?)
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Result<Response<Body>> {
    let said = &shared.said;
    if matches!(*request.method(), Method::PUT | Method::POST) {
        said.written.fetch_add(1, Ordering::Relaxed);
    }
    let page = Page::of(request.uri(), said.page.load(Ordering::Relaxed))?;
    let answer = shared.service.call(request).await?;
    let Some(page) = page else { return Ok(answer) };
    said.pages.fetch_add(1, Ordering::Relaxed);
    page.cut(answer).await
}
