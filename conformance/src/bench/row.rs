//! A run beside its bound.

use serde::Serialize;

use super::bound::Costs;
use super::stages::Spent;
use super::{Bound, Run};

/// One line of the tables.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Profile and keys.
    pub profile: String,
    /// What was measured.
    pub run: Run,
    /// Messages a second, once they are handed in.
    pub rate: f64,
    /// Messages a second, from the first octet that is handed in.
    pub whole_rate: f64,
    /// Processor milliseconds of both nodes for one message, once it is handed in.
    pub cpu_ms: f64,
    /// What single operations cost.
    pub bound: Bound,
    /// What a message costs at the least, in processor milliseconds by stage.
    pub costs: Costs,
    /// The sum of that.
    pub bound_ms: f64,
    /// Where the processor time of the nodes went.
    pub spent: Spent,
    /// Processor time of sending in times of what it needs at the least.
    pub times_bound: f64,
    /// Rate in parts of what the cores could do if there were only what sending needs at the least.
    pub of_bound: f64,
    /// The same from the first octet that is handed in, with what handing in needs at the least.
    pub whole_of_bound: f64,
}

impl Row {
    /// Compares a run with its bound on so many cores.
    pub fn new(profile: &str, run: Run, bound: Bound, cores: f64) -> Self {
        let costs = bound.exchange(run.content, run.octets);
        let spent = Spent::new(&run, &costs);
        Self {
            profile: profile.to_owned(),
            rate: run.rate(),
            whole_rate: run.whole_rate(),
            cpu_ms: run.cpu_ms(),
            bound,
            costs,
            bound_ms: costs.sum(),
            spent,
            times_bound: run.cpu_ms() / costs.sending(),
            of_bound: run.rate() / (cores * 1e3 / costs.sending()),
            whole_of_bound: run.whole_rate() / (cores * 1e3 / costs.sum()),
            run,
        }
    }

    /// Rate of sending that the bound allows on so many cores.
    pub fn bound_rate(&self, cores: f64) -> f64 {
        cores * 1e3 / self.costs.sending()
    }

    /// Profile, size, content and connections.
    pub fn label(&self) -> String {
        let run = &self.run;
        let content = run.content.name();
        format!("{}, {} of {content}, {} at once", self.profile, size(run.octets), run.connections)
    }
}

/// Octets in the unit that fits.
pub fn size(octets: u64) -> String {
    [(30, "GB"), (20, "MB"), (10, "KB")]
        .into_iter()
        .find(|(shift, _)| octets >= 1 << shift)
        .map_or_else(|| format!("{octets} B"), |(shift, unit)| format!("{} {unit}", octets >> shift))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::bound::tests::BOUND;
    use super::super::run::Threads;
    use super::super::threads::Thread;
    use super::*;
    use crate::bench::Content;

    pub(in crate::bench) fn run(connections: usize) -> Run {
        let thread = |name: &str, user, system| Thread { name: name.to_owned(), user, system };
        Run {
            messages: 100,
            content: Content::Noise,
            octets: 10 << 10,
            connections,
            handing_in_seconds: 5.0,
            seconds: 5.0,
            sender: 0.5,
            receiver: 0.5,
            submission: 0.125,
            threads: Threads {
                handing_in: vec![thread("tokio-rt-worker", 0.125, 0.0)],
                sender: vec![thread("store", 0.125, 0.25), thread("tokio-rt-worker", 0.125, 0.0)],
                receiver: vec![thread("store-reader", 0.25, 0.25)],
            },
            median_ms: 1.0,
            p99_ms: 2.0,
            sender_peak: 60 << 20,
            receiver_peak: 40 << 20,
            start_ms: 50.0,
        }
    }

    pub(in crate::bench) fn row(connections: usize) -> Row {
        Row::new("a profile", run(connections), BOUND, 2.0)
    }

    #[test]
    fn a_run_is_measured_by_what_the_bound_allows() {
        let mut bound = BOUND;
        (bound.hash, bound.cipher, bound.tls) = (0.0, 0.0, 0.0);
        // Six operations of a second each: two cores do a third of a message a second.
        let row = Row::new("a profile", run(8), bound, 2.0);
        let close = |left: f64, right: f64| assert!((left - right).abs() < 1e-9, "{left} {right}");
        close(row.of_bound, 20.0 * 3.0);
        close(row.whole_of_bound, 10.0 * 3.0);
        close(row.times_bound, 10.0 / 6000.0);
        close(row.bound_rate(2.0), 1.0 / 3.0);
    }

    #[test]
    fn sizes_are_read_easily() {
        assert_eq!(
            [size(100), size(10 << 10), size(100 << 20), size(2 << 30)],
            ["100 B", "10 KB", "100 MB", "2 GB"]
        );
    }
}
