//! What runs did and what was found, as JSON lines and for people.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Once;

/// The report of one run.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Report {
    /// What it followed from.
    pub seed: u64,
    /// Whether the nodes tried for days.
    pub patient: bool,
    /// What happened.
    #[serde(flatten)]
    pub counts: Counts,
    /// The digest of its events.
    pub digest: String,
    /// What is not as it must be. Empty when all is well.
    pub findings: Vec<String>,
}

impl Report {
    /// Whether nothing was found.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }
}

/// What happened in one run, or in several.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Counts {
    /// Letters handed in.
    pub letters: u64,
    /// Messages for them: one for each recipient.
    pub messages: u64,
    /// Exchanges between the nodes.
    pub exchanges: u64,
    /// Faults of exchanges, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Deaths of nodes, by side and place.
    pub deaths: BTreeMap<String, u64>,
    /// Times in which a disk was not as it should be.
    pub troubles: u64,
    /// Jumps of clocks.
    pub jumps: u64,
    /// What the operator did, by deed, where it was done.
    pub acts: BTreeMap<String, u64>,
    /// Runs in which letters are handed in through a folder.
    pub outboxes: u64,
    /// Runs in which they are left in one.
    pub inboxes: u64,
    /// Seconds of simulated time.
    pub seconds: f64,
    /// Events of the trace.
    pub events: u64,
}

impl Counts {
    fn add(&mut self, one: &Self) {
        self.letters += one.letters;
        self.messages += one.messages;
        self.exchanges += one.exchanges;
        self.troubles += one.troubles;
        self.jumps += one.jumps;
        self.outboxes += one.outboxes;
        self.inboxes += one.inboxes;
        self.seconds += one.seconds;
        self.events += one.events;
        let Self { faults, deaths, acts, .. } = self;
        for (sum, one) in [(faults, &one.faults), (deaths, &one.deaths), (acts, &one.acts)] {
            for (kind, count) in one {
                *sum.entry(kind.clone()).or_default() += count;
            }
        }
    }
}

/// All runs together.
#[derive(Debug, Default, serde::Serialize)]
pub struct Sum {
    /// Runs.
    pub runs: u64,
    /// What happened in all.
    #[serde(flatten)]
    pub counts: Counts,
    /// Seeds of the runs in which something was found.
    pub failed: Vec<u64>,
}

impl Sum {
    /// Adds a run.
    pub fn add(&mut self, report: &Report) {
        self.runs += 1;
        self.counts.add(&report.counts);
        if !report.is_good() {
            self.failed.push(report.seed);
        }
    }
}

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// From now on panics of this process are findings of the run whose thread they come on. Dying nodes unwind without one.
pub fn catch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.with_borrow_mut(|panics| panics.push(format!("PANIC: {panic}")));
            usual(panic);
        }));
    });
}

/// The panics on this thread since it was last asked.
pub(crate) fn panics() -> Vec<String> {
    PANICS.take()
}
