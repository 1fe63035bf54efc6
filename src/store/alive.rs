//! Signs of life of the nodes that share a PostgreSQL store. A lease outlives the longest exchange, which may be hours; whoever
//! is gone is not waited for so long: the others end its leases.
//!
//! A node that is only cut off from the database, and not gone, may still be sending what another one sends again. The MessageId
//! is the same, so the peer takes it once; and what the first then says of its attempt moves the message only where it is a receipt
//! ([`Store::settle`]).
//!
//! [`Store::settle`]: super::Store::settle

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::Error;
use super::open::Wake;
use super::sql::{self, Conn, PostgresPool};
use super::writer::{Announce, CHANNEL};

/// Signs of life in the time after which a node counts as gone.
const BEATS: u32 = 4;
/// A node that was not seen for so long is forgotten, in microseconds: thirty days.
const FORGOTTEN: i64 = 30 * 24 * 3600 * 1_000_000;

/// The server's clock, which is the same for all nodes: their own may differ.
const SEEN: &str =
    "INSERT INTO node (id, seen) VALUES (?, CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT))
     ON CONFLICT (id) DO UPDATE SET seen = EXCLUDED.seen RETURNING seen";

/// A node's sign of life, given as long as it is held.
pub(super) struct Pulse {
    task: JoinHandle<()>,
    pool: PostgresPool,
    node: Arc<str>,
}

impl Pulse {
    /// Says once that `node` lives, and from then on regularly; ends the leases of nodes that said nothing for `gone`.
    pub async fn begin(
        pool: &PostgresPool,
        (wake, node): (&Wake, &Arc<str>),
        gone: Duration,
    ) -> Result<Self, Error> {
        beat(pool, node, gone).await?;
        let (own, bells, name) = (pool.clone(), wake.clone(), Arc::clone(node));
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(gone / BEATS).await;
                match beat(&own, &name, gone).await {
                    Ok(Some(freed)) => bells.announce(&freed),
                    Ok(None) => {}
                    Err(error) => tracing::warn!(%error, "no sign of life could be given"),
                }
            }
        });
        Ok(Self { task, pool: pool.clone(), node: Arc::clone(node) })
    }

    /// Says that the node goes: its leases end now. What could not be said the others notice by themselves.
    pub async fn end(&self) {
        self.task.abort();
        if let Err(error) = farewell(&self.pool, &self.node).await {
            tracing::warn!(%error, "the other nodes could not be told that this one ends");
        }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One sign of life; what became free of nodes that are gone. The sign waits for nobody: a table that is locked for a while makes
/// no node look gone.
async fn beat(pool: &PostgresPool, node: &str, gone: Duration) -> Result<Option<Announce>, Error> {
    let mut conn = Conn::Postgres(pool.begin().await?);
    let now: i64 = sql::query_scalar(SEEN).bind(node).fetch_one(&mut conn).await?;
    conn.end(true).await?;
    let mut conn = Conn::Postgres(pool.begin().await?);
    conn.batch("SET LOCAL lock_timeout = '200ms'").await?;
    let limit = now - i64::try_from(gone.as_micros()).unwrap_or(i64::MAX);
    let messages = sql::query(
        "UPDATE message SET lease_until = NULL WHERE lease_until IS NOT NULL
             AND lease_by IN (SELECT id FROM node WHERE seen < ?)",
    );
    let messages = messages.bind(limit).execute(&mut conn).await?;
    let deliveries = sql::query(
        "UPDATE delivery SET lease_until = NULL WHERE lease_until IS NOT NULL
             AND lease_by IN (SELECT id FROM node WHERE seen < ?)",
    );
    let deliveries = deliveries.bind(limit).execute(&mut conn).await?;
    sql::query("DELETE FROM node WHERE seen < ?").bind(now - FORGOTTEN).execute(&mut conn).await?;
    let freed = Announce { outbound: messages > 0, deliveries: deliveries > 0, events: false };
    if freed.anything() {
        tracing::warn!(messages, deliveries, "another node is gone; its work is taken over");
        conn.batch(&format!("SELECT pg_notify('{CHANNEL}', '{}')", freed.words(node))).await?;
    }
    conn.end(true).await?;
    Ok(freed.anything().then_some(freed))
}

async fn farewell(pool: &PostgresPool, node: &str) -> Result<(), Error> {
    let mut conn = Conn::Postgres(pool.begin().await?);
    super::open::end_leases(&mut conn, Some(node)).await?;
    sql::query("DELETE FROM node WHERE id = ?").bind(node).execute(&mut conn).await?;
    let all = Announce { outbound: true, deliveries: true, events: false };
    conn.batch(&format!("SELECT pg_notify('{CHANNEL}', '{}')", all.words(node))).await?;
    conn.end(true).await
}
