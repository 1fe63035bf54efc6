//! A node with its disk: started, stepped, killed, started again. What a process had in memory dies with it; what the system has of its
//! files stays.

use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Result, bail};
use conformance::lab::Side;
use tilts::app::{self, Surroundings};
use tilts::clock::{Clock, SignedDuration, Timestamp};
use tilts::config::Settings;
use tilts::crash::{self, Watcher};
use tilts::id;
use tilts::store::Hands;
use tilts::thread;

use crate::disk::{Fate, Trap, Trouble};
use crate::engine::{Engine, Moment};
use crate::image::Image;
use crate::net::{Host, Net};
use crate::trace::Trace;

/// A node and the machine that it runs on.
pub struct Machine {
    /// Which of the two.
    pub side: Side,
    settings: Settings,
    net: Net,
    trace: Trace,
    seed: u64,
    /// When its disk is not as it should be.
    troubles: Vec<Trouble>,
    /// By how much its clock is wrong.
    drift: SignedDuration,
    starts: u64,
    life: Option<Life>,
}

/// A process.
struct Life {
    engine: Engine,
    fate: Fate,
    clock: Clock,
    /// Its identifiers, while it does not run.
    ids: Option<id::Source>,
    watcher: Watcher,
}

/// The name of a node in traces.
pub fn name(side: Side) -> &'static str {
    match side {
        Side::Sender => "sender",
        Side::Receiver => "receiver",
    }
}

/// Its place in the network.
pub fn host(side: Side) -> Host {
    match side {
        Side::Sender => 1,
        Side::Receiver => 2,
    }
}

impl Machine {
    /// A machine on which nothing runs.
    pub fn new(
        side: Side,
        settings: &Settings,
        (net, trace): (&Net, &Trace),
        seed: u64,
        troubles: &[Trouble],
    ) -> Self {
        Self {
            side,
            settings: settings.clone(),
            net: net.clone(),
            trace: trace.clone(),
            seed,
            troubles: troubles.to_owned(),
            drift: SignedDuration::ZERO,
            starts: 0,
            life: None,
        }
    }

    /// Whether a process runs.
    pub fn runs(&self) -> bool {
        self.life.is_some()
    }

    /// Starts a process at that moment of the run, by a clock that then shows `now` and the machine's drift.
    ///
    /// # Errors
    /// The system's.
    pub fn start(&mut self, moment: Moment, now: Timestamp, trap: (Option<Trap>, bool)) -> Result<()> {
        let engine = Engine::new(moment)?;
        let zero = engine.zero();
        let who = (name(self.side), host(self.side));
        let fate = Fate::new(who, &self.settings.store.path, (&self.net, &self.trace, zero), &self.troubles)?;
        fate.arm(trap.0, trap.1);
        self.trace.event(moment, format_args!("{} starts, to die at {trap:?}", who.0));
        self.net.up(who.1, zero);
        let now = now.checked_add(self.drift)?;
        let clock = engine.within(|| Clock::running(now));
        self.starts += 1;
        let ids = id::Source::new(self.seed ^ (self.starts << 8 | who.1 as u64), clock.clone());
        self.serve(&engine, &fate, &clock);
        let pass = fate.clone();
        let watcher: Watcher = Rc::new(move |point| pass.pass(point));
        self.life = Some(Life { engine, fate, clock, ids: Some(ids), watcher });
        Ok(())
    }

    fn serve(&self, engine: &Engine, fate: &Fate, clock: &Clock) {
        let mut settings = self.settings.clone();
        settings.store.hands = Hands::Caller(Arc::new(fate.clone()));
        let network = Arc::new(self.net.of(host(self.side)));
        let around = Surroundings { clock: clock.clone(), network };
        let fate = fate.clone();
        engine.spawn(async move {
            let serving = app::serve(settings, around, std::future::pending());
            if let Err(error) = fate.while_alive(serving).await {
                fate.fail(format!("{error:#}"));
            }
        });
    }

    /// Lets the process go until that moment; true when it died on the way.
    ///
    /// # Errors
    /// It ended by itself.
    pub fn step(&mut self, until: Moment) -> Result<bool> {
        let Some(life) = &mut self.life else { return Ok(false) };
        let ids = id::draw_from(life.ids.take());
        let watcher = crash::watch(Some(life.watcher.clone()));
        let here = thread::all_here(true);
        let early = life.engine.go(until, life.fate.dying());
        thread::all_here(here);
        crash::watch(watcher);
        life.ids = id::draw_from(ids);
        if early.is_none() {
            return Ok(false);
        }
        if let Some(why) = life.fate.failed() {
            bail!("the {} ended: {why}", name(self.side));
        }
        let image = life.fate.dead().and_then(|(_, image)| image);
        self.bury(image)?;
        Ok(true)
    }

    /// Kills the process between two steps.
    ///
    /// # Errors
    /// The system's.
    pub fn kill(&mut self, moment: Moment, silent: bool) -> Result<()> {
        let Some(life) = &self.life else { return Ok(()) };
        self.trace.event(moment, format_args!("{} is killed", name(self.side)));
        life.fate.arm(None, silent);
        let image = life.fate.image()?;
        self.net.down(host(self.side), silent);
        self.bury(Some(image))
    }

    /// Ends the process where nothing is under way: what it leaves is to be looked at.
    pub fn end(&mut self) {
        self.net.down(host(self.side), false);
        drop(self.life.take());
    }

    /// Everything that ran is dropped where it stood, and what it did to files while it went is undone.
    fn bury(&mut self, image: Option<Image>) -> Result<()> {
        drop(self.life.take());
        Ok(image.map_or(Ok(()), Image::put_back)?)
    }

    /// Where it is to die by itself, from now on.
    pub fn arm(&mut self, trap: Option<Trap>, silent: bool) {
        if let Some(life) = &self.life {
            life.fate.arm(trap, silent);
        }
    }

    /// Its clock is wrong by so much more.
    pub fn jump(&mut self, moment: Moment, by: SignedDuration) {
        self.trace.event(moment, format_args!("the clock of the {} jumps by {by:?}", name(self.side)));
        self.drift += by;
        if let Some(life) = &self.life {
            life.engine.within(|| life.clock.advance(by));
        }
    }

    /// By how much its clock is wrong.
    pub fn drift(&self) -> SignedDuration {
        self.drift
    }
}
