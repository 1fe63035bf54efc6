//! The WS-Security header, by a [`SecurityPolicy`] value (as4-wire 2).
//!
//! Writing: [`seal()`] takes the `eb:Messaging` text and the stored digests of the parts and gives the whole envelope; the
//! payloads are not read. Reading is a chain in which no step can be skipped: [`Header::locate`], `judge_policy`,
//! `signer`, `verify`, and for each part an [`AttachmentVerifier`]; the caller judges the signer's certificate between.
//! What [`Verified`] names is what the signature covers, by node identity; nothing else of the message counts.

mod attachment;
mod error;
mod header;
mod keys;
pub mod names;
mod open;
mod policy;
mod seal;
mod token;

pub use attachment::{AttachmentVerifier, Canonical, is_xml};
pub use error::Error;
pub use header::{Block, Header, UNDERSTOOD};
pub use keys::{SigningKey, SigningKeys};
pub use open::{Signed, Signer, Verified, recipient_keys, unwrap_key};
pub use policy::{Allowed, KeyProtection, SecurityPolicy, TokenForm};
pub use seal::{PartToSeal, Sealed, seal, seal_signal, sealed_len, unsecured};
pub use token::key_hints;

pub use crate::xml::{Document, Limits as XmlLimits};
pub use crate::xmlsec::{ContentKey, Decryptor, Encryptor, KeyHint, SignedReference};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_2_0;
