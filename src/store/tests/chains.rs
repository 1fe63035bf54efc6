//! Hash chains, checkpoints, recomputing; what a forger leaves behind.

use super::*;
use crate::status::chain::root_of;

/// Changes the database behind the store's back.
pub(super) async fn forge(folder: &Path, statement: &'static str) {
    let mut conn = behind(folder).await;
    let changed = sql::query(statement).execute(&mut conn).await.unwrap();
    assert!(changed > 0 || statement.starts_with("PRAGMA"), "{statement} changed nothing");
    conn.end(true).await.unwrap();
}

async fn store_with_evidence(folder: &Path) -> (Store, RecipientId) {
    let store = open(folder).await;
    let view = submitted(&store, "a", "1@test").await;
    let id = view.recipients[0].id;
    store.append_evidence(id, vec![receipt(later(1))]).await.unwrap();
    let taken = NewEvidence::new(Row::remote(Signal::Taken, later(2), later(3), "rem-1"), "rem", "<rem/>");
    store.append_evidence(id, vec![taken]).await.unwrap();
    (store, id)
}

#[tokio::test]
async fn checkpoints_prove_every_chain_they_cover() {
    let folder = tempfile::tempdir().unwrap();
    let (store, id) = store_with_evidence(folder.path()).await;
    for n in 0..5 {
        submitted(&store, &format!("s{n}"), &format!("s{n}@test")).await;
    }
    assert_eq!(store.checkpoint(later(60)).await.unwrap(), Some(1));
    assert_eq!(store.checkpoint(later(120)).await.unwrap(), None, "nothing changed");
    submitted(&store, "another", "another@test").await;
    assert_eq!(store.checkpoint(later(180)).await.unwrap(), Some(2));
    let proofs = store.checkpoint_proofs(id).await.unwrap();
    assert_eq!(proofs.len(), 1);
    let proof = &proofs[0];
    assert_eq!(proof.checkpoint.leaves, 6);
    assert_eq!(root_of(&proof.leaf, &proof.steps).map(hex::encode), Some(proof.checkpoint.root.clone()));
    assert_eq!(proof.leaf.head, store.recipient(id).await.unwrap().chain_head);
    let result = store.recompute().await.unwrap();
    assert_eq!((result.recipients, result.checkpoints), (7, 2));
    assert!(result.differences.is_empty(), "{:?}", result.differences);
    assert_eq!(
        Store::recompute_at(&config(folder.path()).await).await.unwrap(),
        result,
        "beside the open store"
    );
    let nowhere = Config { path: folder.path().join("none"), ..Config::default() };
    assert!(matches!(Store::recompute_at(&nowhere).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn every_forgery_is_seen() {
    for (forgery, expected) in [
        (
            "UPDATE recipient SET record = replace(record, '\"delivery\":\"delivered\"', '\"delivery\":\"refused\"')",
            "Record",
        ),
        ("UPDATE recipient SET record = '{}'", "Unreadable"),
        ("UPDATE evidence SET signal = 'loved' WHERE sequence = 3", "Unreadable"),
        ("UPDATE evidence SET raw = previous WHERE sequence = 2", "Chain"),
        ("UPDATE evidence SET event_time = event_time + 1 WHERE sequence = 2", "Chain"),
        ("UPDATE evidence SET signed = 0 WHERE sequence = 3", "Chain"),
        ("DELETE FROM evidence WHERE sequence = 2", "Chain"),
        ("DELETE FROM evidence WHERE sequence = 3", "Chain"),
        ("UPDATE checkpoint SET at = at + 1", "Checkpoint"),
        ("UPDATE checkpoint_leaf SET head = (SELECT previous FROM checkpoint)", "Checkpoint"),
        ("DELETE FROM checkpoint_leaf", "Checkpoint"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = store_with_evidence(folder.path()).await;
        store.checkpoint(later(60)).await.unwrap();
        assert!(store.recompute().await.unwrap().differences.is_empty());
        forge(folder.path(), forgery).await;
        let found = format!("{:?}", store.recompute().await.unwrap().differences);
        assert!(found.contains(expected), "{forgery}: {found}");
    }
}

#[tokio::test]
async fn many_chains_are_sealed_in_several_checkpoints_of_which_each_follows_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for half in 0..2 {
        let recipients = (0..600).map(|n| recipient(&format!("{half}-{n}@test"))).collect();
        store.submit(submission(&store, &half.to_string(), recipients)).await.unwrap();
    }
    assert_eq!(store.checkpoint(later(60)).await.unwrap(), Some(2));
    assert_eq!(store.checkpoint(later(120)).await.unwrap(), None);
    let found = store.recompute().await.unwrap();
    assert_eq!((found.recipients, found.checkpoints, found.differences.len()), (1200, 2, 0));
    let view = store.submissions(None, None, None, 1).await.unwrap().remove(0);
    assert_eq!(store.checkpoint_proofs(view.recipients[0].id).await.unwrap().len(), 1);
}
