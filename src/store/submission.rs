//! A backend's message to one or more recipients comes in: all of it in one transaction, or none.

use openssl::sha::Sha256;
use serde_json::{Value, json};

use super::ids::{json, micros};
use super::payload::{self, PartRow, Since, publish_all};
use super::spool::{Published, StagedPayload};
use super::sql;
use super::writer::Work;
use super::{Class, Error, NewEvidence, RecipientId, Store, SubmissionId, events, evidence};
use crate::clock::Timestamp;
use crate::status::{Acceptance, EvidenceProfile, Policy, Row};

/// What a backend hands over.
#[derive(Debug)]
pub struct NewSubmission {
    /// The backend's channel; client ids are unique within it.
    pub channel: String,
    /// The backend's own id for the message.
    pub client_id: String,
    /// The envelope octets as handed over (a DIV envelope, a request body); part of the digest.
    pub envelope: Vec<u8>,
    /// Title, sender and whatever else readers should see.
    pub metadata: Value,
    /// The payloads, once for all recipients.
    pub payloads: Vec<StagedPayload>,
    /// At least one.
    pub recipients: Vec<NewRecipient>,
}

/// One recipient of a submission.
#[derive(Debug, Clone)]
pub struct NewRecipient {
    /// Its address as the backend wrote it.
    pub address: String,
    /// `scheme::value`; `None` when the address could not be mapped.
    pub participant: Option<String>,
    /// The `[[domain]]` it belongs to.
    pub domain: String,
    /// When the recipient should have acted.
    pub deadline: Option<Timestamp>,
    /// Policy in force.
    pub policy: Policy,
    /// Evidence profile in force.
    pub profile: EvidenceProfile,
    /// `scheme::value` of the original sender.
    pub original_sender: String,
    /// `scheme::value` of the document type.
    pub document_type: Option<String>,
    /// `scheme::value` of the process.
    pub process: Option<String>,
    /// Service, its type and Action, where an agreement fixes them.
    pub service: Option<String>,
    /// Type of the service.
    pub service_type: Option<String>,
    /// Action.
    pub action: Option<String>,
    /// More message properties, `[{"name", "value", "type"}]`.
    pub properties: Value,
    /// The parts in order.
    pub parts: Vec<NewPart>,
    /// The message to be sent; `None` for a recipient that fails at once, whose reason stands in `evidence`.
    pub message: Option<NewMessage>,
    /// Rows after the acceptance, e.g. why the recipient fails at once.
    pub evidence: Vec<NewEvidence>,
}

/// One part of a message to be sent.
#[derive(Debug, Clone)]
pub struct NewPart {
    /// Index into [`NewSubmission::payloads`].
    pub payload: usize,
    /// Content-ID without brackets.
    pub cid: String,
    /// Media type.
    pub media_type: String,
    /// Part properties.
    pub properties: Vec<(String, String)>,
}

/// The message row of a recipient.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// ebMS MessageId, new.
    pub message_id: String,
    /// ConversationId.
    pub conversation: String,
    /// RefToMessageId.
    pub ref_to: Option<String>,
    /// `business` or `test`.
    pub class: Class,
    /// When sending gives up.
    pub send_until: Option<Timestamp>,
}

/// What became of a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submitted {
    /// New: it is stored and will be sent.
    Created(SubmissionId),
    /// The same client id with the same content was submitted before.
    Existing(SubmissionId),
    /// The same client id was used before with other content; nothing was stored.
    Conflict(SubmissionId),
}

impl Store {
    /// Takes a submission over.
    ///
    /// # Errors
    /// [`Error::Conflict`] for a part that names no payload or a MessageId that exists; [`Error::NoRoom`]; the disk's and the
    /// database's.
    pub async fn submit(&self, new: NewSubmission) -> Result<Submitted, Error> {
        self.check_room()?;
        let now = self.clock().now();
        let NewSubmission { channel, client_id, envelope, metadata, payloads, recipients } = new;
        let digest = digest(&envelope, &payloads);
        let envelope = self.spool().keys().keep_value(envelope).map_err(Error::spool)?;
        let since = Since::now();
        let published = publish_all(self.spool(), payloads).await?;
        let files = payload::files(&published);
        let plan = Plan { channel, client_id, envelope, metadata, digest, published, since, recipients, now };
        let outcome = self.write(move |work| Box::pin(async move { plan.carry_out(work).await })).await;
        if !matches!(outcome, Ok(Submitted::Created(_)) | Err(Error::Undecided(_))) {
            payload::withdraw(self.spool(), files).await;
        }
        outcome
    }
}

/// SHA-256 over the envelope octets and the digests of the parts as handed over, in order (model 1).
fn digest(envelope: &[u8], payloads: &[StagedPayload]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(envelope);
    payloads.iter().for_each(|p| hash.update(&p.identity()));
    hash.finish()
}

struct Plan {
    channel: String,
    client_id: String,
    envelope: Vec<u8>,
    metadata: Value,
    digest: [u8; 32],
    published: Vec<Published>,
    since: Since,
    recipients: Vec<NewRecipient>,
    now: Timestamp,
}

impl Plan {
    async fn carry_out(self, work: &mut Work) -> Result<Submitted, Error> {
        if let Some(known) = self.known(work).await? {
            return Ok(known);
        }
        self.since.in_time(&self.published)?;
        let id = SubmissionId::new();
        if !self.insert_submission(work, id).await? {
            let known = self.known(work).await?;
            return known.ok_or_else(|| Error::missing("submission", &self.client_id));
        }
        for payload in &self.published {
            payload::insert_payload(work, payload, self.now).await?;
        }
        let data =
            json!({ "submission": id, "client_id": self.client_id, "recipients": self.recipients.len() });
        events::write(work, self.now, "submitted", Some(&self.channel), data);
        for (position, recipient) in self.recipients.iter().enumerate() {
            self.insert_recipient(work, id, position, recipient).await?;
        }
        Ok(Submitted::Created(id))
    }

    async fn known(&self, work: &mut Work) -> Result<Option<Submitted>, Error> {
        let row = sql::query("SELECT id, digest FROM submission WHERE channel = ? AND client_id = ?")
            .bind(&self.channel)
            .bind(&self.client_id)
            .fetch_optional(&mut work.conn)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let id = SubmissionId::read(row.get("id")?)?;
        let same = row.get::<&[u8]>("digest")? == self.digest;
        Ok(Some(if same { Submitted::Existing(id) } else { Submitted::Conflict(id) }))
    }

    /// False when another node took the same client id over a moment ago.
    async fn insert_submission(&self, work: &mut Work, id: SubmissionId) -> Result<bool, Error> {
        let inserted = sql::query(
            "INSERT INTO submission (id, channel, client_id, digest, envelope, metadata, created)
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(id.column())
        .bind(&self.channel)
        .bind(&self.client_id)
        .bind(self.digest.to_vec())
        .bind(&self.envelope)
        .bind(json(&self.metadata)?)
        .bind(micros(self.now))
        .execute(&mut work.conn)
        .await?;
        Ok(inserted == 1)
    }

    async fn insert_recipient(
        &self,
        work: &mut Work,
        submission: SubmissionId,
        position: usize,
        new: &NewRecipient,
    ) -> Result<(), Error> {
        let id = RecipientId::new();
        self.insert_recipient_row(work, (id, submission, position), new).await?;
        for (position, part) in new.parts.iter().enumerate() {
            let payload = self.published.get(part.payload).ok_or_else(|| {
                Error::conflict(
                    "part",
                    &part.cid,
                    format!("names payload {} of {}", part.payload, self.published.len()),
                )
            })?;
            let row = PartRow {
                owner: id.column(),
                position,
                payload: payload.id,
                form: payload.form,
                cid: &part.cid,
                media_type: &part.media_type,
                properties: &part.properties,
            };
            payload::insert_part(work, row).await?;
        }
        if let Some(message) = &new.message {
            self.insert_message(work, id, new, message).await?;
        }
        let mut rows = vec![self.acceptance(new)?];
        rows.extend(new.evidence.iter().cloned());
        evidence::append(work, id, &rows, self.now).await.map(|_| ())
    }

    /// The first row: binds policy, content and address together.
    fn acceptance(&self, new: &NewRecipient) -> Result<NewEvidence, Error> {
        let payloads: Vec<String> = self.published.iter().map(|p| hex::encode(p.original.sha256)).collect();
        let raw = json!({
            "channel": self.channel, "client_id": self.client_id, "digest": hex::encode(self.digest),
            "payloads": payloads, "participant": new.participant, "original_sender": new.original_sender,
            "message_id": new.message.as_ref().map(|m| &m.message_id), "deadline": new.deadline,
        });
        let row = Row::acceptance(self.now, Acceptance { policy: new.policy, profile: new.profile });
        Ok(NewEvidence::new(row, "acceptance", json(&raw)?.into_bytes()))
    }

    async fn insert_recipient_row(
        &self,
        work: &mut Work,
        (id, submission, position): (RecipientId, SubmissionId, usize),
        new: &NewRecipient,
    ) -> Result<(), Error> {
        sql::query(
            "INSERT INTO recipient (id, submission, position, address, participant, domain, deadline, policy, profile,
                 original_sender, document_type, process, service, service_type, action, properties, state, send, delivery,
                 record) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'received', 'processing', 'none', '{}')",
        )
        .bind(id.column())
        .bind(submission.column())
        .bind(position as i64)
        .bind(&new.address)
        .bind(&new.participant)
        .bind(&new.domain)
        .bind(new.deadline.map(micros))
        .bind(json(&new.policy)?)
        .bind(new.profile.as_str())
        .bind(&new.original_sender)
        .bind(&new.document_type)
        .bind(&new.process)
        .bind(&new.service)
        .bind(&new.service_type)
        .bind(&new.action)
        .bind(json(&new.properties)?)
        .execute(&mut work.conn)
        .await?;
        Ok(())
    }

    async fn insert_message(
        &self,
        work: &mut Work,
        recipient: RecipientId,
        new: &NewRecipient,
        message: &NewMessage,
    ) -> Result<(), Error> {
        let inserted = sql::query(
            "INSERT INTO message (id, message_id, direction, class, recipient, conversation, ref_to, service, service_type,
                 action, original_sender, final_recipient, properties, state, due, deadline, created)
             VALUES (?, ?, 'out', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(super::MessageRow::new().column())
        .bind(&message.message_id)
        .bind(message.class.as_str())
        .bind(recipient.column())
        .bind(&message.conversation)
        .bind(&message.ref_to)
        .bind(&new.service)
        .bind(&new.service_type)
        .bind(&new.action)
        .bind(&new.original_sender)
        .bind(&new.participant)
        .bind(json(&new.properties)?)
        .bind(micros(self.now))
        .bind(message.send_until.map(micros))
        .bind(micros(self.now))
        .execute(&mut work.conn)
        .await?;
        if inserted == 0 {
            return Err(Error::conflict("MessageId", &message.message_id, "was given out before"));
        }
        work.wake.outbound = true;
        Ok(())
    }
}
