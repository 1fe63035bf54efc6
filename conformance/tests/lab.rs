//! Promise 4 in the crash laboratory, a twentieth of `make lab`; and a death at every named point, of a node on SQLite and of one of
//! two on PostgreSQL.
//!
//! `TILTS_SEED` repeats a run; `TILTS_MESSAGES`, `TILTS_KILLS` and `TILTS_FAULTS` say how much of everything.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use conformance::lab::{
    Act, At, Faults, Lab, OF_CLUSTERS, Plan, Rig, Side, Stores, TRAPS, Trap, judge, known_to, settle,
};
use conformance::node::tilts_binary;
use conformance::postgres::skipped_without_postgres;
use conformance::random::setting;

fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    setting("TILTS_SEED", now)
}

async fn run(plan: Plan) -> Result<()> {
    println!("repeat this run with TILTS_SEED={}", plan.seed);
    let mut lab = Lab::set_up(&tilts_binary()?, plan).await?;
    let report = match lab.run().await {
        Ok(report) => report,
        Err(error) => {
            return Err(error.context(format!("TILTS_SEED={}, kept in {}", plan.seed, lab.rig.keep())));
        }
    };
    println!("{}", report.text());
    ensure!(report.is_good(), "TILTS_SEED={}, kept in {}", plan.seed, lab.rig.keep());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_and_kills_lose_nothing_and_double_nothing() -> Result<()> {
    run(twentieth(Stores::Sqlite, 2)).await
}

fn twentieth(stores: Stores, stalls: u64) -> Plan {
    Plan {
        messages: setting("TILTS_MESSAGES", 500),
        kills: setting("TILTS_KILLS", 10),
        faults: setting("TILTS_FAULTS", 100),
        stalls,
        freezes: 2,
        stores,
        tls: false,
        seed: seed(),
    }
}

/// Three nodes on each side, which share a PostgreSQL database and a folder of payloads; whoever dies has its work taken over.
#[tokio::test(flavor = "multi_thread")]
async fn neither_do_they_with_three_nodes_on_postgresql() -> Result<()> {
    if skipped_without_postgres() {
        return Ok(());
    }
    run(twentieth(Stores::Postgres(3), 4)).await
}

/// The same with their payloads in a bucket, whose connections break off now and then.
#[tokio::test(flavor = "multi_thread")]
async fn neither_do_they_with_payloads_in_a_bucket() -> Result<()> {
    if skipped_without_postgres() {
        return Ok(());
    }
    run(twentieth(Stores::Bucket(3), 4)).await
}

/// A node that dies while it sends, and stays away: the others send what it had, and say what became of it.
#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_a_node_that_stays_away_is_done_by_the_others() -> Result<()> {
    if skipped_without_postgres() {
        return Ok(());
    }
    let seed = seed();
    let faults = [Faults::new(seed, 0), Faults::new(seed, 0)];
    let mut rig = Rig::set_up(&tilts_binary()?, Stores::Postgres(2), false, faults).await?;
    let victim = At { side: Side::Sender, member: 1 };
    for at in rig.everybody() {
        let trap = (at == victim).then(|| "attempt-committed".to_owned());
        rig.start_with(at, trap).await?;
    }
    let producer = rig.produce(seed, 0..40);
    ensure!(rig.dies(victim, Duration::from_secs(30)).await, "it lives on");
    rig.node(victim).kill().await?;
    producer.await??;
    ensure!(settle(&rig, Duration::from_secs(60)).await, "not settled without it, kept in {}", rig.keep());
    let log = std::fs::read_to_string(rig.point(Side::Sender).node.log())?;
    ensure!(log.contains("its work is taken over"), "the other one noticed nothing: {log}");
    // It comes back at last: its spool may hold what it was about to publish, and it has nothing to say any more.
    rig.start_with(victim, None).await?;
    ensure!(settle(&rig, Duration::from_secs(60)).await, "not settled with it, kept in {}", rig.keep());
    let verdict = judge(&mut rig).await?;
    ensure!(verdict.is_good(), "kept in {}: {:#?}", rig.keep(), verdict.findings);
    Ok(())
}

/// What TLS makes of a connection that ends in the middle is another matter than what TCP does.
#[tokio::test(flavor = "multi_thread")]
async fn neither_do_they_over_tls() -> Result<()> {
    let stores = Stores::Sqlite;
    let plan =
        Plan { messages: 150, kills: 4, faults: 80, stalls: 0, freezes: 0, stores, tls: true, seed: seed() };
    run(plan).await
}

/// Letters of one case: the first lives in a file on both sides, the last in two at the sender, made one after the other.
const LETTERS: u64 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_named_point_loses_nothing_and_doubles_nothing() -> Result<()> {
    let seed = seed();
    println!("repeat this run with TILTS_SEED={seed}");
    let mut rig =
        Rig::set_up(&tilts_binary()?, Stores::Sqlite, false, [Faults::new(seed, 0), Faults::new(seed, 0)])
            .await?;
    rig.start().await?;
    for (number, trap) in (0..).zip(TRAPS) {
        println!("{:?} dies at {}", trap.side, trap.point);
        let died = die_and_settle(&mut rig, trap, (seed, number * 10 + 3)).await;
        if let Err(error) = died {
            return Err(error.context(format!("{trap:?}, TILTS_SEED={seed}, kept in {}", rig.keep())));
        }
    }
    let verdict = judge(&mut rig).await?;
    ensure!(verdict.is_good(), "TILTS_SEED={seed}, kept in {}: {:#?}", rig.keep(), verdict.findings);
    println!(
        "{} letters to {} recipients, {} evidence rows",
        verdict.letters, verdict.messages, verdict.evidence
    );
    Ok(())
}

async fn die_and_settle(rig: &mut Rig, trap: &Trap, (seed, first): (u64, u64)) -> Result<()> {
    rig.node(trap.side).kill().await?;
    // What the case before left to be sent may be enough to die at once.
    let alive = rig.start_with(trap.side, Some(trap.point.into())).await?;
    let producer = rig.produce(seed, first..first + LETTERS);
    if trap.act == Act::Stop {
        ensure!(settle(rig, Duration::from_secs(60)).await, "not settled before the stop");
        rig.node(trap.side).stop().await?;
    } else if alive {
        ensure!(rig.dies(trap.side, Duration::from_secs(30)).await, "it lives on: nobody passes this point");
    }
    died_at(rig, trap.side, trap)?;
    rig.start_with(trap.side, None).await?;
    producer.await??;
    ensure!(settle(rig, Duration::from_secs(60)).await, "not settled after the death");
    Ok(())
}

/// By its own last words.
fn died_at(rig: &Rig, at: impl Into<At>, trap: &Trap) -> Result<()> {
    let log = std::fs::read_to_string(rig.point(at).node.log())?;
    let last = log.lines().rev().find(|line| line.starts_with("tilts: TILTS_CRASH: "));
    ensure!(last.is_some_and(|line| line.ends_with(trap.point)), "it died elsewhere: {last:?}");
    Ok(())
}

/// The second of two nodes of a side, which dies at one point after the other and is back at once. The first lives on.
struct Victim {
    at: At,
    traps: std::vec::IntoIter<&'static Trap>,
    /// Where it is to die, and since when it could; nowhere after the last point, and `None` before its first start.
    armed: Option<(Option<&'static Trap>, Instant)>,
}

impl Victim {
    fn new(side: Side) -> Self {
        let traps: Vec<_> = TRAPS.iter().filter(|one| one.side == side && one.act == Act::Traffic).collect();
        Self { at: At { side, member: 1 }, traps: traps.into_iter(), armed: None }
    }

    /// Starts it for its next death once it has died; false when it has died of everything and lives.
    async fn next(&mut self, rig: &mut Rig) -> Result<bool> {
        let ended = rig.node(self.at).has_ended();
        match self.armed {
            None => {}
            Some((None, _)) => {
                ensure!(!ended, "{:?} died by itself", self.at);
                return Ok(false);
            }
            Some((Some(trap), _)) if ended => died_at(rig, self.at, trap)?,
            Some((Some(trap), since)) => {
                ensure!(since.elapsed() < Duration::from_secs(30), "nobody passes {trap:?}");
                return Ok(true);
            }
        }
        let next = self.traps.next();
        rig.start_with(self.at, next.map(|trap| trap.point.into())).await?;
        self.armed = Some((next, Instant::now()));
        Ok(next.is_some())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_does_the_death_of_one_node_of_two_on_postgresql() -> Result<()> {
    if skipped_without_postgres() {
        return Ok(());
    }
    let seed = seed();
    println!("repeat this run with TILTS_SEED={seed}");
    let faults = [Faults::new(seed, 0), Faults::new(seed, 0)];
    let mut rig = Rig::set_up(&tilts_binary()?, Stores::Postgres(2), false, faults).await?;
    if let Err(error) = die_of_everything(&mut rig, seed).await {
        return Err(error.context(format!("TILTS_SEED={seed}, kept in {}", rig.keep())));
    }
    ensure!(settle(&rig, Duration::from_secs(60)).await, "TILTS_SEED={seed}, kept in {}", rig.keep());
    let verdict = judge(&mut rig).await?;
    ensure!(verdict.is_good(), "TILTS_SEED={seed}, kept in {}: {:#?}", rig.keep(), verdict.findings);
    println!("{} letters to {} recipients, {} deaths", verdict.letters, verdict.messages, TRAPS.len());
    Ok(())
}

/// Both victims at once, while letters cross without end; then who is told to end.
async fn die_of_everything(rig: &mut Rig, seed: u64) -> Result<()> {
    for side in Side::BOTH {
        rig.start_with(side, None).await?;
    }
    let mut victims = Side::BOTH.map(Victim::new);
    let (mut producer, mut first) = (rig.produce(seed, 0..0), 0);
    loop {
        let mut dying = false;
        for victim in &mut victims {
            ensure!(!rig.node(victim.at.side).has_ended(), "{:?}: who was to live died", victim.at.side);
            dying |= victim.next(rig).await?;
        }
        if !dying {
            break;
        }
        let (acknowledged, settled) = rig.ledger.progress();
        if producer.is_finished() && acknowledged < settled + 20 {
            producer.await??;
            (producer, first) = (rig.produce(seed, first..first + LETTERS), first + LETTERS);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    producer.await??;
    for trap in TRAPS.iter().filter(|trap| trap.act == Act::Stop) {
        let victim = At { side: trap.side, member: 1 };
        rig.node(victim).kill().await?;
        rig.start_with(victim, Some(trap.point.into())).await?;
        rig.node(victim).stop().await?;
        died_at(rig, victim, trap)?;
        rig.start_with(victim, None).await?;
    }
    Ok(())
}

#[tokio::test]
async fn every_point_that_the_binary_knows_is_tried() -> Result<()> {
    let known: BTreeSet<String> = known_to(&tilts_binary()?).await?.into_iter().collect();
    let tried = TRAPS.iter().map(|trap| trap.point).chain(OF_CLUSTERS.iter().copied());
    let tried: BTreeSet<String> = tried.map(str::to_owned).collect();
    ensure!(
        known == tried,
        "known but not tried: {:?}; tried but not known: {:?}",
        known.difference(&tried).collect::<Vec<_>>(),
        tried.difference(&known).collect::<Vec<_>>()
    );
    Ok(())
}
