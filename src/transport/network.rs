//! What connections are made of: the system's TCP, or what stands in for it where a node runs inside another program.

use std::io;
use std::net::SocketAddr;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// Octets in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection of a network, before TLS.
pub type Line = Box<dyn Duplex>;

/// Makes connections to addresses and listens on them.
pub trait Network: Send + Sync {
    /// A connection to an address.
    fn connect(&self, to: SocketAddr) -> BoxFuture<'static, io::Result<Line>>;

    /// Takes an address, to listen there.
    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listen>>>;
}

/// An address that is listened on.
pub trait Listen: Send + Sync {
    /// The next connection, and where it comes from.
    fn accept(&self) -> BoxFuture<'_, io::Result<(Line, SocketAddr)>>;

    /// The address.
    ///
    /// # Errors
    /// The system's.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// The system's TCP.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Network for Tcp {
    fn connect(&self, to: SocketAddr) -> BoxFuture<'static, io::Result<Line>> {
        async move { TcpStream::connect(to).await.map(line) }.boxed()
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listen>>> {
        async move { Ok(Box::new(TcpListener::bind(at).await?) as Box<dyn Listen>) }.boxed()
    }
}

impl Listen for TcpListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Line, SocketAddr)>> {
        async move {
            let (stream, from) = Self::accept(self).await?;
            Ok((line(stream), from))
        }
        .boxed()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }
}

/// An answer waits for nothing that may follow it.
fn line(stream: TcpStream) -> Line {
    let _ = stream.set_nodelay(true);
    Box::new(stream)
}
