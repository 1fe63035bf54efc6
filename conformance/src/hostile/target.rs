//! The node that everything is thrown at, and the proof that it took nothing but what was meant.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::line::Line;
use crate::as4::Request;
use crate::http;
use crate::probe::files;
use crate::world::AccessPoint;

/// What came of many bent requests.
#[derive(Debug, Default, Clone, Copy)]
pub struct Count {
    /// Requests sent.
    pub sent: usize,
    /// Answered with a receipt: the change was in something that means nothing.
    pub receipted: usize,
    /// Answered with an ebMS error.
    pub errors: usize,
    /// Answered with another HTTP status than 200.
    pub http: usize,
}

/// Makes a node take plain HTTP on its AS4 listener.
pub fn plain(config: &Path) -> Result<()> {
    let text = std::fs::read_to_string(config)?;
    let changed = text.replacen("tls = { certificate = \"tls.pem\", key = \"tls.key\" }", "plain = true", 1);
    ensure!(changed != text, "the listener has no TLS to take away");
    Ok(std::fs::write(config, changed)?)
}

/// Sends every request on one connection and counts the answers. None may go unanswered.
pub async fn throw(
    node: &AccessPoint,
    requests: impl Iterator<Item = (String, Request)>,
) -> Result<(Count, Vec<String>)> {
    let mut line = Line::new(node.node.ports.as4);
    let mut count = Count::default();
    let mut receipted = Vec::new();
    for (what, request) in requests {
        let reply = line.send(&request).await.with_context(|| what.clone())?;
        count.sent += 1;
        ensure!(!reply.body.is_empty(), "{what}: HTTP {} without a body", reply.status);
        if reply.is_receipt() {
            count.receipted += 1;
            receipted.push(what);
        } else if reply.status == 200 {
            ensure!(!reply.codes().is_empty(), "{what}: neither receipt nor error: {}", reply.body);
            count.errors += 1;
        } else {
            ensure!(reply.status < 500, "{what}: HTTP {}: {}", reply.status, reply.body);
            count.http += 1;
        }
    }
    Ok((count, receipted))
}

/// What the node's backend was given: (metadata without ids and times of ours, contents).
pub async fn delivered(node: &AccessPoint) -> Result<Vec<(Value, Vec<Vec<u8>>)>> {
    let backend = node.node.ports.backend;
    let listed = http::get(backend, "/v1/messages").await?;
    let mut all = Vec::new();
    for message in listed["messages"].as_array().context("no list")? {
        let id = message["id"].as_str().context("no id")?;
        let mut contents = Vec::new();
        for index in 0..message["parts"].as_array().map_or(0, Vec::len) {
            let path = format!("/v1/messages/{id}/parts/{index}");
            let answer = http::request(backend, hyper::Method::GET, &path, "", "").await?;
            ensure!(answer.status.is_success(), "{path}: HTTP {}", answer.status);
            contents.push(answer.body.to_vec());
        }
        let mut message = message.clone();
        for ours in ["id", "received", "deadline"] {
            message.as_object_mut().map(|fields| fields.remove(ours));
        }
        all.push((message, contents));
    }
    Ok(all)
}

/// Nothing is left in the spool, and there are no more payload files than deliveries need.
pub fn clean(node: &AccessPoint) -> Result<()> {
    let folder = node.certificate.parent().context("no folder")?;
    let left = files(&folder.join("data/spool"))?;
    ensure!(left.is_empty(), "left in the spool: {left:?}");
    Ok(())
}
