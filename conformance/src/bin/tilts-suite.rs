//! Points the black-box suite at endpoints: `tilts-suite --tilts target/debug/tilts [--endpoint FILE.toml ...] --out DIR`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use conformance::suite::{Options, run};

/// Every AS4 assertion that can be seen from outside, against any endpoint
#[derive(Parser)]
struct Args {
    /// The tilts binary: a node under test is made with it
    #[arg(long)]
    tilts: PathBuf,
    /// The jar of conformance/peers/phase4: phase4 becomes another endpoint, for comparison; its failures are not the run's
    #[arg(long)]
    phase4: Option<PathBuf>,
    /// File that describes another endpoint; repeatable
    #[arg(long)]
    endpoint: Vec<PathBuf>,
    /// Do not test tilts itself, only the endpoints that are named
    #[arg(long)]
    without_tilts: bool,
    /// Only this group (A to F) or assertion, or those whose number begins so; repeatable
    #[arg(long)]
    only: Vec<String>,
    /// Folder for keys, logs and reports
    #[arg(long)]
    out: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let options = Options {
        tilts: args.tilts,
        ours: !args.without_tilts,
        phase4: args.phase4,
        endpoints: args.endpoint,
        only: args.only,
        out: args.out,
    };
    match run(&options).await {
        Ok(report) => {
            println!("{}", report.text());
            println!("Reports: {0}/report.html, {0}/assertions.xml", options.out.display());
            println!("{}", report.totals().join("\n"));
            if report.total().failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("The suite broke off: {error:#}");
            ExitCode::from(2)
        }
    }
}
