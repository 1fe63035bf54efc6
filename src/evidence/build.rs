//! The evidence that a receiving side owes the sender.

use openssl::pkey::{PKey, Private};

use super::Error;
use super::names::{Event, NAMESPACE, Root, Spelling};
use crate::clock::{Timestamp, wire_time};
use crate::pki::Certificate;
use crate::xml::{C14n, Writer};
use crate::xmlsec::DigestAlgorithm;
use crate::xmlsec::names::DS;
use crate::xmlsec::xades::{self, Signing, Style};

/// Version of the schema.
const VERSION: &str = "2.1.1";

/// What happened to a message at the receiving side (model 4, "Sending evidence").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// It is at the backend's disposal.
    AtDisposal,
    /// The recipient took it.
    Taken,
    /// The recipient refused it, for this reason.
    Refused(String),
    /// The recipient did not take it in time.
    Expired,
    /// It cannot be delivered, for this reason.
    Undeliverable(String),
}

impl Happening {
    /// Root and event.
    pub const fn names(&self) -> (Root, Event) {
        match self {
            Self::AtDisposal => (Root::DeliveryNonDeliveryToRecipient, Event::Delivery),
            Self::Taken => (Root::RetrievalNonRetrievalByRecipient, Event::Retrieval),
            Self::Refused(_) => (Root::AcceptanceRejectionByRecipient, Event::Rejection),
            Self::Expired => (Root::RetrievalNonRetrievalByRecipient, Event::RetrievalExpiration),
            Self::Undeliverable(_) => (Root::DeliveryNonDeliveryToRecipient, Event::NonDelivery),
        }
    }

    fn reason(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::AtDisposal | Self::Taken => None,
            Self::Refused(why) => Some(("RecipientRejection", why)),
            Self::Expired => Some(("RetentionPeriodExpired", "")),
            Self::Undeliverable(why) => Some(("TechnicalMalfunction", why)),
        }
    }
}

/// What a piece of evidence says.
#[derive(Debug, Clone)]
pub struct NewRem {
    /// What happened.
    pub happening: Happening,
    /// When, by our clock.
    pub event_time: Timestamp,
    /// EvidenceIdentifier, new.
    pub identifier: String,
    /// When the message reached us.
    pub submission_time: Option<Timestamp>,
    /// Who says so: our PartyId.
    pub issuer: String,
    /// originalSender of the message, `scheme::value`.
    pub sender: String,
    /// finalRecipient of the message, `scheme::value`.
    pub recipient: String,
    /// MessageId of the message.
    pub message_id: String,
    /// SHA-256 of its first part.
    pub digest: Option<[u8; 32]>,
    /// How the agreement's profile spells codes.
    pub spelling: Spelling,
}

/// Evidence ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The octets.
    pub octets: Vec<u8>,
    /// The AS4 Action.
    pub action: &'static str,
}

/// Builds and signs a piece of evidence with the evidence key (or the signing key, model 4).
///
/// # Errors
/// [`Error::Signing`] when the key cannot sign.
pub fn build(new: &NewRem, certificate: &Certificate, key: &PKey<Private>) -> Result<Signed, Error> {
    let (root, event) = new.happening.names();
    let id = crate::id::xml_id("evidence");
    let text = unsigned(new, (root, &event), &id);
    let at = text.rfind("</").unwrap_or(text.len());
    let signature_id = format!("signature-{id}");
    let signing = Signing { certificate, key, at: new.event_time, id: &signature_id, targets: &[""] };
    let octets = xades::sign(&text, at, &style(), &signing)?.into_bytes();
    Ok(Signed { octets, action: root.local() })
}

/// Enveloped, exclusive C14N, RSA-SHA256 (ECDSA for an EC key, EdDSA for Ed25519), SigningCertificate: the schema knows no V2 (model 4).
fn style() -> Style {
    Style {
        c14n: C14n::exclusive(),
        digest: DigestAlgorithm::Sha256,
        certificate_digest: DigestAlgorithm::Sha256,
        properties_transform: true,
        key_value: false,
    }
}

fn unsigned(new: &NewRem, (root, event): (Root, &Event), id: &str) -> String {
    let mut xml = Writer::new();
    xml.start(&format!("rem:{}", root.local()))
        .attr("xmlns:rem", NAMESPACE)
        .attr("xmlns:ds", DS)
        .attr("version", VERSION)
        .attr("Id", id);
    xml.leaf("rem:EventCode", &new.spelling.event(event));
    if let Some((word, why)) = new.happening.reason() {
        xml.start("rem:EventReasons").start("rem:EventReason").leaf("rem:Code", &new.spelling.reason(word));
        if !why.is_empty() {
            xml.leaf("rem:Details", why);
        }
        xml.end().end();
    }
    xml.leaf("rem:EvidenceIdentifier", &new.identifier);
    xml.start("rem:EvidenceIssuerDetails").start("rem:NamesPostalAddresses").start("rem:NamePostalAddress");
    xml.start("rem:EntityName").leaf("rem:Name", &new.issuer).end().end().end().end();
    xml.leaf("rem:EventTime", &wire_time(new.event_time));
    if let Some(at) = new.submission_time {
        xml.leaf("rem:SubmissionTime", &wire_time(at));
    }
    xml.start("rem:SenderDetails");
    address(&mut xml, &new.sender);
    xml.end().start("rem:RecipientsDetails").start("rem:EntityDetails");
    address(&mut xml, &new.recipient);
    xml.end().end();
    message(&mut xml, new);
    xml.into_string()
}

fn address(xml: &mut Writer, participant: &str) {
    let scheme = participant.split_once("::").map_or("", |(scheme, _)| scheme);
    xml.start("rem:AttributedElectronicAddress");
    if !scheme.is_empty() {
        xml.attr("scheme", scheme);
    }
    // The schema wants a URI, and `0218:...` is none: no scheme begins with a digit.
    xml.text(participant).end();
}

/// MessageSubject is required and must not carry personal data (model 4).
fn message(xml: &mut Writer, new: &NewRem) {
    xml.start("rem:SenderMessageDetails").attr("isNotification", "false");
    xml.leaf("rem:MessageSubject", "-");
    xml.leaf("rem:MessageIdentifierByREMMD", &new.message_id);
    if let Some(digest) = &new.digest {
        use base64::Engine as _;
        xml.start("ds:DigestMethod").attr("Algorithm", DigestAlgorithm::Sha256.uri()).end();
        xml.leaf("ds:DigestValue", &base64::engine::general_purpose::STANDARD.encode(digest));
    }
    xml.end();
}
