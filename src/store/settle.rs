//! What became of an attempt, a lookup, a message: outcome, evidence and next step in one transaction.

use serde_json::Value;

use super::ids::{json, micros};
use super::sql::{self, Dialect, Sql};
use super::writer::Work;
use super::{AttemptId, Error, Lease, MessageRow, NewEvidence, RecipientId, Store, events, evidence};
use crate::clock::Timestamp;
use crate::status::{Record, Row, Signal};

/// What is known of an attempt (model 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Nothing was sent completely, or an error signal refused it.
    Definite,
    /// The request may have been read and no valid signal came.
    Uncertain,
    /// A receipt was verified.
    Receipted,
}
crate::status::words!(Outcome, "attempt outcome", {
    Definite => "definite",
    Uncertain => "uncertain",
    Receipted => "receipted",
});

/// What happens to the message next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Send again, not before this time.
    RetryAt(Timestamp),
    /// The receipt is there; evidence will follow.
    AwaitEvidence,
    /// Nothing more will come.
    Done,
    /// Given up; the other side does not have it.
    Failed,
    /// Given up; the other side may have it.
    Uncertain,
}

impl Next {
    const fn state(self) -> &'static str {
        match self {
            Self::RetryAt(_) => "queued",
            Self::AwaitEvidence => "awaiting-evidence",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Uncertain => "uncertain",
        }
    }

    const fn again(self) -> bool {
        matches!(self, Self::RetryAt(_))
    }
}

/// The end of an attempt.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// When it ended.
    pub ended: Timestamp,
    /// What is known.
    pub outcome: Outcome,
    /// Why, for the operator; no personal data.
    pub detail: String,
    /// The signal as received.
    pub signal: Option<Vec<u8>>,
    /// Rows for the recipient's chain; must be empty for a message without a recipient.
    pub evidence: Vec<NewEvidence>,
    /// What happens next.
    pub next: Next,
}

impl Store {
    /// Settles an attempt. A late settlement of an attempt that was taken for uncertain after a crash is welcome: a receipt
    /// is a receipt. Anything less says nothing of a message that this node does not have leased any more, or has leased anew
    /// since: `None`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown attempt.
    pub async fn settle(
        &self,
        attempt: AttemptId,
        mut settlement: Settlement,
    ) -> Result<Option<Record>, Error> {
        let again = settlement.next.again();
        let (now, node) = (self.clock().now(), std::sync::Arc::clone(self.node()));
        let settled = self.write(move |work| {
            Box::pin(async move {
                let Tried { message, recipient, over } = tried(work, attempt, &node).await?;
                if settlement.outcome != Outcome::Receipted && over {
                    end_attempt(work, attempt, &settlement, &[]).await?;
                    return Ok((message, None));
                }
                let moved = Moved {
                    message,
                    recipient,
                    next: settlement.next,
                    detail: settlement.detail.clone(),
                    evidence: std::mem::take(&mut settlement.evidence),
                    now,
                };
                let moved = moved.weighed(work, Some(attempt)).await?;
                end_attempt(work, attempt, &settlement, &moved.evidence).await?;
                Ok((message, moved.carry_out(work).await?))
            })
        });
        let (message, record) = settled.await?;
        self.attempt_ended(message, attempt, again);
        Ok(record)
    }

    /// Settles a message whose endpoint could not be found, or that could not be packaged: no attempt was made. `None` also where
    /// it is not leased so any more: then nothing is changed.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown message.
    pub async fn lookup_failed(
        &self,
        lease: Lease,
        (lookup, detail): (Value, String),
        next: Next,
        evidence: Vec<NewEvidence>,
    ) -> Result<Option<Record>, Error> {
        if !self.may_stand(&lease) {
            return Ok(None);
        }
        let (now, node) = (self.clock().now(), std::sync::Arc::clone(self.node()));
        let settled = self.write(move |work| {
            Box::pin(async move {
                let message = lease.message;
                let recipient = recipient_of(work, message).await?;
                if !holds(work, lease, &node).await? {
                    return Ok(None);
                }
                let lookup = json(&lookup)?;
                sql::query(
                    "INSERT INTO plan (message, lookup) VALUES (?, ?)
                         ON CONFLICT (message) DO UPDATE SET lookup = excluded.lookup",
                )
                .bind(message.column())
                .bind(lookup)
                .execute(&mut work.conn)
                .await?;
                let moved = Moved { message, recipient, next, detail, evidence, now };
                moved.weighed(work, None).await?.carry_out(work).await
            })
        });
        let record = settled.await?;
        self.lease_ended(&lease, next.again());
        Ok(record)
    }

    /// An operator's order to try again: the last message of the recipient becomes due now, with a row that says who and
    /// why. Earlier verdicts of ours are void from here on. A message that is under way is what was asked for.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the other side has the message already.
    pub async fn retry(&self, recipient: RecipientId, who: &str, why: &str) -> Result<Record, Error> {
        let now = self.clock().now();
        let row = Row::operator(
            Signal::Retried,
            now,
            format!("retry-{}", crate::id::row_id()),
            format!("{who}: {why}"),
        );
        let queued = self.write(move |work| {
            Box::pin(async move {
                evidence::lock(work, recipient).await?;
                let message = requeue(work, recipient, now).await?;
                let record = evidence::append(work, recipient, &[NewEvidence::statement(row)], now).await?;
                Ok((message, record))
            })
        });
        let (message, record) = queued.await?;
        self.made_due(message);
        Ok(record)
    }

    /// Whether an operator has ordered the recipient's message to be sent again and nothing was tried since.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_ordered(&self, recipient: RecipientId) -> Result<bool, Error> {
        let ordered: Option<i64> = sql::query_scalar(
            "SELECT 1 FROM evidence AS last WHERE recipient = ?1 AND signal = 'retried'
                 AND sequence = (SELECT max(sequence) FROM evidence WHERE recipient = ?1)
                 AND NOT EXISTS (SELECT 1 FROM attempt JOIN message ON message.id = attempt.message
                     WHERE message.recipient = ?1 AND attempt.started > last.received)",
        )
        .bind(recipient.column())
        .fetch_optional(&mut self.read())
        .await?;
        Ok(ordered.is_some())
    }

    /// An operator's order to stop: what has not been sent is not sent, with a row that says who and why. Where an attempt may have been read
    /// by the other side it is sent no more, and uncertain, if the operator accepts that.
    ///
    /// # Errors
    /// [`Error::Conflict`] when nothing is queued, an attempt runs, or one may have been read and that is not accepted.
    pub async fn cancel(
        &self,
        recipient: RecipientId,
        (who, why): (&str, &str),
        uncertain: bool,
    ) -> Result<Record, Error> {
        let now = self.clock().now();
        let detail = format!("cancelled by {who}: {why}");
        if self.is_leased_here(recipient).await? {
            return Err(under_way(recipient));
        }
        self.write(move |work| {
            Box::pin(async move {
                evidence::lock(work, recipient).await?;
                let signal = stop(work, recipient, (&detail, uncertain), now).await?;
                let row = Row::operator(signal, now, format!("cancel-{}", crate::id::row_id()), detail);
                evidence::append(work, recipient, &[NewEvidence::statement(row)], now).await
            })
        })
        .await
    }

    /// Recipients whose deadline passed without a final word and without a row of ours that says so.
    ///
    /// # Errors
    /// The database's.
    pub async fn overdue_recipients(&self, now: Timestamp, limit: u32) -> Result<Vec<RecipientId>, Error> {
        let ids: Vec<String> =
            sql::query_scalar(OVERDUE).bind(micros(now)).bind(limit).fetch_all(&mut self.read()).await?;
        ids.iter().map(|id| RecipientId::read(id)).collect()
    }

    /// Recipients of whom there should be evidence by now, and is a receipt alone, without a row of ours that says so.
    ///
    /// # Errors
    /// The database's.
    pub async fn unevidenced_recipients(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<RecipientId>, Error> {
        let ids: Vec<String> =
            sql::query_scalar(UNEVIDENCED).bind(micros(now)).bind(limit).fetch_all(&mut self.read()).await?;
        ids.iter().map(|id| RecipientId::read(id)).collect()
    }
}

pub(super) const UNEVIDENCED: &str = "SELECT id FROM recipient WHERE evidence_due IS NOT NULL AND evidence_due <= ? ORDER BY evidence_due LIMIT ?";
pub(super) const OVERDUE: &str = "SELECT id FROM recipient WHERE deadline IS NOT NULL AND deadline <= ? AND state IN ('at-remote-gateway', 'available')
     AND NOT EXISTS (SELECT 1 FROM evidence WHERE recipient = recipient.id AND kind = 'local'
     AND signal = 'expired') LIMIT ?";

const TO_BE_STOPPED: Sql =
    sql::locking!("SELECT id FROM message WHERE recipient = ? AND state = 'queued' ORDER BY id");

/// What is not under way and was tried without being read, or may have been.
macro_rules! not_under_way {
    ($but:literal) => {
        concat!(
            " WHERE recipient = ?1 AND state = 'queued' AND (lease_until IS NULL OR lease_until < ?2)
             AND NOT EXISTS (SELECT 1 FROM attempt WHERE message = message.id AND (outcome IS NULL",
            $but,
            "))"
        )
    };
}
const STOP: &str = concat!(
    "UPDATE message SET state = 'failed', due = NULL, lease_until = NULL, detail = ?3",
    not_under_way!(" OR outcome <> 'definite'")
);
const LEAVE_UNCERTAIN: &str = concat!(
    "UPDATE message SET state = 'uncertain', due = NULL, lease_until = NULL, detail = ?3",
    not_under_way!("")
);
const MAY_HAVE_BEEN_READ: &str = concat!("SELECT 1 FROM message", not_under_way!(""), " LIMIT 1");

/// What becomes of the message by that.
async fn stop(
    work: &mut Work,
    recipient: RecipientId,
    (detail, uncertain): (&str, bool),
    now: Timestamp,
) -> Result<Signal, Error> {
    if work.conn.dialect() == Dialect::Postgres {
        // An attempt that is being begun would not be seen.
        sql::query(TO_BE_STOPPED.postgres).bind(recipient.column()).fetch_all(&mut work.conn).await?;
    }
    for (statement, signal) in [(STOP, Signal::SendFailed), (LEAVE_UNCERTAIN, Signal::Uncertain)] {
        if signal == Signal::Uncertain && !uncertain {
            continue;
        }
        let stopped = sql::query(statement).bind(recipient.column()).bind(micros(now)).bind(detail);
        if stopped.execute(&mut work.conn).await? > 0 {
            return Ok(signal);
        }
    }
    Err(not_to_be_stopped(work, recipient, now).await?)
}

/// Why, and what can be done.
async fn not_to_be_stopped(work: &mut Work, recipient: RecipientId, now: Timestamp) -> Result<Error, Error> {
    let read = sql::query_scalar::<i64>(MAY_HAVE_BEEN_READ).bind(recipient.column()).bind(micros(now));
    if read.fetch_optional(&mut work.conn).await?.is_some() {
        let problem = "may have been read by the other side: with \"uncertain\": true it is sent no more, and stays uncertain until you \
            close it";
        return Ok(Error::conflict("recipient", recipient, problem));
    }
    let queued = sql::query_scalar::<String>(TO_BE_STOPPED.on(&work.conn)).bind(recipient.column());
    Ok(match queued.fetch_all(&mut work.conn).await?.is_empty() {
        true => Error::conflict("recipient", recipient, "has nothing that can still be stopped; use close"),
        false => under_way(recipient),
    })
}

fn under_way(recipient: RecipientId) -> Error {
    Error::conflict(
        "recipient",
        recipient,
        "is being sent at this moment; ask again when the attempt has ended",
    )
}

/// What an attempt was made for.
struct Tried {
    message: MessageRow,
    /// Locked; `None` for evidence.
    recipient: Option<RecipientId>,
    /// It has ended before: whoever leased the message anew took it for lost, or evidence has come. Or another node has the message.
    over: bool,
}

/// Locks in the order in which everybody does: recipient, message, attempt.
async fn tried(work: &mut Work, attempt: AttemptId, node: &str) -> Result<Tried, Error> {
    let found = sql::query_as::<(String, Option<String>, Option<i64>)>(
        "SELECT message.id, recipient, ended FROM attempt JOIN message ON message.id = attempt.message WHERE attempt.id = ?",
    )
    .bind(attempt.0)
    .fetch_optional(&mut work.conn)
    .await?;
    let (message, recipient, ended) = found.ok_or_else(|| Error::missing("attempt", attempt.0))?;
    let (message, recipient) = (MessageRow::read(&message)?, locked(work, recipient).await?);
    let over = match work.conn.dialect() {
        Dialect::Sqlite => ended.is_some(),
        Dialect::Postgres => {
            let leased = leased_until(work, message, node).await?.is_some();
            let ended: Option<i64> = sql::query_scalar("SELECT ended FROM attempt WHERE id = ?")
                .bind(attempt.0)
                .fetch_one(&mut work.conn)
                .await?;
            !leased || ended.is_some()
        }
    };
    Ok(Tried { message, recipient, over })
}

/// The recipient of an outbound message, locked; `None` for evidence.
async fn recipient_of(work: &mut Work, message: MessageRow) -> Result<Option<RecipientId>, Error> {
    let recipient: Option<Option<String>> =
        sql::query_scalar("SELECT recipient FROM message WHERE id = ? AND direction = 'out'")
            .bind(message.column())
            .fetch_optional(&mut work.conn)
            .await?;
    locked(work, recipient.ok_or_else(|| Error::missing("outbound message", message))?).await
}

async fn locked(work: &mut Work, recipient: Option<String>) -> Result<Option<RecipientId>, Error> {
    let Some(recipient) = recipient else { return Ok(None) };
    let recipient = RecipientId::read(&recipient)?;
    evidence::lock(work, recipient).await?;
    Ok(Some(recipient))
}

const LEASED_UNTIL: Sql =
    sql::locking!("SELECT CASE WHEN lease_by = ? THEN lease_until END FROM message WHERE id = ?");

/// Until when `node` has the message leased, whose row is locked by this; nothing where it has not.
async fn leased_until(work: &mut Work, message: MessageRow, node: &str) -> Result<Option<i64>, Error> {
    let until: Option<Option<i64>> = sql::query_scalar(LEASED_UNTIL.postgres)
        .bind(node)
        .bind(message.column())
        .fetch_optional(&mut work.conn)
        .await?;
    Ok(until.flatten())
}

/// Whether the lease still stands, where nodes share a database: what is said otherwise, short of a receipt, may be stale, for another
/// task or node may be sending the message by now or have sent it. On SQLite the process knows ([`Store::may_stand`]).
pub(super) async fn holds(work: &mut Work, lease: Lease, node: &str) -> Result<bool, Error> {
    if work.conn.dialect() == Dialect::Sqlite {
        return Ok(true);
    }
    let until = leased_until(work, lease.message, node).await?;
    Ok(until.is_some() && until == lease.until.map(micros))
}

/// `chain` is what of it goes to the recipient's chain.
async fn end_attempt(
    work: &mut Work,
    attempt: AttemptId,
    end: &Settlement,
    chain: &[NewEvidence],
) -> Result<(), Error> {
    // What the recipient's chain holds is not kept twice.
    let elsewhere = |signal: &&Vec<u8>| !chain.iter().any(|evidence| evidence.raw == **signal);
    sql::query("UPDATE attempt SET ended = ?, outcome = ?, detail = ?, signal = ? WHERE id = ?")
        .bind(micros(end.ended))
        .bind(end.outcome.as_str())
        .bind(&end.detail)
        .bind(end.signal.as_ref().filter(elsewhere))
        .bind(attempt.0)
        .execute(&mut work.conn)
        .await?;
    Ok(())
}

/// A message on its way to its next state.
struct Moved {
    message: MessageRow,
    recipient: Option<RecipientId>,
    next: Next,
    detail: String,
    evidence: Vec<NewEvidence>,
    now: Timestamp,
}

impl Moved {
    /// Whoever gives the message up knows of the attempts that there were when it was leased. Another may have been made since, besides
    /// the one that ends with this.
    async fn weighed(mut self, work: &mut Work, ends: Option<AttemptId>) -> Result<Self, Error> {
        if self.next != Next::Failed {
            return Ok(self);
        }
        let attempt: Option<i64> = sql::query_scalar(
            "SELECT 1 FROM attempt WHERE message = ? AND id <> ? AND (outcome IS NULL OR outcome = 'uncertain') LIMIT 1",
        )
        .bind(self.message.column())
        .bind(ends.map_or(0, |attempt| attempt.0))
        .fetch_optional(&mut work.conn)
        .await?;
        if attempt.is_some() {
            self.doubt();
        }
        Ok(self)
    }

    async fn carry_out(self, work: &mut Work) -> Result<Option<Record>, Error> {
        if let Some(message_id) = self.move_message(work).await? {
            self.tell(work, &message_id).await?;
        }
        // Elsewhere the message may be leased again only when this is committed.
        work.wake.outbound |= self.next.again() && work.conn.dialect() == Dialect::Postgres;
        match self.recipient {
            Some(recipient) if !self.evidence.is_empty() => {
                evidence::append(work, recipient, &self.evidence, self.now).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Nobody knows that the other side has nothing.
    fn doubt(&mut self) {
        self.next = Next::Uncertain;
        let row = Row::local(Signal::Uncertain, self.now, format!("uncertain-{}", crate::id::row_id()));
        if !self.evidence.is_empty() {
            self.evidence = vec![NewEvidence::statement(row.because(self.detail.clone()))];
        }
    }

    /// A message that was closed meanwhile is not queued again; a receipt moves it all the same. The MessageId of one that has moved.
    async fn move_message(&self, work: &mut Work) -> Result<Option<String>, Error> {
        let due = match self.next {
            Next::RetryAt(at) => Some(micros(at)),
            _ => None,
        };
        let receipted = matches!(self.next, Next::AwaitEvidence | Next::Done);
        sql::query_scalar(
            "UPDATE message SET state = ?1, detail = ?2, due = coalesce(?3, due), lease_until = NULL
             WHERE id = ?4 AND (state = 'queued' OR (?5 = 1 AND state IN ('failed', 'uncertain'))) RETURNING message_id",
        )
        .bind(self.next.state())
        .bind(&self.detail)
        .bind(due)
        .bind(self.message.column())
        .bind(receipted)
        .fetch_optional(&mut work.conn)
        .await
    }

    /// Sending has ended without a receipt: the operator hears of it, the producer by its status and events. Evidence of ours that does
    /// not arrive leaves the other side in the dark.
    async fn tell(&self, work: &mut Work, message_id: &str) -> Result<(), Error> {
        let kind = match self.next {
            Next::Failed => "send-failed",
            Next::Uncertain => "uncertain",
            Next::RetryAt(_) | Next::AwaitEvidence | Next::Done => return Ok(()),
        };
        let told = match self.recipient {
            Some(recipient) => format!("{} (recipient {recipient})", self.detail),
            None => self.detail.clone(),
        };
        events::notice(work, self.now, kind, message_id, &told).await?;
        if self.recipient.is_some() {
            return Ok(());
        }
        let text = format!("evidence could not be sent: {}", self.detail);
        events::notice(work, self.now, "evidence-not-sent", &self.message.to_string(), &text).await
    }
}

/// What an operator orders to be sent again is due at ?1. After its deadline it has as long again as it had at first; a day where its
/// agreement alone said how long, and the time that is left where it waits under that. A lease that stands is left: what is under way is
/// what was asked for.
macro_rules! send_again {
    () => {
        "UPDATE message SET state = 'queued', due = ?1, lease_until = CASE state WHEN 'queued' THEN lease_until END,
             send_window = coalesce(send_window, deadline - created),
             deadline = CASE WHEN deadline > ?1 OR (deadline IS NULL AND state = 'queued') THEN deadline
                 ELSE ?1 + coalesce(send_window, deadline - created, 86400000000) END"
    };
}
pub(super) use send_again;

async fn requeue(work: &mut Work, recipient: RecipientId, now: Timestamp) -> Result<MessageRow, Error> {
    let queued: Option<String> = sql::query_scalar(concat!(
        send_again!(),
        " WHERE id = (SELECT id FROM message WHERE recipient = ?2 AND direction = 'out' AND state <> 'superseded'
             ORDER BY id DESC LIMIT 1) AND state IN ('queued', 'failed', 'uncertain') RETURNING id"
    ))
    .bind(micros(now))
    .bind(recipient.column())
    .fetch_optional(&mut work.conn)
    .await?;
    let queued = queued
        .ok_or_else(|| Error::conflict("recipient", recipient, "has no message that can be sent again"))?;
    work.wake.outbound = true;
    MessageRow::read(&queued)
}
