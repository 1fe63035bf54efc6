//! Revocation lists: judged when handed over, fetched elsewhere (`transport::Revoker`).

use openssl::x509::{CrlStatus, X509, X509Crl};

use super::certificate::timestamp;
use super::{Certificate, Error};
use crate::clock::Timestamp;

/// Whether a certificate is revoked. "Unknown" is never "good" (model 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// A valid list does not name it.
    Good,
    /// A valid list names it.
    Revoked {
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
}

impl std::fmt::Display for Revocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Good => f.write_str("not revoked"),
            Self::Revoked { since } => write!(f, "revoked since {since}"),
            Self::Unknown { why } => write!(f, "revocation unknown: {why}"),
        }
    }
}

/// One certificate revocation list.
pub struct Crl {
    crl: X509Crl,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
}

impl Crl {
    /// Reads a list, DER or PEM.
    pub fn read(octets: &[u8]) -> Result<Self, Error> {
        let read = if octets.starts_with(b"-----BEGIN") { X509Crl::from_pem } else { X509Crl::from_der };
        let crl = read(octets).map_err(|error| Error::damaged("CRL", error.to_string()))?;
        let next_update = crl.next_update().map(timestamp).transpose()?;
        Ok(Self { this_update: timestamp(crl.last_update())?, next_update, crl })
    }

    /// When the next list is due.
    pub fn next_update(&self) -> Option<Timestamp> {
        self.next_update
    }

    /// Judges a certificate by this list: it must be the issuer's own, signed by it, and be in force at `at`.
    pub fn judge(&self, certificate: &Certificate, issuer: &Certificate, at: Timestamp) -> Revocation {
        let same_issuer = self.crl.issuer_name().try_cmp(issuer.x509().subject_name());
        if !matches!(same_issuer, Ok(std::cmp::Ordering::Equal)) {
            return Revocation::unknown("the list is another issuer's");
        }
        let signed = issuer.public_key().is_ok_and(|key| self.crl.verify(&key).unwrap_or(false));
        if !signed {
            return Revocation::unknown("the list's signature is wrong");
        }
        if at < self.this_update {
            return Revocation::unknown(format!("the list is in force only from {}", self.this_update));
        }
        let entry: X509 = certificate.to_x509();
        match self.crl.get_by_cert(&entry) {
            CrlStatus::Revoked(entry) => {
                Revocation::Revoked { since: timestamp(entry.revocation_date()).unwrap_or(self.this_update) }
            }
            // Whoever was revoked stays so; only "not on it" needs a list that is still in force.
            _ if self.next_update.is_some_and(|next| next < at) => Revocation::unknown(format!(
                "the list was in force until {}",
                self.next_update.unwrap_or_default()
            )),
            _ => Revocation::Good,
        }
    }
}

impl Certificate {
    /// The http and https addresses of its revocation lists (CRL distribution points).
    pub fn crl_urls(&self) -> Vec<String> {
        let mut urls = Vec::new();
        for point in self.x509().crl_distribution_points().into_iter().flatten() {
            let names = point.distpoint().and_then(|point| point.fullname());
            urls.extend(names.into_iter().flatten().filter_map(|name| name.uri().map(str::to_owned)));
        }
        urls.retain(|url| url.starts_with("http://") || url.starts_with("https://"));
        urls
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing::{self, Options};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn only_the_issuers_own_list_in_force_counts() {
        let ca = testing::ca("CN=ca");
        let options = Options { crl: Some("http://crl.example/ca.crl"), ..Options::default() };
        let (leaf, _) = testing::certificate("CN=leaf", &options, Some(&ca));
        let (other, _) = testing::certificate("CN=other", &options, Some(&ca));
        assert_eq!(leaf.crl_urls(), ["http://crl.example/ca.crl"]);
        let list = Crl::read(&testing::crl(&ca, &[&leaf])).unwrap();
        let now = at("2026-06-01T00:00:00Z");
        let revoked = Revocation::Revoked { since: at("2026-02-01T00:00:00Z") };
        assert_eq!(list.judge(&leaf, &ca.0, now), revoked);
        assert_eq!(list.judge(&leaf, &ca.0, at("2028-01-01T00:00:00Z")), revoked, "for ever");
        assert_eq!(list.judge(&other, &ca.0, now), Revocation::Good);
        let unknown = |r: Revocation| matches!(r, Revocation::Unknown { .. });
        assert!(unknown(list.judge(&other, &ca.0, at("2028-01-01T00:00:00Z"))), "out of date");
        assert!(unknown(list.judge(&other, &ca.0, at("2025-01-01T00:00:00Z"))), "not yet in force");
        assert!(unknown(list.judge(&other, &testing::ca("CN=ca").0, now)), "signed by another");
        assert!(unknown(list.judge(&other, &testing::ca("CN=cb").0, now)), "issued by another");
        assert!(Crl::read(b"nonsense").is_err());
    }
}
