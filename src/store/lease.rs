//! Which messages are being sent, so that nobody else sends them.
//!
//! Where several nodes share a PostgreSQL database a lease is written into the row of the message. A SQLite database has one
//! process: there a lease is known to that process alone and costs no commit, and a process that starts finds none.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ids::{micros, optional_time};
use super::outbound::{OutMessage, out_message, uncertain_attempts, with_plan};
use super::sql::{self, Conn, Row};
use super::unreadable::Unreadable;
use super::writer::{Announce, Work};
use super::{AttemptId, Error, MessageRow, RecipientId, Store};
use crate::clock::Timestamp;

/// The leases of one process.
#[derive(Debug, Default)]
pub(super) struct Leases {
    held: Mutex<HashMap<MessageRow, Held>>,
    /// Messages that were due behind those leased at the last look, oldest due first. A hint: the row decides.
    next: Mutex<VecDeque<MessageRow>>,
}

/// A message as one task has leased it. What is said of the message under a lease that has ended since is stale: whoever leased it anew
/// may be sending it, or have sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    pub(super) message: MessageRow,
    /// When it runs out; nothing for a message that was only looked at.
    pub(super) until: Option<Timestamp>,
}

impl Lease {
    /// The message.
    pub fn message(&self) -> MessageRow {
        self.message
    }

    pub(super) fn outdated(&self) -> Error {
        Error::conflict(
            "message",
            self.message,
            "is not leased any more, or somebody else has leased it since",
        )
    }
}

/// A lease of this process.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// When it runs out.
    until: Timestamp,
    /// The attempt that was begun under it.
    attempt: Option<AttemptId>,
    /// Somebody wants the message to be sent again when it ends.
    again: bool,
}

impl Held {
    fn is(&self, lease: &Lease) -> bool {
        Some(self.until) == lease.until
    }
}

impl Leases {
    fn lock(&self) -> MutexGuard<'_, HashMap<MessageRow, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is leased at `now`; what ran out is not, from now on.
    fn at(&self, now: Timestamp) -> HashSet<MessageRow> {
        let mut held = self.lock();
        held.retain(|_, lease| lease.until > now);
        held.keys().copied().collect()
    }

    /// False when it is leased already, and that lease has not run out.
    fn take(&self, message: MessageRow, now: Timestamp, until: Timestamp) -> bool {
        let new = Held { until, attempt: None, again: false };
        match self.lock().entry(message) {
            Entry::Occupied(mut held) if held.get().until <= now => {
                held.insert(new);
                true
            }
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(new);
                true
            }
        }
    }

    fn next(&self) -> MutexGuard<'_, VecDeque<MessageRow>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stands(&self, lease: &Lease) -> bool {
        self.lock().get(&lease.message).is_some_and(|held| held.is(lease))
    }

    fn begun(&self, lease: &Lease, attempt: AttemptId) {
        let mut held = self.lock();
        let held = held.get_mut(&lease.message).filter(|held| held.is(lease));
        held.into_iter().for_each(|held| held.attempt = Some(attempt));
    }

    /// Ends the lease if it is the one meant: another task may have leased the message since. Whether somebody wants the message to be sent
    /// again.
    fn end(&self, message: MessageRow, meant: impl FnOnce(&Held) -> bool) -> bool {
        match self.lock().entry(message) {
            Entry::Occupied(held) if meant(held.get()) => held.remove().again,
            _ => false,
        }
    }

    /// False when the message is not leased.
    fn send_again(&self, message: MessageRow) -> bool {
        self.lock().get_mut(&message).map(|lease| lease.again = true).is_some()
    }

    fn earliest_end(&self) -> Option<Timestamp> {
        self.lock().values().map(|lease| lease.until).min()
    }
}

impl Store {
    /// Leases up to `limit` messages that are due at `now`, oldest due first, until `lease_until`. A lease that ran out comes
    /// back, and an attempt of it that was begun and never settled counts as uncertain.
    ///
    /// # Errors
    /// The database's.
    pub async fn lease_due(
        &self,
        now: Timestamp,
        limit: u32,
        lease_until: Timestamp,
    ) -> Result<Vec<OutMessage>, Error> {
        if let Some(leases) = self.leases() {
            return self.lease_here(leases, now, limit, lease_until).await;
        }
        let leasing = |unheard| {
            let node = std::sync::Arc::clone(self.node());
            self.write(move |work| {
                Box::pin(async move {
                    for until in unheard {
                        let end = sql::query(END).bind(&*node).bind(micros(until));
                        end.execute(&mut work.conn).await?;
                    }
                    lease(work, now, limit, (lease_until, &node)).await
                })
            })
        };
        let (leased, unreadable) = self.unheard().remembered(None, lease_until, leasing).await?;
        self.tell_of(unreadable).await;
        Ok(leased)
    }

    /// The earliest time at which a queued message is due or a lease runs out.
    ///
    /// # Errors
    /// The database's.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        let Some(leases) = self.leases() else { return earliest(&mut self.look(), NEXT_DUE).await };
        let held = leases.at(self.clock().now());
        let rows = sql::query_as::<(String, i64)>(FIRST_DUE)
            .bind(held.len() as i64 + 1)
            .fetch_all(&mut self.look())
            .await?;
        let mut next = None;
        for (id, due) in rows {
            if MessageRow::read(&id).is_ok_and(|id| !held.contains(&id)) {
                next = optional_time(Some(due))?;
                break;
            }
        }
        Ok(next.into_iter().chain(leases.earliest_end()).min())
    }

    async fn lease_here(
        &self,
        leases: &Leases,
        now: Timestamp,
        limit: u32,
        until: Timestamp,
    ) -> Result<Vec<OutMessage>, Error> {
        let mut leased = Vec::new();
        let mut found = self.find_due(leases, (now, until), limit as usize, &mut leased).await;
        if found.is_ok() {
            found = self.end_lost(&mut leased, now).await;
        }
        found.inspect_err(|_| leased.iter().for_each(|message| self.lease_ended(&message.lease(), false)))?;
        Ok(leased)
    }

    /// Leases what is due into `leased`: first what the last look has found, then what a new one finds.
    async fn find_due(
        &self,
        leases: &Leases,
        (now, until): (Timestamp, Timestamp),
        limit: usize,
        leased: &mut Vec<OutMessage>,
    ) -> Result<(), Error> {
        let mut looked = false;
        while leased.len() < limit {
            let next = leases.next().pop_front();
            match next {
                Some(id) if leases.take(id, now, until) => {
                    leased.extend(self.kept_if_due(id, (now, until)).await?);
                }
                Some(_) => {}
                None if looked => break,
                None => {
                    self.look_for_due(leases, now, limit).await?;
                    looked = true;
                }
            }
        }
        Ok(())
    }

    /// A message that was just leased, if it is due; else it is leased no longer: it was put off, cancelled or settled since it was seen,
    /// or the database fails. One that cannot be read stays leased, and is looked at again when the lease has run out.
    async fn kept_if_due(
        &self,
        id: MessageRow,
        (now, until): (Timestamp, Timestamp),
    ) -> Result<Option<OutMessage>, Error> {
        let mut unreadable = Unreadable::default();
        let read = unreadable.or(SENT, id, self.due(id, (now, until)).await);
        self.tell_of(unreadable).await;
        if !matches!(read, Ok(Some(Some(_)) | None)) {
            self.lease_ended(&Lease { message: id, until: Some(until) }, false);
        }
        read.map(Option::flatten)
    }

    /// Sees what is due, some more than there is a place for: to find what is not yet leased means to pass over all that is.
    async fn look_for_due(&self, leases: &Leases, now: Timestamp, limit: usize) -> Result<(), Error> {
        let held = leases.at(now);
        let due: Vec<String> = sql::query_scalar(DUE)
            .bind(micros(now))
            .bind((held.len() + limit + AHEAD) as i64)
            .fetch_all(&mut self.look())
            .await?;
        let (mut free, mut unreadable) = (VecDeque::new(), Unreadable::default());
        for id in &due {
            free.extend(unreadable.or(SENT, id, MessageRow::read(id))?.filter(|id| !held.contains(id)));
        }
        *leases.next() = free;
        self.tell_of(unreadable).await;
        Ok(())
    }

    /// A message that this process has leased, if it is due: what the row says from then on, nobody else changes by sending.
    async fn due(
        &self,
        id: MessageRow,
        (now, until): (Timestamp, Timestamp),
    ) -> Result<Option<OutMessage>, Error> {
        let mut moment = self.moment()?;
        let conn = moment.conn();
        match sql::query(IF_DUE).bind(id.column()).bind(micros(now)).fetch_optional(conn).await? {
            Some(row) => out_message(conn, &row, Some(until)).await.map(Some),
            None => Ok(None),
        }
    }

    /// An attempt that was begun and never settled counts as uncertain, now that nobody makes it.
    async fn end_lost(&self, leased: &mut [OutMessage], now: Timestamp) -> Result<(), Error> {
        for message in leased.iter_mut().filter(|message| message.attempts > 0) {
            let id = message.id;
            if self.open_attempt(id).await?.is_some() {
                self.write(move |work| Box::pin(async move { end_lost_attempts(work, id, now).await }))
                    .await?;
                message.uncertain_attempts = uncertain_attempts(&mut self.look(), &id.column()).await?;
            }
        }
        Ok(())
    }

    /// The attempt of a message that was begun last, if its end is not known.
    ///
    /// # Errors
    /// The database's.
    pub async fn open_attempt(&self, id: MessageRow) -> Result<Option<AttemptId>, Error> {
        let open: Option<i64> = sql::query_scalar(
            "SELECT id FROM attempt WHERE message = ? AND ended IS NULL ORDER BY number DESC LIMIT 1",
        )
        .bind(id.column())
        .fetch_optional(&mut self.look())
        .await?;
        Ok(open.map(AttemptId))
    }

    /// Whether a message of the recipient is leased, where the database does not know.
    pub(super) async fn is_leased_here(&self, recipient: RecipientId) -> Result<bool, Error> {
        let Some(leases) = self.leases() else { return Ok(false) };
        let held = leases.at(self.clock().now());
        let ids: Vec<String> =
            sql::query_scalar("SELECT id FROM message WHERE recipient = ? AND state = 'queued'")
                .bind(recipient.column())
                .fetch_all(&mut self.look())
                .await?;
        Ok(ids.iter().filter_map(|id| MessageRow::read(id).ok()).any(|id| held.contains(&id)))
    }

    /// False where this process knows that the lease has ended; where nodes share a database, its rows say so.
    pub(super) fn may_stand(&self, lease: &Lease) -> bool {
        self.leases().is_none_or(|leases| leases.stands(lease))
    }

    /// To be called after the commit of an attempt that was begun.
    pub(super) fn attempt_begun(&self, lease: &Lease, attempt: AttemptId) {
        self.leases().into_iter().for_each(|leases| leases.begun(lease, attempt));
    }

    /// To be called after the commit of what became of a message: only then may it be leased again, if it is still `queued`.
    pub(super) fn lease_ended(&self, lease: &Lease, queued: bool) {
        self.freed(lease.message, |held| held.is(lease), queued);
    }

    /// The same, of what became of an attempt: the lease ends under which it was begun.
    pub(super) fn attempt_ended(&self, message: MessageRow, attempt: AttemptId, queued: bool) {
        self.freed(message, |held| held.attempt == Some(attempt), queued);
    }

    fn freed(&self, message: MessageRow, meant: impl FnOnce(&Held) -> bool, queued: bool) {
        let Some(leases) = self.leases() else { return };
        let again = leases.end(message, meant);
        self.ring(&Announce { outbound: queued || again, ..Announce::default() });
    }

    /// To be called after the commit that made a message due. One that is under way is not sent by two at once: what it comes to decides.
    pub(super) fn made_due(&self, message: MessageRow) {
        let under_way = self.leases().is_some_and(|leases| leases.send_again(message));
        // Whoever was rung for by the commit may have found the lease that has ended since.
        self.ring(&Announce { outbound: !under_way, ..Announce::default() });
    }
}

/// What a message is called that cannot be read.
const SENT: &str = "a message that waits to be sent";
/// Messages that one look sees besides those that it leases.
const AHEAD: usize = 64;

pub(super) const DUE: &str = "SELECT id FROM message WHERE state = 'queued' AND direction = 'out' AND due <= ? ORDER BY due, id LIMIT ?";
pub(super) const IF_DUE: &str =
    concat!(with_plan!(), " WHERE id = ? AND state = 'queued' AND direction = 'out' AND due <= ?");
pub(super) const FIRST_DUE: &str = "SELECT id, due FROM message WHERE state = 'queued' AND direction = 'out' AND due IS NOT NULL ORDER BY due LIMIT ?";

const NEXT_DUE: [&str; 2] = [
    "SELECT due FROM message WHERE state = 'queued' AND direction = 'out' AND lease_until IS NULL ORDER BY due LIMIT 1",
    "SELECT lease_until FROM message WHERE lease_until IS NOT NULL AND state = 'queued' ORDER BY lease_until LIMIT 1",
];

/// The earliest of what two statements find. Each reads one entry of an index, however many there are.
pub(super) async fn earliest(
    conn: &mut Conn,
    [due, lease]: [&'static str; 2],
) -> Result<Option<Timestamp>, Error> {
    let due: Option<i64> = sql::query_scalar(due).fetch_optional(conn).await?;
    let lease: Option<i64> = sql::query_scalar(lease).fetch_optional(conn).await?;
    optional_time(due.into_iter().chain(lease).min())
}

/// For PostgreSQL alone; what another node has hold of is passed over.
const LEASE: &str = "WITH leased AS (UPDATE message SET lease_until = ?1, lease_by = ?4 WHERE id IN (
        SELECT id FROM message WHERE state = 'queued' AND direction = 'out' AND due <= ?2
            AND (lease_until IS NULL OR lease_until <= ?2) ORDER BY due, id LIMIT ?3 FOR UPDATE SKIP LOCKED) RETURNING *)
    SELECT * FROM leased LEFT JOIN plan ON plan.message = leased.id";

const END: &str = "UPDATE message SET lease_until = NULL WHERE lease_by = ? AND lease_until = ?";

async fn lease(
    work: &mut Work,
    now: Timestamp,
    limit: u32,
    (until, node): (Timestamp, &str),
) -> Result<(Vec<OutMessage>, Unreadable), Error> {
    let rows = sql::query(LEASE)
        .bind(micros(until))
        .bind(micros(now))
        .bind(limit)
        .bind(node)
        .fetch_all(&mut work.conn)
        .await?;
    let (mut leased, mut unreadable) = (Vec::with_capacity(rows.len()), Unreadable::default());
    for row in &rows {
        let read = leased_message(work, row, (now, until)).await;
        leased.extend(unreadable.or(SENT, row.get::<&str>("id")?, read)?);
    }
    leased.sort_by_key(|message| (message.due, message.id));
    Ok((leased, unreadable))
}

async fn leased_message(
    work: &mut Work,
    row: &Row,
    (now, until): (Timestamp, Timestamp),
) -> Result<OutMessage, Error> {
    if row.get::<i64>("attempts")? > 0 {
        end_lost_attempts(work, MessageRow::read(row.get("id")?)?, now).await?;
    }
    out_message(&mut work.conn, row, Some(until)).await
}

async fn end_lost_attempts(work: &mut Work, message: MessageRow, now: Timestamp) -> Result<(), Error> {
    sql::query(
        "UPDATE attempt SET ended = ?, outcome = 'uncertain', detail = 'stopped before the outcome was known'
             WHERE message = ? AND ended IS NULL",
    )
    .bind(micros(now))
    .bind(message.column())
    .execute(&mut work.conn)
    .await?;
    Ok(())
}
