//! Which page of which list: what may stand behind the `?` of an address.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Problem;

/// Most rows of one page.
pub(super) const PAGE: u32 = 200;

/// Which page of submissions.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Only what is older than this id.
    pub before: Option<String>,
    /// Only submissions with a recipient in this state.
    pub state: Option<String>,
    /// Only of this channel.
    pub channel: Option<String>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// Which page of messages.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessagePage {
    /// Only what is older than this id.
    pub before: Option<String>,
    /// Only those in this state.
    pub state: Option<String>,
    /// Only those received (`in`), or those sent (`out`).
    pub direction: Option<String>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// Which page of deliveries.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryPage {
    /// Only what is older than this id.
    pub before: Option<String>,
    /// Only those in this state.
    pub state: Option<String>,
    /// Only those for this backend.
    pub backend: Option<String>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// How many of a list that has one page.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Few {
    /// At most so many.
    pub limit: Option<u32>,
}

/// How many rows were asked for, of those that a page may have.
pub(super) fn rows(limit: Option<u32>) -> u32 {
    limit.unwrap_or(PAGE).clamp(1, PAGE)
}

/// What was given; an empty value is none.
pub(super) fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// The row that the page lies behind.
pub(super) fn before<T: FromStr>(text: Option<&str>) -> Result<Option<T>, Problem> {
    let refused = |text| format!("before: {text:?} is no id; give the id of the last row of the page before");
    given(text).map(|text| text.parse().map_err(|_| Problem::invalid(refused(text)))).transpose()
}

/// The one of `all` that has this name.
pub(super) fn one_of<T: Copy + Display>(
    what: &str,
    text: Option<&str>,
    all: &[T],
) -> Result<Option<T>, Problem> {
    let Some(text) = given(text) else { return Ok(None) };
    let names: Vec<String> = all.iter().map(T::to_string).collect();
    match names.iter().position(|name| name == text) {
        Some(index) => Ok(all.get(index).copied()),
        None => Err(Problem::invalid(format!("{what}: {text:?} is none of {}", names.join(", ")))),
    }
}

/// The values behind the `?`; what cannot be read is a [`Problem`] like any other.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(refused) => Err(Problem::invalid(refused.body_text())),
        }
    }
}
