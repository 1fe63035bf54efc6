//! `tilts lookup`.

use std::process::ExitCode;

/// Arguments of `tilts lookup`.
#[derive(clap::Args)]
pub struct Args {}

/// Runs `tilts lookup`.
pub fn run(_args: Args) -> ExitCode {
    super::wrong_call("not built yet")
}
