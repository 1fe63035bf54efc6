//! What is at a backend's disposal: list, look, fetch, acknowledge.

use std::io::Read;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::error::{Asked, Problem, Said};
use super::submit::Which;
use super::{Desk, backend};
use crate::backend::auth::Caller;
use crate::backend::{Adapter, Office};
use crate::backend::{delivery, folder};
use crate::store::{self, DeliveryId, DeliveryOutcome, DeliveryView, Form, PayloadReader, Settled};
use crate::thread;
use crate::transport::body::channel;

/// Most messages of one list.
const PAGE: u32 = 500;
/// Octets read at a time.
const CHUNK: usize = 128 * 1024;
/// A part up to this size is read at once: no thread is woken for it.
const SMALL: u64 = 512 * 1024;

/// Which messages to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// Id of the backend, where the token does not say.
    pub backend: Option<String>,
    /// Only those after this id.
    pub after: Option<String>,
    /// At most so many, 500 at the most.
    pub limit: Option<u32>,
}

/// Lists what is at the backend's disposal, oldest first. Nothing changes by it.
#[utoipa::path(get, path = "/v1/messages", params(Listing),
    responses((status = 200, description = "messages at the backend's disposal", body = Value)))]
pub async fn list(
    State(desk): State<Desk>,
    caller: Caller,
    listing: Asked<Listing>,
) -> Result<Json<Value>, Problem> {
    let Query(listing) = listing?;
    let backend = backend(&desk.office, &caller, listing.backend.as_deref())?;
    let after = listing.after.as_deref().map(id).transpose()?;
    let limit = listing.limit.unwrap_or(PAGE).clamp(1, PAGE);
    let found = desk.office.store.deliveries_at_disposal(&backend.id, after, limit).await?;
    Ok(Json(json!({ "messages": found.iter().map(view).collect::<Vec<_>>() })))
}

/// One message.
#[utoipa::path(get, path = "/v1/messages/{id}", params(("id" = String, Path), Which),
    responses((status = 200, body = Value), (status = 404, body = Problem)))]
pub async fn message(
    State(desk): State<Desk>,
    caller: Caller,
    Path(text): Path<String>,
    which: Asked<Which>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(view(&own(&desk, &caller, which, &text).await?)))
}

/// The octets of one part. Nothing changes by it.
#[utoipa::path(get, path = "/v1/messages/{id}/parts/{index}",
    params(("id" = String, Path), ("index" = usize, Path, description = "from 0"), Which),
    responses((status = 200, description = "the octets as the sender submitted them"), (status = 404, body = Problem)))]
pub async fn part(
    State(desk): State<Desk>,
    caller: Caller,
    Path((text, index)): Path<(String, String)>,
    which: Asked<Which>,
) -> Result<Response, Problem> {
    let delivery = own(&desk, &caller, which, &text).await?;
    let index = super::index(&index)?;
    let part = delivery.message.parts.get(index);
    let part = part.ok_or_else(|| Problem::missing(&format!("part {index} of message {text:?}")))?;
    let reader = desk.office.store.open_payload(part.payload, Form::Original).await?;
    let response = Response::builder()
        .header(CONTENT_TYPE, part.media_type.as_str())
        .header(CONTENT_LENGTH, reader.measure.size)
        .body(body(reader)?);
    response.map_err(|e| Problem::invalid(format!("media type {:?}: {e}", part.media_type)))
}

/// The backend's final word.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// `accepted` or `refused`.
    pub outcome: Word,
    /// Your code of a refusal.
    pub code: Option<String>,
    /// Reason of a refusal; it goes to the sender.
    pub reason: Option<String>,
}

/// Taken or not.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// The recipient took it.
    Accepted,
    /// The recipient refused it.
    Refused,
}

/// Acknowledges a message; the same word again changes nothing, another one is a conflict.
#[utoipa::path(post, path = "/v1/messages/{id}/acknowledge", params(("id" = String, Path), Which),
    request_body = Acknowledgement,
    responses((status = 200, body = Value), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn acknowledge(
    State(desk): State<Desk>,
    caller: Caller,
    Path(text): Path<String>,
    which: Asked<Which>,
    word: Said<Acknowledgement>,
) -> Result<Json<Value>, Problem> {
    let Json(word) = word?;
    let delivery = own(&desk, &caller, which, &text).await?;
    answers_here(&desk.office, &delivery.backend)?;
    let outcome = match word.outcome {
        Word::Accepted => DeliveryOutcome::Accepted,
        Word::Refused => DeliveryOutcome::Refused {
            code: word.code,
            reason: word.reason.unwrap_or_else(|| "no reason was given".into()),
        },
    };
    let settled = delivery::settle(&desk.office, delivery.id, outcome).await?;
    Ok(Json(json!({ "id": delivery.id, "repeated": settled == Settled::Before })))
}

/// What is for the caller, and for the backend that is asked for.
async fn own(desk: &Desk, caller: &Caller, which: Asked<Which>, text: &str) -> Result<DeliveryView, Problem> {
    let Query(Which { backend: asked }) = which?;
    if asked.is_some() {
        backend(&desk.office, caller, asked.as_deref())?;
    }
    let delivery = desk.office.store.delivery(id(text)?).await?;
    match caller.backend.as_deref().or(asked.as_deref()) {
        Some(backend) if backend != delivery.backend => Err(Problem::missing(&format!("message {text:?}"))),
        _ => Ok(delivery),
    }
}

/// Whoever has a folder answers there: what is settled behind its back would lie there for ever.
fn answers_here(office: &Office, backend: &str) -> Result<(), Problem> {
    match office.backend(backend).map(|backend| &backend.adapter) {
        Some(Adapter::Folder(_) | Adapter::Div(Some(_))) => Err(Problem::conflict(format!(
            "backend {backend:?} answers in its folder: let it rename the message to .accepted or .refused"
        ))),
        _ => Ok(()),
    }
}

fn id(text: &str) -> Result<DeliveryId, Problem> {
    text.parse().map_err(|_| Problem::invalid(format!("{text:?} is no message id")))
}

fn view(delivery: &DeliveryView) -> Value {
    let message = &delivery.message;
    let parts = message.parts.iter().enumerate();
    let parts: Vec<_> = parts.map(|(n, part)| folder::part_json(part, &folder::file_name(n, part))).collect();
    json!({
        "id": delivery.id,
        "state": delivery.state,
        "backend": delivery.backend,
        "message_id": message.message_id,
        "conversation_id": message.conversation,
        "ref_to_message_id": message.ref_to,
        "from": message.from.0,
        "original_sender": message.original_sender,
        "final_recipient": message.final_recipient,
        "service": message.service,
        "action": message.action,
        "properties": message.properties,
        "deadline": delivery.deadline,
        "received": message.received,
        "at_disposal": delivery.at_disposal,
        "settled": delivery.settled,
        "parts": parts,
    })
}

fn body(mut reader: PayloadReader) -> Result<Body, Problem> {
    let size = reader.measure.size;
    if size > SMALL {
        return Ok(stream(reader));
    }
    let mut octets = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    thread::work(octets.capacity(), || reader.read_to_end(&mut octets))
        .map_err(|e| store::Error::of_reading(&e))?;
    Ok(Body::from(octets))
}

fn stream(mut reader: PayloadReader) -> Body {
    let (sender, body) = channel(4);
    tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; CHUNK];
        loop {
            let chunk = match reader.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => Ok(bytes::Bytes::copy_from_slice(&buffer[..count])),
                Err(error) => {
                    tracing::error!(%error, "a part that is being fetched cannot be read");
                    Err(error)
                }
            };
            if sender.blocking_send(chunk).is_err() {
                return;
            }
        }
    });
    Body::new(body)
}
