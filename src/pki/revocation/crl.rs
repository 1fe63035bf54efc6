//! One certificate revocation list (RFC 5280 5).

use openssl::x509::{CrlStatus, ReasonCode, X509, X509Crl, X509RevokedRef};

use super::Revocation;
use super::scope::Scope;
use crate::clock::{SignedDuration, Timestamp};
use crate::pki::certificate::timestamp;
use crate::pki::{Certificate, Error};

/// A list whose signature by its issuer was verified when it was read.
pub struct Crl {
    crl: X509Crl,
    issuer: Certificate,
    scope: Scope,
    this_update: Timestamp,
    next_update: Timestamp,
}

/// A list that does not say when the next one comes, which it must (RFC 5280 5.1.2.5), is believed so long.
const WITHOUT_END: SignedDuration = SignedDuration::from_hours(24);
/// Clock difference that is forgiven in "made just now".
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// `certificateHold` of CRLReason.
const CERTIFICATE_HOLD: i64 = 6;

impl Crl {
    /// Reads a list, DER or PEM, that `issuer` must have signed.
    ///
    /// # Errors
    /// Not a list; another issuer's; a signature that does not hold; an issuer that may not sign lists; a critical
    /// extension that is not understood (RFC 5280 5.2), or a list that is indirect or says only what has changed.
    pub fn read(octets: &[u8], issuer: &Certificate) -> Result<Self, Error> {
        let read = if octets.starts_with(b"-----BEGIN") { X509Crl::from_pem } else { X509Crl::from_der };
        let crl = read(octets).map_err(|error| damaged(error.to_string()))?;
        let same_issuer = crl.issuer_name().try_cmp(issuer.x509().subject_name());
        if !matches!(same_issuer, Ok(std::cmp::Ordering::Equal)) {
            return Err(damaged("it is another issuer's"));
        }
        let scope = Scope::of_list(&crl.to_der()?).map_err(damaged)?;
        if !issuer.may_sign_lists() {
            return Err(damaged("the key usage of its issuer forbids lists"));
        }
        if !issuer.public_key().is_ok_and(|key| crl.verify(&key).unwrap_or(false)) {
            return Err(damaged("its signature is wrong"));
        }
        // The first look sorts the list, which takes a while for a large one: here, not while a message waits.
        let _ = crl.get_by_cert(&issuer.to_x509());
        let this_update = timestamp(crl.last_update())?;
        let next_update = match crl.next_update() {
            Some(next) => timestamp(next)?,
            None => this_update.checked_add(WITHOUT_END).unwrap_or(Timestamp::MAX),
        };
        Ok(Self { this_update, next_update, crl, issuer: issuer.clone(), scope })
    }

    /// When it was made.
    pub fn this_update(&self) -> Timestamp {
        self.this_update
    }

    /// When the next list is due.
    pub fn next_update(&self) -> Timestamp {
        self.next_update
    }

    /// Judges a certificate by this list: it must be of the same issuer and in the list's scope, and the list be in force
    /// at `at`.
    pub fn judge(&self, certificate: &Certificate, at: Timestamp) -> Revocation {
        if !certificate.is_issued_by(&self.issuer) {
            return Revocation::unknown("the list is another issuer's");
        }
        if let Err(why) = self.scope.covers(certificate) {
            return Revocation::unknown(why);
        }
        let entry: X509 = certificate.to_x509();
        let status = self.crl.get_by_cert(&entry);
        if let CrlStatus::Revoked(entry) = &status
            && !is_hold(entry)
        {
            // Whoever was revoked stays so; everything else needs a list that is in force.
            let since = timestamp(entry.revocation_date()).unwrap_or(self.this_update);
            return Revocation::Revoked { since };
        }
        if self.this_update.duration_since(at) > SKEW {
            return Revocation::unknown(format!("the list is in force only from {}", self.this_update));
        }
        if self.next_update < at {
            return Revocation::unknown(format!("the list was in force until {}", self.next_update));
        }
        match status {
            CrlStatus::NotRevoked => Revocation::Good,
            CrlStatus::Revoked(entry) => {
                let since = timestamp(entry.revocation_date()).unwrap_or(self.this_update);
                Revocation::Suspended { since }
            }
            CrlStatus::RemoveFromCrl(_) => Revocation::unknown("the list says only what has changed"),
        }
    }
}

fn is_hold(entry: &X509RevokedRef) -> bool {
    let reason = entry.extension::<ReasonCode>().ok().flatten();
    reason.and_then(|(_, reason)| reason.get_i64().ok()) == Some(CERTIFICATE_HOLD)
}

fn damaged(problem: impl Into<String>) -> Error {
    Error::damaged("CRL", problem)
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
        let octets = testing::crl(&ca, &[&leaf]);
        let list = Crl::read(&octets, &ca.0).unwrap();
        let now = at("2026-06-01T00:00:00Z");
        let revoked = Revocation::Revoked { since: at("2026-02-01T00:00:00Z") };
        assert_eq!(list.judge(&leaf, now), revoked);
        assert_eq!(list.judge(&leaf, at("2028-01-01T00:00:00Z")), revoked, "for ever");
        assert_eq!(list.judge(&other, now), Revocation::Good);
        assert!(list.judge(&other, at("2028-01-01T00:00:00Z")).is_unknown(), "out of date");
        assert!(list.judge(&other, at("2025-01-01T00:00:00Z")).is_unknown(), "not yet in force");
        let stranger = testing::ca("CN=cb");
        let (strange, _) = testing::certificate("CN=leaf", &options, Some(&stranger));
        assert!(list.judge(&strange, now).is_unknown(), "issued by another");
        assert!(Crl::read(&octets, &testing::ca("CN=ca").0).is_err(), "signed by another");
        assert!(Crl::read(&octets, &stranger.0).is_err(), "another issuer's");
        assert!(Crl::read(b"nonsense", &ca.0).is_err());
    }

    #[test]
    fn a_revocation_counts_whatever_the_lists_dates() {
        let ca = testing::ca("CN=ca");
        let (leaf, _) = testing::issued("CN=leaf", &ca, testing::LONG);
        let future = testing::list(&ca, &[&leaf], &[], ("20270101000000Z", "20280101000000Z"));
        let list = Crl::read(&future, &ca.0).unwrap();
        assert!(matches!(list.judge(&leaf, at("2026-06-01T00:00:00Z")), Revocation::Revoked { .. }));
    }

    #[test]
    fn a_list_for_others_says_nothing_of_a_certificate() {
        let ca = testing::ca("CN=ca");
        let options = Options { crl: Some("http://crl.example/1.crl"), ..Options::default() };
        let (leaf, _) = testing::certificate("CN=leaf", &options, Some(&ca));
        let sub = testing::certificate("CN=sub", &Options { ca: true, ..options }, Some(&ca)).0;
        let now = at("2026-06-01T00:00:00Z");
        let judged = |scope: &[u8], certificate: &Certificate| {
            let octets = testing::crl_for(&ca, &[], scope);
            Crl::read(&octets, &ca.0).map(|list| list.judge(certificate, now)).ok()
        };
        let point = |url: &str| testing::distribution_point(url);
        assert_eq!(judged(&point("http://crl.example/1.crl"), &leaf), Some(Revocation::Good));
        let by_name = testing::named_distribution_point(&ca.0);
        assert!(judged(&by_name, &leaf).unwrap().is_unknown(), "a part that has a name and no address");
        assert!(judged(&point("http://crl.example/2.crl"), &leaf).unwrap().is_unknown(), "another part");
        // IssuingDistributionPoint ::= SEQUENCE { [1] onlyContainsUserCerts, [2] onlyContainsCACerts, [3] onlySomeReasons,
        // [4] indirectCRL, [5] onlyContainsAttributeCerts }
        let users = [0x30, 3, 0x81, 1, 0xff];
        assert_eq!(judged(&users, &leaf), Some(Revocation::Good));
        assert!(judged(&users, &sub).unwrap().is_unknown(), "for users only");
        let authorities = [0x30, 3, 0x82, 1, 0xff];
        assert_eq!(judged(&authorities, &sub), Some(Revocation::Good));
        assert!(judged(&authorities, &leaf).unwrap().is_unknown(), "for authorities only");
        assert_eq!(judged(&[0x30, 3, 0x84, 1, 0xff], &leaf), None, "indirect");
        assert_eq!(judged(&[0x30, 3, 0x85, 1, 0xff], &leaf), None, "attribute certificates");
        assert_eq!(judged(&[0x30, 4, 0x83, 2, 1, 2], &leaf), None, "some reasons");
    }
}
