//! `POST /div/messages`: a DIV envelope and its attachments, until the live connection exists (model.md 5).

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};

use super::error::{Asked, Problem};
use super::submit::{Answer, Which, answer};
use super::{Desk, stage};
use crate::backend::auth::Caller;
use crate::backend::{Adapter, div};

/// Submits an envelope: multipart, first the envelope, then each attachment with its ContentReference as Content-ID.
#[utoipa::path(
    post, path = "/div/messages", params(Which),
    request_body(content = String, content_type = "multipart/related", description = "first part: the envelope"),
    responses(
        (status = 201, description = "taken over", body = Answer),
        (status = 200, description = "the same envelope was taken over before", body = Answer),
        (status = 409, description = "the SenderRefNumber stands for another envelope", body = Problem),
        (status = 422, description = "signature or attachments do not hold; nothing was stored", body = Problem),
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
    let asked = which.backend.as_deref().or(caller.backend.as_deref());
    let national = |b: &&crate::backend::Backend| {
        matches!(b.adapter, Adapter::Div(_)) && asked.is_none_or(|id| id == b.id)
    };
    let backend = office.backends.iter().find(national);
    let backend =
        backend.ok_or_else(|| Problem::invalid("no [[backend]] with the adapter \"div\" takes envelopes"))?;
    if !caller.speaks_for(&backend.id) {
        return Err(Problem::forbidden("this token does not speak for the national side"));
    }
    let staged = stage::stage(&desk, &headers, body).await?;
    let (submitted, client_id) = div::submit(office, backend, &staged.first, staged.parts).await?;
    answer(submitted, &client_id)
}

impl From<div::Error> for Problem {
    fn from(error: div::Error) -> Self {
        match error {
            div::Error::Envelope(error) => Self::unprocessable(error.to_string()),
            div::Error::Submission(error) => error.into(),
            div::Error::NotNational => Self::invalid(error.to_string()),
        }
    }
}
