//! Who may testify (model 4): pure, so that the rule can be read and tested in one place.

use super::read::{SignatureState, Testimony};
use crate::pki::Certificate;

/// The message of ours that evidence speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// To PartyId and type as sent.
    pub to: (String, Option<String>),
    /// originalSender as sent.
    pub original_sender: Option<String>,
    /// finalRecipient as sent.
    pub final_recipient: Option<String>,
}

/// The AS4 message that brought the evidence, after all its checks.
#[derive(Debug, Clone)]
pub struct Courier {
    /// From PartyId and type.
    pub from: (String, Option<String>),
    /// originalSender.
    pub original_sender: Option<String>,
    /// finalRecipient.
    pub final_recipient: Option<String>,
    /// Its signer.
    pub signer: Certificate,
}

/// What a testimony counts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weight {
    /// It moves the status.
    Counts,
    /// The message it speaks of is not ours: kept as an orphan, with a notice.
    Orphan,
    /// It has no effect, for this reason: kept, with a notice.
    None(String),
}

/// Weighs a testimony. `believed` says whether a certificate, with those that came along, is one of the party's or under
/// the domain's `evidence_trust`.
pub fn weigh(
    testimony: &Testimony,
    courier: &Courier,
    original: Option<&Original>,
    believed: &dyn Fn(&Certificate, &[Certificate]) -> bool,
) -> Weight {
    let Some(original) = original else { return Weight::Orphan };
    let swapped = courier.final_recipient == original.original_sender
        && courier.original_sender == original.final_recipient;
    let refusal = if courier.from != original.to {
        format!("it came from party {}, the message went to {}", courier.from.0, original.to.0)
    } else if !swapped {
        "originalSender and finalRecipient are not those of the message, swapped".to_owned()
    } else {
        match signature_refusal(testimony, courier, believed) {
            Some(refusal) => refusal,
            None => return Weight::Counts,
        }
    };
    Weight::None(refusal)
}

fn signature_refusal(
    testimony: &Testimony,
    courier: &Courier,
    believed: &dyn Fn(&Certificate, &[Certificate]) -> bool,
) -> Option<String> {
    match &testimony.signature {
        SignatureState::Valid => {}
        SignatureState::Absent => return Some("it is not signed".to_owned()),
        SignatureState::Invalid(why) => return Some(format!("its signature does not hold: {why}")),
        SignatureState::Unsupported(why) => return Some(format!("its signature cannot be checked: {why}")),
    }
    let Some(signer) = &testimony.signer else { return Some("its signer is not named".to_owned()) };
    if signer.der() == courier.signer.der() || believed(signer, &testimony.certificates) {
        return None;
    }
    Some(format!("its signer {} is neither the party nor under evidence_trust", signer.subject()))
}
