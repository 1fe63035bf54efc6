//! Who the other access points are: pinned, anchored, or found under a domain's anchors (model.md 7).

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::ebms::PartyId;
use crate::pki::{Certificate, Kept, Name, Names, TrustStore};
use crate::pmode::{PMode, SenderRule};
use crate::wssec::KeyHint;

/// Every access point and domain that the configuration names.
#[derive(Clone, Default)]
pub struct Peers {
    /// Static partners by PartyId.
    pub partners: BTreeMap<PartyId, Partner>,
    /// Domains by name.
    pub domains: BTreeMap<String, DomainTrust>,
    known: Names,
}

/// A static partner.
#[derive(Clone)]
pub struct Partner {
    /// Where it receives; absent for a partner that only sends.
    pub url: Option<String>,
    /// The certificates that we encrypt for: the first that fits the profile.
    pub encryption: Vec<Kept>,
    /// How its signatures are recognised.
    pub signer: SignerRule,
}

/// How a static partner's signatures are recognised.
#[derive(Clone)]
pub enum SignerRule {
    /// Exactly one of these certificates.
    Pinned(Vec<Kept>),
    /// A certificate with this subject under these anchors.
    Anchored {
        /// The anchors.
        trust: TrustStore,
        /// The subject.
        subject: Name,
    },
}

/// The anchors of a domain.
#[derive(Clone)]
pub struct DomainTrust {
    /// Of access points.
    pub ap_trust: TrustStore,
}

/// Why a signer is not believed. The peer reads EBMS:0101 and nothing more.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum Disbelief {
    /// No static partner and no domain of that name.
    #[error("no trust is configured for party {0:?}")]
    Unknown(String),
    /// Another certificate than the pinned one.
    #[error("signed by {found}, but registered for the partner is {pinned}")]
    NotPinned {
        /// SHA-256 of the signer's certificate.
        found: String,
        /// SHA-256 of those registered.
        pinned: String,
    },
    /// Untrusted, expired or not yet valid.
    #[error("the signer's certificate {subject} is {judgement}")]
    Judged {
        /// Subject of the certificate.
        subject: String,
        /// `untrusted`, `expired`, `not-yet-valid`.
        judgement: &'static str,
    },
    /// The certificate is somebody else's.
    #[error("the signer's certificate {subject} does not belong to party {party:?}")]
    OtherParty {
        /// Subject of the certificate.
        subject: String,
        /// From/PartyId.
        party: String,
    },
    /// The key usage forbids signatures.
    #[error("the key usage of {0} forbids signatures")]
    KeyUsage(String),
}

impl Peers {
    /// Gathers what is known of partners and domains once, for every message asks for it.
    pub fn new(partners: BTreeMap<PartyId, Partner>, domains: BTreeMap<String, DomainTrust>) -> Self {
        let mut known = Vec::new();
        for partner in partners.values() {
            known.extend(partner.encryption.iter().cloned());
            match &partner.signer {
                SignerRule::Pinned(certificates) => known.extend(certificates.iter().cloned()),
                SignerRule::Anchored { trust, .. } => known.extend(trust.anchors().iter().map(Kept::of)),
            }
        }
        known.extend(domains.values().flat_map(|d| d.ap_trust.anchors().iter().map(Kept::of)));
        Self { partners, domains, known: Names::new(known) }
    }

    /// Whether `signer` may sign for the peer of `pmode` at that moment. `extra` are the certificates that came along. Gives
    /// the path from the signer to an anchor; whether anything on it is revoked is asked after that (`Node::judge_revocation`).
    ///
    /// # Errors
    /// [`Disbelief`] with the reason, for our log.
    pub fn believe(
        &self,
        pmode: &PMode,
        signer: &Certificate,
        extra: &[Certificate],
        at: Timestamp,
    ) -> Result<Vec<Certificate>, Disbelief> {
        if !signer.may_sign() {
            return Err(Disbelief::KeyUsage(signer.subject()));
        }
        match (&pmode.domain, self.partners.get(&pmode.peer)) {
            (None, Some(partner)) => by_partner(partner, &pmode.peer, signer, extra, at),
            (Some(name), _) => match self.domains.get(name) {
                Some(domain) => by_domain(domain, pmode, signer, extra, at),
                None => Err(Disbelief::Unknown(pmode.peer.value.clone())),
            },
            (None, None) => Err(Disbelief::Unknown(pmode.peer.value.clone())),
        }
    }

    /// Certificates that a signature may mean by that hint without bringing them along.
    pub fn named_by(&self, hint: &KeyHint) -> Vec<Certificate> {
        match hint {
            KeyHint::IssuerSerial(issuer, serial) => self.known.by_issuer_serial(issuer, serial),
            KeyHint::Ski(_, ski) => self.known.by_ski(ski),
            KeyHint::Thumbprint(sha1) => self.known.by_thumbprint(sha1),
            _ => Vec::new(),
        }
    }
}

fn by_partner(
    partner: &Partner,
    party: &PartyId,
    signer: &Certificate,
    extra: &[Certificate],
    at: Timestamp,
) -> Result<Vec<Certificate>, Disbelief> {
    match &partner.signer {
        SignerRule::Pinned(pinned) if !pinned.iter().any(|one| one.sha256() == signer.sha256()) => {
            let pinned: Vec<String> = pinned.iter().map(|one| hex::encode(one.sha256())).collect();
            Err(Disbelief::NotPinned { found: signer.sha256_hex(), pinned: pinned.join(" or ") })
        }
        SignerRule::Pinned(_) => judged(&TrustStore::new(vec![signer.clone()]), signer, extra, at),
        SignerRule::Anchored { trust, subject } => {
            let path = judged(trust, signer, extra, at)?;
            match signer.subject_name().is_some_and(|name| name.means_the_same(subject)) {
                true => Ok(path),
                false => Err(other_party(signer, &party.value)),
            }
        }
    }
}

fn by_domain(
    domain: &DomainTrust,
    pmode: &PMode,
    signer: &Certificate,
    extra: &[Certificate],
    at: Timestamp,
) -> Result<Vec<Certificate>, Disbelief> {
    let path = judged(&domain.ap_trust, signer, extra, at)?;
    let name = signer.subject_name();
    let claimed = match pmode.profile.sender_rule {
        SenderRule::SubjectOu => name.as_ref().and_then(|n| n.first("2.5.4.11")).map(str::to_owned),
        SenderRule::SubjectCn | SenderRule::Registered => signer.common_name(),
    };
    match claimed.as_deref() == Some(pmode.peer.value.as_str()) {
        true => Ok(path),
        false => Err(other_party(signer, &pmode.peer.value)),
    }
}

fn judged(
    trust: &TrustStore,
    signer: &Certificate,
    extra: &[Certificate],
    at: Timestamp,
) -> Result<Vec<Certificate>, Disbelief> {
    if let Some(path) = trust.path(signer, extra, at) {
        return Ok(path);
    }
    let judgement = trust.judge(signer, extra, at).as_str();
    Err(Disbelief::Judged { subject: signer.subject(), judgement })
}

fn other_party(signer: &Certificate, party: &str) -> Disbelief {
    Disbelief::OtherParty { subject: signer.subject(), party: party.into() }
}
