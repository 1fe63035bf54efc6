//! What an operator may do: each act is an evidence row of kind `operator` with who and why (model.md 4); on an evidence message, which
//! has no chain, it is kept beside the message.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

use super::read::id;
use super::{Api, Problem, Said};
use crate::status::{Record, Row, Signal, State as Standing};
use crate::store::{MessageRow, MessageView, NewEvidence, RecipientId, Recomputed};

/// Who and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Act {
    who: String,
    why: String,
}

/// Who and why, and whether it is to be stopped although it may have been read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cancel {
    who: String,
    why: String,
    #[serde(default)]
    uncertain: bool,
}

/// The verdict of an operator on a recipient that no evidence will settle.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Close {
    who: String,
    why: String,
    verdict: Verdict,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    /// The other side does not have it: known by other means than an error.
    Failed,
    /// The recipient did not act in time.
    Missed,
    /// The other side has it: known by other means than a receipt.
    Sent,
}

fn stated(who: &str, why: &str) -> Result<(), Problem> {
    match who.trim().is_empty() || why.trim().is_empty() {
        true => Err(Problem::invalid("say who you are and why: {\"who\":\"...\",\"why\":\"...\"}")),
        false => Ok(()),
    }
}

/// Sends again what has failed or is uncertain.
pub(super) async fn retry(
    State(api): State<Api>,
    Path(text): Path<String>,
    act: Said<Act>,
) -> Result<Json<Record>, Problem> {
    let Json(act) = act?;
    stated(&act.who, &act.why)?;
    Ok(Json(api.store.retry(id::<RecipientId>(&text)?, &act.who, &act.why).await?))
}

/// Sends an evidence message again.
pub(super) async fn retry_message(
    State(api): State<Api>,
    Path(text): Path<String>,
    act: Said<Act>,
) -> Result<Json<MessageView>, Problem> {
    let Json(act) = act?;
    stated(&act.who, &act.why)?;
    let message = id::<MessageRow>(&text)?;
    api.store.retry_message(message, &act.who, &act.why).await?;
    Ok(Json(api.store.message(message).await?))
}

/// Stops sending what has not been sent yet.
pub(super) async fn cancel(
    State(api): State<Api>,
    Path(text): Path<String>,
    act: Said<Cancel>,
) -> Result<Json<Record>, Problem> {
    let Json(act) = act?;
    stated(&act.who, &act.why)?;
    let recipient = id::<RecipientId>(&text)?;
    Ok(Json(api.store.cancel(recipient, (&act.who, &act.why), act.uncertain).await?))
}

/// Closes what no evidence will settle, with the operator's verdict; provisional, and overridden by signed evidence.
pub(super) async fn close(
    State(api): State<Api>,
    Path(text): Path<String>,
    act: Said<Close>,
) -> Result<Json<Record>, Problem> {
    let Json(act) = act?;
    stated(&act.who, &act.why)?;
    let recipient = id::<RecipientId>(&text)?;
    let view = api.store.recipient(recipient).await?;
    if view.record.state.is_final() && !view.record.provisional {
        return Err(Problem::invalid(format!("the recipient is {} already", view.record.state.as_str())));
    }
    let signal = verdict(act.verdict, view.record.state)?;
    let now = api.store.clock().now();
    let detail = format!("{}: {}", act.who, act.why);
    let row = Row::operator(signal, now, format!("close-{}", crate::id::row_id()), detail);
    Ok(Json(api.store.append_verdict(recipient, view.record.state, NewEvidence::statement(row)).await?))
}

/// A verdict is for what nobody will settle: what is still being sent is cancelled, not closed.
fn verdict(verdict: Verdict, state: Standing) -> Result<Signal, Problem> {
    match (verdict, state) {
        (Verdict::Failed, Standing::Uncertain) => Ok(Signal::SendFailed),
        (Verdict::Sent, Standing::Uncertain) => Ok(Signal::Receipted),
        (Verdict::Missed, Standing::AtRemoteGateway | Standing::Available) => Ok(Signal::Expired),
        (_, Standing::Received) => Err(Problem::invalid("it is still being sent: cancel it first, or wait")),
        (Verdict::Missed, _) => Err(Problem::invalid("only what was sent can be closed as missed")),
        (Verdict::Failed | Verdict::Sent, _) => {
            Err(Problem::invalid("only an uncertain message can be closed as failed or as sent"))
        }
    }
}

/// Takes a notice off the list.
pub(super) async fn clear_notice(State(api): State<Api>, Path(number): Path<i64>) -> Result<(), Problem> {
    Ok(api.store.clear_notice(number).await?)
}

/// Folds every chain anew and says what does not hold.
pub(super) async fn recompute(State(api): State<Api>) -> Result<Json<Recomputed>, Problem> {
    Ok(Json(api.store.recompute().await?))
}
