//! The signature of an answer, verified in place (discovery 2.4).
//!
//! Canonicalised as it stands: with inclusive C14N SignedInfo carries the namespaces of its ancestors, and a detached copy
//! of it would fail for every real SMP.

use serde::Serialize;

use super::DS;
use crate::clock::Timestamp;
use crate::pki::{Certificate, Trust, TrustStore};
use crate::xml::{Document, Element};
use crate::xmlsec::{FoundKey, Reference, Signature, Target, Transform, hints, resolve};

/// What the cryptography says of a signature, whatever the policy (design 5). `None` is "could not be checked".
#[derive(Debug, Clone, Serialize)]
pub struct SignatureReport {
    /// `valid`, `invalid`, `incomplete` or `absent`.
    pub status: &'static str,
    /// Whether SignatureValue is the signer's over SignedInfo.
    pub value_ok: Option<bool>,
    /// URI of the SignatureMethod as written.
    pub algorithm: Option<String>,
    /// In SignedInfo's order.
    pub references: Vec<ReferenceReport>,
    /// How the signature names its key.
    pub token_reference: Option<&'static str>,
    /// Whose it is.
    pub signer: Option<Signer>,
    /// The verdict on the signer, where there are anchors.
    pub trust: Option<&'static str>,
}

impl SignatureReport {
    /// No signature at all.
    pub(super) fn absent() -> Self {
        absent().report
    }
}

/// One reference of a signature.
#[derive(Debug, Clone, Serialize)]
pub struct ReferenceReport {
    /// As written.
    pub uri: Option<String>,
    /// `document` for the whole answer.
    pub target: Option<&'static str>,
    /// Whether the digest is right.
    pub digest_ok: Option<bool>,
}

/// The signer's certificate.
#[derive(Debug, Clone, Serialize)]
pub struct Signer {
    /// RFC 2253.
    pub subject: String,
    /// Lower-case hex.
    pub sha256: String,
}

/// A signature checked: the report, and what the policy needs besides.
pub(super) struct Checked {
    pub(super) report: SignatureReport,
    pub(super) signer: Option<Certificate>,
    /// Certificates that came along.
    pub(super) chain: Vec<Certificate>,
    /// The first algorithm with SHA-1.
    pub(super) weak: Option<String>,
    /// Why it does not sign the whole answer by the rules, for people.
    pub(super) problem: Option<String>,
}

/// Checks the signature of an answer; of several trailing ones of SMP 2.0, the first that is good, or else the first.
pub(super) fn check(
    document: &Document,
    known: &[Certificate],
    trust: Option<&TrustStore>,
    at: Timestamp,
) -> Checked {
    let root = document.root();
    let all: Vec<Element<'_>> = root.descendants().filter(|element| element.is(DS, "Signature")).collect();
    let Some(first) = all.first() else { return absent() };
    if let Some(problem) = misplaced(root, &all) {
        return Checked { problem: Some(problem), ..absent_but("incomplete") };
    }
    let mut checked = all.iter().map(|element| check_one(*element, known, trust, at));
    let first_checked = checked.next().unwrap_or_else(|| check_one(*first, known, trust, at));
    let good = |one: &Checked| one.problem.is_none() && matches!(one.report.trust, None | Some("trusted"));
    match good(&first_checked) {
        true => first_checked,
        false => checked.find(good).unwrap_or(first_checked),
    }
}

/// Signatures stand as last children of the root, one in SMP 1, several in SMP 2.0; anywhere else they wrap something.
fn misplaced(root: Element<'_>, all: &[Element<'_>]) -> Option<String> {
    let trailing =
        root.children().skip_while(|child| !child.is(DS, "Signature")).all(|child| child.is(DS, "Signature"));
    let direct = all.iter().all(|signature| signature.parent() == Some(root));
    let several = root.local() == "SignedServiceMetadata" && all.len() > 1;
    (!trailing || !direct || several).then(|| "a ds:Signature stands where none may stand".to_owned())
}

fn check_one(
    element: Element<'_>,
    known: &[Certificate],
    trust: Option<&TrustStore>,
    at: Timestamp,
) -> Checked {
    let signature = match Signature::parse(element) {
        Ok(signature) => signature,
        Err(error) => return Checked { problem: Some(error.to_string()), ..absent_but("incomplete") },
    };
    let (found, value_ok) = verify_value(&signature, known);
    let references: Vec<ReferenceReport> =
        signature.references.iter().map(|r| report(&signature, r)).collect();
    let all: Vec<Option<bool>> = references.iter().map(|r| r.digest_ok).chain([value_ok]).collect();
    let status = match () {
        () if all.contains(&Some(false)) => "invalid",
        () if all.contains(&None) => "incomplete",
        () => "valid",
    };
    let problem = match status {
        "valid" => coverage_problem(&signature),
        "invalid" => Some("the signature or its digest is wrong".to_owned()),
        _ => Some(unchecked(&signature, found.is_some())),
    };
    let signer = found.as_ref().and_then(|found| found.certificate.clone());
    let chain = found.as_ref().map(|found| found.chain.clone()).unwrap_or_default();
    let verdict = signer.as_ref().zip(trust).map(|(signer, anchors)| judge(signer, &chain, anchors, at));
    let report = SignatureReport {
        status,
        value_ok,
        algorithm: Some(signature.algorithm.to_owned()),
        references,
        token_reference: found.as_ref().map(|found| found.kind.as_str()),
        signer: signer.as_ref().map(|c| Signer { subject: c.subject(), sha256: c.sha256_hex() }),
        trust: verdict.map(Trust::as_str),
    };
    Checked { report, signer, chain, weak: weak(&signature), problem }
}

/// The first child of KeyInfo that yields a key counts; without any, every given certificate is tried.
fn verify_value(signature: &Signature<'_>, known: &[Certificate]) -> (Option<FoundKey>, Option<bool>) {
    let all = signature.key_info.map(hints).unwrap_or_default();
    if let Some(found) = all.iter().find_map(|hint| resolve(hint, known)) {
        let ok = signature.verify_value(&found.key).ok();
        return (Some(found), ok);
    }
    let fits = |certificate: &&Certificate| {
        certificate.public_key().is_ok_and(|key| signature.verify_value(&key) == Ok(true))
    };
    let hint = known.iter().find(fits).map(|certificate| {
        crate::xmlsec::KeyHint::Certificates(
            crate::xmlsec::TokenKind::X509Certificate,
            vec![certificate.clone()],
        )
    });
    let found = hint.and_then(|hint| resolve(&hint, known));
    let ok = found.is_some().then_some(true);
    (found, ok)
}

fn report(signature: &Signature<'_>, reference: &Reference<'_>) -> ReferenceReport {
    let document = reference.uri == Some("");
    let digest_ok = match (document, reference.fragment()) {
        (true, _) => signature.verify_reference(reference, Target::Document).ok(),
        (_, Some(id)) => match signature.element.document().by_id(id).as_slice() {
            [one] => signature.verify_reference(reference, Target::Element(*one)).ok(),
            _ => Some(false),
        },
        _ => None,
    };
    let uri = reference.uri.map(str::to_owned);
    ReferenceReport { uri, target: document.then_some("document"), digest_ok }
}

/// Exactly one reference, to the whole answer but the signature.
fn coverage_problem(signature: &Signature<'_>) -> Option<String> {
    let whole = match signature.references.as_slice() {
        [one] => one.uri == Some("") && one.transforms.first() == Some(&Transform::Enveloped),
        _ => false,
    };
    (!whole).then(|| "the signature does not cover the whole answer".to_owned())
}

fn unchecked(signature: &Signature<'_>, has_key: bool) -> String {
    match has_key {
        false => "the signature names no certificate that can be read".to_owned(),
        true => format!("the signature cannot be checked ({})", signature.algorithm),
    }
}

fn weak(signature: &Signature<'_>) -> Option<String> {
    let mut uris =
        std::iter::once(signature.algorithm).chain(signature.references.iter().map(|r| r.digest_method));
    uris.find(|uri| uri.ends_with("sha1")).map(str::to_owned)
}

fn judge(signer: &Certificate, chain: &[Certificate], anchors: &TrustStore, at: Timestamp) -> Trust {
    match anchors.judge(signer, chain, at) {
        Trust::Trusted if !signer.may_sign() => Trust::Untrusted,
        other => other,
    }
}

fn absent() -> Checked {
    absent_but("absent")
}

fn absent_but(status: &'static str) -> Checked {
    let report = SignatureReport {
        status,
        value_ok: None,
        algorithm: None,
        references: Vec::new(),
        token_reference: None,
        signer: None,
        trust: None,
    };
    Checked { report, signer: None, chain: Vec::new(), weak: None, problem: None }
}
