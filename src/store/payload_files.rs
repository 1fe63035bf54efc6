//! The proof that every payload row has its file and every file its row.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use super::integrity::{Difference, Recomputed};
use super::sealed::sealed_size;
use super::spool::published_files;
use super::sql::{self, Conn};
use super::{Error, PayloadId};

/// Compares the payload folder of a store with the rows. Sizes are compared, not digests: those are checked whenever
/// a payload is read, and hashing everything that was ever carried would take hours.
pub(super) async fn compare(conn: &mut Conn, folder: &Path, result: &mut Recomputed) -> Result<(), Error> {
    // The folder first: a file published from now on is not taken for one that nobody names.
    let found = published_files(folder)?;
    let mut named = HashSet::new();
    let mut last = (String::new(), String::new());
    loop {
        let page = sql::query(PAGE).bind(&last.0).bind(&last.1).fetch_all(conn).await?;
        let Some(end) = page.last() else { break };
        last = (end.get("payload")?, end.get("form")?);
        for row in &page {
            let file: String = row.get("file")?;
            let size = row.get::<i64>("size")? as u64;
            let size = if row.get::<Option<&str>>("sealed")?.is_some() { sealed_size(size) } else { size };
            if let Some(what) = wrong(&folder.join(&file), size)
                && still_named(conn, &file).await?
            {
                let payload = PayloadId::read(row.get("payload")?)?;
                result.differences.push(Difference::Payload { payload, what });
            }
            result.payload_files += 1;
            named.insert(file);
        }
    }
    result.orphans = found.into_iter().filter(|file| !named.contains(file)).collect();
    Ok(())
}

const PAGE: &str = "SELECT payload, form, size, file, sealed FROM payload_form
    WHERE file IS NOT NULL AND (payload, form) > (?, ?) ORDER BY payload, form LIMIT 500";

fn wrong(path: &Path, size: u64) -> Option<String> {
    match fs::metadata(path) {
        Ok(file) if file.len() == size => None,
        Ok(file) => Some(format!("{} has {} octets instead of {size}", path.display(), file.len())),
        Err(error) => Some(format!("{}: {error}", path.display())),
    }
}

/// Retention removes the row before the file: what it let go meanwhile is not missing.
async fn still_named(conn: &mut Conn, file: &str) -> Result<bool, Error> {
    let row: Option<i64> = sql::query_scalar("SELECT 1 FROM payload_form WHERE file = ?")
        .bind(file)
        .fetch_optional(conn)
        .await?;
    Ok(row.is_some())
}
