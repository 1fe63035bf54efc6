//! Payloads and parts: rows that name published octets, reference counts, readers.

use std::io::{self, BufReader};
use std::time::{Instant, SystemTime};

use serde::Serialize;

use super::ids::{digest, from_json, json, micros};
use super::payload_reader::{Octets, PayloadReader};
use super::spool::{Form, Measure, Place, Published, Spool, StagedPayload};
use super::sql::{self, Conn};
use super::writer::Work;
use super::{Error, PayloadId, SETTLED, Store};
use crate::clock::Timestamp;
use crate::thread;

/// One part of a message as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartView {
    /// Its payload.
    pub payload: PayloadId,
    /// Content-ID without brackets.
    pub cid: String,
    /// Media type of the original octets.
    pub media_type: String,
    /// Part properties in order.
    pub properties: Vec<(String, String)>,
    /// Size and digest of the original octets.
    pub original: Measure,
    /// The form in which the part travels.
    pub form: Form,
    /// Size and digest of that form; `None` while the form has not been made.
    pub sent: Option<Measure>,
}

impl Store {
    /// Opens `form` of a payload. The original of a payload that is kept compressed is unpacked while it is read.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the payload does not exist or the form was never made.
    pub async fn open_payload(&self, id: PayloadId, form: Form) -> Result<PayloadReader, Error> {
        if let Some((measure, inner)) = self.stored_form(id, form).await? {
            return Ok(PayloadReader::new(id, measure, inner));
        }
        let packed = match form {
            Form::Original => self.stored_form(id, Form::Gzip).await?,
            Form::Gzip | Form::Canonical => None,
        };
        let (_, packed) =
            packed.ok_or_else(|| Error::missing("payload form", format!("{id}.{}", form.as_str())))?;
        let row = sql::query("SELECT size, sha256 FROM payload WHERE id = ?")
            .bind(id.column())
            .fetch_one(&mut self.look())
            .await?;
        let unpacked = Box::new(BufReader::new(flate2::bufread::GzDecoder::new(packed)));
        Ok(PayloadReader::new(id, measure(&row, "size", "sha256")?, unpacked))
    }

    /// Adds another form to a payload, once; a form that exists already is left as it is (model 3).
    ///
    /// # Errors
    /// [`Error::NotFound`] when the payload does not exist.
    pub async fn add_form(&self, id: PayloadId, form: Form, staged: StagedPayload) -> Result<Measure, Error> {
        let (spool, since) = (self.spool().clone(), Since::now());
        let published = blocking(move || staged.publish_as(&spool, id, form)).await?;
        let measure = published.stored;
        let files = files(std::slice::from_ref(&published));
        let added = self.write(move |work| {
            Box::pin(async move {
                since.in_time(std::slice::from_ref(&published))?;
                add_form(work, id, &published).await
            })
        });
        let added = added.await;
        if !matches!(added, Ok(true) | Err(Error::Undecided(_))) {
            withdraw(self.spool(), files).await;
        }
        match added? {
            true => Ok(measure),
            // Somebody else made it meanwhile.
            false => self.open_payload(id, form).await.map(|reader| reader.measure),
        }
    }

    async fn stored_form(&self, id: PayloadId, form: Form) -> Result<Option<(Measure, Octets)>, Error> {
        let row = sql::query(
            "SELECT size, sha256, content, file, sealed FROM payload_form WHERE payload = ? AND form = ?",
        )
        .bind(id.column())
        .bind(form.as_str())
        .fetch_optional(&mut self.look())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let measure = measure(&row, "size", "sha256")?;
        let content: Option<Vec<u8>> = row.get("content")?;
        let file: Option<String> = row.get("file")?;
        let reader: Octets = match (content, file) {
            (Some(content), _) => Box::new(io::Cursor::new(content)),
            (None, Some(file)) => self.spool().shelf().open(&file).await?,
            (None, None) => return Err(Error::Damaged { what: "payload form", value: id.to_string() }),
        };
        let sealed: Option<&str> = row.get("sealed")?;
        Ok(Some((measure, self.spool().keys().open(sealed, reader)?)))
    }
}

/// Makes staged payloads durable, in order; those in files off the runtime's threads.
pub(super) async fn publish_all(spool: &Spool, staged: Vec<StagedPayload>) -> Result<Vec<Published>, Error> {
    if staged.is_empty() {
        return Ok(Vec::new());
    }
    if staged.iter().all(StagedPayload::is_in_memory) {
        return staged.into_iter().map(|payload| payload.publish(spool)).collect();
    }
    let spool = spool.clone();
    blocking(move || publish_in_time(&spool, staged)).await
}

/// What was published first must not look left over to another node before a row names it; what cannot be published whole is taken
/// back.
fn publish_in_time(spool: &Spool, staged: Vec<StagedPayload>) -> Result<Vec<Published>, Error> {
    let begun = Instant::now();
    let mut published = Vec::with_capacity(staged.len());
    let publish = || -> Result<(), Error> {
        for payload in staged {
            published.push(payload.publish(spool)?);
        }
        let late = || Error::spool(io::Error::new(io::ErrorKind::TimedOut, "publishing took too long"));
        (begun.elapsed() < SETTLED / 2).then_some(()).ok_or_else(late)
    };
    publish().inspect_err(|_| {
        // If that fails too, what lies there is collected like anything that no row names.
        let _ = spool.shelf().remove(&files(&published));
    })?;
    Ok(published)
}

/// When files were published. Whoever else looks there takes a file that no row names for left over after [`SETTLED`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    /// Stands still while the machine does.
    ticks: Instant,
    /// May be set.
    clock: SystemTime,
}

impl Since {
    pub fn now() -> Self {
        Self { ticks: Instant::now(), clock: SystemTime::now() }
    }

    /// To be asked in the transaction that names the files: it may have waited for a database for hours.
    ///
    /// # Errors
    /// [`Error::Io`], when they may be taken for left over before it is committed.
    pub fn in_time(&self, published: &[Published]) -> Result<(), Error> {
        let waited = self.ticks.elapsed().max(self.clock.elapsed().unwrap_or_default());
        if waited < SETTLED / 2 || files(published).is_empty() {
            return Ok(());
        }
        Err(Error::spool(io::Error::new(
            io::ErrorKind::TimedOut,
            "the database could not be written for too long",
        )))
    }

    #[cfg(test)]
    pub fn long_ago() -> Self {
        Self { ticks: Instant::now(), clock: SystemTime::now() - SETTLED }
    }
}

/// Takes back files that no row names after all.
pub(super) async fn withdraw(spool: &Spool, files: Vec<String>) {
    if files.is_empty() {
        return;
    }
    let shelf = spool.shelf().clone();
    let _ = blocking(move || shelf.remove(&files)).await;
}

pub(super) fn files(published: &[Published]) -> Vec<String> {
    let files = published.iter().filter_map(|p| match &p.place {
        Place::File(file) => Some(file.clone()),
        Place::Inline(_) => None,
    });
    files.collect()
}

pub(super) async fn insert_payload(
    work: &mut Work,
    published: &Published,
    now: Timestamp,
) -> Result<(), Error> {
    sql::query("INSERT INTO payload (id, size, sha256, created) VALUES (?, ?, ?, ?)")
        .bind(published.id.column())
        .bind(published.original.size as i64)
        .bind(published.original.sha256.to_vec())
        .bind(micros(now))
        .execute(&mut work.conn)
        .await?;
    insert_form(work, published).await.map(drop)
}

/// False when the form is there already.
async fn add_form(work: &mut Work, id: PayloadId, published: &Published) -> Result<bool, Error> {
    let known: Option<i64> = sql::query_scalar("SELECT 1 FROM payload WHERE id = ?")
        .bind(id.column())
        .fetch_optional(&mut work.conn)
        .await?;
    known.ok_or_else(|| Error::missing("payload", id))?;
    insert_form(work, published).await
}

/// False when the form is there already.
async fn insert_form(work: &mut Work, published: &Published) -> Result<bool, Error> {
    let (content, file) = match &published.place {
        Place::Inline(octets) => (Some(octets.clone()), None),
        Place::File(file) => (None, Some(file.clone())),
    };
    let inserted = sql::query(
        "INSERT INTO payload_form (payload, form, size, sha256, content, file, sealed) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (payload, form) DO NOTHING",
    )
    .bind(published.id.column())
    .bind(published.form.as_str())
    .bind(published.stored.size as i64)
    .bind(published.stored.sha256.to_vec())
    .bind(content)
    .bind(file)
    .bind(&published.sealed)
    .execute(&mut work.conn)
    .await?;
    Ok(inserted == 1)
}

/// A part row to be written.
pub(super) struct PartRow<'a> {
    pub owner: String,
    pub position: usize,
    pub payload: PayloadId,
    pub form: Form,
    pub cid: &'a str,
    pub media_type: &'a str,
    pub properties: &'a [(String, String)],
}

pub(super) async fn insert_part(work: &mut Work, part: PartRow<'_>) -> Result<(), Error> {
    sql::query(
        "INSERT INTO part (owner, position, payload, form, cid, media_type, properties) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(part.owner)
    .bind(part.position as i64)
    .bind(part.payload.column())
    .bind(part.form.as_str())
    .bind(part.cid)
    .bind(part.media_type)
    .bind(json(&part.properties)?)
    .execute(&mut work.conn)
    .await?;
    sql::query("UPDATE payload SET refs = refs + 1 WHERE id = ?")
        .bind(part.payload.column())
        .execute(&mut work.conn)
        .await?;
    Ok(())
}

/// The parts of an owner (a recipient, or an inbound or evidence message) in order.
pub(super) async fn parts_of(conn: &mut Conn, owner: &str) -> Result<Vec<PartView>, Error> {
    let rows = sql::query(
        "SELECT part.payload, part.form, cid, media_type, properties, payload.size AS original_size,
                payload.sha256 AS original_sha256, payload_form.size AS form_size, payload_form.sha256 AS form_sha256
         FROM part JOIN payload ON payload.id = part.payload
         LEFT JOIN payload_form ON payload_form.payload = part.payload AND payload_form.form = part.form
         WHERE owner = ? ORDER BY position",
    )
    .bind(owner)
    .fetch_all(conn)
    .await?;
    rows.iter().map(part_view).collect()
}

fn part_view(row: &sql::Row) -> Result<PartView, Error> {
    let form = Form::read(row.get("form")?)?;
    let original = measure(row, "original_size", "original_sha256")?;
    let stored = match row.get::<Option<i64>>("form_size")? {
        Some(_) => Some(measure(row, "form_size", "form_sha256")?),
        None => None,
    };
    Ok(PartView {
        payload: PayloadId::read(row.get("payload")?)?,
        cid: row.get("cid")?,
        media_type: row.get("media_type")?,
        properties: from_json("part properties", row.get("properties")?)?,
        original,
        form,
        sent: stored.or((form == Form::Original).then_some(original)),
    })
}

fn measure(row: &sql::Row, size: &str, sha256: &str) -> Result<Measure, Error> {
    let octets: &[u8] = row.get(sha256)?;
    Ok(Measure { size: row.get::<i64>(size)? as u64, sha256: digest("payload digest", octets)? })
}

/// Runs blocking work where it holds up nobody.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    thread::elsewhere(work).await.map_err(|_| Error::Closed)?
}
