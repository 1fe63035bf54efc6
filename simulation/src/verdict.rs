//! What must hold in the end. Where the nodes try for days, all that the laboratory's oracle demands: each letter once, its status that of
//! its consumer's word, everything said once. Where they give up after seconds, that nobody says more than is true. What an operator was
//! told is stopped has failed, and its consumer never sees it.

use conformance::demo::{self, list, status_of};
use conformance::lab::truth::{self, Submissions, story};
use conformance::lab::{Book, Letter, Side, Verdict};
use serde_json::Value;

use crate::operator::{Acts, Stopped, without_acts};
use crate::plan::Plan;

/// What both nodes show and keep.
pub struct Shown {
    /// Every submission at the sender.
    pub submissions: Vec<Value>,
    /// Notices of both.
    pub notices: [Value; 2],
    /// What recomputing found at both.
    pub recomputed: [Value; 2],
}

/// Judges a run.
pub fn judge(book: &Book, shown: &Shown, plan: &Plan, acts: &Acts) -> Verdict {
    let patient = plan.patient;
    let mut verdict = Verdict::on(book);
    let verdict_of = &mut verdict;
    let mut submissions = Submissions::of(plan.folders[Side::Receiver as usize]);
    for detail in &shown.submissions {
        list(&detail["recipients"]).for_each(|recipient| answered_wrongly(recipient, verdict_of));
        for (address, recipient) in submissions.known(book, detail, verdict_of) {
            let stopped = acts.have_stopped(&recipient["recipient"]);
            if acts.stopped(address) == Stopped::Yes && !stopped {
                verdict_of.find(format!("{address}: STOPPED, and sent all the same\n{}", story(recipient)));
            }
            match patient && !stopped {
                true => submissions.exactly(book, (address, &without_acts(recipient)), verdict_of),
                false => truthful(book, address, recipient, verdict_of),
            }
        }
    }
    submissions.end(book, verdict_of);
    match patient {
        true => {
            truth::deliveries(&but_for_stopped(book, shown, acts), verdict_of);
            for side in Side::BOTH {
                truth::notices(side, &shown.notices[side as usize], verdict_of);
            }
        }
        false => truth::never_twice(book, verdict_of),
    }
    for side in Side::BOTH {
        truth::store(side, &shown.recomputed[side as usize], true, verdict_of);
    }
    verdict
}

/// What is to be offered to the consumer, and what was.
fn but_for_stopped(book: &Book, shown: &Shown, acts: &Acts) -> Book {
    let mut book = book.clone();
    let recipients = shown.submissions.iter().flat_map(|detail| list(&detail["recipients"]));
    for stopped in recipients.map(|one| &one["recipient"]).filter(|one| acts.have_stopped(one)) {
        book.handed_in.remove(stopped["address"].as_str().unwrap_or_default());
    }
    book
}

/// What an attempt may have come to between two good nodes: a receipt, a break on the way, no time or no room at the receiver. Whoever
/// asks again gets the receipt again; evidence that comes all the same would hide that he did not.
const EXPECTED: [&str; 8] = [
    "receipt verified",
    "the connection to ",
    " did not answer within ",
    "cannot connect to ",
    "DeliveryFailure",
    "stopped before the outcome was known",
    "the message was settled before the outcome was known",
    // The network sends some octets twice.
    "there is text outside the root element",
];

/// An answer that no good node gives to another.
fn answered_wrongly(recipient: &Value, verdict: &mut Verdict) {
    let attempts = list(&recipient["messages"]).flat_map(|message| list(&message["attempts"]));
    let odd = |detail: &&str| !EXPECTED.iter().any(|expected| detail.contains(expected));
    if let Some(odd) = attempts.filter_map(|attempt| attempt["detail"].as_str()).find(odd) {
        verdict.find(format!("an attempt ended with {odd:?}\n{}", story(recipient)));
    }
}

/// No status says more than what the consumer saw, and none that it had nothing when it had.
fn truthful(book: &Book, address: &str, recipient: &Value, verdict: &mut Verdict) {
    let status = status_of(&recipient["recipient"]);
    let offered = book.offered.get(address);
    let settled = offered.is_some_and(|all| all.iter().any(|(delivery, _)| book.settled.contains(delivery)));
    let refused = book.handed_in.get(address).is_some_and(|sha256| Letter::is_refused(address, sha256));
    let wrong = match (status.send.as_str(), status.delivery.as_str()) {
        (_, demo::DELIVERED) if !settled || refused => Some("its consumer did not take it"),
        (_, demo::REFUSED) if !settled || !refused => Some("its consumer did not refuse it"),
        (demo::FAILED, _) if offered.is_some() => Some("its consumer has it"),
        (demo::SENT, _) if offered.is_none() => Some("its consumer never saw it"),
        (_, demo::MISSED) => Some("nobody had a deadline"),
        _ => None,
    };
    let doubled = list(&recipient["messages"]).count() != 1;
    let wrong = wrong.or(doubled.then_some("it has other than one message"));
    let over = status.send != demo::PROCESSING;
    let open = over.then(|| truth::never_ended(recipient)).flatten();
    if let Some(open) = open {
        verdict.find(format!("{address}: {open}\n{}", story(recipient)));
    }
    if let Some(wrong) = wrong {
        let (send, delivery) = (&status.send, &status.delivery);
        verdict
            .find(format!("{address}: WRONG STATUS: {send} / {delivery}, but {wrong}\n{}", story(recipient)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::operator::{Answer, Deed};

    /// One letter, acknowledged; shown with that record, offered so many times and settled.
    fn found(record: (&str, &str), offers: u64, settled: bool, patient: bool) -> Vec<String> {
        found_after(&Acts::default(), record, (offers, settled), patient)
    }

    fn found_after(
        acts: &Acts,
        (send, delivery): (&str, &str),
        (offers, settled): (u64, bool),
        patient: bool,
    ) -> Vec<String> {
        let mut book = Book::default();
        let (address, taken) = ("to-b::1".to_owned(), "f0".to_owned());
        book.handed_in.insert(address.clone(), taken);
        book.acknowledged.insert(address.clone(), "s".into());
        for number in 0..offers {
            book.offered.entry(address.clone()).or_default().insert((number.to_string(), "m".into()));
        }
        if settled {
            book.settled.insert("0".into());
        }
        let signals =
            ["accepted", "receipted", "consigned", "taken"].map(|s| json!({ "row": { "signal": s } }));
        let recipient = json!({
            "recipient": { "address": address, "record": { "send": send, "delivery": delivery } },
            "messages": [{}], "evidence": signals,
        });
        let submissions = vec![json!({ "submission": { "id": "s" }, "recipients": [recipient] })];
        let empty = || json!({ "differences": [], "orphans": [] });
        let shown = Shown { submissions, notices: [json!([]), json!([])], recomputed: [empty(), empty()] };
        judge(&book, &shown, &Plan { patient, folders: [false; 2], ..Plan::new(1) }, acts).findings
    }

    #[test]
    fn the_patient_must_deliver_and_nobody_may_deliver_twice() {
        assert!(found(("sent", "delivered"), 1, true, true).is_empty());
        for (record, offers, settled) in [
            (("sent", "delivered"), 0, false),
            (("sent", "delivered"), 2, true),
            (("sent", ""), 1, true),
            (("failed", ""), 0, false),
        ] {
            assert!(!found(record, offers, settled, true).is_empty(), "{record:?} {offers}");
        }
        assert!(!found(("processing", ""), 2, false, false).is_empty());
    }

    #[test]
    fn who_gives_up_says_no_more_than_is_true() {
        for (record, offers, settled, good) in [
            (("failed", ""), 0, false, true),
            (("failed", ""), 1, false, false),
            (("processing", ""), 0, false, true),
            (("processing", ""), 1, true, true),
            (("sent", ""), 1, false, true),
            (("sent", ""), 0, false, false),
            (("sent", "delivered"), 1, true, true),
            (("sent", "delivered"), 1, false, false),
            (("sent", "refused"), 1, true, false),
            (("sent", "missed"), 1, true, false),
        ] {
            let findings = found(record, offers, settled, false);
            assert_eq!(findings.is_empty(), good, "{record:?} {offers} {settled}: {findings:?}");
        }
    }

    #[test]
    fn what_was_stopped_has_failed_and_is_offered_to_nobody() {
        let (failed, delivered) = (("failed", ""), ("sent", "delivered"));
        for patient in [true, false] {
            for (answer, record, offers, good) in [
                (Answer::Done, failed, 0, true),
                (Answer::Done, failed, 1, false),
                (Answer::Done, delivered, 1, false),
                (Answer::Nothing, failed, 0, true),
                (Answer::Nothing, delivered, 1, true),
                (Answer::Refused, delivered, 1, true),
            ] {
                let acts = Acts::default();
                acts.keep("to-b::1", Deed::Cancel, answer);
                let findings = found_after(&acts, record, (offers, offers > 0), patient);
                assert_eq!(findings.is_empty(), good, "{answer:?} {record:?} {offers}: {findings:?}");
            }
        }
    }

    /// A letter to two, of whom by its digest the first takes it and the second refuses it; the sender shows these.
    fn found_of_two(shown: &[(&str, &str)]) -> Vec<String> {
        let mut book = Book::default();
        for (number, address) in ["to-b::lab-1", "to-b::lab-1-1"].into_iter().enumerate() {
            book.handed_in.insert(address.into(), "f0".into());
            book.acknowledged.insert(address.into(), "s".into());
            book.offered.entry(address.into()).or_default().insert((number.to_string(), "m".into()));
            book.settled.insert(number.to_string());
        }
        let recipient = |(address, delivery): &(&str, &str)| {
            let word = if *delivery == "refused" { "refused" } else { "taken" };
            let signals = ["accepted", "consigned", word].map(|s| json!({ "row": { "signal": s } }));
            json!({
                "recipient": { "address": address, "record": { "send": "sent", "delivery": delivery } },
                "messages": [{}], "evidence": signals,
            })
        };
        let recipients: Vec<Value> = shown.iter().map(recipient).collect();
        let submissions = vec![json!({ "submission": { "id": "s" }, "recipients": recipients })];
        let empty = || json!({ "differences": [], "orphans": [] });
        let shown = Shown { submissions, notices: [json!([]), json!([])], recomputed: [empty(), empty()] };
        judge(&book, &shown, &Plan { patient: true, folders: [false; 2], ..Plan::new(1) }, &Acts::default())
            .findings
    }

    #[test]
    fn each_recipient_of_a_letter_is_judged_by_itself() {
        let (first, second) = (("to-b::lab-1", "delivered"), ("to-b::lab-1-1", "refused"));
        assert_eq!(found_of_two(&[first, second]), [""; 0]);
        for bad in [
            vec![first],
            vec![],
            vec![first, ("to-b::lab-1-1", "delivered")],
            vec![("to-b::lab-1", "refused"), second],
            vec![first, second, second],
        ] {
            assert!(!found_of_two(&bad).is_empty(), "{bad:?}");
        }
    }
}
