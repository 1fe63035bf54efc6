//! Stage 6: the verdict, its evidence and the next step, in one transaction.

use serde_json::Value;

use super::super::Node;
use super::judge::Verdict;
use super::plan::{self, Unplanned};
use super::{Lost, Unkept};
use crate::clock::Timestamp;
use crate::crash::{self, Point};
use crate::id;
use crate::pmode::Retry;
use crate::status::{Row, Signal as Said};
use crate::store::{self, AttemptId, Class, NewEvidence, Next, OutMessage, Outcome, Settlement};

/// Why sending is given up without another attempt; `None` while there is time.
pub(super) fn deadline_passed(node: &Node, message: &OutMessage) -> Option<String> {
    let attempts = message.attempts;
    if attempts == 0 {
        return None;
    }
    let deadline = last_time(message.created, message.deadline, plan::retry(node, message));
    (node.clock.now() >= deadline)
        .then(|| missing(&format!("the send deadline {deadline} has passed after {attempts} attempts")))
}

/// EBMS:0301: after the last attempt there is no receipt (AS4P 3.6).
fn missing(reason: &str) -> String {
    format!("EBMS:0301 MissingReceipt: {reason}")
}

/// The deadline passed: failed if every attempt was definite, uncertain otherwise.
pub(super) async fn given_up(node: &Node, message: &OutMessage, reason: String) -> Result<(), store::Error> {
    let (next, evidence) = end(node, message, &reason);
    let lookup = message.lookup.clone().unwrap_or(Value::Array(Vec::new()));
    node.store.lookup_failed(message.lease(), (lookup, reason), next, evidence).await.map(drop)
}

/// Whether a message that is put off until then will still be tried after it.
pub(super) fn may_wait(message: &OutMessage, retry: Retry, until: Timestamp) -> bool {
    until < last_time(message.created, message.deadline, retry)
}

/// Nobody is asked now ([`super::gate`]): no attempt, and no verdict.
pub(super) async fn put_off(node: &Node, message: &OutMessage, until: Timestamp) -> Result<(), store::Error> {
    let lookup = message.lookup.clone().unwrap_or(Value::Array(Vec::new()));
    let reason =
        "put off: the endpoint, or the registry that names it, was not reached lately or answers slowly";
    node.store
        .lookup_failed(message.lease(), (lookup, reason.to_owned()), Next::RetryAt(until), Vec::new())
        .await
        .map(drop)
}

/// The last time at which an attempt may begin: by `send_within`, fixed with the submission, else by the agreement; an operator who orders it
/// to be sent again fixes it anew.
fn last_time(created: Timestamp, deadline: Option<Timestamp>, retry: Retry) -> Timestamp {
    deadline.unwrap_or(created + retry.within())
}

/// No way was found, or none now.
pub(super) async fn unplanned(node: &Node, message: &OutMessage, why: Unplanned) -> Result<(), store::Error> {
    match why {
        Unplanned::Moved { to } => {
            tracing::info!(
                message.id = message.message_id,
                to,
                "the recipient is at another access point now"
            );
            let new = id::message_id(&node.domain);
            node.store.supersede(message.lease(), new).await.map(drop)
        }
        Unplanned::Later { reason, steps } => later(node, message, reason, steps).await,
        Unplanned::PutOff { until } => put_off(node, message, until).await,
        Unplanned::Never { reason, steps, not_found } => {
            let said = if not_found { Said::NotFound } else { Said::SendFailed };
            let (next, evidence) = match message.uncertain_attempts {
                0 => (Next::Failed, statement(node, message, said, &reason)),
                _ => end(node, message, &reason),
            };
            node.store.lookup_failed(message.lease(), (steps, reason), next, evidence).await.map(drop)
        }
    }
}

/// What became of a message whose sending panicked is not known: an attempt that was begun may have been read. Without one it is put off
/// like a message to which there is no way now.
pub(super) async fn panicked(node: &Node, message: &OutMessage, said: &str) -> Result<(), Lost> {
    let reason = format!("sending panicked: {said}");
    let Some(attempt) = node.store.open_attempt(message.id).await? else {
        let steps = message.lookup.clone().unwrap_or(Value::Array(Vec::new()));
        return Ok(later(node, message, reason, steps).await?);
    };
    let verdict = Verdict::Unknown { reason, signal: None };
    settled(node, message, plan::retry(node, message), (attempt, verdict)).await
}

async fn later(node: &Node, message: &OutMessage, reason: String, steps: Value) -> Result<(), store::Error> {
    let now = node.clock.now();
    tracing::warn!(message.id = message.message_id, reason, "no way now; tried again later");
    // Lookups that fail do not count as attempts, so their pauses grow with the age of the message.
    let waited = u32::try_from(now.duration_since(message.created).as_secs().max(0)).unwrap_or(u32::MAX);
    let retry = plan::retry(node, message);
    let pause =
        i64::from((waited / 4).clamp(retry.first_seconds, retry.longest_seconds.max(retry.first_seconds)));
    let at = now + crate::clock::SignedDuration::from_secs(pause);
    match now >= last_time(message.created, message.deadline, retry) {
        true => {
            let (next, evidence) = end(node, message, &reason);
            node.store.lookup_failed(message.lease(), (steps, reason), next, evidence).await.map(drop)
        }
        false => node
            .store
            .lookup_failed(message.lease(), (steps, reason), Next::RetryAt(at), Vec::new())
            .await
            .map(drop),
    }
}

/// Keeps what became of an attempt; `retry` is the agreement's, under which it was made.
pub(super) async fn settled(
    node: &Node,
    message: &OutMessage,
    retry: Retry,
    (attempt, verdict): (AttemptId, Verdict),
) -> Result<(), Lost> {
    let settlement = settlement(node, message, retry, verdict);
    let outcome = settlement.outcome.as_str();
    tracing::info!(message.id = message.message_id, outcome, detail = settlement.detail, "attempt ended");
    metrics::counter!(crate::metrics::ATTEMPTS, "outcome" => outcome).increment(1);
    let kept = Some((attempt, settlement.clone()));
    crash::at(Point::SettleBegun);
    node.store.settle(attempt, settlement).await.map_err(|error| Lost { error, settlement: kept })?;
    crash::at(Point::SettleCommitted);
    Ok(())
}

/// Keeps at last what could not be kept: what became of an attempt, said again where the first time was heard after all, changes nothing.
/// Where there was none the lease ends, and the message is due now; an attempt that was begun is uncertain.
pub(super) async fn given_back(node: &Node, unkept: &Unkept) -> Result<(), store::Error> {
    if let Some((attempt, settlement)) = &unkept.settlement {
        return node.store.settle(*attempt, settlement.clone()).await.map(drop);
    }
    let (lookup, reason) = (unkept.lookup.clone(), "the store could not keep what became of it".to_owned());
    let next = Next::RetryAt(node.clock.now());
    node.store.lookup_failed(unkept.lease, (lookup, reason), next, Vec::new()).await.map(drop)
}

fn settlement(node: &Node, message: &OutMessage, retry: Retry, verdict: Verdict) -> Settlement {
    let ended = node.clock.now();
    match verdict {
        Verdict::Receipted { evidence, signal } => Settlement {
            ended,
            outcome: Outcome::Receipted,
            detail: "receipt verified".into(),
            signal: Some(signal),
            evidence: of_recipient(message, *evidence),
            next: match &message.recipient {
                Some(r) if r.profile.expects_evidence() && message.class == Class::Business => {
                    Next::AwaitEvidence
                }
                _ => Next::Done,
            },
        },
        // The other side may have taken an earlier attempt whose receipt was lost: its refusal of this one does not
        // prove that it has nothing.
        Verdict::Refused { reason, signal, .. } if message.uncertain_attempts > 0 => Settlement {
            ended,
            outcome: Outcome::Definite,
            evidence: statement(node, message, Said::Uncertain, &reason),
            detail: reason,
            signal: Some(signal),
            next: Next::Uncertain,
        },
        Verdict::Refused { reason, signal, evidence } => Settlement {
            ended,
            outcome: Outcome::Definite,
            detail: reason,
            signal: Some(signal),
            evidence: of_recipient(message, *evidence),
            next: Next::Failed,
        },
        Verdict::NotTaken { reason, signal } => {
            again(node, message, retry, (Outcome::Definite, reason, signal))
        }
        Verdict::Unknown { reason, signal } => {
            again(node, message, retry, (Outcome::Uncertain, reason, signal))
        }
    }
}

/// Another attempt while there is time, the end otherwise.
fn again(
    node: &Node,
    message: &OutMessage,
    retry: Retry,
    (outcome, detail, signal): (Outcome, String, Option<Vec<u8>>),
) -> Settlement {
    let ended = node.clock.now();
    let at = ended + retry.pause(message.attempts + 1);
    let last = last_time(message.created, message.deadline, retry);
    let uncertain = message.uncertain_attempts + u32::from(outcome == Outcome::Uncertain);
    let detail = if at <= last { detail } else { missing(&detail) };
    let (next, evidence) = if at <= last {
        (Next::RetryAt(at), Vec::new())
    } else if uncertain > 0 {
        (Next::Uncertain, statement(node, message, Said::Uncertain, &detail))
    } else {
        (Next::Failed, statement(node, message, Said::SendFailed, &detail))
    };
    Settlement { ended, outcome, detail, signal, evidence, next }
}

fn end(node: &Node, message: &OutMessage, reason: &str) -> (Next, Vec<NewEvidence>) {
    match message.uncertain_attempts {
        0 => (Next::Failed, statement(node, message, Said::SendFailed, reason)),
        _ => (Next::Uncertain, statement(node, message, Said::Uncertain, reason)),
    }
}

/// A row of this node's own; evidence messages have no recipient and so no chain.
fn statement(node: &Node, message: &OutMessage, said: Said, reason: &str) -> Vec<NewEvidence> {
    let now: Timestamp = node.clock.now();
    let row = Row::local(said, now, format!("{}-{}", said.as_str(), id::row_id())).because(reason);
    of_recipient(message, NewEvidence::statement(row))
}

fn of_recipient(message: &OutMessage, evidence: NewEvidence) -> Vec<NewEvidence> {
    match message.recipient {
        Some(_) => vec![evidence],
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SignedDuration;

    #[test]
    fn what_was_fixed_with_the_submission_is_neither_shortened_nor_ended_by_the_schedule() {
        let created: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
        let retry = Retry { first_seconds: 1, factor: 2, longest_seconds: 60, within_seconds: 3600 };
        let days = created + SignedDuration::from_hours(240);
        assert_eq!(last_time(created, Some(days), retry), days);
        assert_eq!(last_time(created, None, retry), created + SignedDuration::from_hours(1));
    }
}
