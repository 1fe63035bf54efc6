//! Our keys for signing: one of each kind, chosen by the policy.

use openssl::pkey::{PKey, Private};

use crate::pki::Certificate;

use super::error::Error;
use super::policy::SecurityPolicy;

/// Our key for signing.
#[derive(Clone)]
pub struct SigningKey {
    /// Its certificate.
    pub certificate: Certificate,
    /// The certificates above it, nearest first.
    pub chain: Vec<Certificate>,
    /// The key.
    pub key: PKey<Private>,
}

/// All our keys for signing.
#[derive(Clone)]
pub struct SigningKeys(Vec<SigningKey>);

impl SigningKeys {
    /// These keys; of two that sign by the same algorithm the first counts.
    pub fn new(keys: Vec<SigningKey>) -> Self {
        Self(keys)
    }

    /// The keys in the order given.
    pub fn iter(&self) -> impl Iterator<Item = &SigningKey> {
        self.0.iter()
    }

    /// The key for the best algorithm of the policy that any key fits.
    ///
    /// # Errors
    /// [`Error::Configuration`] when none does.
    pub fn for_policy(&self, policy: &SecurityPolicy) -> Result<&SigningKey, Error> {
        let of = |algorithm: &crate::xmlsec::SignatureAlgorithm| {
            self.0.iter().find(|signing| algorithm.fits(&signing.key))
        };
        policy.signatures.iter().find_map(of).ok_or_else(|| {
            let wanted: Vec<&str> = policy.signatures.iter().map(|algorithm| algorithm.uri()).collect();
            Error::Configuration(format!("no key of ours signs by {}", wanted.join(" or ")))
        })
    }
}
