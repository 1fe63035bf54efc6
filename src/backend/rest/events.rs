//! `GET /v1/events` (`/events`): what happened, in order, by long poll.

use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::error::{Asked, Problem};
use super::{Desk, backend};
use crate::backend::auth::Caller;

/// Longest wait, in seconds.
const LONGEST: u64 = 60;
/// Most events of one answer.
const PAGE: u32 = 500;

/// From where, and how long to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// Id of the backend whose events are wanted, where the token does not say; all of them without.
    pub backend: Option<String>,
    /// Only events after this sequence number; 0 for all.
    #[serde(default)]
    pub after: i64,
    /// Seconds to wait when there is none yet, 60 at most.
    #[serde(default)]
    pub wait: u64,
}

/// Events after a sequence number; waits for the first one when asked to.
#[utoipa::path(get, path = "/v1/events", params(Since), responses((status = 200, body = Value)))]
pub async fn events(
    State(desk): State<Desk>,
    caller: Caller,
    since: Asked<Since>,
) -> Result<Json<Value>, Problem> {
    let Query(since) = since?;
    let store = &desk.office.store;
    let mut changes = store.event_changes();
    let until = tokio::time::Instant::now() + Duration::from_secs(since.wait.min(LONGEST));
    let asked =
        since.backend.as_deref().map(|asked| backend(&desk.office, &caller, Some(asked))).transpose()?;
    let channel = caller.backend.as_deref().or(asked.map(|backend| backend.id.as_str()));
    let (mut after, last) = (since.after, store.last_event().await?);
    if after > last {
        return Err(Problem::conflict(format!(
            "after={after} is behind the last event, which is {last}: the store was put back from an older copy; begin again with after={last}, and look at your submissions"
        )));
    }
    loop {
        changes.mark_unchanged();
        let (found, last) = store.events_after(after, channel, PAGE).await?;
        // What is others' is not passed over again.
        after = last;
        let waited = tokio::time::timeout_at(until, changes.changed());
        if !found.is_empty() || since.wait == 0 || waited.await.is_err() {
            return Ok(Json(json!({ "events": found, "last": last })));
        }
    }
}
