//! The business halves: a backend submits a message to us, we deliver a message to a backend. Adapters carry both over
//! REST, folders and DIV envelopes; [`submission`] and [`delivery`] are the same for all of them.
//!
//! The network halves are in `msh`; the two meet in the store only. Evidence about received messages is made here, when an
//! adapter reports an outcome, and evidence about our own messages is weighed here ([`testimony`]).

pub mod auth;
mod claims;
pub mod deadlines;
pub mod delivery;
pub mod div;
pub mod document;
mod envelope;
pub mod folder;
mod lookout;
pub mod outbox;
mod proof;
pub mod rest;
pub mod retention;
pub mod routes;
mod said;
mod serves;
pub mod submission;
pub mod testimony;

use std::collections::BTreeMap;
use std::path::PathBuf;

use openssl::pkey::{PKey, Private};

pub use serves::{Serves, ServesAll};

use crate::clock::{Clock, SignedDuration};
use crate::pki::Certificate;
use crate::store::{Retention, Store};

/// What the business halves work with.
pub struct Office {
    /// Right-hand side of the MessageIds that we give out.
    pub domain: String,
    /// Our PartyId, as it stands in evidence.
    pub party: String,
    /// Our time.
    pub clock: Clock,
    /// The store.
    pub store: Store,
    /// Where recipients belong.
    pub routes: routes::Routes,
    /// The backends.
    pub backends: Vec<Backend>,
    /// Sign delivery evidence: the one that fits the exchange, else the first. Never empty.
    pub evidence_keys: Vec<(Certificate, PKey<Private>)>,
    /// Who may sign evidence besides the party itself, by domain.
    pub evidence_trust: BTreeMap<String, testimony::EvidenceTrust>,
    /// The national side, where there is one.
    pub div: Option<div::National>,
    /// How long payloads are kept.
    pub retention: Retention,
    /// Largest payload that a backend may hand in, in octets.
    pub payload_octets: u64,
}

/// One backend.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Its name: channel of its submissions, owner of its deliveries.
    pub id: String,
    /// How it is reached.
    pub adapter: Adapter,
    /// What it takes.
    pub serves: Serves,
    /// How long a recipient has when the message itself does not say.
    pub take_within: Option<SignedDuration>,
    /// Domain of what it submits, where a submission does not say.
    pub route: Option<String>,
}

/// How a backend is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adapter {
    /// It calls our REST interface.
    Rest,
    /// It watches a folder.
    Folder(PathBuf),
    /// The national e-address system: envelopes, in a folder where one is given.
    Div(Option<PathBuf>),
}

impl Adapter {
    /// Where messages are left for the backend and its answers are found, for the adapters that carry.
    pub(crate) fn inbox(&self) -> Option<PathBuf> {
        match self {
            Self::Folder(root) => Some(root.join(folder::IN)),
            Self::Div(Some(root)) => Some(root.join(div::IN)),
            Self::Rest | Self::Div(None) => None,
        }
    }
}

impl Office {
    /// The backend of that name.
    pub fn backend(&self, id: &str) -> Option<&Backend> {
        self.backends.iter().find(|b| b.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_looked_for_where_messages_are_left() {
        let inbox = |adapter: Adapter| adapter.inbox().map(|p| p.to_string_lossy().into_owned());
        assert_eq!(inbox(Adapter::Folder("mail".into())).as_deref(), Some("mail/in"));
        assert_eq!(inbox(Adapter::Div(Some("div".into()))).as_deref(), Some("div/div-in"));
        assert_eq!(inbox(Adapter::Rest), None);
    }
}
