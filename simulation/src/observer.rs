//! Whoever looks at the sender's statuses all the time: they must be true at every moment, not only in the end, and what is final stays.

use std::collections::{BTreeMap, BTreeSet};

use conformance::demo::{self, Status, list, status_of};
use conformance::lab::Book;
use serde_json::Value;

/// What was seen last of each recipient.
#[derive(Debug, Default)]
pub struct Observer {
    last: BTreeMap<String, Status>,
}

impl Observer {
    /// A page of submissions as the sender shows it just now; what is wrong with it.
    /// `before` were those to whom something had been offered when it was asked for.
    pub fn look(&mut self, page: &Value, before: &BTreeSet<String>, book: &Book) -> Vec<String> {
        let mut wrong = Vec::new();
        for recipient in list(page).flat_map(|submission| list(&submission["recipients"])) {
            let address = recipient["address"].as_str().unwrap_or_default().to_owned();
            let status = status_of(recipient);
            let offered = (before.contains(&address), book.offered.contains_key(&address));
            let last = self.last.get(&address);
            if let Some(what) = last.and_then(|last| undone(last, &status)).or(untrue(&status, offered)) {
                let (send, delivery) = (&status.send, &status.delivery);
                wrong.push(format!("{address} is shown as {send} / {delivery}: {what}"));
            }
            self.last.insert(address, status);
        }
        wrong
    }
}

/// A verdict of a node about itself may be overruled by evidence; what evidence said may not.
fn undone(before: &Status, now: &Status) -> Option<String> {
    let sent = before.send == demo::SENT && now.send != demo::SENT;
    let delivered = before.delivery != "-" && before.delivery != now.delivery;
    (sent || delivered).then(|| format!("it was {} / {}", before.send, before.delivery))
}

/// The consumer may have it before anybody hears of that, and never after.
fn untrue(status: &Status, (before, offered): (bool, bool)) -> Option<String> {
    let what = match (status.send.as_str(), status.delivery.as_str()) {
        (demo::FAILED, _) if before => "its consumer has it",
        (_, demo::DELIVERED | demo::REFUSED) if !offered => "its consumer never saw it",
        _ => return None,
    };
    Some(what.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_untrue_or_undone_is_seen_when_it_is_shown() {
        let mut book = Book::default();
        let mut observer = Observer::default();
        let mut look = |send: &str, delivery: &str, offered: bool| {
            book.offered.clear();
            if offered {
                book.offered.entry("a".into()).or_default().insert(("1".into(), "m".into()));
            }
            let recipient = json!({ "address": "a", "record": { "send": send, "delivery": delivery } });
            let before = book.offered.keys().cloned().collect();
            observer.look(&json!([{ "recipients": [recipient] }]), &before, &book).len()
        };
        assert_eq!(look("processing", "", false), 0);
        assert_eq!(look("failed", "", false), 0);
        assert_eq!(look("failed", "", true), 1);
        assert_eq!(look("sent", "", true), 0, "evidence overrules");
        assert_eq!(look("processing", "", true), 1);
        assert_eq!(look("sent", "delivered", true), 0);
        assert_eq!(look("sent", "refused", true), 1);
        assert_eq!(look("sent", "refused", false), 1);
    }
}
