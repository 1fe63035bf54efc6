//! What an operator leafs through is newest first, and has an end.

use super::*;

async fn taken(store: &Store, count: usize) -> Vec<DeliveryId> {
    let mut ids = Vec::new();
    for number in 0..count {
        match store.accept(inbound_message(store, &format!("{number}@sender"))).await.unwrap() {
            Accepted::New { delivery: Some(delivery), .. } => ids.push(delivery),
            other => panic!("{other:?}"),
        }
    }
    ids
}

#[tokio::test]
async fn deliveries_are_listed_from_the_newest_to_the_oldest() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut ids = taken(&store, 5).await;
    store.settle_delivery(ids[1], DeliveryOutcome::Accepted, None).await.unwrap();
    ids.reverse();
    let page = async |backend, state, before| {
        let found = store.newest_deliveries((backend, state), before, 3).await.unwrap();
        found.iter().map(|delivery| delivery.id).collect::<Vec<_>>()
    };
    assert_eq!(page(None, None, None).await, ids[..3]);
    assert_eq!(page(None, None, Some(ids[2])).await, ids[3..]);
    assert!(page(None, None, Some(ids[4])).await.is_empty());
    let waiting = Some(DeliveryState::Waiting);
    assert_eq!(page(Some("rest"), waiting, Some(ids[1])).await, [ids[2], ids[4]]);
    assert_eq!(page(None, Some(DeliveryState::Accepted), None).await, [ids[3]]);
    assert!(page(Some("another"), None, None).await.is_empty());
}

#[tokio::test]
async fn messages_are_found_by_direction_and_state() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    taken(&store, 2).await;
    submitted(&store, "a", "1@test").await;
    submitted(&store, "b", "2@test").await;
    let page = async |direction, state, before| store.messages((direction, state), before, 10).await.unwrap();
    let out = page(Some(Direction::Out), None, None).await;
    let ids: Vec<&str> = out.iter().map(|m| m.message_id.as_str()).collect();
    assert_eq!(ids, ["2@test", "1@test"]);
    assert_eq!(page(None, Some(MessageState::Queued), None).await.len(), 2);
    assert_eq!(page(Some(Direction::In), Some(MessageState::Received), None).await.len(), 2);
    assert!(page(Some(Direction::In), Some(MessageState::Queued), None).await.is_empty());
    assert_eq!(page(None, None, Some(out[1].id)).await.len(), 2, "those that came before");
}

#[tokio::test]
async fn messages_that_were_given_up_are_listed_as_all_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for number in 0..5 {
        submitted(&store, &number.to_string(), &format!("{number}@test")).await;
    }
    chains::forge(folder.path(), "UPDATE message SET state = 'failed' WHERE message_id <> '4@test'").await;
    chains::forge(folder.path(), "UPDATE message SET state = 'uncertain' WHERE message_id = '1@test'").await;
    let page =
        async |direction, state, before| store.messages((direction, Some(state)), before, 2).await.unwrap();
    let named = |page: &[MessageView]| page.iter().map(|one| one.message_id.clone()).collect::<Vec<_>>();
    let first = page(None, MessageState::Failed, None).await;
    assert_eq!(named(&first), ["3@test", "2@test"]);
    assert_eq!(named(&page(Some(Direction::Out), MessageState::Failed, Some(first[1].id)).await), ["0@test"]);
    assert_eq!(named(&page(None, MessageState::Uncertain, None).await), ["1@test"]);
    assert!(page(None, MessageState::Superseded, None).await.is_empty());
    assert!(page(Some(Direction::In), MessageState::Failed, None).await.is_empty());
}
