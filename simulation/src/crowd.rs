//! Many runs, on several threads. A run never leaves its thread.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::plan::Plan;
use crate::report::{Report, catch_panics};
use crate::run::run;
use crate::trace::Trace;
use crate::world::World;

/// Runs every seed; the reports in order of the seeds. `told` hears of each as it ends.
///
/// # Errors
/// The system's.
pub fn run_all(
    seeds: Range<u64>,
    threads: Option<usize>,
    told: &(dyn Fn(&Report) + Sync),
) -> Result<Vec<Report>> {
    catch_panics();
    let world = World::new()?;
    let threads = match threads {
        Some(threads) => threads.max(1),
        None => std::thread::available_parallelism().context("how many processors there are")?.get(),
    };
    let (next, reports) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let work = || -> Result<()> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return Ok(());
            }
            let report = run(&world, &Plan::new(seed), Trace::default())?;
            told(&report);
            reports.lock().unwrap_or_else(PoisonError::into_inner).push(report);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(done) => done,
            Err(_) => bail!("a run panicked"),
        })
    })?;
    let mut reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
    reports.sort_by_key(|report| report.seed);
    Ok(reports)
}
