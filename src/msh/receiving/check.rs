//! Stage 4: what the profile and the backends say of a verified message.
//!
//! Raises EBMS:0303 (compression), EBMS:0003 (properties, number and size of parts), EBMS:0010 (corners) and what admission says
//! (EBMS:0004).

use super::super::Node;
use super::parts::ReceivedPart;
use super::reject::Refusal;
use super::secure::Secured;
use crate::ebms::{Code, UserMessage, names};
use crate::pmode::{Admitted, Envelope, FourCorners, Opening, PMode};
use crate::store::Class;

/// A message that may be stored.
pub(super) struct Checked {
    /// What `secure` found.
    pub secured: Secured,
    /// What it is for.
    pub class: Class,
    /// The backend that gets it.
    pub admitted: Option<Admitted>,
}

/// Checks payloads, properties and whether anybody here takes the message.
pub(super) fn check(node: &Node, secured: Secured) -> Result<Checked, Refusal> {
    let judged = judge(node, &secured);
    match judged {
        Ok((class, admitted)) => Ok(Checked { secured, class, admitted }),
        Err(refusal) => Err(refusal.about(&secured.message).under(&secured.pmode)),
    }
}

fn judge(node: &Node, secured: &Secured) -> Result<(Class, Option<Admitted>), Refusal> {
    let Secured { message, pmode, parts, .. } = secured;
    parts.iter().try_for_each(part_properties)?;
    if parts.len() > pmode.profile.max_parts as usize {
        let reason = format!("{} parts; the profile allows {}", parts.len(), pmode.profile.max_parts);
        return Err(Refusal::new(Code::ValueInconsistent, reason));
    }
    parts.iter().try_for_each(|part| size(part, pmode.profile.max_payload_octets))?;
    if message.is_test() {
        return Ok((Class::Test, None));
    }
    corners(message, pmode)?;
    if node.intake.is_evidence(message, pmode) {
        return match parts.len() {
            1 => Ok((Class::Evidence, None)),
            n => Err(Refusal::new(
                Code::ValueInconsistent,
                format!("an evidence message has one part, not {n}"),
            )),
        };
    }
    let admitted = node.admission.admit(message, pmode, opening(parts, pmode)?.as_ref());
    admitted
        .map(|admitted| (Class::Business, Some(admitted)))
        .map_err(|refused| Refusal::new(refused.code, refused.reason).detail(refused.detail))
}

fn part_properties(part: &ReceivedPart) -> Result<(), Refusal> {
    if let Some(problem) = &part.inflation {
        return Err(Refusal::new(Code::DecompressionFailure, format!("part {}: {problem}", part.cid)));
    }
    if part.info.is_compressed() && part.info.property(names::MIME_TYPE).is_none() {
        let reason = format!("part {} is compressed but has no MimeType property", part.cid);
        return Err(Refusal::new(Code::ValueInconsistent, reason));
    }
    match part.info.property(names::CHARACTER_SET) {
        Some(name) if !is_encoding_name(name) => {
            let reason = format!("part {}: CharacterSet {name:?} is no encoding name", part.cid);
            Err(Refusal::new(Code::ValueInconsistent, reason))
        }
        _ => Ok(()),
    }
}

/// What was agreed may be less than what this node takes at all.
fn size(part: &ReceivedPart, most: u64) -> Result<(), Refusal> {
    match &part.payload {
        Some(payload) if payload.size() > most => {
            let reason =
                format!("part {} has {} octets; the profile allows {most}", part.cid, payload.size());
            Err(Refusal::new(Code::ValueInconsistent, reason))
        }
        _ => Ok(()),
    }
}

/// The beginning of the first part, where the profile puts a business envelope there.
fn opening(parts: &[ReceivedPart], pmode: &PMode) -> Result<Option<Opening>, Refusal> {
    let first = parts.first().and_then(|part| part.payload.as_ref());
    let Some(payload) = first.filter(|_| pmode.profile.envelope != Envelope::None) else { return Ok(None) };
    let reader = payload.open().map_err(|e| Refusal::store(&e))?;
    Opening::read(reader, payload.size())
        .map(Some)
        .map_err(|e| Refusal::not_now(format!("the spool cannot be read: {e}")))
}

/// `EncName` of XML 1.0, 4.3.3.
fn is_encoding_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// originalSender and finalRecipient, where the profile demands them (EDEL115 1.5.1.2).
fn corners(message: &UserMessage, pmode: &PMode) -> Result<(), Refusal> {
    if pmode.profile.four_corners == FourCorners::Off {
        return Ok(());
    }
    for name in [names::ORIGINAL_SENDER, names::FINAL_RECIPIENT] {
        if message.property(name).is_none() {
            let reason = format!("the message property {name} is missing");
            return Err(Refusal::new(Code::ProcessingModeMismatch, reason));
        }
    }
    Ok(())
}
