//! Load for minutes or hours, and whether memory stays as it is.

use std::time::Duration;

use serde::Serialize;

/// Looks at memory over a whole soak.
const SAMPLES: u32 = 300;
/// Between two looks at the least.
const SHORTEST: Duration = Duration::from_millis(200);
/// The first part of the samples, in which caches and pools fill.
const WARM_UP: f64 = 0.2;
/// Fewer samples than that say nothing.
const FEWEST: usize = 10;
/// How much more the second half may need than the first.
const GROWTH: f64 = 1.05;

/// Between two looks at memory.
pub(super) fn interval(time: Duration) -> Duration {
    (time / SAMPLES).max(SHORTEST)
}

/// Resident memory at one moment.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Sample {
    /// Seconds since the load began.
    pub seconds: f64,
    /// Messages handed in so far.
    pub messages: usize,
    /// Of A, in octets.
    pub sender: u64,
    /// Of B, in octets.
    pub receiver: u64,
}

/// All samples, and what they say.
#[derive(Debug, Clone, Serialize)]
pub struct Soak {
    /// In the order of time.
    pub samples: Vec<Sample>,
    /// None when there are too few.
    pub verdict: Option<Verdict>,
}

/// Mean memory after the warm-up, in octets.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Verdict {
    /// Of A and B in the first half.
    pub first: (f64, f64),
    /// Of A and B in the second half.
    pub second: (f64, f64),
    /// Whether neither needs over 5 % more in the second half than in the first.
    pub flat: bool,
}

impl Soak {
    /// Judges samples.
    pub fn new(samples: Vec<Sample>) -> Self {
        let warm = &samples[(samples.len() as f64 * WARM_UP) as usize..];
        let verdict = (warm.len() >= FEWEST).then(|| {
            let (first, second) = warm.split_at(warm.len() / 2);
            let (first, second) = (means(first), means(second));
            Verdict { first, second, flat: second.0 <= first.0 * GROWTH && second.1 <= first.1 * GROWTH }
        });
        Self { samples, verdict }
    }

    /// One sentence.
    pub fn text(&self) -> String {
        let Some(last) = self.samples.last() else { return "Load without pause: no sample.".into() };
        let begin = format!("Load without pause, {} messages in {:.0} s:", last.messages, last.seconds);
        let Some(verdict) = self.verdict else { return format!("{begin} too short to say how memory goes.") };
        let mb = |pair: (f64, f64)| format!("{:.1}/{:.1} MB", pair.0 / 1048576.0, pair.1 / 1048576.0);
        let word = if verdict.flat { "memory is flat" } else { "MEMORY GROWS" };
        format!(
            "{begin} {word}: {} on average in the first half after the warm-up, {} in the second.",
            mb(verdict.first),
            mb(verdict.second)
        )
    }
}

fn means(samples: &[Sample]) -> (f64, f64) {
    let mean = |of: fn(&Sample) -> u64| {
        samples.iter().map(|sample| of(sample) as f64).sum::<f64>() / samples.len().max(1) as f64
    };
    (mean(|sample| sample.sender), mean(|sample| sample.receiver))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soak(sender: impl Fn(u64) -> u64) -> Soak {
        let sample = |second: u64| Sample {
            seconds: second as f64,
            messages: second as usize * 100,
            sender: sender(second),
            receiver: 40 << 20,
        };
        Soak::new((0..100).map(sample).collect())
    }

    #[test]
    fn what_grows_in_the_warm_up_only_is_flat() {
        let soak = soak(|second| (20 + second.min(20)) << 20);
        assert!(soak.verdict.unwrap().flat);
        assert!(
            soak.text().contains("9900 messages in 99 s: memory is flat: 40.0/40.0 MB"),
            "{}",
            soak.text()
        );
    }

    #[test]
    fn what_grows_all_the_time_is_not_flat() {
        let soak = soak(|second| (40 << 20) + second * (200 << 10));
        assert!(!soak.verdict.unwrap().flat);
        assert!(soak.text().contains("MEMORY GROWS"), "{}", soak.text());
    }

    #[test]
    fn few_samples_say_nothing() {
        let samples = soak(|_| 1).samples[..11].to_vec();
        let soak = Soak::new(samples);
        assert!(soak.verdict.is_none() && soak.text().contains("too short"), "{}", soak.text());
    }
}
