//! Receiving a message: on the connection, from the request to the receipt.
//!
//! ```text
//! Request -> unpack -> identify -> secure -> check -> accept -> acknowledge -> Reply
//! ```
//!
//! Every EBMS code is raised by one stage, named at the head of its file. A refusal leaves nothing behind but a row in the
//! list of rejected messages; a receipt leaves only after message and payloads are durable (promise 1 of the design).

mod accept;
mod acknowledge;
mod again;
mod check;
mod identify;
mod parts;
mod reject;
mod secure;
mod throttle;
mod unpack;

use std::net::IpAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};

pub use reject::Refusal;
pub use throttle::Throttle;

use super::Node;
use crate::transport::body::RequestBody;

/// Answers one request to the AS4 endpoint. There is always an answer, and never an empty success.
pub async fn receive(
    node: &Node,
    throttle: &Throttle,
    request: Request<RequestBody>,
    source: IpAddr,
) -> Response<Full<Bytes>> {
    match flow(node, request).await {
        Ok(reply) => reply.into_response(),
        Err(refusal) => reject::answer(node, throttle, refusal, source).await,
    }
}

async fn flow(node: &Node, request: Request<RequestBody>) -> Result<acknowledge::Reply, Refusal> {
    let unpacked = unpack::unpack(node, request).await?;
    let identified = identify::identify(node, unpacked)?;
    let secured = secure::secure(node, identified).await?;
    let checked = check::check(node, secured)?;
    let accepted = accept::accept(node, checked).await?;
    Ok(acknowledge::acknowledge(accepted))
}
