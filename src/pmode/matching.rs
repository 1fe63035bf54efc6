//! Finds the processing mode of a message from its header (as4-wire 4.7): static agreements first, then domains.

use super::agreement::{Agreement, Dynamic, PMode};
use super::profile::{AgreementRule, ConversationRule, RefToRule};
use crate::ebms::{PartyId, Service, UserMessage};

/// All agreements of a node.
#[derive(Debug, Clone)]
pub struct Agreements {
    /// Our own PartyId.
    pub own: PartyId,
    /// Static partners.
    pub agreements: Vec<Agreement>,
    /// Domains.
    pub dynamic: Vec<Dynamic>,
}

/// Why no processing mode fits. Told to the peer as EBMS:0010, without the text.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// To is not us.
    #[error("the message is for party {0:?}, not for this access point")]
    NotForUs(String),
    /// Nobody of that name or type.
    #[error(
        "there is no agreement with party {party:?} (type {party_type:?}) for service {service:?}, action {action:?}"
    )]
    NoAgreement {
        /// From/PartyId.
        party: String,
        /// Its type.
        party_type: Option<String>,
        /// Service.
        service: String,
        /// Action.
        action: String,
    },
    /// The header breaks a rule of the profile.
    #[error("{field} is {value:?}: {rule}")]
    Header {
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: String,
        /// The rule.
        rule: &'static str,
    },
}

/// What is known when an outbound message looks for its processing mode.
#[derive(Debug, Clone, Copy)]
pub struct Outbound<'a> {
    /// The partner's PartyId value.
    pub partner: &'a str,
    /// Service.
    pub service: &'a str,
    /// Action.
    pub action: &'a str,
}

impl Agreements {
    /// The processing mode of a received message, judged by its (still unverified) header.
    ///
    /// # Errors
    /// [`Mismatch`], which the peer reads as EBMS:0010.
    pub fn inbound(&self, message: &UserMessage) -> Result<PMode, Mismatch> {
        if message.to.id != self.own {
            return Err(Mismatch::NotForUs(message.to.id.value.clone()));
        }
        let from = &message.from.id;
        let fixed = self.agreements.iter().find(|a| a.partner == *from && serves(a, message));
        let pmode = match fixed {
            Some(agreement) => self.fixed(agreement),
            None => self.dynamic_for(from).ok_or_else(|| no_agreement(message))?,
        };
        header_rules(&pmode, message).map(|()| pmode)
    }

    /// The processing mode of a message to a static partner.
    pub fn outbound(&self, wanted: Outbound<'_>) -> Option<PMode> {
        let fits = |a: &&Agreement| {
            a.partner.value == wanted.partner
                && a.service.as_ref().is_none_or(|s| s.value == wanted.service)
                && a.action.as_ref().is_none_or(|s| s == wanted.action)
        };
        self.agreements.iter().find(fits).map(|a| self.fixed(a))
    }

    /// The processing mode towards an access point that discovery found in `domain`.
    pub fn discovered(&self, domain: &str, peer: PartyId) -> Option<PMode> {
        self.dynamic.iter().find(|d| d.domain == domain).map(|d| self.of_domain(d, peer))
    }

    fn fixed(&self, agreement: &Agreement) -> PMode {
        PMode {
            id: agreement.id.clone(),
            domain: None,
            own: self.own.clone(),
            peer: agreement.partner.clone(),
            profile: agreement.profile.clone(),
            evidence: agreement.evidence,
        }
    }

    fn dynamic_for(&self, from: &PartyId) -> Option<PMode> {
        let fits = |d: &&Dynamic| d.party_type.is_none() || d.party_type == from.party_type;
        self.dynamic.iter().find(fits).map(|d| self.of_domain(d, from.clone()))
    }

    fn of_domain(&self, dynamic: &Dynamic, peer: PartyId) -> PMode {
        PMode {
            id: format!("dynamic:{}", dynamic.domain),
            domain: Some(dynamic.domain.clone()),
            own: self.own.clone(),
            peer,
            profile: dynamic.profile.clone(),
            evidence: dynamic.evidence,
        }
    }
}

/// The test service is configured for every combination of parties (EDEL115 1.4.4.3).
fn serves(agreement: &Agreement, message: &UserMessage) -> bool {
    let service = |s: &Service| *s == message.service;
    message.is_test()
        || (agreement.service.as_ref().is_none_or(service)
            && agreement.action.as_ref().is_none_or(|a| *a == message.action))
}

fn no_agreement(message: &UserMessage) -> Mismatch {
    Mismatch::NoAgreement {
        party: message.from.id.value.clone(),
        party_type: message.from.id.party_type.clone(),
        service: message.service.value.clone(),
        action: message.action.clone(),
    }
}

fn header_rules(pmode: &PMode, message: &UserMessage) -> Result<(), Mismatch> {
    let profile = &pmode.profile;
    let broken = |field, value: &str, rule| Err(Mismatch::Header { field, value: value.into(), rule });
    if let (AgreementRule::Fixed { value, .. }, Some(found)) =
        (&profile.agreement_ref, &message.agreement_ref)
        && found.value != *value
    {
        return broken("AgreementRef", &found.value, "the network has one fixed agreement");
    }
    if let (RefToRule::Forbidden, Some(found)) = (profile.ref_to_message_id, &message.info.ref_to_message_id)
    {
        return broken("RefToMessageId", found, "the network forbids it in user messages");
    }
    let conversation = &message.conversation_id;
    match profile.conversation_id {
        ConversationRule::Uuid if uuid::Uuid::parse_str(conversation).is_err() => {
            broken("ConversationId", conversation, "the network demands a UUID")
        }
        ConversationRule::Empty if !conversation.is_empty() => {
            broken("ConversationId", conversation, "the network demands the empty string")
        }
        _ => Ok(()),
    }
}
