//! What one `ds:Reference` of a SignedInfo says, as a value that outlives the document.

use serde::{Deserialize, Serialize};

/// One reference as written: kept with a sent message and compared with its receipt (as4-wire 3.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SignedReference {
    /// `#id` or `cid:...`, as written.
    pub uri: String,
    /// Algorithm URIs of the transforms, in order.
    pub transforms: Vec<String>,
    /// Algorithm URI of the digest.
    pub digest_method: String,
    /// The digest, decoded.
    #[serde(with = "hex::serde")]
    pub digest_value: Vec<u8>,
}
