//! What must hold in the end: of what was handed in, what came out, and what either node shows and keeps. Who asked, and how, is nothing
//! to it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::ledger::{Book, Letter};
use super::schedule::Side;
use crate::demo::{self, Status, list, status_of};

/// Most findings that are told; where there is one there are often thousands.
const MOST: usize = 40;

/// What the oracle found.
#[derive(Debug, Default, serde::Serialize)]
pub struct Verdict {
    /// Letters handed in.
    pub letters: usize,
    /// Their messages: one for each recipient.
    pub messages: usize,
    /// Evidence rows behind their statuses.
    pub evidence: usize,
    /// What is not as it must be. Empty when all is well.
    pub findings: Vec<String>,
    /// Findings besides those told.
    pub untold: usize,
    /// Payload files that no row names and that a node among several leaves alone for an hour: another one might be about to
    /// name them.
    pub left_over: u64,
}

impl Verdict {
    /// Nothing is found yet of what was handed in.
    pub fn on(book: &Book) -> Self {
        Self { letters: book.letters, messages: book.handed_in.len(), ..Self::default() }
    }

    /// Whether nothing was found.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }

    /// Tells of something that is not as it must be.
    pub fn find(&mut self, what: String) {
        match self.findings.len() < MOST {
            true => self.findings.push(what),
            false => self.untold += 1,
        }
    }
}

/// Every submission that is shown, and that was acknowledged.
#[derive(Debug, Default)]
pub struct Submissions {
    by_folder: bool,
    seen: BTreeSet<String>,
}

impl Submissions {
    /// None yet. Where the consumer answers `by_folder` it may do so before the receiver has said that the message is at its disposal: a
    /// folder that is shown can be answered while the node is down, and what became of the message is said alone.
    pub fn of(by_folder: bool) -> Self {
        Self { by_folder, seen: BTreeSet::new() }
    }

    /// A submission as `/api/submissions/{id}` shows it: there once, each recipient with the status that its consumer gave it.
    pub fn one(&mut self, book: &Book, detail: &Value, verdict: &mut Verdict) {
        for one in self.known(book, detail, verdict) {
            self.exactly(book, one, verdict);
        }
    }

    /// A recipient has the status that its consumer gave it, and everything about it is said once.
    pub fn exactly(&self, book: &Book, (address, recipient): (&str, &Value), verdict: &mut Verdict) {
        let Some(sha256) = book.handed_in.get(address) else { return };
        if let Some(problem) = recipient_holds(recipient, (address, sha256), self.by_folder) {
            verdict.find(format!("{address}: {problem}\n{}", story(recipient)));
        }
    }

    /// The recipients of a submission, each with its address and judged by itself: whether it was acknowledged with this one.
    pub fn known<'d>(
        &mut self,
        book: &Book,
        detail: &'d Value,
        verdict: &mut Verdict,
    ) -> Vec<(&'d str, &'d Value)> {
        let id = detail["submission"]["id"].as_str().unwrap_or_default();
        let address = |recipient: &'d Value| recipient["recipient"]["address"].as_str().unwrap_or_default();
        let recipients: Vec<_> = list(&detail["recipients"]).map(|one| (address(one), one)).collect();
        if recipients.is_empty() {
            verdict.find(format!("submission {id} has no recipient"));
        }
        for (address, recipient) in &recipients {
            verdict.evidence += list(&recipient["evidence"]).count();
            self.acknowledged(book, (address, id), verdict);
        }
        recipients
    }

    /// One recipient of a submission.
    fn acknowledged(&mut self, book: &Book, (address, id): (&str, &str), verdict: &mut Verdict) {
        if !self.seen.insert(address.to_owned()) {
            verdict.find(format!(
                "DOUBLED: {address} is a recipient more than once, of submission {id} among them"
            ));
        }
        if book.acknowledged.get(address).map(String::as_str) != Some(id) {
            verdict.find(format!("{address}: submission {id} is not the one that was acknowledged"));
        }
        if !book.handed_in.contains_key(address) {
            verdict.find(format!("{address}: nobody handed that in"));
        }
    }

    /// What was handed in and is not there.
    pub fn end(&self, book: &Book, verdict: &mut Verdict) {
        for (recipient, id) in
            book.acknowledged.iter().filter(|(recipient, _)| !self.seen.contains(*recipient))
        {
            verdict.find(format!("LOST: {recipient} was acknowledged as submission {id} and is not there"));
        }
        for recipient in book.handed_in.keys().filter(|recipient| !book.acknowledged.contains_key(*recipient))
        {
            verdict.find(format!("{recipient} was never acknowledged to its producer"));
        }
    }
}

/// Status and evidence, exactly: what the consumer's word leads to, everything said once.
fn recipient_holds(recipient: &Value, (address, sha256): (&str, &str), by_folder: bool) -> Option<String> {
    let (word, delivery) = match Letter::is_refused(address, sha256) {
        true => ("refused", demo::REFUSED),
        false => ("taken", demo::DELIVERED),
    };
    let wanted = Status { send: demo::SENT.into(), delivery: delivery.into() };
    let status = status_of(&recipient["recipient"]);
    if status != wanted {
        return Some(format!(
            "WRONG STATUS: {} / {}, not {} / {delivery}",
            status.send, status.delivery, wanted.send
        ));
    }
    let mut signals: Vec<&str> = signals(recipient).collect();
    signals.sort_unstable();
    // Evidence may overtake a receipt that was lost: then nothing is sent any more, and none comes.
    let receipt = signals.iter().position(|signal| *signal == "receipted");
    let _ = receipt.map(|at| signals.remove(at));
    let mut wanted = vec!["accepted", "consigned", word];
    wanted.retain(|signal| !by_folder || *signal != "consigned" || signals.contains(signal));
    wanted.sort_unstable();
    if signals != wanted {
        return Some(format!("besides one receipt its evidence says {signals:?}, not {wanted:?}"));
    }
    let messages = list(&recipient["messages"]).count();
    (messages != 1).then(|| format!("it has {messages} messages")).or_else(|| never_ended(recipient))
}

/// An attempt that was begun and never ended, of a recipient with which nothing more happens.
pub fn never_ended(recipient: &Value) -> Option<String> {
    let mut attempts = list(&recipient["messages"]).flat_map(|message| list(&message["attempts"]));
    let open = attempts.find(|attempt| attempt["ended"].is_null())?;
    Some(format!("its attempt {} was never ended", open["number"]))
}

/// What the evidence of a recipient says, in order.
pub fn signals(recipient: &Value) -> impl Iterator<Item = &str> {
    list(&recipient["evidence"]).filter_map(|evidence| evidence["row"]["signal"].as_str())
}

/// Attempts and evidence of a recipient, for whoever must understand it.
pub fn story(recipient: &Value) -> String {
    let mut lines = Vec::new();
    for message in list(&recipient["messages"]) {
        lines.push(format!(
            "    message {} {}: {}",
            message["message_id"], message["state"], message["detail"]
        ));
        for attempt in list(&message["attempts"]) {
            let [number, started, outcome, detail] =
                ["number", "started", "outcome", "detail"].map(|key| &attempt[key]);
            lines.push(format!("    attempt {number} at {started} {outcome}: {detail}"));
        }
    }
    for evidence in list(&recipient["evidence"]) {
        let [signal, received, detail] = ["signal", "received", "detail"].map(|key| &evidence["row"][key]);
        lines.push(format!("    evidence {signal} at {received} {detail}"));
    }
    lines.join("\n")
}

/// The consumer got each message once, under one MessageId.
pub fn deliveries(book: &Book, verdict: &mut Verdict) {
    for recipient in book.handed_in.keys().filter(|recipient| !book.offered.contains_key(*recipient)) {
        verdict.find(format!("LOST: {recipient} was never offered to the consumer"));
    }
    never_twice(book, verdict);
}

/// The consumer got no message twice or wrong.
pub fn never_twice(book: &Book, verdict: &mut Verdict) {
    for wrong in &book.wrong {
        verdict.find(wrong.clone());
    }
    for (recipient, offers) in book.offered.iter().filter(|(_, offers)| offers.len() != 1) {
        verdict.find(format!("DOUBLED: {recipient} was offered as {offers:?}"));
    }
}

/// Nothing happened that an operator must look at: `/api/notices` is empty.
pub fn notices(side: Side, found: &Value, verdict: &mut Verdict) {
    for notice in list(found) {
        verdict
            .find(format!("{side:?}: notice {}: {} {}", notice["kind"], notice["subject"], notice["text"]));
    }
}

/// Chains, records, checkpoints and files of a store agree, and nothing lies about; a node `alone` has no other that might be about to
/// name a file.
pub fn store(side: Side, recomputed: &Value, alone: bool, verdict: &mut Verdict) {
    for difference in list(&recomputed["differences"]) {
        verdict.find(format!("{side:?}: difference {difference}"));
    }
    for orphan in list(&recomputed["orphans"]) {
        match alone {
            true => verdict.find(format!("{side:?}: no row names the payload file {orphan}")),
            false => verdict.left_over += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A letter to two, of whom the second refuses it, with what is shown of each.
    fn found(shown: &[(&str, &str, &str)]) -> Vec<String> {
        let mut book = Book { letters: 1, ..Book::default() };
        for address in ["to-b::lab-1", "to-b::lab-1-1"] {
            book.handed_in.insert(address.into(), "f0".into());
            book.acknowledged.insert(address.into(), "s".into());
        }
        let recipients = shown.iter().map(|(address, word, delivery)| {
            let signals = ["accepted", "consigned", word].map(|s| json!({ "row": { "signal": s } }));
            json!({
                "recipient": { "address": address, "record": { "send": "sent", "delivery": delivery } },
                "messages": [{}], "evidence": signals,
            })
        });
        let detail = json!({ "submission": { "id": "s" }, "recipients": recipients.collect::<Vec<_>>() });
        let (mut submissions, mut verdict) = (Submissions::default(), Verdict::on(&book));
        submissions.one(&book, &detail, &mut verdict);
        submissions.end(&book, &mut verdict);
        verdict.findings
    }

    #[test]
    fn each_recipient_of_a_letter_is_judged_by_itself() {
        let taken = ("to-b::lab-1", "taken", "delivered");
        let refused = ("to-b::lab-1-1", "refused", "refused");
        assert!(found(&[taken, refused]).is_empty());
        for (shown, what) in [
            (vec![taken], "LOST: to-b::lab-1-1 "),
            (vec![taken, refused, refused], "DOUBLED: to-b::lab-1-1 "),
            (vec![taken, ("to-b::lab-1-1", "taken", "delivered")], "to-b::lab-1-1: WRONG STATUS"),
            (vec![("to-b::lab-1", "refused", "delivered"), refused], "to-b::lab-1: besides one receipt"),
            (vec![taken, refused, ("to-b::lab-2", "taken", "delivered")], "to-b::lab-2: submission s"),
            (vec![], "submission s has no recipient"),
        ] {
            let findings = found(&shown);
            assert!(findings.iter().any(|finding| finding.starts_with(what)), "{what}: {findings:#?}");
        }
    }
}
