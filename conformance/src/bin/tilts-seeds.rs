//! Writes the seeds of the fuzz targets; called by `fuzz/run`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use conformance::hostile::seeds;

/// Seeds for fuzzing.
#[derive(Parser)]
struct Args {
    /// The tilts binary
    #[arg(long)]
    tilts: PathBuf,
    /// Folder that gets one folder of seeds for each target
    #[arg(long)]
    out: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    seeds::write(&args.out, &args.tilts).await
}
