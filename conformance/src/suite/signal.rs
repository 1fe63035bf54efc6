//! Signals that the suite answers with as receiving handler.

use std::fmt::Write as _;

use anyhow::Result;

use super::capture::Opened;
use crate::as4::{EB, WSU, body, envelope, of_element, security};
use crate::ca::Identity;

const EBBP: &str = "http://docs.oasis-open.org/ebxml-bp/ebbp-signals-2.0";

/// What a receipt is made of; [`Receipt::to`] gives one that breaks no rule.
#[derive(Clone)]
pub struct Receipt {
    /// MessageId of the message that it is about.
    pub about: String,
    /// ds:Reference elements, each canonical.
    pub references: Vec<String>,
}

impl Receipt {
    /// The right receipt to a message.
    pub fn to(message: &Opened) -> Result<Self> {
        let references = message.references()?.into_iter().map(|r| r.canonical("")).collect();
        Ok(Self { about: message.value("MessageId"), references })
    }

    /// The SignalMessage, in canonical form inside Messaging.
    pub fn signal(&self) -> String {
        let references: String = self
            .references
            .iter()
            .map(|r| format!("<ebbp:MessagePartNRInformation>{r}</ebbp:MessagePartNRInformation>"))
            .collect();
        format!(
            "<eb:SignalMessage>{}<eb:Receipt><ebbp:NonRepudiationInformation xmlns:ebbp=\"{EBBP}\">{references}\
             </ebbp:NonRepudiationInformation></eb:Receipt></eb:SignalMessage>",
            info(&self.about)
        )
    }
}

fn info(about: &str) -> String {
    let id = uuid::Uuid::new_v4();
    format!(
        "<eb:MessageInfo><eb:Timestamp>{}</eb:Timestamp><eb:MessageId>{id}@suite.example</eb:MessageId>\
         <eb:RefToMessageId>{about}</eb:RefToMessageId></eb:MessageInfo>",
        now()
    )
}

/// The time as an xsd:dateTime in UTC.
#[allow(clippy::disallowed_methods, reason = "signals bear the real time")]
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

/// An error signal about a message.
pub fn error(about: &str, code: &str, severity: &str, short: &str) -> String {
    let mut text = format!("<eb:SignalMessage>{}", info(about));
    let _ = write!(
        text,
        "<eb:Error category=\"Communication\" errorCode=\"{code}\" origin=\"ebMS\" refToMessageInError=\"{about}\" \
         severity=\"{severity}\" shortDescription=\"{short}\"></eb:Error></eb:SignalMessage>"
    );
    text
}

/// The envelope around signals, signed where a signer is given.
pub fn envelope_of(signals: &str, signer: Option<&Identity>) -> Result<String> {
    let messaging = format!(
        "<eb:Messaging xmlns:eb=\"{EB}\" xmlns:wsu=\"{WSU}\" wsu:Id=\"messaging\">{signals}</eb:Messaging>"
    );
    let empty = body("body");
    let Some(signer) = signer else { return Ok(envelope(&[&messaging], &empty)) };
    let security = security(signer, &[of_element("messaging", &messaging), of_element("body", &empty)])?;
    Ok(envelope(&[&messaging, &security], &empty))
}
