//! Rows in the rejected list, limited per source address, so that a flood of refused messages fills no disk.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::clock::{SignedDuration, Timestamp};

/// Addresses remembered at most; beyond it the counters start anew.
const ADDRESSES: usize = 10_000;

/// Counts refusals per address and minute.
pub struct Throttle {
    per_minute: u32,
    window: Mutex<Window>,
}

struct Window {
    since: Timestamp,
    counts: HashMap<IpAddr, u32>,
}

impl Throttle {
    /// At most `per_minute` rows for one address.
    pub fn new(per_minute: u32, now: Timestamp) -> Self {
        Self { per_minute, window: Mutex::new(Window { since: now, counts: HashMap::new() }) }
    }

    /// Whether a refusal of this address still gets a row.
    pub fn admits(&self, source: IpAddr, now: Timestamp) -> bool {
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
        assert!(throttle.admits(one, start) && throttle.admits(one, start));
        assert!(!throttle.admits(one, start));
        assert!(throttle.admits(other, start));
        assert!(throttle.admits(one, start + SignedDuration::from_secs(60)));
    }
}
