//! All that happens in a run, with its time. Two runs are the same when their digests are.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openssl::sha::Sha256;

/// The trace; clones are one.
#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<Log>>);

struct Log {
    hash: Sha256,
    events: u64,
    line: String,
    shown: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { hash: Sha256::new(), events: 0, line: String::new(), shown: false }
    }
}

impl Trace {
    /// A trace that is also written to standard output.
    pub fn shown() -> Self {
        let trace = Self::default();
        trace.lock().shown = true;
        trace
    }

    /// Something happened at that time after the beginning.
    pub fn event(&self, at: Duration, what: std::fmt::Arguments<'_>) {
        let mut log = self.lock();
        let log = &mut *log;
        log.line.clear();
        // Writing to a String cannot fail.
        let _ = writeln!(log.line, "{:>9.3} {what}", at.as_secs_f64());
        log.hash.update(log.line.as_bytes());
        log.events += 1;
        if log.shown {
            print!("{}", log.line);
        }
    }

    /// How many events, and the digest over all of them.
    pub fn digest(&self) -> (u64, String) {
        let log = self.lock();
        let digest = log.hash.clone().finish();
        (log.events, digest.iter().map(|octet| format!("{octet:02x}")).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
