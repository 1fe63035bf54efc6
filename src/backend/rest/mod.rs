//! The REST adapter on the backend listener: submit, list, fetch, acknowledge, status, events (model.md 6).
//!
//! *Listed* means at disposal; fetching changes nothing; acknowledging is idempotent, and after it a message is never
//! offered again.

mod deliver;
mod error;
mod events;
mod national;
mod openapi;
mod stage;
mod status;
mod submit;

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use utoipa::OpenApi;

use self::error::Problem;
use super::auth::{Caller, Role, Tokens};
use super::{Backend, Office};

/// What every handler gets.
#[derive(Clone)]
pub struct Desk {
    /// The office.
    pub office: Arc<Office>,
    /// The listener's tokens.
    pub tokens: Arc<Tokens>,
}

/// The routes of the backend listener.
pub fn router(desk: Desk) -> Router {
    Router::new()
        .route("/v1/submissions", post(submit::submit).get(status::find))
        .route("/v1/submissions/{id}", get(status::submission))
        .route("/v1/submissions/{id}/recipients/{index}", get(status::recipient))
        .route("/v1/messages", get(deliver::list))
        .route("/v1/messages/{id}", get(deliver::message))
        .route("/v1/messages/{id}/parts/{index}", get(deliver::part))
        .route("/v1/messages/{id}/acknowledge", post(deliver::acknowledge))
        .route("/v1/events", get(events::events))
        // As the model has it (6).
        .route("/events", get(events::events))
        .route("/div/messages", post(national::submit))
        .layer(middleware::from_fn_with_state(desk.clone(), authorise))
        .route("/openapi.json", get(|| async { Json(openapi::Api::openapi()) }))
        .fallback(|| async { Problem::missing("this address") })
        .method_not_allowed_fallback(|method: Method| async move { Problem::not_so(&method) })
        .with_state(desk)
}

async fn authorise(State(desk): State<Desk>, mut request: Request, next: Next) -> Result<Response, Problem> {
    let caller = desk.tokens.caller(request.headers()).ok_or_else(Problem::unauthorised)?;
    if caller.role == Role::Viewer && request.method() != hyper::Method::GET {
        return Err(Problem::forbidden("this token may only read"));
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

impl FromRequestParts<Desk> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Desk) -> Result<Self, Problem> {
        parts.extensions.get::<Caller>().cloned().ok_or_else(Problem::unauthorised)
    }
}

/// Where something stands in a list, from an address.
fn index(text: &str) -> Result<usize, Problem> {
    text.parse().map_err(|_| Problem::invalid(format!("{text:?} is no number of the list; give 0 or more")))
}

/// The backend that a request concerns: the token's, else the one asked for, else the only one there is.
fn backend<'o>(office: &'o Office, caller: &Caller, asked: Option<&str>) -> Result<&'o Backend, Problem> {
    let name = match (&caller.backend, asked) {
        (Some(own), Some(asked)) if own != asked => {
            return Err(Problem::forbidden(&format!("this token speaks for {own:?}, not for {asked:?}")));
        }
        (Some(own), _) => Some(own.as_str()),
        (None, asked) => asked,
    };
    match name {
        Some(name) => {
            office.backend(name).ok_or_else(|| Problem::invalid(format!("there is no [[backend]] {name:?}")))
        }
        None => match office.backends.as_slice() {
            [only] => Ok(only),
            _ => Err(Problem::invalid("say which backend: ?backend=<id>")),
        },
    }
}
