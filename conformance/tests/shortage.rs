//! A disk without room, of a node or of its database server, and a database that does not answer: nothing acknowledged is lost,
//! peers and producers are asked to come again, and once the trouble is over everything arrives once.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use conformance::http;
use conformance::lab::{Disk, Faults, Rig, Side, Stall, Stores, judge, settle};
use conformance::node::tilts_binary;
use conformance::postgres::skipped_without_postgres;
use conformance::random::setting;

fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    setting("TILTS_SEED", now)
}

async fn rig(seed: u64, stores: Stores, cluster: Option<&Path>) -> Result<Rig> {
    println!("repeat this run with TILTS_SEED={seed}");
    let faults = [Faults::new(seed, 0), Faults::new(seed, 0)];
    Rig::with_cluster(&tilts_binary()?, (stores, false), faults, cluster).await
}

/// A small disk over a folder; `None`, and a word, where there can be none.
fn small_disk(at: &Path, megabytes: u32) -> Result<Option<Disk>> {
    let disk = Disk::mount(at, megabytes)?;
    if disk.is_none() {
        eprintln!("SKIPPED: this process may not mount a small disk; as root it may");
    }
    Ok(disk)
}

/// Everything arrives within a minute, once, and the oracle is content.
async fn all_is_well(rig: &mut Rig, seed: u64) -> Result<()> {
    let settled = settle(rig, Duration::from_secs(60)).await;
    for at in rig.everybody() {
        ensure!(!rig.node(at).has_ended(), "the {} died of it, kept in {}", at.word(), rig.keep());
    }
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

/// Times that the receiver's nodes asked a peer to come again.
async fn turned_away(rig: &Rig) -> Result<f64> {
    let mut sum = 0.0;
    for at in rig.everybody().into_iter().filter(|at| at.side == Side::Receiver) {
        let admin = rig.point(at).node.ports.admin;
        let answer = http::request(admin, hyper::Method::GET, "/metrics", "", "").await?;
        let text = String::from_utf8(answer.body.to_vec())?;
        let lines =
            text.lines().filter(|l| l.starts_with("tilts_messages_rejected_total") && l.contains("HTTP 503"));
        sum += lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>();
    }
    Ok(sum)
}

/// Letters under way when a disk is full, and as many that are handed in then.
const LETTERS: u64 = 16;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing_that_was_acknowledged() -> Result<()> {
    full_disks(Stores::Sqlite).await
}

/// Only what lies in files has no room then.
#[tokio::test(flavor = "multi_thread")]
async fn nor_does_a_full_disk_of_payloads_with_two_nodes_on_postgresql() -> Result<()> {
    if skipped_without_postgres() {
        return Ok(());
    }
    full_disks(Stores::Postgres(2)).await
}

/// The receiver's disk is full, and then the sender's.
async fn full_disks(stores: Stores) -> Result<()> {
    let seed = seed();
    let mut rig = rig(seed, stores, None).await?;
    let mut disks = Vec::new();
    for side in Side::BOTH {
        let Some(disk) = small_disk(&rig.payloads(side), 48)? else { return Ok(()) };
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
            ensure!(turned_away(&rig).await? > 0.0, "no peer was asked to come again");
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

/// A server whose disk is full refuses what needs room, and ends where its own log needs some: then somebody starts it again.
#[tokio::test(flavor = "multi_thread")]
async fn nor_does_a_full_disk_of_the_database_server() -> Result<()> {
    if skipped_without_postgres() {
        return Ok(());
    }
    let (seed, cluster) = (seed(), tempfile::tempdir()?);
    let Some(disk) = small_disk(cluster.path(), 160)? else { return Ok(()) };
    let mut rig = rig(seed, Stores::Postgres(2), Some(cluster.path())).await?;
    rig.start().await?;
    let mut producers = Vec::new();
    for first in [0, 2 * LETTERS] {
        producers.push(rig.produce(seed, first..first + LETTERS));
        tokio::time::sleep(Duration::from_millis(400)).await;
        let (taken, before) = (disk.fill()?, rig.ledger.book().turned_away);
        producers.push(rig.produce(seed, first + LETTERS..first + 2 * LETTERS));
        tokio::time::sleep(Duration::from_secs(4)).await;
        let turned_away = rig.ledger.book().turned_away - before;
        disk.free()?;
        let ended = rig.database().context("no server")?.revive().await?;
        println!("full after {taken} octets: {turned_away} times turned away, the server ended: {ended}");
        ensure!(turned_away > 0, "the producer was never asked to come again");
        settle(&rig, Duration::from_secs(60)).await;
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
    let mut rig = rig(seed, Stores::Sqlite, None).await?;
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
