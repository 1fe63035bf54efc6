//! `tilts inspect`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::stores::Stores;
use crate::clock::{Clock, Timestamp};
use crate::inspect::{Inspection, Options, Profile, Report, inspect};

/// Arguments of `tilts inspect`.
#[derive(clap::Args)]
pub struct Args {
    /// Captured message: HTTP, MIME, a SOAP envelope, or XML with a signature or encryption
    file: PathBuf,
    /// Content-Type instead of the one found or guessed
    #[arg(long)]
    content_type: Option<String>,
    /// Profile that the message has to follow
    #[arg(long, value_parser = Profile::NAMES)]
    profile: Option<String>,
    /// Captured request that the message answers
    #[arg(long)]
    request: Option<PathBuf>,
    /// Moment to judge certificates at, RFC 3339; now when left out
    #[arg(long)]
    at: Option<Timestamp>,
    /// Folder for the parts of an accepted message
    #[arg(long)]
    out: Option<PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    stores: Stores,
}

/// Exit status 0 accepted, 1 rejected, 2 when the call itself is wrong.
pub fn run(args: Args) -> ExitCode {
    match examine(&args) {
        Ok(report) if report.verdict == "accepted" => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(reason) => super::wrong_call(format!("{reason:#}")),
    }
}

fn examine(args: &Args) -> anyhow::Result<Report> {
    let read = |file: &Path| std::fs::read(file).with_context(|| file.display().to_string());
    let octets = read(&args.file)?;
    let request = args.request.as_deref().map(read).transpose()?;
    let stores = args.stores.open()?;
    let options = Options {
        content_type: args.content_type.clone(),
        profile: args.profile.as_deref().and_then(Profile::from_name),
        request,
        at: args.at.unwrap_or_else(|| Clock::system().now()),
        entries: stores.entries,
        certificates: stores.certificates,
        trust: stores.trust,
    };
    let Inspection { report, payloads } = inspect(&octets, &options);
    if let Some(folder) = &args.out {
        write_parts(folder, &payloads)?;
    }
    match args.json {
        true => super::say(serde_json::to_string(&report)?),
        false => super::say(text(&report).trim_end()),
    }
    Ok(report)
}

/// Files are named for place and Content-ID; what a file name cannot hold becomes `_`.
fn write_parts(folder: &Path, payloads: &[(Option<String>, Vec<u8>)]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for (index, (cid, octets)) in payloads.iter().enumerate() {
        let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.@".contains(c) { c } else { '_' };
        let name: String = cid.as_deref().unwrap_or("content").chars().map(safe).take(100).collect();
        let file = folder.join(format!("{:02}-{name}", index + 1));
        std::fs::write(&file, octets).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn text(report: &Report) -> String {
    let mut lines = vec![format!("{} ({}{})", report.verdict, report.form, soap(report))];
    lines.extend(report.errors.iter().map(|error| format!("  {} {}", error.code, error.detail)));
    for unit in &report.units {
        let id = unit.message_id.as_deref().unwrap_or("without MessageId");
        let about = unit.ref_to_message_id.as_deref().map_or(String::new(), |id| format!(" about {id}"));
        lines.push(format!("{} {id}{about}", unit.kind));
    }
    let signature = &report.signature;
    lines.push(format!("signature: {}", signature.status));
    if let Some(signer) = &signature.signer {
        let trust = signature.trust.unwrap_or("trust not judged");
        lines.push(format!("  {} ({trust}) sha256 {}", signer.subject, signer.sha256));
    }
    for reference in &signature.references {
        let target = reference.target.as_deref().or(reference.uri.as_deref()).unwrap_or("nothing");
        lines.push(format!("  {target}: {}", three(reference.digest_ok)));
    }
    lines.push(format!("encryption: {}", report.encryption.status));
    for part in &report.parts {
        let cid = part.cid.as_deref().unwrap_or("content");
        let kind = part.media_type.as_deref().unwrap_or("unknown type");
        let size =
            part.uncompressed_size.or(part.size).map_or("unreadable".to_owned(), |n| format!("{n} octets"));
        lines.push(format!("part {cid}: {kind}, {size}"));
    }
    if let Some(matches) = report.receipt_matches {
        lines.push(format!("receipt matches the request: {}", three(Some(matches))));
    }
    lines.join("\n") + "\n"
}

fn soap(report: &Report) -> String {
    report.soap.map_or(String::new(), |version| format!(", SOAP {version}"))
}

fn three(value: Option<bool>) -> &'static str {
    match value {
        Some(true) => "good",
        Some(false) => "bad",
        None => "could not be checked",
    }
}
