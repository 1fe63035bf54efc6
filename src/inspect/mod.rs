//! Takes captured messages apart, by the functions that receive.
//!
//! Two judgements are kept apart (design 5): what the cryptography says, in three values, and the verdict, which is
//! `accepted` exactly when there is no error. What could not be checked is `None`, never a guess.

mod capture;
mod encryption;
mod matching;
mod message;
mod parts;
mod report;
mod signature;
mod standalone;

pub use report::{EncryptionRow, ErrorRow, PartRow, ReferenceRow, Report, SignatureRow, SignerRow, UnitRow};

use crate::clock::Timestamp;
use crate::ebms::Code;
use crate::pki::{Certificate, Entry, TrustStore};
use crate::wssec::SecurityPolicy;
use crate::xml::{Document, Limits};

/// How to judge.
#[derive(Clone)]
pub struct Options {
    /// Content-Type instead of the one found or guessed.
    pub content_type: Option<String>,
    /// The profile that the message has to follow; `None` demands nothing.
    pub profile: Option<Profile>,
    /// The captured request that the message answers.
    pub request: Option<Vec<u8>>,
    /// The moment to judge certificates at.
    pub at: Timestamp,
    /// Keys and certificates at hand.
    pub entries: Vec<Entry>,
    /// Certificates that resolve references.
    pub certificates: Vec<Certificate>,
    /// Anchors; `None` leaves trust open.
    pub trust: Option<TrustStore>,
}

/// A profile by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// eDelivery AS4 1.15.
    Edelivery115,
    /// eDelivery AS4 2.0.
    Edelivery20,
    /// Peppol AS4 2.0.
    Peppol,
}

impl Profile {
    /// The words that are understood.
    pub const NAMES: [&str; 3] = ["edelivery-1.15", "edelivery-2.0", "peppol"];

    /// The profile of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        let at = Self::NAMES.iter().position(|known| *known == name)?;
        Some([Self::Edelivery115, Self::Edelivery20, Self::Peppol][at])
    }

    fn policy(self) -> SecurityPolicy {
        match self {
            Self::Edelivery115 => SecurityPolicy::edelivery_1_15(),
            Self::Edelivery20 => SecurityPolicy::edelivery_2_0(),
            Self::Peppol => SecurityPolicy::peppol(),
        }
    }
}

/// What was found.
pub struct Inspection {
    /// For the reader.
    pub report: Report,
    /// The parts of an accepted message, inflated: (Content-ID, octets).
    pub payloads: Vec<(Option<String>, Vec<u8>)>,
}

/// Takes one capture apart: HTTP or MIME with headers, a multipart from its first boundary, a SOAP envelope, or XML with
/// a signature or encryption.
pub fn inspect(octets: &[u8], options: &Options) -> Inspection {
    let captured = capture::read(octets, options.content_type.as_deref());
    let mut findings = Findings::default();
    captured.problems.iter().for_each(|(code, detail)| findings.add(*code, detail.clone()));
    let mut report = Report::new(if captured.multipart { "multipart" } else { "unreadable" });
    let mut payloads = Vec::new();
    match captured.root.as_deref().map(parse) {
        None => findings.at_least(Code::MimeInconsistency, "neither XML nor MIME was found"),
        Some(Err(error)) => findings.add(Code::InvalidHeader, error),
        Some(Ok(document)) => {
            let mut judge = Judge { options, findings: &mut findings };
            match message::is_envelope(&document) {
                true => message::examine(&document, &captured, &mut judge, &mut report, &mut payloads),
                false => standalone::examine(&document, &mut judge, &mut report, &mut payloads),
            }
        }
    }
    report.conclude(findings.rows);
    if report.verdict != "accepted" {
        payloads.clear();
    }
    Inspection { report, payloads }
}

/// What judging needs and where it says what is wrong.
struct Judge<'j> {
    options: &'j Options,
    findings: &'j mut Findings,
}

impl Judge<'_> {
    fn policy(&self) -> Option<SecurityPolicy> {
        self.options.profile.map(Profile::policy)
    }

    fn add(&mut self, code: Code, detail: impl Into<String>) {
        self.findings.add(code, detail);
    }

    /// An error of the security rooms, under its code.
    fn add_security(&mut self, error: &crate::wssec::Error) {
        let code = match error {
            e if e.is_structure() => Code::InvalidHeader,
            e if e.is_policy() => Code::PolicyNoncompliance,
            e if e.is_decryption() => Code::FailedDecryption,
            _ => Code::FailedAuthentication,
        };
        self.findings.add(code, error.to_string());
    }
}

/// The errors, in the order found.
#[derive(Default)]
struct Findings {
    rows: Vec<ErrorRow>,
}

impl Findings {
    fn add(&mut self, code: Code, detail: impl Into<String>) {
        let row = ErrorRow { code: code.code().to_owned(), detail: detail.into() };
        if !self.rows.contains(&row) {
            self.rows.push(row);
        }
    }

    /// Adds it unless something is there already.
    fn at_least(&mut self, code: Code, detail: &str) {
        if self.rows.is_empty() {
            self.add(code, detail);
        }
    }
}

fn parse(octets: &[u8]) -> Result<Document, String> {
    let limits = Limits { max_octets: 64 << 20, max_nodes: 2_000_000, ..Limits::default() };
    Document::parse(octets, &limits).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
