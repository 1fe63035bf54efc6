//! That every payload row has its file and every file its row: the proof of it, and the round that looks after it.

use std::collections::{HashMap, HashSet};

use super::integrity::{Difference, Recomputed};
use super::payload::blocking;
use super::sealed::sealed_size;
use super::shelf::Shelf;
use super::sql::{self, Conn, Row};
use super::{Error, PayloadId, Store};

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

/// Missing files of one round that are told one by one.
const TOLD: usize = 20;

impl Store {
    /// Removes files that no row names, that nobody has touched for `older`, and that the round before has seen so: of a process that
    /// died, or of a commit whose outcome was not known; how many. One round alone might follow a clock that was put forward between a
    /// file and its row. A file that a row names and that is missing raises a notice.
    ///
    /// # Errors
    /// The disk's and the database's.
    pub async fn collect_files(&self, older: std::time::Duration) -> Result<u64, Error> {
        let before = self.unnamed().clone();
        let (mut unnamed, mut removed, mut told) = (HashSet::new(), 0, 0);
        for shard in shards() {
            let Unmatched { mut orphans, missing } =
                unmatched(&mut self.read(), self.spool().shelf(), &shard).await?;
            for file in missing.into_iter().take(TOLD - told) {
                told += usize::from(self.tell_of_missing(&file).await?);
            }
            unnamed.extend(orphans.iter().cloned());
            orphans.retain(|file| before.contains(file));
            removed += self.remove_older(orphans, older).await?;
        }
        *self.unnamed() = unnamed;
        Ok(removed)
    }

    /// Raises a notice of a file that is missing indeed; whether it is.
    async fn tell_of_missing(&self, file: &str) -> Result<bool, Error> {
        let (shelf, name) = (self.spool().shelf().clone(), file.to_owned());
        let there = blocking(move || shelf.size(&name)).await?;
        if there.is_ok() || !still_named(&mut self.read(), file).await? {
            return Ok(false);
        }
        let place = self.spool().shelf().told(file);
        let text = format!(
            "the payload {place} is missing: put it back from a backup; `tilts status --recompute` lists all"
        );
        self.raise_once("payload-missing", file, &text).await?;
        Ok(true)
    }

    async fn remove_older(&self, mut files: Vec<String>, age: std::time::Duration) -> Result<u64, Error> {
        if files.is_empty() {
            return Ok(0);
        }
        let shelf = self.spool().shelf().clone();
        blocking(move || {
            files.retain(|file| shelf.older(file, age));
            shelf.remove(&files)?;
            Ok(files.len() as u64)
        })
        .await
    }
}

/// Removes files of a submission or message whose commit never came, at the start of the only node that publishes there.
pub(super) async fn remove_orphans(conn: &mut Conn, shelf: &Shelf) -> Result<u64, Error> {
    let mut removed = 0;
    for shard in shards() {
        let orphans = unmatched(conn, shelf, &shard).await?.orphans;
        if orphans.is_empty() {
            continue;
        }
        removed += orphans.len() as u64;
        let shelf = shelf.clone();
        blocking(move || {
            // They are in nobody's way: what cannot be removed is no reason not to start.
            if let Err(error) = shelf.remove(&orphans) {
                tracing::warn!(%error, "a payload file that no row names cannot be removed");
            }
            Ok(())
        })
        .await?;
    }
    Ok(removed)
}

/// The names of all shards. Files are looked after shard by shard: whoever keeps them for years has too many names for the memory.
fn shards() -> impl Iterator<Item = String> {
    (0..=u8::MAX).map(|shard| hex::encode([shard]))
}

/// Files that no row names, and files that are named and not there.
struct Unmatched {
    orphans: Vec<String>,
    missing: Vec<String>,
}

async fn unmatched(conn: &mut Conn, shelf: &Shelf, shard: &str) -> Result<Unmatched, Error> {
    // The files first: one that is published from now on is not taken for one that nobody names.
    let (place, of) = (shelf.clone(), shard.to_owned());
    let found = blocking(move || place.list_shard(&of)).await?;
    let mut found: HashSet<String> = found.into_iter().map(|kept| kept.name).collect();
    // The character after `/` is `0`.
    let files = sql::query_scalar(FILES).bind(format!("{shard}/")).bind(format!("{shard}0"));
    let mut missing: Vec<String> = files.fetch_all(conn).await?;
    missing.retain(|named| !found.remove(named));
    Ok(Unmatched { orphans: found.into_iter().collect(), missing })
}

pub(super) const FILES: &str =
    "SELECT file FROM payload_form WHERE file IS NOT NULL AND file >= ? AND file < ?";

/// Retention removes the row before the file: what it let go meanwhile is not missing.
async fn still_named(conn: &mut Conn, file: &str) -> Result<bool, Error> {
    let row: Option<i64> = sql::query_scalar("SELECT 1 FROM payload_form WHERE file = ?")
        .bind(file)
        .fetch_optional(conn)
        .await?;
    Ok(row.is_some())
}
