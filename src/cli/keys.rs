//! `tilts keys`: what a key store holds.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use crate::pki::{Entry, KeyStore};

/// Arguments of `tilts keys`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Lists the entries of a PKCS#12, JKS, PEM or DER file
    List(ListArgs),
}

#[derive(clap::Args)]
struct ListArgs {
    /// The store; its format is told by its content
    file: PathBuf,
    /// The store's password
    #[arg(long)]
    password: Option<String>,
    /// A private key's password, where it is not the store's; repeatable
    #[arg(long)]
    key_password: Vec<String>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs `tilts keys`.
pub fn run(args: Args) -> ExitCode {
    let Command::List(args) = args.command;
    match list(&args) {
        Ok(text) => {
            super::say(text);
            ExitCode::SUCCESS
        }
        Err(reason) => super::wrong_call(format!("{}: {reason}", args.file.display())),
    }
}

/// One entry as printed (design 5).
#[derive(Serialize)]
struct Row {
    alias: Option<String>,
    subject: Option<String>,
    sha256: Option<String>,
    private_key: bool,
    not_after: Option<String>,
}

impl From<&Entry> for Row {
    fn from(entry: &Entry) -> Self {
        let certificate = entry.certificate.as_ref();
        Self {
            alias: entry.alias.clone(),
            subject: certificate.map(|c| c.subject()),
            sha256: certificate.map(|c| c.sha256_hex()),
            private_key: entry.private_key.is_some(),
            not_after: certificate.map(|c| c.not_after().to_string()),
        }
    }
}

fn list(args: &ListArgs) -> anyhow::Result<String> {
    let octets = std::fs::read(&args.file)?;
    let store = KeyStore::read(&octets, args.password.as_deref(), &args.key_password)?;
    let rows: Vec<Row> = store.entries.iter().map(Row::from).collect();
    if args.json {
        return Ok(serde_json::to_string(&serde_json::json!({ "entries": rows }))?);
    }
    Ok(rows.iter().map(line).collect::<Vec<_>>().join("\n"))
}

fn line(row: &Row) -> String {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let key = if row.private_key { "key" } else { "   " };
    let (alias, until, subject) = (or_dash(&row.alias), or_dash(&row.not_after), or_dash(&row.subject));
    format!("{key} {alias:<20} {until:<20} {} {subject}", or_dash(&row.sha256))
}
