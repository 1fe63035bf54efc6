//! `make bench`: rate, processor time and memory of the release build, beside the cost of the cryptography alone.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use conformance::bench::{Bound, Report, Rig, Row};
use conformance::stage::Kind;

/// The benchmark.
#[derive(Parser)]
struct Args {
    /// The tilts binary: of the release build
    #[arg(long)]
    tilts: PathBuf,
    /// Where the report is written
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// Messages of a run of small payloads; large ones are fewer
    #[arg(long, default_value_t = 3000)]
    messages: usize,
    /// Only runs whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Only runs of payloads of so many octets
    #[arg(long)]
    octets: Option<u64>,
}

/// Name, keys, RSA bits, and the runs: octets, connections, share of `--messages`.
type Plan = (&'static str, Kind, u32, &'static [(u64, usize, f64)]);

const PLANS: [Plan; 3] = [
    (
        "1.15 RSA-2048",
        Kind::Rsa,
        2048,
        &[
            (1 << 10, 8, 1.0),
            (10 << 10, 1, 0.4),
            (10 << 10, 8, 1.0),
            (10 << 10, 64, 1.0),
            (1 << 20, 8, 0.1),
            (100 << 20, 2, 0.002),
        ],
    ),
    ("1.15 RSA-3072", Kind::Rsa, 3072, &[(10 << 10, 8, 0.6)]),
    ("2.0 Ed25519/X25519", Kind::Eddsa, 2048, &[(10 << 10, 8, 1.0)]),
];

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let mut report = Report::default();
    for (name, kind, bits, runs) in PLANS.iter().filter(|plan| plan.0.contains(&args.only)) {
        let bound = Bound::measure(*kind, *bits)?;
        let mut rig = Rig::set_up(&args.tilts, *kind, *bits).await?;
        report.idle = rig.idle()?;
        for (octets, connections, share) in
            runs.iter().filter(|run| args.octets.is_none_or(|only| only == run.0))
        {
            let messages = ((args.messages as f64 * share) as usize).max(4);
            let run = rig.run(messages, *octets, *connections).await?;
            report.rows.push(Row::new(name, run, bound));
            println!("{}", report.text());
        }
    }
    report.write(&args.out)?;
    println!("written to {}", args.out.display());
    Ok(())
}
