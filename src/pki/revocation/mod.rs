//! Revocation: what a list or a responder's answer says of a certificate. Judged when handed over, fetched elsewhere
//! (`transport::Revoker`).

mod crl;
mod ocsp;
mod scope;

use serde::Deserialize;

pub use crl::Crl;
pub use ocsp::{Ocsp, OcspQuestion};

use super::Certificate;
use crate::clock::Timestamp;

/// What is demanded of revocation data. A revoked certificate is refused by `require` and by `soft` (model 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevocationRule {
    /// Where it cannot be told, nothing is sent and nothing is taken until it can.
    Require,
    /// Where it cannot be told, that is noted. Certificates of small networks name no lists.
    #[default]
    Soft,
    /// Nobody is asked.
    Off,
}

/// Whether a certificate is revoked. "Unknown" is never "good" (model 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// A valid list does not name it, or its responder says that it is good.
    Good,
    /// A valid list names it, or its responder says so.
    Revoked {
        /// Since when.
        since: Timestamp,
    },
    /// It is suspended (certificateHold, RFC 5280 5.3.1), which may end: not to be used now, and not refused for good.
    Suspended {
        /// Since when.
        since: Timestamp,
    },
    /// It cannot be told.
    Unknown {
        /// Why not, for people.
        why: String,
    },
}

impl Revocation {
    /// It cannot be told.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown { why: why.into() }
    }

    /// True when it cannot be told.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }
}

impl std::fmt::Display for Revocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Good => f.write_str("not revoked"),
            Self::Revoked { since } => write!(f, "revoked since {since}"),
            Self::Suspended { since } => write!(f, "suspended since {since}"),
            Self::Unknown { why } => write!(f, "revocation unknown: {why}"),
        }
    }
}

impl Certificate {
    /// The http and https addresses of its revocation lists (RFC 5280 4.2.1.13), in order.
    pub fn crl_urls(&self) -> Vec<String> {
        let mut urls = Vec::new();
        for point in self.x509().crl_distribution_points().into_iter().flatten() {
            let names = point.distpoint().and_then(|point| point.fullname());
            urls.extend(names.into_iter().flatten().filter_map(|name| name.uri().map(str::to_owned)));
        }
        urls.retain(|url| is_web(url));
        urls
    }

    /// The http and https addresses of its OCSP responders (RFC 5280 4.2.2.1), in order.
    pub fn ocsp_urls(&self) -> Vec<String> {
        let named = self.x509().ocsp_responders().ok();
        let urls = named.iter().flatten().map(|url| url.to_string());
        urls.filter(|url| is_web(url)).collect()
    }
}

fn is_web(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
}
