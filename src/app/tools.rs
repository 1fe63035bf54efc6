//! What the command line needs of rooms that it may not enter itself.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use openssl::sha::sha512;

use crate::clock::Timestamp;
use crate::div::{NewEnvelope, NewFile, build, unique_names};
use crate::pki::KeyStore;

/// What a DIV envelope says.
pub struct Letter {
    /// E-address of the sender.
    pub sender: String,
    /// SenderRefNumber.
    pub reference: String,
    /// Author.
    pub author: String,
    /// Title.
    pub title: String,
    /// E-addresses of the recipients.
    pub recipients: Vec<String>,
    /// DeliveryDeadline.
    pub deadline: Option<Timestamp>,
    /// The attachments.
    pub files: Vec<PathBuf>,
}

/// Builds and signs an envelope.
///
/// # Errors
/// When a file or key cannot be read, or the envelope would be refused.
pub fn seal(letter: Letter, keystore: &Path, password: Option<&str>, at: Timestamp) -> Result<Vec<u8>> {
    let octets = std::fs::read(keystore).with_context(|| format!("cannot read {}", keystore.display()))?;
    let entries = KeyStore::read(&octets, password, &[])?.entries;
    let entry = entries.into_iter().find(|e| e.private_key.is_some() && e.certificate.is_some());
    let entry =
        entry.with_context(|| format!("{} holds no private key with certificate", keystore.display()))?;
    let (Some(certificate), Some(key)) = (entry.certificate, entry.private_key) else {
        anyhow::bail!("{} holds no private key with certificate", keystore.display());
    };
    let new = NewEnvelope {
        files: described(&letter.files)?,
        sender: letter.sender,
        sender_ref: letter.reference,
        author: letter.author,
        title: letter.title,
        recipients: letter.recipients,
        at,
        deadline: letter.deadline,
        trace: None,
    };
    Ok(build(&new, &certificate, &key)?)
}

fn described(files: &[PathBuf]) -> Result<Vec<NewFile>> {
    let given: Vec<String> =
        files.iter().map(|p| p.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect();
    let names = unique_names(given.iter().map(|n| Some(n.as_str())));
    let describe = |(path, name): (&PathBuf, String)| {
        let octets = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mime_type = match path.extension().and_then(|e| e.to_str()) {
            Some("xml") => "application/xml",
            Some("txt") => "text/plain",
            Some("pdf") => "application/pdf",
            _ => "application/octet-stream",
        };
        Ok(NewFile { name, mime_type: mime_type.into(), size: octets.len() as u64, sha512: sha512(&octets) })
    };
    files.iter().zip(names).map(describe).collect()
}
