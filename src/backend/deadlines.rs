//! Timers: what a recipient here did not take in time is missed; what a recipient abroad did not answer in time is a notice
//! to the operator and nothing more (model.md 4). And the checkpoint of the evidence chains, every minute.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::{Office, delivery};
use crate::clock::{SignedDuration, Timestamp};
use crate::id;
use crate::status::{Row, Signal};
use crate::store::{DeliveryOutcome, NewEvidence, RecipientId, SETTLED};

/// Deadlines are looked at no more often than this, however much happens.
const LOOK: Duration = Duration::from_millis(500);
/// How often the chains are sealed.
const CHECKPOINT: SignedDuration = SignedDuration::from_mins(1);
/// How often payloads whose time is over are let go.
const TIDY: SignedDuration = SignedDuration::from_hours(1);
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
    let mut tidied = None;
    loop {
        let pause = pause(&office, sealed).await;
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
        if let Err(error) = look(&office).await {
            tracing::error!(%error, "deadlines");
        }
        let now = office.clock.now();
        if now.duration_since(sealed) >= CHECKPOINT {
            sealed = now;
            if let Err(error) = office.store.checkpoint(now).await {
                tracing::error!(%error, "checkpoint");
            }
        }
        if tidied.is_none_or(|last| now.duration_since(last) >= TIDY) {
            tidied = Some(now);
            if let Err(error) = tidy(&office).await {
                tracing::error!(%error, "payloads whose time is over");
            }
        }
    }
}

/// Until the next deadline, or the next checkpoint; a store that fails is asked again soon.
async fn pause(office: &Office, sealed: Timestamp) -> Duration {
    let Ok(next) = office.store.next_deadline().await else { return LOOK };
    let checkpoint = sealed.checked_add(CHECKPOINT).unwrap_or(sealed);
    let next = next.map_or(checkpoint, |deadline| deadline.min(checkpoint));
    office.clock.until(Some(next), LOOK, CHECKPOINT.unsigned_abs())
}

/// Lets go of payloads whose time is over, some at a time, so that nothing else waits long for the store.
async fn tidy(office: &Office) -> Result<(), crate::store::Error> {
    let files = office.store.collect_files(SETTLED).await?;
    if files > 0 {
        tracing::info!(files, "payload files removed that no row names");
    }
    let mut sum = 0;
    loop {
        let dropped = office.store.drop_payloads(&office.retention, office.clock.now(), BATCH).await?;
        sum += dropped;
        if dropped == 0 {
            break;
        }
    }
    if sum > 0 {
        tracing::info!(payloads = sum, "octets of payloads let go, their time is over");
    }
    Ok(())
}

async fn look(office: &Office) -> Result<(), delivery::Error> {
    let now = office.clock.now();
    for missed in office.store.deliveries_past_deadline(now, BATCH).await? {
        match delivery::settle(office, missed.id, DeliveryOutcome::Missed).await {
            // The backend was faster: its word is final.
            Err(delivery::Error::Store(crate::store::Error::Conflict { .. })) | Ok(_) => {}
            Err(error) => return Err(error),
        }
    }
    let late = now.checked_sub(GRACE).unwrap_or(now);
    for recipient in office.store.overdue_recipients(late, BATCH).await? {
        overdue(office, recipient).await?;
    }
    Ok(())
}

/// A row of our own: a notice, and provisional `Saņēmēja nokavēta` only where the operator chose `missed_on = "deadline"`.
async fn overdue(office: &Office, recipient: RecipientId) -> Result<(), delivery::Error> {
    let now = office.clock.now();
    let text = "the recipient's deadline has passed and no evidence has come";
    office.store.raise("overdue", &recipient.to_string(), text).await?;
    let row = Row::local(Signal::Expired, now, format!("deadline-{}", id::row_id())).because(text);
    office.store.append_evidence(recipient, vec![NewEvidence::statement(row)]).await?;
    Ok(())
}
