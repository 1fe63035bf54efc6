//! Evidence that comes in about messages of ours: read leniently, weighed strictly (model.md 4, "Who may testify").

use super::Office;
use crate::ebms::{UserMessage, names};
use crate::evidence::{self, Courier, Original, Root, Testimony, Weight};
use crate::pki::{Certificate, Trust, TrustStore};
use crate::pmode::{EvidenceRule, PMode};
use crate::status::{Row, Signal};
use crate::store::{Effect, Error, NewEvidence, OriginalMessage};

/// Whether a message carries evidence under its processing mode.
pub fn is_evidence(message: &UserMessage, pmode: &PMode) -> bool {
    pmode.evidence == EvidenceRule::Rem && Root::from_name(&message.action).is_some()
}

/// Whether a certificate, with those that came along, may sign for the party that sent the evidence.
pub type PartySigns<'a> = &'a (dyn Fn(&Certificate, &[Certificate]) -> bool + Send + Sync);

/// What a verified evidence message does: it moves the status of one recipient, or is kept without effect, with a notice.
///
/// # Errors
/// Those of the store.
pub async fn weigh(
    office: &Office,
    message: &UserMessage,
    (signer, party_signs): (&Certificate, PartySigns<'_>),
    octets: Vec<u8>,
) -> Result<Effect, Error> {
    let claimed = message.property(names::ORIGINAL_MESSAGE_ID);
    let claimed = claimed.or(message.info.ref_to_message_id.as_deref()).unwrap_or_default().to_owned();
    let read = tokio::task::block_in_place(|| evidence::read(&octets));
    let testimony = match read {
        Ok(testimony) => testimony,
        Err(error) => return Ok(stray(office, claimed, error.to_string(), None, octets)),
    };
    if testimony.message_id.as_ref().is_some_and(|id| *id != claimed) {
        let reason = format!("its text speaks of {:?}, its header of {claimed:?}", testimony.message_id);
        return Ok(stray(office, claimed, reason, Some(&testimony), octets));
    }
    let known = office.store.recipient_for_message(&claimed).await?;
    let original = known.as_ref().map(original);
    let nobody = TrustStore::new(Vec::new());
    let trust = known.as_ref().and_then(|k| office.evidence_trust.get(&k.domain)).unwrap_or(&nobody);
    let weight = evidence::weigh(
        &testimony,
        &courier(message, signer),
        original.as_ref(),
        &|witness: &Certificate, extra: &[Certificate]| {
            party_signs(witness, extra) || trust.judge(witness, extra, office.clock.now()) == Trust::Trusted
        },
    );
    Ok(match (weight, known) {
        (Weight::Counts, Some(known)) => {
            let rows = vec![row(office, Some(&testimony), octets, true)];
            Effect::Apply { recipient: known.recipient, rows }
        }
        (Weight::None(reason), _) => stray(office, claimed, reason, Some(&testimony), octets),
        (Weight::Orphan | Weight::Counts, _) => {
            stray(office, claimed, "it speaks of a message that is not ours".into(), Some(&testimony), octets)
        }
    })
}

fn original(known: &OriginalMessage) -> Original {
    Original {
        to: known.to.clone().unwrap_or_default(),
        original_sender: known.original_sender.clone(),
        final_recipient: known.final_recipient.clone(),
    }
}

fn courier(message: &UserMessage, signer: &Certificate) -> Courier {
    Courier {
        from: (message.from.id.value.clone(), message.from.id.party_type.clone()),
        original_sender: message.corner(names::ORIGINAL_SENDER),
        final_recipient: message.corner(names::FINAL_RECIPIENT),
        signer: signer.clone(),
    }
}

fn stray(
    office: &Office,
    original: String,
    reason: String,
    testimony: Option<&Testimony>,
    octets: Vec<u8>,
) -> Effect {
    tracing::warn!(message.id = original, reason, "evidence without effect");
    Effect::Stray { original, reason, rows: vec![row(office, testimony, octets, false)] }
}

fn row(office: &Office, testimony: Option<&Testimony>, octets: Vec<u8>, counts: bool) -> NewEvidence {
    let now = office.clock.now();
    let Some(testimony) = testimony else {
        return NewEvidence::new(
            Row::local(Signal::Note, now, crate::id::message_id("stray")),
            "rem",
            octets,
        );
    };
    let mut row = Row::remote(testimony.signal, testimony.event_time, now, testimony.identifier.clone());
    row.signed = counts;
    let reasons: Vec<String> = testimony.reasons.iter().filter_map(|r| r.details.clone()).collect();
    if !reasons.is_empty() {
        row = row.because(reasons.join("; "));
    }
    let evidence = NewEvidence::new(row, "rem", octets);
    match &testimony.signer {
        Some(signer) => evidence.issued_by(signer.sha256()),
        None => evidence,
    }
}
