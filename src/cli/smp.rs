//! `tilts smp`.

use std::process::ExitCode;

/// Arguments of `tilts smp`.
#[derive(clap::Args)]
pub struct Args {}

/// Runs `tilts smp`.
pub fn run(_args: Args) -> ExitCode {
    super::wrong_call("not built yet")
}
