//! `tilts c14n`.

use std::process::ExitCode;

/// Arguments of `tilts c14n`.
#[derive(clap::Args)]
pub struct Args {}

/// Runs `tilts c14n`.
pub fn run(_args: Args) -> ExitCode {
    super::wrong_call("not built yet")
}
