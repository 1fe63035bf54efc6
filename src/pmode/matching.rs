//! Finds the processing mode of a message from its header (as4-wire 4.7): static agreements first, then domains.

use super::agreement::{Agreement, Dynamic, PMode};
use super::profile::{AgreementRule, ConversationRule, Profile, RefToRule};
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
    /// The processing mode of a received message, judged by its (still unverified) header. Of several that fit, the first
    /// that allows the signature algorithm which the message shows.
    ///
    /// # Errors
    /// [`Mismatch`], which the peer reads as EBMS:0010.
    pub fn inbound(&self, message: &UserMessage, signature: Option<&str>) -> Result<PMode, Mismatch> {
        if message.to.id != self.own {
            return Err(Mismatch::NotForUs(message.to.id.value.clone()));
        }
        let from = &message.from.id;
        let fixed = self.agreements.iter().filter(|a| a.partner == *from && serves(a, message));
        let fixed = choose(fixed, |a| &a.profile, signature).map(|a| self.fixed(a));
        let mut pmode =
            fixed.or_else(|| self.dynamic_for(from, signature)).ok_or_else(|| no_agreement(message))?;
        pmode.signature = signature.map(str::to_owned);
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

    /// The processing mode towards an access point that discovery found in `domain` under that transport profile.
    pub fn discovered(&self, domain: &str, transport_profile: Option<&str>, peer: PartyId) -> Option<PMode> {
        let dynamic = self.dynamic.iter().find(|d| d.domain == domain)?;
        let own = transport_profile.and_then(|name| dynamic.by_transport.get(name));
        Some(self.of_domain(dynamic, own.unwrap_or(&dynamic.profile), peer))
    }

    fn fixed(&self, agreement: &Agreement) -> PMode {
        PMode {
            id: agreement.id.clone(),
            domain: None,
            own: self.own.clone(),
            peer: agreement.partner.clone(),
            profile: agreement.profile.clone(),
            evidence: agreement.evidence,
            signature: None,
        }
    }

    fn dynamic_for(&self, from: &PartyId, signature: Option<&str>) -> Option<PMode> {
        let fits = |d: &&Dynamic| d.party_type.is_none() || d.party_type == from.party_type;
        let profiles = self.dynamic.iter().filter(fits).flat_map(|dynamic| {
            std::iter::once(&dynamic.profile)
                .chain(dynamic.by_transport.values())
                .map(move |profile| (dynamic, profile))
        });
        let chosen = choose(profiles, |(_, profile)| profile, signature);
        chosen.map(|(dynamic, profile)| self.of_domain(dynamic, profile, from.clone()))
    }

    fn of_domain(&self, dynamic: &Dynamic, profile: &Profile, peer: PartyId) -> PMode {
        PMode {
            id: format!("dynamic:{}", dynamic.domain),
            domain: Some(dynamic.domain.clone()),
            own: self.own.clone(),
            peer,
            profile: profile.clone(),
            evidence: dynamic.evidence,
            signature: None,
        }
    }
}

/// The first whose profile allows the signature that a message shows; without such a one the first, under which the
/// message is then refused.
fn choose<T>(
    candidates: impl Iterator<Item = T>,
    profile: impl for<'t> Fn(&'t T) -> &'t Profile,
    signature: Option<&str>,
) -> Option<T> {
    let mut candidates = candidates.peekable();
    let first = candidates.next()?;
    let allows = |candidate: &T| {
        signature.is_none_or(|uri| profile(candidate).security_policy().accepts_signature(uri))
    };
    // Nearly always there is one, and nothing to choose.
    if candidates.peek().is_none() || allows(&first) {
        return Some(first);
    }
    candidates.find(allows).or(Some(first))
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
    if let AgreementRule::Fixed { value, agreement_type } = &profile.agreement_ref {
        let found = message.agreement_ref.as_ref();
        if !found.is_some_and(|found| found.value == *value && found.agreement_type == *agreement_type) {
            let found = found.map(|found| found.value.as_str()).unwrap_or_default();
            return broken(
                "AgreementRef",
                found,
                "the network has one fixed agreement, and every message names it",
            );
        }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ebms::{AgreementRef, MessageInfo, Party};
    use crate::pmode::EvidenceRule;

    const RSA: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
    const EDDSA: &str = "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519";
    const ECDSA: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";

    fn party(value: &str) -> PartyId {
        PartyId { value: value.into(), party_type: None }
    }

    fn message(from: &str) -> UserMessage {
        let role = |value: &str| Party { id: party(value), role: "urn:r".into() };
        UserMessage {
            mpc: None,
            info: MessageInfo {
                timestamp: "2026-11-22T12:00:00Z".parse().unwrap(),
                message_id: "1@x".into(),
                ref_to_message_id: None,
            },
            from: role(from),
            to: role("urn:own"),
            agreement_ref: None,
            service: Service { value: "urn:s".into(), service_type: None },
            action: "a".into(),
            conversation_id: "c".into(),
            properties: Vec::new(),
            parts: Vec::new(),
        }
    }

    fn agreements() -> Agreements {
        let fixed = |id: &str, profile| Agreement {
            id: id.into(),
            partner: party("urn:both"),
            profile,
            service: None,
            action: None,
            evidence: EvidenceRule::ReceiptOnly,
        };
        let by_transport = BTreeMap::from([("two".to_owned(), Profile::edelivery_2_0())]);
        Agreements {
            own: party("urn:own"),
            agreements: vec![fixed("old", Profile::edelivery_1_15()), fixed("new", Profile::edelivery_2_0())],
            dynamic: vec![Dynamic {
                domain: "d".into(),
                party_type: None,
                profile: Profile::edelivery_1_15(),
                by_transport,
                evidence: EvidenceRule::ReceiptOnly,
            }],
        }
    }

    #[test]
    fn of_several_agreements_the_one_that_allows_the_signature_applies() {
        let all = agreements();
        let id =
            |signature| all.inbound(&message("urn:both"), signature).map(|p| (p.id, p.signature)).unwrap();
        assert_eq!(id(Some(RSA)), ("old".to_owned(), Some(RSA.to_owned())));
        assert_eq!(id(Some(EDDSA)), ("new".to_owned(), Some(EDDSA.to_owned())));
        assert_eq!(id(Some(ECDSA)).0, "old", "refused under the first");
        assert_eq!(id(None), ("old".to_owned(), None));
        let name = |signature| all.inbound(&message("urn:any"), Some(signature)).unwrap().profile.name;
        assert_eq!((name(RSA).as_str(), name(EDDSA).as_str()), ("edelivery-1.15", "edelivery-2.0"));
        assert_eq!(name(ECDSA), "edelivery-1.15");
    }

    #[test]
    fn peppol_demands_its_agreement_and_forbids_answers() {
        let mut all = agreements();
        all.dynamic[0].profile = Profile::peppol();
        let named = |value: &str, kind: Option<&str>| {
            let agreement_type = kind.map(str::to_owned);
            let mut message = message("urn:any");
            message.agreement_ref = Some(AgreementRef { value: value.into(), agreement_type, pmode: None });
            message
        };
        let right = "urn:fdc:peppol.eu:2017:agreements:tia:ap_provider";
        let answered = UserMessage {
            info: MessageInfo { ref_to_message_id: Some("0@x".into()), ..message("urn:any").info },
            ..named(right, None)
        };
        assert!(all.inbound(&named(right, None), Some(RSA)).is_ok());
        for (wrong, field) in [
            (message("urn:any"), "AgreementRef"),
            (named("urn:other", None), "AgreementRef"),
            (named(right, Some("urn:type")), "AgreementRef"),
            (answered, "RefToMessageId"),
        ] {
            let refused = all.inbound(&wrong, Some(RSA)).unwrap_err();
            assert!(refused.to_string().contains(field), "{refused}");
        }
    }

    #[test]
    fn the_transport_profile_found_chooses_the_network_profile() {
        let all = agreements();
        let name = |transport| all.discovered("d", transport, party("urn:x")).unwrap().profile.name;
        assert_eq!(name(Some("two")), "edelivery-2.0");
        assert_eq!(
            (name(Some("one")), name(None)),
            ("edelivery-1.15".to_owned(), "edelivery-1.15".to_owned())
        );
        let kept = all.discovered("d", None, party("urn:x")).unwrap();
        let moved = kept.clone().secured_as(&all.discovered("d", Some("two"), party("urn:y")).unwrap());
        assert_eq!((moved.profile.name.as_str(), &moved.peer), ("edelivery-2.0", &kept.peer));
    }
}
