//! Two access points, of one node or several, that reach each other through a proxy each.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::ledger::Ledger;
use super::members::{Stores, as4, backends};
use super::proxy::Proxy;
use super::schedule::{At, Faults, Side};
use super::stall::Target;
use super::strait::Strait;
use super::tally::Tally;
use super::wire::Wire;
use super::{consumer, members, producer};
use crate::node::Node;
use crate::postgres::Postgres;
use crate::s3::{Fault, S3};
use crate::stage::{Kind, Stage, agree};
use crate::world::AccessPoint;

/// Pauses and limits that suit a run of minutes: a lost exchange is done again after a second.
const RETRY: &str = "overrides = { retry = { first_seconds = 1, factor = 1, longest_seconds = 1, within_seconds = 604800 } }\n";
const LIMITS: &str = "\n[limits]\nexchange_seconds = 5\nidle_seconds = 5\nheader_seconds = 5\n";

/// Sender and receiver, the network between them, and the ledger of what crosses.
pub struct Rig {
    stage: Stage,
    sides: [Vec<AccessPoint>; 2],
    /// To the receiver, and back to the sender.
    proxies: [Proxy; 2],
    /// What was handed in and what came out.
    pub ledger: Ledger,
    /// Faults done.
    pub faults: Tally,
    /// The server of the databases, where there is one, and the ways of each side's nodes to it.
    database: Option<Arc<Postgres>>,
    straits: [Vec<Strait>; 2],
    /// The server of the payloads, where there is one.
    bucket: Option<S3>,
    consumer: tokio::task::JoinHandle<()>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.consumer.abort();
    }
}

impl Rig {
    /// Makes keys and configurations, databases, and the network, of HTTP or HTTPS; `faults` are those on the way to the receiver
    /// and back. No node runs.
    pub async fn set_up(tilts: &Path, stores: Stores, tls: bool, faults: [Faults; 2]) -> Result<Self> {
        Self::with_cluster(tilts, (stores, tls), faults, None).await
    }

    /// The same with the database cluster in a folder of the caller's.
    pub async fn with_cluster(
        tilts: &Path,
        (stores, tls): (Stores, bool),
        faults: [Faults; 2],
        cluster: Option<&Path>,
    ) -> Result<Self> {
        let stage = Stage::with(tilts, 2048)?;
        let wire = if tls { Wire::tls(&stage.world.tls_ca)? } else { Wire::Plain };
        let database = members::database(&stage, stores, cluster).await?;
        let bucket = members::bucket(&stage, stores)?;
        let way = || members::straits(stores, database.as_deref());
        let straits = [way().await?, way().await?];
        let of = |side| members::of(&stage, side, (stores, tls), (&straits[side as usize], bucket.as_ref()));
        let sides = [of(Side::Sender)?, of(Side::Receiver)?];
        let tally = Tally::default();
        let there = Proxy::start(as4(&sides[1]), wire.clone(), faults[0], tally.clone()).await?;
        let back = Proxy::start(as4(&sides[0]), wire.clone(), faults[1], tally.clone()).await?;
        for (side, partner, proxy) in [(&sides[0], &sides[1], &there), (&sides[1], &sides[0], &back)] {
            let url = format!("{}://{}/as4", wire.scheme(), proxy.address);
            for point in side {
                stage.append(&point.name, &(agree(&partner[0], Kind::Rsa, "", &url) + RETRY + LIMITS))?;
            }
        }
        let ledger = Ledger::default();
        let consumer = tokio::spawn(consumer::consume(backends(&sides[1]), ledger.clone()));
        let proxies = [there, back];
        Ok(Self { stage, sides, proxies, ledger, faults: tally, database, straits, bucket, consumer })
    }

    /// Where the nodes keep what they have.
    pub fn stores(&self) -> Stores {
        let nodes = self.sides[0].len();
        match (&self.database, &self.bucket) {
            (None, _) => Stores::Sqlite,
            (Some(_), None) => Stores::Postgres(nodes),
            (Some(_), Some(_)) => Stores::Bucket(nodes),
        }
    }

    /// Starts all nodes.
    pub async fn start(&mut self) -> Result<()> {
        for at in self.everybody() {
            self.node(at).start().await?;
        }
        Ok(())
    }

    /// Hands in letters in the background.
    pub fn produce(&self, seed: u64, numbers: std::ops::Range<u64>) -> tokio::task::JoinHandle<Result<()>> {
        let to = backends(&self.sides[0]);
        tokio::spawn(producer::produce(to, seed, numbers, self.ledger.clone()))
    }

    /// All nodes of both sides.
    pub fn everybody(&self) -> Vec<At> {
        let of = |side: Side| (0..self.sides[side as usize].len()).map(move |member| At { side, member });
        Side::BOTH.into_iter().flat_map(of).collect()
    }

    /// A node; of a side, its first.
    pub fn point(&self, at: impl Into<At>) -> &AccessPoint {
        let At { side, member } = at.into();
        &self.sides[side as usize][member]
    }

    /// Its process.
    pub fn node(&mut self, at: impl Into<At>) -> &mut Node {
        let At { side, member } = at.into();
        &mut self.sides[side as usize][member].node
    }

    /// Folder of a node.
    pub fn folder(&self, at: impl Into<At>) -> PathBuf {
        self.stage.world.root.join(&self.point(at).name)
    }

    /// Where the nodes of a side write payloads before they belong to a message.
    pub fn spools(&self, side: Side) -> Result<Vec<PathBuf>> {
        if self.database.is_none() || self.bucket.is_some() {
            let nodes = self.everybody().into_iter().filter(|at| at.side == side);
            return Ok(nodes.map(|at| self.folder(at).join("data/spool")).collect());
        }
        let all = std::fs::read_dir(members::payloads(&self.stage, side).join("spool"))?;
        Ok(all.map(|spool| spool.map(|s| s.path())).collect::<Result<_, _>>()?)
    }

    /// Where a side has its payloads, and on SQLite all else: what is to be mounted there must be before a node starts.
    pub fn payloads(&self, side: Side) -> PathBuf {
        match self.database {
            None => self.folder(side).join("data"),
            Some(_) => members::payloads(&self.stage, side),
        }
    }

    /// What can be kept from answering: the database of a side.
    pub fn store(&self, side: Side) -> Target {
        match &self.database {
            Some(server) => Target::Postgres(server.clone(), members::name(side)),
            None => Target::Sqlite(self.folder(side).join("data")),
        }
    }

    /// The server of the databases, where there is one.
    pub fn database(&self) -> Option<&Postgres> {
        self.database.as_deref()
    }

    /// The way of a node to its database, where that is a server.
    pub fn strait(&self, at: At) -> Option<&Strait> {
        self.straits[at.side as usize].get(at.member)
    }

    /// What goes wrong between the nodes and the bucket.
    pub fn bucket(&self) -> Option<Arc<Fault>> {
        self.bucket.as_ref().map(|server| server.fault.clone())
    }

    /// Exchanges that passed so far, in both directions.
    pub fn exchanges(&self) -> u64 {
        self.proxies.iter().map(Proxy::exchanges).sum()
    }

    /// Starts a node that dies at a named point, by the trap's own time: at the latest while it starts.
    ///
    /// Gives false when it is dead already.
    pub async fn start_with(&mut self, at: impl Into<At>, trap: Option<String>) -> Result<bool> {
        let node = self.node(at);
        node.trap = trap;
        let started = node.start().await;
        let armed = node.trap.take().is_some();
        match started {
            Err(_) if armed && node.has_ended() => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Waits until a node with a trap is dead; false when it lives on.
    pub async fn dies(&mut self, at: impl Into<At>, within: Duration) -> bool {
        let (at, until) = (at.into(), tokio::time::Instant::now() + within);
        while tokio::time::Instant::now() < until {
            if self.node(at).has_ended() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    /// Ends all nodes in order.
    pub async fn stop(&mut self) -> Result<()> {
        for at in self.everybody() {
            self.node(at).stop().await?;
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
