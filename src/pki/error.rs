//! What can be wrong with a store or a certificate.

/// Why a store or certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    // The operator's files and passwords.
    /// Neither PKCS#12, JKS, PEM nor DER.
    #[error("not a key store or certificate: neither PKCS#12, JKS, PEM nor DER ({octets} octets)")]
    UnknownFormat {
        /// How long the file is.
        octets: usize,
    },
    /// The integrity check of the store fails with the password given.
    #[error("the store's password is wrong, or the store is damaged")]
    WrongPassword,
    /// The store opens, but none of its private keys does.
    #[error(
        "none of the store's {keys} private keys opens with the passwords given; give the key's own (--key-password, key_password_file)"
    )]
    WrongKeyPassword {
        /// How many keys there are.
        keys: usize,
    },
    /// The outer form is recognised, but what is inside is not.
    #[error("damaged {format}: {detail}")]
    Damaged {
        /// `JKS`, `PKCS#12`, `PEM` ...
        format: &'static str,
        /// Where reading stopped.
        detail: String,
    },
    /// A certificate that OpenSSL does not read.
    #[error("not an X.509 certificate: {0}")]
    Certificate(String),
    // Our environment.
    /// The cryptographic library failed where it should not.
    #[error("OpenSSL: {0}")]
    Crypto(#[from] openssl::error::ErrorStack),
}

impl Error {
    /// A damaged store of the given format.
    pub(super) fn damaged(format: &'static str, detail: impl Into<String>) -> Self {
        Self::Damaged { format, detail: detail.into() }
    }
}
