//! Several nodes on one PostgreSQL and one folder or bucket of payloads.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::*;

/// Nodes `a` and `b`; `None`, said loudly, on a machine without a server.
async fn two_nodes(folder: &Path) -> Option<[Store; 2]> {
    if server().is_none() {
        eprintln!("left out: {POSTGRES} names no PostgreSQL server");
        return None;
    }
    // The database is made once.
    config(folder).await;
    let (a, b) = tokio::join!(node(folder, "a"), node(folder, "b"));
    Some([a, b])
}

async fn node(folder: &Path, name: &str) -> Store {
    let payloads = Some(folder.join("payloads"));
    let config = Config { path: folder.join(name), payloads, ..config(folder).await };
    Store::open(&config, Clock::manual(noon())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_leased_by_one_node_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let Some([a, b]) = two_nodes(folder.path()).await else { return };
    for n in 0..60 {
        submitted(&a, &n.to_string(), &format!("{n}@us")).await;
    }
    let leases = (0..12).map(|n| [&a, &b][n % 2].lease_due(noon(), 5, later(300)));
    let leased = futures_util::future::join_all(leases).await;
    let leased: Vec<MessageRow> = leased.into_iter().flat_map(|l| l.unwrap()).map(|m| m.id).collect();
    let rest = b.lease_due(noon(), 60, later(300)).await.unwrap();
    let all: BTreeSet<MessageRow> = leased.iter().copied().chain(rest.iter().map(|m| m.id)).collect();
    assert_eq!((all.len(), leased.len() + rest.len()), (60, 60));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_node_was_sending_is_taken_over_as_uncertain() {
    let folder = tempfile::tempdir().unwrap();
    let Some([a, b]) = two_nodes(folder.path()).await else { return };
    submitted(&a, "1", "1@us").await;
    let message = a.lease_due(noon(), 5, later(300)).await.unwrap().remove(0);
    let attempt = NewAttempt { url: "https://b/".to_owned(), certificate: None, started: noon(), plan: None };
    assert!(b.begin_attempt(message.lease(), attempt.clone()).await.is_err(), "it is another node's");
    a.begin_attempt(message.lease(), attempt.clone()).await.unwrap();
    assert!(b.lease_due(later(299), 5, later(900)).await.unwrap().is_empty());
    let taken = b.lease_due(later(301), 5, later(900)).await.unwrap().remove(0);
    assert_eq!((taken.message_id.as_str(), taken.attempts, taken.uncertain_attempts), ("1@us", 1, 1));
    assert!(
        a.begin_attempt(message.lease(), attempt.clone()).await.is_err(),
        "it is not this node's any more"
    );
    b.begin_attempt(taken.lease(), attempt).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_copies_that_come_to_both_nodes_at_once_one_is_new_and_its_payload_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let Some([a, b]) = two_nodes(folder.path()).await else { return };
    for n in 0..20 {
        let id = format!("{n}@sender");
        let [at_a, at_b] = [&a, &b].map(|node| {
            let mut message = inbound_message(node, &id);
            message.parts[0].payload = crash::large(node, n);
            message
        });
        let (one, two) = tokio::join!(a.accept(at_a), b.accept(at_b));
        let outcomes = [one.unwrap(), two.unwrap()];
        let new = outcomes.iter().filter(|outcome| matches!(outcome, Accepted::New { .. })).count();
        assert_eq!(new, 1, "{outcomes:?}");
    }
    let result = b.recompute().await.unwrap();
    assert!(result.differences.is_empty() && result.orphans.is_empty(), "{result:?}");
    assert_eq!(result.payload_files, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_hears_of_the_work_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let Some([a, b]) = two_nodes(folder.path()).await else { return };
    let (mut outbound, mut events) = (b.outbound_changes(), b.event_changes());
    submitted(&a, "1", "1@us").await;
    for heard in [&mut outbound, &mut events] {
        tokio::time::timeout(Duration::from_secs(10), heard.changed()).await.expect("nothing heard").unwrap();
    }
    a.close().await.unwrap();
    b.close().await.unwrap();
}

/// Something is heard from another node by whoever heard nothing before.
async fn hears_a_submission(node: &Store, of: &Store, client_id: &str) {
    let mut outbound = node.outbound_changes();
    submitted(of, client_id, &format!("{client_id}@us")).await;
    tokio::time::timeout(Duration::from_secs(10), outbound.changed()).await.expect("nothing heard").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_both_nodes_raise_at_once_stands_once() {
    let folder = tempfile::tempdir().unwrap();
    let Some([a, b]) = two_nodes(folder.path()).await else { return };
    for n in 0..50 {
        let subject = n.to_string();
        let all = [&a, &b, &a, &b].map(|node| node.raise_once("test", &subject, "text"));
        futures_util::future::try_join_all(all).await.unwrap();
    }
    assert_eq!(a.notices(false, 300).await.unwrap().len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_connection_was_ended_hears_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some([a, b]) = two_nodes(folder.path()).await else { return };
    hears_a_submission(&b, &a, "1").await;
    let mut bell = b.outbound_changes();
    let mut conn = behind(folder.path()).await;
    conn.batch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_secs(10), bell.changed()).await.expect("was away").unwrap();
    hears_a_submission(&b, &a, "2").await;
    assert!(
        b.parts().all(|part| part.ended().now_or_never().is_none()),
        "a connection that is lost is no end"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn receipt_and_evidence_at_two_nodes_at_once_make_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let Some([a, b]) = two_nodes(folder.path()).await else { return };
    for n in 0..20 {
        let id = submitted(&a, &n.to_string(), &format!("{n}@us")).await.recipients[0].id;
        let taken =
            NewEvidence::new(Row::remote(Signal::Taken, later(2), later(3), "rem-1"), "rem", "<rem/>");
        let (one, two) =
            tokio::join!(a.append_evidence(id, vec![receipt(later(1))]), b.append_evidence(id, vec![taken]));
        assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
        assert_eq!(b.evidence(id).await.unwrap().len(), 3);
    }
    assert!(a.recompute().await.unwrap().differences.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_gives_no_sign_of_life_loses_its_leases_and_one_that_ends_gives_them_back() {
    let folder = tempfile::tempdir().unwrap();
    let Some([a, b]) = two_nodes(folder.path()).await else { return };
    submitted(&a, "1", "1@us").await;
    a.lease_due(noon(), 5, later(9000)).await.unwrap().remove(0);
    let mut bell = b.outbound_changes();
    drop(a);
    let freed = async {
        while b.lease_due(noon(), 5, later(9000)).await.unwrap().is_empty() {
            bell.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), freed).await.expect("nothing was taken over");
    let c = node(folder.path(), "c").await;
    assert!(c.lease_due(noon(), 5, later(9000)).await.unwrap().is_empty(), "b has it");
    b.close().await.unwrap();
    assert_eq!(c.lease_due(noon(), 5, later(9000)).await.unwrap().len(), 1, "b gave it back");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_says_of_an_attempt_when_another_sends_the_message_counts_only_as_a_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let Some([a, b]) = two_nodes(folder.path()).await else { return };
    let recipient = submitted(&a, "1", "1@us").await.recipients[0].id;
    let message = a.lease_due(noon(), 5, later(300)).await.unwrap().remove(0);
    let attempt = NewAttempt { url: "https://b/".to_owned(), certificate: None, started: noon(), plan: None };
    let lost = a.begin_attempt(message.lease(), attempt.clone()).await.unwrap();
    let taken = b.lease_due(later(301), 5, later(900)).await.unwrap().remove(0);
    b.begin_attempt(taken.lease(), attempt).await.unwrap();
    let row = Row::local(Signal::SendFailed, later(302), "late").because("refused");
    let failed = Settlement {
        ended: later(302),
        outcome: Outcome::Definite,
        detail: "refused".to_owned(),
        signal: None,
        evidence: vec![NewEvidence::statement(row)],
        next: Next::Failed,
    };
    assert_eq!(a.settle(lost, failed.clone()).await.unwrap(), None);
    assert_eq!(a.message(message.id).await.unwrap().state, "queued", "b is sending it");
    assert_eq!(a.evidence(recipient).await.unwrap().len(), 1, "nothing but its acceptance");
    let receipted = Settlement {
        outcome: Outcome::Receipted,
        next: Next::Done,
        evidence: vec![receipt(later(303))],
        ..failed
    };
    assert!(a.settle(lost, receipted).await.unwrap().is_some());
    assert_eq!(b.message(message.id).await.unwrap().state, "done");
}

/// A node was away for longer than its lease while one of its tasks looked for a way, and has leased the message anew since.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_task_says_of_a_message_that_another_of_its_node_has_leased_since_moves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some([a, b]) = two_nodes(folder.path()).await else { return };
    submitted(&a, "1", "1@us").await;
    let old = a.lease_due(noon(), 5, later(300)).await.unwrap().remove(0);
    let taken = b.lease_due(later(301), 5, later(900)).await.unwrap().remove(0);
    let attempt = NewAttempt { url: "https://b/".to_owned(), certificate: None, started: noon(), plan: None };
    let lost = b.begin_attempt(taken.lease(), attempt.clone()).await.unwrap();
    let unknown = Settlement {
        ended: later(305),
        outcome: Outcome::Uncertain,
        detail: "no answer".to_owned(),
        signal: None,
        evidence: Vec::new(),
        next: Next::RetryAt(later(310)),
    };
    b.settle(lost, unknown).await.unwrap();
    let new = a.lease_due(later(310), 5, later(900)).await.unwrap().remove(0);
    let not_found = NewEvidence::statement(Row::local(Signal::NotFound, later(311), "late").because("gone"));
    let steps = (serde_json::json!([]), "not registered".to_owned());
    let said = a.lookup_failed(old.lease(), steps, Next::Failed, vec![not_found]).await.unwrap();
    assert_eq!(said, None);
    assert!(a.begin_attempt(old.lease(), attempt.clone()).await.is_err());
    assert!(a.supersede(old.lease(), "2@us".to_owned()).await.is_err());
    assert_eq!(a.message(old.id).await.unwrap().state, "queued");
    assert!(a.notices(false, 10).await.unwrap().is_empty());
    a.begin_attempt(new.lease(), attempt).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_put_into_the_bucket_the_other_sends() {
    if server().is_none() {
        eprintln!("left out: {POSTGRES} names no PostgreSQL server");
        return;
    }
    let place = Place::bucket();
    let at = |name: &str| {
        let path = place.path().join(name);
        let place = &place;
        async move {
            let config = Config { path, ..place.config().await };
            Store::open(&config, Clock::manual(noon())).await.unwrap()
        }
    };
    // The database is made once.
    config(place.path()).await;
    let (a, b) = tokio::join!(at("a"), at("b"));
    let mut new = submission(&a, "1", vec![recipient("1@us")]);
    new.payloads = vec![crash::large(&a, 7)];
    a.submit(new).await.unwrap();
    let message = b.lease_due(noon(), 5, later(300)).await.unwrap().remove(0);
    let mut reader = b.open_payload(message.parts[0].payload, Form::Original).await.unwrap();
    let mut octets = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut octets).unwrap();
    assert!(octets == vec![7; 2 * INLINE]);
    a.close().await.unwrap();
    drop(a);
    let again = at("a").await;
    assert_eq!(place::published(&again).len(), 1, "a node that starts leaves what others named");
    let found = again.recompute().await.unwrap();
    assert!(found.differences.is_empty() && found.orphans.is_empty(), "{found:?}");
}

/// As where a machine is copied with everything on it.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_that_go_by_one_name_the_earlier_one_ends_and_leaves_the_leases_alone() {
    let folder = tempfile::tempdir().unwrap();
    let Some([a, _b]) = two_nodes(folder.path()).await else { return };
    std::fs::create_dir(folder.path().join("copy")).unwrap();
    std::fs::copy(folder.path().join("a/node"), folder.path().join("copy/node")).unwrap();
    let copy = node(folder.path(), "copy").await;
    submitted(&copy, "1", "1@us").await;
    assert_eq!(copy.lease_due(noon(), 5, later(300)).await.unwrap().len(), 1);
    let sign = a.parts().find(|part| part.name.contains("sign of life")).unwrap();
    tokio::time::timeout(Duration::from_secs(10), sign.ended()).await.expect("it goes on");
    a.close().await.unwrap();
    assert!(copy.lease_due(later(1), 5, later(301)).await.unwrap().is_empty(), "it is leased");
    let sign = copy.parts().find(|part| part.name.contains("sign of life")).unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(2), sign.ended()).await.is_err(), "both have ended");
}
