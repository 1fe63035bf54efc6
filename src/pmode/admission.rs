//! Whether a received message is for anybody here: asked on the connection, before the receipt.

use crate::clock::SignedDuration;
use crate::ebms::{Code, UserMessage};

/// Decides whether a business message can be taken. Implemented by what the backends serve and by envelope rules;
/// called by the stage `check` of receiving.
pub trait Admission: Send + Sync {
    /// Admits the message, or says why not.
    ///
    /// # Errors
    /// [`Refusal`] with the code that the sender is told.
    fn admit(&self, message: &UserMessage, pmode: &super::PMode) -> Result<Admitted, Refusal>;
}

/// Who will be handed an admitted message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The backend.
    pub backend: String,
    /// How long its recipient has when the message itself does not say.
    pub take_within: Option<SignedDuration>,
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
