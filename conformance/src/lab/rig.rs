//! Two access points that reach each other through a proxy each.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::ledger::Ledger;
use super::proxy::Proxy;
use super::schedule::{Faults, Side};
use super::tally::Tally;
use super::wire::Wire;
use super::{consumer, producer};
use crate::hostile::target::plain;
use crate::node::Node;
use crate::stage::{Kind, Stage, agree};
use crate::world::AccessPoint;

/// Pauses and limits that suit a run of minutes: a lost exchange is done again after a second.
const RETRY: &str = "overrides = { retry = { first_seconds = 1, factor = 1, longest_seconds = 1, within_seconds = 604800 } }\n";
const LIMITS: &str = "\n[limits]\nexchange_seconds = 5\nidle_seconds = 5\nheader_seconds = 5\n";

/// Sender and receiver, the network between them, and the ledger of what crosses.
pub struct Rig {
    stage: Stage,
    nodes: [AccessPoint; 2],
    /// To the receiver, and back to the sender.
    proxies: [Proxy; 2],
    /// What was handed in and what came out.
    pub ledger: Ledger,
    /// Faults done.
    pub faults: Tally,
    consumer: tokio::task::JoinHandle<()>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.consumer.abort();
    }
}

impl Rig {
    /// Makes keys and configurations and the network, of HTTP or HTTPS; `faults` are those on the way to the receiver and back. No node runs.
    pub async fn set_up(tilts: &Path, tls: bool, faults: [Faults; 2]) -> Result<Self> {
        let stage = Stage::with(tilts, 2048)?;
        let wire = if tls { Wire::tls(&stage.world.tls_ca)? } else { Wire::Plain };
        let nodes = [stage.node("a", &[Kind::Rsa], false)?, stage.node("b", &[Kind::Rsa], false)?];
        let tally = Tally::default();
        let there = Proxy::start(nodes[1].node.ports.as4, wire.clone(), faults[0], tally.clone()).await?;
        let back = Proxy::start(nodes[0].node.ports.as4, wire.clone(), faults[1], tally.clone()).await?;
        for (name, partner, proxy) in [("a", &nodes[1], &there), ("b", &nodes[0], &back)] {
            if !tls {
                plain(&stage.world.root.join(name).join("tilts.toml"))?;
            }
            let url = format!("{}://{}/as4", wire.scheme(), proxy.address);
            stage.append(name, &(agree(partner, Kind::Rsa, "", &url) + RETRY + LIMITS))?;
        }
        let ledger = Ledger::default();
        let consumer = tokio::spawn(consumer::consume(nodes[1].node.ports.backend, ledger.clone()));
        Ok(Self { stage, nodes, proxies: [there, back], ledger, faults: tally, consumer })
    }

    /// Starts both nodes.
    pub async fn start(&mut self) -> Result<()> {
        for side in Side::BOTH {
            self.node(side).start().await?;
        }
        Ok(())
    }

    /// Hands in letters in the background.
    pub fn produce(&self, seed: u64, numbers: std::ops::Range<u64>) -> tokio::task::JoinHandle<Result<()>> {
        let to = self.nodes[0].node.ports.backend;
        tokio::spawn(producer::produce(to, seed, numbers, self.ledger.clone()))
    }

    /// The access point on a side.
    pub fn point(&self, side: Side) -> &AccessPoint {
        &self.nodes[side as usize]
    }

    /// Its process.
    pub fn node(&mut self, side: Side) -> &mut Node {
        &mut self.nodes[side as usize].node
    }

    /// Folder of a node.
    pub fn folder(&self, side: Side) -> std::path::PathBuf {
        self.stage.world.root.join(&self.point(side).name)
    }

    /// Exchanges that passed so far, in both directions.
    pub fn exchanges(&self) -> u64 {
        self.proxies.iter().map(Proxy::exchanges).sum()
    }

    /// Starts a node that dies at a named point, by the trap's own time: at the latest while it starts.
    ///
    /// Gives false when it is dead already.
    pub async fn start_with(&mut self, side: Side, trap: Option<String>) -> Result<bool> {
        let node = self.node(side);
        node.trap = trap;
        let started = node.start().await;
        let armed = node.trap.take().is_some();
        match started {
            Err(_) if armed && node.has_ended() => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Waits until a node with a trap is dead; false when it lives on.
    pub async fn dies(&mut self, side: Side, within: Duration) -> bool {
        let until = tokio::time::Instant::now() + within;
        while tokio::time::Instant::now() < until {
            if self.node(side).has_ended() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    /// Ends both nodes in order.
    pub async fn stop(&mut self) -> Result<()> {
        for side in Side::BOTH {
            self.node(side).stop().await?;
        }
        Ok(())
    }

    /// Leaves everything on the disk after this run, and says where.
    pub fn keep(&mut self) -> String {
        self.stage.keep();
        self.stage.world.root.display().to_string()
    }

    /// What the binary finds in the store of a side: its exit status says no more than this.
    pub async fn recomputed(&self, side: Side) -> Result<Value> {
        let mut command = tokio::process::Command::new(&self.stage.world.tilts);
        command.args(["status", "--recompute", "--config"]).arg(self.folder(side).join("tilts.toml"));
        let output = command.output().await?;
        serde_json::from_slice(&output.stdout).with_context(|| {
            format!("{side:?}: recomputing says {}", String::from_utf8_lossy(&output.stderr).trim())
        })
    }
}
