//! The schema, forward only: a file per step, applied in its own transaction; what both databases write the same is one file.

use std::path::Path;

use super::Error;
use super::sql::{self, Conn, PostgresPool, Turn};

pub(super) const SQLITE: [&str; 9] = [
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_lease_by.sql"),
    include_str!("migrations/0003_timers.sql"),
    include_str!("migrations/0004_sealed.sql"),
    concat!(
        include_str!("migrations/0005_plan.sql"),
        include_str!("migrations/0005_short.sql"),
        include_str!("migrations/0005_by_key.sql")
    ),
    include_str!("migrations/0006_owner.sql"),
    concat!(include_str!("migrations/0007_column.sql"), include_str!("migrations/0007_evidence_due.sql")),
    include_str!("migrations/0008_act.sql"),
    include_str!("migrations/0009_given_up.sql"),
];
const POSTGRES: [&str; 10] = [
    include_str!("migrations/postgres/0001_initial.sql"),
    include_str!("migrations/postgres/0002_nodes.sql"),
    include_str!("migrations/0003_timers.sql"),
    include_str!("migrations/0004_sealed.sql"),
    concat!(include_str!("migrations/postgres/0005_plan.sql"), include_str!("migrations/0005_short.sql")),
    include_str!("migrations/0006_owner.sql"),
    concat!(
        include_str!("migrations/postgres/0007_column.sql"),
        include_str!("migrations/0007_evidence_due.sql")
    ),
    include_str!("migrations/0008_act.sql"),
    include_str!("migrations/0009_given_up.sql"),
    include_str!("migrations/postgres/0010_instance.sql"),
];

/// Brings the schema of a SQLite store up to date.
///
/// # Errors
/// [`Error::Newer`] when a later version wrote the store; the database's refusals.
pub(super) async fn sqlite(conn: &mut Conn, path: &Path) -> Result<(), Error> {
    let found: i64 = sql::query_scalar("PRAGMA user_version").fetch_one(conn).await?;
    let known = SQLITE.len() as i64;
    if found > known {
        return Err(Error::Newer { path: path.to_owned(), found, known });
    }
    for (step, script) in (1_i64..).zip(SQLITE).filter(|(step, _)| *step > found) {
        conn.batch(&format!("BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {step};\nCOMMIT;")).await?;
    }
    Ok(())
}

/// The same for a PostgreSQL store; of several nodes that start at once, one does it and the others wait.
///
/// # Errors
/// As [`sqlite`].
pub(super) async fn postgres(pool: &PostgresPool, path: &Path) -> Result<(), Error> {
    let mut conn = Conn::Postgres(pool.begin().await?);
    conn.take_turn(Turn::Schema).await?;
    conn.batch("CREATE TABLE IF NOT EXISTS schema_step (step BIGINT PRIMARY KEY)").await?;
    let found: i64 =
        sql::query_scalar("SELECT coalesce(max(step), 0) FROM schema_step").fetch_one(&mut conn).await?;
    let known = POSTGRES.len() as i64;
    if found > known {
        return Err(Error::Newer { path: path.to_owned(), found, known });
    }
    for (step, script) in (1_i64..).zip(POSTGRES).filter(|(step, _)| *step > found) {
        conn.script(script).await?;
        sql::query("INSERT INTO schema_step (step) VALUES (?)").bind(step).execute(&mut conn).await?;
    }
    conn.end(true).await
}
