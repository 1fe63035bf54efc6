//! Evidence that comes in about messages of ours: read leniently, weighed strictly (model.md 4, "Who may testify").

use super::Office;
use crate::clock::Timestamp;
use crate::ebms::{UserMessage, names};
use crate::evidence::{self, Courier, Original, Root, Testimony, Weight};
use crate::pki::{Certificate, TrustStore};
use crate::pmode::{EvidenceRule, PMode};
use crate::status::{Row, Signal};
use crate::store::{Effect, Error, NewEvidence, OriginalMessage};
use crate::thread;
use crate::transport::{Revoker, Unusable};

/// Whether a message carries evidence under its processing mode.
pub fn is_evidence(message: &UserMessage, pmode: &PMode) -> bool {
    pmode.evidence == EvidenceRule::Rem && Root::from_name(&message.action).is_some()
}

/// The path from a certificate to an anchor, with those that came along.
pub type PathOf<'p> = dyn Fn(&Certificate, &[Certificate]) -> Option<Vec<Certificate>> + Send + Sync + 'p;

/// The party that brought the evidence.
pub struct Party<'a> {
    /// The certificate that signed the AS4 message; it was asked after already.
    pub signer: &'a Certificate,
    /// Gives a path for the certificates that may sign for it.
    pub signs: &'a PathOf<'a>,
    /// What asks after those.
    pub revoker: Option<&'a Revoker>,
}

/// Whom a domain believes besides the party itself.
pub struct EvidenceTrust {
    /// The anchors.
    pub anchors: TrustStore,
    /// What asks after certificates under them.
    pub revoker: Revoker,
}

/// Why evidence cannot be weighed now.
#[derive(Debug, thiserror::Error)]
pub enum Postponed {
    /// Environment: the store.
    #[error(transparent)]
    Store(#[from] Error),
    /// Environment: it cannot be told whether the witness is revoked, and it must be.
    #[error(transparent)]
    Untold(Unusable),
}

/// What a verified evidence message does: it moves the status of one recipient, or is kept without effect, with a notice.
///
/// # Errors
/// [`Postponed`]; then nothing was decided.
pub async fn weigh(
    office: &Office,
    message: &UserMessage,
    party: &Party<'_>,
    octets: Vec<u8>,
) -> Result<Effect, Postponed> {
    let claimed = message.property(names::ORIGINAL_MESSAGE_ID);
    let claimed = claimed.or(message.info.ref_to_message_id.as_deref()).unwrap_or_default().to_owned();
    let read = thread::apart(|| evidence::read(&octets));
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
    let trust = known.as_ref().and_then(|k| office.evidence_trust.get(&k.domain));
    let witness = Witnesses { party, trust, at: office.clock.now() };
    let believed = |one: &Certificate, extra: &[Certificate]| witness.path(one, extra).is_some();
    let mut weight =
        evidence::weigh(&testimony, &courier(message, party.signer), original.as_ref(), &believed);
    if weight == Weight::Counts {
        weight = witness.judge_revocation(&testimony).await?;
    }
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

/// Whose signatures under evidence are believed.
struct Witnesses<'a> {
    party: &'a Party<'a>,
    trust: Option<&'a EvidenceTrust>,
    at: Timestamp,
}

impl<'a> Witnesses<'a> {
    /// The path from a witness to an anchor, the party's or the domain's, and what asks after it.
    fn path(
        &self,
        witness: &Certificate,
        extra: &[Certificate],
    ) -> Option<(Vec<Certificate>, Option<&'a Revoker>)> {
        if let Some(path) = (self.party.signs)(witness, extra) {
            return Some((path, self.party.revoker));
        }
        let trust = self.trust?;
        trust.anchors.path(witness, extra, self.at).map(|path| (path, Some(&trust.revoker)))
    }

    /// A revoked witness does not count; where it cannot be told and must be, the evidence has to come again.
    async fn judge_revocation(&self, testimony: &Testimony) -> Result<Weight, Postponed> {
        let Some(witness) = testimony.signer.as_ref().filter(|signer| *signer != self.party.signer) else {
            return Ok(Weight::Counts);
        };
        let Some((path, Some(revoker))) = self.path(witness, &testimony.certificates) else {
            return Ok(Weight::Counts);
        };
        match revoker.judge(&path).await {
            Ok(_) => Ok(Weight::Counts),
            Err(revoked @ Unusable::Revoked { .. }) => Ok(Weight::None(revoked.to_string())),
            Err(untold @ Unusable::Untold { .. }) => Err(Postponed::Untold(untold)),
        }
    }
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
