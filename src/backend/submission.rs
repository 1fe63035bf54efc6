//! Submission: on the call, ends with "accepted" once everything is durable.
//!
//! ```text
//! adapter -> Draft -> validate -> route each recipient -> one transaction -> Submitted
//! ```
//!
//! A recipient that cannot be routed fails alone, with the reason as its evidence; the others go on (model.md 5).

use serde_json::{Value, json};

use super::document::SbdhDocument;
use super::routes::{Route, Unroutable};
use super::{Office, envelope};
use crate::clock::{SignedDuration, Timestamp, wire_time};
use crate::crash::{self, Point};
use crate::ebms::names;
use crate::id;
use crate::pmode::{Scope, Service};
use crate::status::{EvidenceProfile, Policy, Row, Signal};
use crate::store::{
    self, Class, NewEvidence, NewMessage, NewPart, NewRecipient, NewSubmission, PARTNER, StagedPayload,
    Store, Submitted,
};
use crate::xml::is_xml_char;

/// A test is receipted and never evidenced (model.md 2): its receipt is all that will come.
const TEST: EvidenceProfile = EvidenceProfile::ReceiptOnly;
/// Most recipients of one submission.
pub const MAX_RECIPIENTS: usize = 1000;
/// Largest description or envelope, in octets.
pub const DESCRIPTION: u64 = 64 << 20;

/// What an adapter hands over.
pub struct Draft {
    /// The backend.
    pub channel: String,
    /// Its own id for the message.
    pub client_id: String,
    /// The octets that stand for the message in its digest, besides the payloads.
    pub envelope: Vec<u8>,
    /// Title, sender and whatever readers should see.
    pub metadata: Value,
    /// ConversationId; a new one when absent.
    pub conversation: Option<String>,
    /// RefToMessageId.
    pub ref_to: Option<String>,
    /// Business or test.
    pub class: Class,
    /// For the business envelope that is made here where the network demands one.
    pub sbdh: Option<SbdhDocument>,
    /// The payloads, once for all recipients.
    pub payloads: Vec<StagedPayload>,
    /// At least one.
    pub recipients: Vec<DraftRecipient>,
}

/// One recipient as an adapter sees it.
pub struct DraftRecipient {
    /// Its address as the backend wrote it.
    pub address: String,
    /// Participant and route, or why there is none.
    pub target: Result<Target, Unroutable>,
    /// originalSender, `scheme::value`.
    pub original_sender: String,
    /// Document type; the route's default when absent.
    pub document_type: Option<String>,
    /// Process; the route's default when absent.
    pub process: Option<String>,
    /// When the recipient should have acted; from the route's `take_within` when absent.
    pub deadline: Option<Timestamp>,
    /// More message properties: name, type, value.
    pub properties: Vec<(String, Option<String>, String)>,
    /// The parts in order.
    pub parts: Vec<NewPart>,
}

/// A recipient that can be routed.
pub struct Target {
    /// `scheme::value`.
    pub participant: String,
    /// Its route.
    pub route: Route,
}

/// Why a submission is refused as a whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The backend's fault.
    #[error("{what} {problem}")]
    Invalid {
        /// Which field.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Our store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// A field of the backend's that does not do.
    pub fn invalid(what: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { what, problem: problem.into() }
    }
}

/// Takes a submission over: the same id and content gives the present one, the same id and other content a conflict.
///
/// # Errors
/// [`Error::Invalid`] for the backend to mend; [`Error::Store`] when nothing was stored.
pub async fn submit(office: &Office, draft: Draft) -> Result<Submitted, Error> {
    validate(&draft)?;
    let now = office.clock.now();
    let draft = envelope::enclose(office, draft, now)?;
    let conversation = draft.conversation.unwrap_or_else(|| id::row_id().to_string());
    let shared = Shared { office, now, conversation, ref_to: draft.ref_to, class: draft.class };
    let recipients = draft.recipients.into_iter().map(|r| shared.recipient(r)).collect();
    let channel = draft.channel.clone();
    crash::at(Point::SubmitBegun);
    let new = NewSubmission {
        channel: draft.channel,
        client_id: draft.client_id,
        envelope: draft.envelope,
        metadata: draft.metadata,
        payloads: draft.payloads,
        recipients,
    };
    let submitted = to_its_end(office.store.clone(), new).await?;
    crash::at(Point::SubmitCommitted);
    if let Submitted::Created(id) = submitted {
        tracing::info!(submission.id = %id, channel, "submission accepted");
        metrics::counter!(crate::metrics::SUBMITTED, "channel" => channel).increment(1);
    }
    Ok(submitted)
}

/// A caller that hangs up is dropped where it stands. Storing is not: between a payload's file and its row that would leave a
/// file that nobody names.
async fn to_its_end(store: Store, new: NewSubmission) -> Result<Submitted, store::Error> {
    let storing = tokio::spawn(async move { store.submit(new).await });
    storing.await.unwrap_or(Err(store::Error::Closed))
}

fn validate(draft: &Draft) -> Result<(), Error> {
    if draft.client_id.trim().is_empty() || draft.client_id.len() > 200 {
        return Err(Error::invalid("client_id", "must have 1 to 200 characters"));
    }
    count(draft.recipients.len())?;
    for (what, text) in header(draft) {
        travels(what, text)?;
    }
    for recipient in &draft.recipients {
        for (name, _, value) in &recipient.properties {
            if name.trim().is_empty() || value.trim().is_empty() {
                return Err(Error::invalid("properties", format!("{name:?} must have a name and a value")));
            }
            if [names::ORIGINAL_SENDER, names::FINAL_RECIPIENT].contains(&name.as_str()) {
                let problem =
                    format!("{name:?} is written by the access point: give original_sender and recipients");
                return Err(Error::invalid("properties", problem));
            }
        }
        if let Some(part) = recipient.parts.iter().find(|p| reserved(p)) {
            let problem =
                format!("of part {:?} must not be set: the access point compresses by itself", part.cid);
            return Err(Error::invalid("property CompressionType", problem));
        }
    }
    Ok(())
}

/// So many recipients.
pub(super) fn count(recipients: usize) -> Result<(), Error> {
    match recipients {
        0 => Err(Error::invalid("recipients", "is empty; name at least one")),
        1..=MAX_RECIPIENTS => Ok(()),
        _ => {
            let problem = format!("has more than {MAX_RECIPIENTS} entries; submit them in groups");
            Err(Error::invalid("recipients", problem))
        }
    }
}

/// What of a draft stands in the header of messages, and in the store.
fn header(draft: &Draft) -> impl Iterator<Item = (&'static str, &str)> {
    let one =
        [("client_id", Some(draft.client_id.as_str())), ("conversation_id", draft.conversation.as_deref())];
    let one = one.into_iter().chain([("ref_to_message_id", draft.ref_to.as_deref())]);
    let each = draft.recipients.iter().flat_map(|recipient| {
        let of_whom = [("participant", &recipient.address), ("original_sender", &recipient.original_sender)];
        let about = [("document_type", &recipient.document_type), ("process", &recipient.process)];
        let properties = recipient
            .properties
            .iter()
            .flat_map(|(name, kind, value)| [Some(name), kind.as_ref(), Some(value)]);
        let parts = recipient.parts.iter().flat_map(|part| {
            let own = part.properties.iter().flat_map(|(name, value)| [name, value]);
            [&part.cid, &part.media_type].into_iter().chain(own).map(|text| ("parts", Some(text.as_str())))
        });
        let of_whom = of_whom.into_iter().map(|(what, text)| (what, Some(text.as_str())));
        let about = about.into_iter().map(|(what, text)| (what, text.as_deref()));
        let properties = properties.map(|text| ("properties", text.map(String::as_str)));
        of_whom.chain(about).chain(properties).chain(parts)
    });
    one.chain(each).filter_map(|(what, text)| Some((what, text?)))
}

/// A message is XML, which has no word for some characters; nor has PostgreSQL for U+0000.
fn travels(what: &'static str, text: &str) -> Result<(), Error> {
    match text.chars().find(|c| !is_xml_char(*c)) {
        Some(c) => {
            let problem =
                format!("{text:?} holds U+{:04X}, which no message can carry: leave it out", c as u32);
            Err(Error::invalid(what, problem))
        }
        None => Ok(()),
    }
}

/// CompressionType is set by the access point only (as4-wire 1.5).
fn reserved(part: &NewPart) -> bool {
    part.properties.iter().any(|(name, _)| name.eq_ignore_ascii_case(names::COMPRESSION_TYPE))
}

struct Shared<'o> {
    office: &'o Office,
    now: Timestamp,
    conversation: String,
    ref_to: Option<String>,
    class: Class,
}

impl Shared<'_> {
    fn recipient(&self, draft: DraftRecipient) -> NewRecipient {
        match draft.target {
            Ok(Target { ref participant, ref route }) => {
                let (participant, route) = (participant.clone(), route.clone());
                self.sendable(draft, participant, &route)
            }
            Err(ref why) => {
                let why = why.to_string();
                self.failed(draft, why)
            }
        }
    }

    fn sendable(&self, draft: DraftRecipient, participant: String, route: &Route) -> NewRecipient {
        let deadline = draft.deadline.or_else(|| route.take_within.map(|within| later(self.now, within)));
        let test = self.class == Class::Test;
        let Scope { service, action } = agreed(&draft, route);
        let terms = route.terms_of(&Scope { service: service.clone(), action: action.clone() });
        let (service, service_type) = service.map(|s| (s.value, s.service_type)).unzip();
        let fixed = |value: Option<String>, name: &str| if test { Some(name.to_owned()) } else { value };
        NewRecipient {
            address: draft.address,
            participant: Some(participant),
            domain: route.name.clone(),
            deadline,
            policy: if test { Policy::for_profile(TEST) } else { terms.policy },
            profile: if test { TEST } else { terms.profile },
            original_sender: draft.original_sender,
            document_type: draft.document_type.or_else(|| route.document_type.clone()),
            process: draft.process.or_else(|| route.process.clone()),
            service: fixed(service, names::TEST_SERVICE),
            service_type: service_type.flatten().filter(|_| !test),
            action: fixed(action, names::TEST_ACTION),
            properties: properties(
                draft.properties,
                deadline.filter(|_| !test && terms.profile.expects_evidence()),
            ),
            parts: draft.parts,
            message: Some(NewMessage {
                message_id: id::message_id(&self.office.domain),
                conversation: self.conversation.clone(),
                ref_to: self.ref_to.clone(),
                class: self.class,
                send_until: route.send_within.map(|within| later(self.now, within)),
            }),
            evidence: Vec::new(),
        }
    }

    fn failed(&self, draft: DraftRecipient, why: String) -> NewRecipient {
        let profile = EvidenceProfile::ReceiptOnly;
        let row = Row::local(Signal::Rejected, self.now, format!("unroutable-{}", id::row_id())).because(why);
        NewRecipient {
            address: draft.address,
            participant: None,
            domain: String::new(),
            deadline: draft.deadline,
            policy: Policy::for_profile(profile),
            profile,
            original_sender: draft.original_sender,
            document_type: draft.document_type,
            process: draft.process,
            service: None,
            service_type: None,
            action: None,
            properties: json!([]),
            parts: Vec::new(),
            message: None,
            evidence: vec![NewEvidence::statement(row)],
        }
    }
}

/// Service, with its type, and Action towards a static partner: what the submission says, else what its first agreement says.
/// They choose among several agreements. In a domain both follow from process and document type when the header is made.
pub(super) fn agreed(draft: &DraftRecipient, route: &Route) -> Scope {
    if !route.name.starts_with(PARTNER) {
        return Scope::default();
    }
    let process = draft.process.as_deref().map(|process| match process.split_once("::") {
        Some((scheme, value)) => Service { value: value.to_owned(), service_type: Some(scheme.to_owned()) },
        None => Service { value: process.to_owned(), service_type: None },
    });
    let first = &route.terms.scope;
    let action = draft.document_type.clone().or_else(|| first.action.clone());
    let typed = process.map(|process| route.typed(process, action.as_deref()));
    Scope { service: typed.or_else(|| first.service.clone()), action }
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The deadline travels as a property, only where the agreement says rem (model.md 4).
fn properties(more: Vec<(String, Option<String>, String)>, deadline: Option<Timestamp>) -> Value {
    let deadline = deadline.map(|at| (names::DEADLINE.to_owned(), None, wire_time(at)));
    let all = more.into_iter().chain(deadline);
    all.map(|(name, kind, value)| json!({ "name": name, "type": kind, "value": value })).collect()
}
