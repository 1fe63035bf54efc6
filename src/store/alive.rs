//! Signs of life of the nodes that share a PostgreSQL store. A lease outlives the longest exchange, which may be hours; whoever
//! is gone is not waited for so long: the others end its leases.
//!
//! A node that is only cut off from the database, and not gone, may still be sending what another one sends again. The MessageId
//! is the same, so the peer takes it once; and what the first then says of its attempt moves the message only where it is a receipt
//! ([`Store::settle`]).
//!
//! A name belongs to one process. Where a folder was copied with the name in it, a second one would take the first one's leases for its own:
//! whoever finds that another goes by its name ends.
//!
//! [`Store::settle`]: super::Store::settle

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::Error;
use super::open::Wake;
use super::parts::Part;
use super::sql::{self, Conn, PostgresPool};
use super::writer::Announce;
use crate::crash::{self, Point};

/// Signs of life in the time after which a node counts as gone.
pub(super) const BEATS: u32 = 4;
/// A node that was not seen for so long is forgotten, in microseconds: thirty days.
const FORGOTTEN: i64 = 30 * 24 * 3600 * 1_000_000;

/// The server's clock, which is the same for all nodes: their own may differ.
macro_rules! seen {
    ($conflict:literal) => {
        concat!(
            "INSERT INTO node (id, instance, seen) VALUES (?1, ?2, CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT))
             ON CONFLICT (id) DO UPDATE SET ",
            $conflict,
            " RETURNING node.seen"
        )
    };
}
/// The name belongs to this process from now on.
const TAKE: &str = seen!("seen = EXCLUDED.seen, instance = EXCLUDED.instance");
/// A sign of life of whoever has the name; no row for anybody else.
const SEEN: &str = seen!("seen = EXCLUDED.seen WHERE node.instance = EXCLUDED.instance");
const MINE: &str = "SELECT 1 FROM node WHERE id = ? AND instance = ? FOR UPDATE";

/// A node's sign of life, given as long as it is held.
pub(super) struct Pulse {
    task: JoinHandle<()>,
    pool: PostgresPool,
    own: Name,
}

/// A node, and which process of it this is.
#[derive(Clone)]
struct Name {
    node: Arc<str>,
    instance: Arc<str>,
}

/// What a sign of life came to.
enum Beat {
    /// Nothing is to be done.
    Still,
    /// Another node is gone; its work is free.
    Freed(Announce),
    /// Another process goes by this node's name.
    Taken,
}

impl Pulse {
    /// Says once that `node` lives, and from then on regularly; ends the leases of nodes that said nothing for `gone`.
    pub async fn begin(
        pool: &PostgresPool,
        (wake, node): (&Wake, &Arc<str>),
        gone: Duration,
    ) -> Result<(Self, Part), Error> {
        let own = Name { node: Arc::clone(node), instance: uuid::Uuid::new_v4().to_string().into() };
        sign(pool, TAKE, &own).await?;
        let (on, bells, name) = (pool.clone(), wake.clone(), own.clone());
        let (part, beating) = Part::of("the store's sign of life", async move {
            let mut steady = Steady::begin(gone);
            loop {
                tokio::time::sleep(gone / BEATS).await;
                crash::at(Point::SignDue);
                match beat(&on, &name, gone, &mut steady).await {
                    Ok(Beat::Freed(freed)) => bells.announce(&freed),
                    Ok(Beat::Still) => {}
                    Ok(Beat::Taken) => return said_to_be_taken(&name.node),
                    Err(error) => tracing::warn!(%error, "no sign of life could be given"),
                }
            }
        });
        let task = tokio::spawn(beating);
        Ok((Self { task, pool: pool.clone(), own }, part))
    }

    /// Says that the node goes: its leases end now. What could not be said the others notice by themselves.
    pub async fn end(&self) {
        self.task.abort();
        if let Err(error) = farewell(&self.pool, &self.own).await {
            tracing::warn!(%error, "the other nodes could not be told that this one ends");
        }
    }
}

fn said_to_be_taken(node: &str) {
    tracing::error!(
        node,
        "another process goes by the name of this node: was its folder copied? Each node needs a path of its own; remove the file \
         `node` from the copy"
    );
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Since when a node has given its signs without a gap. While the database was away nobody could give one: whoever comes back first
/// must not take the others for gone.
struct Steady {
    since: Instant,
    last: Instant,
    gone: Duration,
}

impl Steady {
    fn begin(gone: Duration) -> Self {
        let now = Instant::now();
        Self { since: now, last: now, gone }
    }

    /// A sign was given; true when the others had time to give theirs.
    fn sign(&mut self, now: Instant) -> bool {
        if now.duration_since(self.last) > self.gone / 2 {
            self.since = now;
        }
        self.last = now;
        now.duration_since(self.since) > self.gone
    }
}

/// One sign of life, in a transaction of its own, for it waits for nobody; then what became free of nodes that are gone.
async fn beat(pool: &PostgresPool, own: &Name, gone: Duration, steady: &mut Steady) -> Result<Beat, Error> {
    let Some(now) = sign(pool, SEEN, own).await? else { return Ok(Beat::Taken) };
    if !steady.sign(Instant::now()) {
        return Ok(Beat::Still);
    }
    let limit = now - i64::try_from(gone.as_micros()).unwrap_or(i64::MAX);
    let mut conn = Conn::Postgres(pool.begin().await?);
    let messages = sql::query(FREE_MESSAGES).bind(limit).execute(&mut conn).await?;
    let deliveries = sql::query(FREE_DELIVERIES).bind(limit).execute(&mut conn).await?;
    sql::query("DELETE FROM node WHERE seen < ?").bind(now - FORGOTTEN).execute(&mut conn).await?;
    let freed = Announce { outbound: messages > 0, deliveries: deliveries > 0, events: false };
    if freed.anything() {
        tracing::warn!(messages, deliveries, "another node is gone; its work is taken over");
        freed.tell(&mut conn, &own.node).await?;
    }
    conn.end(true).await?;
    Ok(if freed.anything() { Beat::Freed(freed) } else { Beat::Still })
}

/// Rows that a transaction of the node that is gone still has locked are left for the next time.
const FREE_MESSAGES: &str = "UPDATE message SET lease_until = NULL WHERE id IN (SELECT id FROM message
     WHERE lease_until IS NOT NULL AND lease_by IN (SELECT id FROM node WHERE seen < ?) FOR UPDATE SKIP LOCKED)";
const FREE_DELIVERIES: &str = "UPDATE delivery SET lease_until = NULL WHERE id IN (SELECT id FROM delivery
     WHERE lease_until IS NOT NULL AND lease_by IN (SELECT id FROM node WHERE seen < ?) FOR UPDATE SKIP LOCKED)";

async fn sign(pool: &PostgresPool, how: &'static str, own: &Name) -> Result<Option<i64>, Error> {
    let mut conn = Conn::Postgres(pool.begin().await?);
    let now = sql::query_scalar(how).bind(&*own.node).bind(&*own.instance).fetch_optional(&mut conn).await?;
    conn.end(true).await?;
    Ok(now)
}

async fn farewell(pool: &PostgresPool, Name { node, instance }: &Name) -> Result<(), Error> {
    let mut conn = Conn::Postgres(pool.begin().await?);
    let mine = sql::query(MINE).bind(&**node).bind(&**instance).fetch_optional(&mut conn).await?;
    if mine.is_none() {
        return conn.end(false).await;
    }
    super::open::end_leases(&mut conn, Some(&**node)).await?;
    sql::query("DELETE FROM node WHERE id = ?").bind(&**node).execute(&mut conn).await?;
    let all = Announce { outbound: true, deliveries: true, events: false };
    all.tell(&mut conn, node).await?;
    conn.end(true).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_taken_for_gone_before_all_had_time_to_give_a_sign() {
        let gone = Duration::from_secs(30);
        let mut steady = Steady::begin(gone);
        let begun = steady.since;
        let mut sign = |seconds| steady.sign(begun + Duration::from_secs(seconds));
        assert!(!sign(7) && !sign(15) && !sign(22) && !sign(30) && sign(37));
        assert!(!sign(90), "the database was away");
        assert!(!sign(97) && !sign(105) && !sign(112) && !sign(120) && sign(127));
    }
}
