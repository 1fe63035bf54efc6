//! Sending a message: a worker leases it from the store and leads it to an outcome.
//!
//! ```text
//! lease -> plan -> package -> seal -> transmit -> settle
//! ```
//!
//! Before any octet leaves, the attempt is on the disk; after it, the outcome. A crash between the two means sending
//! again under the same MessageId, and the peer's duplicate elimination does the rest (promise 2 of the design).

mod gate;
mod judge;
mod package;
mod plan;
mod response;
mod seal;
mod settle;
mod transmit;
mod worker;

use gate::Pass;

pub use gate::Gates;
pub use worker::run;

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use serde_json::Value;

use super::Node;
use crate::clock::Timestamp;
use crate::pmode::Retry;
use crate::store::{self, AttemptId, Class, Lease, OutMessage, Settlement};
use crate::{crash, thread};

/// A message of which the store could not keep what became of it. Its lease outlives the longest exchange: it is given back
/// as soon as the store can hear of it.
struct Unkept {
    lease: Lease,
    lookup: Value,
    /// What became of the attempt that was made.
    settlement: Option<(AttemptId, Settlement)>,
}

/// The store does not answer, and what it was to keep.
struct Lost {
    error: store::Error,
    settlement: Option<(AttemptId, Settlement)>,
}

impl From<store::Error> for Lost {
    fn from(error: store::Error) -> Self {
        Self { error, settlement: None }
    }
}

/// Leads one leased message one attempt further. A panic on the way is its own affair: the message is put off, and the others go on.
async fn send(node: &Node, message: OutMessage) -> Result<(), Unkept> {
    let kept = match AssertUnwindSafe(flow(node, &message)).catch_unwind().await {
        Ok(kept) => kept,
        Err(panic) => {
            let said = thread::words(&*panic);
            tracing::error!(message.id = message.message_id, panic = said, "sending a message panicked");
            settle::panicked(node, &message, said).await
        }
    };
    kept.map_err(|Lost { error, settlement }| {
        tracing::error!(message.id = message.message_id, %error, "the store could not keep what became of the message");
        let lease = message.lease();
        let lookup = message.lookup.unwrap_or(Value::Array(Vec::new()));
        Unkept { lease, lookup, settlement }
    })
}

async fn flow(node: &Node, message: &OutMessage) -> Result<(), Lost> {
    if let Some(over) = settle::deadline_passed(node, message)
        && !is_ordered(node, message).await?
    {
        return Ok(settle::given_up(node, message, over).await?);
    }
    let planned = match plan::plan(node, message).await {
        Ok(planned) => planned,
        Err(unplanned) => return Ok(settle::unplanned(node, message, unplanned).await?),
    };
    let retry = planned.pmode.profile.retry;
    let endpoint = gate::endpoint(&planned.client, &planned.endpoint.url);
    let pass = match leave(node, message, retry, &endpoint).await? {
        Ok(pass) => pass,
        Err(again) => return Ok(settle::put_off(node, message, again).await?),
    };
    let packaged = match package::package(node, planned).await {
        Ok(packaged) => packaged,
        Err(unplanned) => return Ok(settle::unplanned(node, message, unplanned).await?),
    };
    let sealed = match seal::seal(node, packaged) {
        Ok(sealed) => sealed,
        Err(unplanned) => return Ok(settle::unplanned(node, message, unplanned).await?),
    };
    let payloads = match transmit::open(node, &sealed).await {
        Ok(payloads) => payloads,
        Err(unplanned) => return Ok(settle::unplanned(node, message, unplanned).await?),
    };
    let attempt = seal::on_disk(node, message, &sealed).await?;
    let sent = transmit::transmit(node, &sealed, payloads).await;
    crash::at(crash::Point::ResponseRead);
    let unreached = judge::was_not_reached(&sent);
    let elsewhere = unreached || judge::is_gone(&sent);
    pass.over(!unreached, node.clock.now());
    let verdict = judge::judge(node, message, &sealed, sent).await;
    if elsewhere || verdict.says_stale() {
        plan::forget(node, &sealed.packaged.planned);
    }
    settle::settled(node, message, retry, (attempt, verdict)).await
}

/// Leave to ask somebody who may not answer, or when to come again. Tests and what an operator orders always have it.
async fn leave<'n>(
    node: &'n Node,
    message: &OutMessage,
    retry: Retry,
    of: &str,
) -> Result<Result<Pass<'n>, Timestamp>, store::Error> {
    let again = match node.gates.pass(of, &node.clock).await {
        Ok(pass) => return Ok(Ok(pass)),
        Err(again) => again,
    };
    if message.class == Class::Test || is_ordered(node, message).await? {
        return Ok(Ok(node.gates.insist(of, node.clock.now())));
    }
    match settle::may_wait(message, retry, again) {
        true => Ok(Err(again)),
        false => Ok(node.gates.at_last(of, node.clock.now())),
    }
}

/// Who orders a message to be sent now knows why, and is not told to wait.
async fn is_ordered(node: &Node, message: &OutMessage) -> Result<bool, store::Error> {
    match &message.recipient {
        Some(recipient) => node.store.is_ordered(recipient.id).await,
        None => node.store.is_message_ordered(message.id).await,
    }
}
