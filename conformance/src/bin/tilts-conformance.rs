//! `make conformance`: real AS4 peers against the tilts binary, in both directions. Exit status 0 only if nothing failed.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use conformance::peers::{asx::Asx, edelivery2, inbound, outbound, report::Report, setting::Setting};

/// Real peers.
#[derive(Parser)]
struct Args {
    /// The tilts binary
    #[arg(long)]
    tilts: PathBuf,
    /// phase4-peer.jar, made by Maven
    #[arg(long)]
    phase4: PathBuf,
    /// asx-peer, our program around asx-rs
    #[arg(long)]
    asx: Option<PathBuf>,
    /// Where everything is put; a temporary folder when absent. It is emptied first
    #[arg(long)]
    root: Option<PathBuf>,
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
    let mut report = Report::default();
    let jar = args.phase4.canonicalize().with_context(|| format!("no {}", args.phase4.display()))?;
    let mut setting = Setting::start(&root, &args.tilts, &jar).await?;
    println!("phase4 on Java {} ({})\n", setting.java.major, setting.java.binary.display());
    inbound::run(&mut setting, &mut report).await?;
    outbound::run(&mut setting, &mut report).await?;
    edelivery2::run(&setting, &mut report).await?;
    match &args.asx {
        Some(binary) => {
            let binary = binary.canonicalize().with_context(|| format!("no {}", binary.display()))?;
            Asx::start(&setting.world, &binary).await?.run(&setting.world.root, &mut report).await?;
        }
        None => report.leave_out("asx-rs", "all cases", "--asx was not given"),
    }
    setting.stop().await?;
    Ok(report.finish())
}
