//! Whether the node lives, whether it can take messages, and its figures.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::{Api, Problem};

/// `GET /health`: the process answers.
pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// `GET /ready`: the store answers, so that messages can be taken.
pub(super) async fn ready(State(api): State<Api>) -> Result<&'static str, (StatusCode, String)> {
    match api.store.last_event().await {
        Ok(_) => Ok("ready\n"),
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, format!("the store does not answer: {error}\n"))),
    }
}

/// `GET /metrics`: Prometheus text.
pub(super) async fn metrics(State(api): State<Api>) -> Result<impl IntoResponse, Problem> {
    let counts = api.store.counts().await?;
    for (state, count) in &counts.recipients {
        #[allow(clippy::cast_precision_loss, reason = "a gauge is a float; nobody has 2^52 recipients")]
        metrics::gauge!(crate::metrics::RECIPIENTS, "state" => state.clone()).set(*count as f64);
    }
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], api.metrics.render()))
}
