//! A disk without room and a database that does not answer: nothing acknowledged is lost, peers and producers are asked to come
//! again, and once the trouble is over everything arrives once.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use conformance::http;
use conformance::lab::{Disk, Faults, Rig, Side, Stall, Stores, judge, settle};
use conformance::node::tilts_binary;
use conformance::random::setting;

fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    setting("TILTS_SEED", now)
}

async fn rig(seed: u64) -> Result<Rig> {
    println!("repeat this run with TILTS_SEED={seed}");
    Rig::set_up(&tilts_binary()?, Stores::Sqlite, false, [Faults::new(seed, 0), Faults::new(seed, 0)]).await
}

/// Everything arrives within a minute, once, and the oracle is content.
async fn all_is_well(rig: &mut Rig, seed: u64) -> Result<()> {
    let settled = settle(rig, Duration::from_secs(60)).await;
    let verdict = judge(rig).await?;
    let kept = if settled && verdict.is_good() { String::new() } else { rig.keep() };
    ensure!(verdict.is_good(), "TILTS_SEED={seed}, kept in {kept}: {:#?}", verdict.findings);
    ensure!(settled, "TILTS_SEED={seed}, kept in {kept}: not settled within a minute");
    println!(
        "{} letters to {} recipients, {} evidence rows",
        verdict.letters, verdict.messages, verdict.evidence
    );
    Ok(())
}

/// Times that a node asked a peer to come again.
async fn turned_away(rig: &Rig, side: Side) -> Result<f64> {
    let admin = rig.point(side).node.ports.admin;
    let answer = http::request(admin, hyper::Method::GET, "/metrics", "", "").await?;
    let text = String::from_utf8(answer.body.to_vec())?;
    let lines =
        text.lines().filter(|l| l.starts_with("tilts_messages_rejected_total") && l.contains("HTTP 503"));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

/// Letters under way when a disk is full, and as many that are handed in then.
const LETTERS: u64 = 16;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing_that_was_acknowledged() -> Result<()> {
    let seed = seed();
    let mut rig = rig(seed).await?;
    let mut disks = Vec::new();
    for side in Side::BOTH {
        let Some(disk) = Disk::mount(&rig.folder(side).join("data"), 48)? else {
            eprintln!("SKIPPED: this process may not mount a small disk; as root it may");
            return Ok(());
        };
        disks.push(disk);
    }
    rig.start().await?;
    let mut producers = Vec::new();
    for (side, first) in [(Side::Receiver, 0), (Side::Sender, 2 * LETTERS)] {
        // Who has too much under way hands nothing in, and cannot be asked to come again.
        settle(&rig, Duration::from_secs(60)).await;
        producers.push(rig.produce(seed, first..first + LETTERS));
        tokio::time::sleep(Duration::from_millis(400)).await;
        let taken = disks[side as usize].fill()?;
        producers.push(rig.produce(seed, first + LETTERS..first + 2 * LETTERS));
        tokio::time::sleep(Duration::from_secs(4)).await;
        println!("{side:?}: full after {taken} octets; settled so far: {:?}", rig.ledger.progress());
        if side == Side::Receiver {
            ensure!(turned_away(&rig, side).await? > 0.0, "no peer was asked to come again");
        } else {
            ensure!(rig.ledger.book().turned_away > 0, "the producer was never asked to come again");
        }
        disks[side as usize].free()?;
    }
    for producer in producers {
        producer.await??;
    }
    all_is_well(&mut rig, seed).await
}

/// Longer than a store waits for its database (ten seconds).
const LONG: Duration = Duration::from_secs(14);

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_answer_loses_nothing_that_was_acknowledged() -> Result<()> {
    let seed = seed();
    let mut rig = rig(seed).await?;
    rig.start().await?;
    let producer = rig.produce(seed, 0..36);
    tokio::time::sleep(Duration::from_millis(500)).await;
    for length in [LONG, Duration::from_secs(2)] {
        let mut stalls = Vec::new();
        for side in Side::BOTH {
            stalls.push(Stall::begin(&rig.store(side), length).await?);
        }
        for stall in stalls {
            stall.end().await?;
        }
        println!("{length:?} without a database; settled so far: {:?}", rig.ledger.progress());
    }
    producer.await??;
    all_is_well(&mut rig, seed).await
}
