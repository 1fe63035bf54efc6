//! Acceptance, duplicates, deliveries, evidence out and in.

use super::outbound::{attempt, settlement};
use super::*;
use crate::status::State;

pub(crate) fn evidence_message(message_id: &str) -> NewEvidenceMessage {
    NewEvidenceMessage {
        message_id: message_id.to_owned(),
        conversation: "conversation-1".to_owned(),
        ref_to: "1@sender".to_owned(),
        from: ("us".to_owned(), None),
        to: ("sender".to_owned(), None),
        service: ("service".to_owned(), None),
        action: "DeliveryNonDeliveryToRecipient".to_owned(),
        original_sender: Some("c::d".to_owned()),
        final_recipient: Some("a::b".to_owned()),
        properties: json!([]),
        pmode: None,
        payload: b"<rem:DeliveryNonDeliveryToRecipient/>".to_vec(),
        media_type: "application/xml".to_owned(),
        send_until: None,
    }
}

pub(super) async fn delivery_of(store: &Store, message_id: &str) -> DeliveryId {
    match store.accept(inbound_message(store, message_id)).await.unwrap() {
        Accepted::New { delivery: Some(delivery), .. } => delivery,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn of_many_at_once_one_is_new_and_all_others_get_its_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let calls = (0..16).map(|n| {
        let mut new = inbound_message(&store, "1@sender");
        new.receipt = format!("receipt {n}").into_bytes();
        store.accept(new)
    });
    let results = futures_util::future::join_all(calls).await;
    let kept = store.find_inbound(&inbound_message(&store, "1@sender").key).await.unwrap().unwrap();
    let mut new = 0;
    for result in results {
        match result.unwrap() {
            Accepted::New { message, .. } => {
                new += 1;
                assert_eq!(message, kept.id);
            }
            Accepted::Duplicate(stored) => {
                assert_eq!((stored.message, &stored.receipt), (kept.id, &kept.receipt));
            }
        }
    }
    assert_eq!(new, 1);
    assert_eq!(store.newest_deliveries((Some("rest"), None), None, 10).await.unwrap().len(), 1);
    assert_eq!(place::published(&store).len(), usize::from(kept.parts[0].form == Form::Original));
}

#[tokio::test]
async fn the_sender_and_its_type_belong_to_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    delivery_of(&store, "1@sender").await;
    let mut other = inbound_message(&store, "1@sender");
    other.key.party = "another".to_owned();
    assert!(matches!(store.accept(other).await.unwrap(), Accepted::New { .. }));
    let mut typed = inbound_message(&store, "1@sender");
    typed.key.party_type = Some("type".to_owned());
    assert!(matches!(store.accept(typed).await.unwrap(), Accepted::New { .. }));
}

#[tokio::test]
async fn a_duplicate_is_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    delivery_of(&store, "1@sender").await;
    store.close().await.unwrap();
    drop(store);
    let store = open(folder.path()).await;
    let again = store.accept(inbound_message(&store, "1@sender")).await.unwrap();
    let Accepted::Duplicate(stored) = again else { panic!("{again:?}") };
    assert_eq!(stored.receipt, b"receipt of 1@sender");
}

/// Deadlines are looked at in pages: what was read a moment ago may be there by now, and taken.
#[tokio::test]
async fn what_is_at_disposal_by_now_is_not_undeliverable() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let id = delivery_of(&store, "1@sender").await;
    store.delivery_at_disposal(id, None).await.unwrap();
    let reason = "it could not be put there before the deadline".to_owned();
    let late = DeliveryOutcome::Undeliverable { reason, carrier: false };
    let refused = store.settle_delivery(id, late, Some(evidence_message("e1@us"))).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    assert!(store.notices(true, 10).await.unwrap().is_empty(), "told of what did not happen");
    assert_eq!(store.delivery(id).await.unwrap().state, DeliveryState::AtDisposal);
    let taken = store.settle_delivery(id, DeliveryOutcome::Accepted, Some(evidence_message("e2@us"))).await;
    assert_eq!(taken.unwrap(), Settled::Now);
}

/// A folder may appear between the look of whoever says that it is not there and what is said.
#[tokio::test]
async fn what_is_on_its_way_to_its_disposal_is_undeliverable_only_to_its_carrier() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let said = |carrier| DeliveryOutcome::Undeliverable { reason: "no way".to_owned(), carrier };
    let until = store.clock().now() + SignedDuration::from_mins(10);
    let [first, second] = [delivery_of(&store, "1@sender").await, delivery_of(&store, "2@sender").await];
    let leased = store.lease_deliveries("rest", store.clock().now(), 10, until).await.unwrap();
    assert_eq!(leased.len(), 2);
    let refused = store.settle_delivery(first, said(false), None).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    assert_eq!(store.settle_delivery(first, said(true), None).await.unwrap(), Settled::Now);
    store.postpone_delivery(second, store.clock().now()).await.unwrap();
    assert_eq!(store.settle_delivery(second, said(false), None).await.unwrap(), Settled::Now);
}

/// Where evidence is owed its sender hears of it.
#[tokio::test]
async fn a_message_that_is_missed_without_a_word_to_its_sender_is_told_to_the_operator() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for (name, evidence) in [("1@sender", Some(evidence_message("e1@us"))), ("2@sender", None)] {
        let id = delivery_of(&store, name).await;
        store.delivery_at_disposal(id, None).await.unwrap();
        store.settle_delivery(id, DeliveryOutcome::Missed, evidence).await.unwrap();
    }
    let told = store.notices(false, 10).await.unwrap();
    let [notice] = told.as_slice() else { panic!("{told:?}") };
    assert!(notice.kind == "missed" && notice.text.contains("2@sender"), "{notice:?}");
}

#[tokio::test]
async fn what_was_never_at_disposal_is_not_missed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let id = delivery_of(&store, "1@sender").await;
    let missed = || store.settle_delivery(id, DeliveryOutcome::Missed, Some(evidence_message("e1@us")));
    assert!(matches!(missed().await, Err(Error::Conflict { .. })));
    assert_eq!(store.delivery(id).await.unwrap().state, DeliveryState::Waiting);
    store.delivery_at_disposal(id, None).await.unwrap();
    assert_eq!(missed().await.unwrap(), Settled::Now);
    let other = delivery_of(&store, "2@sender").await;
    let reason = "the disk was away".to_owned();
    let undeliverable = DeliveryOutcome::Undeliverable { reason, carrier: false };
    for said in [Settled::Now, Settled::Before] {
        assert_eq!(store.settle_delivery(other, undeliverable.clone(), None).await.unwrap(), said);
    }
    let told = store.notices(true, 10).await.unwrap();
    let [notice] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((notice.kind.as_str(), &notice.subject), ("undeliverable", &other.to_string()));
    assert!(notice.text.contains("2@sender") && notice.text.contains("the disk was away"), "{notice:?}");
    assert_eq!(store.backends_with_deliveries().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn deliveries_past_their_deadline_are_read_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(delivery_of(&store, &format!("{n}@sender")).await);
    }
    let (mut after, mut found, mut pages) = (None, Vec::new(), 0);
    loop {
        let (page, next) = store.deliveries_past_deadline(later(60), after, 2).await.unwrap();
        found.extend(page.iter().map(|view| view.id));
        (after, pages) = (next, pages + 1);
        if after.is_none() {
            break;
        }
    }
    assert_eq!((found, pages), (ids, 3));
}

#[tokio::test]
async fn a_delivery_that_cannot_be_read_holds_up_no_other_and_an_operator_hears_of_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let bad = delivery_of(&store, "1@sender").await;
    let worse = delivery_of(&store, "2@sender").await;
    let good = delivery_of(&store, "3@sender").await;
    chains::forge(folder.path(), "UPDATE message SET properties = 'bent' WHERE message_id = '1@sender'")
        .await;
    chains::forge(
        folder.path(),
        "UPDATE delivery SET id = 'bent' WHERE message = (SELECT id FROM message WHERE message_id = '2@sender')",
    )
    .await;
    let ids = |views: Vec<DeliveryView>| views.iter().map(|view| view.id).collect::<Vec<_>>();
    assert_eq!(ids(store.newest_deliveries((Some("rest"), None), None, 10).await.unwrap()), [good]);
    assert_eq!(ids(store.deliveries_past_deadline(later(60), None, 10).await.unwrap().0), [good]);
    let (page, next) = store.deliveries_past_deadline(later(60), None, 3).await.unwrap();
    assert_eq!(ids(page), [good], "a full page, whose last row cannot be read");
    assert_eq!(ids(store.deliveries_past_deadline(later(60), next, 3).await.unwrap().0), []);
    assert_eq!(ids(store.lease_deliveries("rest", noon(), 10, later(60)).await.unwrap()), [good]);
    assert_eq!(unreadable(&store).await, [bad.to_string().as_str(), "bent"]);
    assert_eq!(ids(store.lease_deliveries("rest", later(60), 10, later(120)).await.unwrap()), [good]);
    assert_eq!(unreadable(&store).await.len(), 2, "told once");
    assert!(matches!(store.delivery(bad).await, Err(Error::Damaged { .. })));
    assert!(matches!(store.delivery(worse).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn what_a_carrier_gives_back_it_can_lease_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let (told, untold) = (delivery_of(&store, "1@sender").await, delivery_of(&store, "2@sender").await);
    store.lease_deliveries("rest", noon(), 10, later(60)).await.unwrap();
    store.postpone_delivery(told, later(30)).await.unwrap();
    store.give_back_deliveries("rest", later(60));
    assert!(store.lease_deliveries("other", later(1), 10, later(61)).await.unwrap().is_empty());
    let leased = store.lease_deliveries("rest", later(2), 10, later(62)).await.unwrap();
    assert_eq!(leased.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), [untold]);
    assert!(store.lease_deliveries("rest", later(3), 10, later(63)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_delivery_is_listed_taken_and_never_offered_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let id = delivery_of(&store, "1@sender").await;
    let leased = store.lease_deliveries("rest", noon(), 10, later(60)).await.unwrap();
    assert_eq!(leased.len(), 1);
    assert!(store.lease_deliveries("rest", noon(), 10, later(60)).await.unwrap().is_empty());
    let told = store.delivery_at_disposal(id, Some(evidence_message("e1@us"))).await.unwrap();
    assert_eq!(told, Settled::Now);
    let told = store.delivery_at_disposal(id, Some(evidence_message("e2@us"))).await.unwrap();
    assert_eq!(told, Settled::Before);
    assert_eq!(store.deliveries_at_disposal("rest", None, 10).await.unwrap().len(), 1);
    assert_eq!(store.deliveries_past_deadline(later(60), None, 10).await.unwrap().0.len(), 1);

    let accept = || store.settle_delivery(id, DeliveryOutcome::Accepted, Some(evidence_message("e3@us")));
    assert_eq!(accept().await.unwrap(), Settled::Now);
    assert_eq!(accept().await.unwrap(), Settled::Before);
    let refusal = DeliveryOutcome::Refused { code: None, reason: "no".to_owned() };
    assert!(matches!(store.settle_delivery(id, refusal, None).await, Err(Error::Conflict { .. })));
    assert!(store.deliveries_at_disposal("rest", None, 10).await.unwrap().is_empty());
    assert!(store.deliveries_past_deadline(later(60), None, 10).await.unwrap().0.is_empty());

    let sent = store.lease_due(noon(), 10, later(60)).await.unwrap();
    let ids: Vec<&str> = sent.iter().map(|m| m.message_id.as_str()).collect();
    assert_eq!(ids, ["e1@us", "e3@us"], "each evidence once");
    assert_eq!(sent[0].class, Class::Evidence);
    assert_eq!(sent[0].parts[0].media_type, "application/xml");
    assert!(sent[0].recipient.is_none());
    let message = store.delivery(id).await.unwrap().message.id;
    assert_eq!(store.evidence_sent_about(message).await.unwrap().len(), 2);
}

#[tokio::test]
async fn evidence_that_cannot_be_sent_is_told_to_the_operator() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let id = delivery_of(&store, "1@sender").await;
    let evidence = NewEvidenceMessage { send_until: Some(later(30)), ..evidence_message("e1@us") };
    store.delivery_at_disposal(id, Some(evidence)).await.unwrap();
    let message = store.lease_due(noon(), 10, later(60)).await.unwrap().remove(0);
    store
        .lookup_failed(message.lease(), (json!([]), "no way back".to_owned()), Next::Failed, Vec::new())
        .await
        .unwrap();
    assert_eq!(store.notices(false, 10).await.unwrap()[0].kind, "evidence-not-sent");
    assert!(!store.is_message_ordered(message.id).await.unwrap());
    store.clock().set(later(40));
    store.retry_message(message.id, "clerk", "they are back").await.unwrap();
    assert!(store.is_message_ordered(message.id).await.unwrap());
    let again = store.lease_due(later(40), 10, later(90)).await.unwrap().remove(0);
    assert_eq!((again.id, again.deadline), (message.id, Some(later(70))), "as long again as it had");
    let act = store.message(message.id).await.unwrap().acts.remove(0);
    assert_eq!((act.what.as_str(), act.who.as_str(), act.why.as_str()), ("retry", "clerk", "they are back"));
    store.begin_attempt(again.lease(), attempt(later(41))).await.unwrap();
    assert!(!store.is_message_ordered(message.id).await.unwrap(), "it was tried");
}

#[tokio::test]
async fn only_evidence_that_waits_or_failed_is_ordered_to_be_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let id = delivery_of(&store, "1@sender").await;
    let received = store.delivery(id).await.unwrap().message.id;
    let view = submitted(&store, "a", "1@us").await;
    let recipient = view.recipients[0].id;
    let business = store.messages_of(recipient).await.unwrap()[0].id;
    store.delivery_at_disposal(id, Some(evidence_message("e1@us"))).await.unwrap();
    let evidence = store.evidence_sent_about(received).await.unwrap()[0].id;
    let retry = async |id| store.retry_message(id, "clerk", "impatient").await;
    retry(evidence).await.unwrap();
    let leased = store.lease_due(noon(), 10, later(60)).await.unwrap();
    let leased = leased.iter().find(|message| message.id == evidence).unwrap();
    let sent = store.begin_attempt(leased.lease(), attempt(noon())).await.unwrap();
    store.settle(sent, settlement(Outcome::Receipted, Next::Done, Vec::new())).await.unwrap();
    let named = recipient.to_string();
    for (id, words) in [(received, "was received"), (business, named.as_str()), (evidence, "is done")] {
        let refused = retry(id).await.unwrap_err();
        assert!(
            matches!(refused, Error::Conflict { .. }) && refused.to_string().contains(words),
            "{refused}"
        );
    }
    let unknown = retry(MessageRow::new()).await.unwrap_err();
    assert!(matches!(unknown, Error::NotFound { .. }), "{unknown}");
}

#[tokio::test]
async fn incoming_evidence_moves_the_status_with_its_own_acceptance() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let view = submitted(&store, "a", "1@us").await;
    let mut new = inbound_message(&store, "e@them");
    (new.class, new.backend) = (Class::Evidence, None);
    let taken = NewEvidence::new(Row::remote(Signal::Taken, later(1), later(2), "rem-1"), "rem", "<rem/>");
    new.effect = Some(Effect::Apply { recipient: view.recipients[0].id, rows: vec![taken] });
    let Accepted::New { delivery, record, .. } = store.accept(new).await.unwrap() else {
        panic!("duplicate")
    };
    assert_eq!(delivery, None);
    assert_eq!(record.unwrap().state, State::Delivered);
    assert!(store.recompute().await.unwrap().differences.is_empty());
}

#[tokio::test]
async fn evidence_of_one_who_may_not_testify_is_kept_without_effect() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut new = inbound_message(&store, "e@them");
    (new.class, new.backend) = (Class::Evidence, None);
    let taken = NewEvidence::new(Row::remote(Signal::Taken, later(1), later(2), "rem-1"), "rem", "<rem/>");
    new.effect = Some(Effect::Stray {
        original: "unknown@us".to_owned(),
        reason: "unknown original".to_owned(),
        rows: vec![taken],
    });
    store.accept(new).await.unwrap();
    assert_eq!(store.stray_evidence(10).await.unwrap()[0].original, "unknown@us");
    assert_eq!(store.notices(false, 10).await.unwrap()[0].kind, "stray-evidence");
}
