//! Clocks that jump while messages cross: two nodes in this process, each with a clock that the test moves. A step forward ends
//! leases under running exchanges; a step back makes what is due wait until the clock gets there. Neither loses or doubles anything.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow, ensure};
use conformance::http;
use conformance::lab::{Faults, Rig, Side, Stores, judge, settle};
use conformance::random::{Random, setting};
use tilts::app;
use tilts::clock::{Clock, SignedDuration};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Every exchange in so many is spoilt, so that some are under way or waiting when a clock jumps.
const GAP: u64 = 4;
/// Leases of messages last for hours: a step that ends them all, and comes back.
const FAR: SignedDuration = SignedDuration::from_hours(6);

/// A node in this process, on a clock of its own.
struct Inside {
    clock: Clock,
    serving: JoinHandle<Result<()>>,
    stop: oneshot::Sender<()>,
}

impl Inside {
    async fn start(rig: &Rig, side: Side) -> Result<Self> {
        let clock = Clock::running(Clock::system().now());
        let config = rig.folder(side).join("tilts.toml");
        let settings = app::check(&config, &clock).map_err(|problems| anyhow!("{:?}", problems.0))?;
        let (stop, told) = oneshot::channel();
        let stopped = async {
            let _ = told.await;
        };
        let serving = tokio::spawn(app::serve(settings, clock.clone(), stopped));
        let inside = Self { clock, serving, stop };
        for _ in 0..200 {
            let admin = rig.point(side).node.ports.admin;
            if http::request(admin, hyper::Method::GET, "/ready", "", "").await.is_ok() {
                return Ok(inside);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Err(anyhow!("{side:?} is not ready"))
    }

    fn jump(&self, by: SignedDuration) {
        self.clock.advance(by);
    }

    async fn end(self) -> Result<()> {
        let _ = self.stop.send(());
        self.serving.await?
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_jump_lose_nothing_and_double_nothing() -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let seed = setting("TILTS_SEED", now);
    println!("repeat this run with TILTS_SEED={seed}");
    let faults = [Faults::new(seed, GAP), Faults::new(seed ^ 1, 2 * GAP)];
    let mut rig = Rig::set_up(env!("CARGO_BIN_EXE_tilts").as_ref(), Stores::Sqlite, false, faults).await?;
    let nodes = [Inside::start(&rig, Side::Sender).await?, Inside::start(&rig, Side::Receiver).await?];
    let producer = rig.produce(seed, 0..150);
    let mut random = Random::new(seed);
    let mut jumps = 0;
    while rig.ledger.progress().1 < 140 && jumps < 24 {
        let node = &nodes[random.below(2) as usize];
        // There and back again, as a clock that is put right.
        let by = if random.below(2) == 0 { FAR } else { -SignedDuration::from_mins(30) };
        for by in [by, -by] {
            tokio::time::sleep(Duration::from_millis(100 + random.below(300))).await;
            node.jump(by);
            jumps += 1;
        }
    }
    producer.await??;
    // What fell due by a clock that was ahead waits until the clock gets there.
    nodes.iter().for_each(|node| node.jump(FAR + SignedDuration::from_hours(1)));
    let settled = settle(&rig, Duration::from_secs(60)).await;
    let verdict = judge(&mut rig).await?;
    for node in nodes {
        node.end().await?;
    }
    println!("{jumps} jumps, {} faults, {} messages", rig.faults.total(), verdict.messages);
    ensure!(verdict.is_good(), "TILTS_SEED={seed}, kept in {}: {:#?}", rig.keep(), verdict.findings);
    ensure!(settled && jumps > 3, "TILTS_SEED={seed}: settled {settled}, {jumps} jumps");
    Ok(())
}
