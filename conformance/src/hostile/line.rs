//! A kept connection to a plain listener: thousands of requests without a handshake each.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::as4::Request;
use crate::wire::Reply;

/// The connection, made anew whenever the server has closed it.
pub struct Line {
    to: SocketAddr,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl Line {
    /// To that listener; nothing is sent yet.
    pub fn new(to: SocketAddr) -> Self {
        Self { to, open: None }
    }

    /// Sends a request and reads the answer.
    pub async fn send(&mut self, request: &Request) -> Result<Reply> {
        for _ in 0..3 {
            if let Ok(reply) = self.try_send(request).await {
                return Ok(reply);
            }
            self.open = None;
        }
        self.try_send(request).await.context("no answer, three times")
    }

    async fn try_send(&mut self, request: &Request) -> Result<Reply> {
        let mut sender = match self.open.take() {
            Some(sender) if sender.is_ready() => sender,
            _ => {
                let stream = TcpStream::connect(self.to).await?;
                let (sender, connection) = handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                sender
            }
        };
        let mut builder = hyper::Request::post(&request.path).header("host", self.to.to_string());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let body = Full::new(Bytes::from(request.body.clone()));
        let exchange = async {
            let response = sender.send_request(builder.body(body)?).await?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await?.to_bytes();
            anyhow::Ok(Reply {
                status,
                head: String::new(),
                body: String::from_utf8_lossy(&body).into_owned(),
            })
        };
        let reply = tokio::time::timeout(Duration::from_secs(20), exchange).await??;
        self.open = Some(sender);
        Ok(reply)
    }
}
