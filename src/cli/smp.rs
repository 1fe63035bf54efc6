//! `tilts smp`: signs service metadata into a folder that a plain web server serves (docs/smp.md).

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::stores::Stores;
use crate::clock::Timestamp;
use crate::discovery::smp::write::metadata;
use crate::discovery::{Dialect, Identifier, Unsigned, publish, sign};
use crate::pki::{Certificate, Entry, KeyStore};

/// Arguments of `tilts smp`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Signs metadata, given as a file or built from the arguments
    Sign(Box<SignArgs>),
}

#[derive(clap::Args)]
struct SignArgs {
    /// Unsigned metadata; in its place the arguments below
    #[arg(long, value_name = "XML", conflicts_with_all = ["participant", "document_type", "url", "certificate"])]
    file: Option<PathBuf>,
    /// The dialect to write (peppol, bdxr1, bdxr2)
    #[arg(long, default_value = "peppol")]
    dialect: Dialect,
    /// Whose endpoint it is, `scheme::value`
    #[arg(long)]
    participant: Option<String>,
    /// What it takes, `scheme::value`
    #[arg(long)]
    document_type: Option<String>,
    /// For which process, `scheme::value`; repeatable
    #[arg(long)]
    process: Vec<String>,
    /// How it is spoken to; without it as in the network of the dialect: peppol-transport-as4-v2_0, or
    /// bdxr-transport-ebms3-as4-v1p0
    #[arg(long)]
    transport_profile: Option<String>,
    /// Its address
    #[arg(long)]
    url: Option<String>,
    /// The access point's certificate; the first of the file
    #[arg(long, value_name = "F")]
    certificate: Option<PathBuf>,
    /// Active from
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Active until
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// The SMP's public address, for the references of the group
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The folder that the web server serves; standard output when absent
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The alias of the signing key, where the stores hold several
    #[arg(long)]
    alias: Option<String>,
    #[command(flatten)]
    stores: Stores,
}

/// Runs `tilts smp`.
pub fn run(args: Args) -> ExitCode {
    let Command::Sign(args) = args.command;
    match signed(&args) {
        Ok(lines) => {
            super::say(lines);
            ExitCode::SUCCESS
        }
        Err(reason) => super::wrong_call(format!("{reason:#}")),
    }
}

fn signed(args: &SignArgs) -> anyhow::Result<String> {
    let stores = args.stores.open()?;
    let (certificate, key) = signing_key(&stores.entries, args.alias.as_deref())?;
    let unsigned = match &args.file {
        Some(file) => std::fs::read_to_string(file).with_context(|| file.display().to_string())?,
        None => metadata(args.dialect, &built(args)?),
    };
    let signed = sign(&unsigned, &certificate, &key)?;
    let Some(folder) = &args.out else { return Ok(signed) };
    let written = publish(folder, args.base_url.as_deref(), &signed)?;
    Ok(written.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join("\n"))
}

fn built(args: &SignArgs) -> anyhow::Result<Unsigned> {
    let needed = |given: &Option<String>, name: &str| match given {
        Some(given) => Ok(given.clone()),
        None => Err(anyhow::anyhow!("--{name} is needed, or --file")),
    };
    let file = args.certificate.as_ref().context("--certificate is needed, or --file")?;
    let octets = std::fs::read(file).with_context(|| file.display().to_string())?;
    let store = KeyStore::read(&octets, None, &[]).with_context(|| file.display().to_string())?;
    let certificate =
        store.certificates().into_iter().next().context("--certificate holds no certificate")?;
    let processes = match args.process.is_empty() {
        true => bail!("--process is needed, or --file"),
        false => args.process.iter().map(|process| Identifier::parse(process)).collect(),
    };
    Ok(Unsigned {
        participant: Identifier::parse(&needed(&args.participant, "participant")?),
        document_type: Identifier::parse(&needed(&args.document_type, "document-type")?),
        processes,
        transport_profile: args.transport_profile.clone().unwrap_or_else(|| usual(args.dialect).to_owned()),
        url: needed(&args.url, "url")?,
        certificate,
        from: args.from,
        until: args.until,
    })
}

/// How access points are spoken to whose metadata is written so.
const fn usual(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Peppol => "peppol-transport-as4-v2_0",
        Dialect::Bdxr1 | Dialect::Bdxr2 => "bdxr-transport-ebms3-as4-v1p0",
    }
}

fn signing_key(
    entries: &[Entry],
    alias: Option<&str>,
) -> anyhow::Result<(Certificate, openssl::pkey::PKey<openssl::pkey::Private>)> {
    let with_key = entries.iter().filter(|entry| alias.is_none() || entry.alias.as_deref() == alias);
    let mut pairs = with_key.filter_map(|entry| entry.certificate.clone().zip(entry.private_key.clone()));
    match (pairs.next(), pairs.next()) {
        (Some(pair), None) => Ok(pair),
        (None, _) => bail!("no store holds a private key with its certificate{}", named(alias)),
        (Some(_), Some(_)) => {
            bail!("the stores hold several private keys{}; choose one by --alias", named(alias))
        }
    }
}

fn named(alias: Option<&str>) -> String {
    alias.map(|alias| format!(" under the alias {alias:?}")).unwrap_or_default()
}
