//! The one writer: commands of all callers, several to a transaction, each in its own savepoint.
//!
//! A caller hears of success only after the commit that holds its rows (design 2, promise 1). A command that fails
//! takes back its own rows and nobody else's.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::Error;
use super::open::Wake;

/// How long a batch waits for more commands once at least two have come together.
const GATHER: Duration = Duration::from_millis(1);
/// The most commands of one transaction.
const BATCH: usize = 256;
/// Commands that may wait before callers do.
const QUEUE: usize = 1024;

/// What a command works on: the connection inside the transaction, and what to announce after the commit.
pub(super) struct Work {
    pub conn: SqliteConnection,
    pub wake: Announce,
}

/// Which waiters a batch has something for.
#[derive(Default)]
pub(super) struct Announce {
    pub outbound: bool,
    pub deliveries: bool,
    pub events: bool,
}

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
    /// Starts the writer task on `conn`. It ends when the last handle is gone and the queue is empty; `ended` is then closed.
    pub fn start(conn: SqliteConnection, wake: Wake) -> (Self, watch::Receiver<()>) {
        let (queue, commands) = mpsc::channel(QUEUE);
        let (alive, ended) = watch::channel(());
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        tokio::spawn(async move {
            run(Work { conn, wake: Announce::default() }, Commands { commands, stopped }, wake).await;
            drop(alive);
        });
        (Self { queue, stop }, ended)
    }

    /// Takes no more commands; those in the queue still run.
    pub fn stop(&self) {
        self.stop.notify_one();
    }

    /// Runs `command` inside a transaction; returns after the commit.
    ///
    /// # Errors
    /// What the command returned, or the environment's refusal to commit. In either case none of its rows exist.
    pub async fn run<T, F>(&self, command: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'w> FnOnce(&'w mut Work) -> BoxFuture<'w, Result<T, Error>> + Send + 'static,
    {
        let (done, outcome) = oneshot::channel();
        let boxed: Command = Box::new(move |work| {
            let running = work.map(command);
            Box::pin(async move {
                let result = match running {
                    Ok(running) => running.await,
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

struct Commands {
    commands: mpsc::Receiver<Command>,
    stopped: Arc<Notify>,
}

impl Commands {
    async fn next(&mut self) -> Option<Command> {
        tokio::select! {
            command = self.commands.recv() => command,
            () = self.stopped.notified() => {
                self.commands.close();
                self.commands.recv().await
            }
        }
    }
}

async fn run(mut work: Work, mut queue: Commands, wake: Wake) {
    while let Some(first) = queue.next().await {
        let batch = gather(first, &mut queue.commands).await;
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
    let _ = sqlx::Connection::close(work.conn).await;
}

/// Everything that waits already; if that is more than one command, a moment more.
async fn gather(first: Command, commands: &mut mpsc::Receiver<Command>) -> Vec<Command> {
    let mut batch = vec![first];
    take_waiting(&mut batch, commands);
    if batch.len() > 1 && batch.len() < BATCH {
        tokio::time::sleep(GATHER).await;
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
    let mut fate = execute(&mut work.conn, "BEGIN IMMEDIATE").await;
    for command in batch {
        let reply = match &fate {
            Ok(()) => {
                let (reply, after) = in_savepoint(work, command).await;
                fate = after;
                reply
            }
            Err(error) => command(Err(error.clone())).await.1,
        };
        replies.push(reply);
    }
    if fate.is_ok() {
        fate = execute(&mut work.conn, "COMMIT").await;
    }
    if fate.is_err() {
        // A full disk may have ended the transaction already; then this fails, and rightly so.
        let _ = execute(&mut work.conn, "ROLLBACK").await;
    }
    fate
}

/// One command in its savepoint; the second value is an error when the whole transaction can no longer stand.
async fn in_savepoint(work: &mut Work, command: Command) -> (Reply, Result<(), Error>) {
    if let Err(error) = execute(&mut work.conn, "SAVEPOINT command").await {
        let (_, reply) = command(Err(error.clone())).await;
        return (reply, Err(error));
    }
    let (ok, reply) = command(Ok(work)).await;
    let end = if ok { "RELEASE command" } else { "ROLLBACK TO command; RELEASE command" };
    (reply, execute(&mut work.conn, end).await)
}

async fn execute(conn: &mut SqliteConnection, sql: &'static str) -> Result<(), Error> {
    sqlx::raw_sql(sql).execute(conn).await.map(|_| ()).map_err(Error::from)
}
