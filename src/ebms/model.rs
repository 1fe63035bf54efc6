//! The message units as values.

use serde::{Deserialize, Serialize};

use super::codes::{Code, Severity};
use super::names;
use crate::clock::Timestamp;
use crate::xmlsec::SignedReference;

/// The content of one `eb:Messaging` header block: its units in document order.
#[derive(Debug, Clone, PartialEq)]
pub struct Messaging {
    /// Signals come before user messages (XSD-EB).
    pub units: Vec<Unit>,
}

/// One message unit.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "there is one or two of them per message")]
pub enum Unit {
    /// A user message.
    User(UserMessage),
    /// A receipt, error or pull request.
    Signal(SignalMessage),
}

/// `eb:MessageInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageInfo {
    /// When the unit was made. A value without zone is UTC (EBMS3 5.2.2.1).
    pub timestamp: Timestamp,
    /// RFC 2822 msg-id without angle brackets.
    pub message_id: String,
    /// MessageId of the unit that this one answers.
    pub ref_to_message_id: Option<String>,
}

/// `eb:PartyId`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PartyId {
    /// The identifier.
    pub value: String,
    /// Its type; absent only where the value is a URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party_type: Option<String>,
}

/// `eb:From` or `eb:To`: exactly one PartyId in this profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Who.
    pub id: PartyId,
    /// In which role.
    pub role: String,
}

/// `eb:Service`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Service {
    /// The service.
    pub value: String,
    /// Its type; absent only where the value is a URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_type: Option<String>,
}

/// `type::value`, or the value alone: the process that a message is for, as SMP and SBDH spell it.
impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.service_type {
            Some(scheme) => write!(f, "{scheme}::{}", self.value),
            None => f.write_str(&self.value),
        }
    }
}

/// `eb:AgreementRef`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreementRef {
    /// The agreement.
    pub value: String,
    /// Its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement_type: Option<String>,
    /// The P-Mode id that the sender names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pmode: Option<String>,
}

/// `eb:Property`, of a message or of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Property {
    /// Name, compared case-sensitively when written.
    pub name: String,
    /// Type; in the corrected OASIS schema only, and supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property_type: Option<String>,
    /// Value, not empty.
    pub value: String,
}

impl Property {
    /// A property without type.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), property_type: None, value: value.into() }
    }
}

/// `eb:Schema` of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// Where it lies.
    pub location: String,
    /// Its version.
    pub version: Option<String>,
    /// Its target namespace.
    pub namespace: Option<String>,
}

/// `eb:PartInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartInfo {
    /// `cid:` reference; absent means the SOAP Body, which eDelivery forbids.
    pub href: Option<String>,
    /// Schema of the payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Schema>,
    /// Properties in document order.
    pub properties: Vec<Property>,
}

impl PartInfo {
    /// The value of a property; the name is compared without case, as deployed peers do on reading.
    pub fn property(&self, name: &str) -> Option<&str> {
        find(&self.properties, name)
    }

    /// Whether the sender says that it compressed the part.
    pub fn is_compressed(&self) -> bool {
        self.property(names::COMPRESSION_TYPE).is_some()
    }
}

/// `eb:UserMessage`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserMessage {
    /// Message partition channel; the default one when absent.
    pub mpc: Option<String>,
    /// Ids and time.
    pub info: MessageInfo,
    /// The sending access point.
    pub from: Party,
    /// The receiving access point.
    pub to: Party,
    /// The agreement in force.
    pub agreement_ref: Option<AgreementRef>,
    /// What kind of exchange.
    pub service: Service,
    /// What within it.
    pub action: String,
    /// Ties the messages of one conversation together.
    pub conversation_id: String,
    /// Message properties in document order.
    pub properties: Vec<Property>,
    /// Parts in document order; the first is the leading business document.
    pub parts: Vec<PartInfo>,
}

impl UserMessage {
    /// The value of a message property.
    pub fn property(&self, name: &str) -> Option<&str> {
        find(&self.properties, name)
    }

    /// A participant among the properties, `scheme::value`: originalSender or finalRecipient. The scheme stands in `@type` in one
    /// spelling, in the value in the other.
    pub fn corner(&self, name: &str) -> Option<String> {
        let property = self.properties.iter().find(|p| p.name.eq_ignore_ascii_case(name))?;
        Some(match &property.property_type {
            Some(scheme) if !property.value.contains("::") => format!("{scheme}::{}", property.value),
            _ => property.value.clone(),
        })
    }

    /// Whether this is a message to the test service (EBMS3 5.2.2.8).
    pub fn is_test(&self) -> bool {
        self.service.value == names::TEST_SERVICE && self.action == names::TEST_ACTION
    }
}

/// `eb:SignalMessage`.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalMessage {
    /// Ids and time.
    pub info: MessageInfo,
    /// What it says.
    pub content: SignalContent,
}

/// What a signal says.
#[derive(Debug, Clone, PartialEq)]
pub enum SignalContent {
    /// A receipt.
    Receipt(Receipt),
    /// One or more errors about one message.
    Errors(Vec<ErrorEntry>),
    /// A request to pull.
    Pull(PullRequest),
}

/// `eb:Receipt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The references in its NonRepudiationInformation; `None` for a receipt of reception awareness only.
    pub references: Option<Vec<SignedReference>>,
}

/// `eb:Error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorEntry {
    /// `EBMS:nnnn`, as written.
    pub code: String,
    /// As written: `failure`, `warning`, and from some peers `fatal` or `error`.
    pub severity: String,
    /// MessageId that it is about.
    pub ref_to_message_in_error: Option<String>,
    /// Short description.
    pub short_description: Option<String>,
    /// Longer description.
    pub description: Option<String>,
    /// Detail.
    pub detail: Option<String>,
}

impl ErrorEntry {
    /// An error of the table about a message, with nothing but the table's text.
    pub fn of(code: Code, about: Option<&str>) -> Self {
        Self {
            code: code.code().into(),
            severity: code.severity().word().into(),
            ref_to_message_in_error: about.map(Into::into),
            short_description: Some(code.short_description().into()),
            description: Some(code.text().into()),
            detail: None,
        }
    }

    /// Anything that is not a warning is a failure: peers also write `fatal` and `error` (as4-wire 3.2).
    pub fn severity(&self) -> Severity {
        match self.severity.trim().eq_ignore_ascii_case("warning") {
            true => Severity::Warning,
            false => Severity::Failure,
        }
    }
}

/// `eb:PullRequest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Message partition channel; the default one when absent.
    pub mpc: Option<String>,
}

fn find<'p>(properties: &'p [Property], name: &str) -> Option<&'p str> {
    properties.iter().find(|p| p.name.eq_ignore_ascii_case(name)).map(|p| p.value.as_str())
}
