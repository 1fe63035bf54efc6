//! The console: web pages on `api`'s read models, read only, in Latvian and English. No script; works in any browser.

mod pages;
mod words;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use crate::api::{Api, DeliveryPage, Few, Page, Problem};
use words::Language;

/// The routes of the console.
pub fn router(api: Api) -> Router {
    Router::new().route("/", get(list)).route("/messages/{id}", get(message)).with_state(api)
}

/// Rows of each list.
const ROWS: usize = 50;

/// Language, and which pages.
#[derive(Debug, Default, Deserialize)]
struct Wish {
    lang: Option<String>,
    before: Option<String>,
    state: Option<String>,
    /// Only received messages that are older than this one.
    received: Option<String>,
}

async fn list(
    State(api): State<Api>,
    Query(wish): Query<Wish>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let language = language(&wish, &headers);
    let limit = u32::try_from(ROWS).ok();
    let page = Page { before: wish.before.clone(), state: wish.state.clone(), limit, channel: None };
    let submissions = api.page(&page).await?;
    let page = DeliveryPage { before: wish.received.clone(), limit, ..DeliveryPage::default() };
    let (received, notices) = (api.received(&page).await?, api.open_notices(&Few::default()).await?);
    Ok(shown(pages::list(language, &wish, (&submissions, &received, &notices))))
}

async fn message(
    State(api): State<Api>,
    Path(id): Path<String>,
    Query(wish): Query<Wish>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let detail = api.detail(&id).await?;
    Ok(shown(pages::message(language(&wish, &headers), &detail)))
}

/// `?lang=`, else what the browser prefers, else Latvian.
fn language(wish: &Wish, headers: &HeaderMap) -> Language {
    let prefers = headers.get(ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok()).unwrap_or("lv");
    match wish.lang.as_deref().unwrap_or(prefers) {
        text if text.to_ascii_lowercase().starts_with("en") => Language::English,
        _ => Language::Latvian,
    }
}

fn shown(page: Result<String, askama::Error>) -> Response {
    match page {
        Ok(text) => {
            let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'";
            ([(CONTENT_SECURITY_POLICY, policy), (CACHE_CONTROL, "no-store")], Html(text)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests;
