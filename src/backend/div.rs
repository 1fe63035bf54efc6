//! The national side: DIV envelopes become submissions, messages from abroad become envelopes (model.md 5).
//!
//! An envelope comes by `POST /div/messages` or as a folder in `div-out/`; a message from abroad is left in `div-in/` as
//! `envelope.xml` and its files. The answer to one is a rename, as in the folder adapter.

use std::io::{self, Read};
use std::path::Path;

use openssl::pkey::{PKey, Private};
use openssl::sha::Sha512;
use serde_json::json;

use super::delivery::Error as DeliveryError;
use super::document::Part;
use super::folder::{self, Content};
use super::routes::{Form as WireForm, Route, Unroutable};
use super::submission::{self, Draft, DraftRecipient, Target};
use super::{Backend, Office, outbox};
use crate::div::{self, ALIAS_PREFIX, Envelope, LocalRecipient, MOST_FILES, NewEnvelope, NewFile, Origin};
use crate::pki::{Certificate, TrustStore};
use crate::store::{self, Class, DeliveryView, Form, Keep, NewPart, StagedPayload, Submitted};
use crate::xml::{Document, Limits};
use crate::{id, thread};

/// Folder of messages from abroad.
pub const IN: &str = "div-in";
/// Folder of envelopes to be sent abroad.
pub const OUT: &str = "div-out";
/// Name of the envelope in a folder.
const ENVELOPE: &str = "envelope.xml";
/// Name under which a foreign DIV envelope is kept among the files.
const ORIGINAL: &str = "original-envelope.xml";
/// Largest original content of one attachment, in octets.
const MOST_OCTETS: u64 = 8 << 30;

/// What the national side needs.
pub struct National {
    /// Anchors of envelope signers.
    pub trust: TrustStore,
    /// Signs envelopes of messages from abroad; its private key also opens attachments encrypted for us.
    pub certificate: Certificate,
    /// Its private key.
    pub key: PKey<Private>,
    /// E-address of the unit in whose name messages from abroad are handed in.
    pub sender: String,
}

/// Why an envelope is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The envelope, its signature or an attachment: HTTP 422, nothing stored.
    #[error(transparent)]
    Envelope(div::Error),
    /// The submission.
    #[error(transparent)]
    Submission(#[from] submission::Error),
    /// There is no `[div]` in the configuration.
    #[error("this node takes no envelopes: its configuration has no [div]")]
    NotNational,
}

impl From<div::Error> for Error {
    fn from(error: div::Error) -> Self {
        match error {
            // Our disk, not the sender's envelope: it is to come again.
            div::Error::Io(error) => store::Error::of_writing(&error).into(),
            error => Self::Envelope(error),
        }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Submission(error.into())
    }
}

/// Takes an envelope with its attachments over. Identity is (sender address, SenderRefNumber).
///
/// # Errors
/// [`Error::Envelope`] when signature or attachments do not hold: nothing is stored.
pub async fn submit(
    office: &Office,
    backend: &Backend,
    octets: &[u8],
    files: Vec<Part>,
) -> Result<(Submitted, String), Error> {
    let draft = draft(office, backend, octets, files).await?;
    let client_id = draft.client_id.clone();
    Ok((submission::submit(office, draft).await?, client_id))
}

async fn draft(office: &Office, backend: &Backend, octets: &[u8], files: Vec<Part>) -> Result<Draft, Error> {
    let national = office.div.as_ref().ok_or(Error::NotNational)?;
    let alone = stand_alone(octets)?;
    let signatures = thread::apart(|| div::verify(alone.as_bytes()))?;
    signatures.trusted_sender(&national.trust, office.clock.now())?;
    let envelope = Envelope::parse(alone.as_bytes())?;
    if envelope.files.len() > MOST_FILES {
        let problem =
            format!("{} files; {MOST_FILES} can cross the border in one message", envelope.files.len());
        return Err(submission::Error::invalid("files", problem).into());
    }
    let original_sender = original_sender(office, &envelope).await?;
    let mut payloads = vec![stage_octets(office, alone.as_bytes())?];
    payloads.extend(thread::apart(|| open_all(office, national, &envelope, files))?);
    let recipients =
        envelope.recipients.iter().map(|r| recipient(office, &envelope, &r.address, &original_sender));
    Ok(Draft {
        channel: backend.id.clone(),
        client_id: format!("{}/{}", envelope.sender, envelope.sender_ref),
        envelope: alone.clone().into_bytes(),
        metadata: json!({ "title": envelope.title, "sender": original_sender, "kind": envelope.kind }),
        conversation: None,
        ref_to: None,
        class: Class::Business,
        sbdh: None,
        payloads,
        recipients: recipients.collect(),
    })
}

/// The envelope cut out of whatever carried it, as it was signed.
fn stand_alone(octets: &[u8]) -> Result<String, Error> {
    let limits = Limits { max_octets: 64 << 20, ..Limits::default() };
    let document = Document::parse(octets, &limits).map_err(div::Error::from)?;
    let root = document.root();
    let missing =
        || div::Error::NoEnvelope { namespace: root.namespace().into(), local: root.local().into() };
    let found = div::find(&document).ok_or_else(missing)?;
    Ok(if found == root { document.source().to_owned() } else { div::cut_out(found) })
}

/// A personal code never leaves in an address: a private sender is a random alias abroad.
async fn original_sender(office: &Office, envelope: &Envelope) -> Result<String, Error> {
    Ok(match div::origin(&envelope.sender) {
        Origin::Participant(participant) => participant,
        Origin::Private => {
            let alias = office.store.alias_for(&envelope.sender).await?;
            format!("{ALIAS_PREFIX}{alias}")
        }
    })
}

fn stage_octets(office: &Office, octets: &[u8]) -> Result<StagedPayload, Error> {
    let mut writer = office.store.spool().writer_keeping(Keep::Compressed);
    io::Write::write_all(&mut writer, octets).map_err(|error| store::Error::of_writing(&error))?;
    Ok(writer.finish()?)
}

/// The files in the order of the envelope, with their original content: decrypted, unpacked, SHA-512 checked.
fn open_all(
    office: &Office,
    national: &National,
    envelope: &Envelope,
    mut came: Vec<Part>,
) -> Result<Vec<StagedPayload>, Error> {
    let thumbprint = hex::encode(national.certificate.sha1());
    let info = envelope.encryption_for(&thumbprint);
    let key = info.map(|info| div::unwrap_key(info, &national.key)).transpose()?;
    let mut opened = Vec::with_capacity(envelope.files.len());
    for file in &envelope.files {
        let missing = || div::Error::Attachment {
            name: file.name.clone(),
            problem: format!("its content {:?} did not come", file.reference),
        };
        let at = came.iter().position(|p| p.id == file.reference || p.id == file.name).ok_or_else(missing)?;
        let part = came.remove(at);
        let mut reader = part.staged.open()?;
        let mut writer = office.store.spool().writer_keeping(Keep::Compressed);
        let found = div::open_attachment(file, key.as_ref(), &mut reader, &mut writer, MOST_OCTETS)?;
        if found.digest_of_ciphertext {
            tracing::warn!(file = file.reference, "the digest in the envelope is that of the cipher text");
        }
        opened.push(writer.finish()?);
    }
    match came.first() {
        Some(extra) => {
            let problem = "came but is not named in the envelope".to_owned();
            Err(div::Error::Attachment { name: extra.id.clone(), problem }.into())
        }
        None => Ok(opened),
    }
}

fn recipient(office: &Office, envelope: &Envelope, address: &str, original_sender: &str) -> DraftRecipient {
    let target = office
        .routes
        .eaddress(address)
        .map(|(participant, route)| Target { participant, route: route.clone() });
    let (parts, properties) = match &target {
        Ok(target) => (parts(&target.route, envelope), properties(&target.route, envelope)),
        Err(_) => (Vec::new(), Vec::new()),
    };
    DraftRecipient {
        address: address.to_owned(),
        target: target.map_err(|why: Unroutable| why),
        original_sender: original_sender.to_owned(),
        document_type: None,
        process: None,
        deadline: envelope.deadline,
        properties,
        parts,
    }
}

/// Form `div`: the envelope, then the files; form `plain`: the files alone.
fn parts(route: &Route, envelope: &Envelope) -> Vec<NewPart> {
    let part = |payload: usize, media_type: &str, name: &str| NewPart {
        payload,
        cid: format!("{}@tilts", id::row_id()),
        media_type: media_type.to_owned(),
        properties: vec![("name".to_owned(), name.to_owned())],
    };
    let first = (route.form == WireForm::Div).then(|| part(0, "application/xml", ENVELOPE));
    let files = envelope.files.iter().enumerate();
    let files = files.map(|(index, file)| part(index + 1, &file.mime_type, &file.name));
    first.into_iter().chain(files).collect()
}

fn properties(route: &Route, envelope: &Envelope) -> Vec<(String, Option<String>, String)> {
    match route.form {
        WireForm::Div => Vec::new(),
        WireForm::Plain if envelope.title.trim().is_empty() => Vec::new(),
        WireForm::Plain => vec![("title".into(), None, envelope.title.clone())],
    }
}

/// Submits every folder in `div-out/` that is ready.
pub async fn collect(office: &Office, backend: &Backend, root: &Path) -> Result<(), DeliveryError> {
    let outbox = root.join(OUT);
    let mut held = None;
    for (from, stem) in outbox::ready(office, &outbox)? {
        if held.is_some() && outbox::has_large(&from) {
            continue;
        }
        let taken = match take(office, backend, &from).await {
            Ok((submitted, _)) => Ok(submitted),
            Err(Error::Submission(error)) => Err(error),
            Err(error) => Err(submission::Error::invalid("envelope", error.to_string())),
        };
        if let Err(error) = outbox::finish(&outbox, &from, &stem, taken) {
            held = Some(outbox::of_large(error)?);
        }
    }
    held.map_or(Ok(()), Err)
}

async fn take(office: &Office, backend: &Backend, from: &Path) -> Result<(Submitted, String), Error> {
    let octets = outbox::described(&from.join(ENVELOPE));
    let octets = octets.map_err(|error| outbox::unreadable("envelope", &error))?;
    let names = thread::apart(|| folder::entries(from));
    let mut files = Vec::new();
    for name in names.map_err(|e| submission::Error::invalid("folder", e.to_string()))? {
        if name != ENVELOPE && name != outbox::STATUS {
            let staged = outbox::stage(office, &from.join(&name))?;
            let media_type = "application/octet-stream".to_owned();
            files.push(Part { id: name.clone(), media_type, name: Some(name), content_id: None, staged });
        }
    }
    submit(office, backend, &octets, files).await
}

/// Leaves a message from abroad in `div-in/`: a new envelope signed by our connection, and the files.
pub(super) async fn put(office: &Office, root: &Path, delivery: &DeliveryView) -> Result<(), DeliveryError> {
    let national =
        office.div.as_ref().ok_or_else(|| DeliveryError::Form("the configuration has no [div]".into()))?;
    let names = file_names(delivery);
    let recipient = local_recipient(office, delivery).await?;
    let mut files = Vec::with_capacity(names.len());
    let mut described = Vec::with_capacity(names.len());
    for (part, name) in delivery.message.parts.iter().zip(&names) {
        let mut reader = office.store.open_payload(part.payload, Form::Original).await?;
        let sha512 = thread::apart(|| digest(&mut reader)).map_err(folder::folder(root))?;
        let (size, mime_type) = (part.original.size, part.media_type.clone());
        described.push(NewFile { name: name.clone(), mime_type, size, sha512 });
        let reader = office.store.open_payload(part.payload, Form::Original).await?;
        files.push((name.clone(), Content::Payload(reader)));
    }
    let new = new_envelope(national, delivery, recipient, described, office.clock.now());
    let envelope = div::build(&new, &national.certificate, &national.key);
    let envelope = envelope.map_err(|e| DeliveryError::Form(e.to_string()))?;
    files.push((ENVELOPE.into(), Content::Octets(envelope)));
    let still = folder::waits(office, delivery);
    folder::place(&root.join(IN), &delivery.id.to_string(), files, still).await
}

fn new_envelope(
    national: &National,
    delivery: &DeliveryView,
    recipient: String,
    files: Vec<NewFile>,
    at: crate::clock::Timestamp,
) -> NewEnvelope {
    let message = &delivery.message;
    let author = message.original_sender.clone().unwrap_or_else(|| message.from.0.clone());
    let title = property(delivery, "title").unwrap_or_else(|| format!("Message from {author}"));
    NewEnvelope {
        sender: national.sender.clone(),
        sender_ref: div::reference_number(&message.from.0, &message.message_id),
        author,
        title,
        recipients: vec![recipient],
        files,
        at,
        deadline: delivery.deadline,
        trace: None,
    }
}

fn property(delivery: &DeliveryView, name: &str) -> Option<String> {
    let all = delivery.message.properties.as_array()?;
    let found = all.iter().find(|p| p["name"] == name)?;
    found["value"].as_str().map(str::to_owned)
}

/// A foreign DIV envelope is kept among the files under a name of its own; the others keep theirs, made unique.
fn file_names(delivery: &DeliveryView) -> Vec<String> {
    let given = delivery.message.parts.iter().enumerate().map(|(index, part)| {
        let name = part.properties.iter().find(|(name, _)| name == "name").map(|(_, value)| value.as_str());
        match name {
            Some(ENVELOPE) if index == 0 => Some(ORIGINAL),
            other => other,
        }
    });
    div::unique_names(given)
}

async fn local_recipient(office: &Office, delivery: &DeliveryView) -> Result<String, DeliveryError> {
    let participant = delivery.message.final_recipient.clone().unwrap_or_default();
    let unknown = || DeliveryError::Form(format!("{participant:?} is no e-address here"));
    match div::local_recipient(office.routes.addresses(), &participant).ok_or_else(unknown)? {
        LocalRecipient::Address(address) => Ok(address),
        LocalRecipient::Alias(alias) => office.store.address_of(&alias).await?.ok_or_else(unknown),
    }
}

fn digest(reader: &mut dyn Read) -> io::Result<[u8; 64]> {
    let mut hash = Sha512::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hash.finish()),
            count => hash.update(&buffer[..count]),
        }
    }
}
