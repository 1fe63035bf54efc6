//! Submission, queue, attempts, settlement.

use serde_json::json;

use super::*;
use crate::status::{NationalSend, State};

pub(super) fn planned(message: &OutMessage) -> Planned {
    Planned {
        messaging: format!("<eb:Messaging id='{}'/>", message.message_id).into_bytes(),
        signed_references: json!([]),
        pmode: json!({}),
        from: ("us".to_owned(), None),
        to: ("them".to_owned(), Some("type".to_owned())),
        service: ("service".to_owned(), None),
        action: "action".to_owned(),
        endpoint: json!({ "url": "https://them.test/as4" }),
        lookup: json!([]),
        forms: Vec::new(),
    }
}

pub(super) fn attempt(started: Timestamp) -> NewAttempt {
    NewAttempt { url: "https://them.test/as4".to_owned(), certificate: Some([1; 32]), started, plan: None }
}

/// The first attempt of a message, with its plan.
pub(super) async fn first_attempt(store: &Store, message: &OutMessage) -> AttemptId {
    let first = NewAttempt { plan: Some(planned(message)), ..attempt(noon()) };
    store.begin_attempt(message.lease(), first).await.unwrap()
}

pub(super) fn settlement(outcome: Outcome, next: Next, evidence: Vec<NewEvidence>) -> Settlement {
    Settlement { ended: later(2), outcome, detail: "test".to_owned(), signal: None, evidence, next }
}

async fn leased(store: &Store, now: Timestamp) -> Vec<OutMessage> {
    store.lease_due(now, 10, now + SignedDuration::from_secs(60)).await.unwrap()
}

#[tokio::test]
async fn a_client_id_is_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let view = submitted(&store, "a", "1@test").await;
    let again = store.submit(submission(&store, "a", vec![recipient("2@test")])).await.unwrap();
    assert_eq!(again, Submitted::Existing(view.id));
    let mut other = submission(&store, "a", vec![recipient("3@test")]);
    other.payloads = vec![staged(&store, b"another letter")];
    assert_eq!(store.submit(other).await.unwrap(), Submitted::Conflict(view.id));
    assert_eq!(store.submissions(None, None, None, 10).await.unwrap().len(), 1);
    assert_eq!(leased(&store, noon()).await.len(), 1);
}

#[tokio::test]
async fn a_command_that_fails_sinks_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    submitted(&store, "first", "taken@test").await;
    let calls = (0..20).map(|n| {
        let id = if n % 3 == 0 { "taken@test".to_owned() } else { format!("{n}@test") };
        store.submit(submission(&store, &n.to_string(), vec![recipient(&id)]))
    });
    let results = futures_util::future::join_all(calls).await;
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result.is_ok(), n % 3 != 0, "{n}: {result:?}");
    }
    assert_eq!(store.submissions(None, None, None, 100).await.unwrap().len(), 14);
    assert!(store.recompute().await.unwrap().differences.is_empty());
}

#[tokio::test]
async fn a_message_is_sent_receipted_and_taken() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let view = submitted(&store, "a", "1@test").await;
    assert_eq!(store.next_due().await.unwrap(), Some(noon()));
    let message = leased(&store, noon()).await.remove(0);
    assert!(leased(&store, noon()).await.is_empty(), "leased once");
    assert_eq!(message.parts[0].cid, "letter@test");
    assert_eq!(message.recipient.as_ref().unwrap().id, view.recipients[0].id);
    let first = first_attempt(&store, &message).await;
    let other = Planned { messaging: b"<other/>".to_vec(), ..planned(&message) };
    let other = NewAttempt { plan: Some(other), ..attempt(noon()) };
    assert!(matches!(store.begin_attempt(message.lease(), other).await, Err(Error::Conflict { .. })));
    let record = store
        .settle(first, settlement(Outcome::Receipted, Next::AwaitEvidence, vec![receipt(later(1))]))
        .await
        .unwrap();
    assert_eq!(record.unwrap().state, State::AtRemoteGateway);
    assert_eq!(store.message(message.id).await.unwrap().state, "awaiting-evidence");
    assert_eq!(store.next_due().await.unwrap(), None);

    let original = store.recipient_for_message("1@test").await.unwrap().unwrap();
    assert_eq!(original.to, Some(("them".to_owned(), Some("type".to_owned()))));
    let taken = NewEvidence::new(Row::remote(Signal::Taken, later(9), later(10), "rem-1"), "rem", "<rem/>");
    let record = store.append_evidence(original.recipient, vec![taken.clone()]).await.unwrap();
    assert_eq!(record.state, State::Delivered);
    assert_eq!(store.append_evidence(original.recipient, vec![taken]).await.unwrap(), record);
    assert_eq!(store.message(message.id).await.unwrap().state, "done");
    assert_eq!(store.evidence(original.recipient).await.unwrap().len(), 3);
    assert_eq!(store.recipient_counts().await.unwrap().get("delivered"), Some(&1));
    let out = ["out", "business", "done"].map(str::to_owned);
    assert_eq!(store.counts().await.unwrap().messages.get(&out), Some(&1));
}

#[tokio::test]
async fn a_retry_keeps_messageid_and_messaging() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    submitted(&store, "a", "1@test").await;
    let message = leased(&store, noon()).await.remove(0);
    let first = first_attempt(&store, &message).await;
    store.settle(first, settlement(Outcome::Definite, Next::RetryAt(later(30)), Vec::new())).await.unwrap();
    assert!(leased(&store, later(29)).await.is_empty());
    let again = leased(&store, later(30)).await.remove(0);
    assert_eq!((again.message_id.as_str(), again.attempts, again.uncertain_attempts), ("1@test", 1, 0));
    assert_eq!(again.messaging, Some(planned(&message).messaging));
    assert_eq!(again.parts, message.parts);
}

#[tokio::test]
async fn an_attempt_that_a_crash_left_open_counts_as_uncertain() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    submitted(&store, "a", "1@test").await;
    let message = leased(&store, noon()).await.remove(0);
    let open_attempt = first_attempt(&store, &message).await;
    drop(store);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let store = open(folder.path()).await;
    let again = leased(&store, later(1)).await.remove(0);
    assert_eq!((again.attempts, again.uncertain_attempts), (1, 1));
    assert!(store.supersede(again.lease(), "2@test".to_owned()).await.is_err(), "the other side may have it");
    // The receipt of the attempt that was given up is still a receipt.
    store
        .settle(open_attempt, settlement(Outcome::Receipted, Next::AwaitEvidence, vec![receipt(later(1))]))
        .await
        .unwrap();
    let view = store.message(message.id).await.unwrap();
    assert_eq!(
        (view.state.as_str(), view.attempts[0].outcome),
        ("awaiting-evidence", Some(Outcome::Receipted))
    );
}

/// A process stood still for longer than its lease, and goes on: it has leased the message anew, and the old exchange ends after all.
#[tokio::test]
async fn what_an_attempt_comes_to_that_another_one_followed_moves_nothing_but_by_a_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let view = submitted(&store, "a", "1@test").await;
    let said_before = store.evidence(view.recipients[0].id).await.unwrap().len();
    let message = leased(&store, noon()).await.remove(0);
    let old = first_attempt(&store, &message).await;
    let again = leased(&store, later(100)).await.remove(0);
    assert_eq!((again.id, again.uncertain_attempts), (message.id, 1));
    let new = store.begin_attempt(again.lease(), attempt(later(100))).await.unwrap();
    for (outcome, next) in [(Outcome::Definite, Next::Failed), (Outcome::Uncertain, Next::RetryAt(later(90)))]
    {
        let evidence = match next {
            Next::Failed => {
                vec![NewEvidence::statement(Row::local(Signal::SendFailed, later(101), "1").because("no"))]
            }
            _ => Vec::new(),
        };
        let said = store.settle(old, settlement(outcome, next, evidence)).await.unwrap();
        assert_eq!(said, None, "{outcome:?}");
    }
    assert_eq!(store.message(message.id).await.unwrap().state, "queued");
    let said = store.evidence(view.recipients[0].id).await.unwrap().len();
    assert_eq!(said, said_before, "nothing is said of it");
    let receipted = settlement(Outcome::Receipted, Next::AwaitEvidence, vec![receipt(later(102))]);
    assert!(store.settle(new, receipted).await.unwrap().is_some());
    assert_eq!(store.message(message.id).await.unwrap().state, "awaiting-evidence");
}

/// The same, where the old task was still looking for a way: what it found out is of no matter any more.
#[tokio::test]
async fn what_was_said_under_a_lease_that_another_one_followed_moves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let view = submitted(&store, "a", "1@test").await;
    let old = leased(&store, noon()).await.remove(0);
    let new = leased(&store, later(100)).await.remove(0);
    let no_way = || (json!([]), "not registered".to_owned());
    let failed = || vec![NewEvidence::statement(Row::local(Signal::NotFound, later(101), "1").because("no"))];
    let said = store.lookup_failed(old.lease(), no_way(), Next::Failed, failed()).await.unwrap();
    assert_eq!(said, None);
    let refused = store.begin_attempt(old.lease(), attempt(later(101))).await.unwrap_err();
    assert!(refused.to_string().contains("somebody else"), "{refused}");
    assert!(store.supersede(old.lease(), "2@test".to_owned()).await.is_err());
    assert!(leased(&store, later(102)).await.is_empty(), "it is still leased");
    assert!(store.notices(false, 10).await.unwrap().is_empty(), "nobody is told what is not so");
    // What its own lease says counts.
    let record = store.lookup_failed(new.lease(), no_way(), Next::Failed, failed()).await.unwrap();
    assert_eq!(record.unwrap().state, State::Failed);
    let told = store.notices(false, 10).await.unwrap();
    assert_eq!(told.iter().map(|notice| notice.kind.as_str()).collect::<Vec<_>>(), ["send-failed"]);
    assert_eq!(store.evidence(view.recipients[0].id).await.unwrap().len(), 2);
}

/// Whoever gives up may not know of all attempts: that the other side has nothing is said only where no attempt may have been read.
#[tokio::test]
async fn nothing_is_failed_of_which_an_attempt_may_have_been_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let view = submitted(&store, "a", "1@test").await;
    let message = leased(&store, noon()).await.remove(0);
    let first = first_attempt(&store, &message).await;
    store.settle(first, settlement(Outcome::Uncertain, Next::RetryAt(noon()), Vec::new())).await.unwrap();
    let again = leased(&store, noon()).await.remove(0);
    let second = store.begin_attempt(again.lease(), attempt(noon())).await.unwrap();
    let refused =
        NewEvidence::statement(Row::local(Signal::SendFailed, later(1), "refused").because("EBMS:0004"));
    let signed = b"an error that the peer has signed".to_vec();
    let refused = NewEvidence { raw: signed.clone(), ..refused };
    let end = settlement(Outcome::Definite, Next::Failed, vec![refused]);
    let end = Settlement { signal: Some(signed.clone()), ..end };
    assert_eq!(store.settle(second, end).await.unwrap().unwrap().state, State::Uncertain);
    // The chain says something else now: the attempt keeps what the peer said.
    assert_eq!(store.message(message.id).await.unwrap().attempts.remove(1).signal, Some(signed));
    assert_eq!(store.message(message.id).await.unwrap().state, "uncertain");
    let said = store.evidence(view.recipients[0].id).await.unwrap();
    assert_eq!(said.last().unwrap().row.signal, Signal::Uncertain);
    let told = store.notices(false, 10).await.unwrap();
    assert!(told.iter().any(|notice| notice.kind == "uncertain"), "{told:?}");
    assert!(!told.iter().any(|notice| notice.kind == "send-failed"), "{told:?}");
}

#[tokio::test]
async fn a_verdict_on_what_has_moved_on_meanwhile_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let recipient = submitted(&store, "a", "1@test").await.recipients[0].id;
    let row = Row::operator(Signal::SendFailed, later(1), "close-1", "clerk: lost");
    let verdict = NewEvidence::statement(row);
    let refused = store.append_verdict(recipient, State::Uncertain, verdict.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("is received by now"), "{refused}");
    assert_eq!(store.evidence(recipient).await.unwrap().len(), 1);
    assert!(store.append_verdict(recipient, State::Received, verdict).await.is_ok());
}

#[tokio::test]
async fn another_access_point_gets_a_new_messageid() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    submitted(&store, "a", "1@test").await;
    let message = leased(&store, noon()).await.remove(0);
    let first = first_attempt(&store, &message).await;
    store.settle(first, settlement(Outcome::Definite, Next::RetryAt(noon()), Vec::new())).await.unwrap();
    let message = leased(&store, noon()).await.remove(0);
    let new = store.supersede(message.lease(), "2@test".to_owned()).await.unwrap();
    assert_eq!(store.message(message.id).await.unwrap().state, "superseded");
    let again = leased(&store, noon()).await.remove(0);
    assert_eq!((again.id, again.message_id.as_str()), (new, "2@test"));
    assert_eq!((again.messaging, again.to, again.service), (None, None, None));
    assert_eq!(again.parts, message.parts);
}

#[tokio::test]
async fn a_failed_lookup_fails_the_recipient_and_an_operator_may_retry() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let view = submitted(&store, "a", "1@test").await;
    let message = leased(&store, noon()).await.remove(0);
    let row =
        NewEvidence::statement(Row::local(Signal::NotFound, noon(), "lookup-1").because("not registered"));
    let record = store
        .lookup_failed(
            message.lease(),
            (json!(["naptr"]), "not registered".to_owned()),
            Next::Failed,
            vec![row],
        )
        .await
        .unwrap();
    assert_eq!(record.unwrap().state, State::Failed);
    assert!(leased(&store, later(99)).await.is_empty());
    let record = store.retry(view.recipients[0].id, "clerk", "registered now").await.unwrap();
    assert_eq!(record.state, State::Received);
    assert_eq!(leased(&store, later(99)).await.len(), 1);
}

#[tokio::test]
async fn the_event_of_a_status_says_what_changed_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let view = submitted(&store, "a", "1@test").await;
    let message = leased(&store, noon()).await.remove(0);
    let reason = "EBMS:0301 MissingReceipt: refused";
    let row = NewEvidence::statement(Row::local(Signal::SendFailed, noon(), "send-failed-1").because(reason));
    let attempt = first_attempt(&store, &message).await;
    store.settle(attempt, settlement(Outcome::Definite, Next::Failed, vec![row])).await.unwrap();
    store.retry(view.recipients[0].id, "clerk", "they are back").await.unwrap();
    let (events, _) = store.events_after(0, Some("rest"), 10).await.unwrap();
    let told: Vec<_> = events.iter().filter(|e| e.kind == "status").map(|e| &e.data).collect();
    let told: Vec<_> = told.iter().map(|data| (&data["state"], &data["detail"])).collect();
    let expected = [
        (json!("received"), json!(null)),
        (json!("failed"), json!(reason)),
        (json!("received"), json!("clerk: they are back")),
    ];
    assert_eq!(told, expected.iter().map(|(state, detail)| (state, detail)).collect::<Vec<_>>());
}

/// Two tasks that send one message do not know of each other's uncertain attempts.
#[tokio::test]
async fn a_message_that_is_under_way_is_not_sent_by_another_because_an_operator_asks_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let view = submitted(&store, "a", "1@test").await;
    let message = leased(&store, noon()).await.remove(0);
    let first = store.begin_attempt(message.lease(), attempt(noon())).await.unwrap();
    let recipient = view.recipients[0].id;
    assert!(!store.is_ordered(recipient).await.unwrap());
    store.retry(recipient, "clerk", "impatient").await.unwrap();
    assert!(store.is_ordered(recipient).await.unwrap());
    assert!(leased(&store, later(1)).await.is_empty(), "it is under way");
    store.settle(first, settlement(Outcome::Uncertain, Next::RetryAt(later(5)), Vec::new())).await.unwrap();
    let again = leased(&store, later(5)).await.remove(0);
    store.begin_attempt(again.lease(), attempt(later(5))).await.unwrap();
    assert!(!store.is_ordered(recipient).await.unwrap(), "it was tried");
}

/// A letter that is withdrawn is not sent again and again for a day because nobody knows of the first attempt.
#[tokio::test]
async fn what_may_have_been_read_is_stopped_only_as_uncertain_and_by_who_accepts_that() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let recipient = submitted(&store, "a", "1@test").await.recipients[0].id;
    let message = leased(&store, noon()).await.remove(0);
    let refused = async |uncertain| {
        let refused = store.cancel(recipient, ("clerk", "withdrawn"), uncertain).await.unwrap_err();
        refused.to_string()
    };
    let first = store.begin_attempt(message.lease(), attempt(noon())).await.unwrap();
    assert!(refused(true).await.contains("being sent at this moment"));
    store.settle(first, settlement(Outcome::Uncertain, Next::RetryAt(later(5)), Vec::new())).await.unwrap();
    assert!(refused(false).await.contains("\"uncertain\": true"));
    let record = store.cancel(recipient, ("clerk", "withdrawn"), true).await.unwrap();
    assert_eq!((record.state, record.send), (State::Uncertain, NationalSend::Processing));
    assert!(leased(&store, later(500)).await.is_empty(), "it is sent again");
    assert!(refused(true).await.contains("use close"));
    let verdict =
        NewEvidence::statement(Row::operator(Signal::SendFailed, later(9), "close-1", "clerk: lost"));
    assert_eq!(
        store.append_verdict(recipient, State::Uncertain, verdict).await.unwrap().state,
        State::Failed
    );
}

/// It looked ready for good, while every submission was refused.
#[tokio::test]
async fn a_database_that_turns_out_to_be_damaged_takes_nothing_more() {
    if server().is_some() {
        eprintln!("left out: the file is SQLite's");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).await.close().await.unwrap();
    let file = folder.path().join("tilts.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    let page = |name| {
        let page = "SELECT rootpage FROM sqlite_schema WHERE name = ?";
        connection.query_row(page, [name], |row| row.get::<_, u32>(0)).unwrap()
    };
    let (page, size) = (u64::from(page("submission")), 8192);
    // What stands in the log too would be read from there.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(connection);
    let damaged = std::fs::File::options().write(true).open(&file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&damaged, &[0xff; 8192], (page - 1) * size).unwrap();
    let store = open(folder.path()).await;
    store.check_taking().unwrap();
    let refused = store.submit(submission(&store, "a", vec![recipient("1@test")])).await.unwrap_err();
    assert!(refused.to_string().contains("malformed"), "{refused}");
    let why = store.check_taking().unwrap_err().to_string();
    assert!(why.contains("damaged store") && why.contains("restore a backup"), "{why}");
}

/// By its agreement it may have a week: an order to try it now takes none of that.
#[tokio::test]
async fn an_order_leaves_the_time_that_an_agreement_gives() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut one = recipient("1@test");
    one.message.as_mut().unwrap().send_until = None;
    let Submitted::Created(id) = store.submit(submission(&store, "a", vec![one])).await.unwrap() else {
        panic!("not taken")
    };
    let recipient = store.submission(id).await.unwrap().recipients[0].id;
    store.retry(recipient, "clerk", "impatient").await.unwrap();
    let message = leased(&store, later(1)).await.remove(0);
    assert_eq!(message.deadline, None);
    let row = Row::local(Signal::NotFound, later(1), "1").because("no");
    let no_way = (json!([]), "not registered".to_owned());
    let failed = vec![NewEvidence::statement(row)];
    store.lookup_failed(message.lease(), no_way, Next::Failed, failed).await.unwrap();
    store.retry(recipient, "clerk", "they are back").await.unwrap();
    assert!(leased(&store, later(2)).await.remove(0).deadline.is_some(), "its time was over");
}

#[tokio::test]
async fn evidence_that_overtakes_the_receipt_stops_the_sending() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let view = submitted(&store, "a", "1@test").await;
    let message = leased(&store, noon()).await.remove(0);
    let first = store.begin_attempt(message.lease(), attempt(noon())).await.unwrap();
    let consigned =
        NewEvidence::new(Row::remote(Signal::Consigned, later(1), later(1), "rem-1"), "rem", "<rem/>");
    store.append_evidence(view.recipients[0].id, vec![consigned]).await.unwrap();
    store.settle(first, settlement(Outcome::Uncertain, Next::RetryAt(later(5)), Vec::new())).await.unwrap();
    assert!(leased(&store, later(500)).await.is_empty());
    assert_eq!(store.message(message.id).await.unwrap().state, "awaiting-evidence");
}

/// The process dies, and evidence comes before anybody leases the message again: nobody will.
#[tokio::test]
async fn an_attempt_that_was_lost_is_ended_by_the_evidence_that_stops_the_sending() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let view = submitted(&store, "a", "1@test").await;
    let message = leased(&store, noon()).await.remove(0);
    let lost = store.begin_attempt(message.lease(), attempt(noon())).await.unwrap();
    let consigned =
        NewEvidence::new(Row::remote(Signal::Consigned, later(1), later(1), "rem-1"), "rem", "<rem/>");
    store.append_evidence(view.recipients[0].id, vec![consigned]).await.unwrap();
    let ended = &store.message(message.id).await.unwrap().attempts[0];
    assert!(ended.ended.is_some() && ended.outcome == Some(Outcome::Uncertain), "{ended:?}");
    // It was not lost after all: what it says counts.
    store.settle(lost, settlement(Outcome::Receipted, Next::AwaitEvidence, Vec::new())).await.unwrap();
    assert_eq!(store.message(message.id).await.unwrap().attempts[0].outcome, Some(Outcome::Receipted));
}

#[tokio::test]
async fn a_recipient_that_cannot_be_mapped_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut unknown = recipient("unused@test");
    unknown.message = None;
    unknown.participant = None;
    unknown.evidence = vec![NewEvidence::statement(
        Row::local(Signal::Rejected, noon(), "address").because("cannot be mapped"),
    )];
    let new = submission(&store, "a", vec![recipient("1@test"), unknown]);
    let Submitted::Created(id) = store.submit(new).await.unwrap() else { panic!("not created") };
    let states: Vec<State> =
        store.submission(id).await.unwrap().recipients.iter().map(|r| r.record.state).collect();
    assert_eq!(states, [State::Received, State::Failed]);
    assert_eq!(leased(&store, noon()).await.len(), 1);
}

#[tokio::test]
async fn overdue_recipients_are_named_until_a_row_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let view = submitted(&store, "a", "1@test").await;
    let id = view.recipients[0].id;
    store.append_evidence(id, vec![receipt(later(1))]).await.unwrap();
    assert!(store.overdue_recipients(later(3599), 10).await.unwrap().is_empty());
    assert_eq!(store.overdue_recipients(later(3600), 10).await.unwrap(), [id]);
    let expired = NewEvidence::statement(Row::local(Signal::Expired, later(3600), "deadline"));
    let record = store.append_evidence(id, vec![expired]).await.unwrap();
    assert_eq!(record.state, State::AtRemoteGateway);
    assert!(store.overdue_recipients(later(3601), 10).await.unwrap().is_empty());
    assert_eq!(store.notices(false, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn who_agreed_to_send_evidence_and_sends_none_is_told_of_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut ids = Vec::new();
    for (n, profile) in
        [EvidenceProfile::Rem, EvidenceProfile::Rem, EvidenceProfile::ReceiptOnly].into_iter().enumerate()
    {
        let patient = NewRecipient { profile, deadline: None, ..recipient(&format!("{n}@test")) };
        let new = submission(&store, &n.to_string(), vec![patient]);
        let Submitted::Created(id) = store.submit(new).await.unwrap() else { panic!("not created") };
        ids.push(store.submission(id).await.unwrap().recipients[0].id);
        store.append_evidence(ids[n], vec![receipt(later(1))]).await.unwrap();
    }
    let due = store.next_deadline().await.unwrap().unwrap();
    let before = due - SignedDuration::from_secs(1);
    assert!(store.unevidenced_recipients(before, 10).await.unwrap().is_empty());
    let consigned =
        NewEvidence::new(Row::remote(Signal::Consigned, later(9), later(10), "rem-1"), "rem", "<rem/>");
    store.append_evidence(ids[1], vec![consigned]).await.unwrap();
    assert_eq!(store.unevidenced_recipients(due, 10).await.unwrap(), [ids[0]]);
    let row = NewEvidence::statement(Row::local(Signal::ConsignmentFailed, due, "evidence"));
    let record = store.append_evidence(ids[0], vec![row]).await.unwrap();
    assert_eq!(
        (record.state, record.send),
        (State::AtRemoteGateway, crate::status::NationalSend::Processing)
    );
    assert_eq!(store.notices(false, 10).await.unwrap().len(), 1);
    assert!(store.unevidenced_recipients(due, 10).await.unwrap().is_empty());
    assert_eq!(store.next_deadline().await.unwrap(), None);
}

#[tokio::test]
async fn after_its_deadline_a_message_that_is_ordered_again_has_as_long_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let view = submitted(&store, "a", "1@test").await;
    let message = leased(&store, noon()).await.remove(0);
    let first = first_attempt(&store, &message).await;
    store.settle(first, settlement(Outcome::Definite, Next::Failed, Vec::new())).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let (deadline, now) = (message.deadline.unwrap(), later(100_000));
    assert!(deadline < now);
    let store = Store::open(&config(folder.path()).await, Clock::manual(now)).await.unwrap();
    store.retry(view.recipients[0].id, "a person", "the way is mended").await.unwrap();
    let again = leased(&store, now).await.remove(0);
    let window = deadline.duration_since(message.created);
    assert_eq!(again.deadline, Some(now + window));
    let attempt = store.begin_attempt(again.lease(), attempt(now)).await.unwrap();
    store.settle(attempt, settlement(Outcome::Definite, Next::Failed, Vec::new())).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    // And no longer the next time.
    let now = later(9_000_000);
    let store = Store::open(&config(folder.path()).await, Clock::manual(now)).await.unwrap();
    store.retry(view.recipients[0].id, "a person", "once more").await.unwrap();
    assert_eq!(leased(&store, now).await.remove(0).deadline, Some(now + window));
}
