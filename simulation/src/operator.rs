//! An operator of the sender, who stops and urges what is sent at moments of the seed, and is told what came of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use conformance::demo::{FAILED, list, status_of};
use conformance::http;
use conformance::lab::{Letter, Side};
use hyper::Method;
use serde_json::Value;

use crate::engine::Moment;
use crate::people::People;
use crate::world::{ADMIN, address};

/// Whoever has no answer after so long does not wait for it.
const PATIENCE: Duration = Duration::from_secs(5);
/// What was not there is looked for again.
const AGAIN: Duration = Duration::from_millis(30);
/// Who, and why.
const WORDS: &str = r#"{"who":"clerk","why":"the seed"}"#;

/// What an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Not to send what was not sent.
    Cancel,
    /// To send again, and at once.
    Retry,
}

impl Deed {
    fn word(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Retry => "retry",
        }
    }
}

/// One act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Act {
    /// When.
    pub at: Moment,
    /// The letter's number.
    pub letter: u64,
    /// For which of its recipients.
    pub copy: u64,
    /// What.
    pub deed: Deed,
}

/// What the operator was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// It cannot be done.
    Refused,
    /// Nothing: the node was down, or died of it.
    Nothing,
}

/// What was done to each address, in order.
#[derive(Debug, Clone, Default)]
pub struct Acts {
    done: Arc<Mutex<BTreeMap<String, Done>>>,
    /// An operator waits for an answer before the next act: else nobody could say in which order the sender saw them.
    hand: Arc<tokio::sync::Mutex<()>>,
}

type Done = Vec<(Deed, Answer)>;

/// Whether a message was stopped for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It was not.
    No,
    /// Nobody knows: an answer is missing.
    Perhaps,
    /// It was.
    Yes,
}

impl Acts {
    /// Something was done.
    pub fn keep(&self, address: &str, deed: Deed, answer: Answer) {
        let mut acts = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        acts.entry(address.to_owned()).or_default().push((deed, answer));
    }

    /// What it comes to for an address. What was asked without an answer may be done late, after all that was asked then.
    pub fn stopped(&self, address: &str) -> Stopped {
        let acts = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut stopped, mut doubt) = (false, false);
        for (deed, answer) in acts.get(address).into_iter().flatten() {
            match (deed, answer) {
                (_, Answer::Refused) => {}
                (Deed::Cancel, Answer::Done) => stopped = true,
                (Deed::Retry, Answer::Done) => stopped = false,
                (Deed::Cancel, Answer::Nothing) => doubt = true,
                (Deed::Retry, Answer::Nothing) => doubt |= stopped,
            }
        }
        match (doubt, stopped) {
            (true, _) => Stopped::Perhaps,
            (false, true) => Stopped::Yes,
            (false, false) => Stopped::No,
        }
    }

    /// Whether a recipient, as it is shown, failed because of that.
    pub fn have_stopped(&self, recipient: &Value) -> bool {
        let address = recipient["address"].as_str().unwrap_or_default();
        status_of(recipient).send == FAILED && self.stopped(address) != Stopped::No
    }

    /// How often what was asked was done, by deed.
    pub fn done(&self) -> BTreeMap<String, u64> {
        let acts = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = BTreeMap::new();
        for (deed, _) in acts.values().flatten().filter(|(_, answer)| *answer == Answer::Done) {
            *counts.entry(deed.word().to_owned()).or_default() += 1;
        }
        counts
    }
}

impl People {
    /// Does something to a letter when it is time and the sender has it.
    pub async fn operate(self, act: Act, letter: Letter) {
        tokio::time::sleep(act.at.saturating_sub(self.zero.now())).await;
        let Some(address) = letter.addresses().nth(usize::try_from(act.copy).unwrap_or_default()) else {
            return;
        };
        let id = loop {
            match self.recipient(&address).await {
                Ok(Some(id)) => break id,
                _ if self.zero.now() > act.at + PATIENCE => return,
                _ => tokio::time::sleep(AGAIN).await,
            }
        };
        let _one_by_one = self.acts.hand.lock().await;
        let asked = tokio::time::timeout(PATIENCE, self.ask(&id, act.deed)).await;
        let answer = match asked {
            Ok(Ok(true)) => Answer::Done,
            Ok(Ok(false)) => Answer::Refused,
            Ok(Err(_)) | Err(_) => Answer::Nothing,
        };
        self.acts.keep(&address, act.deed, answer);
        self.tell(format_args!("operator: {} {address}: {answer:?}", act.deed.word()));
    }

    /// The id of a recipient, once it was handed in.
    async fn recipient(&self, address: &str) -> Result<Option<String>> {
        let page = self.admin(Side::Sender, "/api/submissions?limit=200").await?;
        let mut all = list(&page).flat_map(|submission| list(&submission["recipients"]));
        let found = all.find(|recipient| recipient["address"] == address);
        found.map(|found| found["id"].as_str().map(str::to_owned).context("no id")).transpose()
    }

    /// Whether it is done; an error when nobody knows.
    async fn ask(&self, recipient: &str, deed: Deed) -> Result<bool> {
        let path = format!("/api/recipients/{recipient}/{}", deed.word());
        let to = address(Side::Sender, ADMIN);
        let answer =
            http::request_by(&self.outside, to, Method::POST, &path, ("application/json", WORDS.into()))
                .await?;
        match answer.status.as_u16() {
            200 => Ok(true),
            409 | 422 => Ok(false),
            other => anyhow::bail!("HTTP {other}"),
        }
    }
}

/// A recipient as it is shown, but for what operators said.
pub fn without_acts(recipient: &Value) -> Value {
    let mut shown = recipient.clone();
    if let Some(evidence) = shown["evidence"].as_array_mut() {
        evidence.retain(|evidence| evidence["row"]["kind"] != "operator");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_without_an_answer_is_in_doubt() {
        use Answer::{Done, Nothing, Refused};
        use Deed::{Cancel, Retry};
        for (said, stopped) in [
            (vec![], Stopped::No),
            (vec![(Cancel, Refused)], Stopped::No),
            (vec![(Cancel, Done)], Stopped::Yes),
            (vec![(Cancel, Nothing)], Stopped::Perhaps),
            (vec![(Cancel, Done), (Retry, Done)], Stopped::No),
            (vec![(Cancel, Done), (Retry, Nothing)], Stopped::Perhaps),
            (vec![(Cancel, Nothing), (Retry, Done)], Stopped::Perhaps),
            (vec![(Retry, Nothing)], Stopped::No),
            (vec![(Retry, Done), (Cancel, Done)], Stopped::Yes),
        ] {
            let acts = Acts::default();
            said.iter().for_each(|(deed, answer)| acts.keep("a", *deed, *answer));
            assert_eq!(acts.stopped("a"), stopped, "{said:?}");
        }
    }
}
