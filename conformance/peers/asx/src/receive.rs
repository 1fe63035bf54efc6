//! The receiving half: plain HTTP on a free loopback port.

use anyhow::Result;
use asx::as4::{As4, UserMessage};
use asx::{MemoryDedup, Reject, Verified};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use openssl::sha::sha256;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{hex, say};

/// Starts to listen; gives the port.
pub async fn start(as4: &As4) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let endpoint = as4.inbound(MemoryDedup::default(), deliver);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(endpoint.clone());
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(port)
}

async fn deliver(message: Verified<UserMessage>) -> Result<(), Reject> {
    let parts = message.payloads().iter().map(|part| {
        json!({
            "media_type": part.mime_type(),
            "size": part.bytes().len(),
            "sha256": hex(&sha256(part.bytes())),
        })
    });
    say(&json!({
        "event": "received",
        "message_id": message.message_id(),
        "from": message.from(),
        "service": message.service(),
        "action": message.action(),
        "parts": parts.collect::<Vec<_>>(),
        "signer": hex(&sha256(message.signer().der())),
    }));
    Ok(())
}
