//! The queue of messages to be sent: planning, attempts.
//!
//! The attempt is on the disk before the first octet leaves, its outcome after; whatever lies between them at a crash counts
//! as uncertain (model 2).

use serde::Serialize;
use serde_json::Value;

use super::evidence::shown_time;
use super::ids::{from_json, json, micros, time};
use super::payload::{PartView, parts_of};
use super::spool::Form;
use super::sql::{self, Conn, Dialect};
use super::writer::Work;
use super::{AttemptId, Class, Error, Lease, MessageRow, RecipientId, Store, SubmissionId, settle};
use crate::clock::Timestamp;
use crate::status::{EvidenceProfile, Policy};

/// A part of an outbound message.
pub type OutPart = PartView;

/// Everything needed to plan and send one message.
#[derive(Debug, Clone, Serialize)]
pub struct OutMessage {
    /// Its row.
    pub id: MessageRow,
    /// ebMS MessageId; never changes.
    pub message_id: String,
    /// What it is for.
    pub class: Class,
    /// The recipient it is for; `None` for evidence.
    pub recipient: Option<OutRecipient>,
    /// For evidence: the inbound message it speaks of.
    pub inbound: Option<MessageRow>,
    /// ConversationId.
    pub conversation: String,
    /// RefToMessageId.
    pub ref_to: Option<String>,
    /// From and To as (PartyId, type), where they are fixed already.
    pub from: Option<(String, Option<String>)>,
    /// To, where it is fixed already.
    pub to: Option<(String, Option<String>)>,
    /// Service, where it is fixed already.
    pub service: Option<String>,
    /// Its type.
    pub service_type: Option<String>,
    /// Action, where it is fixed already.
    pub action: Option<String>,
    /// originalSender, `scheme::value`.
    pub original_sender: Option<String>,
    /// finalRecipient, `scheme::value`.
    pub final_recipient: Option<String>,
    /// More message properties.
    pub properties: Value,
    /// The `eb:Messaging` octets, once planned.
    pub messaging: Option<Vec<u8>>,
    /// SignedInfo references of the first sealing.
    pub signed_references: Option<Value>,
    /// Effective P-Mode, once planned.
    pub pmode: Option<Value>,
    /// Endpoint of the last plan.
    pub endpoint: Option<Value>,
    /// Steps of the last lookup.
    pub lookup: Option<Value>,
    /// The parts in order.
    pub parts: Vec<OutPart>,
    /// Attempts so far.
    pub attempts: u32,
    /// Those of them whose request may have been read.
    pub uncertain_attempts: u32,
    /// When it was due.
    pub due: Timestamp,
    /// When sending gives up.
    pub deadline: Option<Timestamp>,
    /// When it was accepted.
    pub created: Timestamp,
    /// When its lease runs out; nothing for one that was only looked at.
    #[serde(skip)]
    pub leased_until: Option<Timestamp>,
}

impl OutMessage {
    /// The lease under which whoever has this sends it.
    pub fn lease(&self) -> Lease {
        Lease { message: self.id, until: self.leased_until }
    }
}

/// The recipient of an outbound message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutRecipient {
    /// Its row.
    pub id: RecipientId,
    /// Its submission.
    pub submission: SubmissionId,
    /// Place in the submission, from 0.
    pub index: u32,
    /// Address as submitted.
    pub address: String,
    /// `scheme::value`.
    pub participant: Option<String>,
    /// Its domain.
    pub domain: String,
    /// When the recipient should have acted.
    pub deadline: Option<Timestamp>,
    /// Policy as of acceptance.
    pub policy: Policy,
    /// Evidence profile as of acceptance.
    pub profile: EvidenceProfile,
    /// `scheme::value`.
    pub document_type: Option<String>,
    /// `scheme::value`.
    pub process: Option<String>,
}

/// What planning fixed.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The `eb:Messaging` octets; kept for every attempt (design 2, promise 2).
    pub messaging: Vec<u8>,
    /// SignedInfo references of the sealed message.
    pub signed_references: Value,
    /// Effective P-Mode.
    pub pmode: Value,
    /// From PartyId and type.
    pub from: (String, Option<String>),
    /// To PartyId and type.
    pub to: (String, Option<String>),
    /// Service, its type and Action as sent.
    pub service: (String, Option<String>),
    /// Action as sent.
    pub action: String,
    /// Endpoint.
    pub endpoint: Value,
    /// Steps of the lookup.
    pub lookup: Value,
    /// Place and form of each part that travels in another form than before.
    pub forms: Vec<(u32, Form)>,
}

/// An attempt about to be made.
#[derive(Debug, Clone)]
pub struct NewAttempt {
    /// Where to.
    pub url: String,
    /// SHA-256 of the certificate it is encrypted for.
    pub certificate: Option<[u8; 32]>,
    /// When.
    pub started: Timestamp,
    /// What planning fixed, where it is not kept yet or has changed.
    pub plan: Option<Planned>,
}

impl Store {
    /// Puts an attempt on the disk, with the plan where it is new, before the network hears of it.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the message is no longer queued (it was closed, cancelled, or evidence arrived), when it is not
    /// leased so any more, and when other Messaging octets than the plan's are kept already.
    pub async fn begin_attempt(&self, lease: Lease, new: NewAttempt) -> Result<AttemptId, Error> {
        if !self.may_stand(&lease) {
            return Err(lease.outdated());
        }
        let node = std::sync::Arc::clone(self.node());
        let begun =
            self.write(move |work| Box::pin(async move { begin(work, lease, new, &node).await })).await?;
        self.attempt_begun(&lease, begun);
        Ok(begun)
    }

    /// Closes a message as `superseded` and queues a new one for the same recipient under `message_id`, to be planned anew:
    /// a later lookup named another access point and no attempt was uncertain (model 2).
    ///
    /// # Errors
    /// [`Error::Conflict`] when an attempt is uncertain, or the message is not queued or not leased so any more.
    pub async fn supersede(&self, lease: Lease, message_id: String) -> Result<MessageRow, Error> {
        if !self.may_stand(&lease) {
            return Err(lease.outdated());
        }
        let (now, node) = (self.clock().now(), std::sync::Arc::clone(self.node()));
        let new = self
            .write(move |work| {
                Box::pin(async move { supersede(work, lease, message_id, (now, &node)).await })
            })
            .await?;
        self.lease_ended(&lease, false);
        Ok(new)
    }
}

/// Messages, each with the plan that there may be.
macro_rules! with_plan {
    () => {
        "SELECT * FROM message LEFT JOIN plan ON plan.message = message.id"
    };
}
pub(super) use with_plan;

/// The rules of the plan; before there is one, those that came with the message.
pub(super) fn pmode(row: &sql::Row) -> Result<Option<Value>, Error> {
    match value(row, "plan_pmode")? {
        None => value(row, "pmode"),
        planned => Ok(planned),
    }
}

/// A message row with its plan, recipient, parts and counts.
pub(super) async fn out_message(
    conn: &mut Conn,
    row: &sql::Row,
    leased_until: Option<Timestamp>,
) -> Result<OutMessage, Error> {
    let id: &str = row.get("id")?;
    let recipient: Option<String> = row.get("recipient")?;
    let owner = recipient.clone().unwrap_or_else(|| id.to_owned());
    let parts = parts_of(conn, &owner).await?;
    let attempts = row.get("attempts")?;
    let uncertain = if attempts == 0 { 0 } else { uncertain_attempts(conn, id).await? };
    let recipient = match recipient {
        Some(recipient) => Some(out_recipient(conn, &recipient).await?),
        None => None,
    };
    let inbound: Option<&str> = row.get("inbound")?;
    Ok(OutMessage {
        id: MessageRow::read(id)?,
        message_id: row.get("message_id")?,
        class: row.get::<&str>("class")?.parse()?,
        recipient,
        inbound: inbound.map(MessageRow::read).transpose()?,
        conversation: row.get("conversation")?,
        ref_to: row.get("ref_to")?,
        from: party(row, "from_party", "from_type")?,
        to: party(row, "to_party", "to_type")?,
        service: row.get("service")?,
        service_type: row.get("service_type")?,
        action: row.get("action")?,
        original_sender: row.get("original_sender")?,
        final_recipient: row.get("final_recipient")?,
        properties: from_json("message properties", row.get("properties")?)?,
        messaging: row.get("plan_messaging")?,
        signed_references: value(row, "plan_references")?,
        pmode: pmode(row)?,
        endpoint: value(row, "endpoint")?,
        lookup: value(row, "lookup")?,
        parts,
        attempts,
        uncertain_attempts: uncertain,
        due: time(row.get::<Option<i64>>("due")?.unwrap_or_default())?,
        deadline: shown_time(row, "deadline")?,
        created: time(row.get("created")?)?,
        leased_until,
    })
}

pub(super) async fn uncertain_attempts(conn: &mut Conn, message: &str) -> Result<u32, Error> {
    let count: i64 =
        sql::query_scalar("SELECT count(*) FROM attempt WHERE message = ? AND outcome = 'uncertain'")
            .bind(message)
            .fetch_one(conn)
            .await?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

async fn out_recipient(conn: &mut Conn, id: &str) -> Result<OutRecipient, Error> {
    let row = sql::query("SELECT * FROM recipient WHERE id = ?").bind(id).fetch_one(conn).await?;
    Ok(OutRecipient {
        id: RecipientId::read(id)?,
        submission: SubmissionId::read(row.get("submission")?)?,
        index: row.get("position")?,
        address: row.get("address")?,
        participant: row.get("participant")?,
        domain: row.get("domain")?,
        deadline: shown_time(&row, "deadline")?,
        policy: from_json("policy", row.get("policy")?)?,
        profile: row.get::<&str>("profile")?.parse()?,
        document_type: row.get("document_type")?,
        process: row.get("process")?,
    })
}

pub(super) fn party(row: &sql::Row, id: &str, kind: &str) -> Result<Option<(String, Option<String>)>, Error> {
    let party: Option<String> = row.get(id)?;
    let kind: Option<String> = row.get(kind)?;
    // Inbound rows keep an absent type as "", so that the duplicate key is unique over it.
    Ok(party.map(|party| (party, kind.filter(|k| !k.is_empty()))))
}

pub(super) fn value(row: &sql::Row, column: &str) -> Result<Option<Value>, Error> {
    let text: Option<&str> = row.get(column)?;
    text.map(|text| from_json("stored JSON", text)).transpose()
}

async fn begin(work: &mut Work, lease: Lease, new: NewAttempt, node: &str) -> Result<AttemptId, Error> {
    let message = lease.message;
    let number = match &new.plan {
        Some(plan) => counted_with_plan(work, lease, plan, node).await?,
        None => counted(work, lease, node).await?,
    };
    let number = number.ok_or_else(|| {
        let why =
            "is not queued any more, somebody else has it, or its eb:Messaging octets are fixed and differ";
        Error::conflict("message", message, why)
    })?;
    let id: i64 = sql::query_scalar(
        "INSERT INTO attempt (message, number, url, certificate, started) VALUES (?, ?, ?, ?, ?) RETURNING id",
    )
    .bind(message.column())
    .bind(number)
    .bind(new.url)
    .bind(new.certificate.map(|c| c.to_vec()))
    .bind(micros(new.started))
    .fetch_one(&mut work.conn)
    .await?;
    Ok(AttemptId(id))
}

/// What `lease_until` must say: nothing on SQLite, where the process alone knows of leases.
fn written(work: &Work, lease: Lease) -> Option<i64> {
    match work.conn.dialect() {
        Dialect::Sqlite => None,
        Dialect::Postgres => Some(lease.until.map_or(i64::MIN, micros)),
    }
}

/// The number of the next attempt; nothing when there may be none.
async fn counted(work: &mut Work, lease: Lease, node: &str) -> Result<Option<i64>, Error> {
    let until = written(work, lease);
    sql::query_scalar(
        "UPDATE message SET attempts = attempts + 1 WHERE id = ?1 AND state = 'queued'
             AND lease_until IS NOT DISTINCT FROM ?2 AND (lease_until IS NULL OR lease_by = ?3) RETURNING attempts",
    )
    .bind(lease.message.column())
    .bind(until)
    .bind(node)
    .fetch_optional(&mut work.conn)
    .await
}

/// The same, with what planning fixed.
async fn counted_with_plan(
    work: &mut Work,
    lease: Lease,
    plan: &Planned,
    node: &str,
) -> Result<Option<i64>, Error> {
    let (message, until) = (lease.message, written(work, lease));
    let row = sql::query(
        "UPDATE message SET attempts = attempts + 1, from_party = ?1, from_type = ?2, to_party = ?3, to_type = ?4,
             service = ?5, service_type = ?6, action = ?7
         WHERE id = ?8 AND state = 'queued' AND lease_until IS NOT DISTINCT FROM ?9 AND (lease_until IS NULL OR lease_by = ?10)
         RETURNING attempts, coalesce(recipient, id) AS owner",
    )
    .bind(&plan.from.0)
    .bind(&plan.from.1)
    .bind(&plan.to.0)
    .bind(&plan.to.1)
    .bind(&plan.service.0)
    .bind(&plan.service.1)
    .bind(&plan.action)
    .bind(message.column())
    .bind(until)
    .bind(node)
    .fetch_optional(&mut work.conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    if !kept(work, message, plan).await? {
        return Ok(None);
    }
    for (position, form) in &plan.forms {
        sql::query("UPDATE part SET form = ? WHERE owner = ? AND position = ?")
            .bind(form.as_str())
            .bind(row.get::<&str>("owner")?)
            .bind(*position)
            .execute(&mut work.conn)
            .await?;
    }
    row.get("attempts").map(Some)
}

/// False where other Messaging octets are kept already.
async fn kept(work: &mut Work, message: MessageRow, plan: &Planned) -> Result<bool, Error> {
    let changed = sql::query(
        "INSERT INTO plan (message, plan_messaging, plan_references, plan_pmode, endpoint, lookup)
             VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (message) DO UPDATE SET plan_messaging = excluded.plan_messaging,
             plan_references = excluded.plan_references, plan_pmode = excluded.plan_pmode, endpoint = excluded.endpoint,
             lookup = excluded.lookup
         WHERE plan.plan_messaging IS NULL OR plan.plan_messaging = excluded.plan_messaging",
    )
    .bind(message.column())
    .bind(&plan.messaging)
    .bind(json(&plan.signed_references)?)
    .bind(json(&plan.pmode)?)
    .bind(json(&plan.endpoint)?)
    .bind(json(&plan.lookup)?)
    .execute(&mut work.conn)
    .await?;
    Ok(changed == 1)
}

async fn supersede(
    work: &mut Work,
    lease: Lease,
    message_id: String,
    (now, node): (Timestamp, &str),
) -> Result<MessageRow, Error> {
    let message = lease.message;
    // With the row locked: an attempt that is being begun would not be seen.
    if !settle::holds(work, lease, node).await? {
        return Err(lease.outdated());
    }
    let closed = sql::query(
        "UPDATE message SET state = 'superseded', lease_until = NULL WHERE id = ? AND state = 'queued' AND recipient IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM attempt WHERE message = message.id AND (outcome IS NULL OR outcome <> 'definite'))",
    )
    .bind(message.column())
    .execute(&mut work.conn)
    .await?;
    if closed == 0 {
        return Err(Error::conflict(
            "message",
            message,
            "is not queued, or an attempt of it may have been read",
        ));
    }
    let new = MessageRow::new();
    sql::query(
        "INSERT INTO message (id, message_id, direction, class, recipient, conversation, ref_to, service, service_type,
             action, original_sender, final_recipient, properties, state, due, deadline, created)
         SELECT ?, ?, direction, class, message.recipient, conversation, ref_to, recipient.service, recipient.service_type,
             recipient.action, message.original_sender, final_recipient, message.properties, 'queued', ?, message.deadline,
             created FROM message JOIN recipient ON recipient.id = message.recipient WHERE message.id = ?",
    )
    .bind(new.column())
    .bind(message_id)
    .bind(micros(now))
    .bind(message.column())
    .execute(&mut work.conn)
    .await?;
    work.wake.outbound = true;
    Ok(new)
}
