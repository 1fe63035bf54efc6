//! The store on real files.

mod answering;
mod bucket;
mod chains;
mod cluster;
mod crash;
pub(crate) mod inbound;
mod leases;
mod lists;
mod migration;
mod outbound;
mod payloads;
mod place;
mod timers;
mod unheard;

use std::io::Write as _;
use std::path::Path;

use serde_json::json;

pub(super) use place::Place;

use super::*;
use crate::clock::{Clock, SignedDuration, Timestamp};
use crate::status::{EvidenceProfile, Policy, Row, Signal};

pub(crate) fn noon() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

pub(crate) fn later(seconds: i64) -> Timestamp {
    noon() + SignedDuration::from_secs(seconds)
}

/// Names a server on which every test makes databases of its own, instead of SQLite files: the same tests for both.
const POSTGRES: &str = "TILTS_TEST_POSTGRES";

#[allow(clippy::disallowed_methods, reason = "which database the tests run on is no setting of a node")]
fn server() -> Option<String> {
    std::env::var(POSTGRES).ok().filter(|url| !url.is_empty())
}

/// The store of `path`, on the database that these tests run on.
pub(super) async fn config(path: &Path) -> Config {
    let postgres = match server() {
        Some(server) => Some(database_of(&server, path).await),
        None => None,
    };
    Config { path: path.to_owned(), readers: 2, postgres, ..Config::default() }
}

/// A database for each folder, made when first asked for.
async fn database_of(server: &str, path: &Path) -> PostgresConfig {
    let path = std::path::absolute(path).unwrap();
    let name = format!("t{}", &hex::encode(openssl::sha::sha256(path.as_os_str().as_encoded_bytes()))[..24]);
    let on = |database: &str| PostgresConfig {
        url: format!("{server}/{database}"),
        password: None,
        connections: 6,
        takeover: std::time::Duration::from_secs(1),
        answer: std::time::Duration::from_secs(60),
    };
    let pool = sql::PostgresPool::connect(&on("postgres")).await.unwrap();
    let _exists = pool.outside(&format!("CREATE DATABASE {name}")).await;
    pool.close().await;
    on(&name)
}

/// A connection beside the store's own.
pub(super) async fn behind(path: &Path) -> sql::Conn {
    match config(path).await.postgres {
        None => {
            let conn = sql::SqliteConn::open(&path.join("tilts.db"), sql::Access::Write).unwrap();
            sql::Conn::Sqlite(Box::new(conn))
        }
        Some(postgres) => {
            let pool = sql::PostgresPool::connect(&postgres).await.unwrap();
            sql::Conn::Postgres(pool.begin().await.unwrap())
        }
    }
}

pub(crate) async fn open(path: &Path) -> Store {
    Store::open(&config(path).await, Clock::manual(noon())).await.unwrap()
}

pub(super) fn staged(store: &Store, octets: &[u8]) -> StagedPayload {
    let mut writer = store.spool().writer_keeping(Keep::Compressed);
    writer.write_all(octets).unwrap();
    writer.finish().unwrap()
}

pub(super) fn recipient(message_id: &str) -> NewRecipient {
    NewRecipient {
        address: "0088.123@EU".to_owned(),
        participant: Some("iso6523-actorid-upis::0088:123".to_owned()),
        domain: "demo".to_owned(),
        deadline: Some(later(3600)),
        policy: Policy::for_profile(EvidenceProfile::Rem),
        profile: EvidenceProfile::Rem,
        original_sender: "iso6523-actorid-upis::0218:40000000000".to_owned(),
        document_type: None,
        process: None,
        service: None,
        service_type: None,
        action: None,
        properties: json!([]),
        parts: vec![NewPart {
            payload: 0,
            cid: "letter@test".to_owned(),
            media_type: "application/pdf".to_owned(),
            properties: vec![("MimeType".to_owned(), "application/pdf".to_owned())],
        }],
        message: Some(NewMessage {
            message_id: message_id.to_owned(),
            conversation: "conversation-1".to_owned(),
            ref_to: None,
            class: Class::Business,
            send_until: Some(later(86_400)),
        }),
        evidence: Vec::new(),
    }
}

pub(super) fn submission(store: &Store, client_id: &str, recipients: Vec<NewRecipient>) -> NewSubmission {
    NewSubmission {
        channel: "rest".to_owned(),
        client_id: client_id.to_owned(),
        envelope: b"<Envelope/>".to_vec(),
        metadata: json!({ "title": "A letter" }),
        payloads: vec![staged(store, b"the letter itself")],
        recipients,
    }
}

pub(crate) async fn submitted(store: &Store, client_id: &str, message_id: &str) -> SubmissionView {
    let new = submission(store, client_id, vec![recipient(message_id)]);
    match store.submit(new).await.unwrap() {
        Submitted::Created(id) => store.submission(id).await.unwrap(),
        other => panic!("{other:?}"),
    }
}

/// What two rounds remove: the first only sees what no row names.
pub(super) async fn collected(store: &Store, older: std::time::Duration) -> u64 {
    assert_eq!(store.collect_files(older).await.unwrap(), 0);
    store.collect_files(older).await.unwrap()
}

/// The rows of which an operator hears that they cannot be read, in order.
pub(super) async fn unreadable(store: &Store) -> Vec<String> {
    let mut notices = store.notices(false, 10).await.unwrap();
    notices.retain(|notice| notice.kind == "unreadable");
    let mut rows: Vec<String> = notices.into_iter().map(|notice| notice.subject).collect();
    rows.sort();
    rows
}

pub(super) fn receipt(at: Timestamp) -> NewEvidence {
    NewEvidence::new(Row::remote(Signal::Receipted, at, at, "receipt-1"), "as4-receipt", "<receipt/>")
        .issued_by([7; 32])
}

pub(crate) fn inbound_message(store: &Store, message_id: &str) -> NewInbound {
    NewInbound {
        key: InboundKey { party: "sender".to_owned(), party_type: None, message_id: message_id.to_owned() },
        to: ("us".to_owned(), None),
        conversation: "conversation-1".to_owned(),
        ref_to: None,
        class: Class::Business,
        service: ("service".to_owned(), None),
        action: "action".to_owned(),
        original_sender: Some("a::b".to_owned()),
        final_recipient: Some("c::d".to_owned()),
        properties: json!([]),
        messaging: b"<eb:Messaging/>".to_vec(),
        signed_references: json!([{ "uri": "#m" }]),
        pmode: json!({ "id": "p" }),
        signer: b"certificate".to_vec(),
        receipt: format!("receipt of {message_id}").into_bytes(),
        parts: vec![NewInboundPart {
            payload: staged(store, &vec![b'x'; 3 * INLINE]),
            cid: "part@test".to_owned(),
            media_type: "text/plain".to_owned(),
            properties: Vec::new(),
        }],
        backend: Some("rest".to_owned()),
        at_disposal: false,
        deadline: Some(later(60)),
        effect: None,
    }
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).await;
    let config = config(folder.path()).await;
    let second = Store::open(&config, Clock::system()).await.unwrap_err();
    assert!(matches!(second, Error::Locked { .. }), "{second}");
    first.close().await.unwrap();
    drop(first);
    Store::open(&config, Clock::system()).await.unwrap();
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).await.close().await.unwrap();
    let newer = match server() {
        None => "PRAGMA user_version = 999",
        Some(_) => "INSERT INTO schema_step (step) VALUES (999)",
    };
    chains::forge(folder.path(), newer).await;
    let config = config(folder.path()).await;
    let refused = Store::open(&config, Clock::system()).await.unwrap_err();
    assert!(matches!(refused, Error::Newer { found: 999, .. }), "{refused}");
}

#[tokio::test]
async fn after_closing_nothing_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let late = submission(&store, "a", vec![recipient("1@test")]);
    store.close().await.unwrap();
    assert!(matches!(store.submit(late).await, Err(Error::Closed)));
}

#[tokio::test]
async fn an_alias_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let alias = store.alias_for("_PRIVATE@010101-12345").await.unwrap();
    assert_eq!(store.alias_for("_PRIVATE@010101-12345").await.unwrap(), alias);
    assert_eq!(store.address_of(&alias).await.unwrap().as_deref(), Some("_PRIVATE@010101-12345"));
    assert!(!alias.contains("010101"));
}

#[tokio::test]
async fn rejected_messages_notices_and_events_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let rejected = Rejected {
        from_party: Some("nobody".to_owned()),
        message_id: None,
        code: "EBMS:0010".to_owned(),
        detail: "no agreement".to_owned(),
        source: "192.0.2.1".to_owned(),
    };
    store.reject(rejected.clone()).await.unwrap();
    assert_eq!(store.rejected(10).await.unwrap()[0].rejected, rejected);
    store.raise("test", "subject", "text").await.unwrap();
    let notice = store.notices(false, 10).await.unwrap().remove(0);
    store.raise_once("test", "subject", "text").await.unwrap();
    assert_eq!(store.notices(false, 10).await.unwrap().len(), 1, "it stands");
    store.clear_notice(notice.id).await.unwrap();
    assert!(store.notices(false, 10).await.unwrap().is_empty());
    assert_eq!(store.notices(true, 10).await.unwrap().len(), 1);
    let all = (0..8).map(|_| store.raise_once("test", "subject", "text"));
    futures_util::future::try_join_all(all).await.unwrap();
    assert_eq!(
        store.notices(true, 10).await.unwrap().len(),
        2,
        "that was cleared, and one of several at once"
    );

    let mut bell = store.event_changes();
    submitted(&store, "a", "1@test").await;
    bell.changed().await.unwrap();
    let (events, last) = store.events_after(0, Some("rest"), 10).await.unwrap();
    let kinds: Vec<&str> = events.iter().map(|e| e.kind.as_str()).collect();
    assert_eq!(kinds, ["submitted", "status"]);
    let (page, end) = store.events_after(0, Some("rest"), 1).await.unwrap();
    assert_eq!((page.len(), end, last), (1, events[0].sequence, events[1].sequence));
    // Whoever nothing is for need not pass over it again.
    let (none, passed) = store.events_after(0, Some("other"), 10).await.unwrap();
    assert!(none.is_empty() && passed == last, "{passed}");
    assert_eq!(store.events_after(passed + 7, Some("other"), 10).await.unwrap().1, passed + 7);
    assert_eq!(store.last_event().await.unwrap(), events[1].sequence);
}
