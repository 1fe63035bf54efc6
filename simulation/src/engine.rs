//! A runtime of one thread whose time stands still until it is told up to when it may go.

use std::future::Future;
use std::time::Duration;

use anyhow::Result;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep_until};

/// A moment of a run: time since its beginning.
pub type Moment = Duration;

/// The runtime, and what its time means in the run.
pub struct Engine {
    runtime: Runtime,
    zero: Zero,
}

/// How the time of a runtime's timers stands to that of the run.
#[derive(Debug, Clone, Copy)]
pub struct Zero {
    moment: Moment,
    instant: Instant,
}

impl Zero {
    /// The present moment, as whatever runs on the engine has it.
    pub fn now(&self) -> Moment {
        self.moment + self.instant.elapsed()
    }
}

impl Engine {
    /// A runtime that begins at `moment`.
    ///
    /// # Errors
    /// The system's.
    pub fn new(moment: Moment) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let instant = runtime.block_on(async { Instant::now() });
        Ok(Self { runtime, zero: Zero { moment, instant } })
    }

    /// How its time stands to that of the run.
    pub fn zero(&self) -> Zero {
        self.zero
    }

    /// Lets it go until `moment`, or until `before` is ready: then its output.
    pub fn go<T>(&self, moment: Moment, before: impl Future<Output = T>) -> Option<T> {
        let until = self.zero.instant + moment.saturating_sub(self.zero.moment);
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                early = before => Some(early),
                () = sleep_until(until) => None,
            }
        })
    }

    /// Does something that needs the runtime at hand, and takes no time.
    pub fn within<T>(&self, what: impl FnOnce() -> T) -> T {
        self.runtime.block_on(async { what() })
    }

    /// Runs something on it from now on.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }
}
