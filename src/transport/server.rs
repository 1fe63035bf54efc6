//! The listener: TLS or plain, with limits and time-outs on everything that a peer can stretch.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use openssl::ssl::{Ssl, SslAcceptor};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_openssl::SslStream;
use tower::{Service, ServiceExt};

use super::body::RequestBody;
use super::idle::WriteWatched;
use super::network::{Line, Listen, Network, Tcp};
use super::unclouded::Unclouded;
use super::{ClientAuth, Error, PeerTls, ServerTls};

/// Octets read from a connection at a time at most. hyper would grow to 400 KB, and a few of those are held by each stage that
/// a payload passes: sixteen exchanges at once would need tens of megabytes for no gain in speed.
const READ_BUFFER: usize = 64 << 10;

/// Limits of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerLimits {
    /// Connections at once; further ones wait in the system's queue.
    pub connections: usize,
    /// Octets of a request's head.
    pub header_octets: usize,
    /// Headers of a request.
    pub headers: usize,
    /// For the TLS handshake.
    pub handshake: Duration,
    /// For the whole head, and how long a connection may wait for its next request.
    pub header_read: Duration,
    /// Without an octet of a body that is being read.
    pub body_idle: Duration,
    /// Without an octet of an answer being taken.
    pub write_idle: Duration,
    /// For running requests to end after the stop was asked for.
    pub shutdown: Duration,
}

impl Default for ServerLimits {
    /// 1024 connections; heads of 32 KiB in 64 headers; 10 s handshake, 30 s for heads, bodies and answers standing still,
    /// 30 s to stop.
    fn default() -> Self {
        Self {
            connections: 1024,
            header_octets: 32 << 10,
            headers: 64,
            handshake: Duration::from_secs(10),
            header_read: Duration::from_secs(30),
            body_idle: Duration::from_secs(30),
            write_idle: Duration::from_secs(30),
            shutdown: Duration::from_secs(30),
        }
    }
}

/// Who is at the other end; in the extensions of every request.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its socket address.
    pub address: SocketAddr,
    /// What TLS says of it; empty on a plain listener.
    pub tls: PeerTls,
}

/// A bound listener.
pub struct Server {
    listener: Box<dyn Listen>,
    acceptor: Option<SslAcceptor>,
    checks_clients: bool,
    limits: ServerLimits,
}

impl Server {
    /// Binds an address of the system; plain HTTP without `tls`.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<&ServerTls>,
        limits: ServerLimits,
    ) -> Result<Self, Error> {
        Self::bind_on(&Tcp, address, tls, limits).await
    }

    /// The same on a network.
    pub async fn bind_on(
        network: &dyn Network,
        address: SocketAddr,
        tls: Option<&ServerTls>,
        limits: ServerLimits,
    ) -> Result<Self, Error> {
        let acceptor = tls.map(ServerTls::acceptor).transpose()?;
        let checks_clients = tls.is_some_and(|tls| !matches!(tls.client_auth, ClientAuth::None));
        let listener = network
            .listen(address)
            .await
            .map_err(|error| Error::Bind { address, detail: error.to_string() })?;
        Ok(Self { listener, acceptor, checks_clients, limits })
    }

    /// The address bound, with the port that the system chose for port 0.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is ready; then accepts nothing more, lets running requests end within the limit, and returns.
    ///
    /// A service that panics ends its own connection only.
    pub async fn run<S, B>(self, service: S, stop: impl Future<Output = ()>)
    where
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (stopping, stopped) = watch::channel(false);
        let permits = Arc::new(Semaphore::new(self.limits.connections));
        let this = Arc::new(self);
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            while connections.try_join_next().is_some() {}
            let accepted = tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = accept(&*this.listener, &permits) => accepted,
            };
            let Some((stream, address, permit)) = accepted else { continue };
            let (this, service, stopped) = (this.clone(), service.clone(), stopped.clone());
            connections.spawn(async move {
                this.connection(stream, address, service, stopped).await;
                drop(permit);
            });
        }
        let limit = this.limits.shutdown;
        drop(this);
        let _ = stopping.send(true);
        let all_ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all_ended).await.is_err() {
            tracing::warn!(connections = connections.len(), "connections cut off at shutdown");
        }
    }

    async fn connection<S, B>(
        &self,
        stream: Line,
        address: SocketAddr,
        service: S,
        stopped: watch::Receiver<bool>,
    ) where
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Some(acceptor) = &self.acceptor else {
            let peer = Peer { address, tls: PeerTls::default() };
            return self.serve(stream, peer, service, stopped).await;
        };
        match tokio::time::timeout(self.limits.handshake, handshake(acceptor, stream)).await {
            Ok(Ok(stream)) => {
                let tls = PeerTls::of(stream.ssl(), self.checks_clients);
                self.serve(Unclouded(stream), Peer { address, tls }, service, stopped).await;
            }
            Ok(Err(error)) => tracing::debug!(peer = %address, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(peer = %address, "TLS handshake timed out"),
        }
    }

    async fn serve<IO, S, B>(&self, stream: IO, peer: Peer, service: S, mut stopped: watch::Receiver<bool>)
    where
        IO: AsyncRead + AsyncWrite + Unpin,
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (address, idle) = (peer.address, self.limits.body_idle);
        let answer = service_fn(move |request: Request<Incoming>| {
            let sending = !request.headers().contains_key(hyper::header::EXPECT);
            let mut request = request.map(|body| RequestBody::new(body, idle, sending));
            request.extensions_mut().insert(peer.clone());
            service.clone().oneshot(request)
        });
        let io = TokioIo::new(WriteWatched::new(stream, self.limits.write_idle));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_read)
            .max_headers(self.limits.headers)
            .max_header_size(self.limits.header_octets)
            .max_buf_size(READ_BUFFER.max(self.limits.header_octets))
            .serve_connection(io, answer);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = async { let _ = stopped.wait_for(|stopped| *stopped).await; } => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(peer = %address, %error, "connection ended");
        }
    }
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &dyn Listen,
    permits: &Arc<Semaphore>,
) -> Option<(Line, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = permits.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, address)) => Some((stream, address, permit)),
        Err(error) => {
            // Out of descriptors, mostly: waiting is all that helps, and it must not spin.
            tracing::error!(%error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn handshake(acceptor: &SslAcceptor, stream: Line) -> Result<SslStream<Line>, openssl::ssl::Error> {
    let mut stream = SslStream::new(Ssl::new(acceptor.context())?, stream)?;
    std::pin::Pin::new(&mut stream).accept().await?;
    Ok(stream)
}
