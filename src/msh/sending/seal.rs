//! Stage 3: signed, with a fresh content key; and the plan and the attempt on the disk before any octet leaves.

use serde_json::Value;

use super::super::Node;
use super::package::{self, Packaged};
use super::plan::Unplanned;
use crate::crash::{self, Point};
use crate::ebms::SignedReference;
use crate::mime::writer::{Layout, Part, random_boundary};
use crate::pki::Certificate;
use crate::pmode::{Encryption, PMode};
use crate::soap;
use crate::store::{self, AttemptId, NewAttempt, OutMessage, Planned};
use crate::wssec::{self, ContentKey, PartToSeal, SecurityPolicy};

/// A message whose every octet but the payloads' is known.
pub(super) struct Sealed<'m> {
    /// What was sealed.
    pub packaged: Packaged<'m>,
    /// The SOAP envelope.
    pub envelope: Vec<u8>,
    /// Encrypts the parts; absent where the profile forbids encryption.
    pub content_key: Option<ContentKey>,
    /// What was signed: a receipt must repeat it.
    pub references: Vec<SignedReference>,
    /// The octets around the parts; `None` for a message without parts.
    pub layout: Option<Layout>,
}

/// Signs the header and the stored digests; the payloads are not read.
pub(super) fn seal<'m>(node: &Node, packaged: Packaged<'m>) -> Result<Sealed<'m>, Unplanned> {
    let pmode = &packaged.planned.pmode;
    let recipient = match pmode.profile.encryption {
        Encryption::Forbidden => None,
        Encryption::Required => Some(packaged.planned.endpoint.certificate.as_ref().ok_or_else(|| {
            Unplanned::never(format!("no certificate is known to encrypt for {:?}", pmode.peer.value))
        })?),
    };
    let parts: Vec<PartToSeal<'_>> = packaged
        .parts
        .iter()
        .map(|p| PartToSeal { cid: &p.part.cid, media_type: &p.media_type, digest: p.measure.sha256 })
        .collect();
    let policy = policy(pmode, recipient);
    let sealed = node
        .signing
        .for_policy(&policy)
        .and_then(|signing| wssec::seal(&packaged.messaging, &parts, &policy, signing, recipient))
        .map_err(|e| Unplanned::never(format!("the message cannot be sealed: {e}")))?;
    let layout = layout(&packaged, sealed.envelope.len(), sealed.content_key.is_some())
        .map_err(|e| Unplanned::never(format!("the message cannot be packaged: {e}")))?;
    Ok(Sealed {
        packaged,
        envelope: sealed.envelope,
        content_key: sealed.content_key,
        references: sealed.references,
        layout,
    })
}

/// Where both kinds of keys are allowed, the signature goes with what the other side signed by or decrypts with.
fn policy(pmode: &PMode, recipient: Option<&Certificate>) -> SecurityPolicy {
    match (&pmode.signature, recipient) {
        (None, Some(recipient)) => pmode.security_policy().preferring_kin_of(recipient),
        _ => pmode.security_policy(),
    }
}

fn layout(
    packaged: &Packaged<'_>,
    envelope: usize,
    encrypted: bool,
) -> Result<Option<Layout>, crate::mime::Error> {
    if packaged.parts.is_empty() {
        return Ok(None);
    }
    let root = Part {
        content_type: soap::CONTENT_TYPE.into(),
        content_id: Some(format!("root-{}", packaged.planned.message.message_id)),
        headers: Vec::new(),
        length: envelope as u64,
    };
    let parts = packaged.parts.iter().map(|part| {
        let (content_type, length) = match encrypted {
            true => ("application/octet-stream".to_owned(), wssec::sealed_len(part.measure.size)),
            false => (part.media_type.clone(), part.measure.size),
        };
        Part { content_type, content_id: Some(part.part.cid.clone()), headers: Vec::new(), length }
    });
    let all: Vec<Part> = std::iter::once(root).chain(parts).collect();
    Layout::new(&random_boundary(), soap::MEDIA_TYPE, &all).map(Some)
}

/// The plan (once) and the attempt, committed before the network is touched.
pub(super) async fn on_disk(
    node: &Node,
    message: &OutMessage,
    sealed: &Sealed<'_>,
) -> Result<AttemptId, store::Error> {
    let packaged = &sealed.packaged;
    let endpoint = &packaged.planned.endpoint;
    let plan = (packaged.first || moved(message, sealed)).then(|| planned(sealed));
    let certificate = endpoint.certificate.as_ref().map(crate::pki::Certificate::sha256);
    let attempt = NewAttempt { url: endpoint.url.clone(), certificate, started: node.clock.now(), plan };
    crash::at(Point::AttemptBegun);
    let attempt = node.store.begin_attempt(message.lease(), attempt).await?;
    crash::at(Point::AttemptCommitted);
    Ok(attempt)
}

/// URL or certificate of the same access point changed since the last plan.
fn moved(message: &OutMessage, sealed: &Sealed<'_>) -> bool {
    message.endpoint.as_ref() != Some(&sealed.packaged.planned.endpoint.to_json())
}

fn planned(sealed: &Sealed<'_>) -> Planned {
    let packaged = &sealed.packaged;
    let pmode = &packaged.planned.pmode;
    let party = |id: &crate::ebms::PartyId| (id.value.clone(), id.party_type.clone());
    Planned {
        messaging: packaged.messaging.clone().into_bytes(),
        signed_references: serde_json::to_value(&sealed.references).unwrap_or(Value::Null),
        pmode: package::pmode_json(packaged),
        from: party(&pmode.own),
        to: party(&pmode.peer),
        service: packaged.service.clone(),
        action: packaged.action.clone(),
        endpoint: packaged.planned.endpoint.to_json(),
        lookup: packaged.planned.steps.clone(),
        forms: package::forms(packaged),
    }
}
