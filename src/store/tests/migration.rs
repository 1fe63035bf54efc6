//! A store that an earlier version wrote is read by this one with everything in it.

use super::*;
use crate::store::migrate::SQLITE;

/// What the schema of step 4 held of one submission, its message that waits, and one received message.
const OLD: &str = "
INSERT INTO payload (id, size, sha256, refs, created) VALUES ('01900000-0000-7000-8000-000000000001', 3, zeroblob(32), 2, 1);
INSERT INTO payload_form (payload, form, size, sha256, content)
    VALUES ('01900000-0000-7000-8000-000000000001', 'original', 3, zeroblob(32), x'616263');
INSERT INTO submission VALUES ('01900000-0000-7000-8000-000000000002', 'rest', 'old', zeroblob(32), x'', 'null', 1);
INSERT INTO recipient (id, submission, position, address, domain, policy, profile, original_sender, properties, state, send,
        delivery, record)
    VALUES ('01900000-0000-7000-8000-000000000003', '01900000-0000-7000-8000-000000000002', 0, 'iso6523::1', 'here', ?1, 'rem',
        'a::b', '[]', 'received', 'processing', 'none', ?2);
INSERT INTO message (id, message_id, direction, class, recipient, conversation, properties, messaging, signed_references, pmode,
        endpoint, lookup, state, due, created)
    VALUES ('01900000-0000-7000-8000-000000000004', 'old@test', 'out', 'business', '01900000-0000-7000-8000-000000000003', 'c', '[]',
        x'3c612f3e', '[1]', '{\"id\":\"p\"}', '{\"url\":\"u\"}', '[\"step\"]', 'queued', 1, 1);
INSERT INTO message (id, message_id, direction, class, conversation, from_party, from_type, to_party, properties, messaging,
        signed_references, pmode, receipt, state, created)
    VALUES ('01900000-0000-7000-8000-000000000005', 'came@test', 'in', 'business', 'c', 'them', '', 'us', '[]', x'3c622f3e', '[2]',
        '{}', x'3c722f3e', 'received', 1);
INSERT INTO part VALUES ('01900000-0000-7000-8000-000000000003', 0, '01900000-0000-7000-8000-000000000001', 'original', 'cid',
    'text/plain', '[]'), ('01900000-0000-7000-8000-000000000005', 0, '01900000-0000-7000-8000-000000000001', 'original', 'cid2',
    'text/plain', '[]');
INSERT INTO delivery (id, message, backend, state, due, tries, created)
    VALUES ('01900000-0000-7000-8000-000000000006', '01900000-0000-7000-8000-000000000005', 'rest', 'waiting', 1, 3, 1);
INSERT INTO event (sequence, at, kind, data) VALUES (41, 1, 'submitted', '{}');
";

fn written_by_step_4(folder: &Path) {
    let old = rusqlite::Connection::open(folder.join("tilts.db")).unwrap();
    old.execute_batch("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON").unwrap();
    for script in &SQLITE[..4] {
        old.execute_batch(script).unwrap();
    }
    let record = serde_json::to_string(&crate::status::fold(&[])).unwrap();
    let policy = serde_json::to_string(&Policy::for_profile(EvidenceProfile::Rem)).unwrap();
    old.execute_batch(&OLD.replace("?1", &format!("'{policy}'")).replace("?2", &format!("'{record}'")))
        .unwrap();
    old.execute_batch("PRAGMA user_version = 4").unwrap();
}

#[tokio::test]
async fn a_store_of_an_earlier_schema_keeps_everything() {
    if server().is_some() {
        eprintln!("left out: the file is one of SQLite");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    written_by_step_4(folder.path());
    let store = open(folder.path()).await;
    let message = store.lease_due(noon(), 10, later(60)).await.unwrap().remove(0);
    assert_eq!((message.message_id.as_str(), message.messaging.as_deref()), ("old@test", Some(&b"<a/>"[..])));
    assert_eq!(message.signed_references, Some(json!([1])));
    assert_eq!(
        (message.pmode, message.endpoint, message.lookup),
        (Some(json!({"id": "p"})), Some(json!({"url": "u"})), Some(json!(["step"])))
    );
    assert_eq!(message.parts.iter().map(|part| part.cid.as_str()).collect::<Vec<_>>(), ["cid"]);
    let key = InboundKey { party: "them".into(), party_type: None, message_id: "came@test".into() };
    let came = store.find_inbound(&key).await.unwrap().unwrap();
    assert_eq!((came.messaging, came.receipt, came.parts.len()), (b"<b/>".to_vec(), b"<r/>".to_vec(), 1));
    let delivery = store.newest_deliveries((Some("rest"), None), None, 10).await.unwrap().remove(0);
    assert_eq!((delivery.message.message_id.as_str(), delivery.state), ("came@test", DeliveryState::Waiting));
    submitted(&store, "new", "new@test").await;
    let (events, _) = store.events_after(0, None, 10).await.unwrap();
    assert_eq!(events.iter().map(|event| event.sequence).take(2).collect::<Vec<_>>(), [41, 42]);
    assert_eq!(store.messages_by_message_id("old@test").await.unwrap().len(), 1);
    store.close().await.unwrap();
}
