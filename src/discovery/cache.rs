//! Verified metadata, kept for a while: fresh for lookups, stale for outages (discovery 2.8).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::smp::ServiceMetadata;
use crate::clock::{SignedDuration, Timestamp};

/// Entries kept at most; beyond it the oldest half goes.
const CAPACITY: usize = 10_000;

/// What was verified, and when.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) metadata: Arc<ServiceMetadata>,
    /// Where it was fetched.
    pub(super) url: String,
    pub(super) since: Timestamp,
}

impl Entry {
    /// Whether it was good at that time and was not older than `seconds`.
    fn is_of(&self, at: Timestamp, seconds: u32) -> bool {
        self.since <= at && at < later(self.since, seconds)
    }
}

/// Key: participant and document type, folded as the caller asked.
#[derive(Default)]
pub(super) struct Cache(Mutex<HashMap<String, Entry>>);

impl Cache {
    /// The entry, when it is not older than `seconds`.
    pub(super) fn get(&self, key: &str, at: Timestamp, seconds: u32) -> Option<Entry> {
        self.lock().get(key).filter(|entry| entry.is_of(at, seconds)).cloned()
    }

    pub(super) fn holds(&self, key: &str, at: Timestamp, seconds: u32) -> bool {
        self.lock().get(key).is_some_and(|entry| entry.is_of(at, seconds))
    }

    pub(super) fn put(&self, key: String, entry: Entry) {
        let mut entries = self.lock();
        if entries.len() >= CAPACITY && !entries.contains_key(&key) {
            let mut ages: Vec<Timestamp> = entries.values().map(|entry| entry.since).collect();
            ages.sort();
            let middle = ages[ages.len() / 2];
            entries.retain(|_, entry| entry.since > middle);
        }
        entries.insert(key, entry);
    }

    pub(super) fn forget(&self, key: &str) {
        self.lock().remove(key);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn later(at: Timestamp, seconds: u32) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::Identifier;

    #[test]
    fn entries_age_and_memory_is_bounded() {
        let metadata = Arc::new(ServiceMetadata {
            participant: Identifier::parse("a::b"),
            document_type: Identifier::parse("c::d"),
            processes: Vec::new(),
        });
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let entry = |since| Entry { metadata: metadata.clone(), url: String::new(), since };
        let cache = Cache::default();
        cache.put("k".into(), entry(start));
        assert!(cache.get("k", later(start, 899), 900).is_some());
        assert!(cache.get("k", later(start, 900), 900).is_none());
        assert!(cache.get("k", later(start, 900), 86_400).is_some(), "stale");
        cache.forget("k");
        assert!(cache.get("k", start, 900).is_none());
        for index in 0..CAPACITY as u32 + 100 {
            cache.put(index.to_string(), entry(later(start, index)));
        }
        assert!(cache.lock().len() <= CAPACITY);
        assert!(cache.lock().contains_key(&(CAPACITY + 99).to_string()), "the newest stays");
    }
}
