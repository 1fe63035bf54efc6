//! Leasing what is due: once, in order, whatever else lies in the queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::outbound::{attempt, first_attempt, settlement};
use super::*;
use crate::clock::SignedDuration;

async fn one(store: &Store, now: Timestamp) -> Option<OutMessage> {
    let mut leased = store.lease_due(now, 1, now + SignedDuration::from_secs(60)).await.unwrap();
    assert!(leased.len() < 2);
    leased.pop()
}

async fn submit(store: &Store, count: usize) {
    for n in 0..count {
        submitted(store, &n.to_string(), &format!("{n}@test")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_is_leased_by_one_at_a_time_until_it_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    submit(&store, 100).await;
    let under_way: Arc<Mutex<HashMap<String, bool>>> = Arc::default();
    let tasks = (0..8).map(|task| {
        let (store, under_way) = (store.clone(), Arc::clone(&under_way));
        tokio::spawn(async move {
            let mut sent = 0;
            while let Some(message) = one(&store, later(task)).await {
                let before = under_way.lock().unwrap().insert(message.message_id.clone(), true);
                assert_ne!(before, Some(true), "{} is with somebody else", message.message_id);
                let attempt = match message.messaging {
                    None => first_attempt(&store, &message).await,
                    Some(_) => store.begin_attempt(message.lease(), attempt(noon())).await.unwrap(),
                };
                // Every other message fails once, and is due again at once.
                let fails = message.attempts == 0 && message.message_id.len() % 2 == 0;
                let end = match fails {
                    true => settlement(Outcome::Definite, Next::RetryAt(noon()), Vec::new()),
                    false => settlement(Outcome::Receipted, Next::AwaitEvidence, vec![receipt(later(1))]),
                };
                sent += usize::from(!fails);
                under_way.lock().unwrap().insert(message.message_id, false);
                store.settle(attempt, end).await.unwrap();
            }
            sent
        })
    });
    let mut sent = 0;
    for task in tasks.collect::<Vec<_>>() {
        sent += task.await.unwrap();
    }
    // Whoever found nothing may have gone while the last failed at somebody else.
    while let Some(message) = one(&store, later(9)).await {
        let last = store.begin_attempt(message.lease(), attempt(noon())).await.unwrap();
        let end = settlement(Outcome::Receipted, Next::AwaitEvidence, vec![receipt(later(1))]);
        store.settle(last, end).await.unwrap();
        sent += 1;
    }
    assert_eq!(sent, 100);
    assert_eq!(store.next_due().await.unwrap(), None);
}

#[tokio::test]
async fn what_was_seen_to_be_due_and_no_longer_is_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    submit(&store, 4).await;
    let first = one(&store, noon()).await.unwrap();
    let cancelled = store.recipient_for_message("1@test").await.unwrap().unwrap().recipient;
    store.cancel(cancelled, ("a test", "why not"), false).await.unwrap();
    let order = [one(&store, noon()).await, one(&store, noon()).await, one(&store, noon()).await];
    let order = order.map(|message| message.map(|m| m.message_id));
    assert_eq!(
        (first.message_id.as_str(), order),
        ("0@test", [Some("2@test".into()), Some("3@test".into()), None])
    );
    // What failed is there again, and what is new too, though a look has been taken before.
    let failed = first_attempt(&store, &first).await;
    store.settle(failed, settlement(Outcome::Definite, Next::RetryAt(later(5)), Vec::new())).await.unwrap();
    submitted(&store, "4", "4@test").await;
    assert_eq!(one(&store, later(1)).await.unwrap().message_id, "4@test");
    assert!(one(&store, later(4)).await.is_none());
    assert_eq!(one(&store, later(5)).await.unwrap().message_id, "0@test");
}

#[tokio::test]
async fn a_lease_that_ran_out_is_given_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    submit(&store, 2).await;
    assert_eq!(one(&store, noon()).await.unwrap().message_id, "0@test");
    assert_eq!(one(&store, later(59)).await.unwrap().message_id, "1@test");
    assert!(one(&store, later(59)).await.is_none());
    assert_eq!(one(&store, later(60)).await.unwrap().message_id, "0@test");
    assert!(one(&store, later(61)).await.is_none());
}

#[tokio::test]
async fn a_row_that_cannot_be_read_holds_up_nobody_else_and_an_operator_hears_of_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    submit(&store, 4).await;
    let bad = store.messages_by_message_id("0@test").await.unwrap().remove(0).id.to_string();
    chains::forge(folder.path(), "UPDATE message SET properties = 'bent' WHERE message_id = '0@test'").await;
    chains::forge(folder.path(), "UPDATE message SET id = 'bent' WHERE message_id = '1@test'").await;
    let leased = store.lease_due(noon(), 10, later(60)).await.unwrap();
    assert_eq!(leased.iter().map(|m| m.message_id.as_str()).collect::<Vec<_>>(), ["2@test", "3@test"]);
    assert!(one(&store, noon()).await.is_none(), "it is left alone for as long as a lease");
    assert_eq!(unreadable(&store).await, [bad.as_str(), "bent"]);
    assert_eq!(store.lease_due(later(60), 10, later(120)).await.unwrap().len(), 2);
    assert_eq!(unreadable(&store).await.len(), 2, "told once");
}
