//! What can go wrong with a signature or an encrypted key.

/// Grouped by blame: all but the last are the peer's, the last is this machine's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An element of the signature or encryption is missing, doubled or not what the schema says.
    #[error("{0}")]
    Structure(String),
    /// An algorithm that is not supported here, whatever a policy says.
    #[error("{role} `{uri}` is not supported")]
    Unsupported {
        /// What the algorithm is for.
        role: &'static str,
        /// Its URI as written.
        uri: String,
    },
    /// A key of another type than the algorithm needs.
    #[error("the key does not fit the algorithm `{0}`")]
    KeyType(String),
    /// Decryption failed: deliberately one text for a wrong key, a damaged key and a damaged content (as4-wire 6, "OAEP
    /// oracle").
    #[error("decryption failed")]
    Decryption,
    /// OpenSSL failed where no input can be the reason.
    #[error("cryptography: {0}")]
    Crypto(String),
}

impl Error {
    pub(crate) fn structure(what: impl Into<String>) -> Self {
        Self::Structure(what.into())
    }

    pub(crate) fn unsupported(role: &'static str, uri: impl Into<String>) -> Self {
        Self::Unsupported { role, uri: uri.into() }
    }
}

impl From<openssl::error::ErrorStack> for Error {
    fn from(error: openssl::error::ErrorStack) -> Self {
        Self::Crypto(error.to_string())
    }
}
