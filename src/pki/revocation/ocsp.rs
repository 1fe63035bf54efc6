//! One answer of an OCSP responder (RFC 6960; without nonce, so that answers can be kept: RFC 5019).

use jiff::fmt::strtime;
use openssl::asn1::Asn1GeneralizedTimeRef;
use openssl::hash::MessageDigest;
use openssl::ocsp::{
    OcspBasicResponse, OcspCertId, OcspCertStatus, OcspFlag, OcspRequest, OcspResponse, OcspResponseStatus,
    OcspRevokedStatus,
};
use openssl::stack::Stack;

use super::Revocation;
use crate::clock::{SignedDuration, Timestamp};
use crate::pki::{Certificate, Error, TrustStore};

/// An answer that does not say until when it holds is believed so long.
const WITHOUT_END: SignedDuration = SignedDuration::from_hours(12);
/// Clock difference that is forgiven in "produced just now".
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The question about one certificate.
pub struct OcspQuestion {
    certificate: Certificate,
    issuer: Certificate,
}

impl OcspQuestion {
    /// Asks after `certificate`, which `issuer` issued.
    pub fn new(certificate: &Certificate, issuer: &Certificate) -> Self {
        Self { certificate: certificate.clone(), issuer: issuer.clone() }
    }

    /// The request, DER: to be posted as `application/ocsp-request`.
    ///
    /// # Errors
    /// OpenSSL's refusal.
    pub fn to_der(&self) -> Result<Vec<u8>, Error> {
        let mut request = OcspRequest::new()?;
        request.add_id(self.id()?)?;
        Ok(request.to_der()?)
    }

    /// CertID by SHA-1, as RFC 5019 2.1.1 demands: it names, and protects nothing.
    fn id(&self) -> Result<OcspCertId, Error> {
        let (certificate, issuer) = (self.certificate.x509(), self.issuer.x509());
        Ok(OcspCertId::from_cert(MessageDigest::sha1(), certificate, issuer)?)
    }
}

/// An answer whose signature was verified when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ocsp {
    said: Said,
    this_update: Timestamp,
    until: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Good,
    Revoked(Timestamp),
    Suspended(Timestamp),
    Unknown,
}

impl Ocsp {
    /// Reads the answer to `question`, DER. The issuer itself must have signed it, or a responder that the issuer named
    /// for that (RFC 6960 4.2.2.2), whose certificate is valid at `at`.
    ///
    /// # Errors
    /// Not an answer, a refusal to answer, a signature that does not hold, another certificate's answer.
    pub fn read(octets: &[u8], question: &OcspQuestion, at: Timestamp) -> Result<Self, Error> {
        let response = OcspResponse::from_der(octets).map_err(|error| damaged(error.to_string()))?;
        if response.status() != OcspResponseStatus::SUCCESSFUL {
            return Err(damaged(format!("the responder refused ({})", response.status().as_raw())));
        }
        let basic = response.basic().map_err(|error| damaged(error.to_string()))?;
        verify(&basic, &question.issuer, at)?;
        let status = basic.find_status(&*question.id()?);
        let status = status.ok_or_else(|| damaged("it says nothing of the certificate"))?;
        let this_update = time(status.this_update)?;
        let until = match status.next_update() {
            Some(next) => time(next)?,
            None => this_update.checked_add(WITHOUT_END).unwrap_or(Timestamp::MAX),
        };
        let said = match status.status {
            OcspCertStatus::GOOD => Said::Good,
            OcspCertStatus::REVOKED => {
                let since = status.revocation_time.map_or(Ok(this_update), time).unwrap_or(this_update);
                match status.reason == OcspRevokedStatus::STATUS_CERTIFICATE_HOLD {
                    true => Said::Suspended(since),
                    false => Said::Revoked(since),
                }
            }
            _ => Said::Unknown,
        };
        Ok(Self { said, this_update, until })
    }

    /// When the responder looked.
    pub fn this_update(&self) -> Timestamp {
        self.this_update
    }

    /// Until when the answer holds.
    pub fn next_update(&self) -> Timestamp {
        self.until
    }

    /// What the answer means at `at`.
    pub fn judge(&self, at: Timestamp) -> Revocation {
        match self.said {
            // Whoever was revoked stays so; everything else needs an answer that holds.
            Said::Revoked(since) => Revocation::Revoked { since },
            Said::Unknown => Revocation::unknown("the responder does not know the certificate"),
            _ if at.duration_since(self.until) > SignedDuration::ZERO => {
                Revocation::unknown(format!("the responder's answer held until {}", self.until))
            }
            _ if self.this_update.duration_since(at) > SKEW => {
                Revocation::unknown(format!("the responder's answer holds only from {}", self.this_update))
            }
            Said::Suspended(since) => Revocation::Suspended { since },
            Said::Good => Revocation::Good,
        }
    }
}

/// OpenSSL's check of signature, chain and the right to answer, with the issuer as the only anchor.
fn verify(basic: &OcspBasicResponse, issuer: &Certificate, at: Timestamp) -> Result<(), Error> {
    let store = TrustStore::new(vec![issuer.clone()]).to_x509_store_at(at)?;
    let mut certificates = Stack::new()?;
    certificates.push(issuer.to_x509())?;
    let verified = basic.verify(&certificates, &store, OcspFlag::empty());
    verified.map_err(|error| damaged(format!("nobody who may answer has signed it ({error})")))
}

fn time(time: &Asn1GeneralizedTimeRef) -> Result<Timestamp, Error> {
    let text = time.to_string();
    let parsed = strtime::parse("%b %e %H:%M:%S %Y GMT", &text).and_then(|broken| broken.to_datetime());
    let zoned = parsed.and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC));
    zoned.map(|zoned| zoned.timestamp()).map_err(|_| damaged(format!("{text:?} is no time")))
}

fn damaged(problem: impl Into<String>) -> Error {
    Error::damaged("OCSP answer", problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::pki::testing::{self, Options, Pair};

    fn responder(ca: &Pair) -> Pair {
        testing::certificate("CN=responder", &Options { responder: true, ..Options::default() }, Some(ca))
    }

    #[test]
    fn what_the_responder_says_counts_for_the_certificate_and_as_long_as_it_says() {
        let ca = testing::ca("CN=ca");
        let options = Options { ocsp: Some("http://ocsp.example"), ..Options::default() };
        let (leaf, _) = testing::certificate("CN=leaf", &options, Some(&ca));
        let (other, _) = testing::certificate("CN=other", &options, Some(&ca));
        assert_eq!(leaf.ocsp_urls(), ["http://ocsp.example"]);
        let now = Clock::system().now();
        let (about, known) = (OcspQuestion::new(&leaf, &ca.0), [(&leaf, None)]);
        let octets = testing::ocsp_answer(&ca, &ca, &known, &about.to_der().unwrap());
        let answer = Ocsp::read(&octets, &about, now).unwrap();
        assert_eq!(answer.judge(now), Revocation::Good);
        let week = SignedDuration::from_hours(7 * 24);
        assert!(answer.judge(now.checked_add(week).unwrap()).is_unknown(), "held for two days");
        assert!(answer.judge(now.checked_sub(week).unwrap()).is_unknown(), "not yet");
        assert!(Ocsp::read(&octets, &OcspQuestion::new(&other, &ca.0), now).is_err(), "of another");
        assert!(Ocsp::read(b"nonsense", &about, now).is_err());
        for index in 0..octets.len() {
            let mut tampered = octets.clone();
            tampered[index] ^= 1;
            // What a change of the certificates that came along does not break says the same.
            let read = Ocsp::read(&tampered, &about, now);
            assert!(read.is_err() || read.is_ok_and(|said| said == answer), "octet {index}");
        }
        let octets = testing::ocsp_answer(&ca, &ca, &[(&other, None)], &about.to_der().unwrap());
        assert!(Ocsp::read(&octets, &about, now).unwrap().judge(now).is_unknown(), "not known there");
    }

    #[test]
    fn a_certificate_on_hold_is_not_revoked_for_good() {
        let ca = testing::ca("CN=ca");
        let (leaf, _) = testing::issued("CN=leaf", &ca, testing::LONG);
        let now = Clock::system().now();
        let about = OcspQuestion::new(&leaf, &ca.0);
        let held = [(&leaf, Some("20260201000000Z,certificateHold"))];
        let octets = testing::ocsp_answer(&ca, &ca, &held, &about.to_der().unwrap());
        let answer = Ocsp::read(&octets, &about, now).unwrap();
        assert!(matches!(answer.judge(now), Revocation::Suspended { .. }));
        let later = now.checked_add(SignedDuration::from_hours(24 * 30)).unwrap();
        assert!(answer.judge(later).is_unknown(), "the hold may have ended");
    }

    #[test]
    fn the_issuer_or_whom_it_named_may_answer_and_nobody_else() {
        let ca = testing::ca("CN=ca");
        let (leaf, _) = testing::issued("CN=leaf", &ca, testing::LONG);
        let now = Clock::system().now();
        let about = OcspQuestion::new(&leaf, &ca.0);
        let request = about.to_der().unwrap();
        let revoked = [(&leaf, Some("20260201000000Z"))];
        let said = |signer: &Pair| {
            Ocsp::read(&testing::ocsp_answer(&ca, signer, &revoked, &request), &about, now)
                .map(|answer| answer.judge(now))
        };
        let since = "2026-02-01T00:00:00Z".parse().unwrap();
        assert_eq!(said(&ca).unwrap(), Revocation::Revoked { since });
        assert_eq!(said(&responder(&ca)).unwrap(), Revocation::Revoked { since }, "named by the issuer");
        assert!(said(&testing::issued("CN=any", &ca, testing::LONG)).is_err(), "no responder");
        assert!(said(&responder(&testing::ca("CN=ca"))).is_err(), "another's responder");
        let expired =
            Options { responder: true, valid: ("20200101000000Z", "20210101000000Z"), ..Options::default() };
        assert!(said(&testing::certificate("CN=r", &expired, Some(&ca))).is_err(), "expired");
    }
}
