//! PostgreSQL: a pool; each command of the store in a transaction of its own connection.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{
    PgArguments, PgConnectOptions, PgDatabaseError, PgListener, PgPoolOptions, PgRow, PgSeverity, PgSslMode,
};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column as _, Executor as _, PgPool, Postgres, Row as _, TypeInfo as _,
};
use tokio::time::timeout;

use super::super::{DatabaseError, Error};
use super::row::{Columns, Row};
use super::value::Value;

/// How long a caller waits for a free connection.
const PATIENCE: Duration = Duration::from_secs(30);
/// `BEGIN` waits for nobody: without an answer for so long the way to the server is no more.
const BEGUN: Duration = Duration::from_secs(10);

/// Where the database is and how it is entered.
#[derive(Clone)]
pub struct PostgresConfig {
    /// `postgres://user@host:port/database?sslmode=...`, without the password.
    pub url: String,
    /// The password, where the server asks for one.
    pub password: Option<String>,
    /// Connections of this node.
    pub connections: u32,
    /// A node that gave no sign of life for so long counts as gone.
    pub takeover: Duration,
    /// How long an answer is waited for. A server that is gone without a word, and does not come back under its address, the system
    /// would notice after a quarter of an hour; who waits for a lock waits for a minute at most.
    pub answer: Duration,
}

impl std::fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgreSQL, {} connections", self.connections)
    }
}

impl PostgresConfig {
    fn options(&self) -> Result<PgConnectOptions, Error> {
        let options: PgConnectOptions = self.url.parse()?;
        // A server that does not encrypt is taken only where the URL says so.
        // A node that lost its power inside a transaction is noticed, and what it had locked is free again.
        let options = options.options([
            ("idle_in_transaction_session_timeout", "60000"),
            ("tcp_keepalives_idle", "20"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
        ]);
        let encrypted =
            if self.url.contains("sslmode=") { options } else { options.ssl_mode(PgSslMode::Prefer) };
        Ok(match &self.password {
            Some(password) => encrypted.password(password),
            None => encrypted,
        })
    }
}

/// Several connections.
#[derive(Clone)]
pub struct PostgresPool {
    pool: PgPool,
    answer: Duration,
}

impl PostgresPool {
    /// Connects.
    ///
    /// # Errors
    /// The server's, or a URL that is none.
    pub async fn connect(config: &PostgresConfig) -> Result<Self, Error> {
        let options = config.options()?.application_name("tilts");
        let pool = PgPoolOptions::new()
            // One more listens.
            .max_connections(config.connections.saturating_sub(1).max(1))
            .acquire_timeout(PATIENCE)
            .test_before_acquire(false)
            .connect_with(options)
            .await?;
        Ok(Self { pool, answer: config.answer })
    }

    pub(super) async fn rows(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        let query = sqlx::query_with(AssertSqlSafe(numbered(sql)), arguments(values)?);
        let mut conn = self.pool.acquire().await?;
        let Some(read) = answer(self.answer, query.fetch_all(&mut *conn)).await else {
            return Err(unanswered(conn, self.answer));
        };
        read_all(&read?)
    }

    /// Statements without values outside of any transaction.
    ///
    /// # Errors
    /// The server's.
    pub async fn outside(&self, sql: &str) -> Result<(), Error> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.pool).await?;
        Ok(())
    }

    /// A connection for one transaction.
    ///
    /// # Errors
    /// The server's.
    pub async fn begin(&self) -> Result<TransactionConn, Error> {
        let within = BEGUN.min(self.answer);
        let mut idle = tries(self.pool.num_idle(), self.pool.size());
        loop {
            let mut conn = self.pool.acquire().await?;
            let error = match answer(within, conn.execute("BEGIN")).await {
                Some(Ok(_)) => return Ok(TransactionConn { conn: Some(conn), answer: self.answer }),
                Some(Err(error)) => {
                    drop(conn.detach());
                    error.into()
                }
                None => unanswered(conn, within),
            };
            // One that was idle while the server was started anew, or went away: after all such ones, the next is new.
            idle = idle.checked_sub(1).ok_or(error)?;
        }
    }

    /// Closes all connections, after what runs on them has ended.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// How many connections are tried: all that are idle, and a new one. The pool counts what is idle without a lock: while one is handed out
/// the number may be one below nought, which is the largest there is.
pub(super) fn tries(idle: usize, connections: u32) -> usize {
    idle.min(connections as usize) + 1
}

/// A connection inside a transaction. Dropped before its end, it is closed, and the server takes everything back.
pub struct TransactionConn {
    conn: Option<PoolConnection<Postgres>>,
    answer: Duration,
}

/// What was asked comes to; nothing, when there is no answer in time.
async fn answer<T>(within: Duration, asked: impl Future<Output = T>) -> Option<T> {
    timeout(within, asked).await.ok()
}

/// On a connection without an answer nothing can be asked any more.
fn unanswered(conn: PoolConnection<Postgres>, within: Duration) -> Error {
    drop(conn.detach());
    no_answer(within).into()
}

fn no_answer(within: Duration) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(
        io::ErrorKind::TimedOut,
        format!("the server did not answer for {within:?}"),
    ))
}

impl TransactionConn {
    fn conn(&mut self) -> Result<&mut sqlx::PgConnection, Error> {
        self.conn.as_deref_mut().ok_or(Error::Closed)
    }

    pub(super) async fn rows(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        let query = sqlx::query_with(AssertSqlSafe(numbered(sql)), arguments(values)?);
        let read = answer(self.answer, query.fetch_all(self.conn()?)).await;
        read_all(&self.heard(read)?)
    }

    /// An answer. Where there is none, the transaction has ended without us.
    fn heard<T>(&mut self, answer: Option<Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
        answer.unwrap_or_else(|| {
            drop(self.conn.take().map(PoolConnection::detach));
            Err(no_answer(self.answer))
        })
    }

    pub(super) async fn change(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64, Error> {
        let query = sqlx::query_with(AssertSqlSafe(numbered(sql)), arguments(values)?);
        let changed = answer(self.answer, query.execute(self.conn()?)).await;
        Ok(self.heard(changed)?.rows_affected())
    }

    pub(super) async fn batch(&mut self, sql: &str) -> Result<(), Error> {
        let run = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let done = answer(self.answer, run.execute(self.conn()?)).await;
        self.heard(done)?;
        Ok(())
    }

    /// Waited for without end.
    pub(super) async fn script(&mut self, sql: &str) -> Result<(), Error> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(self.conn()?).await?;
        Ok(())
    }

    /// Ends the transaction: `COMMIT` or `ROLLBACK`. The connection goes back to the pool only when the server said so.
    ///
    /// # Errors
    /// The server's refusal; [`Error::Undecided`] when it went away during a commit.
    pub async fn end(mut self, commit: bool) -> Result<(), Error> {
        let last = if commit { "COMMIT" } else { "ROLLBACK" };
        let ended = answer(self.answer, self.conn()?.execute(last)).await;
        match self.heard(ended) {
            Ok(_) => {
                drop(self.conn.take());
                Ok(())
            }
            Err(error) if commit && !is_refusal(&error) => {
                Err(Error::Undecided(Arc::new(DatabaseError::Postgres(error))))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether the server says that it took a transaction back. Whoever ends its session (`FATAL`) may do so behind a commit whose answer was
/// not sent yet; then its last word stands where the answer should.
fn is_refusal(error: &sqlx::Error) -> bool {
    let said = error.as_database_error().and_then(|said| said.try_downcast_ref::<PgDatabaseError>());
    said.is_some_and(|said| said.severity() == PgSeverity::Error)
}

impl Drop for TransactionConn {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            drop(conn.detach());
        }
    }
}

/// After a connection was lost the next one is tried for after this time.
const AGAIN: Duration = Duration::from_secs(1);

/// Hears what other nodes announce on a channel, over a connection of its own: one of the pool's may be as silent as the one that is replaced.
/// A connection that is lost, or over which nothing comes back, is replaced.
pub struct Listener {
    pool: PostgresPool,
    channel: &'static str,
    /// After so much silence it is asked whether anybody is there.
    silence: Duration,
    listening: Option<PgListener>,
}

impl Listener {
    /// Listens from now on.
    ///
    /// # Errors
    /// The server's.
    pub async fn begin(pool: &PostgresPool, channel: &'static str, silence: Duration) -> Result<Self, Error> {
        let listening = Some(connected(pool, channel).await?);
        Ok(Self { pool: pool.clone(), channel, silence, listening })
    }

    /// The next announcement; an empty text stands for "something may have been missed". Nothing once the pool is closed.
    pub async fn heard(&mut self) -> Option<String> {
        let mut closed = self.pool.pool.close_event();
        tokio::select! {
            biased;
            () = &mut closed => None,
            said = self.said() => Some(said),
        }
    }

    async fn said(&mut self) -> String {
        loop {
            match self.next().await {
                Ok(Some(text)) => return text,
                Ok(None) => {}
                Err(_) => {
                    self.listening = None;
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// What was announced; nothing where nobody says anything and the server is there.
    async fn next(&mut self) -> Result<Option<String>, sqlx::Error> {
        let Some(listening) = &mut self.listening else {
            self.listening = Some(connected(&self.pool, self.channel).await?);
            return Ok(Some(String::new()));
        };
        match timeout(self.silence, listening.try_recv()).await {
            Ok(Ok(Some(notification))) => Ok(Some(notification.payload().to_owned())),
            Ok(Ok(None)) => Ok(Some(String::new())),
            Ok(Err(error)) => Err(error),
            Err(_) => answered(listening, self.silence).await.map(|()| None),
        }
    }
}

async fn connected(pool: &PostgresPool, channel: &str) -> Result<PgListener, sqlx::Error> {
    let options = pool.pool.connect_options().as_ref().clone();
    let connecting = async {
        let own =
            PgPoolOptions::new().max_connections(1).test_before_acquire(false).connect_with(options).await?;
        let mut listener = PgListener::connect_with(&own).await?;
        listener.listen(channel).await?;
        Ok(listener)
    };
    answer(pool.answer, connecting).await.unwrap_or_else(|| Err(no_answer(pool.answer)))
}

/// Whoever only listens never notices that a server has gone without a word.
async fn answered(listener: &mut PgListener, patience: Duration) -> Result<(), sqlx::Error> {
    let said = answer(patience, listener.execute("SELECT 1")).await;
    said.unwrap_or_else(|| Err(no_answer(patience))).map(drop)
}

/// `?` and `?1` as PostgreSQL writes them. No statement of the store has a question mark in a text.
pub(super) fn numbered(sql: &str) -> String {
    let mut written = String::with_capacity(sql.len() + 16);
    let mut next = 0;
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once('?') {
        written.push_str(before);
        written.push('$');
        if !after.starts_with(|c: char| c.is_ascii_digit()) {
            next += 1;
            written.push_str(&next.to_string());
        }
        rest = after;
    }
    written.push_str(rest);
    written
}

fn arguments(values: Vec<Value>) -> Result<PgArguments, Error> {
    let mut arguments = PgArguments::default();
    for value in values {
        let added = match value {
            Value::Integer(number) => arguments.add(number),
            Value::Text(text) => arguments.add(text),
            Value::Blob(octets) => arguments.add(octets),
            Value::Null => arguments.add(None::<String>),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn read_all(rows: &[PgRow]) -> Result<Vec<Row>, Error> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let columns: Columns = first.columns().iter().map(|column| Box::from(column.name())).collect();
    rows.iter().map(|row| Ok(Row { columns: Arc::clone(&columns), values: values(row)? })).collect()
}

fn values(row: &PgRow) -> Result<Vec<Value>, Error> {
    let read = |(index, column): (usize, &sqlx::postgres::PgColumn)| {
        Ok(match column.type_info().name() {
            "INT8" => Value::Integer(row.try_get(index)?),
            "INT4" => Value::Integer(row.try_get::<Option<i32>, _>(index)?.map(i64::from)),
            "BOOL" => Value::Integer(row.try_get::<Option<bool>, _>(index)?.map(i64::from)),
            "BYTEA" => Value::Blob(row.try_get(index)?),
            "TEXT" | "VARCHAR" | "NAME" => Value::Text(row.try_get(index)?),
            other => return Err(Error::Damaged { what: "column type", value: other.to_owned() }),
        })
    };
    row.columns().iter().enumerate().map(read).collect()
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(DatabaseError::Postgres(error)))
    }
}
