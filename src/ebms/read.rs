//! Reads `eb:Messaging` by the rules of the schema and of the profile (as4-wire 1.3).

use super::model::{
    AgreementRef, ErrorEntry, MessageInfo, Messaging, PartInfo, Party, PartyId, Property, PullRequest,
    Receipt, Schema, Service, SignalContent, SignalMessage, Unit, UserMessage,
};
use super::names::{EB, TEST_ACTION, TEST_SERVICE};
use super::{Code, receipt};
use crate::clock::{Timestamp, read_wire_time};
use crate::xml::Element;

/// What is wrong with a header. All of it is the peer's doing.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum Error {
    /// An element or attribute that must be there is not.
    #[error("{parent} has no {name}")]
    Missing {
        /// Local name of the element that lacks it.
        parent: String,
        /// What is missing.
        name: &'static str,
    },
    /// An element stands where the schema does not allow it.
    #[error("{name} may not stand where it does in {parent}")]
    Misplaced {
        /// Local name of the surrounding element.
        parent: String,
        /// Local name of the element.
        name: String,
    },
    /// A value is empty or not of its type.
    #[error("{name} has the value {value:?}, which is not {wanted}")]
    Value {
        /// Element or attribute.
        name: String,
        /// What it holds.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// A value contradicts another one or the profile: two PartyIds, an identifier without type that is no URI, the test
    /// action of another service (EBMS3 5.2.2.9).
    #[error("{name} has the value {value:?}: {rule}")]
    Inconsistent {
        /// Element.
        name: String,
        /// What it holds.
        value: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
}

impl Error {
    /// The code that the peer is told: EBMS:0003 for a contradiction, else EBMS:0009.
    pub fn code(&self) -> Code {
        match self {
            Self::Inconsistent { .. } => Code::ValueInconsistent,
            _ => Code::InvalidHeader,
        }
    }
}

type Read<T> = Result<T, Error>;

impl Messaging {
    /// Reads an `eb:Messaging` element: SignalMessages, then UserMessages, then foreign elements.
    ///
    /// # Errors
    /// [`Error`] for the first rule of the schema or profile that the header breaks.
    pub fn read(messaging: Element<'_>) -> Read<Self> {
        let mut units = Vec::new();
        let mut users = false;
        for unit in messaging.children() {
            if unit.is(EB, "SignalMessage") && !users {
                units.push(Unit::Signal(signal(unit)?));
            } else if unit.is(EB, "UserMessage") {
                users = true;
                units.push(Unit::User(user(unit)?));
            } else if unit.namespace() == EB {
                return Err(misplaced(messaging, unit));
            }
        }
        Ok(Self { units })
    }

    /// The user message, where there is one.
    pub fn user_message(&self) -> Option<&UserMessage> {
        self.units.iter().find_map(|unit| match unit {
            Unit::User(user) => Some(user),
            Unit::Signal(_) => None,
        })
    }
}

/// Walks over the children of an element in the order that a schema sequence gives.
struct Sequence<'d> {
    parent: Element<'d>,
    rest: Vec<Element<'d>>,
    at: usize,
}

impl<'d> Sequence<'d> {
    fn of(parent: Element<'d>) -> Self {
        Self { parent, rest: parent.children().collect(), at: 0 }
    }

    fn maybe(&mut self, name: &str) -> Option<Element<'d>> {
        let next = *self.rest.get(self.at)?;
        next.is(EB, name).then(|| {
            self.at += 1;
            next
        })
    }

    fn need(&mut self, name: &'static str) -> Read<Element<'d>> {
        self.maybe(name).ok_or_else(|| Error::Missing { parent: self.parent.local().into(), name })
    }

    fn end(self) -> Read<()> {
        match self.rest.get(self.at) {
            Some(extra) => Err(misplaced(self.parent, *extra)),
            None => Ok(()),
        }
    }
}

fn misplaced(parent: Element<'_>, child: Element<'_>) -> Error {
    Error::Misplaced { parent: parent.local().into(), name: child.local().into() }
}

fn user(element: Element<'_>) -> Read<UserMessage> {
    let mut seq = Sequence::of(element);
    let info = message_info(seq.need("MessageInfo")?)?;
    let parties = party_info(seq.need("PartyInfo")?);
    let collaboration = collaboration(seq.need("CollaborationInfo")?)?;
    // What is missing altogether is said before what contradicts a rule.
    let (from, to) = parties?;
    let properties = seq.maybe("MessageProperties").map(properties).transpose()?.unwrap_or_default();
    let parts = seq.maybe("PayloadInfo").map(payload_info).transpose()?.unwrap_or_default();
    seq.end()?;
    let (agreement_ref, service, action, conversation_id) = collaboration;
    let mpc = element.attribute("mpc").map(str::to_owned);
    Ok(UserMessage {
        mpc,
        info,
        from,
        to,
        agreement_ref,
        service,
        action,
        conversation_id,
        properties,
        parts,
    })
}

fn message_info(element: Element<'_>) -> Read<MessageInfo> {
    let mut seq = Sequence::of(element);
    let timestamp = date_time(seq.need("Timestamp")?)?;
    let message_id = filled(seq.need("MessageId")?)?;
    let ref_to_message_id = seq.maybe("RefToMessageId").map(filled).transpose()?;
    seq.end()?;
    Ok(MessageInfo { timestamp, message_id, ref_to_message_id })
}

fn party_info(element: Element<'_>) -> Read<(Party, Party)> {
    let mut seq = Sequence::of(element);
    let from = party(seq.need("From")?)?;
    let to = party(seq.need("To")?)?;
    seq.end()?;
    Ok((from, to))
}

fn party(element: Element<'_>) -> Read<Party> {
    let mut seq = Sequence::of(element);
    let first = seq.need("PartyId")?;
    if let Some(second) = seq.maybe("PartyId") {
        return Err(inconsistent(second, "the profile allows exactly one PartyId"));
    }
    let role = filled(seq.need("Role")?)?;
    seq.end()?;
    let id = PartyId { value: typed(first)?, party_type: attribute(first, "type") };
    Ok(Party { id, role })
}

type Collaboration = (Option<AgreementRef>, Service, String, String);

fn collaboration(element: Element<'_>) -> Read<Collaboration> {
    let mut seq = Sequence::of(element);
    let agreement = seq.maybe("AgreementRef").map(agreement).transpose()?;
    let service = seq.need("Service")?;
    let service = Service { value: typed(service)?, service_type: attribute(service, "type") };
    let acted = seq.need("Action")?;
    let action = filled(acted)?;
    if action == TEST_ACTION && service.value != TEST_SERVICE {
        return Err(inconsistent(acted, "the test action is of the test service alone"));
    }
    // ConversationId may be empty: two networks demand just that (networks.md 1).
    let conversation = seq.need("ConversationId")?.text().trim().to_owned();
    seq.end()?;
    Ok((agreement, service, action, conversation))
}

fn agreement(element: Element<'_>) -> Read<AgreementRef> {
    let agreement_type = attribute(element, "type");
    let value = element.text().trim().to_owned();
    if !value.is_empty() && agreement_type.is_none() && !looks_like_uri(&value) {
        return Err(inconsistent(element, "without a type it must be a URI"));
    }
    Ok(AgreementRef { value, agreement_type, pmode: attribute(element, "pmode") })
}

fn properties(element: Element<'_>) -> Read<Vec<Property>> {
    let mut seq = Sequence::of(element);
    // Property+ by the schema, but AS4.NET writes an empty list for a part of which it has nothing to say.
    let mut all = Vec::new();
    while let Some(next) = seq.maybe("Property") {
        all.push(property(next)?);
    }
    seq.end()?;
    Ok(all)
}

fn property(element: Element<'_>) -> Read<Property> {
    let name = attribute(element, "name").filter(|n| !n.is_empty());
    let name = name.ok_or_else(|| Error::Missing { parent: "Property".into(), name: "@name" })?;
    Ok(Property { name, property_type: attribute(element, "type"), value: filled(element)? })
}

fn payload_info(element: Element<'_>) -> Read<Vec<PartInfo>> {
    let mut seq = Sequence::of(element);
    let mut parts = vec![part_info(seq.need("PartInfo")?)?];
    while let Some(next) = seq.maybe("PartInfo") {
        parts.push(part_info(next)?);
    }
    seq.end()?;
    Ok(parts)
}

fn part_info(element: Element<'_>) -> Read<PartInfo> {
    let mut seq = Sequence::of(element);
    let schema = seq.maybe("Schema").map(schema).transpose()?;
    seq.maybe("Description");
    let properties = seq.maybe("PartProperties").map(properties).transpose()?.unwrap_or_default();
    seq.end()?;
    Ok(PartInfo { href: attribute(element, "href"), schema, properties })
}

fn schema(element: Element<'_>) -> Read<Schema> {
    let location = attribute(element, "location")
        .ok_or_else(|| Error::Missing { parent: "Schema".into(), name: "@location" })?;
    Ok(Schema {
        location,
        version: attribute(element, "version"),
        namespace: attribute(element, "namespace"),
    })
}

fn signal(element: Element<'_>) -> Read<SignalMessage> {
    let mut seq = Sequence::of(element);
    let info = message_info(seq.need("MessageInfo")?)?;
    let content = if let Some(pull) = seq.maybe("PullRequest") {
        SignalContent::Pull(PullRequest { mpc: attribute(pull, "mpc") })
    } else if let Some(found) = seq.maybe("Receipt") {
        SignalContent::Receipt(Receipt { references: receipt::references(found)? })
    } else {
        let mut errors = vec![error_entry(seq.need("Error")?)?];
        while let Some(next) = seq.maybe("Error") {
            errors.push(error_entry(next)?);
        }
        SignalContent::Errors(errors)
    };
    seq.end()?;
    Ok(SignalMessage { info, content })
}

fn error_entry(element: Element<'_>) -> Read<ErrorEntry> {
    let need = |name: &'static str| {
        attribute(element, name).ok_or_else(|| Error::Missing { parent: "Error".into(), name })
    };
    let child = |name| element.child(EB, name).map(|e| e.text().trim().to_owned());
    Ok(ErrorEntry {
        code: need("errorCode")?,
        severity: need("severity")?,
        ref_to_message_in_error: attribute(element, "refToMessageInError"),
        short_description: attribute(element, "shortDescription"),
        description: child("Description"),
        detail: child("ErrorDetail"),
    })
}

fn attribute(element: Element<'_>, name: &str) -> Option<String> {
    element.attribute(name).map(|v| v.trim().to_owned())
}

fn filled(element: Element<'_>) -> Read<String> {
    let value = element.text().trim().to_owned();
    if let Some(child) = element.children().next() {
        return Err(misplaced(element, child));
    }
    match value.is_empty() {
        true => Err(Error::Value { name: element.local().into(), value, wanted: "a non-empty string" }),
        false => Ok(value),
    }
}

/// A value with `@type`, or one that is a URI (EBMS3 5.2.2.4, 5.2.2.8).
fn typed(element: Element<'_>) -> Read<String> {
    let value = filled(element)?;
    match element.attribute("type").is_some() || looks_like_uri(&value) {
        true => Ok(value),
        false => Err(inconsistent(element, "without a type it must be a URI")),
    }
}

fn inconsistent(element: Element<'_>, rule: &'static str) -> Error {
    Error::Inconsistent { name: element.local().into(), value: element.text().trim().into(), rule }
}

/// `scheme:` in front (RFC 3986 3.1).
fn looks_like_uri(value: &str) -> bool {
    value.split_once(':').is_some_and(|(scheme, rest)| {
        !rest.is_empty()
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

/// `xsd:dateTime`; a value without zone is UTC (EBMS3 5.2.2.1).
fn date_time(element: Element<'_>) -> Read<Timestamp> {
    let text = element.text().trim().to_owned();
    let bad =
        || Error::Value { name: element.local().into(), value: text.clone(), wanted: "an xsd:dateTime" };
    if !text.contains('T') {
        return Err(bad());
    }
    let zoned =
        text.ends_with('Z') || text.rfind(['+', '-']).is_some_and(|at| at > text.find('T').unwrap_or(0));
    let full = if zoned { text.clone() } else { format!("{text}Z") };
    read_wire_time(&full).ok_or_else(bad)
}
