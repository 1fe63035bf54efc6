//! Time as an argument: whoever needs the time is handed a [`Clock`], so that tests own it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{RoundMode, TimestampRound, Unit};
pub use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Tells the time. Cheap to clone; the same clock is shared by all rooms of a process.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Manual(Arc<Mutex<Timestamp>>),
    Running(Arc<Mutex<(Timestamp, Instant)>>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`Clock::set`] or [`Clock::advance`] moves it.
    pub fn manual(at: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(Mutex::new(at))))
    }

    /// A clock that is set to `at` now and goes with the time of the runtime's timers, until it is set anew.
    pub fn running(at: Timestamp) -> Self {
        Self(Source::Running(Arc::new(Mutex::new((at, Instant::now())))))
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            #[allow(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
            Source::System => Timestamp::now(),
            Source::Manual(at) => *lock(at),
            Source::Running(set) => {
                let (at, since) = *lock(set);
                let passed = SignedDuration::try_from(since.elapsed()).unwrap_or(SignedDuration::MAX);
                at.checked_add(passed).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// How long until `at`, between `shortest` and `longest`: what is over already is waited for shortly, and nothing at all as long
    /// as may be.
    pub fn until(&self, at: Option<Timestamp>, shortest: Duration, longest: Duration) -> Duration {
        let wait = at.map(|at| Duration::try_from(at.duration_since(self.now())).unwrap_or(shortest));
        wait.map_or(longest, |wait| wait.clamp(shortest, longest))
    }

    /// Moves a clock of ours to `at`; the machine's clock cannot be moved and is left alone.
    pub fn set(&self, at: Timestamp) {
        match &self.0 {
            Source::System => {}
            Source::Manual(cell) => *lock(cell) = at,
            Source::Running(set) => *lock(set) = (at, Instant::now()),
        }
    }

    /// Moves a clock of ours forward by `by`, saturating at the end of time.
    pub fn advance(&self, by: SignedDuration) {
        let later = self.now().checked_add(by).unwrap_or(Timestamp::MAX);
        self.set(later);
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Source::System => "Clock(system)",
            Source::Manual(_) => "Clock(manual)",
            Source::Running(_) => "Clock(running)",
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `at` as the specifications write it on the wire: UTC, milliseconds and `Z` (as4-wire 1.3).
pub fn wire_time(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Reads what [`wire_time`] writes, and the finer fractions of others to the millisecond: what is read can be written
/// again as the same. `None` when `text` is no date and time with a zone.
pub fn read_wire_time(text: &str) -> Option<Timestamp> {
    let at: Timestamp = text.parse().ok()?;
    Some(at.round(TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Floor)).unwrap_or(at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual("2026-11-22T12:00:00Z".parse().unwrap());
        assert_eq!(clock.now(), clock.now());
        clock.advance(SignedDuration::from_secs(90));
        assert_eq!(wire_time(clock.now()), "2026-11-22T12:01:30.000Z");
    }

    #[tokio::test]
    async fn a_running_clock_goes_by_itself_and_can_be_set() {
        let start: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let clock = Clock::running(start);
        tokio::time::sleep(Duration::from_millis(5)).await;
        let later = clock.now();
        assert!(later >= start + SignedDuration::from_millis(5), "{later}");
        clock.advance(-SignedDuration::from_hours(1));
        assert!(clock.now() < start);
    }

    #[test]
    fn a_moment_is_waited_for_neither_too_shortly_nor_too_long() {
        let clock = Clock::manual("2026-11-22T12:00:00Z".parse().unwrap());
        let [second, minute] = [1, 60].map(Duration::from_secs);
        let until = |seconds| {
            let at = clock.now() + SignedDuration::from_secs(seconds);
            clock.until(Some(at), second, minute)
        };
        assert_eq!(
            [until(-5), until(0), until(7), until(70)],
            [second, second, Duration::from_secs(7), minute]
        );
        assert_eq!(clock.until(None, second, minute), minute);
    }

    proptest! {
        /// Found by the fuzzer: a tenth of a millisecond was read, and lost when written.
        #[test]
        fn what_is_read_is_written_and_read_again_as_the_same(seconds in -62_000_000_000i64..200_000_000_000, nanos in 0i32..1_000_000_000) {
            let at = Timestamp::new(seconds, nanos).unwrap();
            let read = read_wire_time(&at.to_string()).unwrap();
            prop_assert_eq!(read_wire_time(&wire_time(read)), Some(read));
            prop_assert!(read <= at && at.duration_since(read) < SignedDuration::from_millis(1));
        }
    }
}
