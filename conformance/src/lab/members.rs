//! The nodes of one side: one on SQLite, or several on one PostgreSQL database and one folder or bucket of payloads.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, ensure};

use super::schedule::Side;
use super::strait::Strait;
use crate::hostile::target::plain;
use crate::node::{Node, Ports};
use crate::postgres::Postgres;
use crate::s3::S3;
use crate::stage::{Kind, Stage};
use crate::world::AccessPoint;

/// Where the nodes keep what they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stores {
    /// One node on each side, on SQLite.
    Sqlite,
    /// So many nodes on each side, on one database of a PostgreSQL server of our own and one folder of payloads.
    Postgres(usize),
    /// The same with a bucket of payloads, on an S3 server of our own.
    Bucket(usize),
}

impl Stores {
    /// Nodes of each side.
    pub fn members(self) -> usize {
        match self {
            Self::Sqlite => 1,
            Self::Postgres(members) | Self::Bucket(members) => members.max(1),
        }
    }
}

/// Name of the access point of a side, of its first folder and of its database.
pub(super) fn name(side: Side) -> &'static str {
    match side {
        Side::Sender => "a",
        Side::Receiver => "b",
    }
}

/// The folder of payloads that the nodes of a side share on PostgreSQL.
pub(super) fn payloads(stage: &Stage, side: Side) -> PathBuf {
    stage.world.root.join(format!("payloads-{}", name(side)))
}

/// The S3 server; nothing where payloads lie in folders.
pub(super) fn bucket(stage: &Stage, stores: Stores) -> Result<Option<S3>> {
    match stores {
        Stores::Bucket(_) => S3::start(&stage.world.root.join("s3"), None).map(Some),
        Stores::Sqlite | Stores::Postgres(_) => Ok(None),
    }
}

/// The database server, with an empty database for each side, in that folder where one is named; nothing for SQLite.
pub(super) async fn database(
    stage: &Stage,
    stores: Stores,
    cluster: Option<&Path>,
) -> Result<Option<Arc<Postgres>>> {
    if stores == Stores::Sqlite {
        return Ok(None);
    }
    let log = stage.world.root.join("postgres.log");
    let server = match cluster {
        Some(folder) => Postgres::start_in(folder, &log).await?,
        None => Postgres::start(&log).await?,
    };
    for side in Side::BOTH {
        server.database(name(side)).await?;
    }
    Ok(Some(Arc::new(server)))
}

/// A way to the database for each node of a side; none on SQLite.
pub(super) async fn straits(stores: Stores, database: Option<&Postgres>) -> Result<Vec<Strait>> {
    let mut straits = Vec::new();
    if let Some(server) = database {
        for _ in 0..stores.members() {
            straits.push(Strait::to(server.address).await?);
        }
    }
    Ok(straits)
}

/// Makes the nodes of a side. None knows its partner yet.
pub(super) fn of(
    stage: &Stage,
    side: Side,
    (stores, tls): (Stores, bool),
    (straits, bucket): (&[Strait], Option<&S3>),
) -> Result<Vec<AccessPoint>> {
    let first = stage.node(name(side), &[Kind::Rsa], false)?;
    let folder = stage.world.root.join(&first.name);
    let config = folder.join("tilts.toml");
    if !tls {
        plain(&config)?;
    }
    if let Some(way) = straits.first() {
        let own = "path = \"data\"\n";
        let place = match bucket {
            Some(bucket) => bucket.configuration(&folder, name(side))?,
            None => String::new(),
        };
        let payloads = match bucket {
            Some(_) => String::new(),
            None => format!("payloads = \"../payloads-{}\"\n", first.name),
        };
        // What crosses must be the same when payloads are encrypted at rest.
        fs::write(folder.join("payload.key"), "5a".repeat(32))?;
        let shared = format!(
            "{own}payload_keys = [\"payload.key\"]\n{payloads}{place}[store.postgres]\nurl = \"{}\"\n\
             takeover_seconds = 3\n",
            Postgres::url_by(way.address, name(side))
        );
        replace(&config, own, &shared)?;
    }
    let mut nodes = vec![first];
    for number in 2..=stores.members() {
        let next = another(&nodes[0], &folder, number)?;
        if let (Some(first), Some(own)) = (straits.first(), straits.get(number - 1)) {
            let config = folder.with_file_name(&next.name).join("tilts.toml");
            replace(&config, &first.address.to_string(), &own.address.to_string())?;
        }
        nodes.push(next);
    }
    Ok(nodes)
}

/// A copy of a node that did not run yet, with ports of its own.
fn another(first: &AccessPoint, folder: &Path, number: usize) -> Result<AccessPoint> {
    let name = format!("{}{number}", first.name);
    let copy = folder.with_file_name(&name);
    fs::create_dir(&copy)?;
    for file in fs::read_dir(folder)? {
        let file = file?;
        fs::copy(file.path(), copy.join(file.file_name()))?;
    }
    let (config, old, ports) = (copy.join("tilts.toml"), first.node.ports, Ports::free()?);
    for (old, new) in [(old.as4, ports.as4), (old.backend, ports.backend), (old.admin, ports.admin)] {
        replace(&config, &old.to_string(), &new.to_string())?;
    }
    let node = Node::new(first.node.binary(), &config, ports);
    Ok(AccessPoint { name, node, certificate: copy.join("certificate.pem"), transport: first.transport })
}

fn replace(config: &Path, old: &str, new: &str) -> Result<()> {
    let text = fs::read_to_string(config)?;
    ensure!(text.contains(old), "{} has no {old:?}", config.display());
    Ok(fs::write(config, text.replace(old, new))?)
}

/// Where nodes receive.
pub(super) fn as4(nodes: &[AccessPoint]) -> Vec<SocketAddr> {
    nodes.iter().map(|point| point.node.ports.as4).collect()
}

/// Where nodes have their backends.
pub(super) fn backends(nodes: &[AccessPoint]) -> Vec<SocketAddr> {
    nodes.iter().map(|point| point.node.ports.backend).collect()
}
