//! HTTPS with anchors of our choice: the client that asx-rs brings takes only those of the system.

use std::error::Error;
use std::pin::Pin;

use anyhow::{Context, Result};
use asx::{BoxFuture, HttpClient};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use openssl::ssl::{SslConnector, SslMethod};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

/// A connection per request.
pub struct Client {
    connector: SslConnector,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// Believes servers under the anchors of a PEM file.
    pub fn trusting(anchors: &str) -> Result<Self> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        builder.set_ca_file(anchors)?;
        Ok(Self { connector: builder.build() })
    }

    async fn exchange(&self, mut request: http::Request<Bytes>) -> Result<http::Response<Bytes>> {
        let host = request.uri().host().context("no host")?.to_owned();
        let port = request.uri().port_u16().unwrap_or(443);
        let tcp = TcpStream::connect((host.as_str(), port)).await?;
        let mut stream = SslStream::new(self.connector.configure()?.into_ssl(&host)?, tcp)?;
        Pin::new(&mut stream).connect().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        request.headers_mut().insert(http::header::HOST, format!("{host}:{port}").parse()?);
        *request.uri_mut() = request.uri().path().parse()?;
        let response = sender.send_request(request.map(Full::new)).await?;
        let (head, body) = response.into_parts();
        Ok(http::Response::from_parts(head, body.collect().await?.to_bytes()))
    }
}

impl HttpClient for Client {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, Box<dyn Error + Send + Sync>>> {
        Box::pin(async move { Ok(self.exchange(request).await?) })
    }
}
