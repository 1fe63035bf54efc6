//! Agreements as configured, and the effective record of one exchange.

use serde::{Deserialize, Serialize};

use super::profile::{AgreementRule, CryptoSuite, Encryption, Profile, Token};
use crate::ebms::{AgreementRef, Party, PartyId, Service};
use crate::wssec::{SecurityPolicy, TokenForm};

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
    /// Only this service; any when absent.
    pub service: Option<Service>,
    /// Only this action; any when absent.
    pub action: Option<String>,
    /// What counts as proof of delivery.
    pub evidence: EvidenceRule,
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
}

impl PMode {
    /// From and To of a message that we send.
    pub fn outbound_parties(&self) -> (Party, Party) {
        let from = Party { id: self.own.clone(), role: self.profile.initiator_role.clone() };
        let to = Party { id: self.peer.clone(), role: self.profile.responder_role.clone() };
        (from, to)
    }

    /// Algorithms, tokens and demands for the Security header.
    pub fn security_policy(&self) -> SecurityPolicy {
        let profile = &self.profile;
        let mut policy = match profile.crypto_suite {
            CryptoSuite::RsaGcm128 => SecurityPolicy::edelivery_1_15(),
        };
        policy.sign = profile.sign;
        policy.encrypt = profile.encryption == Encryption::Required;
        policy.with_tokens(form(profile.signing_token), form(profile.encryption_token))
    }

    /// The AgreementRef that we write.
    pub fn agreement_ref(&self) -> Option<AgreementRef> {
        match &self.profile.agreement_ref {
            AgreementRule::Absent => None,
            AgreementRule::Fixed { value, agreement_type } => Some(AgreementRef {
                value: value.clone(),
                agreement_type: agreement_type.clone(),
                pmode: None,
            }),
        }
    }
}

fn form(token: Token) -> TokenForm {
    match token {
        Token::X509v3 => TokenForm::BinarySecurityToken,
        Token::X509PkiPath => TokenForm::PkiPath,
        Token::SubjectKeyIdentifier => TokenForm::SubjectKeyIdentifier,
        Token::IssuerSerial => TokenForm::IssuerSerial,
    }
}
