//! The signature in three values.

use openssl::pkey::{PKey, Public};

use crate::ebms::Code;
use crate::pki::Certificate;
use crate::wssec::{AttachmentVerifier, key_hints};
use crate::xml::{Element, NodeId};
use crate::xmlsec::{
    Error, FoundKey, KeyHint, Reference, Signature, SignatureAlgorithm, Target, TokenKind, resolve,
};

use super::Judge;
use super::encryption::named_by;
use super::report::{ReferenceRow, SignatureRow, SignerRow};

/// What a `cid:` reference may be checked against.
pub(super) struct PartOctets<'p> {
    pub cid: &'p str,
    /// Media type as known to the signer.
    pub media_type: &'p str,
    /// The octets; `None` when they could not be decrypted.
    pub octets: Option<&'p [u8]>,
    pub compressed: bool,
}

/// Names for the elements that matter.
#[derive(Default)]
pub(super) struct Places {
    pub messaging: Option<NodeId>,
    pub body: Option<NodeId>,
}

/// What the signature covers, and what is to be said of it.
pub(super) struct Examined {
    pub row: SignatureRow,
    /// Elements whose digest holds or fails: what the signature is about.
    pub covered: Vec<NodeId>,
    /// Content-IDs that it names.
    pub cids: Vec<String>,
}

/// Checks all that can be checked.
pub(super) fn examine(
    element: Element<'_>,
    places: &Places,
    parts: &[PartOctets<'_>],
    judge: &mut Judge<'_>,
) -> Examined {
    let mut examined = Examined { row: SignatureRow::absent(), covered: Vec::new(), cids: Vec::new() };
    let signature = match Signature::parse(element) {
        Ok(signature) => signature,
        Err(error) => {
            examined.row.status = "invalid";
            judge.add(Code::FailedAuthentication, error.to_string());
            return examined;
        }
    };
    if let Some(Err(error)) = judge.policy().map(|policy| policy.judge_signature(&signature)) {
        judge.add_security(&error);
    }
    examined.row.algorithm = Some(signature.algorithm.to_owned());
    for reference in &signature.references {
        let (row, node) = check_reference(&signature, reference, places, parts, judge);
        examined.row.references.push(row);
        examined.covered.extend(node);
        examined.cids.extend(reference.uri.and_then(crate::mime::cid_of_href));
    }
    check_value(&signature, &mut examined.row, judge);
    examined.row.settle();
    if examined.row.status == "invalid" {
        judge.add(Code::FailedAuthentication, "the signature is not valid");
    }
    examined
}

fn check_reference<'d>(
    signature: &Signature<'d>,
    reference: &Reference<'d>,
    places: &Places,
    parts: &[PartOctets<'_>],
    judge: &mut Judge<'_>,
) -> (ReferenceRow, Option<NodeId>) {
    let uri = reference.uri.unwrap_or_default();
    let mut row = ReferenceRow { uri: reference.uri.map(str::to_owned), target: None, digest_ok: None };
    if let Some(cid) = crate::mime::cid_of_href(uri) {
        row.target = Some(uri.to_owned());
        row.digest_ok = check_part(reference, &cid, parts, judge);
        return (row, None);
    }
    let target = match (reference.uri, reference.fragment()) {
        (Some(""), _) => Target::Document,
        (_, Some(id)) => match signature.element.document().by_id(id).as_slice() {
            [one] => Target::Element(*one),
            other => {
                row.digest_ok = Some(false);
                let detail = format!("the reference `#{id}` names {} elements", other.len());
                judge.add(Code::FailedAuthentication, detail);
                return (row, None);
            }
        },
        _ => {
            judge.add(
                Code::FailedAuthentication,
                format!("the reference `{uri}` is of a kind that is not followed"),
            );
            return (row, None);
        }
    };
    row.target = Some(name_of(signature.element, target, places));
    row.digest_ok = three(signature.verify_reference(reference, target), judge);
    let node = match target {
        Target::Element(node) => Some(node),
        Target::Document => Some(signature.element.document().root().id()),
    };
    (row, node)
}

fn check_part(
    reference: &Reference<'_>,
    cid: &str,
    parts: &[PartOctets<'_>],
    judge: &mut Judge<'_>,
) -> Option<bool> {
    let part = parts.iter().find(|part| part.cid == cid)?;
    let octets = part.octets?;
    if !reference.is_attachment_content() {
        judge.add(
            Code::FailedAuthentication,
            format!("the part `{cid}` is signed by a transform that is not known"),
        );
        return None;
    }
    let digest = match reference.digest_algorithm() {
        Ok(digest) => digest,
        Err(error) => {
            judge.add(Code::FailedAuthentication, error.to_string());
            return None;
        }
    };
    let expected = Some((digest, reference.digest_value.clone()));
    let mut verifier = AttachmentVerifier::new(part.media_type, part.compressed, None, expected).ok()?;
    let outcome = verifier.push(octets, &mut |_| {}).and_then(|()| verifier.finish(&mut |_| {}));
    if let Err(error) = &outcome {
        judge.add_security(error);
    }
    Some(outcome.is_ok())
}

fn name_of(element: Element<'_>, target: Target, places: &Places) -> String {
    let document = element.document();
    match target {
        Target::Document => "document".into(),
        Target::Element(node) if places.messaging == Some(node) => "Messaging".into(),
        Target::Element(node) if places.body == Some(node) => "Body".into(),
        Target::Element(node) if document.root().id() == node => "document".into(),
        Target::Element(node) => {
            let element = document.element(node);
            format!("{{{}}}{}", element.namespace(), element.local())
        }
    }
}

fn check_value(signature: &Signature<'_>, row: &mut SignatureRow, judge: &mut Judge<'_>) {
    let hints = signature.key_info.map(key_hints).unwrap_or_default();
    row.token_reference = named_by(&hints, &judge.options.certificates).map(TokenKind::as_str);
    let candidates = candidates(signature, &hints, judge);
    if candidates.is_empty() {
        let how = row.token_reference.unwrap_or("nothing");
        judge.add(Code::FailedAuthentication, format!("no key is known for the signer, named by {how}"));
    }
    let outcomes: Vec<_> = candidates.iter().map(|found| signature.verify_value(&found.key)).collect();
    let right = outcomes.iter().position(|outcome| matches!(outcome, Ok(true)));
    row.value_ok = match (right, outcomes.into_iter().next()) {
        (Some(_), _) => Some(true),
        // A key of another type than the algorithm cannot have made the signature.
        (None, Some(Err(Error::KeyType(_)))) => Some(false),
        (None, Some(first)) => three(first, judge),
        (None, None) => None,
    };
    let signer = right.or((candidates.len() == 1).then_some(0)).and_then(|at| candidates.get(at));
    if let Some(FoundKey { certificate: Some(certificate), chain, .. }) = signer {
        row.signer = Some(SignerRow { subject: certificate.subject(), sha256: certificate.sha256_hex() });
        row.trust = trust(certificate, chain, judge);
    }
}

/// The key that the token names, and only that one; every key of the right type when there is only a name or nothing.
fn candidates(signature: &Signature<'_>, hints: &[KeyHint], judge: &Judge<'_>) -> Vec<FoundKey> {
    let telling: Vec<_> = hints.iter().filter(|hint| !matches!(hint, KeyHint::Name(_))).collect();
    if !telling.is_empty() {
        let found = telling.iter().find_map(|hint| resolve(hint, &judge.options.certificates));
        return found.into_iter().collect();
    }
    let Some(algorithm) = SignatureAlgorithm::from_uri(signature.algorithm) else { return Vec::new() };
    let given = judge.options.entries.iter().filter_map(|entry| {
        let certificate = entry.certificate.clone();
        let key: Option<PKey<Public>> = match &certificate {
            Some(certificate) => certificate.public_key().ok(),
            None => entry.public_key.clone(),
        };
        Some(FoundKey { kind: TokenKind::KeyName, key: key?, certificate, chain: entry.chain.clone() })
    });
    given.filter(|found| algorithm.fits(&found.key)).collect()
}

fn trust(certificate: &Certificate, chain: &[Certificate], judge: &mut Judge<'_>) -> Option<&'static str> {
    let store = judge.options.trust.as_ref()?;
    let mut extra = chain.to_vec();
    extra.extend(judge.options.certificates.iter().cloned());
    let trust = store.judge(certificate, &extra, judge.options.at);
    if trust != crate::pki::Trust::Trusted {
        judge.add(Code::FailedAuthentication, format!("the signer {} is {trust}", certificate.subject()));
    }
    Some(trust.as_str())
}

/// `None`, with the reason among the errors, for what is not supported.
fn three(outcome: Result<bool, Error>, judge: &mut Judge<'_>) -> Option<bool> {
    match outcome {
        Ok(held) => Some(held),
        Err(error) => {
            judge.add(Code::FailedAuthentication, error.to_string());
            None
        }
    }
}
