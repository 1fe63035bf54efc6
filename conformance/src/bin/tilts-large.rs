//! `make test-large`: payloads of gigabytes and a message to fifty recipients between two processes, in bounded memory.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;
use conformance::large::{Content, Large, MOST_MEMORY};

/// Large transfers.
#[derive(Parser)]
struct Args {
    /// The tilts binary
    #[arg(long)]
    tilts: PathBuf,
    /// Where everything is put meanwhile; a temporary folder when absent. About 20 GB are needed
    #[arg(long)]
    root: Option<PathBuf>,
    /// MiB of the large payloads
    #[arg(long, default_value_t = 2048)]
    large: u64,
    /// MiB of the payload for many recipients
    #[arg(long, default_value_t = 100)]
    shared: u64,
    /// How many recipients
    #[arg(long, default_value_t = 50)]
    recipients: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let folder = match &args.root {
        Some(root) => {
            std::fs::create_dir_all(root)?;
            tempfile::tempdir_in(root)?
        }
        None => tempfile::tempdir()?,
    };
    for (content, octets, recipients) in [
        (Content::Noise, args.large << 20, 1),
        (Content::Zeros, args.large << 20, 1),
        (Content::Noise, args.shared << 20, args.recipients),
    ] {
        // A world of its own for each: the peak memory is that of this transfer alone.
        let mut large = Large::set_up(&folder.path().join("world"), &args.tilts, recipients).await?;
        println!("{content:?}, {} MiB to {recipients} recipient(s):", octets >> 20);
        let figures = large.transfer(content, octets, recipients).await?;
        let stored = large.stored()?;
        let (latvia, a) = large.memory()?;
        println!("  submitted in      {:.1} s", figures.submitted.as_secs_f32());
        println!("  carried across in {:.1} s", figures.carried.as_secs_f32());
        println!("  kept by Latvia    {:.1} MB", stored as f64 / 1e6);
        println!(
            "  peak memory       {} MB at Latvia, {} MB at A (at most {} MB)",
            latvia >> 20,
            a >> 20,
            MOST_MEMORY >> 20
        );
        ensure!(stored <= octets, "the payload is kept more than once");
    }
    Ok(())
}
