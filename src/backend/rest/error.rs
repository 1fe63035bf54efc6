//! What a backend is told when something is not right: HTTP status and a JSON object that names the value and the remedy.

use axum::Json;
use axum::extract::Query;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::backend::{delivery, submission};
use crate::store;

/// What stands behind the `?` of an address: what cannot be read is a [`Problem`] like any other.
pub(super) type Asked<T> = Result<Query<T>, QueryRejection>;

/// The body, as JSON: what is none is a [`Problem`] too.
pub(super) type Said<T> = Result<Json<T>, JsonRejection>;

/// A refusal.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    #[serde(skip)]
    status: u16,
    /// What is wrong, and what to do.
    pub error: String,
    /// The submission that is in the way, for a conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submission: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status: status.as_u16(), error: error.into(), submission: None }
    }

    /// 400.
    pub(super) fn invalid(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// 401.
    pub(super) fn unauthorised() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "send a valid token: Authorization: Bearer <token>")
    }

    /// 403.
    pub(super) fn forbidden(error: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, error)
    }

    /// 404.
    pub(super) fn missing(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("{what} does not exist"))
    }

    /// 409 for a client id that stands for other content.
    pub(super) fn taken(client_id: &str, submission: impl ToString) -> Self {
        let error = format!("client_id {client_id:?} was submitted before with other content; use a new one");
        Self { submission: Some(submission.to_string()), ..Self::new(StatusCode::CONFLICT, error) }
    }

    /// 405.
    pub(super) fn not_so(method: &Method) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} does nothing here; see /openapi.json"))
    }

    /// 409.
    pub(super) fn conflict(error: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, error)
    }

    /// 413.
    pub(super) fn too_large(error: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, error)
    }

    /// 503.
    pub(super) fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the store is not available now; try again later")
    }

    /// 422.
    pub(super) fn unprocessable(error: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error)
    }
}

impl From<QueryRejection> for Problem {
    fn from(refused: QueryRejection) -> Self {
        Self::invalid(refused.body_text())
    }
}

impl From<JsonRejection> for Problem {
    fn from(refused: JsonRejection) -> Self {
        Self::new(refused.status(), refused.body_text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, axum::http::HeaderValue::from_static("30"));
            }
            _ => {}
        }
        response
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NotFound { what, id } => Self::missing(&format!("{what} {id:?}")),
            store::Error::Conflict { .. } => Self::new(StatusCode::CONFLICT, error.to_string()),
            other => {
                tracing::error!(error = %other, "the store cannot answer");
                Self::unavailable()
            }
        }
    }
}

impl From<submission::Error> for Problem {
    fn from(error: submission::Error) -> Self {
        match error {
            submission::Error::Invalid { .. } => Self::invalid(error.to_string()),
            submission::Error::Store(error) => error.into(),
        }
    }
}

impl From<delivery::Error> for Problem {
    fn from(error: delivery::Error) -> Self {
        match error {
            delivery::Error::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "the delivery cannot be settled");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the delivery cannot be settled now; try again later",
                )
            }
        }
    }
}
