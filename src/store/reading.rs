//! What backends, operators and the console read. Nothing here changes anything.

use serde::Serialize;
use serde_json::Value;

use super::evidence::{shown_record, shown_time};
use super::ids::{digest, from_json, time};
use super::outbound::{OutMessage, out_message, party, pmode, value, with_plan};
use super::payload::{PartView, parts_of};
use super::sql;
use super::{ActView, AttemptId, Class, Error, MessageRow, Outcome, RecipientId, Store, SubmissionId};
use crate::clock::Timestamp;
use crate::status::{EvidenceProfile, Record, State};

/// A submission with its recipients.
#[derive(Debug, Clone, Serialize)]
pub struct SubmissionView {
    /// Its id.
    pub id: SubmissionId,
    /// The backend's channel.
    pub channel: String,
    /// The backend's own id.
    pub client_id: String,
    /// SHA-256 over envelope and parts.
    #[serde(with = "super::ids::hex32")]
    pub digest: [u8; 32],
    /// Title, sender and the like.
    pub metadata: Value,
    /// When it was accepted.
    pub created: Timestamp,
    /// In order of submission.
    pub recipients: Vec<RecipientView>,
}

/// A recipient with its record as stored.
#[derive(Debug, Clone, Serialize)]
pub struct RecipientView {
    /// Its id.
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
    /// When the recipient should act.
    pub deadline: Option<Timestamp>,
    /// Evidence profile as of acceptance.
    pub profile: EvidenceProfile,
    /// `scheme::value`.
    pub original_sender: String,
    /// `scheme::value`.
    pub document_type: Option<String>,
    /// `scheme::value`.
    pub process: Option<String>,
    /// What the evidence amounts to.
    pub record: Record,
    /// Length of the evidence chain.
    pub chain_length: u32,
    /// Hash of its last row.
    pub chain_head: String,
}

/// A message of either direction.
#[derive(Debug, Clone, Serialize)]
pub struct MessageView {
    /// Its row.
    pub id: MessageRow,
    /// ebMS MessageId.
    pub message_id: String,
    /// `in` or `out`.
    pub direction: String,
    /// What it is for.
    pub class: Class,
    /// The recipient it is for.
    pub recipient: Option<RecipientId>,
    /// For evidence of ours: the inbound message it speaks of.
    pub inbound: Option<MessageRow>,
    /// ConversationId.
    pub conversation: String,
    /// RefToMessageId.
    pub ref_to: Option<String>,
    /// From PartyId and type.
    pub from: Option<(String, Option<String>)>,
    /// To PartyId and type.
    pub to: Option<(String, Option<String>)>,
    /// Service.
    pub service: Option<String>,
    /// Action.
    pub action: Option<String>,
    /// originalSender.
    pub original_sender: Option<String>,
    /// finalRecipient.
    pub final_recipient: Option<String>,
    /// `queued`, `awaiting-evidence`, `done`, `failed`, `uncertain`, `superseded`, `received`.
    pub state: String,
    /// Why, in words.
    pub detail: Option<String>,
    /// When it is due.
    pub due: Option<Timestamp>,
    /// When sending gives up.
    pub deadline: Option<Timestamp>,
    /// When it was accepted.
    pub created: Timestamp,
    /// Steps of the last lookup.
    pub lookup: Option<Value>,
    /// Endpoint of the last plan.
    pub endpoint: Option<Value>,
    /// The attempts, oldest first.
    pub attempts: Vec<AttemptView>,
    /// What operators did to an evidence message, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acts: Vec<ActView>,
    /// The parts.
    pub parts: Vec<PartView>,
}

/// One attempt.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptView {
    /// Its id.
    pub id: AttemptId,
    /// From 1.
    pub number: u32,
    /// Where to.
    pub url: String,
    /// SHA-256 of the certificate it was encrypted for.
    pub certificate: Option<String>,
    /// Begin.
    pub started: Timestamp,
    /// End; `None` while it runs.
    pub ended: Option<Timestamp>,
    /// What is known of it.
    pub outcome: Option<Outcome>,
    /// Why, in words.
    pub detail: Option<String>,
    /// The signal as received, unless it is evidence in the recipient's chain.
    #[serde(skip)]
    pub signal: Option<Vec<u8>>,
}

/// What evidence must agree with to testify about a message of ours (model 4).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OriginalMessage {
    /// Its row.
    pub message: MessageRow,
    /// Whose status it moves.
    pub recipient: RecipientId,
    /// To PartyId and type as sent.
    pub to: Option<(String, Option<String>)>,
    /// originalSender as sent.
    pub original_sender: Option<String>,
    /// finalRecipient as sent.
    pub final_recipient: Option<String>,
    /// The recipient's domain.
    pub domain: String,
    /// Evidence profile as of acceptance.
    pub profile: EvidenceProfile,
    /// Effective P-Mode.
    pub pmode: Option<Value>,
    /// Endpoint it was sent to.
    pub endpoint: Option<Value>,
    /// The record before the evidence.
    pub record: Record,
}

impl Store {
    /// One submission.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn submission(&self, id: SubmissionId) -> Result<SubmissionView, Error> {
        let row = sql::query("SELECT * FROM submission WHERE id = ?")
            .bind(id.column())
            .fetch_optional(&mut self.read())
            .await?
            .ok_or_else(|| Error::missing("submission", id))?;
        self.submission_view(&row).await
    }

    /// The submission that `channel` made under `client_id`, if any.
    ///
    /// # Errors
    /// The database's.
    pub async fn submission_by_client_id(
        &self,
        channel: &str,
        client_id: &str,
    ) -> Result<Option<SubmissionView>, Error> {
        let row = sql::query("SELECT * FROM submission WHERE channel = ? AND client_id = ?")
            .bind(channel)
            .bind(client_id)
            .fetch_optional(&mut self.read())
            .await?;
        match row {
            Some(row) => self.submission_view(&row).await.map(Some),
            None => Ok(None),
        }
    }

    /// A page of submissions, newest first, older than `before`; of one `channel`, and with a recipient in `state`, if given.
    ///
    /// # Errors
    /// The database's.
    pub async fn submissions(
        &self,
        channel: Option<&str>,
        state: Option<State>,
        before: Option<SubmissionId>,
        limit: u32,
    ) -> Result<Vec<SubmissionView>, Error> {
        let rows = sql::query(
            "SELECT * FROM submission WHERE (?1 IS NULL OR channel = ?1) AND (?2 IS NULL OR id < ?2) AND (?3 IS NULL
                 OR EXISTS (SELECT 1 FROM recipient WHERE submission = submission.id AND state = ?3))
             ORDER BY id DESC LIMIT ?4",
        )
        .bind(channel)
        .bind(before.map(SubmissionId::column))
        .bind(state.map(State::as_str))
        .bind(limit)
        .fetch_all(&mut self.read())
        .await?;
        let mut views = Vec::with_capacity(rows.len());
        for row in &rows {
            views.push(self.submission_view(row).await?);
        }
        Ok(views)
    }

    /// The envelope octets of a submission.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn envelope(&self, id: SubmissionId) -> Result<Vec<u8>, Error> {
        let kept: Option<Vec<u8>> = sql::query_scalar("SELECT envelope FROM submission WHERE id = ?")
            .bind(id.column())
            .fetch_optional(&mut self.read())
            .await?;
        self.spool().keys().read_value(kept.ok_or_else(|| Error::missing("submission", id))?)
    }

    /// One recipient.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn recipient(&self, id: RecipientId) -> Result<RecipientView, Error> {
        let row = sql::query("SELECT * FROM recipient WHERE id = ?")
            .bind(id.column())
            .fetch_optional(&mut self.read())
            .await?
            .ok_or_else(|| Error::missing("recipient", id))?;
        recipient_view(&row)
    }

    /// The outbound business message with this MessageId, if it is ours, and what evidence about it must agree with.
    ///
    /// # Errors
    /// The database's.
    pub async fn recipient_for_message(&self, message_id: &str) -> Result<Option<OriginalMessage>, Error> {
        let row = sql::query(
            "SELECT message.*, plan_pmode, endpoint, recipient.domain, recipient.profile, recipient.record FROM message
             JOIN recipient ON recipient.id = message.recipient LEFT JOIN plan ON plan.message = message.id WHERE message_id = ? AND direction = 'out'",
        )
        .bind(message_id)
        .fetch_optional(&mut self.look())
        .await?;
        row.as_ref().map(original_message).transpose()
    }

    /// All messages for a recipient (one, unless a later lookup superseded it), oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn messages_of(&self, recipient: RecipientId) -> Result<Vec<MessageView>, Error> {
        let rows = sql::query(concat!(with_plan!(), " WHERE recipient = ? ORDER BY id"))
            .bind(recipient.column())
            .fetch_all(&mut self.read())
            .await?;
        self.message_views(&rows).await
    }

    /// Evidence messages sent about an inbound message, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn evidence_sent_about(&self, inbound: MessageRow) -> Result<Vec<MessageView>, Error> {
        let rows = sql::query(concat!(with_plan!(), " WHERE inbound = ? ORDER BY id"))
            .bind(inbound.column())
            .fetch_all(&mut self.read())
            .await?;
        self.message_views(&rows).await
    }

    /// One message of either direction.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn message(&self, id: MessageRow) -> Result<MessageView, Error> {
        let row = sql::query(concat!(with_plan!(), " WHERE id = ?"))
            .bind(id.column())
            .fetch_optional(&mut self.read())
            .await?
            .ok_or_else(|| Error::missing("message", id))?;
        self.message_view(&row).await
    }

    /// Every message with this ebMS MessageId (one per direction and sender).
    ///
    /// # Errors
    /// The database's.
    pub async fn messages_by_message_id(&self, message_id: &str) -> Result<Vec<MessageView>, Error> {
        let rows = sql::query(BY_MESSAGE_ID).bind(message_id).fetch_all(&mut self.read()).await?;
        self.message_views(&rows).await
    }

    /// An outbound message as the sender would lease it, without leasing it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn outbound(&self, id: MessageRow) -> Result<OutMessage, Error> {
        let mut conn = self.read();
        let row = sql::query(concat!(with_plan!(), " WHERE id = ? AND direction = 'out'"))
            .bind(id.column())
            .fetch_optional(&mut conn)
            .await?
            .ok_or_else(|| Error::missing("outbound message", id))?;
        out_message(&mut conn, &row, None).await
    }

    async fn submission_view(&self, row: &sql::Row) -> Result<SubmissionView, Error> {
        let id: &str = row.get("id")?;
        let recipients = sql::query("SELECT * FROM recipient WHERE submission = ? ORDER BY position")
            .bind(id)
            .fetch_all(&mut self.read())
            .await?;
        Ok(SubmissionView {
            id: SubmissionId::read(id)?,
            channel: row.get("channel")?,
            client_id: row.get("client_id")?,
            digest: digest("submission digest", row.get("digest")?)?,
            metadata: from_json("metadata", row.get("metadata")?)?,
            created: time(row.get("created")?)?,
            recipients: recipients.iter().map(recipient_view).collect::<Result<_, _>>()?,
        })
    }

    pub(super) async fn message_views(&self, rows: &[sql::Row]) -> Result<Vec<MessageView>, Error> {
        let mut views = Vec::with_capacity(rows.len());
        for row in rows {
            views.push(self.message_view(row).await?);
        }
        Ok(views)
    }

    async fn message_view(&self, row: &sql::Row) -> Result<MessageView, Error> {
        let id: &str = row.get("id")?;
        let recipient: Option<&str> = row.get("recipient")?;
        let inbound: Option<&str> = row.get("inbound")?;
        let attempts = sql::query("SELECT * FROM attempt WHERE message = ? ORDER BY number")
            .bind(id)
            .fetch_all(&mut self.read())
            .await?;
        Ok(MessageView {
            id: MessageRow::read(id)?,
            message_id: row.get("message_id")?,
            direction: row.get("direction")?,
            class: row.get::<&str>("class")?.parse()?,
            recipient: recipient.map(RecipientId::read).transpose()?,
            inbound: inbound.map(MessageRow::read).transpose()?,
            conversation: row.get("conversation")?,
            ref_to: row.get("ref_to")?,
            from: party(row, "from_party", "from_type")?,
            to: party(row, "to_party", "to_type")?,
            service: row.get("service")?,
            action: row.get("action")?,
            original_sender: row.get("original_sender")?,
            final_recipient: row.get("final_recipient")?,
            state: row.get("state")?,
            detail: row.get("detail")?,
            due: shown_time(row, "due")?,
            deadline: shown_time(row, "deadline")?,
            created: time(row.get("created")?)?,
            lookup: value(row, "lookup")?,
            endpoint: value(row, "endpoint")?,
            attempts: attempts.iter().map(attempt_view).collect::<Result<_, _>>()?,
            acts: if recipient.is_none() { self.acts_on(id).await? } else { Vec::new() },
            parts: parts_of(&mut self.read(), recipient.unwrap_or(id)).await?,
        })
    }
}

/// There is an index for each direction.
pub(super) const BY_MESSAGE_ID: &str = concat!(
    with_plan!(),
    " WHERE (direction = 'in' AND message_id = ?1) OR (direction = 'out' AND message_id = ?1) ORDER BY id"
);

fn recipient_view(row: &sql::Row) -> Result<RecipientView, Error> {
    let head: Option<&[u8]> = row.get("chain_head")?;
    Ok(RecipientView {
        id: RecipientId::read(row.get("id")?)?,
        submission: SubmissionId::read(row.get("submission")?)?,
        index: row.get("position")?,
        address: row.get("address")?,
        participant: row.get("participant")?,
        domain: row.get("domain")?,
        deadline: shown_time(row, "deadline")?,
        profile: row.get::<&str>("profile")?.parse()?,
        original_sender: row.get("original_sender")?,
        document_type: row.get("document_type")?,
        process: row.get("process")?,
        record: shown_record(row)?,
        chain_length: row.get("chain_length")?,
        chain_head: head.map(hex::encode).unwrap_or_default(),
    })
}

fn original_message(row: &sql::Row) -> Result<OriginalMessage, Error> {
    Ok(OriginalMessage {
        message: MessageRow::read(row.get("id")?)?,
        recipient: RecipientId::read(row.get("recipient")?)?,
        to: party(row, "to_party", "to_type")?,
        original_sender: row.get("original_sender")?,
        final_recipient: row.get("final_recipient")?,
        domain: row.get("domain")?,
        profile: row.get::<&str>("profile")?.parse()?,
        pmode: pmode(row)?,
        endpoint: value(row, "endpoint")?,
        record: shown_record(row)?,
    })
}

fn attempt_view(row: &sql::Row) -> Result<AttemptView, Error> {
    let certificate: Option<&[u8]> = row.get("certificate")?;
    let outcome: Option<&str> = row.get("outcome")?;
    Ok(AttemptView {
        id: AttemptId(row.get("id")?),
        number: row.get("number")?,
        url: row.get("url")?,
        certificate: certificate.map(hex::encode),
        started: time(row.get("started")?)?,
        ended: shown_time(row, "ended")?,
        outcome: outcome.map(str::parse).transpose()?,
        detail: row.get("detail")?,
        signal: row.get("signal")?,
    })
}
