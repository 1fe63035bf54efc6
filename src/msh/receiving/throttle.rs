//! Rows in the rejected list, limited per source address, so that a flood of refused messages fills no disk.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::{SignedDuration, Timestamp};

/// Addresses remembered at most; beyond it the counters start anew.
const ADDRESSES: usize = 10_000;
/// Rows that wait for the store at most: one that does not answer is no reason to fill the memory.
const WAITING: usize = 256;

/// Counts refusals per address and minute, and those that wait to be recorded.
pub struct Throttle {
    per_minute: u32,
    window: Mutex<Window>,
    waiting: Arc<Semaphore>,
}

struct Window {
    since: Timestamp,
    counts: HashMap<IpAddr, u32>,
}

impl Throttle {
    /// At most `per_minute` rows for one address.
    pub fn new(per_minute: u32, now: Timestamp) -> Self {
        let window = Mutex::new(Window { since: now, counts: HashMap::new() });
        Self { per_minute, window, waiting: Arc::new(Semaphore::new(WAITING)) }
    }

    /// The place of a refusal that still gets a row, to be held until it is written.
    pub fn admits(&self, source: IpAddr, now: Timestamp) -> Option<OwnedSemaphorePermit> {
        self.counts(source, now).then(|| self.waiting.clone().try_acquire_owned().ok()).flatten()
    }

    fn counts(&self, source: IpAddr, now: Timestamp) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let over = now.duration_since(window.since) >= SignedDuration::from_mins(1);
        if over || window.counts.len() >= ADDRESSES {
            window.since = now;
            window.counts.clear();
        }
        let count = window.counts.entry(source).or_insert(0);
        *count = count.saturating_add(1);
        *count <= self.per_minute
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_minute() {
        let start: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let throttle = Throttle::new(2, start);
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let admits = |source, now| throttle.admits(source, now).is_some();
        assert!(admits(one, start) && admits(one, start));
        assert!(!admits(one, start));
        assert!(admits(other, start));
        assert!(admits(one, start + SignedDuration::from_secs(60)));
    }

    #[test]
    fn no_more_wait_for_the_store_than_there_are_places() {
        let start: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let throttle = Throttle::new(u32::MAX, start);
        let source = "192.0.2.1".parse().unwrap();
        let mut held: Vec<_> = (0..WAITING).map(|_| throttle.admits(source, start).unwrap()).collect();
        assert!(throttle.admits(source, start).is_none());
        held.pop();
        assert!(throttle.admits(source, start).is_some());
    }
}
