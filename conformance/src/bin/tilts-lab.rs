//! `make lab`: messages through the crash laboratory, with kills and network faults by a seed.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Parser;
use conformance::lab::{Lab, Plan, Stores};

/// The crash laboratory. Exit status 0 when nothing was lost or doubled and every status is true.
#[derive(Parser)]
struct Args {
    /// The tilts binary
    #[arg(long)]
    tilts: PathBuf,
    /// Messages, at least: one for each recipient. Letters have one to four recipients, by the seed
    #[arg(long, default_value_t = 10_000)]
    messages: u64,
    /// Kills, at least
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// Network faults, at least
    #[arg(long, default_value_t = 2_000)]
    faults: u64,
    /// Times that a database does not answer for some seconds
    #[arg(long, default_value_t = 40)]
    stalls: u64,
    /// Times that a node stands still for some seconds and then goes on
    #[arg(long, default_value_t = 40)]
    freezes: u64,
    /// So many nodes on each side, on a PostgreSQL server that is started for them; one on SQLite when absent
    #[arg(long)]
    postgres: Option<usize>,
    /// Their payloads lie in a bucket of an S3 server that is started for them, instead of a folder
    #[arg(long, requires = "postgres")]
    s3: bool,
    /// The nodes speak TLS, which ends in the proxies between them
    #[arg(long)]
    tls: bool,
    /// What contents, faults, victims and moments follow from; the time when absent
    #[arg(long)]
    seed: Option<u64>,
    /// Where the report is written as JSON lines; standard output when absent
    #[arg(long)]
    out: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let seed = args.seed.unwrap_or(now);
    let Args { messages, kills, faults, stalls, freezes, tls, .. } = args;
    let stores = match args.postgres {
        None => Stores::Sqlite,
        Some(nodes) if args.s3 => Stores::Bucket(nodes),
        Some(nodes) => Stores::Postgres(nodes),
    };
    let plan = Plan { messages, kills, faults, stalls, freezes, stores, tls, seed };
    println!("seed {seed}");
    let mut lab = Lab::set_up(&args.tilts, plan).await?;
    let outcome = lab.run().await;
    if !outcome.as_ref().is_ok_and(|report| report.is_good()) {
        println!("kept in {}; run again with --seed {seed}", lab.rig.keep());
    }
    let report = outcome?;
    print!("{}", report.text());
    match &args.out {
        Some(out) => std::fs::write(out, report.json_lines())
            .with_context(|| format!("cannot write {}", out.display()))?,
        None => print!("{}", report.json_lines()),
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
