//! Signed delivery evidence: ETSI TS 102 640 REM, written for messages that others sent us, read for ours.
//!
//! [`build()`] makes what a receiving side must say (model 4, "Sending evidence"); [`read()`] takes any peer's evidence apart,
//! leniently in form and strictly in signature; [`weigh()`] says whether it may move a status. [`dossier`] is the zip that a
//! court can read and check without this program.

mod build;
pub mod dossier;
mod names;
mod read;
mod weigh;

pub use build::{Happening, NewRem, Signed, build};
pub use names::{Event, NAMESPACE, Root, Spelling};
pub use read::{Quirk, Reason, SignatureState, Testimony, read};
pub use weigh::{Courier, Original, Weight, weigh};

/// What went wrong, by blame.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The peer: what it sent is not XML.
    #[error("evidence: {0}")]
    Xml(#[from] crate::xml::Error),
    /// The peer: it is XML, but no evidence that we know.
    #[error("evidence: root element {{{namespace}}}{local} is no REM evidence")]
    UnknownRoot {
        /// Its namespace.
        namespace: String,
        /// Its local name.
        local: String,
    },
    /// The peer: an element without which evidence says nothing is missing or cannot be read.
    #[error("evidence: {element} is missing or reads `{value}`")]
    Malformed {
        /// Which element.
        element: &'static str,
        /// What it reads.
        value: String,
    },
    /// Ours: the evidence could not be signed.
    #[error("evidence: {0}")]
    Signing(#[from] crate::xmlsec::Error),
    /// Ours: there is nothing to sign evidence with.
    #[error("evidence: no key of ours signs evidence; give one use = [\"evidence\"]")]
    NoKey,
    /// The zip handed in cannot be read.
    #[error("dossier: {0}")]
    Zip(#[from] zip::result::ZipError),
    /// The zip handed in lacks a file or holds one that cannot be read.
    #[error("dossier: {file}: {problem}")]
    Dossier {
        /// Which file.
        file: String,
        /// What is wrong.
        problem: String,
    },
}

#[cfg(test)]
mod tests;
