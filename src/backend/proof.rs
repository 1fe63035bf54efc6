//! Evidence about a received message, on its way back to the sender (model.md 4, "On AS4").

use serde_json::json;

use openssl::pkey::{PKey, Private};

use super::Office;
use crate::clock::{SignedDuration, Timestamp};
use crate::ebms::names;
use crate::evidence::{self, Happening, NewRem, Spelling};
use crate::id;
use crate::pki::Certificate;
use crate::pmode::{EvidenceRule, PMode};
use crate::store::{Class, InboundView, NewEvidenceMessage};

/// How long evidence is tried to be sent.
const SEND_WITHIN: SignedDuration = SignedDuration::from_hours(24 * 7);

/// The evidence message that says what happened; `None` where the agreement asks for none.
///
/// # Errors
/// When the evidence key cannot sign.
pub(super) fn of(
    office: &Office,
    inbound: &InboundView,
    happening: Happening,
    now: Timestamp,
) -> Result<Option<NewEvidenceMessage>, evidence::Error> {
    let Some(pmode) = owed(inbound) else { return Ok(None) };
    let new = NewRem {
        happening,
        event_time: now,
        identifier: id::message_id(&office.domain),
        submission_time: Some(inbound.received),
        issuer: office.party.clone(),
        sender: inbound.original_sender.clone().unwrap_or_default(),
        recipient: inbound.final_recipient.clone().unwrap_or_default(),
        message_id: inbound.message_id.clone(),
        digest: inbound.parts.first().map(|part| part.original.sha256),
        spelling: Spelling::default(),
    };
    let signed = signed(office, &pmode, &new)?;
    Ok(Some(NewEvidenceMessage {
        message_id: id::message_id(&office.domain),
        conversation: inbound.conversation.clone(),
        ref_to: inbound.message_id.clone(),
        from: inbound.to.clone(),
        to: inbound.from.clone(),
        service: (inbound.service.clone(), inbound.service_type.clone()),
        action: signed.action.to_owned(),
        original_sender: inbound.final_recipient.clone(),
        final_recipient: inbound.original_sender.clone(),
        properties: json!([{ "name": names::ORIGINAL_MESSAGE_ID, "value": inbound.message_id }]),
        pmode: Some(json!(pmode)),
        payload: signed.octets,
        media_type: "application/xml".into(),
        send_until: now.checked_add(SEND_WITHIN).ok(),
    }))
}

/// By the key that signs AS4 messages to that party too, where several may sign: it recognises that one without more words.
fn signed(office: &Office, pmode: &PMode, new: &NewRem) -> Result<evidence::Signed, evidence::Error> {
    let rank = |(_, key): &&(Certificate, PKey<Private>)| pmode.signing_rank(key).unwrap_or(usize::MAX);
    let (certificate, key) = office.evidence_keys.iter().min_by_key(rank).ok_or(evidence::Error::NoKey)?;
    evidence::build(new, certificate, key)
}

/// Business messages under an agreement with evidence; evidence itself and tests are never evidenced.
fn owed(inbound: &InboundView) -> Option<PMode> {
    let pmode: PMode = serde_json::from_value(inbound.pmode.clone()).ok()?;
    (inbound.class == Class::Business && pmode.evidence == EvidenceRule::Rem).then_some(pmode)
}
