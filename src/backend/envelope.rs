//! Business envelopes of networks that demand one: checked on what comes in, checked or made on what goes out.
//!
//! Receiving asks [`examine`] before the receipt, through the trait `Admission`; submission calls [`enclose`].

use serde_json::{Value, json};

use super::Office;
use super::document::SbdhDocument;
use super::routes::Route;
use super::submission::{Draft, DraftRecipient, Error, agreed};
use crate::clock::Timestamp;
use crate::ebms::{UserMessage, names};
use crate::id;
use crate::pmode::{Envelope, Opening};
use crate::sbdh::{
    self, Bare, COUNTRY_C1, DOCUMENT_ID, DOCUMENT_SCHEME, Header, Identifier, MLS_TO, MLS_TYPE,
    PARTICIPANT_SCHEME, PROCESS_ID, PROCESS_SCHEME, Rules, Scope,
};
use crate::store::{Class, Keep, StagedPayload};
use crate::thread;

const _: () = assert!(Opening::OCTETS == sbdh::OPENING);

/// Checks the envelope of a received message: it is there, keeps its rules, and says what the AS4 header says
/// (envelopes-evidence 1.2). The text is for the sender.
pub(super) fn examine(message: &UserMessage, opening: Option<&Opening>) -> Result<(), String> {
    let opening = opening.ok_or("no payload part; one is wanted, with an SBDH")?;
    let found = sbdh::open(&opening.octets, opening.whole).map_err(|e| e.to_string())?;
    let sbdh::Opening::Envelope(envelope) = found else {
        return Err("the payload is no StandardBusinessDocument".to_owned());
    };
    envelope.check(Rules::Peppol).map_err(|e| e.to_string())?;
    let said = Said {
        sender: &message.corner(names::ORIGINAL_SENDER).unwrap_or_default(),
        recipient: &message.corner(names::FINAL_RECIPIENT).unwrap_or_default(),
        document_type: Some(&message.action),
        process: Some(&message.service.to_string()),
    };
    said.agrees(&envelope.header)
}

/// What stands beside an envelope: in the AS4 header or in a submission.
struct Said<'s> {
    sender: &'s str,
    recipient: &'s str,
    document_type: Option<&'s str>,
    process: Option<&'s str>,
}

impl Said<'_> {
    /// Participants are compared without case, document types and processes with it (Peppol policy for identifiers).
    fn agrees(&self, header: &Header) -> Result<(), String> {
        let parties = [
            ("originalSender", self.sender, &header.sender),
            ("finalRecipient", self.recipient, &header.receiver),
        ];
        for (name, said, found) in parties {
            if !said.eq_ignore_ascii_case(&found.to_string()) {
                return Err(differs(name, said, &found.to_string()));
            }
        }
        let scopes = [
            ("document type", self.document_type, DOCUMENT_SCHEME, header.document_type()),
            ("process", self.process, PROCESS_SCHEME, header.process()),
        ];
        for (name, said, scheme, found) in scopes {
            let (Some(said), Some(found)) = (said, found) else { continue };
            if Identifier::parse(said, scheme) != found {
                return Err(differs(name, said, &found.to_string()));
            }
        }
        Ok(())
    }
}

fn differs(name: &str, said: &str, found: &str) -> String {
    format!("the {name} is {said:?}, the SBDH says {found:?}")
}

/// Gives every recipient in a network with business envelopes its own: the one that came is checked against the submission,
/// a document without one is put into one. Tests carry no business document.
///
/// # Errors
/// [`Error::Invalid`] for the backend to mend; nothing is stored then.
pub(super) fn enclose(office: &Office, mut draft: Draft, now: Timestamp) -> Result<Draft, Error> {
    let count = draft.recipients.iter().filter(|r| wants(r)).count();
    let sbdh = draft.sbdh.take();
    if draft.class == Class::Test || count == 0 {
        let routed = draft.recipients.iter().any(|r| r.target.is_ok());
        return match sbdh {
            Some(_) if routed => {
                Err(Error::invalid("sbdh", "is given, but nothing here travels in an envelope"))
            }
            _ => Ok(draft),
        };
    }
    if draft.ref_to.is_some() {
        return Err(Error::invalid("ref_to_message_id", "must not be given: the network knows no answers"));
    }
    if count > 1 && sbdh.as_ref().is_some_and(|sbdh| sbdh.instance_identifier.is_some()) {
        return Err(Error::invalid("sbdh.instance_identifier", "is for one recipient only"));
    }
    let desk = Desk { office, sbdh: sbdh.as_ref(), now };
    let (mut made, mut told) = (Vec::new(), Vec::new());
    for recipient in draft.recipients.iter_mut().filter(|r| wants(r)) {
        let (header, wrapped) = thread::apart(|| desk.envelope(recipient, &draft.payloads))?;
        told.push(json!({ "participant": recipient.address, "instance": header.instance }));
        let payload = wrapped.is_some().then_some(draft.payloads.len() + made.len());
        address(recipient, &header, payload);
        made.extend(wrapped);
    }
    draft.payloads.append(&mut made);
    if let Value::Object(metadata) = &mut draft.metadata {
        metadata.insert("sbdh".into(), Value::Array(told));
    }
    compact(&mut draft);
    Ok(draft)
}

/// The recipient and its only part, as the envelope says; `payload` is the index of the one that was made here.
fn address(recipient: &mut DraftRecipient, header: &Header, payload: Option<usize>) {
    recipient.document_type = header.document_type().map(|id| id.to_string());
    recipient.process = header.process().map(|id| id.to_string());
    for part in &mut recipient.parts {
        part.media_type = "application/xml".into();
        // No file name travels in this network (Peppol AS4 2.0.3, 10).
        part.properties.retain(|(name, _)| name != "name");
        part.payload = payload.unwrap_or(part.payload);
    }
}

fn wants(recipient: &DraftRecipient) -> bool {
    let envelope = |route: &Route| route.terms_of(&agreed(recipient, route)).envelope;
    recipient.target.as_ref().is_ok_and(|target| envelope(&target.route) == Envelope::Sbdh)
}

fn only_part(recipient: &DraftRecipient) -> Result<usize, Error> {
    match recipient.parts.as_slice() {
        [part] => Ok(part.payload),
        parts => {
            let problem = format!("are {}; the network carries exactly one business document", parts.len());
            Err(Error::invalid("parts", problem))
        }
    }
}

/// Drops the payloads that no recipient names any more.
fn compact(draft: &mut Draft) {
    let mut kept = Vec::with_capacity(draft.payloads.len());
    let mut parts: Vec<_> = draft.recipients.iter_mut().flat_map(|r| &mut r.parts).collect();
    for (index, payload) in draft.payloads.drain(..).enumerate() {
        let mut named: Vec<_> = parts.extract_if(.., |part| part.payload == index).collect();
        if !named.is_empty() {
            named.iter_mut().for_each(|part| part.payload = kept.len());
            kept.push(payload);
        }
    }
    draft.payloads = kept;
}

/// What one envelope is made from.
struct Desk<'d> {
    office: &'d Office,
    sbdh: Option<&'d SbdhDocument>,
    now: Timestamp,
}

impl Desk<'_> {
    /// The header of what will be sent, and the payload if it was made here.
    fn envelope(
        &self,
        recipient: &DraftRecipient,
        payloads: &[StagedPayload],
    ) -> Result<(Header, Option<StagedPayload>), Error> {
        let came = &payloads[only_part(recipient)?];
        let opening = Opening::read(came.open()?, came.size()).map_err(unread)?;
        match sbdh::open(&opening.octets, opening.whole).map_err(unfit)? {
            sbdh::Opening::Envelope(_) if self.sbdh.is_some() => Err(Error::invalid(
                "sbdh",
                "is given, but the business document comes in an envelope of its own",
            )),
            sbdh::Opening::Envelope(envelope) => {
                envelope.check(Rules::Peppol).map_err(unfit)?;
                said(recipient).agrees(&envelope.header).map_err(|problem| {
                    Error::invalid("the business envelope", format!("does not fit: {problem}"))
                })?;
                Ok((envelope.header, None))
            }
            sbdh::Opening::Bare(bare) => {
                let header = self.header(recipient, &bare)?;
                let mut writer = self.office.store.spool().writer_keeping(Keep::Compressed);
                sbdh::wrap(&header, &bare, &mut came.open()?, &mut writer).map_err(unfit)?;
                Ok((header, Some(writer.finish()?.standing_for(came))))
            }
        }
    }

    fn header(&self, recipient: &DraftRecipient, bare: &Bare) -> Result<Header, Error> {
        let route = recipient.target.as_ref().map(|target| &target.route).ok();
        let said = |own: &Option<String>, default: Option<&String>, scheme: &str| {
            own.as_ref().or(default).map(|text| Identifier::parse(text, scheme))
        };
        let document_type =
            said(&recipient.document_type, route.and_then(|r| r.document_type.as_ref()), DOCUMENT_SCHEME);
        let document_type = document_type.ok_or_else(|| Error::invalid("document_type", "is missing"))?;
        let process = said(&recipient.process, route.and_then(|r| r.process.as_ref()), PROCESS_SCHEME);
        let process = process.ok_or_else(|| Error::invalid("process", "is missing"))?;
        names_the_document(&document_type, bare)?;
        let participant = recipient.target.as_ref().map_or(&recipient.address, |target| &target.participant);
        let own = self.sbdh.cloned().unwrap_or_default();
        let header = Header {
            version: "1.0".into(),
            sender: Identifier::parse(&recipient.original_sender, PARTICIPANT_SCHEME),
            receiver: Identifier::parse(participant, PARTICIPANT_SCHEME),
            standard: bare.root.namespace.clone(),
            type_version: own.type_version.clone().or_else(|| last(&document_type)).unwrap_or_default(),
            instance: own.instance_identifier.clone().unwrap_or_else(|| id::row_id().to_string()),
            document: bare.root.local.clone(),
            created: self.now,
            scopes: self.scopes(&document_type, &process)?,
        };
        let envelope = sbdh::Envelope { header, content: bare.root.clone() };
        envelope.check(Rules::Peppol).map_err(unfit)?;
        Ok(envelope.header)
    }

    fn scopes(&self, document_type: &Identifier, process: &Identifier) -> Result<Vec<Scope>, Error> {
        let country = self.sbdh.and_then(|sbdh| sbdh.country_c1.as_deref()).ok_or_else(|| {
            let problem = "is missing: the business document comes without its envelope, and whoever makes one needs it";
            Error::invalid("sbdh.country_c1", problem)
        })?;
        let mut scopes = vec![
            Scope::of(DOCUMENT_ID, document_type),
            Scope::of(PROCESS_ID, process),
            Scope::plain(COUNTRY_C1, country),
        ];
        if let Some(to) = self.sbdh.and_then(|sbdh| sbdh.mls_to.as_deref()) {
            scopes.push(Scope::of(MLS_TO, &Identifier::parse(to, PARTICIPANT_SCHEME)));
        }
        if let Some(kind) = self.sbdh.and_then(|sbdh| sbdh.mls_type.as_deref()) {
            scopes.push(Scope::plain(MLS_TYPE, kind));
        }
        Ok(scopes)
    }
}

/// What the submission says beside a ready envelope; document type and process only where it names them itself.
fn said(recipient: &DraftRecipient) -> Said<'_> {
    let participant = recipient.target.as_ref().map_or(&recipient.address, |target| &target.participant);
    Said {
        sender: &recipient.original_sender,
        recipient: participant,
        document_type: recipient.document_type.as_deref(),
        process: recipient.process.as_deref(),
    }
}

/// Document types of XML name namespace and root of the document: `namespace::local##...::version`.
fn names_the_document(document_type: &Identifier, bare: &Bare) -> Result<(), Error> {
    let named = document_type.value.split_once("##").and_then(|(root, _)| root.rsplit_once("::"));
    match named {
        Some((namespace, local)) if namespace == bare.root.namespace && local == bare.root.local => Ok(()),
        None => Ok(()),
        Some(_) => {
            let root = format!("{{{}}}{}", bare.root.namespace, bare.root.local);
            Err(Error::invalid(
                "document_type",
                format!("{document_type} names another document than {root}"),
            ))
        }
    }
}

fn last(document_type: &Identifier) -> Option<String> {
    document_type.value.rsplit_once("::").map(|(_, version)| version.to_owned())
}

fn unfit(error: sbdh::Error) -> Error {
    match error {
        sbdh::Error::Io(error) => unread(error),
        other => Error::invalid("the business document", format!("cannot be sent: {other}")),
    }
}

fn unread(error: std::io::Error) -> Error {
    Error::Store(crate::store::Error::Io { path: "spool".into(), source: std::sync::Arc::new(error) })
}
