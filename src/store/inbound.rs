//! Messages from other access points: accepted once, whole, before the receipt leaves (design 2, promises 1 and 3).

use serde::Serialize;
use serde_json::{Value, json};

use super::ids::{digest, from_json, json, micros, time};
use super::outbound::{party, value};
use super::payload::{self, PartRow, PartView, Since, publish_all};
use super::spool::{Published, StagedPayload};
use super::sql;
use super::writer::Work;
use super::{
    Class, DeliveryId, DeliveryState, Error, MessageRow, NewEvidence, RecipientId, Store, events, evidence,
};
use crate::clock::Timestamp;
use crate::status::Record;

/// What makes a message the same message: From PartyId, its type, MessageId (model 2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InboundKey {
    /// From/PartyId.
    pub party: String,
    /// Its type, if any.
    pub party_type: Option<String>,
    /// MessageId.
    pub message_id: String,
}

/// A message that passed every check.
#[derive(Debug)]
pub struct NewInbound {
    /// From and MessageId.
    pub key: InboundKey,
    /// To PartyId and type.
    pub to: (String, Option<String>),
    /// ConversationId.
    pub conversation: String,
    /// RefToMessageId.
    pub ref_to: Option<String>,
    /// What it is for.
    pub class: Class,
    /// Service and its type.
    pub service: (String, Option<String>),
    /// Action.
    pub action: String,
    /// originalSender, `scheme::value`.
    pub original_sender: Option<String>,
    /// finalRecipient, `scheme::value`.
    pub final_recipient: Option<String>,
    /// All message properties.
    pub properties: Value,
    /// The `eb:Messaging` octets as verified.
    pub messaging: Vec<u8>,
    /// SignedInfo references.
    pub signed_references: Value,
    /// Effective P-Mode.
    pub pmode: Value,
    /// The signer's certificate, DER.
    pub signer: Vec<u8>,
    /// The receipt that will be sent, and sent again.
    pub receipt: Vec<u8>,
    /// The parts in order.
    pub parts: Vec<NewInboundPart>,
    /// The backend that gets it; `None` for evidence and tests.
    pub backend: Option<String>,
    /// Being stored, it is at the backend's disposal, and nobody is owed evidence of that.
    pub at_disposal: bool,
    /// When the backend should have taken it.
    pub deadline: Option<Timestamp>,
    /// What evidence does, when the message carries evidence.
    pub effect: Option<Effect>,
}

/// One part of an inbound message.
#[derive(Debug)]
pub struct NewInboundPart {
    /// Its octets, unpacked.
    pub payload: StagedPayload,
    /// Content-ID without brackets.
    pub cid: String,
    /// Media type of the unpacked octets.
    pub media_type: String,
    /// Part properties.
    pub properties: Vec<(String, String)>,
}

/// What incoming evidence does, as judged by who may testify (model 4).
#[derive(Debug, Clone)]
pub enum Effect {
    /// It moves the status of this recipient.
    Apply {
        /// Whose.
        recipient: RecipientId,
        /// The rows.
        rows: Vec<NewEvidence>,
    },
    /// It is kept without effect, and an operator is told.
    Stray {
        /// The MessageId it speaks of.
        original: String,
        /// Why it has no effect.
        reason: String,
        /// The rows as they would have been.
        rows: Vec<NewEvidence>,
    },
}

/// What became of an inbound message.
#[derive(Debug, Clone, PartialEq)]
pub enum Accepted {
    /// Stored; the receipt may leave.
    New {
        /// Its row.
        message: MessageRow,
        /// Its delivery, when it has a backend.
        delivery: Option<DeliveryId>,
        /// The status that evidence led to.
        record: Option<Box<Record>>,
    },
    /// Its MessageId was accepted before.
    Duplicate(Box<Stored>),
}

/// What is kept of a message whose MessageId came again.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its row.
    pub message: MessageRow,
    /// The receipt of then.
    pub receipt: Vec<u8>,
    /// The `eb:Messaging` octets of then.
    pub messaging: Vec<u8>,
    /// The SignedInfo references of then.
    pub signed_references: Value,
}

/// An inbound message as it is kept.
#[derive(Debug, Clone, Serialize)]
pub struct InboundView {
    /// Its row.
    pub id: MessageRow,
    /// ebMS MessageId.
    pub message_id: String,
    /// What it is for.
    pub class: Class,
    /// From PartyId and type.
    pub from: (String, Option<String>),
    /// To PartyId and type.
    pub to: (String, Option<String>),
    /// ConversationId.
    pub conversation: String,
    /// RefToMessageId.
    pub ref_to: Option<String>,
    /// Service.
    pub service: String,
    /// Its type.
    pub service_type: Option<String>,
    /// Action.
    pub action: String,
    /// originalSender.
    pub original_sender: Option<String>,
    /// finalRecipient.
    pub final_recipient: Option<String>,
    /// All message properties.
    pub properties: Value,
    /// The `eb:Messaging` octets.
    #[serde(skip)]
    pub messaging: Vec<u8>,
    /// SignedInfo references.
    pub signed_references: Value,
    /// Effective P-Mode.
    pub pmode: Value,
    /// SHA-256 of the signer's certificate.
    #[serde(with = "super::ids::hex32")]
    pub signer: [u8; 32],
    /// The signer's certificate, DER.
    #[serde(skip)]
    pub signer_der: Vec<u8>,
    /// The receipt.
    #[serde(skip)]
    pub receipt: Vec<u8>,
    /// The parts.
    pub parts: Vec<PartView>,
    /// When it was accepted.
    pub received: Timestamp,
}

impl Store {
    /// Accepts a message: payloads, row, delivery, effect of evidence, in one transaction. Of two that come at once with the
    /// same key, the second hears [`Accepted::Duplicate`] and stores nothing.
    ///
    /// # Errors
    /// The disk's and the database's; then nothing was stored and no receipt may leave.
    pub async fn accept(&self, mut new: NewInbound) -> Result<Accepted, Error> {
        let now = self.clock().now();
        let staged: Vec<NewInboundPart> = std::mem::take(&mut new.parts);
        let (payloads, parts): (Vec<_>, Vec<_>) =
            staged.into_iter().map(|p| (p.payload, (p.cid, p.media_type, p.properties))).unzip();
        let since = Since::now();
        let published = publish_all(self.spool(), payloads).await?;
        let files = payload::files(&published);
        let arrival = Arrival { new, parts, published, since, now };
        let outcome = self.write(move |work| Box::pin(async move { arrival.carry_out(work).await })).await;
        if !matches!(outcome, Ok(Accepted::New { .. }) | Err(Error::Undecided(_))) {
            payload::withdraw(self.spool(), files).await;
        }
        outcome
    }

    /// The message that was accepted under `key`, if any.
    ///
    /// # Errors
    /// The database's.
    pub async fn find_inbound(&self, key: &InboundKey) -> Result<Option<InboundView>, Error> {
        let row = sql::query(FIND)
            .bind(&key.party)
            .bind(key.party_type.as_deref().unwrap_or_default())
            .bind(&key.message_id)
            .fetch_optional(&mut self.look())
            .await?;
        match row {
            Some(row) => self.inbound_view(&row).await.map(Some),
            None => Ok(None),
        }
    }

    /// An inbound message.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn inbound(&self, id: MessageRow) -> Result<InboundView, Error> {
        let row = sql::query("SELECT * FROM message WHERE id = ? AND direction = 'in'")
            .bind(id.column())
            .fetch_optional(&mut self.look())
            .await?
            .ok_or_else(|| Error::missing("inbound message", id))?;
        self.inbound_view(&row).await
    }

    async fn inbound_view(&self, row: &sql::Row) -> Result<InboundView, Error> {
        let id: &str = row.get("id")?;
        inbound_view(row, payload::parts_of(&mut self.look(), id).await?)
    }
}

const FIND: &str =
    "SELECT * FROM message WHERE direction = 'in' AND from_party = ? AND from_type = ? AND message_id = ?";

/// Content-ID, media type, properties.
type PartWords = (String, String, Vec<(String, String)>);

struct Arrival {
    new: NewInbound,
    parts: Vec<PartWords>,
    published: Vec<Published>,
    since: Since,
    now: Timestamp,
}

impl Arrival {
    async fn carry_out(self, work: &mut Work) -> Result<Accepted, Error> {
        if let Some(duplicate) = self.duplicate(work).await? {
            return Ok(duplicate);
        }
        self.since.in_time(&self.published)?;
        let id = MessageRow::new();
        if !self.insert_message(work, id).await? {
            // Another node accepted it since: its transaction has ended, so its row can be read now.
            return self
                .duplicate(work)
                .await?
                .ok_or_else(|| Error::missing("inbound message", &self.new.key.message_id));
        }
        for (position, (payload, (cid, media_type, properties))) in
            self.published.iter().zip(&self.parts).enumerate()
        {
            payload::insert_payload(work, payload, self.now).await?;
            let (payload, form) = (payload.id, payload.form);
            let part = PartRow { owner: id.column(), position, payload, form, cid, media_type, properties };
            payload::insert_part(work, part).await?;
        }
        let delivery = self.insert_delivery(work, id).await?;
        let record = match &self.new.effect {
            Some(effect) => apply(work, id, effect, self.now).await?,
            None => None,
        };
        Ok(Accepted::New { message: id, delivery, record: record.map(Box::new) })
    }

    async fn duplicate(&self, work: &mut Work) -> Result<Option<Accepted>, Error> {
        let key = &self.new.key;
        let row = sql::query(FIND)
            .bind(&key.party)
            .bind(key.party_type.as_deref().unwrap_or_default())
            .bind(&key.message_id)
            .fetch_optional(&mut work.conn)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let octets = |column: &str| row.get::<Option<Vec<u8>>>(column).map(Option::unwrap_or_default);
        Ok(Some(Accepted::Duplicate(Box::new(Stored {
            message: MessageRow::read(row.get("id")?)?,
            receipt: octets("receipt")?,
            messaging: octets("messaging")?,
            signed_references: value(&row, "signed_references")?.unwrap_or_default(),
        }))))
    }

    /// False when a message with this key is there already.
    async fn insert_message(&self, work: &mut Work, id: MessageRow) -> Result<bool, Error> {
        let new = &self.new;
        let inserted = sql::query(
            "INSERT INTO message (id, message_id, direction, class, conversation, ref_to, from_party, from_type, to_party,
                 to_type, service, service_type, action, original_sender, final_recipient, properties, messaging,
                 signed_references, pmode, signer, receipt, state, created)
             VALUES (?, ?, 'in', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'received', ?) ON CONFLICT DO NOTHING",
        )
        .bind(id.column())
        .bind(&new.key.message_id)
        .bind(new.class.as_str())
        .bind(&new.conversation)
        .bind(&new.ref_to)
        .bind(&new.key.party)
        .bind(new.key.party_type.as_deref().unwrap_or_default())
        .bind(&new.to.0)
        .bind(&new.to.1)
        .bind(&new.service.0)
        .bind(&new.service.1)
        .bind(&new.action)
        .bind(&new.original_sender)
        .bind(&new.final_recipient)
        .bind(json(&new.properties)?)
        .bind(&new.messaging)
        .bind(json(&new.signed_references)?)
        .bind(json(&new.pmode)?)
        .bind(&new.signer)
        .bind(&new.receipt)
        .bind(micros(self.now))
        .execute(&mut work.conn)
        .await?;
        Ok(inserted == 1)
    }

    async fn insert_delivery(
        &self,
        work: &mut Work,
        message: MessageRow,
    ) -> Result<Option<DeliveryId>, Error> {
        let Some(backend) = &self.new.backend else { return Ok(None) };
        let id = DeliveryId::new();
        let listed = self.new.at_disposal;
        let state = if listed { DeliveryState::AtDisposal } else { DeliveryState::Waiting };
        sql::query(
            "INSERT INTO delivery (id, message, backend, state, listed_at, due, deadline, created)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(id.column())
        .bind(message.column())
        .bind(backend)
        .bind(state.as_str())
        .bind(listed.then(|| micros(self.now)))
        .bind(micros(self.now))
        .bind(self.new.deadline.map(micros))
        .bind(micros(self.now))
        .execute(&mut work.conn)
        .await?;
        let data = json!({ "delivery": id, "message": message, "message_id": self.new.key.message_id });
        events::write(work, self.now, "delivery", Some(backend), data);
        work.wake.deliveries |= !listed;
        Ok(Some(id))
    }
}

async fn apply(
    work: &mut Work,
    inbound: MessageRow,
    effect: &Effect,
    now: Timestamp,
) -> Result<Option<Record>, Error> {
    match effect {
        Effect::Apply { recipient, rows } => evidence::append(work, *recipient, rows, now).await.map(Some),
        Effect::Stray { original, reason, rows } => {
            evidence::store_stray(work, Some(inbound), original, reason, rows).await?;
            let text = format!("evidence without effect about `{original}`: {reason}");
            events::notice(work, now, "stray-evidence", &inbound.to_string(), &text).await?;
            Ok(None)
        }
    }
}

fn inbound_view(row: &sql::Row, parts: Vec<PartView>) -> Result<InboundView, Error> {
    let signer_der: Vec<u8> = row.get::<Option<_>>("signer")?.unwrap_or_default();
    let no_party = || Error::Damaged { what: "party of an inbound message", value: String::new() };
    Ok(InboundView {
        id: MessageRow::read(row.get("id")?)?,
        message_id: row.get("message_id")?,
        class: row.get::<&str>("class")?.parse()?,
        from: party(row, "from_party", "from_type")?.ok_or_else(no_party)?,
        to: party(row, "to_party", "to_type")?.ok_or_else(no_party)?,
        conversation: row.get("conversation")?,
        ref_to: row.get("ref_to")?,
        service: row.get::<Option<_>>("service")?.unwrap_or_default(),
        service_type: row.get("service_type")?,
        action: row.get::<Option<_>>("action")?.unwrap_or_default(),
        original_sender: row.get("original_sender")?,
        final_recipient: row.get("final_recipient")?,
        properties: from_json("message properties", row.get("properties")?)?,
        messaging: row.get::<Option<_>>("messaging")?.unwrap_or_default(),
        signed_references: value(row, "signed_references")?.unwrap_or_default(),
        pmode: value(row, "pmode")?.unwrap_or_default(),
        signer: digest("signer digest", &openssl::sha::sha256(&signer_der))?,
        signer_der,
        receipt: row.get::<Option<_>>("receipt")?.unwrap_or_default(),
        parts,
        received: time(row.get("created")?)?,
    })
}
