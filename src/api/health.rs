//! Whether the node lives, whether it can take messages, and its figures.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::{Api, Problem};
use crate::store;

/// `GET /health`: the process answers.
pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// The store has committed nothing it was asked to for so long: messages cannot be taken.
const PATIENCE: Duration = Duration::from_secs(10);

/// `GET /ready`: the store answers, is whole, commits what it is asked to, and has room, so that messages can be taken.
pub(super) async fn ready(State(api): State<Api>) -> Result<&'static str, (StatusCode, String)> {
    api.store.check_room().map_err(not_ready)?;
    api.store.check_sound().map_err(not_ready)?;
    api.store.check_writing(PATIENCE).await.map_err(not_ready)?;
    api.store.last_event().await.map_err(not_ready)?;
    Ok("ready\n")
}

fn not_ready(error: store::Error) -> (StatusCode, String) {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"))
}

/// `GET /metrics`: Prometheus text.
pub(super) async fn metrics(State(api): State<Api>) -> Result<impl IntoResponse, Problem> {
    api.figures.tell(&api.store).await?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], api.metrics.render()))
}
