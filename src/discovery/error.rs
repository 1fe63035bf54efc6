//! Why a lookup found no endpoint. Outages and answers are different things everywhere (discovery 1.4, 2.8).

use super::Step;
use super::select::Filter;
use super::smp::judge::Finding;
use crate::transport::Unusable;

/// What a failure means for the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The participant is not there. Final.
    NotRegistered,
    /// The participant is there, but takes no such document, process or transport. Final.
    NotSupported,
    /// Registry or SMP say something that cannot be believed. Final for this message; an operator should know.
    Refused,
    /// Technical: nobody has said anything. Try again later.
    Outage,
    /// Our own configuration.
    Configuration,
}

/// Why a lookup found no endpoint.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    // What the registry and the SMP say.
    /// NXDOMAIN, or a name without NAPTR records; or the SMP does not know the participant.
    #[error("{participant} is not registered ({detail})")]
    NotRegistered {
        /// Who was looked for.
        participant: String,
        /// What was asked and answered.
        detail: String,
    },
    /// Registered, but for other services than an SMP.
    #[error("{participant} is registered, but has no service {service}")]
    NoSmpService {
        /// Who was looked for.
        participant: String,
        /// The NAPTR service wanted.
        service: String,
    },
    /// The SMP has no metadata for this document type.
    #[error("{participant} receives no {document_type}")]
    DocumentNotSupported {
        /// Who was looked for.
        participant: String,
        /// What was to be sent.
        document_type: String,
    },
    /// There is metadata, but no endpoint that can be used.
    #[error("no usable endpoint: {filter}{detail}")]
    NoEndpoint {
        /// The first filter that left none.
        filter: Filter,
        /// What that filter saw.
        detail: String,
    },
    // The registry's or the SMP's fault.
    /// A DNS record that cannot be used.
    #[error("the registry's record for {name} is wrong: {detail}")]
    Registry {
        /// The DNS name.
        name: String,
        /// What is wrong.
        detail: String,
    },
    /// An answer that cannot be believed.
    #[error("the answer of {url} is refused: {}", findings.iter().map(|f| format!("{} ({})", f.code, f.detail)).collect::<Vec<_>>().join("; "))]
    Answer {
        /// Where it came from.
        url: String,
        /// What is wrong with it.
        findings: Vec<Finding>,
    },
    /// A redirect that must not be followed.
    #[error("the redirect to {url} is refused: {detail}")]
    Redirect {
        /// Where it leads.
        url: String,
        /// Why not.
        detail: String,
    },
    // The peer's fault, or the environment's.
    /// A certificate is revoked, or it cannot be told and the domain requires an answer.
    #[error("the {role}: {unusable}")]
    Revocation {
        /// SMP or access point.
        role: &'static str,
        /// Which of the two, and why.
        unusable: Unusable,
    },
    // The environment.
    /// The DNS gave no answer.
    #[error("DNS gave no answer for {name}: {detail}")]
    DnsOutage {
        /// The DNS name.
        name: String,
        /// Time-out, SERVFAIL, REFUSED ...
        detail: String,
    },
    /// The answer was not validated although the domain requires it.
    #[error("the DNS answer for {name} is not validated (no AD bit), which this domain requires")]
    NotValidated {
        /// The DNS name.
        name: String,
    },
    /// The SMP gave no answer that means anything.
    #[error("the SMP at {url} gave no answer: {detail}")]
    SmpOutage {
        /// What was asked.
        url: String,
        /// Time-out, TLS, 5xx, a redirect by HTTP ...
        detail: String,
    },
    // Ours.
    /// The domain's configuration does not allow the lookup.
    #[error("configuration: {0}")]
    Configuration(String),
}

impl Error {
    /// What it means for the message.
    pub fn class(&self) -> Class {
        match self {
            Self::NotRegistered { .. } => Class::NotRegistered,
            Self::NoSmpService { .. } | Self::DocumentNotSupported { .. } => Class::NotSupported,
            Self::NoEndpoint { filter: Filter::Address | Filter::Certificate, .. } => Class::Refused,
            Self::NoEndpoint { .. } => Class::NotSupported,
            Self::Registry { .. } | Self::Answer { .. } | Self::Redirect { .. } => Class::Refused,
            Self::Revocation { unusable: Unusable::Revoked { .. }, .. } => Class::Refused,
            Self::Revocation { unusable: Unusable::Untold { .. }, .. } => Class::Outage,
            Self::DnsOutage { .. } | Self::NotValidated { .. } | Self::SmpOutage { .. } => Class::Outage,
            Self::Configuration(_) => Class::Configuration,
        }
    }
}

/// An error with the way that led to it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{error}")]
pub struct Failure {
    /// What went wrong.
    #[source]
    pub error: Error,
    /// What was asked before, in order.
    pub steps: Vec<Step>,
}

impl Failure {
    /// What it means for the message.
    pub fn class(&self) -> Class {
        self.error.class()
    }
}
