//! What is wrong with a Security header, by the EBMS code that the peer is told.

use crate::xmlsec;

/// Grouped by code: [`Error::is_structure`] EBMS:0009, [`Error::is_policy`] EBMS:0103, [`Error::is_decryption`]
/// EBMS:0102, [`Error::is_authentication`] EBMS:0101; [`Error::Configuration`] and [`Error::Crypto`] are ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// EBMS:0009: the header cannot be taken apart in one way only.
    #[error("the Security header is wrong: {0}")]
    Structure(String),
    /// EBMS:0103: something that the policy demands is missing, or something that it forbids is there.
    #[error("against the security policy: {0}")]
    Policy(String),
    /// EBMS:0101: the signer's certificate cannot be found by what the message says of it.
    #[error("the signer cannot be told: {0}")]
    Signer(String),
    /// EBMS:0101: the signature does not hold, or does not cover what it must.
    #[error("the signature is not valid: {0}")]
    Signature(String),
    /// EBMS:0101: the message's own time is over or not yet come.
    #[error("the Security header's Timestamp does not hold: {0}")]
    Timestamp(String),
    /// EBMS:0102: one text for every cause (as4-wire 6, "OAEP oracle").
    #[error("the message cannot be decrypted")]
    Decryption,
    /// Our key or the recipient's certificate does not fit the policy.
    #[error("the message cannot be secured: {0}")]
    Configuration(String),
    /// OpenSSL failed where no input can be the reason.
    #[error("cryptography: {0}")]
    Crypto(String),
}

impl Error {
    /// EBMS:0009.
    pub fn is_structure(&self) -> bool {
        matches!(self, Self::Structure(_))
    }

    /// EBMS:0103.
    pub fn is_policy(&self) -> bool {
        matches!(self, Self::Policy(_))
    }

    /// EBMS:0102.
    pub fn is_decryption(&self) -> bool {
        matches!(self, Self::Decryption)
    }

    /// EBMS:0101.
    pub fn is_authentication(&self) -> bool {
        matches!(self, Self::Signer(_) | Self::Signature(_) | Self::Timestamp(_))
    }

    pub(super) fn structure(what: impl Into<String>) -> Self {
        Self::Structure(what.into())
    }

    pub(super) fn policy(what: impl Into<String>) -> Self {
        Self::Policy(what.into())
    }

    pub(super) fn signature(what: impl Into<String>) -> Self {
        Self::Signature(what.into())
    }
}

/// What a failed reading means; an algorithm that is not known cannot be in any policy.
impl From<xmlsec::Error> for Error {
    fn from(error: xmlsec::Error) -> Self {
        match error {
            xmlsec::Error::Structure(what) => Self::Structure(what),
            xmlsec::Error::Unsupported { .. } => Self::Policy(error.to_string()),
            xmlsec::Error::KeyType(_) => Self::Signature(error.to_string()),
            xmlsec::Error::Decryption => Self::Decryption,
            xmlsec::Error::Crypto(what) => Self::Crypto(what),
        }
    }
}
