//! Stage 3: nothing is believed before it is verified (as4-wire 2.7, steps 7 to 10).
//!
//! Raises EBMS:0103 (policy), EBMS:0101 (signature, certificate), EBMS:0102 (decryption), EBMS:0009 (a Security header that is none).
//! The order: algorithms, signer, trust, signature over the header, content key, revocation, then the parts as they stream in. A message
//! of a stranger is refused before a single payload octet is read.

use bytes::Bytes;
use futures_util::FutureExt;

use super::super::Node;
use super::identify::Identified;
use super::parts::{Intake, ReceivedPart};
use super::reject::Refusal;
use super::unpack::{Rest, next_chunk};
use crate::ebms::{Code, Messaging, SignedReference, UserMessage};
use crate::pki::Certificate;
use crate::pmode::PMode;
use crate::thread;
use crate::transport::Unusable;
use crate::transport::body::RequestBody;
use crate::wssec::{self, Verified};

/// A message of which every octet is covered by a signature that we believe.
pub(super) struct Secured {
    /// The header, read anew from the verified element.
    pub message: UserMessage,
    /// The rules.
    pub pmode: PMode,
    /// Who signed.
    pub signer: Certificate,
    /// The references of SignedInfo.
    pub references: Vec<SignedReference>,
    /// The same as self-contained XML, for the receipt.
    pub reference_elements: Vec<String>,
    /// The canonical octets of `eb:Messaging` as they were signed.
    pub messaging: Vec<u8>,
    /// The parts in the order of the header.
    pub parts: Vec<ReceivedPart>,
}

/// Verifies header and parts.
pub(super) async fn secure(node: &Node, identified: Identified) -> Result<Secured, Refusal> {
    let (message, pmode) = (identified.message.clone(), identified.pmode.clone());
    let outcome = verify(node, identified).await;
    outcome.map_err(|refusal| refusal.about(&message).under(&pmode))
}

async fn verify(node: &Node, identified: Identified) -> Result<Secured, Refusal> {
    let Identified { document, header, message: claimed, pmode, rest } = identified;
    let (verified, path) = open(node, &document, &header, &pmode)?;
    node.judge_revocation(&pmode, &path).await.map_err(|unusable| revoked(&unusable))?;
    let message = believed(&document, &verified, &claimed)?;
    // Asked only here, so that the peer reads a signed EBMS:0202 and knows that the message was not taken.
    node.store.check_taking().map_err(|error| Refusal::store(&error))?;
    let mut intake = Intake::new(node, &verified, &message.parts)?;
    if let Some(id) = rest.as_ref().and_then(|rest| rest.root.as_deref()) {
        intake.reserve(id);
    }
    if let Some(rest) = rest {
        stream(rest, &mut intake).await?;
    }
    let parts = intake.finish()?;
    verified.complete(message.parts.iter().filter_map(|p| p.href.as_deref())).map_err(|e| refused(&e))?;
    Ok(Secured {
        signer: verified.signer().clone(),
        references: verified.references().to_vec(),
        reference_elements: verified.reference_elements(&document),
        messaging: verified.messaging_octets(&document),
        message,
        pmode,
        parts,
    })
}

/// Everything that the envelope alone can show, and the path from its signer to an anchor.
fn open(
    node: &Node,
    document: &wssec::Document,
    header: &wssec::Header,
    pmode: &PMode,
) -> Result<(Verified, Vec<Certificate>), Refusal> {
    let policy = pmode.security_policy().with_most_references(node.limits.references);
    let signed = header.judge_policy(document, &policy, node.clock.now()).map_err(|e| refused(&e))?;
    let signer = signed.signer_among(&|hint| node.peers.named_by(hint)).map_err(|e| refused(&e))?;
    let path = node
        .peers
        .believe(pmode, &signer.certificate, &signer.chain, node.clock.now())
        .map_err(|e| Refusal::new(Code::FailedAuthentication, e.to_string()))?;
    let verified = signed.verify(signer, &node.decryption).map_err(|e| refused(&e))?;
    Ok((verified, path))
}

/// A revoked signer is refused for good. Where it cannot be told and must be, the peer is asked to come again: our outage is
/// no fault of its message.
fn revoked(unusable: &Unusable) -> Refusal {
    match unusable {
        Unusable::Revoked { .. } => Refusal::new(Code::FailedAuthentication, unusable.to_string()),
        Unusable::Untold { .. } => Refusal::not_now(unusable.to_string()),
    }
}

/// The header again, from the element that the signature covers: what was read before only chose the rules.
fn believed(
    document: &wssec::Document,
    verified: &Verified,
    claimed: &UserMessage,
) -> Result<UserMessage, Refusal> {
    let read = Messaging::read(document.element(verified.messaging()));
    let read = read.map_err(|e| Refusal::new(e.code(), e.to_string()))?;
    match read.user_message() {
        Some(message) if message == claimed => Ok(message.clone()),
        _ => Err(Refusal::new(Code::FailedAuthentication, "the signature covers another Messaging header")),
    }
}

async fn stream(mut rest: Rest, intake: &mut Intake<'_>) -> Result<(), Refusal> {
    for seen in rest.pending.drain(..) {
        thread::work(seen.len(), || intake.replay(seen))?;
    }
    while let Some(first) = next_chunk(&mut rest.body).await? {
        let (chunks, broken) = with_what_is_there(first, &mut rest.body);
        let octets = chunks.iter().map(Bytes::len).sum();
        thread::work(octets, || {
            chunks.iter().try_for_each(|chunk| rest.parser.push(chunk, &mut |event| intake.take(event)))
        })?;
        rest.body.wait_anew();
        if let Some(refusal) = broken {
            return Err(refusal);
        }
    }
    rest.parser.finish()?;
    Ok(())
}

/// Octets that are worked on at a time, about.
const AT_A_TIME: usize = 256 << 10;

/// A chunk with those that have come already, so that threads change less often; and why there will be no more, where the
/// connection broke.
fn with_what_is_there(first: Bytes, body: &mut RequestBody) -> (Vec<Bytes>, Option<Refusal>) {
    let mut octets = first.len();
    let mut chunks = vec![first];
    while octets < AT_A_TIME {
        match next_chunk(body).now_or_never() {
            Some(Ok(Some(chunk))) => {
                octets += chunk.len();
                chunks.push(chunk);
            }
            Some(Err(refusal)) => return (chunks, Some(refusal)),
            // The end is told again to whoever asks again.
            Some(Ok(None)) | None => break,
        }
    }
    (chunks, None)
}

/// What the peer is told of a failed check; unwrapping, tag and digest failures of a part look the same.
pub(super) fn refused(error: &wssec::Error) -> Refusal {
    let code = match error {
        e if e.is_decryption() => Code::FailedDecryption,
        e if e.is_policy() => Code::PolicyNoncompliance,
        e if e.is_structure() => Code::InvalidHeader,
        _ => Code::FailedAuthentication,
    };
    Refusal::new(code, error.to_string())
}
