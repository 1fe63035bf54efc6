//! Whether a received message is for anybody here: asked on the connection, before the receipt.

use crate::clock::SignedDuration;
use crate::ebms::{Code, UserMessage};

/// Decides whether a business message can be taken. Implemented by what the backends serve and by envelope rules;
/// called by the stage `check` of receiving.
pub trait Admission: Send + Sync {
    /// Admits the message, or says why not. `opening` is the beginning of its first part, where the profile puts a business
    /// envelope there and there is a part.
    ///
    /// # Errors
    /// [`Refusal`] with the code that the sender is told.
    fn admit(
        &self,
        message: &UserMessage,
        pmode: &super::PMode,
        opening: Option<&Opening>,
    ) -> Result<Admitted, Refusal>;
}

/// The beginning of a payload part, decrypted and unpacked: a part of gigabytes is not read whole for its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The first octets, at most [`Opening::OCTETS`].
    pub octets: Vec<u8>,
    /// Whether they are all.
    pub whole: bool,
}

impl Opening {
    /// How many octets are looked at.
    pub const OCTETS: usize = 128 << 10;

    /// Reads the beginning of a part of `size` octets.
    ///
    /// # Errors
    /// The reader's.
    pub fn read(reader: impl std::io::Read, size: u64) -> std::io::Result<Self> {
        let mut octets = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(reader, Self::OCTETS as u64), &mut octets)?;
        Ok(Self { whole: octets.len() as u64 == size, octets })
    }
}

/// Who will be handed an admitted message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The backend.
    pub backend: String,
    /// How long its recipient has when the message itself does not say.
    pub take_within: Option<SignedDuration>,
    /// Its messages are at its disposal as soon as they are listed: nothing is carried to it (model.md 6).
    pub lists: bool,
}

/// Why a message is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code that the sender is told.
    pub code: Code,
    /// `ErrorDetail` for the sender, such as `PEPPOL:NOT_SERVICED`.
    pub detail: Option<String>,
    /// For our own log: what was asked for and by which rule it was refused.
    pub reason: String,
}
