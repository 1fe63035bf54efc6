//! Opening, sharing and closing a store.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection, SqlitePool};
use tokio::sync::watch;

use super::migrate::migrate;
use super::spool::Spool;
use super::writer::{Announce, Work, Writer};
use super::{Error, payload};
use crate::clock::Clock;

/// `[store]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder of database and payloads; made when missing.
    pub path: PathBuf,
    /// Connections for reading.
    pub readers: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { path: PathBuf::from("data"), readers: 4 }
    }
}

/// The store. Cheap to clone; all clones are one store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    writer: Writer,
    ended: watch::Receiver<()>,
    read: SqlitePool,
    spool: Spool,
    wake: Wake,
    clock: Clock,
    /// Held as long as the store is open: a second process is refused.
    _lock: File,
}

impl Store {
    /// Opens the store at `config.path`, makes it when missing, brings its schema up to date, ends the leases of a process
    /// that is gone and removes payload files that no row names.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it open; [`Error::Newer`]; the disk's and the database's refusals.
    pub async fn open(config: &Config, clock: Clock) -> Result<Self, Error> {
        fs::create_dir_all(&config.path).map_err(Error::io(&config.path))?;
        let lock = lock(&config.path)?;
        let spool = Spool::open(&config.path)?;
        let options = options(&config.path);
        let mut conn = options.clone().connect().await?;
        migrate(&mut conn, &config.path).await?;
        recover(&mut conn).await?;
        payload::remove_orphans(&mut conn, &spool).await?;
        let read = SqlitePoolOptions::new()
            .max_connections(config.readers.max(1))
            .acquire_timeout(Duration::from_secs(30))
            .connect_with(options.pragma("query_only", "1"))
            .await?;
        let wake = Wake::new();
        let (writer, ended) = Writer::start(conn, wake.clone());
        Ok(Self { inner: Arc::new(Inner { writer, ended, read, spool, wake, clock, _lock: lock }) })
    }

    /// Writes a last checkpoint, waits for everything in the queue and closes the database. Later calls fail with
    /// [`Error::Closed`].
    ///
    /// # Errors
    /// Those of the checkpoint; the database is closed all the same.
    pub async fn close(&self) -> Result<(), Error> {
        let last = self.checkpoint(self.clock().now()).await;
        self.inner.writer.stop();
        let mut ended = self.inner.ended.clone();
        while ended.changed().await.is_ok() {}
        self.inner.read.close().await;
        last.map(|_| ())
    }

    /// Where payloads are written before they belong to a message.
    pub fn spool(&self) -> &Spool {
        &self.inner.spool
    }

    /// Changes whenever an outbound message became due or was settled.
    pub fn outbound_changes(&self) -> watch::Receiver<u64> {
        self.inner.wake.outbound.subscribe()
    }

    /// Changes whenever a delivery was made or settled.
    pub fn delivery_changes(&self) -> watch::Receiver<u64> {
        self.inner.wake.deliveries.subscribe()
    }

    /// Changes whenever an event was written.
    pub fn event_changes(&self) -> watch::Receiver<u64> {
        self.inner.wake.events.subscribe()
    }

    /// The clock the store was opened with.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    pub(super) fn read(&self) -> &SqlitePool {
        &self.inner.read
    }

    pub(super) async fn write<T, F>(&self, command: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'w> FnOnce(&'w mut Work) -> BoxFuture<'w, Result<T, Error>> + Send + 'static,
    {
        self.inner.writer.run(command).await
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

/// The three bells.
#[derive(Clone)]
pub(super) struct Wake {
    outbound: watch::Sender<u64>,
    deliveries: watch::Sender<u64>,
    events: watch::Sender<u64>,
}

impl Wake {
    fn new() -> Self {
        Self { outbound: watch::channel(0).0, deliveries: watch::channel(0).0, events: watch::channel(0).0 }
    }

    pub(super) fn announce(&self, what: &Announce) {
        for (wanted, bell) in [
            (what.outbound, &self.outbound),
            (what.deliveries, &self.deliveries),
            (what.events, &self.events),
        ] {
            if wanted {
                bell.send_modify(|count| *count += 1);
            }
        }
    }
}

fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let file =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(Error::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { path: folder.to_owned() }),
        Err(TryLockError::Error(error)) => Err(Error::io(&path)(error)),
    }
}

fn options(folder: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(folder.join("tilts.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        .pragma("cache_size", "-16384")
        .disable_statement_logging()
}

/// Only one process has the store, so that leases found at start belong to one that is gone.
async fn recover(conn: &mut SqliteConnection) -> Result<(), Error> {
    sqlx::query("UPDATE message SET lease_until = NULL WHERE lease_until IS NOT NULL")
        .execute(&mut *conn)
        .await?;
    sqlx::query("UPDATE delivery SET lease_until = NULL WHERE lease_until IS NOT NULL")
        .execute(&mut *conn)
        .await?;
    Ok(())
}
