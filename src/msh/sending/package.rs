//! Stage 2: the header, and each part in the form in which it travels.

use std::io::{Read, Write};

use serde_json::Value;

use super::super::Node;
use super::plan::{Planned, Unplanned};
use crate::ebms::{MessageInfo, PartInfo, Property, Service, UserMessage, names, write_user_message};
use crate::mime::href_of_cid;
use crate::pmode::{Compression, ConversationRule, FourCorners, PMode, correlation};
use crate::store::{Class, Form, Keep, Measure, OutMessage, OutPart};
use crate::wssec;
use crate::{id, store, thread};

/// Media type of octets that nobody canonicalises.
const OPAQUE: &str = "application/octet-stream";

/// A message ready to be sealed.
pub(super) struct Packaged<'m> {
    /// The way.
    pub planned: Planned<'m>,
    /// The `eb:Messaging` header, the same at every attempt.
    pub messaging: String,
    /// The parts in the order of the header.
    pub parts: Vec<PackagedPart>,
    /// Service and Action as written, for the record.
    pub service: (String, Option<String>),
    /// Action as written.
    pub action: String,
    /// Whether this is the first time.
    pub first: bool,
}

/// One part in the form in which it travels.
pub(super) struct PackagedPart {
    /// What the store keeps of it.
    pub part: OutPart,
    /// The form.
    pub form: Form,
    /// Size and digest of that form.
    pub measure: Measure,
    /// Media type before encryption.
    pub media_type: String,
}

/// Makes the header (once) and the missing forms of the parts (once).
pub(super) async fn package<'m>(node: &Node, planned: Planned<'m>) -> Result<Packaged<'m>, Unplanned> {
    keeps_the_rules(&planned)?;
    let mut parts = Vec::with_capacity(planned.message.parts.len());
    for part in &planned.message.parts {
        parts.push(form(node, &planned.pmode, part).await?);
    }
    let user = user_message(node, &planned, &parts)?;
    let (messaging, first) = match &planned.message.messaging {
        Some(kept) => (String::from_utf8_lossy(kept).into_owned(), false),
        None => (write_user_message(&user, &id::xml_id("msg")), true),
    };
    let service = (user.service.value, user.service.service_type);
    Ok(Packaged { messaging, parts, service, action: user.action, first, planned })
}

/// What the profile says of the parts; of the header too, where it is yet to be written. A receiver would refuse it.
fn keeps_the_rules(Planned { message, pmode, .. }: &Planned<'_>) -> Result<(), Unplanned> {
    let (profile, count) = (&pmode.profile, message.parts.len());
    let broken = |what: String| Err(Unplanned::never(what));
    if count > profile.max_parts as usize {
        return broken(format!("{count} parts; the profile allows {}", profile.max_parts));
    }
    let most = profile.max_payload_octets;
    if let Some(part) = message.parts.iter().find(|part| part.original.size > most) {
        let size = part.original.size;
        return broken(format!("part {} has {size} octets; the profile allows {most}", part.cid));
    }
    if message.messaging.is_some() || message.class != Class::Business {
        return Ok(());
    }
    let correlated = correlation(profile, message.ref_to.as_deref(), &conversation(message, pmode));
    correlated.map_err(|broken| Unplanned::never(broken.to_string()))
}

/// ConversationId: where the network wants it empty, what the submission says is for this side alone.
fn conversation(message: &OutMessage, pmode: &PMode) -> String {
    match pmode.profile.conversation_id {
        ConversationRule::Empty => String::new(),
        ConversationRule::Any | ConversationRule::Uuid => message.conversation.clone(),
    }
}

async fn form(node: &Node, pmode: &PMode, part: &OutPart) -> Result<PackagedPart, Unplanned> {
    let form = wanted_form(pmode, part);
    let measure = match (form == part.form, part.sent, form) {
        (true, Some(measure), _) => measure,
        (_, _, Form::Original) => part.original,
        _ => make(node, part, form).await.map_err(|e| Unplanned::later(e.to_string()))?,
    };
    let media_type = match form {
        Form::Gzip => names::GZIP.to_owned(),
        Form::Original if is_text(&part.media_type) => OPAQUE.to_owned(),
        Form::Original | Form::Canonical => part.media_type.clone(),
    };
    Ok(PackagedPart { part: part.clone(), form, measure, media_type })
}

/// What the agreement asks for. XML and text that travel as they are would be digested in another form than their octets
/// (as4-wire 2.3), so they are compressed wherever the agreement leaves the choice. Where it forbids compression, XML travels
/// as its canonical form (model.md 3), and text under a media type that has no rule of its own.
fn wanted_form(pmode: &PMode, part: &OutPart) -> Form {
    let (xml, text) = (wssec::is_xml(&part.media_type), is_text(&part.media_type));
    match pmode.profile.compression {
        Compression::Required => Form::Gzip,
        Compression::Auto if xml || text || part.form == Form::Gzip => Form::Gzip,
        Compression::Off if xml => Form::Canonical,
        Compression::Auto | Compression::Off => Form::Original,
    }
}

fn is_text(media_type: &str) -> bool {
    media_type.trim_start().to_ascii_lowercase().starts_with("text/") && !wssec::is_xml(media_type)
}

/// A form that the store lacks: made once, kept for every recipient.
async fn make(node: &Node, part: &OutPart, form: Form) -> Result<Measure, store::Error> {
    if let Ok(reader) = node.store.open_payload(part.payload, form).await {
        return Ok(reader.measure);
    }
    let reader = node.store.open_payload(part.payload, Form::Original).await?;
    let writer = node.store.spool().writer_keeping(Keep::AsIs);
    let made = thread::apart(|| convert(reader, writer, form));
    let staged = made.map_err(|e| store::Error::of_reading(&e))?.finish()?;
    node.store.add_form(part.payload, form, staged).await
}

fn convert(
    mut reader: store::PayloadReader,
    mut writer: store::SpoolWriter,
    form: Form,
) -> std::io::Result<store::SpoolWriter> {
    match form {
        Form::Gzip => {
            let mut gzip = crate::mime::GzipWriter::new(writer);
            std::io::copy(&mut reader, &mut gzip)?;
            gzip.finish()
        }
        Form::Canonical => {
            let mut canonical = wssec::Canonical::new();
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let count = reader.read(&mut buffer)?;
                if count == 0 {
                    break;
                }
                canonical.push(&buffer[..count], &mut |octets| writer.write_all(octets))?;
            }
            canonical.finish(&mut |octets| writer.write_all(octets))?;
            Ok(writer)
        }
        Form::Original => {
            std::io::copy(&mut reader, &mut writer)?;
            Ok(writer)
        }
    }
}

fn user_message(
    node: &Node,
    planned: &Planned<'_>,
    parts: &[PackagedPart],
) -> Result<UserMessage, Unplanned> {
    let Planned { message, pmode, .. } = planned;
    let (from, to) = pmode.outbound_parties(message.ref_to.is_some());
    let (service, action) = service(message)?;
    Ok(UserMessage {
        mpc: None,
        info: MessageInfo {
            timestamp: node.clock.now(),
            message_id: message.message_id.clone(),
            ref_to_message_id: message.ref_to.clone(),
        },
        from,
        to,
        agreement_ref: pmode.agreement_ref(),
        service,
        action,
        conversation_id: conversation(message, pmode),
        properties: properties(message, pmode),
        parts: parts.iter().map(part_info).collect(),
    })
}

/// Service and Action as the agreement or submission fixed them, else the process and the document type.
fn service(message: &OutMessage) -> Result<(Service, String), Unplanned> {
    let recipient = message.recipient.as_ref();
    let service = match (&message.service, recipient.and_then(|r| r.process.as_deref())) {
        (Some(value), _) => Service { value: value.clone(), service_type: message.service_type.clone() },
        (None, Some(process)) => match process.split_once("::") {
            Some((scheme, value)) => Service { value: value.into(), service_type: Some(scheme.into()) },
            None => Service { value: process.into(), service_type: None },
        },
        (None, None) => return Err(Unplanned::never("neither a service nor a process is known")),
    };
    let action = message.action.clone().or_else(|| recipient.and_then(|r| r.document_type.clone()));
    let action = action.ok_or_else(|| Unplanned::never("neither an action nor a document type is known"))?;
    Ok((service, action))
}

fn properties(message: &OutMessage, pmode: &PMode) -> Vec<Property> {
    let final_recipient = message.final_recipient.as_deref();
    let final_recipient =
        final_recipient.or(message.recipient.as_ref().and_then(|r| r.participant.as_deref()));
    let corners = [
        (names::ORIGINAL_SENDER, message.original_sender.as_deref()),
        (names::FINAL_RECIPIENT, final_recipient),
    ];
    let corners =
        corners.into_iter().filter_map(|(name, value)| corner(pmode.profile.four_corners, name, value?));
    let more = serde_json::from_value::<Vec<Submitted>>(message.properties.clone()).unwrap_or_default();
    corners.chain(more.into_iter().map(Property::from)).collect()
}

fn corner(rule: FourCorners, name: &str, value: &str) -> Option<Property> {
    match (rule, value.split_once("::")) {
        (FourCorners::Off, _) => None,
        (FourCorners::Typed, Some((scheme, value))) => {
            Some(Property { name: name.into(), property_type: Some(scheme.into()), value: value.into() })
        }
        (FourCorners::Typed | FourCorners::Untyped, _) => Some(Property::new(name, value)),
    }
}

#[derive(serde::Deserialize)]
struct Submitted {
    name: String,
    value: String,
    #[serde(default, rename = "type")]
    property_type: Option<String>,
}

impl From<Submitted> for Property {
    fn from(p: Submitted) -> Self {
        Self { name: p.name, property_type: p.property_type, value: p.value }
    }
}

fn part_info(packaged: &PackagedPart) -> PartInfo {
    let mut properties: Vec<Property> =
        packaged.part.properties.iter().map(|(name, value)| Property::new(name, value)).collect();
    let has =
        |properties: &[Property], name: &str| properties.iter().any(|p| p.name.eq_ignore_ascii_case(name));
    if !has(&properties, names::MIME_TYPE) {
        properties.push(Property::new(names::MIME_TYPE, &packaged.part.media_type));
    }
    if packaged.form == Form::Gzip {
        properties.push(Property::new(names::COMPRESSION_TYPE, names::GZIP));
    }
    PartInfo { href: Some(href_of_cid(&packaged.part.cid)), schema: None, properties }
}

/// The forms that were chosen and are not on record.
pub(super) fn forms(packaged: &Packaged<'_>) -> Vec<(u32, Form)> {
    (0..).zip(&packaged.parts).filter(|(_, p)| p.form != p.part.form).map(|(n, p)| (n, p.form)).collect()
}

/// The effective rules, for the record.
pub(super) fn pmode_json(packaged: &Packaged<'_>) -> Value {
    serde_json::to_value(&packaged.planned.pmode).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ebms::PartyId;
    use crate::pmode::{EvidenceRule, Profile};
    use crate::store::PayloadId;

    fn pmode(compression: Compression) -> PMode {
        let party = |value: &str| PartyId { value: value.into(), party_type: None };
        PMode {
            id: "test".into(),
            domain: None,
            own: party("urn:a"),
            peer: party("urn:b"),
            profile: Profile { compression, ..Profile::edelivery_1_15() },
            evidence: EvidenceRule::Rem,
            signature: None,
        }
    }

    fn part(media_type: &str, form: Form) -> OutPart {
        let original = Measure { size: 6, sha256: [0; 32] };
        OutPart {
            payload: PayloadId::new(),
            cid: "a@b".into(),
            media_type: media_type.into(),
            properties: Vec::new(),
            original,
            form,
            sent: None,
        }
    }

    /// A receiver digests text with CRLF line ends and XML in its canonical form (as4-wire 2.3): neither is the octets.
    #[test]
    fn what_a_receiver_would_normalise_is_compressed_where_the_agreement_allows_it() {
        let form = |compression, media_type, held| wanted_form(&pmode(compression), &part(media_type, held));
        for media_type in
            ["text/plain", "Text/CSV; charset=UTF-8", "application/xml", "image/svg+xml", "text/xml"]
        {
            assert_eq!(form(Compression::Auto, media_type, Form::Original), Form::Gzip, "{media_type}");
        }
        assert_eq!(form(Compression::Auto, "image/jpeg", Form::Original), Form::Original);
        assert_eq!(form(Compression::Auto, "application/pdf", Form::Gzip), Form::Gzip);
        assert_eq!(form(Compression::Required, "image/jpeg", Form::Original), Form::Gzip);
        assert_eq!(form(Compression::Off, "application/xml", Form::Gzip), Form::Canonical);
        assert_eq!(form(Compression::Off, "text/plain", Form::Gzip), Form::Original);
    }
}
