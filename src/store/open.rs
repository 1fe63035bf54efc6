//! Opening, sharing and closing a store.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::alive::{BEATS, Pulse};
use super::answering::{Answering, PACE};
use super::hands::Hands;
use super::lease::Leases;
use super::parts::Part;
use super::room::Room;
use super::sealed::PayloadKeys;
use super::shelf::{self, S3Config, Shelf};
use super::spool::Spool;
use super::sql::{self, Access, Conn, Listener, Moment, PostgresConfig, PostgresPool, Readers, SqliteConn};
use super::unheard::Unheard;
use super::writer::{Announce, CHANNEL, Work, Writer};
use super::{Error, migrate, payload_files};
use crate::clock::Clock;
use crate::crash::{self, Point};

/// `[store]` of the configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of this node alone: the SQLite database, payloads unless they are elsewhere; made when missing.
    pub path: PathBuf,
    /// Connections for reading a SQLite database.
    pub readers: u32,
    /// The PostgreSQL database, instead of SQLite.
    pub postgres: Option<PostgresConfig>,
    /// Folder of payloads where several nodes share one.
    pub payloads: Option<PathBuf>,
    /// The bucket of payloads, instead of a folder.
    pub s3: Option<S3Config>,
    /// Octets that stay free on the disks of the folders, at most a twentieth of each.
    pub keep_free: u64,
    /// Keys of payloads at rest.
    pub keys: PayloadKeys,
    /// Who carries out the statements of a SQLite database.
    pub hands: Hands,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            path: PathBuf::from("data"),
            readers: 4,
            postgres: None,
            payloads: None,
            s3: None,
            keep_free: 0,
            keys: PayloadKeys::default(),
            hands: Hands::default(),
        }
    }
}

impl Config {
    /// The folder of payloads in the making: in the shared folder where there is one, for a file is published there by its name alone.
    fn making(&self, node: &str) -> PathBuf {
        match &self.payloads {
            Some(shared) => shared.join("spool").join(node),
            None => self.path.join("spool"),
        }
    }
}

/// The store. Cheap to clone; all clones are one store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    writer: Writer,
    answering: Answering,
    writers: Vec<Part>,
    /// What else it does by itself.
    others: Vec<Part>,
    read: Read,
    spool: Spool,
    room: Arc<Room>,
    wake: Wake,
    /// What this node sends just now, where nobody else needs to know.
    leases: Option<Leases>,
    /// What this node leased in the database without knowing.
    unheard: Unheard,
    clock: Clock,
    /// Who this node is among those that share the store.
    node: Arc<str>,
    /// Files that no row named in the last round that looked for them.
    unnamed: Mutex<HashSet<String>>,
    /// What the database said when a page of it turned out to be damaged.
    corrupt: OnceLock<String>,
    /// Held as long as the store is open: a second process is refused.
    _lock: File,
}

/// Where reading statements run.
#[derive(Clone)]
enum Read {
    Sqlite(Readers),
    Postgres(PostgresPool, Arc<Pulse>),
}

impl Store {
    /// Opens the store at `config.path`, makes it when missing, brings its schema up to date, ends the leases of a process
    /// that is gone and removes payload files that no row names. A bucket is tried out.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it open; [`Error::Newer`]; [`Error::Bucket`] and [`Error::Foreign`]; the disk's and the
    /// database's refusals.
    pub async fn open(config: &Config, clock: Clock) -> Result<Self, Error> {
        fs::create_dir_all(&config.path).map_err(Error::io(&config.path))?;
        let lock = lock(&config.path)?;
        let node = node(&config.path)?;
        let folders = std::iter::once(config.path.clone()).chain(config.payloads.clone()).collect();
        let room = Arc::new(Room::new(folders, config.keep_free));
        let shelf = Shelf::of(config)?;
        let spool = Spool::open(config.making(&node), shelf, config.keys.clone(), Arc::clone(&room))?;
        let wake = Wake::new();
        let Opened { read, writer, writers, others } = match &config.postgres {
            None => sqlite(config, (&spool, &wake, &node)).await?,
            Some(postgres) => patiently(config, postgres, (&spool, &wake, &node)).await?,
        };
        let leases = config.postgres.is_none().then(Leases::default);
        let (answering, unheard, unnamed) = (Answering::new(), Unheard::default(), Mutex::default());
        let inner = Inner {
            writer,
            answering,
            writers,
            others,
            read,
            spool,
            room,
            wake,
            leases,
            unheard,
            clock,
            node,
            unnamed,
            corrupt: OnceLock::new(),
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Writes a last checkpoint, waits for everything in the queue and closes the database. Later calls fail with
    /// [`Error::Closed`].
    ///
    /// # Errors
    /// Those of the checkpoint; the database is closed all the same.
    pub async fn close(&self) -> Result<(), Error> {
        let last = self.checkpoint(self.clock().now()).await;
        self.inner.writer.stop();
        self.ended().await;
        match &self.inner.read {
            Read::Sqlite(readers) => readers.close(),
            Read::Postgres(pool, pulse) => {
                pulse.end().await;
                pool.close().await;
            }
        }
        last.map(|_| ())
    }

    /// Ready when nothing is written any more: after [`Store::close`], or because whoever wrote is gone.
    pub async fn ended(&self) {
        for writer in &self.inner.writers {
            writer.ended().await;
        }
    }

    /// What the store does by itself. None of it ends before [`Store::close`], or it has failed.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.inner.writers.iter().chain(&self.inner.others)
    }

    /// Whether more can be taken over; else peers and producers are to come again.
    ///
    /// # Errors
    /// [`Error::NoRoom`]; the system's, when it cannot say how much is free.
    pub fn check_room(&self) -> Result<(), Error> {
        self.inner.room.check()
    }

    /// Whether the database has not been found to be damaged since the start.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn check_sound(&self) -> Result<(), Error> {
        match self.inner.corrupt.get() {
            Some(said) => Err(Error::Damaged { what: "the database", value: said.clone() }),
            None => Ok(()),
        }
    }

    /// The same, the database is whole, and the store has not kept anybody waiting for long: what is taken over while it does lies in memory, and its files look left
    /// over in the end.
    ///
    /// # Errors
    /// As [`Store::check_room`] and [`Store::check_sound`]; [`Error::Silent`].
    pub fn check_taking(&self) -> Result<(), Error> {
        self.check_room()?;
        self.check_sound()?;
        self.check_pace(PACE)
    }

    /// The octets that are free on the disk of each folder of this node.
    pub fn free_octets(&self) -> Vec<(PathBuf, u64)> {
        self.inner.room.free()
    }

    pub(super) fn unnamed(&self) -> MutexGuard<'_, HashSet<String>> {
        self.inner.unnamed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where payloads are written before they belong to a message.
    pub fn spool(&self) -> &Spool {
        &self.inner.spool
    }

    /// Changes whenever an outbound message became due or was settled.
    pub fn outbound_changes(&self) -> watch::Receiver<u64> {
        self.inner.wake.outbound.subscribe()
    }

    /// Changes whenever a message waits to be carried to its backend.
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

    pub(super) fn answering(&self) -> &Answering {
        &self.inner.answering
    }

    pub(super) fn writer(&self) -> &Writer {
        &self.inner.writer
    }

    /// The leases of messages, where they are not in the database.
    pub(super) fn leases(&self) -> Option<&Leases> {
        self.inner.leases.as_ref()
    }

    /// Leases in the database whose answer was lost.
    pub(super) fn unheard(&self) -> &Unheard {
        &self.inner.unheard
    }

    pub(super) fn ring(&self, what: &Announce) {
        self.inner.wake.announce(what);
    }

    /// Who this node is among those that share the store.
    pub(super) fn node(&self) -> &Arc<str> {
        &self.inner.node
    }

    /// For a statement that finds a row or two by a key or at the begin of an index, and changes nothing.
    pub(super) fn look(&self) -> Conn {
        match &self.inner.read {
            Read::Sqlite(readers) => Conn::SqliteHere(readers.clone()),
            Read::Postgres(pool, _) => Conn::PostgresPool(pool.clone()),
        }
    }

    /// For several such statements, which on SQLite see the same state.
    pub(super) fn moment(&self) -> Result<Moment, Error> {
        match &self.inner.read {
            Read::Sqlite(readers) => readers.moment(),
            Read::Postgres(pool, _) => Ok(Moment::without(Conn::PostgresPool(pool.clone()))),
        }
    }

    /// For statements that change nothing, each by itself.
    pub(super) fn read(&self) -> Conn {
        match &self.inner.read {
            Read::Sqlite(readers) => Conn::SqliteReaders(readers.clone()),
            Read::Postgres(pool, _) => Conn::PostgresPool(pool.clone()),
        }
    }

    pub(super) async fn write<T, F>(&self, command: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'w> FnOnce(&'w mut Work) -> BoxFuture<'w, Result<T, Error>> + Send + 'static,
    {
        let done = self.inner.writer.run(command).await;
        if let Err(Error::Database(error)) = &done
            && error.is_corrupt()
        {
            self.inner.corrupt.get_or_init(|| {
                tracing::error!(%error, "the database is damaged: nothing more is taken; restore a backup");
                error.to_string()
            });
        }
        done
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

/// The file of the SQLite database in a store's folder.
pub(super) fn database(folder: &Path) -> PathBuf {
    folder.join("tilts.db")
}

/// What differs between the databases.
struct Opened {
    read: Read,
    writer: Writer,
    writers: Vec<Part>,
    others: Vec<Part>,
}

async fn sqlite(config: &Config, (spool, wake, node): (&Spool, &Wake, &Arc<str>)) -> Result<Opened, Error> {
    let file = database(&config.path);
    let conn = SqliteConn::open(&file, Access::Write)?;
    if let Hands::Caller(_) = config.hands {
        conn.leave_disk()?;
    }
    let mut conn = Conn::Sqlite(Box::new(conn));
    migrate::sqlite(&mut conn, &config.path).await?;
    let id = shelf::id(&mut conn).await?;
    shelf::claim(spool.shelf(), &mut conn, &id, node).await?;
    // Only one process has the store, so that leases found at start belong to one that is gone: those of deliveries, and those of
    // messages that an earlier version wrote down.
    end_leases(&mut conn, None).await?;
    tidy(&mut conn, config, spool).await?;
    let readers = match config.hands {
        Hands::Threads => Readers::open(&file, config.readers)?,
        Hands::Caller(_) => Readers::of_caller(&file)?,
    };
    let hands = (config.hands.clone(), wake.clone());
    let (writer, part) = Writer::on_sqlite(conn, hands).map_err(Error::io(&config.path))?;
    Ok(Opened { read: Read::Sqlite(readers), writer, writers: vec![part], others: Vec::new() })
}

/// How old a file that no row names must be before a node takes it for left over: another one may be about to name it.
pub const SETTLED: Duration = Duration::from_secs(3600);

/// So long a server is asked again.
const PATIENCE: Duration = Duration::from_secs(5);
/// After this time.
const AGAIN: Duration = Duration::from_millis(500);

/// A server that ends the connections of a node which is just starting, as one that is started anew itself, is asked again.
async fn patiently(
    config: &Config,
    postgres: &PostgresConfig,
    around: (&Spool, &Wake, &Arc<str>),
) -> Result<Opened, Error> {
    let begun = Instant::now();
    loop {
        match cluster(config, postgres, around).await {
            Err(error) if error.is_hung_up() && begun.elapsed() < PATIENCE => {
                tracing::warn!(%error, "the database hung up; it is asked again");
                tokio::time::sleep(AGAIN).await;
            }
            opened => return opened,
        }
    }
}

/// Nothing runs yet where this fails.
async fn cluster(
    config: &Config,
    postgres: &PostgresConfig,
    (spool, wake, node): (&Spool, &Wake, &Arc<str>),
) -> Result<Opened, Error> {
    let pool = PostgresPool::connect(postgres).await?;
    migrate::postgres(&pool, &config.path).await?;
    let mut conn = Conn::Postgres(pool.begin().await?);
    let id = shelf::id(&mut conn).await?;
    conn.end(true).await?;
    shelf::claim(spool.shelf(), &mut Conn::PostgresPool(pool.clone()), &id, node).await?;
    let mut conn = Conn::Postgres(pool.begin().await?);
    end_leases(&mut conn, Some(node)).await?;
    conn.end(true).await?;
    // To list a large folder may take long: in no transaction, which the server would end.
    tidy(&mut Conn::PostgresPool(pool.clone()), config, spool).await?;
    let listener = Listener::begin(&pool, CHANNEL, postgres.takeover / BEATS).await?;
    let (pulse, beating) = Pulse::begin(&pool, (wake, node), postgres.takeover).await?;
    let listener = listening(listener, (wake.clone(), Arc::clone(node)));
    // A third of the connections is left for reading.
    let writers = (postgres.connections * 2 / 3).max(1);
    let (writer, writers) = Writer::on_postgres(&pool, writers, (wake, node));
    let read = Read::Postgres(pool, Arc::new(pulse));
    Ok(Opened { read, writer, writers, others: vec![listener, beating] })
}

/// Rings here for what the other nodes tell, until the pool is closed.
fn listening(mut listener: Listener, (wake, own): (Wake, Arc<str>)) -> Part {
    let (part, listening) = Part::of("the store's listener", async move {
        while let Some(words) = listener.heard().await {
            crash::at(Point::WordHeard);
            if let Some(announced) = Announce::heard(&own, &words) {
                wake.announce(&announced);
            }
        }
    });
    tokio::spawn(listening);
    part
}

/// Removes files that no row names, in a folder of this node alone. What others publish too, and a bucket, which may take minutes to list, the
/// hourly round looks after ([`Store::collect_files`]), beginning with one soon after the start.
async fn tidy(conn: &mut Conn, config: &Config, spool: &Spool) -> Result<(), Error> {
    if config.s3.is_some() || config.payloads.is_some() {
        return Ok(());
    }
    let removed = payload_files::remove_orphans(conn, spool.shelf()).await?;
    if removed > 0 {
        tracing::info!(removed, "payload files that no row names are removed: of a process that died");
    }
    Ok(())
}

/// Ends the leases of `node`, or all of them.
pub(super) async fn end_leases(conn: &mut Conn, node: Option<&str>) -> Result<(), Error> {
    for statement in [
        "UPDATE message SET lease_until = NULL WHERE lease_until IS NOT NULL AND (?1 IS NULL OR lease_by = ?1)",
        "UPDATE delivery SET lease_until = NULL WHERE lease_until IS NOT NULL AND (?1 IS NULL OR lease_by = ?1)",
    ] {
        sql::query(statement).bind(node).execute(conn).await?;
    }
    Ok(())
}

/// The name of this node: made at the first start, the same ever after.
fn node(folder: &Path) -> Result<Arc<str>, Error> {
    let path = folder.join("node");
    let known = fs::read_to_string(&path).unwrap_or_default();
    if uuid::Uuid::try_parse(known.trim()).is_ok() {
        return Ok(known.trim().into());
    }
    let new = uuid::Uuid::new_v4().to_string();
    fs::write(&path, &new).map_err(Error::io(&path))?;
    Ok(new.into())
}
