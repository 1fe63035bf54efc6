//! `tilts div seal`: a signed DIV envelope from files, for whoever tests the national side without DIV.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::app::tools::{self, Letter};
use crate::clock::{Clock, Timestamp};

/// Arguments of `tilts div`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Builds and signs an envelope over the files
    Seal(Seal),
}

#[derive(clap::Args)]
struct Seal {
    /// E-address of the sender
    #[arg(long)]
    sender: String,
    /// SenderRefNumber; together with the sender it names the message
    #[arg(long)]
    reference: String,
    /// Author
    #[arg(long, default_value = "Demonstration")]
    author: String,
    /// Title
    #[arg(long)]
    title: String,
    /// E-address of a recipient; repeatable
    #[arg(long = "to", required = true)]
    to: Vec<String>,
    /// Until when the recipients may take it, RFC 3339
    #[arg(long)]
    deadline: Option<Timestamp>,
    /// The key that signs
    #[arg(long)]
    keystore: PathBuf,
    /// Its password
    #[arg(long)]
    password: Option<String>,
    /// Where the envelope goes
    #[arg(long, short)]
    out: PathBuf,
    /// The attachments; their ContentReferences are 0, 1, ... in this order
    files: Vec<PathBuf>,
}

/// Runs `tilts div`.
pub fn run(args: Args) -> ExitCode {
    let Command::Seal(seal) = args.command;
    let letter = Letter {
        sender: seal.sender,
        reference: seal.reference,
        author: seal.author,
        title: seal.title,
        recipients: seal.to,
        deadline: seal.deadline,
        files: seal.files,
    };
    let sealed = tools::seal(letter, &seal.keystore, seal.password.as_deref(), Clock::system().now());
    let written = sealed.and_then(|octets| Ok(std::fs::write(&seal.out, octets)?));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::wrong_call(format!("{error:#}")),
    }
}
