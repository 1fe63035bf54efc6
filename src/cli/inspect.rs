//! `tilts inspect`.

use std::process::ExitCode;

/// Arguments of `tilts inspect`.
#[derive(clap::Args)]
pub struct Args {}

/// Runs `tilts inspect`.
pub fn run(_args: Args) -> ExitCode {
    super::wrong_call("not built yet")
}
