//! A run: messages cross, faults and kills come as planned, and in the end the oracle speaks.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use tokio::task::JoinHandle;

use super::freeze::Freezes;
use super::ledger::Letter;
use super::members::Stores;
use super::oracle::{finished, is_settled, judge};
use super::points::in_traffic;
use super::report::Report;
use super::rig::Rig;
use super::schedule::{At, Faults, Side, Strike, Strikes};
use super::stall::stall_all;
use super::tally::Tally;

/// How long nothing may move before the run is given up and judged as it stands.
const STANDSTILL: Duration = Duration::from_secs(120);

/// How much of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Plan {
    /// Messages, at least: recipients of the letters handed in, of which there are as few as reach that.
    pub messages: u64,
    /// Kills, at least.
    pub kills: u64,
    /// Network faults, at least.
    pub faults: u64,
    /// Times that a database does not answer for some seconds, or a bucket breaks off.
    pub stalls: u64,
    /// Times that a node stands still for a while and then goes on.
    pub freezes: u64,
    /// Where the nodes keep what they have.
    pub stores: Stores,
    /// Whether the nodes speak TLS.
    pub tls: bool,
    /// What contents, faults, victims and moments follow from.
    pub seed: u64,
}

impl Plan {
    /// Half of the faults on each way. A message makes one exchange on the way there and two on the way back, and what fails is
    /// done again: a fifth more than planned is spared for the end, when exchanges are few.
    fn faults(&self) -> [Faults; 2] {
        let gap = |exchanges: u64| match self.faults {
            0 => 0,
            faults => (exchanges * 8 / (faults * 5)).max(1),
        };
        [
            Faults::new(self.seed ^ 0xa, gap(self.messages)),
            Faults::new(self.seed ^ 0xb, gap(self.messages * 2)),
        ]
    }
}

/// The laboratory while a run goes on.
pub struct Lab {
    plan: Plan,
    /// The access points and what is between them.
    pub rig: Rig,
    kills: Tally,
    stalls: Tally,
    freezes: Freezes,
    /// Kills when the run last said how far it has come.
    told: u64,
    /// Points at which a node will die by itself.
    armed: HashMap<At, String>,
}

impl Lab {
    /// Makes the world of a run.
    pub async fn set_up(tilts: &Path, plan: Plan) -> Result<Self> {
        let rig = Rig::set_up(tilts, plan.stores, plan.tls, plan.faults()).await?;
        Ok(Self {
            plan,
            rig,
            kills: Tally::default(),
            stalls: Tally::default(),
            freezes: Freezes::new(plan),
            told: 0,
            armed: HashMap::new(),
        })
    }

    /// Runs to the end and judges.
    pub async fn run(&mut self) -> Result<Report> {
        let begun = Instant::now();
        self.rig.start().await?;
        let letters = Letter::enough(self.plan.seed, self.plan.messages);
        let producer = self.rig.produce(self.plan.seed, 0..letters);
        let stalls = stall_all(
            (Side::BOTH.map(|side| self.rig.store(side)), self.rig.bucket()),
            self.plan,
            self.rig.ledger.clone(),
            self.stalls.clone(),
        );
        let stalling = tokio::spawn(stalls);
        let struck = self.strike_all(&producer).await;
        let mut struck = match struck {
            Ok(()) => self.settle(producer, stalling).await,
            Err(error) => Err(error),
        };
        // What came first is what matters.
        let thawed = self.freezes.end().await;
        struck = struck.and(thawed);
        for at in self.rig.everybody() {
            let disarmed = self.disarm(at).await;
            struck = struck.and(disarmed);
        }
        let crossed = begun.elapsed();
        let verdict = match judge(&mut self.rig).await {
            Ok(verdict) => verdict,
            Err(error) => return Err(struck.err().unwrap_or(error)),
        };
        let mut report = Report {
            plan: self.plan,
            seconds: crossed.as_secs_f64(),
            exchanges: self.rig.exchanges(),
            faults: self.rig.faults.counts(),
            kills: self.kills.counts(),
            stalls: self.stalls.counts(),
            freezes: self.freezes.done().counts(),
            verdict,
        };
        report.complete(struck.err());
        Ok(report)
    }

    /// Spreads the kills over the run: each is due when its share of the messages has arrived.
    async fn strike_all(&mut self, producer: &JoinHandle<Result<()>>) -> Result<()> {
        let points = Side::BOTH.map(in_traffic);
        let mut strikes = Strikes::new(self.plan.seed ^ 0xc, points, self.plan.stores.members());
        while self.kills.total() < self.plan.kills {
            self.tell();
            let due = (self.kills.total() + 1) * self.plan.messages / (self.plan.kills + 1);
            self.until(due, producer).await?;
            if self.kills.total() >= self.plan.kills {
                break;
            }
            if let Some(strike) = strikes.next() {
                self.strike(strike).await?;
            }
        }
        Ok(())
    }

    /// Every twenty kills, how far the run has come: for whoever waits for a long one.
    fn tell(&mut self) {
        let kills = self.kills.total();
        if kills >= self.told + 20 {
            self.told = kills;
            let (faults, arrived) = (self.rig.faults.total(), self.rig.ledger.progress().1);
            println!("{arrived} messages arrived, {kills} kills, {faults} faults");
        }
    }

    /// Waits until so many messages have arrived; whoever dies in a trap meanwhile is started again.
    async fn until(&mut self, due: u64, producer: &JoinHandle<Result<()>>) -> Result<()> {
        let mut moved = (Instant::now(), 0);
        loop {
            self.revive().await?;
            let (_, arrived) = self.rig.ledger.progress();
            self.freezes.look(&mut self.rig, arrived as u64).await?;
            if arrived as u64 >= due {
                return Ok(());
            }
            if arrived > moved.1 {
                moved = (Instant::now(), arrived);
            }
            ensure!(
                moved.0.elapsed() < STANDSTILL,
                "nothing has arrived for {STANDSTILL:?}, after {arrived}"
            );
            ensure!(
                !producer.is_finished() || self.rig.ledger.progress().0 as u64 >= self.plan.messages,
                "the producer gave up after {} recipients",
                self.rig.ledger.progress().0
            );
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }

    /// Starts whoever died in a trap; a death that nobody planned ends the run.
    async fn revive(&mut self) -> Result<()> {
        for at in self.rig.everybody() {
            if !self.rig.node(at).has_ended() {
                continue;
            }
            let Some(trap) = self.armed.remove(&at) else {
                bail!("the {} died by itself; see {}", at.word(), self.rig.node(at).log().display());
            };
            self.sprung(at, &trap);
            self.rig.start_with(at, None).await?;
        }
        Ok(())
    }

    fn sprung(&self, at: At, trap: &str) {
        let point = trap.split(':').next().unwrap_or(trap);
        self.kills.count(&format!("{} {point}", at.word()));
    }

    async fn strike(&mut self, strike: Strike) -> Result<()> {
        let Strike { victim, after, down, trap } = strike;
        tokio::time::sleep(Duration::from_millis(after)).await;
        self.revive().await?;
        self.armed.remove(&victim);
        self.rig.node(victim).kill().await?;
        self.kills.count(&format!("{} at random", victim.word()));
        tokio::time::sleep(Duration::from_millis(down)).await;
        let Some(trap) = trap else { return self.rig.start_with(victim, None).await.map(drop) };
        if self.rig.start_with(victim, Some(trap.clone())).await? {
            self.armed.insert(victim, trap);
        } else {
            self.sprung(victim, &trap);
            self.rig.start_with(victim, None).await?;
        }
        Ok(())
    }

    /// Nobody is to die of an old trap while the oracle asks.
    async fn disarm(&mut self, at: At) -> Result<()> {
        self.revive().await?;
        if self.armed.remove(&at).is_some() {
            self.rig.node(at).kill().await?;
            self.kills.count(&format!("{} at random", at.word()));
            self.rig.start_with(at, None).await?;
        }
        Ok(())
    }

    /// Waits until all is handed in and settled.
    async fn settle(
        &mut self,
        producer: JoinHandle<Result<()>>,
        stalling: JoinHandle<Result<()>>,
    ) -> Result<()> {
        self.until(self.plan.messages, &producer).await?;
        producer.await??;
        stalling.await??;
        // The last statuses come long after the last arrival where evidence has queued up: only a standstill is too long.
        let mut moved = (Instant::now(), 0);
        while !is_settled(&self.rig).await {
            self.revive().await?;
            let finished = finished(&self.rig).await.unwrap_or(moved.1);
            if finished != moved.1 {
                moved = (Instant::now(), finished);
            }
            ensure!(
                moved.0.elapsed() < STANDSTILL,
                "only {finished} are settled, and nothing moves any more"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}
