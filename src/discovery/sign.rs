//! Publishing: metadata signed and laid out as files that a plain web server can serve (docs/smp.md).

use std::io;
use std::path::{Component, Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::pkey::{Id, PKey, Private};

use super::smp::{Content, Dialect, read, write};
use super::{Identifier, ident};
use crate::pki::Certificate;
use crate::xml::Document;
use crate::xmlsec::{names, sign_template};

pub use super::smp::write::Unsigned;

const C14N_1_0: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
const C14N_1_1: &str = "http://www.w3.org/2006/12/xml-c14n11";

/// Why metadata is not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The document is no metadata.
    #[error("not metadata that can be signed: {0}")]
    Document(String),
    /// The document carries a signature already.
    #[error("the metadata is signed already; give it without its ds:Signature")]
    Signed,
    /// An identifier that makes no safe path.
    #[error("{0:?} makes no path below the folder")]
    Path(String),
    /// The key does not sign.
    #[error("signing failed: {0}")]
    Signature(#[from] crate::xmlsec::Error),
    /// The folder cannot be written.
    #[error("{path}: {error}")]
    Io {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// Signs metadata: one enveloped signature as last child of the root, RSA-SHA256 or ECDSA-SHA256, the certificate in it
/// (discovery 2.4). `ServiceMetadata` of SMP 1 is put into a `SignedServiceMetadata` first.
pub fn sign(unsigned: &str, certificate: &Certificate, key: &PKey<Private>) -> Result<String, PublishError> {
    let document = read::parse(unsigned.as_bytes()).map_err(PublishError::Document)?;
    let answer = read::read(&document).map_err(PublishError::Document)?;
    if matches!(answer.content, Content::Group(_)) {
        return Err(PublishError::Document("a ServiceGroup is not signed".to_owned()));
    }
    if document.root().descendants().any(|element| element.is(names::DS, "Signature")) {
        return Err(PublishError::Signed);
    }
    let template = template(answer.dialect, certificate, key);
    let signed = sign_template(&with_last_child(&document, &template), key)?;
    Ok(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", without_declaration(&signed)))
}

/// Writes signed metadata below `folder`, where its URL path leads once decoded, and the participant's group, made of all
/// metadata there, as `index.xml`. `base` is the SMP's public address; without it groups of SMP 1, whose references are
/// absolute, are not written. Gives the paths written.
pub fn publish(folder: &Path, base: Option<&str>, signed: &str) -> Result<Vec<PathBuf>, PublishError> {
    let document = read::parse(signed.as_bytes()).map_err(PublishError::Document)?;
    let answer = read::read(&document).map_err(PublishError::Document)?;
    let Content::Metadata(metadata) = answer.content else {
        return Err(PublishError::Document("only metadata with endpoints has a place of its own".to_owned()));
    };
    let (dialect, participant) = (answer.dialect, &metadata.participant);
    let path = place(folder, &dialect.metadata_path(participant, &metadata.document_type))?;
    put(&path, signed)?;
    let mut written = vec![path];
    let home = place(folder, &dialect.group_path(participant))?;
    if base.is_some() || dialect == Dialect::Bdxr2 {
        let services = published(&home.join("services"));
        let base = base.unwrap_or_default().trim_end_matches('/');
        let group = write::group(dialect, base, participant, &services);
        let index = home.join("index.xml");
        put(&index, &format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{group}"))?;
        written.push(index);
    }
    Ok(written)
}

fn template(dialect: Dialect, certificate: &Certificate, key: &PKey<Private>) -> String {
    let c14n = if dialect == Dialect::Bdxr2 { C14N_1_1 } else { C14N_1_0 };
    let method = match key.id() {
        Id::EC => names::ECDSA_SHA256,
        Id::ED25519 => names::EDDSA_ED25519,
        _ => names::RSA_SHA256,
    };
    format!(
        "<ds:Signature xmlns:ds=\"{}\"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm=\"{c14n}\"/>\
         <ds:SignatureMethod Algorithm=\"{method}\"/><ds:Reference URI=\"\"><ds:Transforms>\
         <ds:Transform Algorithm=\"{}\"/></ds:Transforms><ds:DigestMethod Algorithm=\"{}\"/><ds:DigestValue/>\
         </ds:Reference></ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{}\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>",
        names::DS,
        names::ENVELOPED,
        names::SHA256,
        STANDARD.encode(certificate.der())
    )
}

/// The root's text with the template before its end tag; wrapped where SMP 1 wants it.
fn with_last_child(document: &Document, template: &str) -> String {
    let root = document.root();
    let text = &document.source()[root.source_range()];
    let one = matches!(read::dialect_of(root), Some(Dialect::Peppol | Dialect::Bdxr1));
    if one && root.local() == "ServiceMetadata" {
        let namespace = root.namespace();
        return format!(
            "<SignedServiceMetadata xmlns=\"{namespace}\">{text}{template}</SignedServiceMetadata>"
        );
    }
    let end = text.rfind("</").unwrap_or(text.len());
    format!("{}{template}{}", &text[..end], &text[end..])
}

fn without_declaration(text: &str) -> &str {
    match text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")) {
        Some((_, rest)) => rest.trim_start(),
        None => text,
    }
}

/// The file that a web server finds for this URL path: every segment decoded.
fn place(folder: &Path, url_path: &str) -> Result<PathBuf, PublishError> {
    let wrong = || PublishError::Path(url_path.to_owned());
    let decoded = ident::percent_decode(url_path.trim_start_matches('/')).ok_or_else(wrong)?;
    let relative = Path::new(&decoded);
    let safe = relative.components().all(|component| matches!(component, Component::Normal(_)));
    (safe && !decoded.is_empty()).then(|| folder.join(relative)).ok_or_else(wrong)
}

/// The document types whose metadata lies in a `services` folder, sorted. Identifiers with a slash lie deeper.
fn published(services: &Path) -> Vec<Identifier> {
    let mut found = Vec::new();
    let mut open = vec![services.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match (path.is_dir(), path.strip_prefix(services)) {
                (true, _) => open.push(path),
                (false, Ok(relative)) if !is_hidden(&path) => {
                    found.push(relative.to_string_lossy().into_owned())
                }
                _ => {}
            }
        }
    }
    found.sort();
    found.iter().map(|text| Identifier::parse(text)).collect()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Written beside and renamed, so that nobody is ever served half a file.
fn put(path: &Path, text: &str) -> Result<(), PublishError> {
    let failed = |error| PublishError::Io { path: path.to_owned(), error };
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let beside = folder.join(format!(".{}", crate::id::row_id()));
    std::fs::write(&beside, text).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}
