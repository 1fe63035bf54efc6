//! What happened, in order, for backends that listen; what an operator should look at; who was turned away.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::evidence::shown_time;
use super::ids::{self, from_json, micros, time};
use super::sql::{self, Turn};
use super::writer::Work;
use super::{Error, RecipientId, Store};
use crate::clock::Timestamp;
use crate::status::{Alarm, Record};

/// How many rejected messages are remembered (model 1).
const RING: i64 = 10_000;

/// A notice, unless the same one about the same subject stands.
const NOTICE_ONCE: &str = "INSERT INTO notice (at, kind, subject, text) SELECT ?1, ?2, ?3, ?4
     WHERE NOT EXISTS (SELECT 1 FROM notice WHERE kind = ?2 AND subject = ?3 AND cleared IS NULL)";

/// One event. Sequences rise and are never used twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Place in the log; ask for what comes after it.
    pub sequence: i64,
    /// When it was written.
    pub at: Timestamp,
    /// `submitted`, `status`, `delivery`, `delivery-settled`, `notice`.
    pub kind: String,
    /// The channel (outbound) or backend (inbound) it concerns; `None` concerns all.
    pub channel: Option<String>,
    /// Ids and values, by kind.
    pub data: Value,
}

/// One notice for the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeRow {
    /// Its number.
    pub id: i64,
    /// When it was raised.
    pub at: Timestamp,
    /// What kind of thing happened, in one word.
    pub kind: String,
    /// The recipient, message or delivery concerned.
    pub subject: String,
    /// In plain words, without personal data.
    pub text: String,
    /// When an operator cleared it.
    pub cleared: Option<Timestamp>,
}

/// A message that was turned away before any payload octet was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// From/PartyId as read, if it could be.
    pub from_party: Option<String>,
    /// MessageId as read, if it could be.
    pub message_id: Option<String>,
    /// EBMS code.
    pub code: String,
    /// Why, for the operator.
    pub detail: String,
    /// Source address.
    pub source: String,
}

/// A rejected message as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRow {
    /// When.
    pub at: Timestamp,
    /// What.
    pub rejected: Rejected,
}

impl Store {
    /// Events after `after`, oldest first; with a `channel`, only those that concern it. And the last sequence that was looked at, which may be
    /// that of another channel's.
    ///
    /// # Errors
    /// The database's.
    pub async fn events_after(
        &self,
        after: i64,
        channel: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<Event>, i64), Error> {
        // Numbers are given in the order of commits: up to here nothing more will come.
        let upto = self.last_event().await?.max(after);
        let rows = sql::query(
            "SELECT * FROM event WHERE sequence > ?1 AND sequence <= ?4 AND (?2 IS NULL OR channel IS NULL OR channel = ?2)
             ORDER BY sequence LIMIT ?3",
        )
        .bind(after)
        .bind(channel)
        .bind(limit)
        .bind(upto)
        .fetch_all(&mut self.read())
        .await?;
        let found = rows.iter().map(event).collect::<Result<Vec<_>, _>>()?;
        let last = found.last().filter(|_| found.len() == limit as usize).map_or(upto, |last| last.sequence);
        Ok((found, last))
    }

    /// The sequence of the latest event; 0 when there is none.
    ///
    /// # Errors
    /// The database's.
    pub async fn last_event(&self) -> Result<i64, Error> {
        sql::query_scalar("SELECT coalesce(max(sequence), 0) FROM event").fetch_one(&mut self.read()).await
    }

    /// Raises a notice for the operator.
    ///
    /// # Errors
    /// The database's.
    pub async fn raise(&self, kind: &str, subject: &str, text: &str) -> Result<(), Error> {
        let (kind, subject, text, now) =
            (kind.to_owned(), subject.to_owned(), text.to_owned(), self.clock().now());
        self.write(move |work| Box::pin(async move { notice(work, now, &kind, &subject, &text).await })).await
    }

    /// Raises a notice, unless the same one about the same subject still stands.
    ///
    /// # Errors
    /// The database's.
    pub async fn raise_once(&self, kind: &str, subject: &str, text: &str) -> Result<(), Error> {
        let stands: Option<i64> = sql::query_scalar(
            "SELECT 1 FROM notice WHERE kind = ? AND subject = ? AND cleared IS NULL LIMIT 1",
        )
        .bind(kind)
        .bind(subject)
        .fetch_optional(&mut self.read())
        .await?;
        match stands {
            Some(_) => Ok(()),
            None => self.raise_if_none_stands(kind, subject, text).await,
        }
    }

    async fn raise_if_none_stands(&self, kind: &str, subject: &str, text: &str) -> Result<(), Error> {
        let (kind, subject, text, now) =
            (kind.to_owned(), subject.to_owned(), text.to_owned(), self.clock().now());
        self.write(move |work| {
            Box::pin(async move {
                // Others may raise it at the same moment: here, or at another node.
                work.conn.take_turn(Turn::Notices).await?;
                sql::query(NOTICE_ONCE)
                    .bind(micros(now))
                    .bind(kind)
                    .bind(subject)
                    .bind(text)
                    .execute(&mut work.conn)
                    .await
                    .map(drop)
            })
        })
        .await
    }

    /// Notices, newest first; those that were cleared only when asked for.
    ///
    /// # Errors
    /// The database's.
    pub async fn notices(&self, with_cleared: bool, limit: u32) -> Result<Vec<NoticeRow>, Error> {
        let rows = sql::query("SELECT * FROM notice WHERE ? = 1 OR cleared IS NULL ORDER BY id DESC LIMIT ?")
            .bind(with_cleared)
            .bind(limit)
            .fetch_all(&mut self.read())
            .await?;
        rows.iter().map(notice_row).collect()
    }

    /// Marks a notice as seen to.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it does not exist.
    pub async fn clear_notice(&self, id: i64) -> Result<(), Error> {
        let now = self.clock().now();
        self.write(move |work| {
            Box::pin(async move {
                let done = sql::query("UPDATE notice SET cleared = coalesce(cleared, ?) WHERE id = ?")
                    .bind(micros(now))
                    .bind(id)
                    .execute(&mut work.conn)
                    .await?;
                if done == 0 { Err(Error::missing("notice", id)) } else { Ok(()) }
            })
        })
        .await
    }

    /// Remembers a message that was turned away, in a ring of 10,000.
    ///
    /// # Errors
    /// The database's.
    pub async fn reject(&self, rejected: Rejected) -> Result<(), Error> {
        let now = self.clock().now();
        self.write(move |work| {
            Box::pin(async move {
                let id: i64 = sql::query_scalar(
                    "INSERT INTO rejected (at, from_party, message_id, code, detail, source) VALUES (?, ?, ?, ?, ?, ?)
                     RETURNING id",
                )
                .bind(micros(now))
                .bind(rejected.from_party)
                .bind(rejected.message_id)
                .bind(rejected.code)
                .bind(rejected.detail)
                .bind(rejected.source)
                .fetch_one(&mut work.conn)
                .await?;
                sql::query("DELETE FROM rejected WHERE id <= ?")
                    .bind(id - RING)
                    .execute(&mut work.conn)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Messages turned away, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn rejected(&self, limit: u32) -> Result<Vec<RejectedRow>, Error> {
        let rows = sql::query("SELECT * FROM rejected ORDER BY id DESC LIMIT ?")
            .bind(limit)
            .fetch_all(&mut self.read())
            .await?;
        rows.iter().map(rejected_row).collect()
    }
}

fn event(row: &sql::Row) -> Result<Event, Error> {
    Ok(Event {
        sequence: row.get("sequence")?,
        at: time(row.get("at")?)?,
        kind: row.get("kind")?,
        channel: row.get("channel")?,
        data: from_json("event", row.get("data")?)?,
    })
}

fn notice_row(row: &sql::Row) -> Result<NoticeRow, Error> {
    Ok(NoticeRow {
        id: row.get("id")?,
        at: time(row.get("at")?)?,
        kind: row.get("kind")?,
        subject: row.get("subject")?,
        text: row.get("text")?,
        cleared: shown_time(row, "cleared")?,
    })
}

fn rejected_row(row: &sql::Row) -> Result<RejectedRow, Error> {
    Ok(RejectedRow {
        at: time(row.get("at")?)?,
        rejected: Rejected {
            from_party: row.get("from_party")?,
            message_id: row.get("message_id")?,
            code: row.get("code")?,
            detail: row.get("detail")?,
            source: row.get("source")?,
        },
    })
}

/// An event that its command will write when everything else is done.
pub(super) struct PendingEvent {
    at: Timestamp,
    kind: &'static str,
    channel: Option<String>,
    data: Value,
}

pub(super) fn write(work: &mut Work, at: Timestamp, kind: &'static str, channel: Option<&str>, data: Value) {
    work.events.push(PendingEvent { at, kind, channel: channel.map(str::to_owned), data });
}

/// Writes the events of a command, last of all: whoever asks for what comes after a sequence must not miss a lower one that
/// another node commits later, so on PostgreSQL only one transaction at a time numbers events, and none waits for anything
/// else while it does.
pub(super) async fn flush(work: &mut Work) -> Result<(), Error> {
    let pending = std::mem::take(&mut work.events);
    if pending.is_empty() {
        return Ok(());
    }
    work.conn.take_turn(Turn::Events).await?;
    for event in pending {
        sql::query("INSERT INTO event (at, kind, channel, data) VALUES (?, ?, ?, ?)")
            .bind(micros(event.at))
            .bind(event.kind)
            .bind(event.channel)
            .bind(ids::json(&event.data)?)
            .execute(&mut work.conn)
            .await?;
    }
    work.wake.events = true;
    Ok(())
}

pub(super) async fn notice(
    work: &mut Work,
    now: Timestamp,
    kind: &str,
    subject: &str,
    text: &str,
) -> Result<(), Error> {
    sql::query("INSERT INTO notice (at, kind, subject, text) VALUES (?, ?, ?, ?)")
        .bind(micros(now))
        .bind(kind)
        .bind(subject)
        .bind(text)
        .execute(&mut work.conn)
        .await?;
    Ok(())
}

/// Tells of a status that changed, and why in the words of the row that changed it, and of alarms and notices that are new.
pub(super) async fn announce_status(
    work: &mut Work,
    recipient: RecipientId,
    (before, after, why): (Option<&Record>, &Record, Option<&str>),
    now: Timestamp,
) -> Result<(), Error> {
    if before.is_none_or(|old| visible(old) != visible(after)) {
        let (submission, channel, client_id, position) = sql::query_as::<(String, String, String, i64)>(
            "SELECT submission.id, channel, client_id, position FROM recipient
             JOIN submission ON submission.id = submission WHERE recipient.id = ?",
        )
        .bind(recipient.column())
        .fetch_one(&mut work.conn)
        .await?;
        let data = json!({
            "submission": submission, "client_id": client_id, "recipient": recipient, "index": position,
            "state": after.state, "send": after.send, "delivery": after.delivery,
            "send_lv": after.send.latvian(), "delivery_lv": after.delivery.latvian(),
            "sent_at": after.sent_at, "delivered_at": after.delivered_at, "provisional": after.provisional,
            "detail": why,
        });
        write(work, now, "status", Some(&channel), data);
    }
    let known: BTreeSet<Alarm> = before.map(|r| r.alarms.clone()).unwrap_or_default();
    for alarm in after.alarms.difference(&known) {
        notice(work, now, "alarm", &recipient.to_string(), &ids::json(alarm)?).await?;
    }
    let known = before.map(|r| r.notices.clone()).unwrap_or_default();
    for new in after.notices.difference(&known) {
        notice(work, now, "status", &recipient.to_string(), &ids::json(new)?).await?;
    }
    Ok(())
}

fn visible(record: &Record) -> impl PartialEq {
    (record.state, record.send, record.delivery, record.sent_at, record.delivered_at, record.provisional)
}
