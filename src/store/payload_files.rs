//! The proof that every payload row has its file and every file its row.

use std::collections::{HashMap, HashSet};

use super::integrity::{Difference, Recomputed};
use super::payload::blocking;
use super::sealed::sealed_size;
use super::shelf::Shelf;
use super::sql::{self, Conn, Row};
use super::{Error, PayloadId};

/// Compares where the payloads of a store lie with the rows. Sizes are compared, not digests: those are checked whenever
/// a payload is read, and hashing everything that was ever carried would take hours.
pub(super) async fn compare(conn: &mut Conn, shelf: &Shelf, result: &mut Recomputed) -> Result<(), Error> {
    // What lies there first: a file published from now on is not taken for one that nobody names.
    let place = shelf.clone();
    let found = blocking(move || place.list()).await?;
    let found: HashMap<String, Option<u64>> = found.into_iter().map(|kept| (kept.name, kept.size)).collect();
    let mut named = HashSet::new();
    let mut last = (String::new(), String::new());
    loop {
        let page = sql::query(PAGE).bind(&last.0).bind(&last.1).fetch_all(conn).await?;
        let Some(end) = page.last() else { break };
        last = (end.get("payload")?, end.get("form")?);
        let rows = page.iter().map(|row| Named::read(row, &found)).collect::<Result<Vec<_>, _>>()?;
        result.payload_files += rows.len() as u64;
        named.extend(rows.iter().map(|row| row.file.clone()));
        for (payload, file, what) in wrong(shelf, rows).await? {
            if still_named(conn, &file).await? {
                result.differences.push(Difference::Payload { payload, what });
            }
        }
    }
    result.orphans = found.into_keys().filter(|file| !named.contains(file)).collect();
    result.orphans.sort_unstable();
    Ok(())
}

/// A row that names a file.
struct Named {
    payload: PayloadId,
    file: String,
    /// Octets that it must have there.
    size: u64,
    /// Octets that a listing says it has.
    listed: Option<u64>,
}

impl Named {
    fn read(row: &Row, found: &HashMap<String, Option<u64>>) -> Result<Self, Error> {
        let file: String = row.get("file")?;
        let size = row.get::<i64>("size")? as u64;
        let size = if row.get::<Option<&str>>("sealed")?.is_some() { sealed_size(size) } else { size };
        let listed = found.get(&file).copied().flatten();
        Ok(Self { payload: PayloadId::read(row.get("payload")?)?, file, size, listed })
    }
}

/// Which of these are not there as they must be, and what is wrong with them.
async fn wrong(shelf: &Shelf, rows: Vec<Named>) -> Result<Vec<(PayloadId, String, String)>, Error> {
    let shelf = shelf.clone();
    blocking(move || {
        let mut wrong = Vec::new();
        for Named { payload, file, size, listed } in rows {
            let what = match listed.map_or_else(|| shelf.size(&file), |size| Ok(Ok(size)))? {
                Ok(there) if there == size => continue,
                Ok(there) => format!("{} has {there} octets instead of {size}", shelf.told(&file)),
                Err(error) => format!("{}: {error}", shelf.told(&file)),
            };
            wrong.push((payload, file, what));
        }
        Ok(wrong)
    })
    .await
}

const PAGE: &str = "SELECT payload, form, size, file, sealed FROM payload_form
    WHERE file IS NOT NULL AND (payload, form) > (?, ?) ORDER BY payload, form LIMIT 500";

/// Retention removes the row before the file: what it let go meanwhile is not missing.
async fn still_named(conn: &mut Conn, file: &str) -> Result<bool, Error> {
    let row: Option<i64> = sql::query_scalar("SELECT 1 FROM payload_form WHERE file = ?")
        .bind(file)
        .fetch_optional(conn)
        .await?;
    Ok(row.is_some())
}
