//! The gauges: read from the store when somebody asks for the metrics.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::gauge;

use super::Problem;
use crate::metrics::{DELIVERIES, FREE, MESSAGES, OLDEST_DUE, RECIPIENTS};
use crate::status;
use crate::store::{Class, DeliveryState, MessageState, StateCounts, Store};

/// To count messages and deliveries is to read an entry of an index for each: no more than this part of all time is given to it,
/// and meanwhile the gauges keep what they were given.
const PART: u32 = 20;

/// When messages and deliveries were counted last, and how long it took.
#[derive(Debug, Default)]
pub struct Figures {
    counted: Mutex<Option<(Instant, Duration)>>,
}

impl Figures {
    /// Gives every gauge what the store says now.
    ///
    /// # Errors
    /// [`Problem`] when the store does not answer.
    pub(super) async fn tell(&self, store: &Store) -> Result<(), Problem> {
        let recipients = store.recipient_counts().await?;
        for state in status::State::ALL {
            // A state that nobody is in any more is told as well: a gauge keeps what it was given.
            let count = recipients.get(state.as_str()).copied().unwrap_or_default();
            gauge!(RECIPIENTS, "state" => state.as_str()).set(float(count));
        }
        if self.is_time() {
            let begun = Instant::now();
            let counts = store.counts().await?;
            messages(&counts);
            deliveries(&counts);
            *self.counted.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((Instant::now(), begun.elapsed()));
        }
        gauge!(OLDEST_DUE).set(store.overdue_for().await?.as_secs_f64());
        for (folder, free) in store.free_octets() {
            gauge!(FREE, "folder" => folder.display().to_string()).set(float(free));
        }
        Ok(())
    }

    fn is_time(&self) -> bool {
        let counted = *self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.is_none_or(|(at, took)| at.elapsed() >= took * PART)
    }
}

fn messages(counts: &StateCounts) {
    for (direction, state) in MessageState::ALL.iter().map(|state| (state.direction(), state)) {
        for class in Class::ALL {
            let words = [direction.as_str(), class.as_str(), state.as_str()];
            let count = counts.messages.get(&words.map(str::to_owned)).copied().unwrap_or_default();
            let [direction, class, state] = words;
            gauge!(MESSAGES, "direction" => direction, "class" => class, "state" => state).set(float(count));
        }
    }
}

fn deliveries(counts: &StateCounts) {
    for [backend, _] in counts.deliveries.keys() {
        for state in DeliveryState::ALL {
            let key = [backend.clone(), state.as_str().to_owned()];
            let count = counts.deliveries.get(&key).copied().unwrap_or_default();
            gauge!(DELIVERIES, "backend" => backend.clone(), "state" => state.as_str()).set(float(count));
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a gauge is a float; nobody has 2^52 of anything")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_long_to_count_is_not_counted_again_at_once() {
        assert!(Figures::default().is_time());
        let counted = |took| Figures { counted: Mutex::new(Some((Instant::now(), took))) };
        assert!(counted(Duration::ZERO).is_time());
        assert!(!counted(Duration::from_secs(1)).is_time());
    }
}
