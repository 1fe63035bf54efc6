//! The oracle: what went in against what came out, and both against what either node shows and keeps.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hyper::Method;
use serde_json::Value;

use super::ledger::Letter;
use super::members::Stores;
use super::rig::Rig;
use super::schedule::Side;
use crate::demo::{self, Status, list, status_of};
use crate::http;

/// Most findings that are told; where there is one there are often thousands.
const MOST: usize = 40;

/// How long evidence may come after the final word.
const LATECOMERS: Duration = Duration::from_secs(20);

/// What the oracle found.
#[derive(Debug, Default, serde::Serialize)]
pub struct Verdict {
    /// Messages handed in.
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
    /// Whether nothing was found.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }

    /// Tells of something that is not as it must be.
    pub(super) fn find(&mut self, what: String) {
        match self.findings.len() < MOST {
            true => self.findings.push(what),
            false => self.untold += 1,
        }
    }
}

/// How many recipients of the sender have their final word.
pub(super) async fn finished(rig: &Rig) -> Result<usize> {
    let admin = rig.point(Side::Sender).node.ports.admin;
    let answer = http::request(admin, Method::GET, "/metrics", "", "").await?;
    let text = String::from_utf8(answer.body.to_vec())?;
    let final_states =
        ["delivered", "refused"].map(|state| format!("tilts_recipients{{state=\"{state}\"}} "));
    let counts = text.lines().filter_map(|line| {
        let count = final_states.iter().find_map(|name| line.strip_prefix(name.as_str()))?;
        count.trim().parse::<f64>().ok()
    });
    Ok(counts.sum::<f64>() as usize)
}

/// Whether everything that was handed in has its final word at the sender and was settled by the consumer.
pub(super) async fn is_settled(rig: &Rig) -> bool {
    let handed_in = rig.ledger.book().handed_in.len();
    let (acknowledged, settled) = rig.ledger.progress();
    acknowledged == handed_in && settled >= handed_in && finished(rig).await.is_ok_and(|n| n >= handed_in)
}

/// Waits until everything has settled. Whoever does not settle in time is a finding of [`judge`], with its story.
pub async fn settle(rig: &Rig, within: Duration) -> bool {
    let until = Instant::now() + within;
    while Instant::now() < until {
        if is_settled(rig).await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

/// Everything that must hold in the end. Both nodes must run; they are ended here.
pub async fn judge(rig: &mut Rig) -> Result<Verdict> {
    // Word of the last delivery reaches the sender before the receipt of it reaches the receiver: let that settle too.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut verdict = Verdict { messages: rig.ledger.book().handed_in.len(), ..Verdict::default() };
    submissions(rig, &mut verdict).await?;
    deliveries(rig, &mut verdict);
    for side in Side::BOTH {
        notices(rig, side, &mut verdict).await?;
    }
    rig.stop().await?;
    for side in Side::BOTH {
        store(rig, side, &mut verdict).await?;
    }
    Ok(verdict)
}

/// Every submission acknowledged is there once, with the status that its consumer gave it.
async fn submissions(rig: &Rig, verdict: &mut Verdict) -> Result<()> {
    let admin = rig.point(Side::Sender).node.ports.admin;
    let (mut before, mut seen) = (String::new(), BTreeSet::new());
    let until = Instant::now() + LATECOMERS;
    loop {
        let page = http::get(admin, &format!("/api/submissions?limit=200&before={before}")).await?;
        let Some(last) = list(&page).last() else { break };
        before = last["id"].as_str().context("no id")?.to_owned();
        for submission in list(&page) {
            let id = submission["id"].as_str().context("no id")?;
            let detail = complete(rig, id, until).await?;
            submission_holds(rig, &detail, &mut seen, verdict);
        }
    }
    let book = rig.ledger.book();
    for (recipient, id) in book.acknowledged.iter().filter(|(recipient, _)| !seen.contains(*recipient)) {
        verdict.find(format!("LOST: {recipient} was acknowledged as submission {id} and is not there"));
    }
    for recipient in book.handed_in.keys().filter(|recipient| !book.acknowledged.contains_key(*recipient)) {
        verdict.find(format!("{recipient} was never acknowledged to its producer"));
    }
    Ok(())
}

/// A submission with all evidence that must come. What was at the disposal may be testified after what became of it.
async fn complete(rig: &Rig, id: &str, until: Instant) -> Result<Value> {
    let admin = rig.point(Side::Sender).node.ports.admin;
    loop {
        let detail = http::get(admin, &format!("/api/submissions/{id}")).await?;
        let lacks = |recipient| !signals(recipient).any(|signal| signal == "consigned");
        if !list(&detail["recipients"]).any(lacks) || Instant::now() > until {
            return Ok(detail);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn submission_holds(rig: &Rig, detail: &Value, seen: &mut BTreeSet<String>, verdict: &mut Verdict) {
    let submission = &detail["submission"];
    let id = submission["id"].as_str().unwrap_or_default();
    let recipients: Vec<&Value> = list(&detail["recipients"]).collect();
    let [recipient] = recipients[..] else {
        return verdict.find(format!("submission {id} has {} recipients", recipients.len()));
    };
    let address = recipient["recipient"]["address"].as_str().unwrap_or_default();
    let book = rig.ledger.book();
    if !seen.insert(address.to_owned()) {
        verdict.find(format!("DOUBLED: {address} has more than one submission, {id} among them"));
    }
    if book.acknowledged.get(address).map(String::as_str) != Some(id) {
        verdict.find(format!("{address}: submission {id} is not the one that was acknowledged"));
    }
    let Some(sha256) = book.handed_in.get(address) else {
        return verdict.find(format!("{address}: nobody handed that in"));
    };
    verdict.evidence += list(&recipient["evidence"]).count();
    if let Some(problem) = recipient_holds(recipient, sha256) {
        verdict.find(format!("{address}: {problem}\n{}", story(recipient)));
    }
}

/// Status and evidence, exactly: what the consumer's word leads to, everything said once.
fn recipient_holds(recipient: &Value, sha256: &str) -> Option<String> {
    let (word, delivery) = match Letter::is_refused(sha256) {
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
    let mut wanted = ["accepted", "consigned", word];
    wanted.sort_unstable();
    if signals != wanted {
        return Some(format!("besides one receipt its evidence says {signals:?}, not {wanted:?}"));
    }
    let messages = list(&recipient["messages"]).count();
    (messages != 1).then(|| format!("it has {messages} messages"))
}

fn signals(recipient: &Value) -> impl Iterator<Item = &str> {
    list(&recipient["evidence"]).filter_map(|evidence| evidence["row"]["signal"].as_str())
}

/// Attempts and evidence of a recipient, for whoever must understand it.
fn story(recipient: &Value) -> String {
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
fn deliveries(rig: &Rig, verdict: &mut Verdict) {
    let book = rig.ledger.book();
    for wrong in &book.wrong {
        verdict.find(wrong.clone());
    }
    for recipient in book.handed_in.keys().filter(|recipient| !book.offered.contains_key(*recipient)) {
        verdict.find(format!("LOST: {recipient} was never offered to the consumer"));
    }
    for (recipient, offers) in book.offered.iter().filter(|(_, offers)| offers.len() != 1) {
        verdict.find(format!("DOUBLED: {recipient} was offered as {offers:?}"));
    }
}

/// Nothing happened that an operator must look at.
async fn notices(rig: &Rig, side: Side, verdict: &mut Verdict) -> Result<()> {
    let found = http::get(rig.point(side).node.ports.admin, "/api/notices").await?;
    for notice in list(&found) {
        verdict
            .find(format!("{side:?}: notice {}: {} {}", notice["kind"], notice["subject"], notice["text"]));
    }
    Ok(())
}

/// Chains, records, checkpoints and files of a store agree, and nothing lies about.
async fn store(rig: &Rig, side: Side, verdict: &mut Verdict) -> Result<()> {
    let found = rig.recomputed(side).await?;
    for difference in list(&found["differences"]) {
        verdict.find(format!("{side:?}: difference {difference}"));
    }
    for orphan in list(&found["orphans"]) {
        if rig.stores() != Stores::Sqlite {
            verdict.left_over += 1;
            continue;
        }
        verdict.find(format!("{side:?}: no row names the payload file {orphan}"));
    }
    for spool in rig.spools(side)? {
        for left in std::fs::read_dir(spool)? {
            verdict.find(format!("{side:?}: left in the spool: {}", left?.path().display()));
        }
    }
    Ok(())
}
