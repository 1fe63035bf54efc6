//! Writes `eb:Messaging`, self-contained: every namespace that it uses is declared on it, so that the octets can
//! be kept and sent again unchanged (promise 2 of the design). It is written in the canonical form in which it is signed.

use super::model::{ErrorEntry, MessageInfo, PartInfo, Party, Property, UserMessage};
use super::names::{EB, EBBP, WSU};
use crate::clock::wire_time;
use crate::soap::SOAP12;
use crate::xml::Writer;

/// The `eb:Messaging` header block of a user message. `xml_id` becomes its `wsu:Id`.
pub fn write_user_message(message: &UserMessage, xml_id: &str) -> String {
    let mut w = open(xml_id);
    w.start("eb:UserMessage");
    if let Some(mpc) = &message.mpc {
        w.attr("mpc", mpc);
    }
    message_info(&mut w, &message.info);
    w.start("eb:PartyInfo");
    party(&mut w, "eb:From", &message.from);
    party(&mut w, "eb:To", &message.to);
    w.end();
    collaboration(&mut w, message);
    properties(&mut w, "eb:MessageProperties", &message.properties);
    payload_info(&mut w, &message.parts);
    w.end();
    close(w)
}

/// The `eb:Messaging` header block of a receipt with NonRepudiationInformation. `references` are the `ds:Reference`
/// elements of the received SignedInfo as self-contained XML. Exactly one child, as deployed peers demand
/// (as4-wire 3.1).
pub fn write_receipt(info: &MessageInfo, references: &[String], xml_id: &str) -> String {
    let mut w = open(xml_id);
    w.start("eb:SignalMessage");
    message_info(&mut w, info);
    w.start("eb:Receipt");
    w.start("ebbp:NonRepudiationInformation");
    w.attr("xmlns:ebbp", EBBP);
    for reference in references {
        w.start("ebbp:MessagePartNRInformation");
        w.raw(reference);
        w.end();
    }
    w.end();
    w.end();
    w.end();
    close(w)
}

/// The `eb:Messaging` header block of an error signal.
pub fn write_error_signal(info: &MessageInfo, errors: &[ErrorEntry], xml_id: &str) -> String {
    let mut w = open(xml_id);
    w.start("eb:SignalMessage");
    message_info(&mut w, info);
    errors.iter().for_each(|entry| error(&mut w, entry));
    w.end();
    close(w)
}

fn open(xml_id: &str) -> Writer {
    let mut w = Writer::canonical();
    w.start("eb:Messaging");
    w.attr("xmlns:eb", EB);
    w.attr("xmlns:env", SOAP12);
    w.attr("xmlns:wsu", WSU);
    w.attr("wsu:Id", xml_id);
    w.attr("env:mustUnderstand", "true");
    w
}

fn close(mut w: Writer) -> String {
    w.end();
    w.into_string()
}

fn element(w: &mut Writer, name: &str, text: &str) {
    w.start(name);
    w.text(text);
    w.end();
}

fn message_info(w: &mut Writer, info: &MessageInfo) {
    w.start("eb:MessageInfo");
    element(w, "eb:Timestamp", &wire_time(info.timestamp));
    element(w, "eb:MessageId", &info.message_id);
    if let Some(reference) = &info.ref_to_message_id {
        element(w, "eb:RefToMessageId", reference);
    }
    w.end();
}

fn party(w: &mut Writer, name: &str, party: &Party) {
    w.start(name);
    typed(w, "eb:PartyId", party.id.party_type.as_deref(), &party.id.value);
    element(w, "eb:Role", &party.role);
    w.end();
}

fn typed(w: &mut Writer, name: &str, kind: Option<&str>, value: &str) {
    w.start(name);
    if let Some(kind) = kind {
        w.attr("type", kind);
    }
    w.text(value);
    w.end();
}

fn collaboration(w: &mut Writer, message: &UserMessage) {
    w.start("eb:CollaborationInfo");
    if let Some(agreement) = &message.agreement_ref {
        w.start("eb:AgreementRef");
        w.attr_opt("pmode", agreement.pmode.as_deref());
        w.attr_opt("type", agreement.agreement_type.as_deref());
        w.text(&agreement.value);
        w.end();
    }
    typed(w, "eb:Service", message.service.service_type.as_deref(), &message.service.value);
    element(w, "eb:Action", &message.action);
    element(w, "eb:ConversationId", &message.conversation_id);
    w.end();
}

fn properties(w: &mut Writer, name: &str, all: &[Property]) {
    if all.is_empty() {
        return;
    }
    w.start(name);
    for property in all {
        w.start("eb:Property");
        w.attr("name", &property.name);
        if let Some(kind) = &property.property_type {
            w.attr("type", kind);
        }
        w.text(&property.value);
        w.end();
    }
    w.end();
}

fn payload_info(w: &mut Writer, parts: &[PartInfo]) {
    if parts.is_empty() {
        return;
    }
    w.start("eb:PayloadInfo");
    for part in parts {
        w.start("eb:PartInfo");
        if let Some(href) = &part.href {
            w.attr("href", href);
        }
        if let Some(schema) = &part.schema {
            w.start("eb:Schema");
            w.attr("location", &schema.location);
            w.attr_opt("namespace", schema.namespace.as_deref());
            w.attr_opt("version", schema.version.as_deref());
            w.end();
        }
        properties(w, "eb:PartProperties", &part.properties);
        w.end();
    }
    w.end();
}

fn error(w: &mut Writer, entry: &ErrorEntry) {
    let known = super::Code::from_wire(&entry.code);
    w.start("eb:Error");
    if let Some(code) = known {
        w.attr("category", code.category().word());
    }
    w.attr("errorCode", &entry.code);
    if let Some(code) = known {
        w.attr("origin", code.origin().word());
    }
    w.attr_opt("refToMessageInError", entry.ref_to_message_in_error.as_deref());
    w.attr("severity", &entry.severity);
    if let Some(short) = &entry.short_description {
        w.attr("shortDescription", short);
    }
    if let Some(description) = &entry.description {
        w.start("eb:Description");
        w.attr("xml:lang", "en");
        w.text(description);
        w.end();
    }
    if let Some(detail) = &entry.detail {
        element(w, "eb:ErrorDetail", detail);
    }
    w.end();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ebms::{AgreementRef, Code, Messaging, PartyId, Service, SignalContent, Unit};
    use crate::xml::{Document, Limits, root_of_canonical};

    fn word() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9<>&\"'ā €]{0,6}[a-z]"
    }

    fn property() -> impl Strategy<Value = Property> {
        (word(), proptest::option::of(word()), word()).prop_map(|(name, property_type, value)| Property {
            name,
            property_type,
            value,
        })
    }

    fn party_strategy() -> impl Strategy<Value = Party> {
        (word(), word(), word())
            .prop_map(|(value, kind, role)| Party { id: PartyId { value, party_type: Some(kind) }, role })
    }

    prop_compose! {
        fn user_message()(
            mpc in proptest::option::of(word()), reference in proptest::option::of(word()), id in word(),
            from in party_strategy(), to in party_strategy(), service in word(), action in word(),
            conversation in word(), agreement in proptest::option::of(word()),
            properties in proptest::collection::vec(property(), 0..4),
            parts in proptest::collection::vec(proptest::collection::vec(property(), 0..3), 0..4),
            millis in 0i64..4_000_000_000_000,
        ) -> UserMessage {
            UserMessage {
                mpc,
                info: MessageInfo {
                    timestamp: crate::clock::Timestamp::from_millisecond(millis).unwrap(),
                    message_id: id,
                    ref_to_message_id: reference,
                },
                from, to,
                agreement_ref: agreement.map(|value| AgreementRef {
                    value, agreement_type: Some("t".into()), pmode: None,
                }),
                service: Service { value: service, service_type: Some("t".into()) },
                action, conversation_id: conversation, properties,
                parts: parts.into_iter().enumerate().map(|(n, properties)| PartInfo {
                    href: Some(format!("cid:{n}@x")), schema: None, properties,
                }).collect(),
            }
        }
    }

    fn trimmed(message: UserMessage) -> UserMessage {
        let text = write_user_message(&message, "a");
        read_user(&text)
    }

    fn read_user(text: &str) -> UserMessage {
        let document = Document::parse(text.as_bytes(), &Limits::default()).unwrap();
        Messaging::read(document.root()).unwrap().user_message().unwrap().clone()
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(message in user_message()) {
            // Values are trimmed on reading (xsd:token), so the first reading gives the comparable form.
            let once = trimmed(message);
            let again = trimmed(once.clone());
            prop_assert_eq!(once, again);
        }

        #[test]
        fn what_is_written_is_canonical(message in user_message()) {
            let text = write_user_message(&message, "a");
            prop_assert!(root_of_canonical(&text).is_some(), "{text}");
        }
    }

    #[test]
    fn a_receipt_is_canonical_when_its_references_are() {
        let info = MessageInfo {
            timestamp: "2026-11-22T12:00:00Z".parse().unwrap(),
            message_id: "r@x".into(),
            ref_to_message_id: Some("m@y".into()),
        };
        let reference =
            "<ds:Reference xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" URI=\"#a\"></ds:Reference>";
        let text = write_receipt(&info, &[reference.into(), reference.into()], "id1");
        assert!(root_of_canonical(&text).is_some(), "{text}");
        // In the answer the prefix stands already: its second declaration would not be written.
        let again = reference.replace("URI", "xmlns:eb=\"x\" eb:URI").replace("\"x\"", &format!("\"{EB}\""));
        assert!(root_of_canonical(&write_receipt(&info, &[again], "id1")).is_none());
    }

    #[test]
    fn an_error_signal_reads_back() {
        let info = MessageInfo {
            timestamp: "2026-11-22T12:00:00Z".parse().unwrap(),
            message_id: "e@x".into(),
            ref_to_message_id: Some("m@y".into()),
        };
        let entry = ErrorEntry::of(Code::FailedAuthentication, Some("m@y"));
        let text = write_error_signal(&info, std::slice::from_ref(&entry), "id1");
        assert!(root_of_canonical(&text).is_some(), "{text}");
        let document = Document::parse(text.as_bytes(), &Limits::default()).unwrap();
        let read = Messaging::read(document.root()).unwrap();
        let Unit::Signal(signal) = &read.units[0] else { panic!("a signal") };
        assert_eq!(signal.info, info);
        assert_eq!(signal.content, SignalContent::Errors(vec![entry]));
    }

    #[test]
    fn an_untyped_party_that_is_no_uri_is_inconsistent() {
        let message = sample();
        let text = write_user_message(&message, "id1").replace(" type=\"pt\"", "");
        let document = Document::parse(text.as_bytes(), &Limits::default()).unwrap();
        let error = Messaging::read(document.root()).unwrap_err();
        assert_eq!(error.code(), Code::ValueInconsistent, "{error}");
    }

    #[test]
    fn a_header_without_action_is_invalid() {
        let text = write_user_message(&sample(), "id1").replace("<eb:Action>act</eb:Action>", "");
        let document = Document::parse(text.as_bytes(), &Limits::default()).unwrap();
        let error = Messaging::read(document.root()).unwrap_err();
        assert_eq!(error.code(), Code::InvalidHeader, "{error}");
    }

    fn sample() -> UserMessage {
        let party = |value: &str| Party {
            id: PartyId { value: value.into(), party_type: Some("pt".into()) },
            role: "r".into(),
        };
        UserMessage {
            mpc: None,
            info: MessageInfo {
                timestamp: "2026-11-22T12:00:00Z".parse().unwrap(),
                message_id: "m@x".into(),
                ref_to_message_id: None,
            },
            from: party("a"),
            to: party("b"),
            agreement_ref: None,
            service: Service { value: "urn:s".into(), service_type: None },
            action: "act".into(),
            conversation_id: "c".into(),
            properties: vec![],
            parts: vec![],
        }
    }
}
