//! `make sim`: thousands of runs of two nodes in one process, each by its seed.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use simulation::crowd::run_all;
use simulation::plan::Plan;
use simulation::report::{Report, Sum, catch_panics};
use simulation::run::run;
use simulation::trace::Trace;
use simulation::world::World;

/// Deterministic simulation. Exit status 0 when nothing was found in any run.
#[derive(Parser)]
struct Args {
    /// Runs
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The seed of the first; the others follow it
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// One run alone
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
    /// Prints its plan and everything that happens in it
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Threads; as many as there are processors when absent
    #[arg(long)]
    threads: Option<usize>,
    /// Where a report of each run is written as JSON lines; nowhere when absent
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let reports = match args.seed {
        Some(seed) => vec![one(seed, args.trace)?],
        None => all(&args)?,
    };
    if let Some(out) = &args.out {
        write(out, &reports).with_context(|| format!("cannot write {}", out.display()))?;
    }
    let good = reports.iter().all(Report::is_good);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn one(seed: u64, traced: bool) -> Result<Report> {
    catch_panics();
    let plan = Plan::new(seed);
    let trace = if traced { Trace::shown() } else { Trace::default() };
    if traced {
        println!("{plan:#?}");
    }
    let report = run(&World::new()?, &plan, trace)?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(report)
}

fn all(args: &Args) -> Result<Vec<Report>> {
    let begun = Instant::now();
    let seeds = args.first..args.first.saturating_add(args.seeds);
    let reports = run_all(seeds, args.threads, &|report| {
        for finding in &report.findings {
            println!("FOUND with --seed {}: {finding}", report.seed);
        }
    })?;
    let mut sum = Sum::default();
    reports.iter().for_each(|report| sum.add(report));
    println!("{}", serde_json::to_string_pretty(&sum)?);
    let seconds = begun.elapsed().as_secs_f64();
    println!("{} runs in {seconds:.1} s: {:.0} a minute", sum.runs, sum.runs as f64 * 60.0 / seconds);
    Ok(reports)
}

fn write(out: &std::path::Path, reports: &[Report]) -> Result<()> {
    let mut file = std::fs::File::create(out)?;
    for report in reports {
        writeln!(file, "{}", serde_json::to_string(report)?)?;
    }
    Ok(())
}
