//! Where revocation data comes from, and what came.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::pki::{Certificate, Crl, Error, Ocsp, OcspQuestion, Revocation};

/// Addresses of one certificate that are used.
const MOST_LISTS: usize = 4;
const MOST_RESPONDERS: usize = 2;

/// One address that says something of one issuer's certificates, or of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// The address.
    pub url: String,
    /// Whose word it must be.
    pub issuer: Certificate,
    /// The certificate that is asked after; absent for a list, which is about all of the issuer's.
    pub certificate: Option<Certificate>,
}

/// A source as it is kept on the disk, before the octets that came.
#[derive(Serialize, Deserialize)]
struct Head {
    url: String,
    issuer: String,
    certificate: Option<String>,
}

impl Source {
    /// The lists and then the responders that `certificate` names.
    pub fn of(certificate: &Certificate, issuer: &Certificate) -> Vec<Self> {
        let list = |url| Self { url, issuer: issuer.clone(), certificate: None };
        let responder = |url| Self { url, issuer: issuer.clone(), certificate: Some(certificate.clone()) };
        let lists = certificate.crl_urls().into_iter().take(MOST_LISTS).map(list);
        lists.chain(certificate.ocsp_urls().into_iter().take(MOST_RESPONDERS).map(responder)).collect()
    }

    /// A name that no other source has; also a file name. An authority is its name and key, a certificate its serial number:
    /// copies that differ elsewhere are no others.
    pub fn key(&self) -> String {
        let serial = self.certificate.as_ref().map(Certificate::serial_decimal).unwrap_or_default();
        let key = self.issuer.public_key().and_then(|key| Ok(key.public_key_to_der()?)).unwrap_or_default();
        let digest = |octets: &[u8]| openssl::sha::sha256(octets);
        let parts =
            [self.issuer.subject().as_bytes(), &key, serial.as_bytes(), self.url.as_bytes()].map(digest);
        hex::encode(digest(&parts.concat()))
    }

    /// The question for a responder; `None` for a list.
    pub fn question(&self) -> Option<OcspQuestion> {
        self.certificate.as_ref().map(|certificate| OcspQuestion::new(certificate, &self.issuer))
    }

    /// Reads and verifies what came from here.
    ///
    /// # Errors
    /// Those of [`Crl::read`] and [`Ocsp::read`].
    pub fn read(&self, octets: &[u8], at: Timestamp) -> Result<Proof, Error> {
        match self.question() {
            Some(question) => Ocsp::read(octets, &question, at).map(Proof::Answer),
            None => Crl::read(octets, &self.issuer).map(Proof::List),
        }
    }

    /// One line of JSON, then the octets.
    pub fn to_file(&self, octets: &[u8]) -> Vec<u8> {
        let head = Head {
            url: self.url.clone(),
            issuer: hex::encode(self.issuer.der()),
            certificate: self.certificate.as_ref().map(|certificate| hex::encode(certificate.der())),
        };
        let mut file = serde_json::to_vec(&head).unwrap_or_default();
        file.push(b'\n');
        file.extend_from_slice(octets);
        file
    }

    /// What [`Source::to_file`] wrote; `None` for anything else.
    pub fn from_file(file: &[u8]) -> Option<(Self, &[u8])> {
        let end = memchr::memchr(b'\n', file)?;
        let head: Head = serde_json::from_slice(&file[..end]).ok()?;
        let certificate = |text: &str| Certificate::from_der(&hex::decode(text).ok()?).ok();
        let about = match &head.certificate {
            Some(text) => Some(certificate(text)?),
            None => None,
        };
        let source = Self { issuer: certificate(&head.issuer)?, certificate: about, url: head.url };
        Some((source, &file[end + 1..]))
    }
}

/// What came from a source, verified.
pub(super) enum Proof {
    /// A list.
    List(Crl),
    /// A responder's answer.
    Answer(Ocsp),
}

impl Proof {
    /// What it says of `certificate` at `at`.
    pub fn judge(&self, certificate: &Certificate, at: Timestamp) -> Revocation {
        match self {
            Self::List(list) => list.judge(certificate, at),
            Self::Answer(answer) => answer.judge(at),
        }
    }

    /// When it was made.
    pub fn this_update(&self) -> Timestamp {
        match self {
            Self::List(list) => list.this_update(),
            Self::Answer(answer) => answer.this_update(),
        }
    }

    /// Until when it holds.
    pub fn next_update(&self) -> Timestamp {
        match self {
            Self::List(list) => list.next_update(),
            Self::Answer(answer) => answer.next_update(),
        }
    }
}
