//! Evidence rows: the hash chain of each recipient and the status that follows from it.

use openssl::sha::sha256;
use serde::Serialize;

use super::ids::{digest, from_json, json, micros, optional_time, time};
use super::sql::{self, Conn, Dialect, Sql};
use super::writer::Work;
use super::{Error, MessageRow, RecipientId, Store, events};
use crate::clock::{SignedDuration, Timestamp};
use crate::status::chain::{Link, RawDigest, START};
use crate::status::{Kind, Record, Row, Signal, State, fold};

/// A row to be appended to a recipient's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvidence {
    /// What the status depends on; the store gives it its sequence.
    pub row: Row,
    /// What the raw octets are: `as4-receipt`, `as4-error`, `rem`, `json`, ...
    pub format: String,
    /// SHA-256 of the issuer's certificate.
    pub issuer: Option<[u8; 32]>,
    /// The evidence itself as received or made.
    pub raw: Vec<u8>,
}

impl NewEvidence {
    /// Evidence with its octets.
    pub fn new(row: Row, format: impl Into<String>, raw: impl Into<Vec<u8>>) -> Self {
        Self { row, format: format.into(), issuer: None, raw: raw.into() }
    }

    /// A row that is its own evidence: what this node or an operator says.
    pub fn statement(row: Row) -> Self {
        let raw = row.detail.clone().unwrap_or_default().into_bytes();
        Self { row, format: "statement".to_owned(), issuer: None, raw }
    }

    /// The same, issued under the certificate with this SHA-256.
    #[must_use]
    pub fn issued_by(mut self, certificate: [u8; 32]) -> Self {
        self.issuer = Some(certificate);
        self
    }
}

/// A row as it stands in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredEvidence {
    /// What the status depends on.
    pub row: Row,
    /// What the raw octets are.
    pub format: String,
    /// SHA-256 of the issuer's certificate.
    #[serde(serialize_with = "optional_hex")]
    pub issuer: Option<[u8; 32]>,
    /// The evidence itself.
    #[serde(skip)]
    pub raw: Vec<u8>,
    /// SHA-256 of the raw octets.
    #[serde(with = "super::ids::hex32")]
    pub sha256: [u8; 32],
    /// Hash of the row before.
    #[serde(with = "super::ids::hex32")]
    pub previous: [u8; 32],
    /// Hash of this row ([`Link::hash`]).
    #[serde(with = "super::ids::hex32")]
    pub hash: [u8; 32],
}

impl StoredEvidence {
    /// The link that [`StoredEvidence::hash`] is the hash of, built anew from the columns and the octets.
    pub fn link(&self, recipient: RecipientId) -> Link {
        let raw = RawDigest { format: self.format.clone(), issuer: self.issuer, sha256: sha256(&self.raw) };
        Link::new(&recipient.to_string(), &self.row, &raw, &self.previous)
    }
}

/// Evidence that moved nothing: about a message we do not know, or by one who may not testify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StrayEvidence {
    /// The message that brought it.
    pub inbound: Option<MessageRow>,
    /// The MessageId it speaks of.
    pub original: String,
    /// Why it has no effect.
    pub reason: String,
    /// What it claims.
    pub signal: String,
    /// Its identifier.
    pub identifier: String,
    /// When it came.
    pub received: Timestamp,
}

impl Store {
    /// Appends rows of this node or of an operator to a recipient's chain and judges the status anew.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown recipient.
    pub async fn append_evidence(
        &self,
        recipient: RecipientId,
        rows: Vec<NewEvidence>,
    ) -> Result<Record, Error> {
        let now = self.clock().now();
        self.write(move |work| Box::pin(async move { append(work, recipient, &rows, now).await })).await
    }

    /// Appends an operator's verdict on a recipient that was seen in that state, if it is still in it.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown recipient; [`Error::Conflict`] where it has moved on, whose state the verdict does not fit.
    pub async fn append_verdict(
        &self,
        recipient: RecipientId,
        seen: State,
        verdict: NewEvidence,
    ) -> Result<Record, Error> {
        let now = self.clock().now();
        self.write(move |work| {
            Box::pin(async move {
                lock(work, recipient).await?;
                let state: Option<String> = sql::query_scalar("SELECT state FROM recipient WHERE id = ?")
                    .bind(recipient.column())
                    .fetch_optional(&mut work.conn)
                    .await?;
                let state = state.ok_or_else(|| Error::missing("recipient", recipient))?;
                if state != seen.as_str() {
                    let why = format!("is {state} by now; look again before you judge");
                    return Err(Error::conflict("recipient", recipient, why));
                }
                append(work, recipient, &[verdict], now).await
            })
        })
        .await
    }

    /// The chain of a recipient with the raw octets, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn evidence(&self, recipient: RecipientId) -> Result<Vec<StoredEvidence>, Error> {
        chain(&mut self.read(), recipient).await
    }

    /// Evidence that moved nothing, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn stray_evidence(&self, limit: u32) -> Result<Vec<StrayEvidence>, Error> {
        let rows = sql::query(
            "SELECT inbound, original, reason, signal, identifier, received FROM stray_evidence ORDER BY id DESC LIMIT ?",
        )
        .bind(limit)
        .fetch_all(&mut self.read())
        .await?;
        rows.iter().map(stray_view).collect()
    }
}

fn stray_view(row: &sql::Row) -> Result<StrayEvidence, Error> {
    let inbound: Option<&str> = row.get("inbound")?;
    Ok(StrayEvidence {
        inbound: inbound.map(MessageRow::read).transpose()?,
        original: row.get("original")?,
        reason: row.get("reason")?,
        signal: row.get("signal")?,
        identifier: row.get("identifier")?,
        received: time(row.get("received")?)?,
    })
}

/// Appends `rows` to the chain, folds it and stores what it amounts to. A repetition (same kind, signal and identifier) is not
/// stored twice.
pub(super) async fn append(
    work: &mut Work,
    recipient: RecipientId,
    rows: &[NewEvidence],
    now: Timestamp,
) -> Result<Record, Error> {
    // The record first: reading it locks the recipient, so that of two rows one comes after the other.
    let before = stored_record(work, recipient).await?;
    let mut chain = chain(&mut work.conn, recipient).await?;
    let mut why = None;
    for new in rows {
        if chain.iter().any(|old| repeats(&old.row, &new.row)) {
            continue;
        }
        why = new.row.detail.as_deref().or(why);
        let stored = link(recipient, new, chain.last())?;
        insert(work, recipient, &stored).await?;
        chain.push(stored);
    }
    let folded: Vec<Row> = chain.iter().map(|e| e.row.clone()).collect();
    let record = fold(&folded);
    keep_record(work, recipient, &record, &chain).await?;
    stop_sending(work, recipient, record.state, now).await?;
    events::announce_status(work, recipient, (before.as_ref(), &record, why), now).await?;
    Ok(record)
}

fn repeats(old: &Row, new: &Row) -> bool {
    old.kind == new.kind && old.signal == new.signal && old.identifier == new.identifier
}

/// Gives `new` its place after `last`: sequence, times as the columns can hold them, hashes.
fn link(
    recipient: RecipientId,
    new: &NewEvidence,
    last: Option<&StoredEvidence>,
) -> Result<StoredEvidence, Error> {
    let mut row = new.row.clone();
    row.sequence = last.map_or(1, |l| l.row.sequence + 1);
    row.event_time = time(micros(row.event_time))?;
    row.received = time(micros(row.received))?;
    let mut stored = StoredEvidence {
        row,
        format: new.format.clone(),
        issuer: new.issuer,
        raw: new.raw.clone(),
        sha256: sha256(&new.raw),
        previous: last.map_or(START, |l| l.hash),
        hash: START,
    };
    stored.hash = hash(&stored.link(recipient))?;
    Ok(stored)
}

pub(super) fn hash(link: &Link) -> Result<[u8; 32], Error> {
    link.hash().map_err(|e| Error::Damaged { what: "evidence link", value: e.to_string() })
}

async fn insert(work: &mut Work, recipient: RecipientId, stored: &StoredEvidence) -> Result<(), Error> {
    let row = &stored.row;
    sql::query(
        "INSERT INTO evidence (recipient, sequence, kind, signal, event_time, received, identifier, signed, acceptance,
             detail, format, issuer, raw, sha256, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(recipient.column())
    .bind(row.sequence)
    .bind(row.kind.as_str())
    .bind(row.signal.as_str())
    .bind(micros(row.event_time))
    .bind(micros(row.received))
    .bind(&row.identifier)
    .bind(row.signed)
    .bind(row.acceptance.as_ref().map(json).transpose()?)
    .bind(&row.detail)
    .bind(&stored.format)
    .bind(stored.issuer.map(|i| i.to_vec()))
    .bind(&stored.raw)
    .bind(stored.sha256.to_vec())
    .bind(stored.previous.to_vec())
    .bind(stored.hash.to_vec())
    .execute(&mut work.conn)
    .await?;
    Ok(())
}

pub(super) async fn chain(conn: &mut Conn, recipient: RecipientId) -> Result<Vec<StoredEvidence>, Error> {
    let rows = sql::query("SELECT * FROM evidence WHERE recipient = ? ORDER BY sequence")
        .bind(recipient.column())
        .fetch_all(conn)
        .await?;
    rows.iter().map(read).collect()
}

fn read(row: &sql::Row) -> Result<StoredEvidence, Error> {
    let acceptance: Option<&str> = row.get("acceptance")?;
    let issuer: Option<&[u8]> = row.get("issuer")?;
    Ok(StoredEvidence {
        row: Row {
            sequence: row.get("sequence")?,
            kind: row.get::<&str>("kind")?.parse()?,
            signal: row.get::<&str>("signal")?.parse()?,
            event_time: time(row.get("event_time")?)?,
            received: time(row.get("received")?)?,
            identifier: row.get("identifier")?,
            signed: row.get("signed")?,
            acceptance: acceptance.map(|text| from_json("acceptance", text)).transpose()?,
            detail: row.get("detail")?,
        },
        format: row.get("format")?,
        issuer: issuer.map(|octets| digest("issuer", octets)).transpose()?,
        raw: row.get("raw")?,
        sha256: digest("evidence digest", row.get("sha256")?)?,
        previous: digest("evidence hash", row.get("previous")?)?,
        hash: digest("evidence hash", row.get("hash")?)?,
    })
}

async fn keep_record(
    work: &mut Work,
    recipient: RecipientId,
    record: &Record,
    chain: &[StoredEvidence],
) -> Result<(), Error> {
    let changed = sql::query(
        "UPDATE recipient SET state = ?1, send = ?2, delivery = ?3, sent_at = ?4, delivered_at = ?5, provisional = ?6,
             record = ?7, chain_length = ?8, chain_head = ?9, unsealed = 1,
             evidence_due = CASE WHEN profile = 'rem' AND ?10 IS NOT NULL THEN coalesce(evidence_due, ?10) END WHERE id = ?11",
    )
    .bind(record.state.as_str())
    .bind(record.send.as_str())
    .bind(record.delivery.as_str())
    .bind(record.sent_at.map(micros))
    .bind(record.delivered_at.map(micros))
    .bind(record.provisional)
    .bind(json(record)?)
    .bind(chain.len() as i64)
    .bind(chain.last().map(|l| l.hash.to_vec()))
    .bind(evidence_due(record, chain).map(micros))
    .bind(recipient.column())
    .execute(&mut work.conn)
    .await?;
    if changed == 0 {
        return Err(Error::missing("recipient", recipient));
    }
    Ok(())
}

/// When evidence should be there, of a recipient that has none behind the receipt and of whom no row of ours says so yet.
fn evidence_due(record: &Record, chain: &[StoredEvidence]) -> Option<Timestamp> {
    let told =
        |one: &StoredEvidence| one.row.kind == Kind::Local && one.row.signal == Signal::ConsignmentFailed;
    let waits = record.state == State::AtRemoteGateway && !chain.iter().any(told);
    chain.last().filter(|_| waits)?.row.received.checked_add(EVIDENCE_WITHIN).ok()
}

/// How long after the receipt the other side may take to say that the message is at the recipient's disposal, where it has agreed to say so.
const EVIDENCE_WITHIN: SignedDuration = SignedDuration::from_hours(24);

pub(super) const STOP_SENDING: &str = "UPDATE message SET state = ?1, lease_until = NULL
         WHERE recipient = ?2 AND direction = 'out' AND state IN ('queued', 'uncertain', 'awaiting-evidence') AND state <> ?1";

/// What evidence proves need not be sent again; what is final is not sent at all. Nobody will lease the message any more and find an
/// attempt that was lost with its process; one that is still under way says itself how it ends.
async fn stop_sending(
    work: &mut Work,
    recipient: RecipientId,
    state: State,
    now: Timestamp,
) -> Result<(), Error> {
    let next = match state {
        State::Received | State::Uncertain => return Ok(()),
        State::AtRemoteGateway | State::Available => "awaiting-evidence",
        State::Failed => "failed",
        State::Delivered | State::Refused | State::Missed | State::FailedAfterAvailable => "done",
    };
    let stopped =
        sql::query(STOP_SENDING).bind(next).bind(recipient.column()).execute(&mut work.conn).await?;
    if stopped > 0 {
        sql::query(
            "UPDATE attempt SET ended = ?1, outcome = 'uncertain', detail = 'the message was settled before the outcome was known'
             WHERE ended IS NULL AND message IN (SELECT id FROM message WHERE recipient = ?2 AND direction = 'out')",
        )
        .bind(micros(now))
        .bind(recipient.column())
        .execute(&mut work.conn)
        .await?;
    }
    Ok(())
}

async fn stored_record(work: &mut Work, recipient: RecipientId) -> Result<Option<Record>, Error> {
    let row = sql::query(LOCK.on(&work.conn))
        .bind(recipient.column())
        .fetch_optional(&mut work.conn)
        .await?
        .ok_or_else(|| Error::missing("recipient", recipient))?;
    let begun = row.get::<i64>("chain_length")? > 0;
    begun.then(|| shown_record(&row)).transpose()
}

const LOCK: Sql = sql::locking!("SELECT record, chain_length FROM recipient WHERE id = ?");

/// Whoever changes a recipient and messages of it locks the recipient first: two that lock in different order wait for each
/// other for ever. SQLite has one writer and need not be asked.
pub(super) async fn lock(work: &mut Work, recipient: RecipientId) -> Result<(), Error> {
    if work.conn.dialect() == Dialect::Postgres {
        sql::query(LOCK.postgres).bind(recipient.column()).fetch_optional(&mut work.conn).await?;
    }
    Ok(())
}

/// Keeps evidence that may not move anything.
pub(super) async fn store_stray(
    work: &mut Work,
    inbound: Option<MessageRow>,
    original: &str,
    reason: &str,
    rows: &[NewEvidence],
) -> Result<(), Error> {
    for new in rows {
        sql::query(
            "INSERT INTO stray_evidence (inbound, original, reason, kind, signal, event_time, received, identifier, format,
                 issuer, raw) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(inbound.map(MessageRow::column))
        .bind(original)
        .bind(reason)
        .bind(new.row.kind.as_str())
        .bind(new.row.signal.as_str())
        .bind(micros(new.row.event_time))
        .bind(micros(new.row.received))
        .bind(&new.row.identifier)
        .bind(&new.format)
        .bind(new.issuer.map(|i| i.to_vec()))
        .bind(&new.raw)
        .execute(&mut work.conn)
        .await?;
    }
    Ok(())
}

fn optional_hex<S: serde::Serializer>(value: &Option<[u8; 32]>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(octets) => to.serialize_str(&hex::encode(octets)),
        None => to.serialize_none(),
    }
}

/// Times as a reader sees them.
pub(super) fn shown_time(row: &sql::Row, column: &str) -> Result<Option<Timestamp>, Error> {
    optional_time(row.get(column)?)
}

/// A record column read back.
pub(super) fn shown_record(row: &sql::Row) -> Result<Record, Error> {
    from_json("record", row.get("record")?)
}
