//! The description of a submission, as REST and the folder adapter read it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::submission::{Draft, DraftRecipient, Error, Target};
use super::{Backend, Office, submission};
use crate::clock::Timestamp;
use crate::id;
use crate::store::{Class, NewPart, StagedPayload};

/// Longest Content-ID of a producer that travels.
const LONGEST_CONTENT_ID: usize = 200;

/// A submission: one message to one or more recipients, each with a status of its own.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Your own id for the message. The same id with the same content is taken once.
    pub client_id: Option<String>,
    /// originalSender, `scheme::value`.
    pub original_sender: Option<String>,
    /// Who gets it.
    pub recipients: Vec<RecipientDocument>,
    /// Domain or partner; found by the participant when absent.
    pub domain: Option<String>,
    /// Document type, `scheme::value`; the domain's default when absent.
    pub document_type: Option<String>,
    /// Process, `scheme::value`; the domain's default when absent.
    pub process: Option<String>,
    /// Title, for people; not sent.
    pub title: Option<String>,
    /// ConversationId; a new one when absent.
    pub conversation_id: Option<String>,
    /// MessageId of the message that this one answers.
    pub ref_to_message_id: Option<String>,
    /// A message to the test service: receipted, delivered to nobody.
    #[serde(default)]
    pub test: bool,
    /// More message properties.
    #[serde(default)]
    pub properties: Vec<PropertyDocument>,
    /// The business envelope of networks that demand one (Peppol), where the payload comes without it.
    pub sbdh: Option<SbdhDocument>,
    /// The parts in their order; all parts as they come when absent.
    #[serde(default)]
    pub parts: Vec<PartDocument>,
}

/// One recipient.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecipientDocument {
    /// finalRecipient, `scheme::value`.
    pub participant: String,
    /// Until when the recipient may take the message, RFC 3339.
    #[schema(value_type = Option<String>, example = "2026-12-24T12:00:00Z")]
    pub deadline: Option<Timestamp>,
}

/// What goes into the header of a business envelope (SBDH) besides sender, recipient, document type and process.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SbdhDocument {
    /// COUNTRY_C1: country of the sender, ISO 3166-1 alpha-2.
    #[schema(example = "LV")]
    pub country_c1: Option<String>,
    /// InstanceIdentifier: names the envelope worldwide; a new UUID when absent.
    pub instance_identifier: Option<String>,
    /// TypeVersion; the last part of the document type when absent.
    pub type_version: Option<String>,
    /// MLS_TO: where message level statuses go, a participant.
    pub mls_to: Option<String>,
    /// MLS_TYPE: `FAILURE_ONLY` or `ALWAYS_SEND`.
    pub mls_type: Option<String>,
}

/// One message property.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PropertyDocument {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
    /// Type.
    #[serde(rename = "type")]
    pub property_type: Option<String>,
}

/// What is said of one part.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PartDocument {
    /// Content-ID of the multipart part (REST), which it keeps on the wire where it has the form `word@word`; or name of the
    /// file (folder).
    pub id: String,
    /// Media type; the part's own when absent.
    pub media_type: Option<String>,
    /// Part properties.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// A payload that was taken in.
pub struct Part {
    /// Content-ID or file name.
    pub id: String,
    /// The Content-ID under which the producer wants it to travel.
    pub content_id: Option<String>,
    /// Media type.
    pub media_type: String,
    /// File name.
    pub name: Option<String>,
    /// Its octets.
    pub staged: StagedPayload,
}

impl Document {
    /// Reads the JSON of a description.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what serde says.
    pub fn read(octets: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(octets)
            .map_err(|e| Error::invalid("description", format!("is not right: {e}")))
    }

    /// The draft of a submission. `octets` are the description as it came; `client_id` stands in for an absent one.
    ///
    /// # Errors
    /// [`Error::Invalid`] where description and parts do not fit together.
    pub fn draft(
        self,
        office: &Office,
        backend: &Backend,
        octets: Vec<u8>,
        parts: Vec<Part>,
        client_id: Option<String>,
    ) -> Result<Draft, Error> {
        // Each of them gets all that is said: a long list is refused before that.
        submission::count(self.recipients.len())?;
        let (names, payloads) = self.arrange(parts)?;
        let asked = self.domain.as_deref().or(backend.route.as_deref());
        let sender = self.original_sender.clone();
        let sender =
            sender.ok_or_else(|| Error::invalid("original_sender", "is missing; give scheme::value"))?;
        let recipients = self.recipients.iter().map(|r| DraftRecipient {
            address: r.participant.clone(),
            target: office
                .routes
                .participant(&r.participant, asked)
                .map(|route| Target { participant: r.participant.clone(), route: route.clone() }),
            original_sender: sender.clone(),
            document_type: self.document_type.clone(),
            process: self.process.clone(),
            deadline: r.deadline,
            properties: self.properties.iter().map(PropertyDocument::triple).collect(),
            parts: names.clone(),
        });
        Ok(Draft {
            channel: backend.id.clone(),
            client_id: self.client_id.clone().or(client_id).unwrap_or_default(),
            envelope: octets,
            metadata: self.metadata(),
            conversation: self.conversation_id.clone(),
            ref_to: self.ref_to_message_id.clone(),
            class: if self.test { Class::Test } else { Class::Business },
            sbdh: self.sbdh.clone(),
            payloads,
            recipients: recipients.collect(),
        })
    }

    fn metadata(&self) -> Value {
        json!({ "title": self.title, "sender": self.original_sender })
    }

    /// Parts in the order of the description, or as they came.
    fn arrange(&self, mut came: Vec<Part>) -> Result<(Vec<NewPart>, Vec<StagedPayload>), Error> {
        let mut ordered = Vec::with_capacity(came.len());
        for described in &self.parts {
            let at = came.iter().position(|p| p.id == described.id);
            let at = at.ok_or_else(|| {
                Error::invalid("parts", format!("name {:?}, which did not come", described.id))
            })?;
            ordered.push((came.remove(at), Some(described)));
        }
        if let (false, Some(extra)) = (self.parts.is_empty(), came.first()) {
            return Err(Error::invalid("parts", format!("do not name {:?}, which came", extra.id)));
        }
        ordered.extend(came.into_iter().map(|part| (part, None)));
        let mut names = Vec::with_capacity(ordered.len());
        let mut payloads = Vec::with_capacity(ordered.len());
        for (index, (part, described)) in ordered.into_iter().enumerate() {
            names.push(new_part(index, &part, described));
            payloads.push(part.staged);
        }
        Ok((names, payloads))
    }
}

impl PropertyDocument {
    fn triple(&self) -> (String, Option<String>, String) {
        (self.name.clone(), self.property_type.clone(), self.value.clone())
    }
}

/// The producer's Content-ID (EDEL115 1.4.2.3) where it is one that every reader of `cid:` URLs takes for the same: RFC 2392
/// lets some escape what others do not. Else one of ours: unique, and without a backend's file names.
fn content_id(wanted: Option<&str>) -> String {
    let plain =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    let halves = wanted.filter(|id| id.len() <= LONGEST_CONTENT_ID).and_then(|id| id.split_once('@'));
    match halves {
        Some((left, right)) if plain(left) && plain(right) => format!("{left}@{right}"),
        _ => format!("{}@tilts", id::row_id()),
    }
}

fn new_part(index: usize, part: &Part, described: Option<&PartDocument>) -> NewPart {
    let media_type = described.and_then(|d| d.media_type.clone()).unwrap_or_else(|| part.media_type.clone());
    let mut properties: Vec<(String, String)> =
        described.into_iter().flat_map(|d| d.properties.clone()).collect();
    let named = properties.iter().any(|(name, _)| name == "name");
    if let (false, Some(name)) = (named, &part.name) {
        properties.push(("name".into(), name.clone()));
    }
    NewPart { payload: index, cid: content_id(part.content_id.as_deref()), media_type, properties }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_content_ids_that_nobody_escapes_travel() {
        assert_eq!(content_id(Some("letter-1.a@producer.example")), "letter-1.a@producer.example");
        let long = format!("{}@x", "a".repeat(200));
        for odd in ["letter", "a+b@x", "a%20b@x", "a@b@c", "@x", "a@", "a b@x", "<a@x>", &long] {
            assert!(content_id(Some(odd)).ends_with("@tilts"), "{odd}");
        }
        assert!(content_id(None).ends_with("@tilts"));
    }
}
