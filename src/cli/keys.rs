//! `tilts keys`.

use std::process::ExitCode;

/// Arguments of `tilts keys`.
#[derive(clap::Args)]
pub struct Args {}

/// Runs `tilts keys`.
pub fn run(_args: Args) -> ExitCode {
    super::wrong_call("not built yet")
}
