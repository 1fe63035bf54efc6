//! What the exchanges travel on: TCP, or TLS that ends in the proxy, which has a certificate of the world's authority.

use std::net::SocketAddr;
use std::pin::Pin;

use anyhow::Result;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use openssl::ssl::{Ssl, SslAcceptor, SslConnector, SslMethod, SslVerifyMode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::ca::{Authority, Purpose};

/// A connection with what lies under it, which can be ended without a word.
pub trait Line: AsyncRead + AsyncWrite + Send + Unpin {
    /// What lies under it.
    fn under(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin);
}

impl Line for TcpStream {
    fn under(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin) {
        self
    }
}

impl Line for SslStream<TcpStream> {
    fn under(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin) {
        self.get_mut()
    }
}

/// Any kind.
pub type AnyLine = Box<dyn Line>;

/// Makes connections to nodes.
pub trait Dial: Sync {
    /// A connection of its own.
    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, Result<AnyLine>>;
}

/// How both sides of a proxy speak.
#[derive(Clone)]
pub enum Wire {
    /// Plain HTTP.
    Plain,
    /// HTTPS, with what accepts and what connects.
    Tls(SslAcceptor, SslConnector),
}

impl Wire {
    /// HTTPS, by a certificate that the nodes believe. The proxy believes everybody.
    pub fn tls(ca: &Authority) -> Result<Self> {
        let identity = ca.issue("lab proxy TLS", 2048, Purpose::Tls)?;
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        acceptor.set_certificate(&identity.certificate)?;
        acceptor.set_private_key(&identity.key)?;
        let mut connector = SslConnector::builder(SslMethod::tls_client())?;
        connector.set_verify(SslVerifyMode::NONE);
        Ok(Self::Tls(acceptor.build(), connector.build()))
    }

    /// Scheme of a proxy's URL.
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::Plain => "http",
            Self::Tls(..) => "https",
        }
    }

    /// The side of whoever connected to us.
    pub(super) async fn accept(&self, stream: TcpStream) -> Result<AnyLine> {
        let Self::Tls(acceptor, _) = self else { return Ok(Box::new(stream)) };
        let mut stream = SslStream::new(Ssl::new(acceptor.context())?, stream)?;
        Pin::new(&mut stream).accept().await?;
        Ok(Box::new(stream))
    }

    /// The side of whomever we connect to.
    pub(super) async fn connect(&self, stream: TcpStream) -> Result<AnyLine> {
        let Self::Tls(_, connector) = self else { return Ok(Box::new(stream)) };
        let ssl = connector.configure()?.verify_hostname(false).into_ssl("127.0.0.1")?;
        let mut stream = SslStream::new(ssl, stream)?;
        Pin::new(&mut stream).connect().await?;
        Ok(Box::new(stream))
    }
}

impl Dial for Wire {
    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, Result<AnyLine>> {
        async move { self.connect(TcpStream::connect(to).await?).await }.boxed()
    }
}
