//! ebMS 3.0 message units: types, reading, writing, and the EBMS code table. No I/O, no time, no storage.
//!
//! [`Messaging::read`] judges the header block by the rules of the schema and the profile (as4-wire 1.3);
//! [`overview()`] only looks, for captured messages that may be wrong. [`write_user_message`] gives the one spelling that
//! tilts sends.

mod codes;
mod model;
pub mod names;
mod overview;
mod read;
mod receipt;
mod write;

pub use codes::{Category, Code, Origin, Severity};
pub use model::{
    AgreementRef, ErrorEntry, MessageInfo, Messaging, PartInfo, Party, PartyId, Property, PullRequest,
    Receipt, Schema, Service, SignalContent, SignalMessage, Unit, UserMessage,
};
pub use overview::{UnitView, overview};
pub use read::Error;
pub use receipt::{ReceiptMatch, match_receipt};
pub use write::{write_error_signal, write_receipt, write_user_message};

pub use crate::xmlsec::SignedReference;
