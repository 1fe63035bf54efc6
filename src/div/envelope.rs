//! Reading an envelope (national-div 3.1).

use std::ops::Range;

use serde::Serialize;

use super::Error;
use super::names::DIV;
use crate::clock::Timestamp;
use crate::xml::{Document, Element, Limits, escape_attribute};
use crate::xmlsec::decode_base64;

/// An envelope as read. Nothing of it is verified by reading it: see [`super::verify()`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Envelope {
    /// Title of the document.
    pub title: String,
    /// DocumentKindCode.
    pub kind: String,
    /// DocumentKindVersion.
    pub kind_version: String,
    /// Authors: title of an institution, name of a person, or name of a system.
    pub authors: Vec<String>,
    /// Date of the document as written.
    pub date: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Languages.
    pub languages: Vec<String>,
    /// Files in order.
    pub files: Vec<FileEntry>,
    /// SenderE-Address.
    pub sender: String,
    /// SenderRefNumber: with the sender's address the identity of the message.
    pub sender_ref: String,
    /// Recipients in order.
    pub recipients: Vec<Recipient>,
    /// NotifySenderOnDelivery.
    pub notify: bool,
    /// DeliveryDeadline as the sender wishes.
    pub deadline: Option<Timestamp>,
    /// Priority.
    pub priority: Priority,
    /// TraceText of each trace entry, e.g. the message that this one answers.
    pub traces: Vec<String>,
    /// RefRegistrationNumber of each document reference.
    pub references: Vec<String>,
    /// What the DIV server added.
    pub server: Option<ServerMetadata>,
    /// Confirmations of recipients.
    pub confirmations: Vec<Confirmation>,
}

/// One file of the payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileEntry {
    /// Name.
    pub name: String,
    /// Media type.
    pub mime_type: String,
    /// Octets of the original content (of the cipher text with one client, national-div 5).
    pub size: u64,
    /// Which attachment holds it.
    pub reference: String,
    /// Algorithm of the digest.
    pub digest_method: String,
    /// The digest.
    #[serde(with = "hex::serde")]
    pub digest: Vec<u8>,
    /// Whether the attachment is gzip.
    pub compressed: bool,
    /// Which of the document's appendices it is, from 1; `None` for the document itself. It changes neither order nor name.
    pub appendix_number: Option<u32>,
}

/// One recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recipient {
    /// RecipientE-Address.
    pub address: String,
    /// The wrapped content key, when the attachments are encrypted.
    pub encryption: Option<EncryptionInfo>,
}

/// A content key wrapped for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EncryptionInfo {
    /// RSA-OAEP over the key block.
    #[serde(with = "hex::serde")]
    pub key: Vec<u8>,
    /// Thumbprint of the recipient's certificate as written (hex of SHA-1 with the official client).
    pub thumbprint: String,
}

/// Priority of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Before others.
    High,
    /// Like others.
    #[default]
    Normal,
    /// After others.
    Low,
}

/// ServerTransportMetadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServerMetadata {
    /// When DIV received the envelope.
    pub received: Option<Timestamp>,
    /// DIV's own id.
    pub reference: String,
    /// Deadline as set or accepted by DIV.
    pub deadline: Option<Timestamp>,
    /// When it became available to its recipients.
    pub available: Option<Timestamp>,
}

/// A recipient's confirmation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confirmation {
    /// Its section's id.
    pub id: String,
    /// For which of the recipients.
    pub recipients: Vec<String>,
    /// True for RecipientAccepted, false for RecipientRejected.
    pub accepted: bool,
    /// Code of a refusal.
    pub code: Option<String>,
    /// Reason of a refusal.
    pub reason: Option<String>,
}

impl Envelope {
    /// Reads a stand-alone envelope.
    ///
    /// # Errors
    /// [`Error::Xml`], [`Error::NoEnvelope`], [`Error::Malformed`].
    pub fn parse(octets: &[u8]) -> Result<Self, Error> {
        let document = Document::parse(octets, &Limits::default())?;
        Self::read(document.root())
    }

    /// Reads an Envelope element.
    ///
    /// # Errors
    /// As [`Envelope::parse`].
    pub fn read(envelope: Element<'_>) -> Result<Self, Error> {
        if !envelope.is(DIV, "Envelope") {
            let (namespace, local) = (envelope.namespace().to_owned(), envelope.local().to_owned());
            return Err(Error::NoEnvelope { namespace, local });
        }
        let sender = required(envelope, "SenderDocument")?;
        let metadata = required(sender, "DocumentMetadata")?;
        let general = required(metadata, "GeneralMetadata")?;
        let transport = required(sender, "SenderTransportMetadata")?;
        let kind = required(general, "DocumentKind")?;
        Ok(Self {
            title: required_text(general, "Title")?,
            kind: required_text(kind, "DocumentKindCode")?,
            kind_version: text(kind, "DocumentKindVersion").unwrap_or_default(),
            authors: entries(general, "Authors", "AuthorEntry").filter_map(correspondent).collect(),
            date: text(general, "Date"),
            description: text(general, "Description"),
            languages: entries(general, "Languages", "Language").map(|e| e.text()).collect(),
            files: entries(metadata, "PayloadReference", "File").map(file).collect::<Result<_, _>>()?,
            sender: required_text(transport, "SenderE-Address")?,
            sender_ref: required_text(transport, "SenderRefNumber")?,
            recipients: recipients(transport)?,
            notify: text(transport, "NotifySenderOnDelivery").is_some_and(|t| is_true(&t)),
            deadline: text(transport, "DeliveryDeadline").and_then(|t| time(&t)),
            priority: priority(text(transport, "Priority")),
            traces: entries(transport, "TraceInfo", "TraceInfoEntry")
                .filter_map(|e| text(e, "TraceText"))
                .collect(),
            references: document_references(sender),
            server: envelope.child(DIV, "ServerTransportMetadata").map(server),
            confirmations: entries(envelope, "RecipientConfirmations", "ConfirmationEntry")
                .map(confirmation)
                .collect(),
        })
    }

    /// The recipients whose attachments' key is wrapped for one of our certificates, by thumbprint without regard to case.
    pub fn encryption_for(&self, thumbprint: &str) -> Option<&EncryptionInfo> {
        let infos = self.recipients.iter().filter_map(|r| r.encryption.as_ref());
        infos.into_iter().find(|info| info.thumbprint.eq_ignore_ascii_case(thumbprint))
    }
}

/// The Envelope element in a document that may be one, or a SOAP message that carries one.
pub fn find(document: &Document) -> Option<Element<'_>> {
    let root = document.root();
    if root.is(DIV, "Envelope") {
        return Some(root);
    }
    root.descendants().find(|element| element.is(DIV, "Envelope"))
}

/// The octets of an element as its own document: exactly as they stand, but for declarations of prefixes that it uses and
/// only inherits, which are put into its start tag. Declarations that it does not need stay away: inclusive C14N would show
/// them (national-div 4, rule 3).
pub fn cut_out(element: Element<'_>) -> String {
    let own = source_of(element);
    let mut declarations = String::new();
    for prefix in inherited_prefixes(element) {
        let namespace = escape_attribute(element.resolve_prefix(prefix).unwrap_or_default());
        match prefix {
            "" => declarations.push_str(&format!(" xmlns=\"{namespace}\"")),
            prefix => declarations.push_str(&format!(" xmlns:{prefix}=\"{namespace}\"")),
        }
    }
    let name_end = own.find(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>').unwrap_or(own.len());
    [&own[..name_end], &declarations, &own[name_end..]].concat()
}

/// Prefixes used in the subtree whose declaration stands above it.
fn inherited_prefixes<'d>(root: Element<'d>) -> Vec<&'d str> {
    let mut prefixes = Vec::new();
    for element in std::iter::once(root).chain(root.descendants()) {
        let own = (element.prefix(), element.namespace());
        let attributes =
            element.attributes().map(|a| (a.prefix, a.namespace)).filter(|(prefix, _)| !prefix.is_empty());
        for (prefix, namespace) in std::iter::once(own).chain(attributes) {
            let known = prefix == "xml" || namespace.is_empty() || prefixes.contains(&prefix);
            if !known && !declared_within(root, element, prefix) {
                prefixes.push(prefix);
            }
        }
    }
    prefixes
}

fn declared_within(root: Element<'_>, element: Element<'_>, prefix: &str) -> bool {
    let mut at = Some(element);
    while let Some(element) = at {
        if declares(source_of(element), prefix) {
            return true;
        }
        at = element.parent().filter(|_| element != root);
    }
    false
}

/// Whether the start tag at the head of `source` declares `prefix`. Attribute values are passed over.
fn declares(source: &str, prefix: &str) -> bool {
    let name = if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
    let mut quote = None;
    let mut outside = String::new();
    for c in source.chars() {
        match quote {
            Some(end) if c == end => quote = None,
            Some(_) => {}
            None if c == '>' => break,
            None if c == '"' || c == '\'' => quote = Some(c),
            None => outside.push(c),
        }
    }
    outside.split(|c: char| c.is_ascii_whitespace() || c == '=').any(|word| word == name)
}

fn source_of(element: Element<'_>) -> &str {
    let Range { start, end } = element.source_range();
    element.document().source().get(start..end).unwrap_or_default()
}

fn required<'d>(element: Element<'d>, name: &'static str) -> Result<Element<'d>, Error> {
    element.child(DIV, name).ok_or(Error::Malformed { element: name, value: String::new() })
}

fn text(element: Element<'_>, name: &str) -> Option<String> {
    let text = element.child(DIV, name)?.text().trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn required_text(element: Element<'_>, name: &'static str) -> Result<String, Error> {
    text(element, name).ok_or(Error::Malformed { element: name, value: String::new() })
}

fn entries<'d>(element: Element<'d>, list: &str, entry: &'d str) -> impl Iterator<Item = Element<'d>> {
    element.child(DIV, list).into_iter().flat_map(move |list| list.children_named(DIV, entry))
}

fn is_true(text: &str) -> bool {
    matches!(text, "true" | "1")
}

/// A dateTime with zone; without one it is not a moment, and taken as UTC.
fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| format!("{text}Z").parse().ok())
}

fn correspondent(entry: Element<'_>) -> Option<String> {
    if let Some(institution) = entry.child(DIV, "Institution") {
        return text(institution, "Title");
    }
    if let Some(person) = entry.child(DIV, "PrivatePerson") {
        let names = [text(person, "Name"), text(person, "Surname")];
        return Some(names.into_iter().flatten().collect::<Vec<_>>().join(" "));
    }
    text(entry, "InformationSystem")
}

fn file(element: Element<'_>) -> Result<FileEntry, Error> {
    let content = required(element, "Content")?;
    let size = required_text(element, "Size")?;
    let digest = required_text(content, "DigestValue")?;
    let method = required(content, "DigestMethod")?.attribute("Algorithm").unwrap_or_default();
    Ok(FileEntry {
        name: required_text(element, "Name")?,
        mime_type: text(element, "MimeType").unwrap_or_else(|| "application/octet-stream".to_owned()),
        size: size.parse().map_err(|_| Error::Malformed { element: "Size", value: size.clone() })?,
        reference: required_text(content, "ContentReference")?,
        digest_method: method.to_owned(),
        digest: decode_base64(&digest).ok_or(Error::Malformed { element: "DigestValue", value: digest })?,
        compressed: text(element, "Compressed").is_some_and(|t| is_true(&t)),
        appendix_number: text(element, "AppendixNumber").map(appendix).transpose()?,
    })
}

fn appendix(number: String) -> Result<u32, Error> {
    let read = number.trim().parse().ok().filter(|number| *number >= 1);
    read.ok_or(Error::Malformed { element: "AppendixNumber", value: number })
}

fn recipients(transport: Element<'_>) -> Result<Vec<Recipient>, Error> {
    let read = |entry: Element<'_>| {
        let info = entry.child(DIV, "EncryptionInfo");
        Ok(Recipient {
            address: required_text(entry, "RecipientE-Address")?,
            encryption: info.map(encryption).transpose()?,
        })
    };
    let recipients: Vec<Recipient> =
        entries(transport, "Recipients", "RecipientEntry").map(read).collect::<Result<_, Error>>()?;
    if recipients.is_empty() {
        return Err(Error::Malformed { element: "Recipients", value: String::new() });
    }
    Ok(recipients)
}

fn encryption(info: Element<'_>) -> Result<EncryptionInfo, Error> {
    let key = required_text(info, "Key")?;
    Ok(EncryptionInfo {
        key: decode_base64(&key).ok_or(Error::Malformed { element: "EncryptionInfo/Key", value: key })?,
        thumbprint: text(info, "CertificateThumbprint").unwrap_or_default(),
    })
}

fn priority(text: Option<String>) -> Priority {
    match text.as_deref() {
        Some("high") => Priority::High,
        Some("low") => Priority::Low,
        _ => Priority::Normal,
    }
}

fn document_references(sender: Element<'_>) -> Vec<String> {
    let common = sender.descendants().filter(|e| e.is(DIV, "ReferenceEntry"));
    common.filter_map(|entry| text(entry, "RefRegistrationNumber")).collect()
}

fn server(element: Element<'_>) -> ServerMetadata {
    let moment = |name: &str| text(element, name).and_then(|t| time(&t));
    ServerMetadata {
        received: moment("ServerReceivedTime"),
        reference: text(element, "ServerRefNumber").unwrap_or_default(),
        deadline: moment("DeliveryDeadline"),
        available: moment("AvailabilityTime"),
    }
}

pub(super) fn confirmation(entry: Element<'_>) -> Confirmation {
    Confirmation {
        id: entry.attribute("Id").unwrap_or_default().to_owned(),
        recipients: entries(entry, "RelatedRecipients", "E-Address")
            .map(|e| e.text().trim().to_owned())
            .collect(),
        accepted: text(entry, "Status").as_deref() == Some("RecipientAccepted"),
        code: text(entry, "StatusCode"),
        reason: text(entry, "StatusReason"),
    }
}
