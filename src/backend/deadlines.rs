//! Timers: what a recipient here did not take in time is missed; what a recipient abroad did not answer in time is a notice
//! to the operator and nothing more (model.md 4). And the checkpoint of the evidence chains, every minute.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::folder::Seen;
use super::lookout::Lookout;
use super::{Office, delivery, said};
use crate::clock::{SignedDuration, Timestamp};
use crate::status::{Row, Signal};
use crate::store::{DeliveryOutcome, DeliveryState, DeliveryView, NewEvidence, RecipientId};

/// Deadlines are looked at no more often than this, however much happens.
const LOOK: Duration = Duration::from_millis(500);
/// Pause where something must wait though its deadline is over.
const HELD: Duration = Duration::from_secs(5);
/// How often the chains are sealed.
const CHECKPOINT: SignedDuration = SignedDuration::from_mins(1);
/// Rows per look.
const BATCH: u32 = 100;
/// How long after a recipient's deadline its evidence may still be on its way before our own timer speaks.
const GRACE: SignedDuration = SignedDuration::from_secs(30);

/// Watches until `stop` is ready.
pub async fn run(office: Arc<Office>, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    // Whatever brings a deadline is an event.
    let mut changes = office.store.event_changes();
    let mut sealed = office.clock.now();
    let (mut lookout, mut least) = (Lookout::default(), Duration::ZERO);
    loop {
        let pause = pause(&office, sealed).await.max(least);
        tokio::select! {
            biased;
            () = &mut stop => return,
            () = tokio::time::sleep(pause) => {}
            _ = changes.changed() => tokio::select! {
                biased;
                () = &mut stop => return,
                () = tokio::time::sleep(LOOK) => {}
            },
        }
        changes.mark_unchanged();
        // What must wait has its deadline behind it: it is no reason to look all the time.
        least = match look(&office, &mut lookout).await {
            Ok(true) => HELD,
            Ok(false) => Duration::ZERO,
            Err(error) => {
                if said::is_due(&format!("deadlines: {error}")) {
                    tracing::error!(%error, "deadlines");
                }
                Duration::ZERO
            }
        };
        let now = office.clock.now();
        if is_due(now, sealed, CHECKPOINT) {
            sealed = now;
            if let Err(error) = office.store.checkpoint(now).await {
                tracing::error!(%error, "checkpoint");
            }
        }
    }
}

/// Whether so long has gone by since; where the clock was set back, nobody knows how long it was.
pub(super) fn is_due(now: Timestamp, last: Timestamp, every: SignedDuration) -> bool {
    !(SignedDuration::ZERO..every).contains(&now.duration_since(last))
}

/// Until the next deadline, or the next checkpoint; a store that fails is asked again soon.
async fn pause(office: &Office, sealed: Timestamp) -> Duration {
    let Ok(next) = office.store.next_deadline().await else { return LOOK };
    let checkpoint = sealed.checked_add(CHECKPOINT).unwrap_or(sealed);
    let next = next.map_or(checkpoint, |deadline| deadline.min(checkpoint));
    office.clock.until(Some(next), LOOK, CHECKPOINT.unsigned_abs())
}

/// What cannot be settled is logged and holds up nothing behind it; whether there is such.
async fn look(office: &Office, lookout: &mut Lookout) -> Result<bool, delivery::Error> {
    let now = office.clock.now();
    let held = look_at_deliveries(office, lookout, now).await?;
    let late = now.checked_sub(GRACE).unwrap_or(now);
    for recipient in office.store.overdue_recipients(late, BATCH).await? {
        if let Err(error) = overdue(office, recipient).await {
            tracing::error!(recipient.id = %recipient, %error, "a recipient past its deadline");
        }
    }
    for recipient in office.store.unevidenced_recipients(now, BATCH).await? {
        if let Err(error) = unevidenced(office, recipient).await {
            tracing::error!(recipient.id = %recipient, %error, "a recipient without evidence");
        }
    }
    Ok(held)
}

/// Page by page: those that must wait are no reason not to look at the others.
async fn look_at_deliveries(
    office: &Office,
    lookout: &mut Lookout,
    now: Timestamp,
) -> Result<bool, delivery::Error> {
    let (mut after, mut held) = (None, false);
    loop {
        let (page, next) = office.store.deliveries_past_deadline(now, after, BATCH).await?;
        for late in page {
            held |= past_deadline(office, lookout, &late).await.unwrap_or_else(|error| {
                tracing::error!(delivery.id = %late.id, %error, "a delivery past its deadline");
                true
            });
        }
        after = next;
        if after.is_none() {
            return Ok(held);
        }
    }
}

const NEVER_THERE: &str = "it could not be put at the recipient's disposal before the deadline";

/// Nobody took it in time, or it was never there to be taken: the second is ours, and no recipient's fault (model.md 4). True when that
/// cannot be said yet.
async fn past_deadline(
    office: &Office,
    lookout: &mut Lookout,
    late: &DeliveryView,
) -> Result<bool, delivery::Error> {
    let inbox = office.backend(&late.backend).and_then(|backend| backend.adapter.inbox());
    let seen = match inbox {
        None => None,
        Some(inbox) => match lookout.see(&late.backend, inbox, late.id).await {
            None => return cannot_be_seen(office, late).await.map(|()| true),
            seen => seen,
        },
    };
    let outcome = match (late.state, seen) {
        // It is there, and is told to be so with the next look of whoever carries; or the answer is.
        (DeliveryState::Waiting, Some(Seen::Unanswered | Seen::Answered))
        | (DeliveryState::AtDisposal, Some(Seen::Answered)) => return Ok(true),
        (DeliveryState::Waiting, _) => {
            DeliveryOutcome::Undeliverable { reason: NEVER_THERE.to_owned(), carrier: false }
        }
        (_, Some(Seen::Nothing)) => return cannot_be_seen(office, late).await.map(|()| true),
        (_, Some(Seen::Unanswered | Seen::Answered) | None) => DeliveryOutcome::Missed,
    };
    match delivery::settle(office, late.id, outcome).await {
        Ok(_) => Ok(false),
        // Something else was faster, or is about to be: its word is final, or a later look decides.
        Err(delivery::Error::Store(crate::store::Error::Conflict { .. })) => Ok(true),
        Err(error) => Err(error),
    }
}

async fn cannot_be_seen(office: &Office, late: &DeliveryView) -> Result<(), delivery::Error> {
    let backend = &late.backend;
    let text = format!(
        "neither messages past their deadline nor answers to them are in the folder of backend {backend:?}: is it away? Nothing is said of them meanwhile"
    );
    Ok(office.store.raise_once("folder-away", backend, &text).await?)
}

/// A row of our own: there is a receipt, and the evidence that the other side has agreed to send has not come. A notice, and no status.
async fn unevidenced(office: &Office, recipient: RecipientId) -> Result<(), delivery::Error> {
    let text =
        "the other side has receipted the message and sent no evidence since: ask it, or close the message";
    office.store.raise_once("no-evidence", &recipient.to_string(), text).await?;
    let row = Row::local(Signal::ConsignmentFailed, office.clock.now(), format!("evidence-{recipient}"));
    office.store.append_evidence(recipient, vec![NewEvidence::statement(row.because(text))]).await?;
    Ok(())
}

/// A row of our own, the same whichever of several nodes says it: a notice, and provisional `Saņēmēja nokavēta` only where the
/// operator chose `missed_on = "deadline"`.
async fn overdue(office: &Office, recipient: RecipientId) -> Result<(), delivery::Error> {
    let now = office.clock.now();
    let text = "the recipient's deadline has passed and no evidence has come";
    office.store.raise_once("overdue", &recipient.to_string(), text).await?;
    let row = Row::local(Signal::Expired, now, format!("deadline-{recipient}")).because(text);
    office.store.append_evidence(recipient, vec![NewEvidence::statement(row)]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_holds_up_no_round() {
        let noon: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        let minute = SignedDuration::from_mins(1);
        assert!(!is_due(noon, noon, minute));
        assert!(!is_due(noon + SignedDuration::from_secs(59), noon, minute));
        assert!(is_due(noon + minute, noon, minute));
        assert!(is_due(noon - SignedDuration::from_hours(700), noon, minute));
    }
}
