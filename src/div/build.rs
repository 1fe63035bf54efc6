//! An envelope for a message from abroad, signed by our connection (model 5, "From abroad").

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use openssl::pkey::{PKey, Private};
use openssl::sha::Sha256;

use super::Error;
use super::address::is_eaddress;
use super::names::{DIV, SENDER_SECTION, SENDER_SIGNATURE, SHA512};
use crate::clock::Timestamp;
use crate::pki::Certificate;
use crate::xml::{C14n, Mode, Writer};
use crate::xmlsec::DigestAlgorithm;
use crate::xmlsec::xades::{self, Signing, Style};

/// Most files of a message across the border (model 5).
pub const MOST_FILES: usize = 27;

/// What an envelope is made of.
#[derive(Debug, Clone)]
pub struct NewEnvelope {
    /// Our unit.
    pub sender: String,
    /// SenderRefNumber, see [`reference_number`].
    pub sender_ref: String,
    /// The author, from originalSender.
    pub author: String,
    /// Title; cut to 200 characters.
    pub title: String,
    /// At least one e-address.
    pub recipients: Vec<String>,
    /// The files in order.
    pub files: Vec<NewFile>,
    /// Date of the document and time of the signature.
    pub at: Timestamp,
    /// DeliveryDeadline.
    pub deadline: Option<Timestamp>,
    /// What the message answers, at most 50 characters.
    pub trace: Option<String>,
}

/// One file of a new envelope; its ContentReference is its place, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Name, see [`unique_names`].
    pub name: String,
    /// Media type.
    pub mime_type: String,
    /// Octets.
    pub size: u64,
    /// SHA-512 of the octets.
    pub sha512: [u8; 64],
}

/// Builds and signs an envelope. It is its own document, without white space and with no prefix but `ds` on the signature, so
/// that inclusive and exclusive C14N of its sections are the same (national-div 4, rule 1).
///
/// # Errors
/// [`Error::Unfit`] for no recipients, an address or name that DIV would refuse, or too many files; [`Error::Signing`].
pub fn build(new: &NewEnvelope, certificate: &Certificate, key: &PKey<Private>) -> Result<Vec<u8>, Error> {
    check(new)?;
    let text = unsigned(new);
    let at = text.find("</Signatures>").unwrap_or(text.len());
    let target = format!("#{SENDER_SECTION}");
    let signing = Signing { certificate, key, at: new.at, id: SENDER_SIGNATURE, targets: &[&target] };
    Ok(xades::sign(&text, at, &style(), &signing)?.into_bytes())
}

/// The form of all signatures in DIV envelopes (national-div 4).
pub(super) fn style() -> Style {
    Style {
        c14n: C14n { mode: Mode::Inclusive10, comments: false, prefixes: Vec::new() },
        digest: DigestAlgorithm::Sha512,
        certificate_digest: DigestAlgorithm::Sha1,
        properties_transform: false,
        key_value: true,
    }
}

/// SenderRefNumber of a message from abroad: the same for every delivery of the same message, so that DIV knows a repetition.
/// The first 40 hex digits of SHA-256 over From/PartyId, a zero octet and the MessageId.
pub fn reference_number(from: &str, message_id: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(from.as_bytes());
    hash.update(&[0]);
    hash.update(message_id.as_bytes());
    let mut number = hex::encode(hash.finish());
    number.truncate(40);
    number
}

/// Names that DIV takes (2 to 250 characters, no path, no control characters), unique without regard to case.
pub fn unique_names<'n>(names: impl IntoIterator<Item = Option<&'n str>>) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut unique = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        let name = clean(name.unwrap_or_default(), index);
        let mut candidate = name.clone();
        let mut number = 2;
        while !taken.insert(candidate.to_lowercase()) {
            candidate = numbered(&name, number);
            number += 1;
        }
        unique.push(candidate);
    }
    unique
}

fn clean(name: &str, index: usize) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String = last.chars().filter(|c| !c.is_control() && !"<>:\"|?*".contains(*c)).collect();
    let kept = kept.split_whitespace().collect::<Vec<_>>().join(" ");
    let kept: String = kept.trim_matches('.').chars().take(200).collect();
    if kept.chars().count() < 2 { format!("file-{}", index + 1) } else { kept }
}

fn numbered(name: &str, number: u32) -> String {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem} ({number}).{extension}"),
        _ => format!("{name} ({number})"),
    }
}

fn check(new: &NewEnvelope) -> Result<(), Error> {
    let unfit = |problem: String| Err(Error::Unfit(problem));
    if new.recipients.is_empty() {
        return unfit("no recipient".to_owned());
    }
    if let Some(wrong) = new.recipients.iter().chain([&new.sender]).find(|a| !is_eaddress(a)) {
        return unfit(format!("`{wrong}` is no e-address"));
    }
    if new.files.len() > MOST_FILES {
        return unfit(format!("{} files, at most {MOST_FILES} are taken", new.files.len()));
    }
    if new.sender_ref.is_empty() || new.sender_ref.chars().count() > 50 {
        return unfit(format!("SenderRefNumber `{}` has not 1 to 50 characters", new.sender_ref));
    }
    match new.files.iter().find(|file| !(2..=250).contains(&file.name.chars().count())) {
        Some(file) => unfit(format!("file name `{}` has not 2 to 250 characters", file.name)),
        None => Ok(()),
    }
}

fn unsigned(new: &NewEnvelope) -> String {
    let mut xml = Writer::new();
    xml.start("Envelope").attr("xmlns", DIV);
    xml.start("SenderDocument").attr("Id", SENDER_SECTION);
    document_metadata(&mut xml, new);
    transport_metadata(&mut xml, new);
    xml.end();
    xml.start("Signatures").raw("").end();
    xml.into_string()
}

fn document_metadata(xml: &mut Writer, new: &NewEnvelope) {
    xml.start("DocumentMetadata").start("GeneralMetadata");
    xml.start("Authors").start("AuthorEntry").start("Institution").leaf("Title", &cut(&new.author, 200));
    xml.end().end().end();
    xml.leaf("Date", &new.at.strftime("%Y-%m-%d").to_string());
    xml.start("DocumentKind").leaf("DocumentKindCode", "DOC_EMPTY").leaf("DocumentKindVersion", "1.0").end();
    xml.leaf("Title", &cut(&new.title, 200)).end();
    if !new.files.is_empty() {
        xml.start("PayloadReference");
        new.files.iter().enumerate().for_each(|(index, file)| write_file(xml, index, file));
        xml.end();
    }
    xml.end();
}

fn write_file(xml: &mut Writer, index: usize, file: &NewFile) {
    xml.start("File").leaf("MimeType", &file.mime_type).leaf("Size", &file.size.to_string());
    xml.leaf("Name", &file.name).start("Content").leaf("ContentReference", &index.to_string());
    xml.start("DigestMethod").attr("Algorithm", SHA512).end();
    xml.leaf("DigestValue", &BASE64.encode(file.sha512)).end();
    xml.leaf("Compressed", "false").end();
}

fn transport_metadata(xml: &mut Writer, new: &NewEnvelope) {
    xml.start("SenderTransportMetadata").leaf("SenderE-Address", &new.sender);
    xml.leaf("SenderRefNumber", &new.sender_ref).start("Recipients");
    for recipient in &new.recipients {
        xml.start("RecipientEntry").leaf("RecipientE-Address", recipient).end();
    }
    xml.end().leaf("NotifySenderOnDelivery", "true");
    if let Some(deadline) = new.deadline {
        // Without fractions: the official client re-serialises values before it signs over them (div-recorded 2).
        let seconds = Timestamp::from_second(deadline.as_second()).unwrap_or(deadline);
        xml.leaf("DeliveryDeadline", &seconds.to_string());
    }
    xml.leaf("Priority", "normal");
    if let Some(trace) = &new.trace {
        xml.start("TraceInfo").start("TraceInfoEntry").leaf("TraceInfoID", "trace-1");
        xml.leaf("TraceText", &cut(trace, 50)).end().end();
    }
    xml.end();
}

fn cut(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(most).collect()
}
