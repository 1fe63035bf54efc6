//! What SMPs answer, in three dialects: read (`read`), verified (`judge`) and written (`write`).

pub mod judge;
mod one;
pub mod read;
mod signature;
mod times;
mod two;
pub mod write;

use serde::{Deserialize, Serialize};

use super::Identifier;
use crate::clock::Timestamp;
use crate::pki::Certificate;

/// Namespace of XML signatures.
pub(crate) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";

/// The dialect of an SMP (discovery 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// Peppol SMP 1.x.
    Peppol,
    /// OASIS BDXR SMP 1.0, 2016/05 and the 2014/07 draft.
    Bdxr1,
    /// OASIS SMP 2.0.
    Bdxr2,
}

impl Dialect {
    /// The path of a participant's group, below the SMP's address.
    pub fn group_path(self, participant: &Identifier) -> String {
        match self {
            Self::Peppol | Self::Bdxr1 => format!("/{}", participant.path_segment(true)),
            Self::Bdxr2 => format!("/bdxr-smp-2/{}", participant.path_segment(false)),
        }
    }

    /// The path of a participant's metadata for one document type, below the SMP's address.
    pub fn metadata_path(self, participant: &Identifier, document_type: &Identifier) -> String {
        let segment = document_type.path_segment(self != Self::Bdxr2);
        format!("{}/services/{segment}", self.group_path(participant))
    }
}

impl std::str::FromStr for Dialect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "peppol" => Ok(Self::Peppol),
            "bdxr1" => Ok(Self::Bdxr1),
            "bdxr2" => Ok(Self::Bdxr2),
            _ => Err(format!("{text:?} is none of peppol, bdxr1, bdxr2")),
        }
    }
}

/// What kind of answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Kind {
    /// The document types that a participant receives.
    ServiceGroup,
    /// The endpoints for one document type.
    ServiceMetadata,
    /// Another SMP has them.
    Redirect,
}

/// One answer, taken apart; not yet verified.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The dialect it is written in.
    pub dialect: Dialect,
    /// What it says.
    pub content: Content,
}

/// What an answer says.
#[derive(Debug, Clone)]
pub enum Content {
    /// A group.
    Group(ServiceGroup),
    /// Metadata; in SMP 2.0 some processes may be redirected.
    Metadata(ServiceMetadata),
    /// The whole is redirected.
    Redirect(Redirect),
}

/// A participant's document types.
#[derive(Debug, Clone)]
pub struct ServiceGroup {
    /// Whose they are.
    pub participant: Identifier,
    /// The document types, and references that name none.
    pub services: Vec<Service>,
}

/// One reference of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// A document type.
    DocumentType(Identifier),
    /// A reference (an href) in which no document type is to be found.
    Unreadable(String),
}

/// The endpoints of one participant for one document type.
#[derive(Debug, Clone)]
pub struct ServiceMetadata {
    /// Whose they are.
    pub participant: Identifier,
    /// What they take.
    pub document_type: Identifier,
    /// In the order published.
    pub processes: Vec<Process>,
}

/// The endpoints of one process, or of several in SMP 2.0.
#[derive(Debug, Clone)]
pub struct Process {
    /// The processes; none means any (SMP 2.0).
    pub ids: Vec<Identifier>,
    /// The endpoints.
    pub endpoints: Vec<PublishedEndpoint>,
    /// Where these processes are published instead (SMP 2.0).
    pub redirect: Option<Redirect>,
}

/// One endpoint as published.
#[derive(Debug, Clone)]
pub struct PublishedEndpoint {
    /// How it is spoken to, such as `peppol-transport-as4-v2_0`.
    pub transport_profile: String,
    /// Its address.
    pub url: String,
    /// Its certificates with their type codes (SMP 2.0); what is no certificate is left out.
    pub certificates: Vec<(Option<String>, Certificate)>,
    /// Active from, inclusive.
    pub from: Option<Timestamp>,
    /// Active until, exclusive.
    pub until: Option<Timestamp>,
}

impl PublishedEndpoint {
    /// Whether it is active by its dates.
    pub fn is_active(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }
}

/// Where else to ask; at most once (discovery 2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The complete address of the resource in SMP 1, of the other SMP in SMP 2.0.
    pub url: String,
    /// Subject of the certificate that signs there (SMP 1).
    pub certificate_uid: Option<String>,
    /// The certificate that signs there (SMP 2.0).
    pub certificate: Option<Certificate>,
}
