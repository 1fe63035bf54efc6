//! What a lookup did, for the status timeline and the console.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// One step of a lookup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When it ended.
    pub at: Timestamp,
    /// What was asked: `NAPTR <name>`, `GET <url>`, `cache`, `endpoint`.
    pub asked: String,
    /// Of whom: the DNS resolver, the SMP's host, or ourselves.
    pub of: String,
    /// What came of it, in a few words.
    pub came: String,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
}
