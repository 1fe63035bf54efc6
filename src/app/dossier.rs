//! `GET /api/recipients/{id}/evidence.zip`: everything behind one status, for a court (model.md 4).

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::build::Built;
use crate::ebms::SignedReference;
use crate::evidence::dossier::{Dossier, Entry, Proof, Subject, export};
use crate::pki::Certificate;
use crate::store::{self, MessageView, RecipientId, Store};
use crate::wssec::SigningKeys;

#[derive(Clone)]
struct Archive {
    store: Store,
    signing: std::sync::Arc<SigningKeys>,
}

/// The route, with our own certificates at hand: one of them signed what was sent.
pub(super) fn router(built: &Built) -> Router {
    let signing = std::sync::Arc::new(built.node.signing.clone());
    let archive = Archive { store: built.office.store.clone(), signing };
    Router::new().route("/api/recipients/{id}/evidence.zip", get(zip)).with_state(archive)
}

async fn zip(State(archive): State<Archive>, Path(text): Path<String>) -> Response {
    let Ok(id) = text.parse::<RecipientId>() else {
        return (StatusCode::BAD_REQUEST, format!("{text:?} is no recipient id\n")).into_response();
    };
    match dossier(&archive, id).await {
        Ok(dossier) => match export(&dossier) {
            Ok(octets) => {
                let name = format!("attachment; filename=\"evidence-{id}.zip\"");
                ([(CONTENT_TYPE, "application/zip".to_owned()), (CONTENT_DISPOSITION, name)], octets)
                    .into_response()
            }
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        },
        Err(error @ store::Error::NotFound { .. }) => {
            (StatusCode::NOT_FOUND, format!("{error}\n")).into_response()
        }
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

async fn dossier(archive: &Archive, id: RecipientId) -> Result<Dossier, store::Error> {
    let store = &archive.store;
    // What was said since the last minute is sealed first, as it will be in a minute anyhow, so that the proof covers the whole chain.
    // Without that the proof is shorter, and no less true: whoever has no room any more can still show what there is.
    if let Err(error) = store.checkpoint(store.clock().now()).await {
        tracing::warn!(%error, "evidence is exported without a checkpoint of what was said last");
    }
    let recipient = store.recipient(id).await?;
    let submission = store.submission(recipient.submission).await?;
    let messages = store.messages_of(id).await?;
    let last = match messages.last() {
        Some(message) => Some(store.outbound(message.id).await?),
        None => None,
    };
    let references: Vec<SignedReference> = last
        .as_ref()
        .and_then(|m| m.signed_references.clone())
        .and_then(|value| serde_json::from_value(value).ok())
        .unwrap_or_default();
    let chain = store.evidence(id).await?;
    let chain = chain.into_iter().map(|row| Entry { link: row.link(id), raw: row.raw }).collect();
    let proofs = store.checkpoint_proofs(id).await?.into_iter();
    Ok(Dossier {
        subject: Subject {
            recipient: id.to_string(),
            submission: submission.id.to_string(),
            client_id: submission.client_id,
            address: recipient.address,
            participant: recipient.participant,
            original_sender: recipient.original_sender,
            message_ids: messages.iter().map(|m| m.message_id.clone()).collect(),
            payloads: payloads(&messages),
        },
        chain,
        record: recipient.record,
        envelope: store.envelope(submission.id).await.ok(),
        messaging: last.as_ref().and_then(|m| m.messaging.clone()),
        references,
        certificates: certificates(archive, last.as_ref()),
        proofs: proofs.map(|p| Proof { checkpoint: p.checkpoint, leaf: p.leaf, steps: p.steps }).collect(),
    })
}

/// Name and SHA-256 of each payload that was sent.
fn payloads(messages: &[MessageView]) -> Vec<String> {
    let last = messages.last().map(|m| m.parts.as_slice()).unwrap_or_default();
    last.iter()
        .map(|p| format!("{} sha256 {} ({})", p.cid, hex::encode(p.original.sha256), p.media_type))
        .collect()
}

/// Ours, and the one that the message was encrypted for: its owner signs receipts and evidence.
fn certificates(archive: &Archive, last: Option<&store::OutMessage>) -> Vec<Certificate> {
    let mut all: Vec<Certificate> = archive.signing.iter().map(|key| key.certificate.clone()).collect();
    let endpoint = last.and_then(|m| m.endpoint.as_ref());
    let theirs = endpoint.and_then(|e| e.get("certificate")).and_then(serde_json::Value::as_str);
    let theirs =
        theirs.and_then(|text| hex::decode(text).ok()).and_then(|der| Certificate::from_der(&der).ok());
    all.extend(theirs);
    all
}
