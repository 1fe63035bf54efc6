//! Subcommands; the command line judges nothing itself.

pub mod c14n;
pub mod client;
pub mod div;
pub mod inspect;
pub mod keys;
pub mod lookup;
pub mod serve;
pub mod smp;
pub mod stores;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Cross-border eDelivery AS4 access point.
#[derive(Parser)]
#[command(name = "tilts", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the access point
    Serve(serve::Args),
    /// Checks a configuration: everything but store and listeners
    CheckConfig(serve::Args),
    /// Submits a message to a running node
    Submit(client::Submit),
    /// Shows where submissions stand
    Status(client::Status),
    /// Sends again what has failed or is uncertain
    Retry(client::Retry),
    /// Sends a message to the test service of a participant's access point
    Ping(client::Ping),
    /// Exports and verifies the evidence behind a status
    Evidence(client::Evidence),
    /// Writes the canonical form of a document or element
    C14n(c14n::Args),
    /// Takes a captured message apart and judges it
    Inspect(inspect::Args),
    /// Makes a signed DIV envelope, for tests of the national side
    Div(div::Args),
    /// Shows what a key store holds
    Keys(keys::Args),
    /// Finds a participant's access point, or judges a captured SMP answer
    Lookup(Box<lookup::Args>),
    /// Signs service metadata for a static SMP folder
    Smp(smp::Args),
}

/// Runs the command line of this process and gives its exit status.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => serve::run(args),
        Command::CheckConfig(args) => serve::check(args),
        Command::Submit(args) => client::submit(args),
        Command::Status(args) => client::status(args),
        Command::Retry(args) => client::retry(args),
        Command::Ping(args) => client::ping(args),
        Command::Evidence(args) => client::evidence(args),
        Command::C14n(args) => c14n::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Div(args) => div::run(args),
        Command::Keys(args) => keys::run(args),
        Command::Lookup(args) => lookup::run(*args),
        Command::Smp(args) => smp::run(args),
    }
}

/// Says on standard error why the call itself is wrong; exit status 2.
pub fn wrong_call(reason: impl std::fmt::Display) -> ExitCode {
    complain(format_args!("tilts: {reason}"));
    ExitCode::from(2)
}

/// Writes a line to standard output. Whoever reads it may have gone (`| head`): that is no error of ours.
pub fn say(line: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Writes a line to standard error. Where a log goes may be full: that ends nobody.
pub fn complain(line: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
