//! Leases due messages and sends them side by side; wakes up by event, and by timer only for the next due time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use super::super::Node;
use super::{Unkept, settle};
use crate::clock::SignedDuration;
use crate::{store, thread};

/// A lease outlives the longest exchange by this.
const MARGIN: Duration = Duration::from_secs(60);
/// Without an event the store is asked again after this time at the latest.
const AT_LATEST: Duration = Duration::from_secs(30);

/// A store that fails is asked again after this time.
const AGAIN: Duration = Duration::from_secs(2);
/// What was dropped is waited for so long.
const MOMENT: Duration = Duration::from_secs(1);

/// Exchanges under way; each gives the message back whose outcome could not be kept.
type Running = JoinSet<Option<Unkept>>;

/// Sends until `stop` is ready; then leases nothing more and lets running attempts end, for as long as [`super::super::Limits`] say.
pub async fn run(node: Arc<Node>, stop: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(node.limits.sending));
    let mut changes = node.store.outbound_changes();
    let (mut running, mut unkept) = (Running::new(), Vec::new());
    let mut stop = std::pin::pin!(stop);
    loop {
        while let Some(ended) = running.try_join_next() {
            unkept.extend(unkept_of(ended));
        }
        changes.mark_unchanged();
        give_back(&node, &mut unkept).await;
        let leased = lease(&node, &places, &mut running).await;
        let more = leased == Some(true);
        // Where more is due than there are places, a place that becomes free is what is waited for, and nothing else: whether
        // one is free by now is not asked, for it may have become so a moment ago.
        let pause = match leased {
            Some(true) => AT_LATEST,
            Some(false) if unkept.is_empty() => until_due(&node).await,
            Some(false) | None => AGAIN,
        };
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(ended) = running.join_next(), if more => unkept.extend(unkept_of(ended)),
            _ = changes.changed(), if !more => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    let_end(&node, running, unkept).await;
}

/// Exchanges under way may end, and what they came to is kept. Those that take longer are dropped: their attempts stay open, and count as
/// uncertain when their messages are leased again, as after a crash.
async fn let_end(node: &Node, mut running: Running, mut unkept: Vec<Unkept>) {
    let all = async {
        while any_ended(&mut running, &mut unkept).await {
            give_back(node, &mut unkept).await;
        }
    };
    if timeout(node.limits.shutdown, all).await.is_err() {
        let (exchanges, unkept) = (running.len(), unkept.len());
        tracing::warn!(
            exchanges,
            unkept,
            "exchanges cut off at shutdown, or not kept; their messages are sent again after the next start"
        );
        // One that works without waiting for anything notices when it has done so.
        let _ = timeout(MOMENT, running.shutdown()).await;
    }
}

/// Waits until an exchange ends, no longer than a store that refused is left alone: one that takes long holds up nothing that others came
/// to. False when nothing is left to be kept.
async fn any_ended<U: 'static>(running: &mut JoinSet<Option<U>>, unkept: &mut Vec<U>) -> bool {
    if running.is_empty() && unkept.is_empty() {
        return false;
    }
    tokio::select! {
        Some(ended) = running.join_next() => unkept.extend(unkept_of(ended)),
        () = tokio::time::sleep(AGAIN), if !unkept.is_empty() => {}
    }
    while let Some(ended) = running.try_join_next() {
        unkept.extend(unkept_of(ended));
    }
    true
}

/// What an exchange gives back. One that panicked has said so, and its message is settled ([`super::send`]), unless that panicked too.
fn unkept_of<U>(ended: Result<Option<U>, JoinError>) -> Option<U> {
    ended.unwrap_or_else(|error| {
        let error = thread::why(error);
        tracing::error!(error, "a message is left alone until its lease has run out");
        None
    })
}

/// Ends leases that nobody uses; what the store does not take now waits, and what it will never take is told of and left: the attempt is
/// uncertain when its lease has run out. A start ends all leases: nothing is kept for it.
async fn give_back(node: &Node, unkept: &mut Vec<Unkept>) {
    let mut at = 0;
    // Taken out only when it is kept: this may be broken off at any time.
    while let Some(message) = unkept.get(at) {
        match settle::given_back(node, message).await {
            Ok(()) | Err(store::Error::NotFound { .. }) => {}
            Err(error @ (store::Error::Damaged { .. } | store::Error::Conflict { .. })) => {
                tracing::error!(message.row = %message.lease.message(), %error, "what became of a message cannot be kept");
            }
            Err(_) => {
                at += 1;
                continue;
            }
        }
        unkept.swap_remove(at);
    }
}

/// Leases as many messages as there are free places; true when more may be due than were leased, nothing when the store fails.
async fn lease(node: &Arc<Node>, places: &Arc<Semaphore>, running: &mut Running) -> Option<bool> {
    let free = u32::try_from(places.available_permits()).unwrap_or(u32::MAX);
    if free == 0 {
        return Some(true);
    }
    let now = node.clock.now();
    let lease =
        SignedDuration::try_from(node.limits.exchange + MARGIN).unwrap_or(SignedDuration::from_mins(10));
    let due = match node.store.lease_due(now, free, now + lease).await {
        Ok(due) => due,
        Err(error) => {
            tracing::error!(%error, "the queue cannot be read");
            return None;
        }
    };
    let count = due.len();
    for message in due {
        let place = places.clone().acquire_owned().await.ok()?;
        let node = node.clone();
        running.spawn(async move {
            let unkept = super::send(&node, message).await.err();
            drop(place);
            unkept
        });
    }
    Some(count == free as usize)
}

async fn until_due(node: &Node) -> Duration {
    let next = node.store.next_due().await.ok().flatten();
    // What has become due since the lease a moment ago is no time to come, and no reason to wait.
    node.clock.until(next, Duration::from_millis(20), AT_LATEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_exchange_that_takes_long_holds_up_nothing_that_others_came_to() {
        let (mut running, mut unkept) = (JoinSet::new(), Vec::new());
        running.spawn(std::future::pending());
        running.spawn(async { Some(1) });
        assert!(any_ended(&mut running, &mut unkept).await);
        assert_eq!((unkept.as_slice(), running.len()), ([1].as_slice(), 1));
        // The store refused it: it is tried again although the other exchange goes on.
        assert!(timeout(AGAIN * 2, any_ended(&mut running, &mut unkept)).await.unwrap());
        running.shutdown().await;
        assert!(any_ended(&mut running, &mut unkept).await, "what is left is not tried again");
        unkept.clear();
        assert!(!any_ended(&mut running, &mut unkept).await);
    }
}
