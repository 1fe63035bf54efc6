//! `make conformance`: real peers against the tilts binary, in both directions. Exit status 0 only if nothing failed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use conformance::peers::{
    asx::Asx, edelivery2, inbound, outbound, peppol, registry, report::Report, setting::Setting,
};
use conformance::world::World;

/// Real peers.
#[derive(Parser)]
struct Args {
    /// The tilts binary
    #[arg(long)]
    tilts: PathBuf,
    /// Where docker/peers.sh has put what it made, and why it could not
    #[arg(long)]
    peers: PathBuf,
    /// Our programs around the peers: conformance/peers
    #[arg(long)]
    programs: PathBuf,
    /// Only these runs, by name; all when absent; repeatable
    #[arg(long)]
    only: Vec<Run>,
    /// Where everything is put; a temporary folder when absent. It is emptied first
    #[arg(long)]
    root: Option<PathBuf>,
}

/// What can be run by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Run {
    /// eDelivery AS4 1.15 and 2.0 with phase4
    Phase4,
    /// eDelivery AS4 1.15 with asx-rs
    Asx,
    /// Peppol AS4 with phase4 and as4
    Peppol,
    /// Lookups in phoss SMP, Knot and unbound
    Registry,
}

impl Args {
    fn wants(&self, run: Run) -> bool {
        self.only.is_empty() || self.only.contains(&run)
    }

    /// A file that a peer cannot do without; why it is not there, where it is not.
    fn need(&self, peer: &str, file: &Path) -> Result<PathBuf, String> {
        let missing = std::fs::read_to_string(self.peers.join(peer).with_extension("missing"));
        match (missing, std::path::absolute(file)) {
            (Ok(why), _) => Err(why.trim().to_owned()),
            (Err(_), Ok(file)) if file.is_file() => Ok(file),
            _ => Err(format!("there is no {}", file.display())),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the run broke off: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<bool> {
    let temporary = tempfile::tempdir()?;
    let root = args.root.clone().unwrap_or_else(|| temporary.path().join("conformance"));
    let world = World::new(&root, &args.tilts)?;
    let mut report = Report::default();
    for run in Run::value_variants() {
        if !args.wants(*run) {
            continue;
        }
        let outcome = match run {
            Run::Phase4 => phase4(args, &world, &mut report).await,
            Run::Asx => asx(args, &world, &mut report).await,
            Run::Peppol => in_peppol(args, &world, &mut report).await,
            Run::Registry => in_registry(args, &world, &mut report).await,
        };
        // What breaks off is a failure; the others run all the same.
        if let Err(error) = outcome {
            report.add(&format!("{run:?}"), "the run itself", Err(error));
        }
    }
    Ok(report.finish())
}

/// eDelivery AS4 1.15 and 2.0 with phase4.
async fn phase4(args: &Args, world: &World, report: &mut Report) -> Result<()> {
    let jar = match args.need("phase4", &args.programs.join("phase4/target/phase4-peer.jar")) {
        Ok(jar) => jar,
        Err(why) => {
            report.leave_out("phase4", "all cases", &why);
            return Ok(());
        }
    };
    let mut setting = Setting::start(world, &jar).await?;
    println!("phase4 on Java {} ({})\n", setting.java.major, setting.java.binary.display());
    inbound::run(&mut setting, report).await?;
    outbound::run(&mut setting, report).await?;
    edelivery2::run(&setting, report).await?;
    setting.stop().await
}

/// eDelivery AS4 1.15 with asx-rs.
async fn asx(args: &Args, world: &World, report: &mut Report) -> Result<()> {
    match args.need("asx", &args.peers.join("debug/asx-peer")) {
        Ok(binary) => Asx::start(world, &binary).await?.run(&world.root, report).await?,
        Err(why) => report.leave_out("asx-rs", "all cases", &why),
    }
    Ok(())
}

/// Peppol AS4 with every stack that knows it.
async fn in_peppol(args: &Args, world: &World, report: &mut Report) -> Result<()> {
    let mut peers = Vec::new();
    match args.need("as4", &args.peers.join("as4/bin/python")) {
        Ok(python) => {
            let program = args.programs.join("as4/peer.py");
            peers.push(peppol::as4::start(world, &python, &program).await.context("as4")?);
        }
        Err(why) => report.leave_out("as4", "all cases", &why),
    }
    if let Ok(jar) = args.need("phase4", &args.programs.join("phase4/target/phase4-peer.jar")) {
        peers.push(peppol::phase4::start(world, &jar, &peppol::nodes()).await.context("phase4")?);
    }
    peppol::run(world, &mut peers, report).await
}

/// SML and SMP of other people.
async fn in_registry(args: &Args, world: &World, report: &mut Report) -> Result<()> {
    let jar = args.programs.join("phoss/target/phoss-peer.jar");
    // PostgreSQL, Knot and unbound are found where Debian puts them: only their reason counts.
    match args.need("registry", &jar).and_then(|_| args.need("phoss", &jar)) {
        Ok(jar) => registry::run(world, &jar, report).await,
        Err(why) => {
            report.leave_out("phoss, Knot, unbound", "all cases", &why);
            Ok(())
        }
    }
}
