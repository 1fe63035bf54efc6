//! One run: whose turn it is, up to which moment, and what happens then.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use conformance::lab::{Faults, Ledger, Letter, Side, Tally, Verdict};
use conformance::random::Random;
use futures_util::future::join;
use serde_json::Value;
use tilts::app;
use tilts::clock::{SignedDuration, Timestamp};

use crate::engine::{Engine, Moment};
use crate::machine::{Machine, host, name};
use crate::net::{Net, OUTSIDE};
use crate::operator::Acts;
use crate::people::People;
use crate::plan::{AHEAD, CALM, Jump, Place, Plan, Strike};
use crate::report::{Counts, Report};
use crate::trace::Trace;
use crate::verdict::{Shown, judge};
use crate::way::Way;
use crate::world::{AS4, BEGIN, BETWEEN, Ground, World, address};

/// The shortest step, and the one after something was sent or has arrived.
const SHORTEST: Duration = Duration::from_millis(1);
/// The longest step while something is under way.
const CARE: Duration = Duration::from_millis(16);
/// The longest step while nothing is under way.
const STEP: Duration = Duration::from_millis(100);
/// The same after the calm, when all that may happen is that somebody asks again.
const STRIDE: Duration = Duration::from_millis(400);
/// How long after the calm everything may take.
const SETTLING: Duration = Duration::from_secs(300);
/// How long latecomers have: evidence after the final word, receipts after evidence.
const LATECOMERS: Duration = Duration::from_secs(3);
/// How long the impatient are left alone after the calm: until they have given up.
const GIVING_UP: Duration = Duration::from_secs(25);

/// A run under way.
struct Run {
    plan: Plan,
    ground: Ground,
    trace: Trace,
    net: Net,
    outside: Engine,
    machines: [Machine; 2],
    people: People,
    faults: Tally,
    exchanges: Arc<AtomicU64>,
    deaths: Tally,
    begin: Timestamp,
    now: Moment,
    /// The step. It grows as long as nobody sends anything and nothing arrives.
    pause: Duration,
    strikes: [VecDeque<Strike>; 2],
    jumps: VecDeque<Jump>,
    /// When a node is killed between two steps, and when it is started again.
    due: [Due; 2],
    turns: Random,
}

/// What is to be done with a node.
#[derive(Clone, Copy, Default)]
struct Due {
    kill: Option<(Moment, Strike)>,
    start: Option<Moment>,
    /// How it dies by itself, as long as that is armed.
    armed: Option<Strike>,
}

/// Runs a plan to its end and judges it.
///
/// # Errors
/// The run itself could not go on: a node ended, or the system refused something.
pub fn run(world: &World, plan: &Plan, trace: Trace) -> Result<Report> {
    let mut run = Run::new(world, plan.clone(), trace)?;
    let outcome = run.whole();
    let mut report = run.report(outcome);
    report.findings.extend(crate::report::panics());
    Ok(report)
}

impl Run {
    fn new(world: &World, plan: Plan, trace: Trace) -> Result<Self> {
        let ground = world.ground(&plan)?;
        let seed = plan.seed;
        let net = Net::new(3, seed ^ 0xe, plan.weather, trace.clone());
        let outside = Engine::new(Moment::ZERO)?;
        net.up(OUTSIDE, outside.zero());
        let machines = Side::BOTH.map(|side| {
            let troubles = &plan.troubles[side as usize];
            Machine::new(side, ground.settings(side), (&net, &trace), seed, troubles)
        });
        let people = People {
            outside: net.of(OUTSIDE),
            ledger: Ledger::default(),
            mail: Side::BOTH.map(|side| ground.mail(side)),
            acts: Acts::default(),
            zero: outside.zero(),
            trace: trace.clone(),
        };
        let strikes = plan.strikes.clone().map(VecDeque::from);
        let jumps = plan.jumps.clone().into();
        Ok(Self {
            ground,
            net,
            outside,
            machines,
            people,
            strikes,
            jumps,
            trace,
            plan,
            faults: Tally::default(),
            exchanges: Arc::default(),
            deaths: Tally::default(),
            begin: BEGIN.parse()?,
            now: Moment::ZERO,
            pause: STEP,
            due: [Due::default(); 2],
            turns: Random::new(seed ^ 0xf),
        })
    }

    fn whole(&mut self) -> Result<Verdict> {
        self.begin_all()?;
        self.until(CALM)?;
        self.calm()?;
        match self.plan.patient {
            true => self.settle()?,
            false => self.until(self.now + GIVING_UP)?,
        }
        self.until(self.now + LATECOMERS)?;
        self.ask()
    }

    fn begin_all(&mut self) -> Result<()> {
        for (index, side) in Side::BOTH.into_iter().enumerate() {
            let outside = self.net.of(OUTSIDE);
            // The way to the receiver is the first.
            let faults = Faults::new(self.plan.seed ^ (0xa + index as u64), self.plan.gaps[1 - index]);
            let way = Way {
                outside,
                to: address(side, AS4),
                faults,
                until: CALM,
                outages: self.plan.outages[1 - index].clone(),
                tally: self.faults.clone(),
                zero: self.outside.zero(),
                trace: self.trace.clone(),
                exchanges: self.exchanges.clone(),
            };
            self.outside.spawn(way.serve(address(side, BETWEEN)));
            self.start(index)?;
        }
        for planned in &self.plan.letters {
            let letter = Letter::new(self.plan.seed, planned.number);
            let letter = Letter { recipients: planned.copies, ..letter };
            for act in self.plan.acts.iter().filter(|act| act.letter == planned.number) {
                self.outside.spawn(self.people.clone().operate(*act, letter.clone()));
            }
            self.outside.spawn(self.people.clone().produce(letter, planned.at));
        }
        self.outside.spawn(self.people.clone().consume());
        self.outside.spawn(self.people.clone().observe());
        Ok(())
    }

    /// Starts a node, and sets how it will die.
    fn start(&mut self, index: usize) -> Result<()> {
        let strike = if self.now < CALM { self.strikes[index].pop_front() } else { None };
        let due = &mut self.due[index];
        *due = Due::default();
        let trap = match strike.map(|strike| strike.place) {
            Some(Place::After(time)) => {
                due.kill = strike.map(|strike| (self.now + time, strike));
                None
            }
            Some(Place::At(trap)) => {
                due.armed = strike;
                Some(trap)
            }
            None => None,
        };
        let silent = strike.is_some_and(|strike| strike.silent);
        let now = self.begin.checked_add(SignedDuration::try_from(self.now)?)?;
        self.machines[index].start(self.now, now, (trap, silent))
    }

    /// Everything goes on until that moment.
    fn until(&mut self, moment: Moment) -> Result<()> {
        while self.now < moment {
            self.round(moment)?;
        }
        Ok(())
    }

    /// One round: each goes on up to the same moment, and what was under way arrives.
    fn round(&mut self, most: Moment) -> Result<()> {
        self.happen()?;
        let coming = [self.net.next(), self.planned()].into_iter().flatten().min();
        let quiet = self.now + self.pause;
        let next = coming.map_or(quiet, |coming| coming.min(quiet)).min(most);
        let next = next.max(self.now + SHORTEST);
        let sent = self.net.sent();
        let first = self.turns.below(3);
        for turn in 0..3 {
            match (first + turn) % 3 {
                0 => drop(self.outside.go(next, std::future::pending::<()>())),
                node => self.step(usize::try_from(node)? - 1, next)?,
            }
        }
        self.now = next;
        let arrived = self.net.deliver(next);
        self.pause = match self.net.next() {
            _ if arrived || self.net.sent() > sent => SHORTEST,
            Some(_) => (self.pause * 2).min(CARE),
            None => (self.pause * 2).min(if self.now < CALM { STEP } else { STRIDE }),
        };
        Ok(())
    }

    fn step(&mut self, index: usize, next: Moment) -> Result<()> {
        if self.machines[index].step(next)?
            && let Some(strike) = self.due[index].armed
        {
            self.died(index, strike, next);
        }
        Ok(())
    }

    fn died(&mut self, index: usize, strike: Strike, now: Moment) {
        let place = match strike.place {
            Place::After(_) => "at random".to_owned(),
            Place::At(trap) => match trap {
                crate::disk::Trap::Point(point, _) => point.as_str().to_owned(),
                crate::disk::Trap::Before(_) => "before a commit".to_owned(),
                crate::disk::Trap::After(_) => "after a commit".to_owned(),
            },
        };
        self.deaths.count(&format!("{} {place}", name(self.machines[index].side)));
        self.due[index] = Due { start: Some(now + strike.down), ..Due::default() };
    }

    /// The next moment at which something is planned.
    fn planned(&self) -> Option<Moment> {
        let kills = self.due.iter().filter_map(|due| due.kill.map(|(at, _)| at));
        let starts = self.due.iter().filter_map(|due| due.start);
        kills.chain(starts).chain(self.jumps.front().map(|jump| jump.at)).min()
    }

    /// What is planned for now.
    fn happen(&mut self) -> Result<()> {
        while let Some(jump) = self.jumps.front().copied().filter(|jump| jump.at <= self.now) {
            self.jumps.pop_front();
            self.machines[jump.side as usize].jump(self.now, jump.by);
        }
        for index in 0..2 {
            if let Some((_, strike)) = self.due[index].kill.filter(|(at, _)| *at <= self.now) {
                self.machines[index].kill(self.now, strike.silent)?;
                self.died(index, strike, self.now);
            }
            if self.due[index].start.is_some_and(|at| at <= self.now) {
                self.start(index)?;
            }
        }
        Ok(())
    }

    /// Nothing goes wrong any more, and whoever is down comes back. What fell due by a clock that was ahead is due now.
    fn calm(&mut self) -> Result<()> {
        self.trace.event(self.now, format_args!("calm"));
        self.net.calm();
        for index in 0..2 {
            self.due[index] = Due::default();
            self.machines[index].arm(None, false);
            let ahead = AHEAD - self.machines[index].drift();
            if self.plan.patient {
                self.machines[index].jump(self.now, ahead);
            }
            if !self.machines[index].runs() {
                self.start(index)?;
            }
        }
        Ok(())
    }

    /// Waits until all letters have their final word; one that does not get it is a finding of the judge.
    fn settle(&mut self) -> Result<()> {
        let until = self.now + SETTLING;
        while self.now < until {
            let people = self.people.clone();
            if self.asked(async move { people.is_settled().await })? {
                return Ok(());
            }
            self.until(self.now + Duration::from_secs(1))?;
        }
        self.trace.event(self.now, format_args!("not settled"));
        Ok(())
    }

    /// Lets everything go on until somebody outside has an answer.
    fn asked<T: Send + 'static>(&mut self, question: impl Future<Output = T> + Send + 'static) -> Result<T> {
        let answer = Arc::new(Mutex::new(None));
        let place = answer.clone();
        self.outside.spawn(async move {
            let said = question.await;
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
        });
        let until = self.now + Duration::from_secs(120);
        while self.now < until {
            self.round(until)?;
            if let Some(said) = answer.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Ok(said);
            }
        }
        anyhow::bail!("nobody answers")
    }

    /// Asks both nodes, ends them, and looks at what they leave.
    fn ask(&mut self) -> Result<Verdict> {
        let people = self.people.clone();
        let (submissions, notices) = self.asked(async move {
            let submissions = people.submissions().await;
            // What is shown as sent the consumer has seen, now at the latest.
            let taken = people.take().await;
            let notices = join(people.notices(Side::Sender), people.notices(Side::Receiver)).await;
            (taken.and(submissions), notices)
        })?;
        let (sender, receiver) = notices;
        let submissions = submissions.context("what the sender shows")?;
        self.machines.iter_mut().for_each(Machine::end);
        let recomputed = [self.recomputed(Side::Sender)?, self.recomputed(Side::Receiver)?];
        let shown = Shown { submissions, notices: [sender?, receiver?], recomputed };
        for submission in &shown.submissions {
            for recipient in conformance::demo::list(&submission["recipients"]) {
                let status = conformance::demo::status_of(&recipient["recipient"]);
                let address = &recipient["recipient"]["address"];
                self.trace.event(self.now, format_args!("{address}: {} / {}", status.send, status.delivery));
            }
        }
        Ok(judge(&self.people.ledger.book(), &shown, &self.plan, &self.people.acts))
    }

    fn recomputed(&self, side: Side) -> Result<Value> {
        let config = self.ground.file(side);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let found =
            runtime.block_on(app::recompute(&config)).with_context(|| format!("host {}", host(side)))?;
        Ok(serde_json::to_value(found)?)
    }

    fn report(&mut self, outcome: Result<Verdict>) -> Report {
        let (events, digest) = self.trace.digest();
        let (verdict, stopped) = match outcome {
            Ok(verdict) => (verdict, None),
            Err(error) => (Verdict::default(), Some(format!("the run was given up: {error:#}"))),
        };
        let mut findings = verdict.findings;
        findings.extend(stopped);
        Report {
            seed: self.plan.seed,
            patient: self.plan.patient,
            counts: Counts {
                letters: self.plan.letters.len() as u64,
                messages: self.plan.letters.iter().map(|letter| letter.copies).sum(),
                exchanges: self.exchanges.load(std::sync::atomic::Ordering::Relaxed),
                faults: self.faults.counts(),
                deaths: self.deaths.counts(),
                troubles: self.plan.troubles.iter().flatten().count() as u64,
                jumps: self.plan.jumps.len() as u64,
                acts: self.people.acts.done(),
                outboxes: self.plan.folders[Side::Sender as usize].into(),
                inboxes: self.plan.folders[Side::Receiver as usize].into(),
                seconds: self.now.as_secs_f64(),
                events,
            },
            digest,
            findings,
        }
    }
}
