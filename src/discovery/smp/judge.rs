//! The judgement on one answer: what it says, what its signature is worth, what is wrong with it (design 5).

use serde::Serialize;

use super::signature::{Checked, SignatureReport, check};
use super::{Answer, Content, Dialect, Kind, Process, Redirect, Service, read};
use crate::clock::Timestamp;
use crate::discovery::Identifier;
use crate::discovery::select::takes;
use crate::pki::{Certificate, TrustStore};

/// What was asked for; what is absent is not compared.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Whose answer it must be.
    pub participant: Option<Identifier>,
    /// What it must be about.
    pub document_type: Option<Identifier>,
    /// The process that must have an endpoint.
    pub process: Option<Identifier>,
    /// The transport profile that it must have.
    pub transport_profile: Option<String>,
}

/// What is demanded of an answer.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Accept SHA-1.
    pub allow_sha1: bool,
    /// Accept metadata without signature.
    pub allow_unsigned: bool,
    /// Who may sign; when absent the signer is not judged.
    pub trust: Option<TrustStore>,
    /// Certificates that resolve references to one.
    pub known: Vec<Certificate>,
    /// The time.
    pub at: Timestamp,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `malformed`, `unsigned`, `signature`, `weak-algorithm`, `untrusted`, `mismatch` or `no-endpoint`.
    pub code: &'static str,
    /// For people.
    pub detail: String,
}

/// The judgement as printed.
#[derive(Debug, Clone, Serialize)]
pub struct Judgement {
    /// `accepted` exactly when there are no errors.
    pub verdict: &'static str,
    /// What is wrong.
    pub errors: Vec<Finding>,
    /// The dialect, when it is one.
    pub dialect: Option<Dialect>,
    /// The kind of answer.
    pub kind: Option<Kind>,
    /// Whose it is.
    pub participant: Option<String>,
    /// What it is about.
    pub document_type: Option<String>,
    /// The document types of a group; references that cannot be read as written.
    pub services: Vec<String>,
    /// Every endpoint.
    pub endpoints: Vec<EndpointRow>,
    /// Where else to ask.
    pub redirect: Option<RedirectRow>,
    /// The signature.
    pub signature: SignatureReport,
}

/// One endpoint as printed.
#[derive(Debug, Clone, Serialize)]
pub struct EndpointRow {
    /// The process; absent where any is taken.
    pub process: Option<String>,
    /// The transport profile.
    pub transport_profile: String,
    /// The address.
    pub url: String,
    /// SHA-256 of its certificates.
    pub certificates: Vec<String>,
    /// By its dates.
    pub active: bool,
}

/// A redirect as printed.
#[derive(Debug, Clone, Serialize)]
pub struct RedirectRow {
    /// Where to.
    pub url: String,
    /// Who signs there.
    pub certificate_uid: Option<String>,
}

/// A judgement with the answer itself.
pub struct Examined {
    /// What was judged.
    pub judgement: Judgement,
    /// What it says; absent when it is malformed.
    pub answer: Option<Answer>,
    /// Who signed it.
    pub signer: Option<Certificate>,
    /// Certificates that came along with the signer's.
    pub chain: Vec<Certificate>,
}

/// Judges the octets of one answer.
pub fn judge(octets: &[u8], wanted: &Wanted, policy: &Policy) -> Judgement {
    examine(octets, wanted, policy).judgement
}

/// Judges the octets of one answer and keeps what it says. Only what the judgement accepts may be believed.
pub fn examine(octets: &[u8], wanted: &Wanted, policy: &Policy) -> Examined {
    let document = match read::parse(octets) {
        Ok(document) => document,
        Err(detail) => return malformed(None, detail, None),
    };
    let dialect = read::dialect_of(document.root());
    let checked = check(&document, &policy.known, policy.trust.as_ref(), policy.at);
    let answer = match read::read(&document) {
        Ok(answer) => answer,
        Err(detail) => return malformed(dialect, detail, Some(checked)),
    };
    let mut errors = mismatches(&answer, wanted);
    errors.extend(signature_findings(&answer, &checked, policy));
    errors.extend(endpoint_findings(&answer, wanted, policy.at));
    let (signer, chain) = (checked.signer.clone(), checked.chain.clone());
    let judgement = print(&answer, errors, checked.report, policy.at);
    Examined { judgement, answer: Some(answer), signer, chain }
}

fn finding(code: &'static str, detail: impl Into<String>) -> Finding {
    Finding { code, detail: detail.into() }
}

fn malformed(dialect: Option<Dialect>, detail: String, checked: Option<Checked>) -> Examined {
    let signature = checked.map_or_else(SignatureReport::absent, |checked| checked.report);
    let judgement = Judgement {
        verdict: "rejected",
        errors: vec![finding("malformed", detail)],
        dialect,
        kind: None,
        participant: None,
        document_type: None,
        services: Vec::new(),
        endpoints: Vec::new(),
        redirect: None,
        signature,
    };
    Examined { judgement, answer: None, signer: None, chain: Vec::new() }
}

fn mismatches(answer: &Answer, wanted: &Wanted) -> Vec<Finding> {
    let (participant, document_type) = match &answer.content {
        Content::Group(group) => (Some(&group.participant), None),
        Content::Metadata(metadata) => (Some(&metadata.participant), Some(&metadata.document_type)),
        Content::Redirect(_) => (None, None),
    };
    let differs = |wanted: &Option<Identifier>, found: Option<&Identifier>, what: &str| {
        let (wanted, found) = wanted.as_ref().zip(found)?;
        let text = || format!("asked for {what} {wanted}, the answer is about {found}");
        (!wanted.means(found)).then(|| finding("mismatch", text()))
    };
    let participant = differs(&wanted.participant, participant, "participant");
    participant.into_iter().chain(differs(&wanted.document_type, document_type, "document type")).collect()
}

/// Groups are never signed in SMP 1 and need not be in SMP 2.0: they are hints only (discovery 2.4).
fn signature_findings(answer: &Answer, checked: &Checked, policy: &Policy) -> Vec<Finding> {
    if checked.report.status == "absent" {
        let needed = !matches!(answer.content, Content::Group(_)) && !policy.allow_unsigned;
        return needed
            .then(|| finding("unsigned", "the metadata carries no signature"))
            .into_iter()
            .collect();
    }
    let mut found = Vec::new();
    if let Some(problem) = &checked.problem {
        found.push(finding("signature", problem.clone()));
    }
    if let Some(weak) = checked.weak.as_ref().filter(|_| !policy.allow_sha1) {
        found.push(finding("weak-algorithm", format!("{weak} is not allowed; allow_sha1 would")));
    }
    match (checked.report.trust, &policy.trust) {
        (Some("trusted"), _) | (None, None) => {}
        (Some(verdict), _) => {
            let signer =
                checked.report.signer.as_ref().map(|signer| signer.subject.as_str()).unwrap_or_default();
            found.push(finding("untrusted", format!("the signer {signer:?} is {verdict}")));
        }
        (None, Some(_)) => {
            found.push(finding("untrusted", "the signature has no certificate that could be trusted"))
        }
    }
    found
}

fn endpoint_findings(answer: &Answer, wanted: &Wanted, at: Timestamp) -> Option<Finding> {
    let Content::Metadata(metadata) = &answer.content else { return None };
    let fits = |process: &&Process| takes(process, wanted.process.as_ref());
    if metadata.processes.iter().filter(fits).any(|process| process.redirect.is_some()) {
        return None;
    }
    let profile = |profile: &str| wanted.transport_profile.as_deref().is_none_or(|wanted| wanted == profile);
    let mut endpoints = metadata.processes.iter().filter(fits).flat_map(|process| &process.endpoints);
    let found = endpoints.any(|endpoint| profile(&endpoint.transport_profile) && endpoint.is_active(at));
    (!found).then(|| finding("no-endpoint", "no endpoint is active that fits process and transport profile"))
}

fn print(answer: &Answer, errors: Vec<Finding>, signature: SignatureReport, at: Timestamp) -> Judgement {
    let mut judgement = Judgement {
        verdict: if errors.is_empty() { "accepted" } else { "rejected" },
        errors,
        dialect: Some(answer.dialect),
        kind: None,
        participant: None,
        document_type: None,
        services: Vec::new(),
        endpoints: Vec::new(),
        redirect: None,
        signature,
    };
    match &answer.content {
        Content::Group(group) => {
            judgement.kind = Some(Kind::ServiceGroup);
            judgement.participant = Some(group.participant.to_string());
            judgement.services = group.services.iter().map(Service::to_string).collect();
        }
        Content::Metadata(metadata) => {
            judgement.kind = Some(Kind::ServiceMetadata);
            judgement.participant = Some(metadata.participant.to_string());
            judgement.document_type = Some(metadata.document_type.to_string());
            judgement.endpoints = metadata.processes.iter().flat_map(|process| rows(process, at)).collect();
            judgement.redirect =
                metadata.processes.iter().find_map(|process| process.redirect.as_ref()).map(row);
        }
        Content::Redirect(redirect) => {
            judgement.kind = Some(Kind::Redirect);
            judgement.redirect = Some(row(redirect));
        }
    }
    judgement
}

/// One row for each endpoint and process.
fn rows(process: &Process, at: Timestamp) -> Vec<EndpointRow> {
    let ids = match process.ids.is_empty() {
        true => vec![None],
        false => process.ids.iter().map(|id| Some(id.to_string())).collect(),
    };
    let row = |id: &Option<String>, endpoint: &super::PublishedEndpoint| EndpointRow {
        process: id.clone(),
        transport_profile: endpoint.transport_profile.clone(),
        url: endpoint.url.clone(),
        certificates: endpoint.certificates.iter().map(|(_, certificate)| certificate.sha256_hex()).collect(),
        active: endpoint.is_active(at),
    };
    ids.iter().flat_map(|id| process.endpoints.iter().map(move |endpoint| row(id, endpoint))).collect()
}

fn row(redirect: &Redirect) -> RedirectRow {
    RedirectRow { url: redirect.url.clone(), certificate_uid: redirect.certificate_uid.clone() }
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DocumentType(id) => id.fmt(f),
            Self::Unreadable(href) => f.write_str(href),
        }
    }
}
