//! The schema, forward only: a file per step, applied in its own transaction.

use std::path::Path;

use sqlx::SqliteConnection;

use super::Error;

const STEPS: [&str; 1] = [include_str!("migrations/0001_initial.sql")];

/// Brings the schema up to date.
///
/// # Errors
/// [`Error::Newer`] when a later version wrote the store; the database's refusals.
pub(super) async fn migrate(conn: &mut SqliteConnection, path: &Path) -> Result<(), Error> {
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *conn).await?;
    let known = STEPS.len() as i64;
    if found > known {
        return Err(Error::Newer { path: path.to_owned(), found, known });
    }
    for (step, sql) in (1_i64..).zip(STEPS).filter(|(step, _)| *step > found) {
        let script = format!("BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version = {step};\nCOMMIT;");
        sqlx::raw_sql(sqlx::AssertSqlSafe(script)).execute(&mut *conn).await?;
    }
    Ok(())
}
