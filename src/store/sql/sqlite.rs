//! SQLite: one connection that writes, several that read.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Statement, params_from_iter};
use tokio::sync::oneshot;

use super::super::Error;
use super::Conn;
use super::row::{Columns, Row};
use super::value::Value;

/// Statements kept ready on each connection: more than the store has.
const STATEMENTS: usize = 256;
/// How long a writer waits for another one, e.g. a backup.
const BUSY: Duration = Duration::from_secs(10);

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Makes the file when missing; durable at every commit.
    Write,
    /// Reads a file that exists.
    Read,
}

/// A connection; statements run on the calling thread.
pub struct SqliteConn {
    conn: Connection,
    columns: HashMap<&'static str, Columns>,
}

impl SqliteConn {
    /// Opens the database file.
    ///
    /// # Errors
    /// The database's.
    pub fn open(file: &Path, access: Access) -> Result<Self, Error> {
        let conn = match access {
            Access::Write => Connection::open(file)?,
            Access::Read => Connection::open_with_flags(
                file,
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?,
        };
        conn.busy_timeout(BUSY)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        conn.execute_batch("PRAGMA foreign_keys = ON;")?;
        // Plans depend on the statement alone: otherwise statements over partial indices are planned anew with each value.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        match access {
            // What a savepoint keeps for a command that fails is a few pages: by default more than eight go to a file. What is written is
            // mostly new, and inner pages are few: a larger cache finds no more, and takes the place of others in that of the processor.
            Access::Write => conn.execute_batch(
                "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -6144;
                 PRAGMA wal_autocheckpoint = 2000; PRAGMA temp_store = MEMORY;",
            )?,
            // Whatever a reader has in its cache is dropped when the writer has changed something.
            Access::Read => conn.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -1024;")?,
        }
        Ok(Self { conn, columns: HashMap::new() })
    }

    /// Forces nothing onto the disk, and leaves the log as it is when it closes: a process that dies tidies nothing up, and of a node that
    /// is thrown away whatever was tidied up would be thrown away with it.
    ///
    /// # Errors
    /// The database's.
    pub fn leave_disk(&self) -> Result<(), Error> {
        self.conn.execute_batch("PRAGMA synchronous = OFF")?;
        self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(())
    }

    pub(super) fn rows(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, Error> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let columns = match self.columns.get(sql) {
            Some(columns) => Arc::clone(columns),
            None => {
                let columns = names(&statement);
                self.columns.insert(sql, Arc::clone(&columns));
                columns
            }
        };
        let mut rows = statement.query(params_from_iter(values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let values =
                (0..columns.len()).map(|index| read(row.get_ref(index)?)).collect::<Result<_, _>>()?;
            found.push(Row { columns: Arc::clone(&columns), values });
        }
        Ok(found)
    }

    pub(super) fn change(&mut self, sql: &'static str, values: &[Value]) -> Result<u64, Error> {
        let mut statement = self.conn.prepare_cached(sql)?;
        Ok(statement.execute(params_from_iter(values))? as u64)
    }

    pub(super) fn batch(&mut self, sql: &str) -> Result<(), Error> {
        Ok(self.conn.execute_batch(sql)?)
    }
}

fn names(statement: &Statement<'_>) -> Columns {
    statement.column_names().map(Box::from).collect()
}

fn read(value: ValueRef<'_>) -> Result<Value, Error> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(Some(number)),
        ValueRef::Text(octets) => {
            let text = std::str::from_utf8(octets);
            let text = text.map_err(|_| Error::Damaged { what: "text", value: hex::encode(octets) })?;
            Value::Text(Some(text.to_owned()))
        }
        ValueRef::Blob(octets) => Value::Blob(Some(octets.to_owned())),
        ValueRef::Real(number) => {
            return Err(Error::Damaged { what: "column", value: number.to_string() });
        }
    })
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        let value = match self {
            Self::Integer(Some(number)) => ValueRef::Integer(*number),
            Self::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Self::Blob(Some(octets)) => ValueRef::Blob(octets),
            Self::Integer(None) | Self::Text(None) | Self::Blob(None) | Self::Null => ValueRef::Null,
        };
        Ok(rusqlite::types::ToSqlOutput::Borrowed(value))
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(Arc::new(super::super::DatabaseError::Sqlite(error)))
    }
}

/// Connections that read. Some have a thread of their own: what searches or waits for the disk holds up nobody else. Others serve
/// whoever has them in hand, on its own thread: to wake another one costs more than to find a row by its key.
#[derive(Clone)]
pub struct Readers {
    jobs: Arc<Mutex<Option<mpsc::Sender<Job>>>>,
    here: Arc<Mutex<Vec<SqliteConn>>>,
    /// Whether there are threads at all.
    threads: bool,
}

struct Job {
    sql: &'static str,
    values: Vec<Value>,
    answer: oneshot::Sender<Result<Vec<Row>, Error>>,
}

impl Readers {
    /// Opens `count` connections of either kind to a database that exists.
    ///
    /// # Errors
    /// The database's; the system's, when it has no thread to give.
    pub fn open(file: &Path, count: u32) -> Result<Self, Error> {
        let (sender, jobs) = mpsc::channel();
        let jobs = Arc::new(Mutex::new(jobs));
        let mut here = Vec::new();
        for _ in 0..count.max(1) {
            let (conn, jobs) = (SqliteConn::open(file, Access::Read)?, Arc::clone(&jobs));
            let thread = std::thread::Builder::new().name("store-reader".to_owned());
            thread.spawn(move || serve(conn, &jobs)).map_err(Error::io(file))?;
            here.push(SqliteConn::open(file, Access::Read)?);
        }
        let (jobs, here) = (Arc::new(Mutex::new(Some(sender))), Arc::new(Mutex::new(here)));
        Ok(Self { jobs, here, threads: true })
    }

    /// Opens a connection for whoever asks, on its own thread whatever it asks.
    ///
    /// # Errors
    /// The database's.
    pub fn of_caller(file: &Path) -> Result<Self, Error> {
        let here = vec![SqliteConn::open(file, Access::Read)?];
        here.iter().try_for_each(SqliteConn::leave_disk)?;
        Ok(Self { jobs: Arc::default(), here: Arc::new(Mutex::new(here)), threads: false })
    }

    pub(super) async fn rows(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        if !self.threads {
            return lock(&self.here).first_mut().ok_or(Error::Closed)?.rows(sql, &values);
        }
        let (answer, rows) = oneshot::channel();
        let sent = lock(&self.jobs).as_ref().map(|jobs| jobs.send(Job { sql, values, answer }));
        sent.ok_or(Error::Closed)?.map_err(|_| Error::Closed)?;
        rows.await.map_err(|_| Error::Closed)?
    }

    /// The same on the calling thread, unless all connections for that are in somebody's hands.
    pub(super) async fn rows_here(&self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        let free = lock(&self.here).pop();
        let Some(mut conn) = free else { return self.rows(sql, values).await };
        let rows = conn.rows(sql, &values);
        lock(&self.here).push(conn);
        rows
    }

    /// The state of this moment for several statements.
    ///
    /// # Errors
    /// The database's.
    pub fn moment(&self) -> Result<Moment, Error> {
        let Some(mut conn) = lock(&self.here).pop() else {
            return Ok(Moment::without(Conn::SqliteReaders(self.clone())));
        };
        conn.change("BEGIN", &[])?;
        Ok(Moment { conn: Conn::Sqlite(Box::new(conn)), home: Some(self.clone()) })
    }

    /// Takes no more statements; those that were asked for still run.
    pub fn close(&self) {
        lock(&self.jobs).take();
        lock(&self.here).clear();
    }
}

/// Several statements on one connection, which see the same state; each by itself where no connection was free.
pub struct Moment {
    conn: Conn,
    home: Option<Readers>,
}

impl Moment {
    /// Statements that run on `conn` as they do otherwise.
    pub fn without(conn: Conn) -> Self {
        Self { conn, home: None }
    }

    /// What the statements run on.
    pub fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }
}

impl Drop for Moment {
    fn drop(&mut self) {
        let Some(home) = self.home.take() else { return };
        let conn = std::mem::replace(&mut self.conn, Conn::SqliteReaders(home.clone()));
        if let Conn::Sqlite(mut conn) = conn
            && conn.change("COMMIT", &[]).is_ok()
        {
            lock(&home.here).push(*conn);
        }
    }
}

fn serve(mut conn: SqliteConn, jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let next = lock(jobs).recv();
        let Ok(job) = next else { return };
        let _ = job.answer.send(conn.rows(job.sql, &job.values));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
