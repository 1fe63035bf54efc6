//! Commands of all callers, and who carries them out.
//!
//! On SQLite one writer, with a thread of its own or of its callers: several commands to a transaction, each in its own savepoint. On PostgreSQL
//! several writers, a transaction for each command; the server gathers the commits.
//!
//! A caller hears of success only after the commit that holds its rows (design 2, promise 1). A command that fails
//! takes back its own rows and nobody else's.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify, mpsc, oneshot};

use super::events::PendingEvent;
use super::hands::Hands;
use super::open::Wake;
use super::parts::Part;
use super::sql::{Conn, PostgresPool};
use super::{Error, events};
use crate::crash::{self, Point};

/// How long a batch waits for more commands once at least two have come together.
const GATHER: Duration = Duration::from_millis(1);
/// What whoever writes is called.
const WRITER: &str = "the store's writer";
/// The most commands of one transaction.
const BATCH: usize = 256;
/// Commands that may wait before callers do.
const QUEUE: usize = 1024;

/// What a command works on: the connection inside the transaction, events to be written at its end, and what to announce
/// after the commit.
pub(super) struct Work {
    pub conn: Conn,
    pub events: Vec<PendingEvent>,
    pub wake: Announce,
    hands: Hands,
}

impl Work {
    fn on(conn: Conn) -> Self {
        Self { conn, events: Vec::new(), wake: Announce::default(), hands: Hands::Threads }
    }
}

/// Which waiters a batch has something for.
#[derive(Default)]
pub(super) struct Announce {
    pub outbound: bool,
    pub deliveries: bool,
    pub events: bool,
}

impl Announce {
    pub fn anything(&self) -> bool {
        self.outbound || self.deliveries || self.events
    }

    /// As other nodes hear it from `node`; read by [`Announce::heard`].
    pub fn words(&self, node: &str) -> String {
        let all = [(self.outbound, "outbound"), (self.deliveries, "deliveries"), (self.events, "events")];
        let said = all.iter().filter(|(yes, _)| *yes).map(|(_, word)| *word);
        std::iter::once(node).chain(said).collect::<Vec<_>>().join(" ")
    }

    /// Tells the other nodes when the transaction is committed.
    ///
    /// # Errors
    /// The database's.
    pub async fn tell(&self, conn: &mut Conn, node: &str) -> Result<(), Error> {
        // The words are ours and the node is a UUID: nothing to escape.
        conn.batch(&format!("SELECT pg_notify('{CHANNEL}', '{}')", self.words(node))).await
    }

    /// What another node than `own` said; everything, when words may have been missed (an empty text).
    pub fn heard(own: &str, text: &str) -> Option<Self> {
        let (from, words) = text.split_once(' ').unwrap_or_default();
        let said = |word| text.is_empty() || words.split(' ').any(|w| w == word);
        let other =
            || Self { outbound: said("outbound"), deliveries: said("deliveries"), events: said("events") };
        (from != own).then(other)
    }
}

/// The channel of `LISTEN` and `NOTIFY` on which the nodes of a cluster tell each other that there is work.
pub(super) const CHANNEL: &str = "tilts";

/// Completes a caller's wait once the fate of the transaction is known.
type Reply = Box<dyn FnOnce(Result<(), Error>) + Send>;
/// A command; told of an error instead of handed the work when its transaction cannot go on.
type Command = Box<dyn for<'w> FnOnce(Result<&'w mut Work, Error>) -> BoxFuture<'w, (bool, Reply)> + Send>;

/// Hands commands to the writer task.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Command>,
    stop: Arc<Notify>,
}

impl Writer {
    /// Starts the writer of a SQLite store: on a thread of its own its statements block nobody else. It ends when
    /// [`Writer::stop`] was called and the queue is empty.
    ///
    /// # Errors
    /// The system's, when it has no thread to give.
    pub fn on_sqlite(conn: Conn, (hands, wake): (Hands, Wake)) -> std::io::Result<(Self, Part)> {
        let (writer, commands) = Self::new();
        let runtime = Handle::current();
        let own_thread = matches!(hands, Hands::Threads);
        let (part, writing) = Part::of(WRITER, gathered(Work { hands, ..Work::on(conn) }, commands, wake));
        match own_thread {
            true => drop(
                thread::Builder::new().name("store".to_owned()).spawn(move || runtime.block_on(writing))?,
            ),
            false => drop(runtime.spawn(writing)),
        }
        Ok((writer, part))
    }

    /// Starts `count` writers on the pool. One that panics leaves the queue to the others, until the store is closed.
    pub fn on_postgres(
        pool: &PostgresPool,
        count: u32,
        (wake, node): (&Wake, &Arc<str>),
    ) -> (Self, Vec<Part>) {
        let (writer, commands) = Self::new();
        let commands = Arc::new(Mutex::new(commands));
        let start = |_| {
            let member = Member { pool: pool.clone(), wake: wake.clone(), node: Arc::clone(node) };
            let commands = Arc::clone(&commands);
            let (part, writing) = Part::of(WRITER, async move { member.one_by_one(&commands).await });
            tokio::spawn(writing);
            part
        };
        (writer, (0..count.max(1)).map(start).collect())
    }

    fn new() -> (Self, Commands) {
        let (queue, commands) = mpsc::channel(QUEUE);
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        (Self { queue, stop }, Commands { commands, stopped })
    }

    /// Takes no more commands; those in the queue still run.
    pub fn stop(&self) {
        self.stop.notify_one();
    }

    /// Runs `command` inside a transaction; returns after the commit.
    ///
    /// # Errors
    /// What the command returned, or the environment's refusal to commit. In either case none of its rows exist; only of a
    /// commit whose answer was lost on the way from a PostgreSQL server nobody knows.
    pub async fn run<T, F>(&self, command: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'w> FnOnce(&'w mut Work) -> BoxFuture<'w, Result<T, Error>> + Send + 'static,
    {
        let (done, outcome) = oneshot::channel();
        let boxed: Command = Box::new(move |work| {
            Box::pin(async move {
                let result = match work {
                    Ok(work) => completed(work, command).await,
                    Err(error) => Err(error),
                };
                let ok = result.is_ok();
                let reply: Reply = Box::new(move |committed| {
                    let _ = done.send(committed.and(result));
                });
                (ok, reply)
            })
        });
        self.queue.send(boxed).await.map_err(|_| Error::Closed)?;
        outcome.await.map_err(|_| Error::Closed)?
    }
}

/// The command, and its events after everything else: on PostgreSQL they hold a lock until the commit.
async fn completed<T, F>(work: &mut Work, command: F) -> Result<T, Error>
where
    F: for<'w> FnOnce(&'w mut Work) -> BoxFuture<'w, Result<T, Error>>,
{
    work.events.clear();
    let result = command(work).await?;
    events::flush(work).await?;
    Ok(result)
}

struct Commands {
    commands: mpsc::Receiver<Command>,
    stopped: Arc<Notify>,
}

impl Commands {
    async fn next(&mut self) -> Option<Command> {
        tokio::select! {
            biased;
            () = self.stopped.notified() => {
                self.commands.close();
                self.commands.recv().await
            }
            command = self.commands.recv() => command,
        }
    }
}

async fn gathered(mut work: Work, mut queue: Commands, wake: Wake) {
    while let Some(first) = queue.next().await {
        let batch = gather(first, &mut queue.commands, &work.hands).await;
        let mut replies = Vec::with_capacity(batch.len());
        let fate = transaction(&mut work, batch, &mut replies).await;
        let announce = std::mem::take(&mut work.wake);
        if fate.is_ok() {
            wake.announce(&announce);
        }
        for reply in replies {
            reply(fate.clone());
        }
    }
}

/// One writer of a node on PostgreSQL.
struct Member {
    pool: PostgresPool,
    wake: Wake,
    node: Arc<str>,
}

impl Member {
    async fn one_by_one(&self, queue: &Mutex<Commands>) {
        loop {
            let next = queue.lock().await.next().await;
            let Some(command) = next else { return };
            crash::at(Point::CommandTaken);
            let (reply, fate) = self.own_transaction(command).await;
            reply(fate);
        }
    }

    async fn own_transaction(&self, command: Command) -> (Reply, Result<(), Error>) {
        let conn = match self.pool.begin().await {
            Ok(conn) => conn,
            Err(error) => return (command(Err(error.clone())).await.1, Err(error)),
        };
        let mut work = Work::on(Conn::Postgres(conn));
        let (ok, reply) = command(Ok(&mut work)).await;
        let fate = self.end(work.conn, ok, &work.wake).await;
        if ok && fate.is_ok() {
            self.wake.announce(&work.wake);
        }
        // Of a command that failed its own error is the answer, whatever the rollback said.
        (reply, if ok { fate } else { Ok(()) })
    }

    async fn end(&self, mut conn: Conn, commit: bool, announce: &Announce) -> Result<(), Error> {
        if commit && announce.anything() {
            announce.tell(&mut conn, &self.node).await?;
        }
        conn.end(commit).await
    }
}

/// Everything that waits already; if that is more than one command, a moment more.
async fn gather(first: Command, commands: &mut mpsc::Receiver<Command>, hands: &Hands) -> Vec<Command> {
    let mut batch = vec![first];
    take_waiting(&mut batch, commands);
    if batch.len() > 1 && batch.len() < BATCH {
        match hands {
            // The thread is the writer's own: whoever keeps the runtime's time need not be woken for it.
            Hands::Threads => thread::sleep(GATHER),
            Hands::Caller(_) => tokio::time::sleep(GATHER).await,
        }
        take_waiting(&mut batch, commands);
    }
    batch
}

fn take_waiting(batch: &mut Vec<Command>, commands: &mut mpsc::Receiver<Command>) {
    while batch.len() < BATCH {
        match commands.try_recv() {
            Ok(command) => batch.push(command),
            Err(_) => return,
        }
    }
}

async fn transaction(work: &mut Work, batch: Vec<Command>, replies: &mut Vec<Reply>) -> Result<(), Error> {
    let mut fate = work.conn.control("BEGIN IMMEDIATE").await;
    let alone = batch.len() == 1;
    for command in batch {
        let (reply, after) = match &fate {
            // Nobody else's rows are in the transaction: it is taken back as a whole.
            Ok(()) if alone => return by_itself(work, command, replies).await,
            Ok(()) => in_savepoint(work, command).await,
            Err(error) => (command(Err(error.clone())).await.1, fate.clone()),
        };
        fate = after;
        replies.push(reply);
    }
    end(work, fate).await
}

async fn by_itself(work: &mut Work, command: Command, replies: &mut Vec<Reply>) -> Result<(), Error> {
    let (ok, reply) = command(Ok(work)).await;
    replies.push(reply);
    if ok {
        return end(work, Ok(())).await;
    }
    // Of a command that failed its own error is the answer, whatever the rollback said.
    let _ = work.conn.batch("ROLLBACK").await;
    Ok(())
}

async fn end(work: &mut Work, mut fate: Result<(), Error>) -> Result<(), Error> {
    if fate.is_ok() {
        fate = commit(work).await;
    }
    if fate.is_err() {
        // A full disk may have ended the transaction already; then this fails, and rightly so.
        let _ = work.conn.batch("ROLLBACK").await;
    }
    fate
}

async fn commit(work: &mut Work) -> Result<(), Error> {
    let Some(commits) = work.hands.commits() else {
        return work.conn.control("COMMIT").await.map_err(undecided);
    };
    commits.begin().await.map_err(Error::io(Path::new("tilts.db")))?;
    work.conn.control("COMMIT").await.map_err(undecided)?;
    commits.committed();
    Ok(())
}

/// Where the disk fails in a commit, the log may hold all of it: a process that starts before something else is written over it finds a
/// commit that stands.
fn undecided(error: Error) -> Error {
    match error {
        Error::Database(error) if error.is_io() => Error::Undecided(error),
        error => error,
    }
}

/// One command in its savepoint; the second value is an error when the whole transaction can no longer stand.
async fn in_savepoint(work: &mut Work, command: Command) -> (Reply, Result<(), Error>) {
    if let Err(error) = work.conn.control("SAVEPOINT command").await {
        let (_, reply) = command(Err(error.clone())).await;
        return (reply, Err(error));
    }
    let (ok, reply) = command(Ok(work)).await;
    let undone = if ok { Ok(()) } else { work.conn.control("ROLLBACK TO command").await };
    let ended = work.conn.control("RELEASE command").await;
    (reply, undone.and(ended))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::DatabaseError;

    #[test]
    fn a_commit_under_which_the_disk_failed_may_stand_and_one_without_room_does_not() {
        let commit = |code| {
            let failed = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
            undecided(Error::Database(Arc::new(DatabaseError::Sqlite(failed))))
        };
        assert!(matches!(commit(rusqlite::ffi::SQLITE_IOERR_FSYNC), Error::Undecided(_)));
        assert!(matches!(commit(rusqlite::ffi::SQLITE_FULL), Error::Database(_)));
        assert!(matches!(undecided(Error::Closed), Error::Closed));
    }
}
