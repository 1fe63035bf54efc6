//! The dossier: one zip per recipient that a court can read, and check with nothing else at hand (model 4).
//!
//! | file | holds |
//! |---|---|
//! | `report.txt` | what happened, in plain words, Latvian and English |
//! | `chain.jsonl` | one line per row of evidence; the SHA-256 of a line stands in the next one as `previous` |
//! | `evidence/NNNN-*` | the octets of each row; their SHA-256 stands in its line |
//! | `sent/messaging.xml`, `sent/references.json` | what was sent and signed |
//! | `envelope.xml` | the envelope as submitted |
//! | `certificates/*.pem` | certificates of all who signed |
//! | `checkpoints.json` | the proofs that the chain stood so when each checkpoint was made |
//! | `record.json`, `subject.json` | the status that follows; ids and addresses |
//! | `manifest.json` | the SHA-256 of every other file |

mod check;
mod words;

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use openssl::sha::sha256;
use serde::{Deserialize, Serialize};
use zip::write::SimpleFileOptions;

use super::Error;
use crate::pki::Certificate;
use crate::status::Record;
use crate::status::chain::{Checkpoint, Leaf, Link, Step};
use crate::xmlsec::SignedReference;

pub use check::{Check, Report, verify};

/// Whose dossier it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The recipient's id.
    pub recipient: String,
    /// The submission's id.
    pub submission: String,
    /// The submitting system's own id.
    pub client_id: String,
    /// Address as submitted.
    pub address: String,
    /// `scheme::value` of the recipient.
    pub participant: Option<String>,
    /// `scheme::value` of the original sender.
    pub original_sender: String,
    /// MessageIds, oldest first.
    pub message_ids: Vec<String>,
    /// SHA-256 of the payloads in order, hex.
    pub payloads: Vec<String>,
}

/// One row with its octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The link as it was hashed.
    pub link: Link,
    /// The octets behind it.
    pub raw: Vec<u8>,
}

/// The proof that a checkpoint covers the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The chain's head as it was then.
    pub leaf: Leaf,
    /// The steps from the leaf to the root.
    pub steps: Vec<Step>,
}

/// Everything that goes into the zip.
#[derive(Debug, Clone)]
pub struct Dossier {
    /// Whose.
    pub subject: Subject,
    /// The whole chain.
    pub chain: Vec<Entry>,
    /// The status that follows from it.
    pub record: Record,
    /// The envelope as submitted.
    pub envelope: Option<Vec<u8>>,
    /// The `eb:Messaging` octets sent.
    pub messaging: Option<Vec<u8>>,
    /// The references of the SignedInfo sent.
    pub references: Vec<SignedReference>,
    /// Certificates of all who signed.
    pub certificates: Vec<Certificate>,
    /// Checkpoint proofs, oldest first.
    pub proofs: Vec<Proof>,
}

/// Writes the zip. The same dossier always gives the same octets.
///
/// # Errors
/// [`Error::Zip`] and [`Error::Dossier`] when a value cannot be written.
pub fn export(dossier: &Dossier) -> Result<Vec<u8>, Error> {
    let files = files(dossier)?;
    let manifest: BTreeMap<&str, String> =
        files.iter().map(|(name, octets)| (name.as_str(), hex::encode(sha256(octets)))).collect();
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().last_modified_time(zip::DateTime::default());
    for (name, octets) in &files {
        put(&mut zip, options, name, octets)?;
    }
    put(&mut zip, options, MANIFEST, &json(MANIFEST, &manifest)?)?;
    Ok(zip.finish()?.into_inner())
}

const MANIFEST: &str = "manifest.json";
const CHAIN: &str = "chain.jsonl";
const RECORD: &str = "record.json";
const SUBJECT: &str = "subject.json";
const CHECKPOINTS: &str = "checkpoints.json";
const REFERENCES: &str = "sent/references.json";

fn put(
    zip: &mut zip::ZipWriter<Cursor<Vec<u8>>>,
    options: SimpleFileOptions,
    name: &str,
    octets: &[u8],
) -> Result<(), Error> {
    zip.start_file(name, options)?;
    zip.write_all(octets).map_err(|e| problem(name, e))
}

fn files(dossier: &Dossier) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut files = vec![
        ("report.txt".to_owned(), words::report(dossier).into_bytes()),
        (SUBJECT.to_owned(), json(SUBJECT, &dossier.subject)?),
        (RECORD.to_owned(), json(RECORD, &dossier.record)?),
        (CHAIN.to_owned(), chain_lines(&dossier.chain)?.into_bytes()),
        (CHECKPOINTS.to_owned(), json(CHECKPOINTS, &dossier.proofs)?),
        (REFERENCES.to_owned(), json(REFERENCES, &dossier.references)?),
    ];
    files.extend(dossier.chain.iter().map(|entry| (raw_name(&entry.link), entry.raw.clone())));
    files.extend(dossier.messaging.iter().map(|octets| ("sent/messaging.xml".to_owned(), octets.clone())));
    files.extend(dossier.envelope.iter().map(|octets| ("envelope.xml".to_owned(), octets.clone())));
    for certificate in &dossier.certificates {
        let name = format!("certificates/{}.pem", certificate.sha256_hex());
        let pem = certificate.x509().to_pem().map_err(|e| problem(&name, e))?;
        files.push((name, pem));
    }
    Ok(files)
}

fn chain_lines(chain: &[Entry]) -> Result<String, Error> {
    chain.iter().map(|entry| entry.link.line().map(|l| l + "\n").map_err(|e| problem(CHAIN, e))).collect()
}

/// Where the octets of a row stand.
fn raw_name(link: &Link) -> String {
    let extension = match link.format.as_str() {
        "rem" | "as4-receipt" | "as4-error" => "xml",
        "acceptance" | "json" => "json",
        _ => "txt",
    };
    format!("evidence/{:04}-{}.{extension}", link.sequence, link.signal)
}

fn json<T: Serialize>(name: &str, value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec_pretty(value).map_err(|e| problem(name, e))
}

fn problem(file: &str, what: impl ToString) -> Error {
    Error::Dossier { file: file.to_owned(), problem: what.to_string() }
}
