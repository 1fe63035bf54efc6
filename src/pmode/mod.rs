//! Processing modes: what two access points agreed on, as values.
//!
//! A network is data: a [`Profile`] record (networks.md 1) names the crypto suite, tokens, header rules and the rest;
//! a site overrides single fields by name. An [`Agreement`] binds a static partner to a profile, a [`Dynamic`] entry
//! admits every access point of a domain (four corners, discovered). The effective record of an exchange is a
//! [`PMode`]; it is kept with each message. Matching raises EBMS:0010 only.

mod admission;
mod agreement;
mod matching;
mod profile;
#[cfg(test)]
mod tests;

pub use crate::ebms::{PartyId, Service};
pub use admission::{Admission, Admitted, Opening, Refusal};
pub use agreement::{Agreement, Dynamic, Error, EvidenceRule, PMode, Scope};
pub use matching::{Agreements, Mismatch, Outbound, correlation};
pub use profile::{
    AgreementRule, Compression, ConversationRule, CryptoSuite, Encryption, Envelope, FourCorners, Mep,
    Profile, RefToRule, Retry, SenderRule, Token, known_profiles,
};
