//! Which processing mode a header finds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use super::{
    Agreement, AgreementRule, Agreements, Dynamic, EvidenceRule, Mep, Outbound, PartyId, Profile, Scope,
    Service,
};
use crate::ebms::{AgreementRef, MessageInfo, Party, UserMessage, names};

const RSA: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const EDDSA: &str = "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519";
const ECDSA: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";

fn party(value: &str) -> PartyId {
    PartyId { value: value.into(), party_type: None }
}

fn message(from: &str) -> UserMessage {
    let role = |value: &str, role: &str| Party { id: party(value), role: role.into() };
    UserMessage {
        mpc: None,
        info: MessageInfo {
            timestamp: "2026-11-22T12:00:00Z".parse().unwrap(),
            message_id: "1@x".into(),
            ref_to_message_id: None,
        },
        from: role(from, names::INITIATOR),
        to: role("urn:own", names::RESPONDER),
        agreement_ref: None,
        service: Service { value: "urn:s".into(), service_type: None },
        action: "a".into(),
        conversation_id: "c".into(),
        properties: Vec::new(),
        parts: Vec::new(),
    }
}

fn agreements() -> Agreements {
    let fixed = |id: &str, profile| Agreement {
        id: id.into(),
        partner: party("urn:both"),
        profile,
        scope: Scope::default(),
        evidence: EvidenceRule::ReceiptOnly,
    };
    let by_transport = BTreeMap::from([("two".to_owned(), Profile::edelivery_2_0())]);
    let dynamic = Dynamic {
        domain: "d".into(),
        party_type: None,
        profile: Profile::edelivery_1_15(),
        by_transport,
        evidence: EvidenceRule::ReceiptOnly,
    };
    let agreements = vec![fixed("old", Profile::edelivery_1_15()), fixed("new", Profile::edelivery_2_0())];
    Agreements::new(party("urn:own"), agreements, vec![dynamic])
}

#[test]
fn of_several_agreements_the_one_that_allows_the_signature_applies() {
    let all = agreements();
    let id = |signature| all.inbound(&message("urn:both"), signature).map(|p| (p.id, p.signature)).unwrap();
    assert_eq!(id(Some(RSA)), ("old".to_owned(), Some(RSA.to_owned())));
    assert_eq!(id(Some(EDDSA)), ("new".to_owned(), Some(EDDSA.to_owned())));
    assert_eq!(id(Some(ECDSA)).0, "old", "refused under the first");
    assert_eq!(id(None), ("old".to_owned(), None));
    let name = |signature| all.inbound(&message("urn:any"), Some(signature)).unwrap().profile.name;
    assert_eq!((name(RSA).as_str(), name(EDDSA).as_str()), ("edelivery-1.15", "edelivery-2.0"));
    assert_eq!(name(ECDSA), "edelivery-1.15");
}

#[test]
fn peppol_demands_its_agreement_and_forbids_answers() {
    let mut all = agreements();
    all.dynamic[0].profile = Profile::peppol();
    let named = |value: &str, kind: Option<&str>| {
        let agreement_type = kind.map(str::to_owned);
        let mut message = message("urn:any");
        message.agreement_ref = Some(AgreementRef { value: value.into(), agreement_type, pmode: None });
        message
    };
    let right = "urn:fdc:peppol.eu:2017:agreements:tia:ap_provider";
    let answered = UserMessage {
        info: MessageInfo { ref_to_message_id: Some("0@x".into()), ..message("urn:any").info },
        ..named(right, None)
    };
    assert!(all.inbound(&named(right, None), Some(RSA)).is_ok());
    for (wrong, field) in [
        (message("urn:any"), "AgreementRef"),
        (named("urn:other", None), "AgreementRef"),
        (named(right, Some("urn:type")), "AgreementRef"),
        (answered, "RefToMessageId"),
    ] {
        let refused = all.inbound(&wrong, Some(RSA)).unwrap_err();
        assert!(refused.to_string().contains(field), "{refused}");
    }
}

#[test]
fn the_transport_profile_found_chooses_the_network_profile() {
    let all = agreements();
    let name = |transport| all.discovered("d", transport, party("urn:x")).unwrap().profile.name;
    assert_eq!(name(Some("two")), "edelivery-2.0");
    assert_eq!((name(Some("one")), name(None)), ("edelivery-1.15".to_owned(), "edelivery-1.15".to_owned()));
    let kept = all.discovered("d", None, party("urn:x")).unwrap();
    let moved = kept.clone().secured_as(&all.discovered("d", Some("two"), party("urn:y")).unwrap());
    assert_eq!((moved.profile.name.as_str(), &moved.peer), ("edelivery-2.0", &kept.peer));
}

#[test]
fn roles_are_part_of_the_choice_and_exchanged_in_a_second_leg() {
    let mut all = agreements();
    let with = |from: &str, to: &str, answers: bool| {
        let mut message = message("urn:both");
        (message.from.role, message.to.role) = (from.into(), to.into());
        message.info.ref_to_message_id = answers.then(|| "0@x".into());
        message
    };
    let (initiator, responder) = (names::INITIATOR, names::RESPONDER);
    for (from, to, field) in [
        ("urn:r", responder, "From/Role"),
        (initiator, "urn:r", "To/Role"),
        (responder, initiator, "From/Role"),
    ] {
        for answers in [false, true] {
            let refused = all.inbound(&with(from, to, answers), Some(RSA)).unwrap_err();
            assert!(refused.to_string().contains(field), "{refused}");
        }
    }
    all.agreements[1] = Agreement {
        id: "two-way".into(),
        profile: Profile { mep: Mep::TwoWay, ..Profile::edelivery_1_15() },
        ..all.agreements[1].clone()
    };
    assert_eq!(all.inbound(&with(responder, initiator, true), Some(RSA)).unwrap().id, "two-way");
    assert!(all.inbound(&with(responder, initiator, false), Some(RSA)).is_err(), "it answers nothing");
    let second = all.inbound(&with(responder, initiator, true), Some(RSA)).unwrap().outbound_parties(true);
    assert_eq!((second.0.role.as_str(), second.1.role.as_str()), (responder, initiator));
}

#[test]
fn agreement_ref_chooses_between_agreements_and_an_unknown_one_is_refused() {
    let mut all = agreements();
    let fixed = |value: &str| AgreementRule::Fixed { value: value.into(), agreement_type: None };
    all.agreements[1].profile = Profile { agreement_ref: fixed("urn:2"), ..Profile::edelivery_1_15() };
    let id = |all: &Agreements, value: Option<&str>, kind: Option<&str>| {
        let mut message = message("urn:both");
        message.agreement_ref = value.map(|value| AgreementRef {
            value: value.into(),
            agreement_type: kind.map(str::to_owned),
            pmode: Some("of the sender".into()),
        });
        all.inbound(&message, Some(RSA)).map(|p| p.id).map_err(|e| e.to_string())
    };
    assert_eq!(id(&all, None, None).unwrap(), "old");
    assert_eq!(id(&all, Some(""), None).unwrap(), "old", "an empty one names nothing");
    assert_eq!(id(&all, Some("urn:2"), None).unwrap(), "new");
    assert!(id(&all, Some("urn:2"), Some("urn:kind")).unwrap_err().contains("AgreementRef"));
    assert!(id(&all, Some("urn:3"), None).unwrap_err().contains("AgreementRef"));
    all.agreements[0].profile.agreement_ref = AgreementRule::Any;
    assert_eq!(id(&all, Some("urn:3"), None).unwrap(), "old");
}

/// A static partner is bound by what was agreed with it, even if it is a member of a domain too.
#[test]
fn a_partner_that_breaks_its_agreement_is_no_member_of_a_domain_instead() {
    let mut all = agreements();
    all.agreements.truncate(1);
    all.agreements[0].scope.service = Some(Service { value: "urn:agreed".into(), service_type: None });
    let refused = all.inbound(&message("urn:both"), Some(RSA)).unwrap_err();
    assert!(refused.to_string().contains("no agreement"), "{refused}");
    assert_eq!(all.inbound(&message("urn:any"), Some(RSA)).unwrap().id, "dynamic:d");
}

#[test]
fn the_test_service_is_of_every_agreement_with_a_partner() {
    let mut all = agreements();
    for agreement in &mut all.agreements {
        agreement.scope.service = Some(Service { value: "urn:agreed".into(), service_type: None });
        agreement.scope.action = Some("agreed".into());
    }
    let id = |value: &str, kind: Option<&str>, action: &str| {
        let service = Service { value: value.to_owned(), service_type: kind.map(str::to_owned) };
        all.outbound(Outbound { partner: "urn:both", service: &service, action }).map(|p| p.id)
    };
    assert_eq!(id(names::TEST_SERVICE, None, names::TEST_ACTION).as_deref(), Some("old"));
    assert_eq!(id("urn:agreed", None, "agreed").as_deref(), Some("old"));
    assert_eq!(id(names::TEST_SERVICE, None, "agreed"), None);
    assert_eq!(id("urn:agreed", None, "other"), None);
    assert_eq!(id("urn:agreed", Some("another"), "agreed"), None, "the partner would refuse it");
}
