//! Agreements as configured, and the effective record of one exchange.

use std::collections::BTreeMap;

use openssl::pkey::{HasPublic, PKeyRef};
use serde::{Deserialize, Serialize};

use super::profile::{AgreementRule, Profile};
use crate::ebms::{AgreementRef, Party, PartyId, Service, UserMessage, names};
use crate::wssec::SecurityPolicy;

/// What is wrong with the configuration of agreements. All of it is ours to mend.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum Error {
    /// No such profile.
    #[error("there is no profile {name:?}; known are {}", known.join(", "))]
    UnknownProfile {
        /// What was asked for.
        name: String,
        /// What there is.
        known: &'static [&'static str],
    },
    /// An override names no field, or its value does not fit.
    #[error("override of profile {profile}: {reason}")]
    Override {
        /// The profile.
        profile: String,
        /// What serde says of it.
        reason: String,
    },
}

/// What counts as proof of delivery under an agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceRule {
    /// The AS4 receipt alone; nothing is known of the recipient.
    #[default]
    ReceiptOnly,
    /// Signed REM evidence from the receiving side (model.md 4).
    Rem,
}

/// An agreement with a static partner.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// Name in logs and in `AgreementRef/@pmode`.
    pub id: String,
    /// The partner's PartyId.
    pub partner: PartyId,
    /// The effective profile.
    pub profile: Profile,
    /// What it is about.
    pub scope: Scope,
    /// What counts as proof of delivery.
    pub evidence: EvidenceRule,
}

/// Which messages an agreement is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Only this service; any when absent.
    pub service: Option<Service>,
    /// Only this action; any when absent.
    pub action: Option<String>,
}

impl Scope {
    /// Whether a message that we send is meant. The test service is part of every agreement (EDEL115 1.4.4.3).
    pub fn covers(&self, service: &Service, action: &str) -> bool {
        let test = (service.value.as_str(), action) == (names::TEST_SERVICE, names::TEST_ACTION);
        test || (self.service.as_ref().is_none_or(|s| s == service)
            && self.action.as_ref().is_none_or(|a| a == action))
    }

    /// Whether a message that came is meant, whose service has the type that was agreed as well.
    pub fn serves(&self, message: &UserMessage) -> bool {
        message.is_test()
            || (self.service.as_ref().is_none_or(|s| *s == message.service)
                && self.action.as_ref().is_none_or(|a| *a == message.action))
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.service {
            Some(Service { value, service_type: Some(kind) }) => {
                write!(f, "service {value:?} of type {kind:?}")?
            }
            Some(Service { value, service_type: None }) => write!(f, "service {value:?} without a type")?,
            None => f.write_str("any service")?,
        }
        match &self.action {
            Some(action) => write!(f, ", action {action:?}"),
            None => f.write_str(", any action"),
        }
    }
}

/// A domain whose access points are found by discovery and recognised by certificate.
#[derive(Debug, Clone, PartialEq)]
pub struct Dynamic {
    /// The domain's name in the configuration.
    pub domain: String,
    /// PartyId type of its access points; any when absent.
    pub party_type: Option<String>,
    /// The effective profile.
    pub profile: Profile,
    /// The effective profiles of transport profiles to which another one applies.
    pub by_transport: BTreeMap<String, Profile>,
    /// What counts as proof of delivery.
    pub evidence: EvidenceRule,
}

/// The effective processing mode of one exchange; kept with the message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PMode {
    /// Agreement id, or `dynamic:<domain>`.
    pub id: String,
    /// The domain, where the exchange is dynamic.
    pub domain: Option<String>,
    /// We.
    pub own: PartyId,
    /// The other access point.
    pub peer: PartyId,
    /// The rules.
    pub profile: Profile,
    /// What counts as proof of delivery.
    pub evidence: EvidenceRule,
    /// SignatureMethod of the message that came, where one did: the answers to it are signed so too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

impl PMode {
    /// From and To of a message that we send; `answers` when it has a RefToMessageId.
    pub fn outbound_parties(&self, answers: bool) -> (Party, Party) {
        let (from, to) = self.profile.roles(answers);
        let party = |id: &PartyId, role: &str| Party { id: id.clone(), role: role.into() };
        (party(&self.own, from), party(&self.peer, to))
    }

    /// Algorithms, tokens and demands for the Security header.
    pub fn security_policy(&self) -> SecurityPolicy {
        let policy = self.profile.security_policy();
        match &self.signature {
            Some(signature) => policy.preferring(signature),
            None => policy,
        }
    }

    /// Place of a key among those that sign here, the best first; `None` for a key that does not sign here.
    pub fn signing_rank<T: HasPublic>(&self, key: &PKeyRef<T>) -> Option<usize> {
        self.security_policy().signatures.iter().position(|algorithm| algorithm.fits(key))
    }

    /// The same header rules under the security of another processing mode: the access point now speaks another
    /// transport profile.
    #[must_use]
    pub fn secured_as(mut self, other: &Self) -> Self {
        self.profile.name.clone_from(&other.profile.name);
        self.profile.crypto_suite = other.profile.crypto_suite;
        self.profile.signing_token = other.profile.signing_token;
        self.profile.encryption_token = other.profile.encryption_token;
        self
    }

    /// The AgreementRef that we write.
    pub fn agreement_ref(&self) -> Option<AgreementRef> {
        match &self.profile.agreement_ref {
            AgreementRule::Absent | AgreementRule::Any => None,
            AgreementRule::Fixed { value, agreement_type } => Some(AgreementRef {
                value: value.clone(),
                agreement_type: agreement_type.clone(),
                pmode: None,
            }),
        }
    }
}
