//! The oracle asks either node what it shows and keeps; what must hold of it stands in [`super::truth`].

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hyper::Method;
use serde_json::Value;

use super::members::Stores;
use super::rig::Rig;
use super::schedule::Side;
use super::truth::{self, Submissions, Verdict, signals};
use crate::demo::list;
use crate::http;

/// How long evidence may come after the final word.
const LATECOMERS: Duration = Duration::from_secs(20);

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
    let mut verdict = Verdict::on(&rig.ledger.book());
    submissions(rig, &mut verdict).await?;
    truth::deliveries(&rig.ledger.book(), &mut verdict);
    for side in Side::BOTH {
        notices(rig, side, &mut verdict).await?;
    }
    rig.stop().await?;
    for side in Side::BOTH {
        store(rig, side, &mut verdict).await?;
    }
    Ok(verdict)
}

/// Every submission acknowledged is there once, and each recipient has the status that its consumer gave it.
async fn submissions(rig: &Rig, verdict: &mut Verdict) -> Result<()> {
    let admin = rig.point(Side::Sender).node.ports.admin;
    let (mut before, mut submissions) = (String::new(), Submissions::default());
    let until = Instant::now() + LATECOMERS;
    loop {
        let page = http::get(admin, &format!("/api/submissions?limit=200&before={before}")).await?;
        let Some(last) = list(&page).last() else { break };
        before = last["id"].as_str().context("no id")?.to_owned();
        for submission in list(&page) {
            let id = submission["id"].as_str().context("no id")?;
            let detail = complete(rig, id, until).await?;
            submissions.one(&rig.ledger.book(), &detail, verdict);
        }
    }
    submissions.end(&rig.ledger.book(), verdict);
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

/// Nothing happened that an operator must look at.
async fn notices(rig: &Rig, side: Side, verdict: &mut Verdict) -> Result<()> {
    let found = http::get(rig.point(side).node.ports.admin, "/api/notices").await?;
    truth::notices(side, &found, verdict);
    Ok(())
}

/// Chains, records, checkpoints and files of a store agree, and nothing lies about.
async fn store(rig: &Rig, side: Side, verdict: &mut Verdict) -> Result<()> {
    truth::store(side, &rig.recomputed(side).await?, rig.stores() == Stores::Sqlite, verdict);
    for left in left_in_spools(rig, side).await? {
        verdict.find(format!("{side:?}: left in the spool: {}", left.display()));
    }
    Ok(())
}

/// What is there and does not go: a repeat that broke off lies there until its connection has idled out.
async fn left_in_spools(rig: &Rig, side: Side) -> Result<Vec<std::path::PathBuf>> {
    let until = Instant::now() + Duration::from_secs(15);
    loop {
        let mut left = Vec::new();
        for spool in rig.spools(side)? {
            for entry in std::fs::read_dir(spool)? {
                left.push(entry?.path());
            }
        }
        if left.is_empty() || Instant::now() > until {
            return Ok(left);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
