//! The one way to the two databases: statements with values, and rows that come back.
//!
//! Statements are written once, in the SQL that SQLite and PostgreSQL share, with `?` or `?1` for values. SQLite is linked in and
//! runs on the thread that asks: what a statement costs is its own work, not two changes of thread (docs/decisions/database.md).

mod postgres;
mod row;
mod sqlite;
mod value;

use std::marker::PhantomData;

pub use postgres::PostgresConfig;
pub use row::{FromRow, Row};
pub use sqlite::{Access, Moment, Readers, SqliteConn};
pub use value::{Bind, Value};

pub use postgres::{Listener, PostgresPool, TransactionConn};

use super::Error;

/// What a statement runs on.
pub enum Conn {
    /// A SQLite connection of one's own; statements run on the calling thread.
    Sqlite(Box<SqliteConn>),
    /// A PostgreSQL connection of one's own, inside a transaction.
    Postgres(TransactionConn),
    /// Any of several SQLite connections that only read, on threads of their own.
    SqliteReaders(Readers),
    /// One of the SQLite connections that read on the calling thread: for what an index finds at once.
    SqliteHere(Readers),
    /// Any of several PostgreSQL connections, each statement by itself.
    PostgresPool(PostgresPool),
}

/// What differs between the databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// What only one transaction at a time does; the numbers are the keys of PostgreSQL's advisory locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Bringing the schema up to date.
    Schema = 7_236_976,
    /// Numbering events.
    Events = 7_236_977,
    /// Writing a checkpoint: each names the one before.
    Checkpoint = 7_236_978,
    /// Raising a notice that is not to stand twice.
    Notices = 7_236_979,
}

impl Conn {
    /// Whose SQL it takes, where the two differ.
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) | Self::SqliteReaders(_) | Self::SqliteHere(_) => Dialect::Sqlite,
            Self::Postgres(_) | Self::PostgresPool(_) => Dialect::Postgres,
        }
    }

    /// Lets one transaction of all nodes at a time pass from here to its end. SQLite has one writer and need not be asked.
    ///
    /// # Errors
    /// The database's.
    pub async fn take_turn(&mut self, turn: Turn) -> Result<(), Error> {
        if self.dialect() == Dialect::Sqlite {
            return Ok(());
        }
        let wait = format!("SELECT pg_advisory_xact_lock({})", turn as i64);
        match turn {
            Turn::Schema => self.script(&wait).await,
            Turn::Events | Turn::Checkpoint | Turn::Notices => self.batch(&wait).await,
        }
    }

    /// Ends the transaction of a PostgreSQL connection; what is in no transaction has nothing to end.
    ///
    /// # Errors
    /// As [`TransactionConn::end`].
    pub async fn end(self, commit: bool) -> Result<(), Error> {
        match self {
            Self::Postgres(conn) => conn.end(commit).await,
            Self::Sqlite(_) | Self::SqliteReaders(_) | Self::SqliteHere(_) | Self::PostgresPool(_) => Ok(()),
        }
    }

    async fn rows(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        match self {
            Self::Sqlite(conn) => conn.rows(sql, &values),
            Self::Postgres(conn) => conn.rows(sql, values).await,
            Self::SqliteReaders(readers) => readers.rows(sql, values).await,
            Self::SqliteHere(readers) => readers.rows_here(sql, values).await,
            // What may make a connection is large: every future that reads, up to a whole exchange, would have room for it and be copied
            // with it.
            Self::PostgresPool(pool) => Box::pin(pool.rows(sql, values)).await,
        }
    }

    async fn change(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64, Error> {
        match self {
            Self::Sqlite(conn) => conn.change(sql, &values),
            Self::Postgres(conn) => conn.change(sql, values).await,
            Self::SqliteReaders(_) | Self::SqliteHere(_) | Self::PostgresPool(_) => {
                Err(Error::Damaged { what: "statement", value: "a change outside of the writer".to_owned() })
            }
        }
    }

    /// Runs one statement that begins or ends something; the same text every time, so that SQLite has it ready.
    ///
    /// # Errors
    /// The database's.
    pub async fn control(&mut self, sql: &'static str) -> Result<(), Error> {
        match self {
            Self::Sqlite(conn) => conn.change(sql, &[]).map(drop),
            _ => self.batch(sql).await,
        }
    }

    /// As [`Conn::batch`], for a step of the schema, which may take long: its end is waited for, however late it comes.
    ///
    /// # Errors
    /// The database's.
    pub async fn script(&mut self, sql: &str) -> Result<(), Error> {
        match self {
            Self::Postgres(conn) => conn.script(sql).await,
            _ => self.batch(sql).await,
        }
    }

    /// Runs statements without values, one after the other.
    ///
    /// # Errors
    /// The database's.
    pub async fn batch(&mut self, sql: &str) -> Result<(), Error> {
        match self {
            Self::Sqlite(conn) => conn.batch(sql),
            Self::Postgres(conn) => conn.batch(sql).await,
            Self::PostgresPool(pool) => Box::pin(pool.outside(sql)).await,
            Self::SqliteReaders(_) | Self::SqliteHere(_) => {
                Err(Error::Damaged { what: "statement", value: "a script on a reader".to_owned() })
            }
        }
    }
}

/// A statement that the two databases write differently.
#[derive(Debug, Clone, Copy)]
pub struct Sql {
    /// For SQLite.
    pub sqlite: &'static str,
    /// For PostgreSQL.
    pub postgres: &'static str,
}

impl Sql {
    /// As `conn` takes it.
    pub fn on(self, conn: &Conn) -> &'static str {
        match conn.dialect() {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }
}

/// A `SELECT` whose rows nobody else changes before this transaction has ended. SQLite has one writer and needs no word for it.
macro_rules! locking {
    ($sql:literal) => {
        $crate::store::sql::Sql { sqlite: $sql, postgres: concat!($sql, " FOR NO KEY UPDATE") }
    };
}
pub(super) use locking;

/// An `UPDATE` of rows that a `SELECT` within it finds, up to `$begin`'s end: rows that another node has hold of are passed over,
/// not waited for.
macro_rules! skipping_locked {
    ($begin:literal, $end:literal) => {
        $crate::store::sql::Sql {
            sqlite: concat!($begin, $end),
            postgres: concat!($begin, " FOR UPDATE SKIP LOCKED", $end),
        }
    };
}
pub(super) use skipping_locked;

/// A statement with the values bound so far.
pub struct Query {
    sql: &'static str,
    values: Vec<Value>,
}

/// A statement, to be given its values in order.
pub fn query(sql: &'static str) -> Query {
    Query { sql, values: Vec::new() }
}

impl Query {
    /// The next value.
    #[must_use]
    pub fn bind(mut self, value: impl Bind) -> Self {
        self.values.push(value.value());
        self
    }

    /// Runs it; the number of rows it changed.
    ///
    /// # Errors
    /// The database's.
    pub async fn execute(self, conn: &mut Conn) -> Result<u64, Error> {
        conn.change(self.sql, self.values).await
    }

    /// All rows.
    ///
    /// # Errors
    /// The database's.
    pub async fn fetch_all(self, conn: &mut Conn) -> Result<Vec<Row>, Error> {
        conn.rows(self.sql, self.values).await
    }

    /// The first row, if any.
    ///
    /// # Errors
    /// The database's.
    pub async fn fetch_optional(self, conn: &mut Conn) -> Result<Option<Row>, Error> {
        Ok(self.fetch_all(conn).await?.into_iter().next())
    }

    /// The one row.
    ///
    /// # Errors
    /// [`Error::Damaged`] when there is none.
    pub async fn fetch_one(self, conn: &mut Conn) -> Result<Row, Error> {
        let sql = self.sql;
        self.fetch_optional(conn).await?.ok_or_else(|| none(sql))
    }
}

/// A statement whose rows are read as tuples, or whose single column is one value.
pub struct Typed<T> {
    query: Query,
    read: PhantomData<fn() -> T>,
}

/// A statement of which the columns are a tuple.
pub fn query_as<T: FromRow>(sql: &'static str) -> Typed<T> {
    Typed { query: query(sql), read: PhantomData }
}

/// A statement of which the first column is wanted.
pub fn query_scalar<T>(sql: &'static str) -> Typed<(T,)>
where
    (T,): FromRow,
{
    query_as(sql)
}

impl<T: FromRow> Typed<T> {
    /// The next value.
    #[must_use]
    pub fn bind(mut self, value: impl Bind) -> Self {
        self.query = self.query.bind(value);
        self
    }

    /// All rows.
    ///
    /// # Errors
    /// The database's.
    pub async fn fetch_all(self, conn: &mut Conn) -> Result<Vec<T::Shown>, Error> {
        let rows = self.query.fetch_all(conn).await?;
        rows.iter().map(|row| T::from_row(row).map(T::shown)).collect()
    }

    /// The first row, if any.
    ///
    /// # Errors
    /// The database's.
    pub async fn fetch_optional(self, conn: &mut Conn) -> Result<Option<T::Shown>, Error> {
        let row = self.query.fetch_optional(conn).await?;
        row.map(|row| T::from_row(&row).map(T::shown)).transpose()
    }

    /// The one row.
    ///
    /// # Errors
    /// [`Error::Damaged`] when there is none.
    pub async fn fetch_one(self, conn: &mut Conn) -> Result<T::Shown, Error> {
        let row = self.query.fetch_one(conn).await?;
        T::from_row(&row).map(T::shown)
    }
}

fn none(sql: &str) -> Error {
    let begin: Vec<&str> = sql.split_whitespace().take(6).collect();
    Error::Damaged { what: "row", value: format!("none for {}", begin.join(" ")) }
}

#[cfg(test)]
mod tests;
