//! A database that does not answer for a while: somebody else holds its write lock.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Python's own SQLite: no process of ours should have to speak to a node's database.
const HOLD: &str = "import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
c.execute('BEGIN IMMEDIATE')
print('held', flush=True)
time.sleep(float(sys.argv[2]))
c.execute('ROLLBACK')";

/// A lock that is held. Dropped, it is let go.
pub struct Stall(Child);

impl Stall {
    /// Takes the write lock of the database of a store and holds it for so long.
    pub async fn begin(store: &Path, length: Duration) -> Result<Self> {
        let mut command = Command::new("python3");
        command.args(["-c", HOLD]).arg(store.join("tilts.db")).arg(length.as_secs_f64().to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("python3 is needed to hold the lock")?;
        let mut line = String::new();
        let output = child.stdout.take().context("no output")?;
        BufReader::new(output).read_line(&mut line).await?;
        ensure!(line.trim() == "held", "the lock could not be taken: {line:?}");
        Ok(Self(child))
    }

    /// Waits until the lock is let go.
    pub async fn end(mut self) -> Result<()> {
        ensure!(self.0.wait().await?.success(), "the lock was not held to the end");
        Ok(())
    }
}
