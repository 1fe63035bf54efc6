//! XML-DSig and XML-Enc on elements and streams.
//!
//! Reading is strict where security hangs on it: no transform but enveloped-signature, the canonicalisations and the
//! attachment content transform, no reference but `""`, `#id` and `cid:`, nothing fetched. What an algorithm URI
//! means is told here; which of them are allowed is the caller's policy.

mod agree;
mod agreement;
mod algorithms;
mod dsig;
mod encrypted_key;
mod error;
mod gcm;
mod kdf;
mod key_info;
mod keys;
pub mod names;
mod sign;
mod signed_reference;
mod wrap;
mod x25519;
pub mod xades;

pub use agreement::Agreement;
pub use algorithms::{ContentAlgorithm, DigestAlgorithm, Hasher, SignatureAlgorithm};
pub use dsig::{MOST_REFERENCES, Reference, Signature, Target, Transform};
pub use encrypted_key::{EncryptedData, EncryptedKey};
pub use error::Error;
pub use gcm::{ContentKey, Decryptor, Encryptor, OVERHEAD};
pub use key_info::{FoundKey, KeyHint, TokenKind, hints, resolve};
pub use keys::{by_issuer_serial, by_ski, by_thumbprint, decode_base64};
pub use sign::{sign_octets, sign_template, signed_info};
pub use signed_reference::SignedReference;
pub use wrap::{KeyEncryption, write_encrypted_key};
