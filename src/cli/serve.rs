//! `tilts serve` and `tilts check-config`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::app;
use crate::clock::Clock;
use crate::config::Settings;
use crate::config::file::LogFormat;
use crate::crash;

/// What is left on threads at the end has so long to end.
const LEFT: Duration = Duration::from_secs(2);

/// Arguments of `tilts serve` and `tilts check-config`.
#[derive(clap::Args)]
pub struct Args {
    /// The configuration, TOML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Runs the access point until SIGTERM or SIGINT.
pub fn run(args: Args) -> ExitCode {
    if let Err(problem) = crash::arm() {
        return super::wrong_call(problem);
    }
    let clock = Clock::system();
    let settings = match app::check(&args.config, &clock) {
        Ok(settings) => settings,
        Err(problems) => return wrong(&args, &problems),
    };
    log(&settings);
    keep_memory();
    let outcome = runtime().and_then(|runtime| {
        let served = runtime.block_on(app::serve(settings, clock, told_to_stop()));
        // A thread that waits for a disk or a bucket is not waited for: the store is closed.
        runtime.shutdown_timeout(LEFT);
        served
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            super::complain(format_args!("tilts: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The C library gives memory back to the system as soon as 128 KB lie free at the end of a heap, and asks for it again with the next
/// message: a tenth of what a small one costs. A block that is freed raises that to twice its size (mallopt(3), M_MMAP_THRESHOLD).
fn keep_memory() {
    const BLOCK: usize = 4 << 20;
    drop(std::hint::black_box(vec![0_u8; BLOCK]));
}

/// Reads everything but opens neither store nor listeners.
pub fn check(args: Args) -> ExitCode {
    match app::check(&args.config, &Clock::system()) {
        Ok(settings) => {
            let file = &settings.file;
            let (domains, partners) = (file.domains.len(), file.partners.len());
            super::say(format_args!(
                "{}: good; party {:?}, {domains} domains, {partners} partners, {} backends",
                args.config.display(),
                settings.own.value,
                file.backends.len()
            ));
            ExitCode::SUCCESS
        }
        Err(problems) => wrong(&args, &problems),
    }
}

fn wrong(args: &Args, problems: &crate::config::Problems) -> ExitCode {
    super::complain(format_args!("tilts: {} cannot be used:", args.config.display()));
    for problem in &problems.0 {
        super::complain(format_args!("  {problem}"));
    }
    ExitCode::FAILURE
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

async fn told_to_stop() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

fn log(settings: &Settings) {
    let level = &settings.file.log.level;
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    // Where standard error takes nothing, that could be said only there, and to say it would panic.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .log_internal_errors(false);
    match settings.file.log.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}
