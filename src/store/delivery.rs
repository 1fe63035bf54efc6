//! Inbound messages on their way to a backend, and what the backend made of them.

use serde::Serialize;
use serde_json::json;

use super::evidence::shown_time;
use super::ids::{micros, optional_time};
use super::lease::earliest;
use super::outgoing::Outgoing;
use super::sql::{self, Sql};
use super::unreadable::Unreadable;
use super::writer::Work;
use super::{
    DeliveryId, Error, InboundView, MessageRow, NewEvidenceMessage, Store, events, payload, readable,
};
use crate::clock::Timestamp;

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// Not yet shown to the backend.
    Waiting,
    /// At the backend's disposal.
    AtDisposal,
    /// Taken.
    Accepted,
    /// Refused by the recipient.
    Refused,
    /// Not taken in time.
    Missed,
    /// Could not be delivered.
    Undeliverable,
}
crate::status::words!(DeliveryState, "delivery state", {
    Waiting => "waiting",
    AtDisposal => "at-disposal",
    Accepted => "accepted",
    Refused => "refused",
    Missed => "missed",
    Undeliverable => "undeliverable",
});

/// The final word on a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The backend took it.
    Accepted,
    /// The recipient refused it.
    Refused {
        /// The backend's code, if any.
        code: Option<String>,
        /// The reason in words.
        reason: String,
    },
    /// Nobody took it before the deadline.
    Missed,
    /// It cannot be delivered.
    Undeliverable {
        /// Why.
        reason: String,
        /// Whether whoever says so has it leased. Anybody else is refused while a lease stands: it may appear at this moment.
        carrier: bool,
    },
}

impl DeliveryOutcome {
    const fn state(&self) -> DeliveryState {
        match self {
            Self::Accepted => DeliveryState::Accepted,
            Self::Refused { .. } => DeliveryState::Refused,
            Self::Missed => DeliveryState::Missed,
            Self::Undeliverable { .. } => DeliveryState::Undeliverable,
        }
    }

    fn words(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Refused { code, reason } => (code.as_deref(), Some(reason)),
            Self::Undeliverable { reason, .. } => (None, Some(reason)),
            Self::Accepted | Self::Missed => (None, None),
        }
    }
}

/// What a settlement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The delivery is settled now.
    Now,
    /// It had been settled in the same way before; nothing changed, no evidence was sent again.
    Before,
}

/// Where a page of deliveries past their deadline ends, as the row has it: one that cannot be read holds up no page behind it.
#[derive(Debug, Clone)]
pub struct PageEnd {
    deadline: i64,
    id: String,
}

/// A delivery with its message.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryView {
    /// Its id.
    pub id: DeliveryId,
    /// The backend it is for.
    pub backend: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// When the backend should have taken it.
    pub deadline: Option<Timestamp>,
    /// Since when it is at the backend's disposal.
    pub at_disposal: Option<Timestamp>,
    /// When it was settled.
    pub settled: Option<Timestamp>,
    /// Code of a refusal.
    pub code: Option<String>,
    /// Reason of a refusal or failure.
    pub reason: Option<String>,
    /// Leases so far.
    pub tries: u32,
    /// The message.
    pub message: InboundView,
}

/// A delivery leased by an adapter that carries messages to its backend.
pub type LeasedDelivery = DeliveryView;

impl Store {
    /// Leases up to `limit` deliveries of `backend` that wait to be put at its disposal, oldest first, until `lease_until`.
    ///
    /// # Errors
    /// The database's.
    pub async fn lease_deliveries(
        &self,
        backend: &str,
        now: Timestamp,
        limit: u32,
        lease_until: Timestamp,
    ) -> Result<Vec<LeasedDelivery>, Error> {
        let leasing = |unheard| self.lease_of(backend, now, limit, (lease_until, unheard));
        self.unheard().remembered(Some(backend), lease_until, leasing).await
    }

    /// What of the lease until `lease_until` was not told the store ends with the next lease for `backend`: for a carrier to whom
    /// the store did not answer in between.
    pub fn give_back_deliveries(&self, backend: &str, lease_until: Timestamp) {
        self.unheard().remember(Some(backend), lease_until);
    }

    async fn lease_of(
        &self,
        backend: &str,
        now: Timestamp,
        limit: u32,
        (until, unheard): (Timestamp, Vec<Timestamp>),
    ) -> Result<Vec<LeasedDelivery>, Error> {
        let (backend, node) = (backend.to_owned(), std::sync::Arc::clone(self.node()));
        let ids: Vec<String> = self
            .write(move |work| {
                Box::pin(async move {
                    for until in unheard {
                        let end = sql::query(END).bind(&backend).bind(&*node).bind(micros(until));
                        end.execute(&mut work.conn).await?;
                    }
                    sql::query_scalar(LEASE.on(&work.conn))
                        .bind(micros(until))
                        .bind(backend)
                        .bind(micros(now))
                        .bind(limit)
                        .bind(&*node)
                        .fetch_all(&mut work.conn)
                        .await
                })
            })
            .await?;
        let (mut leased, mut unreadable) = (Vec::with_capacity(ids.len()), Unreadable::default());
        for id in ids {
            let read = match DeliveryId::read(&id) {
                Ok(id) => self.delivery(id).await,
                Err(error) => Err(error),
            };
            // One that cannot be read stays leased, and is looked at again when the lease has run out.
            leased.extend(unreadable.or(DELIVERY, &id, read)?);
        }
        self.tell_of(unreadable).await;
        leased.sort_by_key(|d| d.id);
        Ok(leased)
    }

    /// The earliest time at which a delivery waits to be carried or a lease runs out.
    ///
    /// # Errors
    /// The database's.
    pub async fn next_delivery(&self) -> Result<Option<Timestamp>, Error> {
        earliest(&mut self.look(), NEXT_DELIVERY).await
    }

    /// The earliest deadline that a backend here or a recipient abroad has not met yet.
    ///
    /// # Errors
    /// The database's.
    pub async fn next_deadline(&self) -> Result<Option<Timestamp>, Error> {
        let mut next = None;
        for statement in NEXT_DEADLINE {
            let found: Option<i64> = sql::query_scalar(statement).fetch_one(&mut self.read()).await?;
            next = next.into_iter().chain(found).min();
        }
        optional_time(next)
    }

    /// Gives a lease back: the backend could not be reached, try again at `due`.
    ///
    /// # Errors
    /// The database's.
    pub async fn postpone_delivery(&self, id: DeliveryId, due: Timestamp) -> Result<(), Error> {
        self.write(move |work| {
            Box::pin(async move {
                sql::query(
                    "UPDATE delivery SET due = ?, lease_until = NULL WHERE id = ? AND state = 'waiting'",
                )
                .bind(micros(due))
                .bind(id.column())
                .execute(&mut work.conn)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The message is at the backend's disposal now (listed, or in its folder); `evidence` goes out in the same transaction.
    /// Told again, nothing changes and no evidence is sent.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delivery_at_disposal(
        &self,
        id: DeliveryId,
        evidence: Option<NewEvidenceMessage>,
    ) -> Result<Settled, Error> {
        self.with_evidence(evidence, move |work, outgoing, now| Box::pin(dispose(work, id, outgoing, now)))
            .await
    }

    /// Settles a delivery; `evidence` goes out in the same transaction. The same outcome again is no error.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it was settled otherwise before, is to be missed and was never at disposal, or to be
    /// undeliverable and is, or is on its way there.
    pub async fn settle_delivery(
        &self,
        id: DeliveryId,
        outcome: DeliveryOutcome,
        evidence: Option<NewEvidenceMessage>,
    ) -> Result<Settled, Error> {
        self.with_evidence(evidence, move |work, outgoing, now| {
            Box::pin(async move { settle(work, (id, &outcome), outgoing, now).await })
        })
        .await
    }

    /// One delivery.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delivery(&self, id: DeliveryId) -> Result<DeliveryView, Error> {
        let row = sql::query("SELECT * FROM delivery WHERE id = ?")
            .bind(id.column())
            .fetch_optional(&mut self.look())
            .await?
            .ok_or_else(|| Error::missing("delivery", id))?;
        self.delivery_view(&row).await
    }

    /// What is at the disposal of `backend`, oldest first, after `after`.
    ///
    /// # Errors
    /// The database's.
    pub async fn deliveries_at_disposal(
        &self,
        backend: &str,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<DeliveryView>, Error> {
        let rows = sql::query(AT_DISPOSAL)
            .bind(backend)
            .bind(after.map(DeliveryId::column).unwrap_or_default())
            .bind(limit)
            .fetch_all(&mut self.read())
            .await?;
        self.delivery_views(&rows).await
    }

    /// Deliveries that nobody settled before their deadline, behind `after`, and what the next page is behind.
    ///
    /// # Errors
    /// The database's.
    pub async fn deliveries_past_deadline(
        &self,
        now: Timestamp,
        after: Option<PageEnd>,
        limit: u32,
    ) -> Result<(Vec<DeliveryView>, Option<PageEnd>), Error> {
        let PageEnd { deadline, id } = after.unwrap_or(PageEnd { deadline: i64::MIN, id: String::new() });
        let rows = sql::query(PAST_DEADLINE)
            .bind(micros(now))
            .bind(deadline)
            .bind(id)
            .bind(limit)
            .fetch_all(&mut self.read())
            .await?;
        let next = match rows.last() {
            Some(last) if rows.len() == limit as usize => {
                Some(PageEnd { deadline: last.get("deadline")?, id: last.get("id")? })
            }
            _ => None,
        };
        Ok((self.delivery_views(&rows).await?, next))
    }

    pub(super) async fn delivery_views(&self, rows: &[sql::Row]) -> Result<Vec<DeliveryView>, Error> {
        let mut views = Vec::with_capacity(rows.len());
        for row in rows {
            views.extend(readable(DELIVERY, row.get::<&str>("id")?, self.delivery_view(row).await)?);
        }
        Ok(views)
    }

    /// Backends that open deliveries are for.
    ///
    /// # Errors
    /// The database's.
    pub async fn backends_with_deliveries(&self) -> Result<Vec<String>, Error> {
        let all = "SELECT DISTINCT backend FROM delivery WHERE state IN ('waiting', 'at-disposal')";
        sql::query_scalar(all).fetch_all(&mut self.read()).await
    }

    async fn delivery_view(&self, row: &sql::Row) -> Result<DeliveryView, Error> {
        let message = MessageRow::read(row.get("message")?)?;
        Ok(DeliveryView {
            id: DeliveryId::read(row.get("id")?)?,
            backend: row.get("backend")?,
            state: row.get::<&str>("state")?.parse()?,
            deadline: shown_time(row, "deadline")?,
            at_disposal: shown_time(row, "listed_at")?,
            settled: shown_time(row, "settled_at")?,
            code: row.get("code")?,
            reason: row.get("reason")?,
            tries: row.get("tries")?,
            message: self.inbound(message).await?,
        })
    }

    /// Publishes the payload of `evidence`, runs `command` with it, and takes the file back when it was not needed.
    async fn with_evidence<F>(
        &self,
        evidence: Option<NewEvidenceMessage>,
        command: F,
    ) -> Result<Settled, Error>
    where
        F: for<'w> FnOnce(
                &'w mut Work,
                Option<Outgoing>,
                Timestamp,
            ) -> futures_util::future::BoxFuture<'w, Result<Settled, Error>>
            + Send
            + 'static,
    {
        let now = self.clock().now();
        let outgoing = match evidence {
            Some(message) => Some(Outgoing::prepare(self.spool(), message).await?),
            None => None,
        };
        let files = outgoing.as_ref().map(Outgoing::files).unwrap_or_default();
        let result = self.write(move |work| command(work, outgoing, now)).await;
        if !matches!(result, Ok(Settled::Now) | Err(Error::Undecided(_))) {
            payload::withdraw(self.spool(), files).await;
        }
        result
    }
}

/// What a delivery is called that cannot be read.
const DELIVERY: &str = "a delivery";

pub(super) const AT_DISPOSAL: &str =
    "SELECT * FROM delivery WHERE backend = ?1 AND state = 'at-disposal' AND id > ?2 ORDER BY id LIMIT ?3";
pub(super) const NEXT_DELIVERY: [&str; 2] = [
    "SELECT due FROM delivery WHERE state = 'waiting' AND lease_until IS NULL ORDER BY due LIMIT 1",
    "SELECT lease_until FROM delivery WHERE lease_until IS NOT NULL AND state = 'waiting' ORDER BY lease_until LIMIT 1",
];
pub(super) const NEXT_DEADLINE: [&str; 3] = [
    "SELECT min(deadline) FROM delivery WHERE deadline IS NOT NULL AND state IN ('waiting', 'at-disposal')",
    "SELECT min(deadline) FROM recipient WHERE deadline IS NOT NULL AND state IN ('at-remote-gateway', 'available')
         AND NOT EXISTS (SELECT 1 FROM evidence WHERE recipient = recipient.id AND kind = 'local' AND signal = 'expired')",
    "SELECT min(evidence_due) FROM recipient WHERE evidence_due IS NOT NULL",
];
pub(super) const PAST_DEADLINE: &str = "SELECT * FROM delivery WHERE deadline IS NOT NULL AND deadline <= ?1
     AND (deadline > ?2 OR (deadline = ?2 AND id > ?3))
     AND state IN ('waiting', 'at-disposal') ORDER BY deadline, id LIMIT ?4";

pub(super) const LEASE: Sql = sql::skipping_locked!(
    "UPDATE delivery SET lease_until = ?1, lease_by = ?5, tries = tries + 1 WHERE id IN (
        SELECT id FROM delivery WHERE backend = ?2 AND state = 'waiting' AND due <= ?3
            AND (lease_until IS NULL OR lease_until <= ?3) ORDER BY id LIMIT ?4",
    ") RETURNING id"
);
const END: &str =
    "UPDATE delivery SET lease_until = NULL WHERE backend = ? AND lease_by = ? AND lease_until = ?";
const CURRENT: Sql = sql::locking!("SELECT state, message, backend, lease_until FROM delivery WHERE id = ?");

async fn dispose(
    work: &mut Work,
    id: DeliveryId,
    outgoing: Option<Outgoing>,
    now: Timestamp,
) -> Result<Settled, Error> {
    let Current { state, message, .. } = current(work, id).await?;
    if state != DeliveryState::Waiting {
        return Ok(Settled::Before);
    }
    sql::query("UPDATE delivery SET state = 'at-disposal', listed_at = ?, lease_until = NULL WHERE id = ?")
        .bind(micros(now))
        .bind(id.column())
        .execute(&mut work.conn)
        .await?;
    if let Some(outgoing) = outgoing {
        outgoing.insert(work, message, now).await?;
    }
    Ok(Settled::Now)
}

async fn settle(
    work: &mut Work,
    (id, outcome): (DeliveryId, &DeliveryOutcome),
    outgoing: Option<Outgoing>,
    now: Timestamp,
) -> Result<Settled, Error> {
    let Current { state, message, backend, lease_until } = current(work, id).await?;
    let open = matches!(state, DeliveryState::Waiting | DeliveryState::AtDisposal);
    if state == outcome.state() {
        return Ok(Settled::Before);
    }
    // What was never at its disposal no recipient can have missed (model 4).
    if state == DeliveryState::Waiting && *outcome == DeliveryOutcome::Missed {
        return Err(Error::conflict("delivery", id, "is not at the recipient's disposal yet"));
    }
    // Whoever looked at it before it was put there does not know that it is.
    if state == DeliveryState::AtDisposal && matches!(outcome, DeliveryOutcome::Undeliverable { .. }) {
        return Err(Error::conflict("delivery", id, "is at the recipient's disposal by now"));
    }
    let leased = lease_until.is_some_and(|until| until > micros(now));
    if leased && matches!(outcome, DeliveryOutcome::Undeliverable { carrier: false, .. }) {
        return Err(Error::conflict("delivery", id, "is on its way to the recipient's disposal"));
    }
    if !open {
        return Err(Error::conflict(
            "delivery",
            id,
            format!("was settled as {state} before, not as {}", outcome.state()),
        ));
    }
    let (code, reason) = outcome.words();
    sql::query(
        "UPDATE delivery SET state = ?, settled_at = ?, code = ?, reason = ?, lease_until = NULL WHERE id = ?",
    )
    .bind(outcome.state().as_str())
    .bind(micros(now))
    .bind(code)
    .bind(reason)
    .bind(id.column())
    .execute(&mut work.conn)
    .await?;
    let told = outgoing.is_some();
    if let Some(outgoing) = outgoing {
        outgoing.insert(work, message, now).await?;
    }
    let data = json!({ "delivery": id, "message": message, "outcome": outcome.state(), "code": code });
    events::write(work, now, "delivery-settled", Some(&backend), data);
    match outcome {
        DeliveryOutcome::Undeliverable { reason, .. } => {
            let text = format!("{reason}; see the log of backend {backend:?}");
            notice(work, "undeliverable", (id, message), &text, now).await?;
        }
        DeliveryOutcome::Missed if !told => {
            let text = format!(
                "backend {backend:?} did not take it in time; the sender is owed no evidence of that"
            );
            notice(work, "missed", (id, message), &text, now).await?;
        }
        _ => {}
    }
    Ok(Settled::Now)
}

/// What the operator must hear of, for it is no recipient's fault, or nobody else hears of it.
async fn notice(
    work: &mut Work,
    kind: &str,
    (id, message): (DeliveryId, MessageRow),
    text: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let message_id: String = sql::query_scalar("SELECT message_id FROM message WHERE id = ?")
        .bind(message.column())
        .fetch_one(&mut work.conn)
        .await?;
    events::notice(work, now, kind, &id.to_string(), &format!("message {message_id:?}: {text}")).await
}

struct Current {
    state: DeliveryState,
    message: MessageRow,
    backend: String,
    lease_until: Option<i64>,
}

async fn current(work: &mut Work, id: DeliveryId) -> Result<Current, Error> {
    let row = sql::query(CURRENT.on(&work.conn))
        .bind(id.column())
        .fetch_optional(&mut work.conn)
        .await?
        .ok_or_else(|| Error::missing("delivery", id))?;
    Ok(Current {
        state: row.get::<&str>("state")?.parse()?,
        message: MessageRow::read(row.get("message")?)?,
        backend: row.get("backend")?,
        lease_until: row.get("lease_until")?,
    })
}
