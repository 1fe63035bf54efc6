//! The DIV envelope of the national e-address system: read, verified, mapped to participants, and built anew.
//!
//! An envelope is verified on its own octets, cut out of whatever SOAP document carried it: its inclusive C14N does not hold
//! inside one (national-div 4, rule 3). Nothing here talks to anybody.

mod address;
mod attachment;
mod build;
mod confirm;
mod envelope;
mod names;
mod verify;

pub use address::{ALIAS_PREFIX, Abroad, LocalRecipient, Origin, is_eaddress, local_recipient, origin};
pub use attachment::{ContentKey, Opened, open_attachment, unwrap_key};
pub use build::{MOST_FILES, NewEnvelope, NewFile, build, reference_number, unique_names};
pub use confirm::{NewConfirmation, check_confirmation, confirm};
pub use envelope::{
    Confirmation, EncryptionInfo, Envelope, FileEntry, Priority, Recipient, ServerMetadata, cut_out, find,
};
pub use names::{BODY_LIMIT, DIV};
pub use verify::{Role, SignatureCheck, Signatures, verify};

/// What went wrong, by blame.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The sender: not XML.
    #[error("DIV envelope: {0}")]
    Xml(#[from] crate::xml::Error),
    /// The sender: no envelope where one should be.
    #[error("no DIV Envelope: found {{{namespace}}}{local}")]
    NoEnvelope {
        /// Namespace of what was found.
        namespace: String,
        /// Its local name.
        local: String,
    },
    /// The sender: an element that must be there is missing or reads nonsense.
    #[error("DIV envelope: {element} is missing or reads `{value}`")]
    Malformed {
        /// Which element.
        element: &'static str,
        /// What it reads.
        value: String,
    },
    /// The sender: its signature cannot be judged or does not hold.
    #[error("DIV envelope: the sender's signature {0}")]
    Signature(String),
    /// The sender: an attachment is not what the envelope says.
    #[error("attachment `{name}`: {problem}")]
    Attachment {
        /// File name.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// Ours: what should go into an envelope does not fit.
    #[error("new DIV envelope: {0}")]
    Unfit(String),
    /// Ours: the envelope could not be signed.
    #[error("new DIV envelope: {0}")]
    Signing(#[from] crate::xmlsec::Error),
    /// Our environment: reading or writing octets.
    #[error("attachment: {0}")]
    Io(#[from] std::io::Error),
    /// Our environment: the cryptographic library.
    #[error("attachment: {0}")]
    Crypto(#[from] openssl::error::ErrorStack),
}

#[cfg(test)]
mod tests;
