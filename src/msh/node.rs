//! What both halves work with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::peers::Peers;
use super::sending::Gates;
use crate::clock::Clock;
use crate::discovery::{Identifier, Resolver};
use crate::ebms::UserMessage;
use crate::mime;
use crate::pki::{Certificate, Entry};
use crate::pmode::{Admission, Agreements, PMode};
use crate::store::{Effect, PARTNER, Store};
use crate::transport::{Client, Revoker, Unusable};
use crate::wssec::{self, SecurityPolicy, SigningKeys, XmlLimits};

/// One access point.
pub struct Node {
    /// Right-hand side of the MessageIds that it gives out.
    pub domain: String,
    /// Its time.
    pub clock: Clock,
    /// Its store.
    pub store: Store,
    /// What was agreed.
    pub agreements: Agreements,
    /// Who the others are.
    pub peers: Peers,
    /// Sign messages and signals.
    pub signing: SigningKeys,
    /// Decrypt what comes in.
    pub decryption: Vec<Entry>,
    /// Says whether a business message can be taken.
    pub admission: Arc<dyn Admission>,
    /// Says what incoming evidence does.
    pub intake: Arc<dyn Intake>,
    /// Lookup by domain name.
    pub finders: BTreeMap<String, Finder>,
    /// HTTPS client by domain name or `partner:<PartyId>`.
    pub clients: BTreeMap<String, Client>,
    /// What asks after certificates, by the same names.
    pub revokers: BTreeMap<String, Revoker>,
    /// Who is not asked now.
    pub gates: Gates,
    /// Bounds.
    pub limits: Limits,
}

impl Node {
    /// What asks after the certificates of the peer of `pmode`.
    pub(super) fn revoker(&self, pmode: &PMode) -> Option<&Revoker> {
        match &pmode.domain {
            Some(domain) => self.revokers.get(domain),
            None => self.revokers.get(&format!("{PARTNER}{}", pmode.peer.value)),
        }
    }

    /// Whether a signer that [`Peers::believe`] led to an anchor may be used, by the rule of its domain or partner.
    ///
    /// # Errors
    /// [`Unusable`].
    pub(super) async fn judge_revocation(&self, pmode: &PMode, path: &[Certificate]) -> Result<(), Unusable> {
        let Some(revoker) = self.revoker(pmode) else { return Ok(()) };
        if let Some(note) = revoker.judge(path).await? {
            tracing::info!(party = pmode.peer.value, note, "signer accepted although revocation is unknown");
        }
        Ok(())
    }

    /// A signal in its envelope, signed by the key of ours that fits the policy. `id` is the `wsu:Id` of `messaging`.
    pub(super) fn seal_signal(
        &self,
        messaging: &str,
        id: &str,
        policy: &SecurityPolicy,
    ) -> Result<Vec<u8>, wssec::Error> {
        wssec::seal_signal(messaging, id, policy, self.signing.for_policy(policy)?)
    }
}

/// How access points of one domain are found.
pub struct Finder {
    /// SML and SMP.
    pub resolver: Resolver,
    /// Document type under which a sender is found again, for evidence (model.md 4).
    pub evidence_document_type: Identifier,
}

/// Bounds on what comes in and on how much goes on at once.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Of the request body: octets of envelope and whole, parts and their headers.
    pub mime: mime::Limits,
    /// Of the envelope.
    pub xml: XmlLimits,
    /// References of one signature.
    pub references: usize,
    /// Octets of one payload after decompression.
    pub payload_octets: u64,
    /// Most times that a payload may grow when decompressed.
    pub inflate_ratio: u64,
    /// Time that one exchange may take.
    pub exchange: Duration,
    /// Time that exchanges have to end after the stop was asked for.
    pub shutdown: Duration,
    /// Messages sent at once.
    pub sending: usize,
    /// Rejected rows per source address and minute.
    pub rejected_per_minute: u32,
}

/// The path from a certificate to an anchor, with those that came along.
pub type PathOf<'p> = dyn Fn(&Certificate, &[Certificate]) -> Option<Vec<Certificate>> + Send + Sync + 'p;

/// A received evidence message, verified, before it is stored.
pub struct Testimony<'a> {
    /// Its header.
    pub message: &'a UserMessage,
    /// Its processing mode.
    pub pmode: &'a PMode,
    /// Octets of its one part.
    pub evidence: Vec<u8>,
    /// The certificate that signed the AS4 message.
    pub signer: &'a Certificate,
    /// The path from a certificate to an anchor, with those that came along, where it may sign for the party that sent the
    /// message.
    pub party_signs: &'a PathOf<'a>,
    /// What asks after such certificates.
    pub revoker: Option<&'a Revoker>,
}

/// Why evidence cannot be weighed now; whoever brought it is asked to come again.
#[derive(Debug, thiserror::Error)]
pub enum NotNow {
    /// Environment: the store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// Environment: it cannot be told whether the witness is revoked, and it must be.
    #[error(transparent)]
    Untold(#[from] Unusable),
}

/// Judges incoming evidence. The business half implements it; the composition root brings the two together.
pub trait Intake: Send + Sync {
    /// Whether a message with this Action carries evidence under its processing mode.
    fn is_evidence(&self, message: &UserMessage, pmode: &PMode) -> bool;

    /// What the evidence does (model.md 4, "Who may testify"); stored in one transaction with the message.
    fn weigh<'a>(&'a self, testimony: Testimony<'a>) -> BoxFuture<'a, Result<Effect, NotNow>>;
}
