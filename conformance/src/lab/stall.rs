//! A database that does not answer for a while: somebody else holds its write lock.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::ledger::Ledger;
use super::run::Plan;
use super::tally::Tally;
use crate::postgres::Postgres;
use crate::random::Random;
use crate::s3::Fault;

/// Python's own SQLite: no process of ours should have to speak to a node's database.
const HOLD: &str = "import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
c.execute('BEGIN IMMEDIATE')
print('held', flush=True)
time.sleep(float(sys.argv[2]))
c.execute('ROLLBACK')";

/// The database of a side.
#[derive(Clone)]
pub enum Target {
    /// The folder of a store.
    Sqlite(PathBuf),
    /// A database of a server.
    Postgres(Arc<Postgres>, &'static str),
}

/// A lock that is held. Dropped, it is let go.
pub struct Stall {
    child: Child,
    /// Whoever holds the lock may have more to say, and must not fail for want of a reader.
    _output: BufReader<ChildStdout>,
}

impl Stall {
    /// Takes what everybody who writes needs, and holds it for so long.
    pub async fn begin(target: &Target, length: Duration) -> Result<Self> {
        let mut command = match target {
            Target::Sqlite(store) => {
                let mut command = Command::new("python3");
                command.args(["-c", HOLD]).arg(store.join("tilts.db")).arg(length.as_secs_f64().to_string());
                command
            }
            Target::Postgres(server, database) => {
                let wait = format!("SELECT pg_sleep({})", length.as_secs_f64());
                let lock = "LOCK TABLE message IN ACCESS EXCLUSIVE MODE";
                server.client(database, &["BEGIN", lock, "SELECT 'held'", &wait, "ROLLBACK"])
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {:?}", command.as_std()))?;
        let mut line = String::new();
        let output = child.stdout.take().context("no output")?;
        let mut output = BufReader::new(output);
        output.read_line(&mut line).await?;
        ensure!(line.trim() == "held", "the lock could not be taken: {line:?}");
        Ok(Self { child, _output: output })
    }

    /// Waits until the lock is let go.
    pub async fn end(mut self) -> Result<()> {
        ensure!(self.child.wait().await?.success(), "the lock was not held to the end");
        Ok(())
    }
}

/// Stalls one or the other of two stores as often as planned, each time for less than a store waits, spread over the run. A server
/// ends all connections of a database instead now and then, and connections to a bucket break off for such a time.
pub(super) async fn stall_all(
    (targets, bucket): ([Target; 2], Option<Arc<Fault>>),
    plan: Plan,
    ledger: Ledger,
    done: Tally,
) -> Result<()> {
    let mut random = Random::new(plan.seed ^ 0xd);
    for number in 1..=plan.stalls {
        let due = number * plan.messages / (plan.stalls + 1);
        while (ledger.progress().1 as u64) < due {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let side = random.below(2) as usize;
        let length = Duration::from_millis(200 + random.below(3000));
        let name = ["sender", "receiver"][side];
        if let Some(fault) = bucket.as_ref().filter(|_| number % 2 == 0) {
            break_off(fault, &mut random, length).await;
            done.count("bucket");
            continue;
        }
        match &targets[side] {
            Target::Postgres(server, database) if random.below(2) == 0 => {
                server.disconnect(database).await?;
                done.count(&format!("{name} disconnected"));
            }
            target => {
                Stall::begin(target, length).await?.end().await?;
                done.count(name);
            }
        }
    }
    Ok(())
}

/// For so long, every connection to the bucket breaks off sooner or later.
async fn break_off(fault: &Fault, random: &mut Random, length: Duration) {
    let until = tokio::time::Instant::now() + length;
    while tokio::time::Instant::now() < until {
        fault.break_after(i64::try_from(random.below(200_000)).unwrap_or_default());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    fault.heal();
}
