//! A node under test, and what must hold after every wrong input: the right answer, and nothing left behind.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::as4::{Message, Part, Request};
use crate::ca::{Identity, Purpose};
use crate::http;
use crate::node::{free, tilts_binary};
use crate::wire::{self, Reply};
use crate::world::{AccessPoint, ENVELOPE, World, party_id};

/// finalRecipient of the messages made here.
pub const RECIPIENT: &str = "iso6523-actorid-upis::0191:10000001";
/// originalSender of the messages made here.
pub const SENDER: &str = "iso6523-actorid-upis::0218:90000000001";

/// One node, a sender that it believes, and the world around them.
pub struct Probe {
    /// The world.
    pub world: World,
    /// The node under test.
    pub node: AccessPoint,
    /// Key and certificate of party `AP-PEER`.
    pub sender: Identity,
    _folder: tempfile::TempDir,
}

impl Probe {
    /// Starts a node that takes messages of everybody under the demonstration's anchors, signed and not encrypted, for a
    /// backend that serves all.
    pub async fn start() -> Result<Self> {
        Self::with(clear_parts).await
    }

    /// The same, but parts must be encrypted, as the profile has it.
    pub async fn start_encrypted() -> Result<Self> {
        Self::with(|_| Ok(())).await
    }

    /// Starts a node whose configuration `change` has changed.
    pub async fn with(change: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let world = World::new(&folder.path().join("world"), &tilts_binary()?)?;
        let sender = world.ap_ca.issue(&party_id("peer"), 2048, Purpose::Message)?;
        let extra =
            "\n[[backend]]\nid = \"all\"\nadapter = \"rest\"\n\n[limits]\nrejected_per_minute = 100000\n";
        let mut node = world.access_point("node", 2048, free()?, extra)?;
        change(&world.root.join("node/tilts.toml"))?;
        node.node.start().await?;
        Ok(Self { world, node, sender, _folder: folder })
    }

    /// A message that the node takes, with one part.
    pub fn message(&self) -> Message {
        let cid = format!("{}@suite", uuid::Uuid::new_v4());
        Message {
            parts: vec![Part::new(&cid, b"plain octets")],
            ..message(&party_id("peer"), &party_id("node"))
        }
    }

    /// Sends a request to the AS4 listener.
    pub async fn send(&self, request: &Request) -> Result<Reply> {
        let reply = wire::send(self.node.node.ports.as4, request).await?;
        ensure!(!reply.body.is_empty(), "HTTP {} without a body", reply.status);
        Ok(reply)
    }

    /// Sends a request that must be refused with an EBMS code; `word` must stand in the reason that the operator reads.
    pub async fn refused(&self, case: &str, request: &Request, code: &str, word: &str) -> Result<Reply> {
        let before = self.rejected().await?.len();
        let reply = self.send(request).await.with_context(|| case.to_owned())?;
        ensure!(reply.status == 200, "{case}: HTTP {}: {}", reply.status, reply.body);
        ensure!(!reply.is_receipt(), "{case}: a receipt");
        let rejected = self.rejected().await?;
        let reason = rejected.first().map(ToString::to_string).unwrap_or_default();
        ensure!(reply.codes() == [code], "{case}: {:?} instead of {code}: {reason}", reply.codes());
        ensure!(rejected.len() == before + 1, "{case}: {} rows instead of one", rejected.len() - before);
        ensure!(rejected[0]["rejected"]["code"] == code, "{case}: {reason}");
        ensure!(reason.contains(word), "{case}: the reason does not say {word:?}: {reason}");
        self.nothing_left().await.with_context(|| case.to_owned())?;
        Ok(reply)
    }

    /// Sends a request that must be refused with an HTTP status and a text.
    pub async fn turned_away(&self, case: &str, request: &Request, status: u16, word: &str) -> Result<Reply> {
        let reply = self.send(request).await.with_context(|| case.to_owned())?;
        ensure!(reply.status == status, "{case}: HTTP {} instead of {status}: {}", reply.status, reply.body);
        ensure!(reply.body.contains(word), "{case}: the answer does not say {word:?}: {}", reply.body);
        self.nothing_left().await.with_context(|| case.to_owned())?;
        Ok(reply)
    }

    /// The rejected list, newest first.
    pub async fn rejected(&self) -> Result<Vec<Value>> {
        let all = http::get(self.node.node.ports.admin, "/api/rejected").await?;
        Ok(all.as_array().cloned().unwrap_or_default())
    }

    /// No delivery, no message, and no file of a payload, finished or not.
    pub async fn nothing_left(&self) -> Result<()> {
        for list in ["/api/deliveries", "/api/messages"] {
            let found = http::get(self.node.node.ports.admin, list).await?;
            ensure!(found.as_array().is_some_and(Vec::is_empty), "{list} is not empty: {found}");
        }
        let data = self.world.root.join("node/data");
        for _ in 0..20 {
            if files(&data.join("spool"))?.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for folder in ["spool", "payloads"] {
            let mut left = files(&data.join(folder))?;
            // Whose the payloads are stands there from the first start.
            left.retain(|file| *file != data.join("payloads/owner"));
            ensure!(left.is_empty(), "left behind: {left:?}");
        }
        Ok(())
    }
}

/// A message without parts from one party to another.
pub fn message(from: &str, to: &str) -> Message {
    let (_, action) = ENVELOPE.split_once("::").unwrap_or_default();
    Message {
        id: format!("{}@suite.example", uuid::Uuid::new_v4()),
        from: from.into(),
        to: to.into(),
        service: ("bdx-procid-transport".into(), "bdx:noprocess".into()),
        action: format!("bdx-docid-qns::{action}"),
        sender: SENDER.into(),
        recipient: RECIPIENT.into(),
        properties: Vec::new(),
        parts: Vec::new(),
    }
}

/// Changes a node's domain so that parts travel signed and not encrypted.
pub fn clear_parts(config: &Path) -> Result<()> {
    let text = std::fs::read_to_string(config)?;
    let changed = text.replacen("overrides = { ", "overrides = { encryption = \"forbidden\", ", 1);
    ensure!(changed != text, "the configuration has no overrides to change");
    Ok(std::fs::write(config, changed)?)
}

/// Every file below a folder.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(found) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}
