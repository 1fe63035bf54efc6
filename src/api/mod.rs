//! Operator REST on the administration listener: submissions and their timelines, notices, rejected messages, acts of an
//! operator, health, readiness, metrics. The console stands on the same read models. Contains no rules: a status is what
//! `status` says.

mod acts;
mod figures;
mod health;
mod page;
mod read;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

pub use figures::Figures;
pub use page::{DeliveryPage, Few, MessagePage, Page};
pub use read::{RecipientDetail, SubmissionDetail};

/// What the read models are made of.
pub use crate::status::{NationalDelivery, NationalSend};
pub use crate::store::{DeliveryView, MessageView, NoticeRow, RecipientView, StoredEvidence, SubmissionView};

use crate::store::{self, Store};

/// What every handler gets. Who calls was settled before: the composition root guards the listener.
#[derive(Clone)]
pub struct Api {
    /// The store.
    pub store: Store,
    /// Renders the metrics.
    pub metrics: Arc<PrometheusHandle>,
    /// What the metrics say of the store.
    pub figures: Arc<Figures>,
}

impl Api {
    /// An interface to this store; `metrics` renders what the recorder was told.
    pub fn new(store: Store, metrics: Arc<PrometheusHandle>) -> Self {
        Self { store, metrics, figures: Arc::default() }
    }
}

/// The routes of the operator interface.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/api/submissions", get(read::submissions))
        .route("/api/submissions/{id}", get(read::submission))
        .route("/api/recipients/{id}", get(read::recipient))
        .route("/api/recipients/{id}/retry", post(acts::retry))
        .route("/api/recipients/{id}/cancel", post(acts::cancel))
        .route("/api/recipients/{id}/close", post(acts::close))
        .route("/api/messages", get(read::messages))
        .route("/api/messages/{id}/retry", post(acts::retry_message))
        .route("/api/deliveries", get(read::deliveries))
        .route("/api/notices", get(read::notices))
        .route("/api/notices/{id}/clear", post(acts::clear_notice))
        .route("/api/rejected", get(read::rejected))
        .route("/api/stray-evidence", get(read::stray))
        .route("/api/recompute", post(acts::recompute))
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .with_state(api)
}

/// What an operator is told when something is not right.
#[derive(Debug)]
pub struct Problem(StatusCode, String);

impl Problem {
    fn invalid(text: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, text.into())
    }

    /// The status and the text, for the console.
    pub fn parts(&self) -> (StatusCode, &str) {
        (self.0, &self.1)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<JsonRejection> for Problem {
    fn from(refused: JsonRejection) -> Self {
        Self(refused.status(), refused.body_text())
    }
}

/// The body, as JSON: what is none is a [`Problem`] like any other.
type Said<T> = Result<Json<T>, JsonRejection>;

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        let status = match &error {
            store::Error::NotFound { .. } => StatusCode::NOT_FOUND,
            store::Error::Conflict { .. } => StatusCode::CONFLICT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, error.to_string())
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
