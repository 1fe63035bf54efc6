//! `make bench`: rate, processor time and memory of the release build, beside the cost of the cryptography alone.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;
use conformance::bench::{Bound, Other, Others, Report, Rig, Row, others};
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
    /// Messages that wait for years while others are measured; 0 leaves this run out
    #[arg(long, default_value_t = 1_000_000)]
    waiting: u64,
    /// Partners besides the one that is sent to, in the same run
    #[arg(long, default_value_t = 10_000)]
    partners: u64,
    /// Minutes of load in which the memory of both nodes is watched; 0 leaves this run out
    #[arg(long, default_value_t = 0)]
    soak: u64,
    /// The jar of conformance/peers/phase4, to be measured beside tilts
    #[arg(long)]
    phase4: Option<PathBuf>,
    /// Messages that phase4 sends before it is measured: it needs some nine thousand until its runtime has compiled what matters
    #[arg(long, default_value_t = 10_000)]
    warm: usize,
    /// The release build of conformance/peers/asx, to be measured beside tilts
    #[arg(long)]
    asx: Option<PathBuf>,
    /// Where docker/peers.sh has put why a peer cannot be had
    #[arg(long)]
    peers: Option<PathBuf>,
}

impl Args {
    /// The file of a peer; why it is not there, where it is not.
    fn need<'f>(&self, peer: &str, file: Option<&'f Path>) -> Result<&'f Path, String> {
        let missing = self.peers.as_ref().map(|peers| peers.join(peer).with_extension("missing"));
        match (missing.and_then(|missing| std::fs::read_to_string(missing).ok()), file) {
            (Some(why), _) => Err(why.trim().to_owned()),
            (None, Some(file)) if file.is_file() => Ok(file),
            (None, Some(file)) => Err(format!("there is no {}", file.display())),
            (None, None) => Err("not asked for".into()),
        }
    }
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
            (10 << 10, 2, 0.4),
            (10 << 10, 8, 1.0),
            (10 << 10, 32, 1.0),
            (10 << 10, 64, 1.0),
            (1 << 20, 8, 0.1),
            (100 << 20, 2, 0.004),
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
    crowded(&args, &mut report).await?;
    soaked(&args, &mut report).await?;
    beside(&args, &mut report).await?;
    report.write(&args.out)?;
    println!("written to {}", args.out.display());
    Ok(())
}

/// The same as one of the runs before, with a store full of messages that wait and with thousands of partners.
async fn crowded(args: &Args, report: &mut Report) -> Result<()> {
    let (name, kind, bits, _) = PLANS[0];
    let name = format!("{name} *");
    if args.waiting == 0
        || !name.contains(&args.only)
        || args.octets.is_some_and(|only| only != others::OCTETS)
    {
        return Ok(());
    }
    let bound = Bound::measure(kind, bits)?;
    let mut rig = Rig::among(&args.tilts, kind, bits, args.partners).await?;
    rig.run(8, others::OCTETS, 8).await?;
    rig.let_wait(args.waiting).await?;
    let run = rig.run(args.messages, others::OCTETS, 8).await?;
    report.rows.push(Row::new(&name, run, bound));
    report.crowd = Some((args.waiting, args.partners));
    println!("{}", report.text());
    Ok(())
}

/// Load for so many minutes; what matters is how memory goes.
async fn soaked(args: &Args, report: &mut Report) -> Result<()> {
    if args.soak == 0 {
        return Ok(());
    }
    let (name, kind, bits, _) = PLANS[0];
    let mut rig = Rig::set_up(&args.tilts, kind, bits).await?;
    let until = Instant::now() + Duration::from_secs(args.soak * 60);
    while Instant::now() < until {
        let memory = rig.flow(args.messages, others::OCTETS, 8).await?;
        println!("{name}: {} messages so far, {memory}", rig.submitted());
        report.soak.push(memory);
    }
    Ok(())
}

/// Other people's software, under the first profile. What cannot be had or breaks off is left out, with the reason.
async fn beside(args: &Args, report: &mut Report) -> Result<()> {
    let profile = PLANS[0].0;
    if !profile.contains(&args.only) || args.octets.is_some_and(|only| only != others::OCTETS) {
        return Ok(());
    }
    let others = Others::set_up(&args.tilts)?;
    let asx = match args.need("asx-release", args.asx.as_deref()) {
        Ok(binary) => others.asx(binary, args.messages).await.map_err(|error| format!("{error:#}")),
        Err(why) => Err(why),
    };
    enter(report, "asx-rs", asx);
    let phase4 = match args.need("phase4", args.phase4.as_deref()) {
        Ok(jar) => others.phase4(jar, args.messages, args.warm).await.map_err(|error| format!("{error:#}")),
        Err(why) => Err(why),
    };
    enter(report, "phase4", phase4);
    println!("{}", report.text());
    Ok(())
}

fn enter(report: &mut Report, name: &str, outcome: Result<Vec<Other>, String>) {
    match outcome {
        Ok(runs) => runs.into_iter().for_each(|run| report.compare(PLANS[0].0, run)),
        Err(why) => report.left_out.push((name.to_owned(), why)),
    }
}
