//! Evidence of ours on its way out: an ordinary message without a recipient row.

use serde_json::Value;

use super::ids::{json, micros};
use super::payload::{self, PartRow, publish_all};
use super::spool::{Published, Spool};
use super::sql;
use super::writer::Work;
use super::{Class, Error, MessageRow};
use crate::clock::Timestamp;

/// An evidence message to be sent (model 4, "On AS4").
#[derive(Debug, Clone)]
pub struct NewEvidenceMessage {
    /// ebMS MessageId, new.
    pub message_id: String,
    /// ConversationId of the business message.
    pub conversation: String,
    /// MessageId of the business message.
    pub ref_to: String,
    /// From PartyId and type: ours.
    pub from: (String, Option<String>),
    /// To PartyId and type: the sender of the business message.
    pub to: (String, Option<String>),
    /// Service of the business message and its type.
    pub service: (String, Option<String>),
    /// Name of the evidence's root element.
    pub action: String,
    /// Final recipient of the business message.
    pub original_sender: Option<String>,
    /// Original sender of the business message.
    pub final_recipient: Option<String>,
    /// More message properties, e.g. `originalMessageId`.
    pub properties: Value,
    /// Agreement or domain under which it goes out, where it is known.
    pub pmode: Option<Value>,
    /// The signed evidence.
    pub payload: Vec<u8>,
    /// Its media type.
    pub media_type: String,
    /// When sending gives up.
    pub send_until: Option<Timestamp>,
}

/// An evidence message whose payload is durable.
pub(super) struct Outgoing {
    message: NewEvidenceMessage,
    published: Published,
}

impl Outgoing {
    /// Spools and publishes the payload of `message`.
    pub async fn prepare(spool: &Spool, mut message: NewEvidenceMessage) -> Result<Self, Error> {
        let octets = std::mem::take(&mut message.payload);
        let writer = spool.writer_keeping(super::Keep::Compressed);
        let small = octets.len() <= super::INLINE;
        let write = move || {
            let mut writer = writer;
            std::io::Write::write_all(&mut writer, &octets).map_err(Error::spool)?;
            writer.finish()
        };
        let staged = if small { write()? } else { payload::blocking(write).await? };
        let mut published = publish_all(spool, vec![staged]).await?;
        let published = published.pop().ok_or(Error::Closed)?;
        Ok(Self { message, published })
    }

    pub fn files(&self) -> Vec<String> {
        payload::files(std::slice::from_ref(&self.published))
    }

    /// Queues the message, due now.
    pub async fn insert(
        &self,
        work: &mut Work,
        inbound: MessageRow,
        now: Timestamp,
    ) -> Result<MessageRow, Error> {
        let id = MessageRow::new();
        let new = &self.message;
        sql::query(
            "INSERT INTO message (id, message_id, direction, class, inbound, conversation, ref_to, from_party, from_type,
                 to_party, to_type, service, service_type, action, original_sender, final_recipient, properties, pmode, state,
                 due, deadline, created)
             VALUES (?, ?, 'out', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?)",
        )
        .bind(id.column())
        .bind(&new.message_id)
        .bind(Class::Evidence.as_str())
        .bind(inbound.column())
        .bind(&new.conversation)
        .bind(&new.ref_to)
        .bind(&new.from.0)
        .bind(&new.from.1)
        .bind(&new.to.0)
        .bind(&new.to.1)
        .bind(&new.service.0)
        .bind(&new.service.1)
        .bind(&new.action)
        .bind(&new.original_sender)
        .bind(&new.final_recipient)
        .bind(json(&new.properties)?)
        .bind(new.pmode.as_ref().map(json).transpose()?)
        .bind(micros(now))
        .bind(new.send_until.map(micros))
        .bind(micros(now))
        .execute(&mut work.conn)
        .await?;
        self.insert_payload(work, id, now).await?;
        work.wake.outbound = true;
        Ok(id)
    }

    async fn insert_payload(&self, work: &mut Work, id: MessageRow, now: Timestamp) -> Result<(), Error> {
        payload::insert_payload(work, &self.published, now).await?;
        let part = PartRow {
            owner: id.column(),
            position: 0,
            payload: self.published.id,
            form: self.published.form,
            cid: &format!("evidence-{id}"),
            media_type: &self.message.media_type,
            properties: &[("MimeType".to_owned(), self.message.media_type.clone())],
        };
        payload::insert_part(work, part).await
    }
}
