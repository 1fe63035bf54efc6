//! Key stores, trust and path validation; nothing here fetches anything.
//!
//! A store is PKCS#12 (with the old RC2 and 3DES algorithms that Java wrote for decades), JKS, JCEKS, PEM or DER, and is
//! told by its content, never by its name ([`KeyStore::read`]). Certificates are judged against the anchors of one
//! [`TrustStore`], at a time that the caller gives ([`TrustStore::judge`]).

mod certificate;
mod der;
mod error;
mod jks;
mod kept;
mod keystore;
mod memo;
mod name;
mod pem;
mod pkcs12;
mod revocation;
#[cfg(test)]
pub mod testing;
mod trust;

pub use certificate::{Certificate, key_kind};
pub use error::Error;
pub use kept::{Kept, Names};
pub use keystore::{Entry, KeyStore};
pub use name::Name;
pub use revocation::{Crl, Ocsp, OcspQuestion, Revocation, RevocationRule};
pub use trust::{Trust, TrustStore};
