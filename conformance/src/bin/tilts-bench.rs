//! `make bench`: rate, processor time and memory of the release build, beside the cost of the cryptography alone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use conformance::bench::plan::Plan;
use conformance::bench::usage::Usage;
use conformance::bench::{Bound, Content, Other, Others, PLANS, Report, Rig, Row, Shape, disk, others};

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
    /// Only runs of payloads of so many octets; may be given several times
    #[arg(long)]
    octets: Vec<u64>,
    /// Only runs of payloads of this kind
    #[arg(long)]
    content: Option<Content>,
    /// Only runs with so many messages at once; may be given several times
    #[arg(long)]
    connections: Vec<usize>,
    /// Messages that wait for years while others are measured; 0 leaves these runs out
    #[arg(long, default_value_t = 1_000_000)]
    waiting: u64,
    /// Partners besides the one that is sent to while others are measured; 0 leaves these runs out
    #[arg(long, default_value_t = 10_000)]
    partners: u64,
    /// Minutes of load in which the memory of both nodes is watched; 0 leaves this run out
    #[arg(long, value_name = "MINUTES", default_value_t = 0.0)]
    soak: f64,
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
    /// Whether a run is asked for.
    fn wants(&self, shape: &Shape) -> bool {
        self.wants_octets(shape.octets)
            && self.content.is_none_or(|only| only == shape.content)
            && (self.connections.is_empty() || self.connections.contains(&shape.connections))
    }

    fn wants_octets(&self, octets: u64) -> bool {
        self.octets.is_empty() || self.octets.contains(&octets)
    }

    /// That something is asked for: a size that no run has would else be a benchmark that says nothing.
    fn check(&self) -> Result<()> {
        ensure!(self.soak >= 0.0 && self.soak.is_finite(), "--soak wants minutes");
        let named = PLANS.iter().filter(|plan| plan.name.contains(&self.only));
        let fits = named.flat_map(|plan| plan.shapes).any(|shape| self.wants(shape));
        ensure!(fits || self.soak > 0.0, "no run fits what was asked for; there are\n{}", runs());
        Ok(())
    }

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

/// All runs, a line each, as the options name them.
fn runs() -> String {
    let line = |plan: &Plan, shape: &Shape| {
        let (octets, content, at_once) = (shape.octets, shape.content.name(), shape.connections);
        format!("  --only '{}' --octets {octets} --content {content} --connections {at_once}\n", plan.name)
    };
    PLANS.iter().flat_map(|plan| plan.shapes.iter().map(move |shape| line(plan, shape))).collect()
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    args.check()?;
    let mut report = Report::new(std::thread::available_parallelism()?.get() as f64);
    report.disk = disk::rate(&std::env::temp_dir())?;
    let mut broken = Vec::new();
    for plan in PLANS.iter().filter(|plan| plan.name.contains(&args.only)) {
        broken.extend(own(&args, plan, &mut report).await.err());
    }
    broken.extend(crowded(&args, &mut report).await.context("the crowded run").err());
    broken.extend(soaked(&args, &mut report).await.context("the soak").err());
    beside(&args, &mut report).await?;
    for error in &broken {
        report.left_out.push(("tilts".to_owned(), format!("{error:#}")));
    }
    report.own_peak = Usage::of(std::process::id())?.peak;
    report.write(&args.out)?;
    println!("{}\nwritten to {}", report.text(), args.out.display());
    ensure!(broken.is_empty(), "{} of tilts' own runs broke off", broken.len());
    Ok(())
}

/// The runs of a profile. After one that breaks off, for want of a disk perhaps, nothing is known of the nodes: the others of the
/// profile are left out with it.
async fn own(args: &Args, plan: &Plan, report: &mut Report) -> Result<()> {
    let shapes: Vec<_> = plan.shapes.iter().filter(|shape| args.wants(shape)).collect();
    if shapes.is_empty() {
        return Ok(());
    }
    let bound = Bound::measure(plan.kind, plan.bits)?;
    let mut rig = Rig::set_up(&args.tilts, plan.kind, plan.bits).await?;
    report.idle = rig.idle()?;
    for shape in shapes {
        let run = rig.run_shape(shape, args.messages).await;
        let run = run.with_context(|| format!("{} from {} octets on", plan.name, shape.octets))?;
        report.rows.push(Row::new(plan.name, run, bound, report.cores));
        println!("{}", report.text());
    }
    Ok(())
}

/// The same as one of the runs before, with a store full of messages that wait, with thousands of partners, and with both.
async fn crowded(args: &Args, report: &mut Report) -> Result<()> {
    let name = PLANS[0].name;
    if !name.contains(&args.only) || !args.wants_octets(others::OCTETS) {
        return Ok(());
    }
    let (waiting, partners) = (args.waiting, args.partners);
    let crowds = [(waiting, 0, "W"), (0, partners, "P"), (waiting, partners, "WP")];
    let asked = |(waiting, partners, mark): &(u64, u64, &str)| {
        mark.len() == usize::from(*waiting > 0) + usize::from(*partners > 0)
    };
    for (waiting, partners, mark) in crowds.into_iter().filter(asked) {
        among(args, report, (waiting, partners), &format!("{name} {mark}")).await.context(mark)?;
        report.crowd = Some((args.waiting, args.partners));
    }
    Ok(())
}

async fn among(args: &Args, report: &mut Report, (waiting, partners): (u64, u64), name: &str) -> Result<()> {
    let plan = &PLANS[0];
    let payload = (Content::Noise, others::OCTETS);
    let bound = Bound::measure(plan.kind, plan.bits)?;
    let mut rig = Rig::among(&args.tilts, plan.kind, plan.bits, partners).await?;
    if waiting > 0 {
        rig.run(8, payload, 8).await?;
        rig.let_wait(waiting).await?;
    }
    let run = rig.run(args.messages, payload, 8).await?;
    report.rows.push(Row::new(name, run, bound, report.cores));
    println!("{}", report.text());
    Ok(())
}

/// Load for so many minutes; what matters is how memory goes.
async fn soaked(args: &Args, report: &mut Report) -> Result<()> {
    if args.soak > 0.0 {
        let plan = &PLANS[0];
        let mut rig = Rig::set_up(&args.tilts, plan.kind, plan.bits).await?;
        let time = Duration::from_secs_f64(args.soak * 60.0);
        report.soak = Some(rig.soak(time, args.messages, others::OCTETS, 8).await?);
    }
    Ok(())
}

/// Other people's software, under the first profile. What cannot be had or breaks off is left out, with the reason.
async fn beside(args: &Args, report: &mut Report) -> Result<()> {
    if !PLANS[0].name.contains(&args.only) || !args.wants_octets(others::OCTETS) {
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
    Ok(())
}

fn enter(report: &mut Report, name: &str, outcome: Result<Vec<Other>, String>) {
    match outcome {
        Ok(runs) => runs.into_iter().for_each(|run| report.compare(PLANS[0].name, run)),
        Err(why) => report.left_out.push((name.to_owned(), why)),
    }
}
