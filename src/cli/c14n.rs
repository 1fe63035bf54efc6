//! `tilts c14n`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::xml::{C14n, Document, Element, Limits, Mode, canonicalize, canonicalize_document};

/// Arguments of `tilts c14n`.
#[derive(clap::Args)]
pub struct Args {
    /// XML document
    file: PathBuf,
    /// Only this element: `#ID` or `{namespace}name` (the first such element)
    #[arg(long)]
    element: Option<String>,
    /// Inclusive C14N 1.0 instead of exclusive
    #[arg(long)]
    inclusive: bool,
    /// Keep comments
    #[arg(long)]
    comments: bool,
    /// Prefixes treated as inclusive, parted by spaces; `#default` for the default namespace
    #[arg(long)]
    prefixes: Option<String>,
}

/// Writes the canonical octets alone to standard output. Exit status 1 when the document is refused or the element is
/// not there, 2 when the file cannot be read.
pub fn run(args: Args) -> ExitCode {
    let octets = match std::fs::read(&args.file) {
        Ok(octets) => octets,
        Err(error) => return super::wrong_call(format!("{}: {error}", args.file.display())),
    };
    let mode = if args.inclusive { Mode::Inclusive10 } else { Mode::Exclusive };
    let how = C14n { mode, comments: args.comments, prefixes: Vec::new() }
        .with_prefix_list(args.prefixes.as_deref().unwrap_or(""));
    match canonical(&octets, args.element.as_deref(), &how) {
        Ok(octets) => write(&octets),
        Err(reason) => {
            super::complain(format_args!("tilts: {}: {reason}", args.file.display()));
            ExitCode::FAILURE
        }
    }
}

fn canonical(octets: &[u8], element: Option<&str>, how: &C14n) -> Result<Vec<u8>, String> {
    let limits = Limits { max_octets: 64 << 20, max_nodes: 5_000_000, ..Limits::default() };
    let document = Document::parse(octets, &limits).map_err(|error| error.to_string())?;
    let mut canonical = Vec::with_capacity(octets.len());
    let mut out = |piece: &[u8]| canonical.extend_from_slice(piece);
    match element {
        None => canonicalize_document(&document, how, None, &mut out),
        Some(selector) => {
            let element = find(&document, selector).ok_or(format!("there is no element `{selector}`"))?;
            canonicalize(element, how, None, &mut out);
        }
    }
    Ok(canonical)
}

fn find<'d>(document: &'d Document, selector: &str) -> Option<Element<'d>> {
    if let Some(id) = selector.strip_prefix('#') {
        return document.by_id(id).first().map(|id| document.element(*id));
    }
    let (namespace, local) = match selector.strip_prefix('{') {
        Some(rest) => rest.split_once('}')?,
        None => ("", selector),
    };
    std::iter::once(document.root())
        .chain(document.root().descendants())
        .find(|element| element.is(namespace, local))
}

fn write(octets: &[u8]) -> ExitCode {
    match std::io::stdout().lock().write_all(octets) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => super::wrong_call(error),
    }
}
