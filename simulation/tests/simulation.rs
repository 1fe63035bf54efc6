//! Two nodes in one process, by a seed: hundreds of runs, nothing lost, doubled or untrue in any; and each the same when run again.

use anyhow::{Result, ensure};
use conformance::random::setting;
use simulation::crowd::run_all;
use simulation::plan::Plan;
use simulation::report::{Report, Sum, catch_panics};
use simulation::run::run;
use simulation::trace::Trace;
use simulation::world::World;

#[test]
fn hundreds_of_seeds_lose_double_and_pretend_nothing() -> Result<()> {
    let (first, seeds) = (setting("TILTS_SEED", 1), setting("TILTS_SEEDS", 200));
    let reports = run_all(first..first + seeds, None, &|_| {})?;
    let mut sum = Sum::default();
    reports.iter().for_each(|report| sum.add(report));
    let counts = &sum.counts;
    println!("{sum:#?}");
    let bad: Vec<&Report> = reports.iter().filter(|report| !report.is_good()).collect();
    ensure!(bad.is_empty(), "run tilts-sim --seed N --trace for each seed N of {bad:#?}");
    // A run in which nothing goes wrong proves nothing.
    ensure!(
        counts.messages > counts.letters,
        "letters to several: {} to {}",
        counts.letters,
        counts.messages
    );
    ensure!(counts.faults.len() == 10, "every kind of fault: {:?}", counts.faults);
    ensure!(counts.deaths.values().sum::<u64>() > seeds, "deaths: {:?}", counts.deaths);
    ensure!(
        counts.outboxes > seeds / 8 && counts.inboxes > seeds / 8,
        "{} outboxes, {} inboxes",
        counts.outboxes,
        counts.inboxes
    );
    ensure!(counts.acts.contains_key("retry"), "nobody was urged: {:?}", counts.acts);
    ensure!(
        counts.troubles > seeds / 2 && counts.jumps > seeds / 2,
        "{} troubles, {} jumps",
        counts.troubles,
        counts.jumps
    );
    Ok(())
}

#[test]
fn a_seed_gives_the_same_run_again_event_for_event() -> Result<()> {
    catch_panics();
    let first = setting("TILTS_SEED", 1);
    for seed in first..first + 12 {
        let [one, again] = [(); 2].map(|()| run(&World::new()?, &Plan::new(seed), Trace::default()));
        let (one, again) = (one?, again?);
        ensure!(
            one.digest == again.digest,
            "seed {seed}: {} events, then {}",
            one.counts.events,
            again.counts.events
        );
        ensure!(one.counts.events > 100, "seed {seed}: {} events", one.counts.events);
    }
    Ok(())
}
