//! Stage 2: which message unit this is, and under which processing mode it comes.
//!
//! Raises EBMS:0009 (structure), EBMS:0003 (contradictions), EBMS:0010 (no processing mode) and EBMS:0011 (a payload that
//! is no part of the message). What is read here is not verified yet: it chooses the rules, and `secure` confirms it.

use super::super::Node;
use super::reject::Refusal;
use super::unpack::{Rest, Unpacked};
use crate::ebms::{Code, Messaging, SignalContent, Unit, UserMessage};
use crate::pmode::PMode;
use crate::soap::{Envelope, Version};
use crate::wssec::{self, Document, Header};

/// A user message with its rules.
pub(super) struct Identified {
    /// The envelope.
    pub document: Document,
    /// Where Messaging, Body and Security stand in it.
    pub header: Header,
    /// The message, not yet verified.
    pub message: UserMessage,
    /// The rules.
    pub pmode: PMode,
    /// The MIME parts.
    pub rest: Option<Rest>,
}

/// Reads the header and finds the processing mode.
pub(super) fn identify(node: &Node, unpacked: Unpacked) -> Result<Identified, Refusal> {
    let Unpacked { document, rest } = unpacked;
    let envelope = Envelope::locate(&document).map_err(|e| invalid(e.to_string()))?;
    if envelope.version() != Version::V12 {
        return Err(invalid("a SOAP 1.1 envelope under the media type of SOAP 1.2".into()));
    }
    let unknown = envelope.not_understood(wssec::UNDERSTOOD);
    if !unknown.is_empty() {
        return Err(invalid(format!(
            "header blocks that must be understood but are not: {}",
            unknown.join(", ")
        )));
    }
    let header = Header::locate(&document).map_err(|e| invalid(e.to_string()))?;
    let messaging = Messaging::read(document.element(header.messaging()))
        .map_err(|e| Refusal::new(e.code(), e.to_string()))?;
    let message = the_user_message(messaging)?;
    let about = |refusal: Refusal| refusal.about(&message);
    let pmode = node.agreements.inbound(&message, header.shown_signature(&document));
    let pmode = pmode.map_err(|e| about(Refusal::new(Code::ProcessingModeMismatch, e.to_string())))?;
    payloads_inside(&message, rest.is_some()).map_err(|r| about(r).under(&pmode))?;
    Ok(Identified { document, header, message, pmode, rest })
}

fn invalid(reason: String) -> Refusal {
    Refusal::new(Code::InvalidHeader, reason)
}

/// Exactly one user message and nothing beside it: this endpoint offers one-way push, and signals come on responses only.
fn the_user_message(messaging: Messaging) -> Result<UserMessage, Refusal> {
    let mut units = messaging.units.into_iter();
    match (units.next(), units.next()) {
        (Some(Unit::User(message)), None) => Ok(message),
        (Some(Unit::Signal(signal)), None) => Err(match signal.content {
            SignalContent::Pull(_) => {
                Refusal::new(Code::ProcessingModeMismatch, "nothing can be pulled here")
                    .id(&signal.info.message_id)
            }
            // A signal is never answered with a signal: two nodes would go on for ever.
            SignalContent::Receipt(_) | SignalContent::Errors(_) => Refusal::http(
                hyper::StatusCode::BAD_REQUEST,
                "receipts and errors are taken on the response to the message only",
            ),
        }),
        (None, _) => Err(invalid("the Messaging header holds no message unit".into())),
        (Some(_), Some(_)) => {
            Err(Refusal::new(Code::ValueInconsistent, "more than one message unit in one message"))
        }
    }
}

/// Payloads are MIME parts: neither the Body nor somewhere else (EDEL115 1.4.2.3).
fn payloads_inside(message: &UserMessage, multipart: bool) -> Result<(), Refusal> {
    for part in &message.parts {
        let href = part.href.as_deref().unwrap_or("#body");
        if !href.starts_with("cid:") {
            let reason = format!("the payload {href:?} is not a part of this message");
            return Err(Refusal::new(Code::ExternalPayloadError, reason));
        }
        if !multipart {
            let reason = format!("the payload {href:?} is named but the message has no parts");
            return Err(Refusal::new(Code::ExternalPayloadError, reason));
        }
    }
    Ok(())
}
