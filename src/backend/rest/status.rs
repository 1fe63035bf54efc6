//! Where submissions stand, with the timeline behind each status.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::error::{Asked, Problem};
use super::{Desk, backend};
use crate::backend::auth::Caller;
use crate::store::{RecipientView, Store, SubmissionId, SubmissionView};

/// Which submission.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Id of the backend, where the token does not say.
    pub backend: Option<String>,
    /// Your own id.
    pub client_id: String,
}

/// A submission by the backend's own id.
#[utoipa::path(get, path = "/v1/submissions", params(Wanted),
    responses((status = 200, body = Value), (status = 404, body = Problem)))]
pub async fn find(
    State(desk): State<Desk>,
    caller: Caller,
    wanted: Asked<Wanted>,
) -> Result<Json<Value>, Problem> {
    let Query(wanted) = wanted?;
    let backend = backend(&desk.office, &caller, wanted.backend.as_deref())?;
    let found = desk.office.store.submission_by_client_id(&backend.id, &wanted.client_id).await?;
    let found = found
        .ok_or_else(|| Problem::missing(&format!("a submission with client_id {:?}", wanted.client_id)))?;
    Ok(Json(submission_json(&desk.office.store, &found).await?))
}

/// A submission with both national statuses of each recipient.
#[utoipa::path(get, path = "/v1/submissions/{id}", params(("id" = String, Path)),
    responses((status = 200, body = Value), (status = 404, body = Problem)))]
pub async fn submission(
    State(desk): State<Desk>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let view = own(&desk, &caller, &id).await?;
    Ok(Json(submission_json(&desk.office.store, &view).await?))
}

/// One recipient with its timeline: attempts, lookup steps, evidence.
#[utoipa::path(get, path = "/v1/submissions/{id}/recipients/{index}",
    params(("id" = String, Path), ("index" = u32, Path, description = "from 0")),
    responses((status = 200, body = Value), (status = 404, body = Problem)))]
pub async fn recipient(
    State(desk): State<Desk>,
    caller: Caller,
    Path((id, index)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let view = own(&desk, &caller, &id).await?;
    let index = super::index(&index)?;
    let recipient = view.recipients.iter().find(|r| r.index as usize == index);
    let recipient = recipient.ok_or_else(|| Problem::missing(&format!("recipient {index} of {id:?}")))?;
    Ok(Json(recipient_json(&desk.office.store, recipient).await?))
}

async fn own(desk: &Desk, caller: &Caller, text: &str) -> Result<SubmissionView, Problem> {
    let id: SubmissionId =
        text.parse().map_err(|_| Problem::invalid(format!("{text:?} is no submission id")))?;
    let view = desk.office.store.submission(id).await?;
    match caller.backend.as_deref() {
        Some(backend) if backend != view.channel => Err(Problem::missing(&format!("submission {text:?}"))),
        _ => Ok(view),
    }
}

async fn submission_json(store: &Store, view: &SubmissionView) -> Result<Value, Problem> {
    let mut recipients = Vec::with_capacity(view.recipients.len());
    for recipient in &view.recipients {
        recipients.push(recipient_json(store, recipient).await?);
    }
    Ok(json!({
        "id": view.id,
        "channel": view.channel,
        "client_id": view.client_id,
        "created": view.created,
        "metadata": view.metadata,
        "recipients": recipients,
    }))
}

async fn recipient_json(store: &Store, view: &RecipientView) -> Result<Value, Problem> {
    let record = &view.record;
    let evidence = store.evidence(view.id).await?;
    let messages = store.messages_of(view.id).await?;
    Ok(json!({
        "id": view.id,
        "index": view.index,
        "address": view.address,
        "participant": view.participant,
        "domain": view.domain,
        "deadline": view.deadline,
        "state": record.state,
        "send": { "code": record.send, "latvian": record.send.latvian(), "english": record.send.english(), "at": record.sent_at },
        "delivery": {
            "code": record.delivery, "latvian": record.delivery.latvian(), "english": record.delivery.english(),
            "at": record.delivered_at,
        },
        "provisional": record.provisional,
        "alarms": record.alarms,
        "notices": record.notices,
        "messages": messages,
        "evidence": evidence,
    }))
}
