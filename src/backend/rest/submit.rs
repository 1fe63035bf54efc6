//! `POST /v1/submissions`.

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::{Asked, Problem};
use super::{Desk, backend, stage};
use crate::backend::auth::Caller;
use crate::backend::document::Document;
use crate::backend::submission;
use crate::store::Submitted;

/// Which backend submits.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// Id of the backend, where the token does not say.
    pub backend: Option<String>,
}

/// What became of a submission.
#[derive(Debug, Serialize, ToSchema)]
pub struct Answer {
    /// Our id.
    pub id: String,
    /// Whether it is new: false when the same submission was taken before.
    pub created: bool,
}

/// Submits a message: JSON alone, or multipart with the JSON first and then the payloads.
#[utoipa::path(
    post, path = "/v1/submissions", params(Which),
    request_body(content = Document, content_type = "multipart/related",
        description = "first part: this JSON; further parts: the payloads, each with Content-ID and Content-Type"),
    responses(
        (status = 201, description = "taken over", body = Answer),
        (status = 200, description = "taken over before", body = Answer),
        (status = 400, description = "something is not right", body = Problem),
        (status = 409, description = "the client_id stands for other content", body = Problem),
    )
)]
pub async fn submit(
    State(desk): State<Desk>,
    caller: Caller,
    which: Asked<Which>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Answer>), Problem> {
    let Query(which) = which?;
    let office = &desk.office;
    let backend = backend(office, &caller, which.backend.as_deref())?;
    let staged = stage::stage(&desk, &headers, body).await?;
    let document = Document::read(&staged.first)?;
    let draft = document.draft(office, backend, staged.first, staged.parts, None)?;
    let client_id = draft.client_id.clone();
    answer(submission::submit(office, draft).await?, &client_id)
}

/// 201, 200 or 409.
pub(super) fn answer(submitted: Submitted, client_id: &str) -> Result<(StatusCode, Json<Answer>), Problem> {
    match submitted {
        Submitted::Created(id) => {
            Ok((StatusCode::CREATED, Json(Answer { id: id.to_string(), created: true })))
        }
        Submitted::Existing(id) => Ok((StatusCode::OK, Json(Answer { id: id.to_string(), created: false }))),
        Submitted::Conflict(id) => Err(Problem::taken(client_id, id)),
    }
}
