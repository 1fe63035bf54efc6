//! Stage 5: the one transaction that makes a message ours, or finds that it is ours already.
//!
//! Raises EBMS:0003 for a MessageId that came before with other content; HTTP 503 when the store cannot take it.

use std::io::Read;

use super::super::{Node, NotNow, Testimony};
use super::again::{Again, Copy, compare};
use super::check::Checked;
use super::reject::Refusal;
use super::secure::Secured;
use crate::clock::Timestamp;
use crate::crash::{self, Point};
use crate::ebms::{Code, MessageInfo, SignedReference, UserMessage, names, write_receipt};
use crate::pki::Certificate;
use crate::pmode::{Admitted, EvidenceRule, PMode};
use crate::store::{Accepted, Class, Effect, InboundKey, NewInbound, NewInboundPart, Store, Stored};
use crate::{id, store};

/// Largest evidence that is read into memory, in octets.
const EVIDENCE_OCTETS: u64 = 1 << 20;

/// A message whose receipt may leave.
pub(super) struct Done {
    /// The receipt's octets.
    pub receipt: Vec<u8>,
}

/// Stores message, payloads, receipt and delivery in one transaction.
pub(super) async fn accept(node: &Node, checked: Checked) -> Result<Done, Refusal> {
    let (message, pmode) = (checked.secured.message.clone(), checked.secured.pmode.clone());
    let outcome = keep(node, checked, &message).await;
    outcome.map_err(|refusal| refusal.about(&message).under(&pmode))
}

async fn keep(node: &Node, checked: Checked, message: &UserMessage) -> Result<Done, Refusal> {
    let receipt = receipt(node, &checked.secured)?;
    let references = checked.secured.references.clone();
    let class = checked.class;
    let new = inbound(node, checked, receipt.clone()).await?;
    crash::at(Point::AcceptBegun);
    let accepted = to_its_end(node.store.clone(), new).await.map_err(|e| Refusal::store(&e))?;
    crash::at(Point::AcceptCommitted);
    match accepted {
        Accepted::New { .. } => {
            tracing::info!(message.id = message.info.message_id, class = class.as_str(), "message received");
            metrics::counter!(crate::metrics::ACCEPTED, "class" => class.as_str()).increment(1);
            Ok(Done { receipt })
        }
        Accepted::Duplicate(stored) => {
            let came = Copy { message, references: &references };
            duplicate(&came, *stored, receipt)
        }
    }
}

/// When the peer hangs up, whatever answers it is dropped where it stands. Storing is not: between a payload's file and its row
/// that would leave a file that nobody names.
async fn to_its_end(store: Store, new: NewInbound) -> Result<Accepted, store::Error> {
    let storing = tokio::spawn(async move { store.accept(new).await });
    storing.await.unwrap_or(Err(store::Error::Closed))
}

/// The same message: the stored receipt. The same, built anew: a new receipt. Another one: a contradiction (model.md 2).
fn duplicate(came: &Copy<'_>, stored: Stored, new: Vec<u8>) -> Result<Done, Refusal> {
    let known: Vec<SignedReference> = serde_json::from_value(stored.signed_references).map_err(|error| {
        Refusal::store(&store::Error::Damaged { what: "signed references", value: error.to_string() })
    })?;
    let again = compare(came, &stored.messaging, &known);
    if again == Again::Other {
        return Err(Refusal::new(Code::ValueInconsistent, "this MessageId came before with other content"));
    }
    tracing::info!(message.id = came.message.info.message_id, "duplicate; its receipt is sent again");
    metrics::counter!(crate::metrics::DUPLICATES).increment(1);
    // The stored one stays with the copy that it speaks of, which may come again too.
    Ok(Done { receipt: if again == Again::Same { stored.receipt } else { new } })
}

fn receipt(node: &Node, secured: &Secured) -> Result<Vec<u8>, Refusal> {
    let info = MessageInfo {
        timestamp: node.clock.now(),
        message_id: id::message_id(&node.domain),
        ref_to_message_id: Some(secured.message.info.message_id.clone()),
    };
    let xml_id = id::xml_id("msg");
    let messaging = write_receipt(&info, &secured.reference_elements, &xml_id);
    node.seal_signal(&messaging, &xml_id, &secured.pmode.security_policy()).map_err(|error| {
        let text = format!("the receipt could not be signed: {error}");
        Refusal::not_now(text)
    })
}

async fn inbound(node: &Node, checked: Checked, receipt: Vec<u8>) -> Result<NewInbound, Refusal> {
    let Checked { mut secured, class, admitted } = checked;
    let effect = match class {
        Class::Evidence => Some(weigh(node, &mut secured).await?),
        Class::Business | Class::Test => None,
    };
    let Secured { message, pmode, signer, references, messaging, parts, .. } = secured;
    let json = |value| serde_json::to_value(value).unwrap_or_default();
    Ok(NewInbound {
        key: InboundKey {
            party: message.from.id.value.clone(),
            party_type: message.from.id.party_type.clone(),
            message_id: message.info.message_id.clone(),
        },
        to: (message.to.id.value.clone(), message.to.id.party_type.clone()),
        conversation: message.conversation_id.clone(),
        ref_to: message.info.ref_to_message_id.clone(),
        class,
        service: (message.service.value.clone(), message.service.service_type.clone()),
        action: message.action.clone(),
        original_sender: message.corner(names::ORIGINAL_SENDER),
        final_recipient: message.corner(names::FINAL_RECIPIENT),
        properties: json(serde_json::to_value(&message.properties).unwrap_or_default()),
        messaging,
        signed_references: serde_json::to_value(&references).unwrap_or_default(),
        pmode: serde_json::to_value(&pmode).unwrap_or_default(),
        signer: signer.der().to_vec(),
        receipt,
        deadline: deadline(&message, &pmode).or_else(|| within(node, admitted.as_ref())),
        parts: parts.into_iter().filter_map(stored_part).collect(),
        at_disposal: pmode.evidence == EvidenceRule::ReceiptOnly
            && admitted.as_ref().is_some_and(|a| a.lists),
        backend: admitted.map(|a| a.backend),
        effect,
    })
}

/// The sender's, where it hears of what became of it (model.md 4): else a property of that name is its own business, and the message would
/// be taken away from its recipient without a word to anybody.
fn deadline(message: &UserMessage, pmode: &PMode) -> Option<Timestamp> {
    let given = message.property(names::DEADLINE).filter(|_| pmode.evidence == EvidenceRule::Rem);
    given.and_then(|text| text.parse().ok())
}

/// The receiving backend's own limit, where the message names no deadline (model.md 4).
fn within(node: &Node, admitted: Option<&Admitted>) -> Option<Timestamp> {
    node.clock.now().checked_add(admitted?.take_within?).ok()
}

fn stored_part(part: super::parts::ReceivedPart) -> Option<NewInboundPart> {
    let media_type = part.info.property(names::MIME_TYPE).unwrap_or(&part.media_type).to_owned();
    // The consumer never sees what the access points did between themselves (AS4P 3.1).
    let own = |name: &str| name.eq_ignore_ascii_case(names::COMPRESSION_TYPE);
    let properties = part.info.properties.into_iter().filter(|p| !own(&p.name));
    Some(NewInboundPart {
        payload: part.payload?,
        cid: part.cid,
        media_type,
        properties: properties.map(|p| (p.name, p.value)).collect(),
    })
}

async fn weigh(node: &Node, secured: &mut Secured) -> Result<Effect, Refusal> {
    let mut evidence = Vec::new();
    if let Some(payload) = secured.parts.first().and_then(|p| p.payload.as_ref()) {
        let reader = payload.open().map_err(|e| Refusal::store(&e))?;
        reader
            .take(EVIDENCE_OCTETS)
            .read_to_end(&mut evidence)
            .map_err(|e| Refusal::not_now(format!("the spool cannot be read: {e}")))?;
    }
    let (pmode, now) = (&secured.pmode, node.clock.now());
    let party_signs =
        |signer: &Certificate, extra: &[Certificate]| node.peers.believe(pmode, signer, extra, now).ok();
    let testimony = Testimony {
        message: &secured.message,
        pmode,
        evidence,
        signer: &secured.signer,
        party_signs: &party_signs,
        revoker: node.revoker(pmode),
    };
    node.intake.weigh(testimony).await.map_err(|e| match e {
        NotNow::Store(error) => Refusal::store(&error),
        NotNow::Untold(unusable) => Refusal::not_now(unusable.to_string()),
    })
}
