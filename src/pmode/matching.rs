//! Finds the processing mode of a message from its header (as4-wire 4.7): static agreements first, then domains.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::agreement::{Agreement, Dynamic, PMode, Scope};
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
    /// Places of the agreements of each partner, by PartyId; found out when first asked for. There may be thousands.
    places: OnceLock<HashMap<String, Vec<usize>>>,
}

/// Why no processing mode fits. Told to the peer as EBMS:0010, without the text.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// To is not us.
    #[error("the message is for party {0:?}, not for this access point")]
    NotForUs(String),
    /// Nobody of that name or type.
    #[error("there is no agreement with party {party:?} (type {party_type:?}) for {asked}")]
    NoAgreement {
        /// From/PartyId.
        party: String,
        /// Its type.
        party_type: Option<String>,
        /// Service and Action.
        asked: Scope,
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
    pub service: &'a Service,
    /// Action.
    pub action: &'a str,
}

impl Agreements {
    /// Of a node with that PartyId.
    pub fn new(own: PartyId, agreements: Vec<Agreement>, dynamic: Vec<Dynamic>) -> Self {
        Self { own, agreements, dynamic, places: OnceLock::new() }
    }

    /// The agreements with a partner, in their order.
    pub fn with(&self, partner: &str) -> impl Iterator<Item = &Agreement> {
        let places = self.places.get_or_init(|| {
            let mut places: HashMap<String, Vec<usize>> = HashMap::new();
            for (place, agreement) in self.agreements.iter().enumerate() {
                places.entry(agreement.partner.value.clone()).or_default().push(place);
            }
            places
        });
        places.get(partner).into_iter().flatten().filter_map(|place| self.agreements.get(*place))
    }

    /// The processing mode of a received message, judged by its (still unverified) header. Of several that fit, the first
    /// that allows the signature algorithm which the message shows. Whoever is party to an agreement is bound by it and is
    /// not taken for a mere member of a domain besides.
    ///
    /// # Errors
    /// [`Mismatch`], which the peer reads as EBMS:0010.
    pub fn inbound(&self, message: &UserMessage, signature: Option<&str>) -> Result<PMode, Mismatch> {
        if message.to.id != self.own {
            return Err(Mismatch::NotForUs(message.to.id.value.clone()));
        }
        let from = &message.from.id;
        let bound = self.with(&from.value).any(|a| a.partner == *from);
        let candidates: Vec<Rules<'_>> = match bound {
            true => {
                let serving =
                    self.with(&from.value).filter(|a| a.partner == *from && a.scope.serves(message));
                serving.map(Rules::Fixed).collect()
            }
            false => self.domains_of(from).collect(),
        };
        let mut pmode = match choose(candidates, message, signature)? {
            Rules::Fixed(agreement) => self.fixed(agreement),
            Rules::Domain(dynamic, profile) => self.of_domain(dynamic, profile, from.clone()),
        };
        pmode.signature = signature.map(str::to_owned);
        Ok(pmode)
    }

    /// The processing mode of a message to a static partner: the first that fits.
    pub fn outbound(&self, wanted: Outbound<'_>) -> Option<PMode> {
        let fits = |a: &&Agreement| a.scope.covers(wanted.service, wanted.action);
        // Whoever handed it in before the type was looked at left it out.
        let but_for_its_type = |a: &&Agreement| {
            let agreed = a.scope.service.as_ref().filter(|agreed| agreed.value == wanted.service.value);
            wanted.service.service_type.is_none()
                && agreed.is_some_and(|agreed| a.scope.covers(agreed, wanted.action))
        };
        let all = || self.with(wanted.partner);
        all().find(fits).or_else(|| all().find(but_for_its_type)).map(|a| self.fixed(a))
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

    fn domains_of(&self, from: &PartyId) -> impl Iterator<Item = Rules<'_>> {
        let fits = |d: &&Dynamic| d.party_type.is_none() || d.party_type == from.party_type;
        self.dynamic.iter().filter(fits).flat_map(|dynamic| {
            let profiles = std::iter::once(&dynamic.profile).chain(dynamic.by_transport.values());
            profiles.map(move |profile| Rules::Domain(dynamic, profile))
        })
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

/// Rules under which a received message may stand.
#[derive(Clone, Copy)]
enum Rules<'a> {
    Fixed(&'a Agreement),
    Domain(&'a Dynamic, &'a Profile),
}

impl<'a> Rules<'a> {
    fn profile(&self) -> &'a Profile {
        match self {
            Self::Fixed(agreement) => &agreement.profile,
            Self::Domain(_, profile) => profile,
        }
    }
}

/// The first that the header fits, among those whose profile allows the signature that the message shows; without such ones
/// among all, and the message is refused under it.
fn choose<'a>(
    candidates: Vec<Rules<'a>>,
    message: &UserMessage,
    signature: Option<&str>,
) -> Result<Rules<'a>, Mismatch> {
    let allows = |rules: &&Rules<'_>| {
        signature.is_none_or(|uri| rules.profile().security_policy().accepts_signature(uri))
    };
    let allowing: Vec<_> = candidates.iter().filter(allows).copied().collect();
    let mut broken = None;
    for rules in if allowing.is_empty() { candidates } else { allowing } {
        match header_rules(rules.profile(), message) {
            Ok(()) => return Ok(rules),
            Err(mismatch) => _ = broken.get_or_insert(mismatch),
        }
    }
    Err(broken.unwrap_or_else(|| no_agreement(message)))
}

fn no_agreement(message: &UserMessage) -> Mismatch {
    Mismatch::NoAgreement {
        party: message.from.id.value.clone(),
        party_type: message.from.id.party_type.clone(),
        asked: Scope { service: Some(message.service.clone()), action: Some(message.action.clone()) },
    }
}

/// What the header must say under a profile, besides who speaks and of what: all of it takes part in the choice of the
/// processing mode (EDEL115 1.4.2.2).
fn header_rules(profile: &Profile, message: &UserMessage) -> Result<(), Mismatch> {
    roles(profile, message)?;
    agreement_ref(profile, message)?;
    correlation(profile, message.info.ref_to_message_id.as_deref(), &message.conversation_id)
}

/// RefToMessageId and ConversationId of a user message, received or about to be sent.
///
/// # Errors
/// [`Mismatch::Header`], for what the network does not allow.
pub fn correlation(profile: &Profile, ref_to: Option<&str>, conversation: &str) -> Result<(), Mismatch> {
    let broken = |field, value: &str, rule| Err(Mismatch::Header { field, value: value.into(), rule });
    if let (RefToRule::Forbidden, Some(found)) = (profile.ref_to_message_id, ref_to) {
        return broken("RefToMessageId", found, "the network forbids it in user messages");
    }
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

/// The roles that were agreed; exchanged in the second leg of a two-way exchange (EDEL115 1.4.2.2, 1.5.4.4).
fn roles(profile: &Profile, message: &UserMessage) -> Result<(), Mismatch> {
    let (from, to) = profile.roles(message.info.ref_to_message_id.is_some());
    for (field, found, agreed) in [("From/Role", &message.from.role, from), ("To/Role", &message.to.role, to)]
    {
        if found != agreed {
            return Err(Mismatch::Header { field, value: found.clone(), rule: "another role is agreed" });
        }
    }
    Ok(())
}

/// `@pmode` is not looked at: it may be absent (EDEL115 1.4.2.2).
fn agreement_ref(profile: &Profile, message: &UserMessage) -> Result<(), Mismatch> {
    let found = message.agreement_ref.as_ref().filter(|found| !found.value.is_empty());
    let (fits, rule) = match &profile.agreement_ref {
        AgreementRule::Any => (true, ""),
        AgreementRule::Absent => (found.is_none(), "no such agreement is known"),
        AgreementRule::Fixed { value, agreement_type } => (
            found.is_some_and(|found| found.value == *value && found.agreement_type == *agreement_type),
            "another agreement is fixed, and every message names it",
        ),
    };
    let value = found.map(|found| found.value.clone()).unwrap_or_default();
    if fits { Ok(()) } else { Err(Mismatch::Header { field: "AgreementRef", value, rule }) }
}
