//! A node that stands still for a while, as on a machine that is paused, and then goes on as if no time had passed; or that goes on all the
//! while and does not get to its database. Where there are several, the others may have taken it for gone.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinHandle;

use super::rig::Rig;
use super::run::Plan;
use super::schedule::{At, Side};
use super::tally::Tally;
use crate::node::signal;
use crate::random::Random;

/// Every other freeze is longer than others wait for a sign of life, and nearly as long as an exchange may take, or longer.
const LONG: u64 = 3500;

/// Freezes nodes, each when its share of the messages has arrived.
pub(super) struct Freezes {
    plan: Plan,
    random: Random,
    /// Who stands still, until when.
    standing: HashMap<At, JoinHandle<()>>,
    done: Tally,
}

impl Freezes {
    pub fn new(plan: Plan) -> Self {
        Self { plan, random: Random::new(plan.seed ^ 0xf), standing: HashMap::new(), done: Tally::default() }
    }

    /// Those done so far.
    pub fn done(&self) -> &Tally {
        &self.done
    }

    /// The next one, if it is due.
    pub async fn look(&mut self, rig: &mut Rig, arrived: u64) -> Result<()> {
        let number = self.done.total() + 1;
        let due = number * self.plan.messages / (self.plan.freezes + 1);
        if number > self.plan.freezes || arrived < due {
            return Ok(());
        }
        let side = Side::BOTH[self.random.below(2) as usize];
        let member = self.random.below(self.plan.stores.members() as u64) as usize;
        let (at, long) = (At { side, member }, self.random.below(2) * LONG);
        let length = Duration::from_millis(300 + long + self.random.below(1700 + long));
        let cut_off = self.random.below(2) == 0;
        if self.standing.get(&at).is_some_and(|standing| !standing.is_finished()) {
            return Ok(());
        }
        let (how, standing) = match rig.strait(at) {
            Some(strait) if cut_off => ("without its database", tokio::spawn(strait.hold(length))),
            _ => ("stood still", frozen(rig.node(at).pid().context("nobody to freeze")?, length).await?),
        };
        self.done.count(&format!("{} {how}", at.word()));
        self.standing.insert(at, standing);
        Ok(())
    }

    /// Waits until whoever stands still goes on.
    pub async fn end(&mut self) -> Result<()> {
        for (_, standing) in self.standing.drain() {
            standing.await?;
        }
        Ok(())
    }
}

async fn frozen(pid: u32, length: Duration) -> Result<JoinHandle<()>> {
    signal(pid, "STOP").await?;
    Ok(tokio::spawn(async move {
        tokio::time::sleep(length).await;
        // It may have been killed meanwhile.
        let _ = signal(pid, "CONT").await;
    }))
}
