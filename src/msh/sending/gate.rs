//! Who is not asked now: an endpoint that nobody reaches, and one that holds too many places with exchanges that do not end. An
//! endpoint is a host and port as one HTTPS client sees it: what another one does not reach, because it trusts others, is
//! its own matter.
//!
//! A message that may not pass is put off, without an attempt; where it is about to turn out whether an endpoint is slow, it waits for
//! that in its place. Those put off are spread over time, so that a long queue for a dead
//! endpoint is neither tried through again and again nor let loose at once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, SignedDuration, Timestamp};

/// An endpoint with which no exchange has ended for so long is slow.
const SLOW: SignedDuration = SignedDuration::from_secs(5);
/// Until it is known whether an endpoint is slow, its messages ask again after so long.
const MOMENT: Duration = Duration::from_millis(20);
/// So many exchanges in a row that reach nobody ...
const FAILURES: u32 = 10;
/// ... over at least this time shut the gate.
const OVER: SignedDuration = SignedDuration::from_secs(10);
/// How long it is shut the first time; twice as long each time after.
const SHUT_FIRST: SignedDuration = SignedDuration::from_secs(5);
/// And at most.
const SHUT_LONGEST: SignedDuration = SignedDuration::from_mins(5);
/// From one message that is put off to the next.
const STEP: SignedDuration = SignedDuration::from_millis(50);
/// No message is put off for longer than the endpoint needs and this.
const SPREAD: SignedDuration = SignedDuration::from_mins(10);
/// Endpoints that are remembered; beyond, those of which nothing was heard for an hour are forgotten.
const REMEMBERED: usize = 4096;

/// What an endpoint is: a client, a host and a port.
pub(super) fn endpoint(client: &str, url: &str) -> String {
    let uri: Option<hyper::Uri> = url.parse().ok();
    let authority = uri.as_ref().and_then(|uri| uri.authority()).map_or(url, |authority| authority.as_str());
    format!("{client} {authority}")
}

/// The gates of all endpoints.
#[derive(Debug)]
pub struct Gates {
    /// Places that one slow endpoint may hold.
    most: usize,
    endpoints: Mutex<HashMap<String, Endpoint>>,
}

#[derive(Debug, Default)]
struct Endpoint {
    /// When the exchanges under way were begun.
    running: Vec<Timestamp>,
    /// Exchanges in a row that reached nobody, and when the first of them ended.
    failures: u32,
    /// When the last exchanges were over, the latest first; as many as there are places beyond those of a slow endpoint.
    ended: VecDeque<Timestamp>,
    failing_since: Option<Timestamp>,
    shut_until: Option<Timestamp>,
    shut_for: SignedDuration,
    /// After the shut time one exchange tries whether anybody is there again.
    probing: bool,
    /// When the next message that is put off is due.
    next: Option<Timestamp>,
}

/// Why there is no leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    /// Many exchanges were begun lately and none has ended yet: the endpoint may be fast.
    Unknown,
    /// Come again then.
    Until(Timestamp),
}

/// Leave for one exchange. Dropped, its place is free again.
#[derive(Debug)]
pub(super) struct Pass<'g> {
    gates: &'g Gates,
    endpoint: String,
    begun: Timestamp,
    probe: bool,
}

impl Gates {
    /// Gates for so many messages at once: a slow endpoint may hold half of them.
    pub fn new(sending: usize) -> Self {
        Self { most: (sending / 2).max(1), endpoints: Mutex::default() }
    }

    /// Leave for an exchange with an endpoint, or when to come again; waits, a few seconds at most, until either is known.
    pub(super) async fn pass(&self, endpoint: &str, clock: &Clock) -> Result<Pass<'_>, Timestamp> {
        loop {
            match self.enter(endpoint, clock.now()) {
                Ok(pass) => return Ok(pass),
                Err(Closed::Until(again)) => return Err(again),
                Err(Closed::Unknown) => tokio::time::sleep(MOMENT).await,
            }
        }
    }

    fn enter(&self, endpoint: &str, now: Timestamp) -> Result<Pass<'_>, Closed> {
        let mut endpoints = self.lock();
        if endpoints.len() > REMEMBERED {
            endpoints.retain(|_, endpoint| !endpoint.is_forgotten(now));
        }
        let state = endpoints.entry(endpoint.to_owned()).or_default();
        let probe = state.admit(now, self.most)?;
        state.running.push(now);
        Ok(Pass { gates: self, endpoint: endpoint.to_owned(), begun: now, probe })
    }

    /// Leave for a message that somebody wants to be tried now.
    pub(super) fn insist(&self, endpoint: &str, now: Timestamp) -> Pass<'_> {
        self.lock().entry(endpoint.to_owned()).or_default().running.push(now);
        Pass { gates: self, endpoint: endpoint.to_owned(), begun: now, probe: false }
    }

    /// Leave for one that would be too late after the wait, where the endpoint holds no more places by it than a slow one may; else when to
    /// ask again, however late. Many may have one deadline.
    pub(super) fn at_last(&self, endpoint: &str, now: Timestamp) -> Result<Pass<'_>, Timestamp> {
        let mut endpoints = self.lock();
        let state = endpoints.entry(endpoint.to_owned()).or_default();
        if state.running.len() >= self.most {
            return Err(state.slot(now + SLOW));
        }
        state.running.push(now);
        Ok(Pass { gates: self, endpoint: endpoint.to_owned(), begun: now, probe: false })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Endpoint>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Endpoint {
    /// Whether the exchange is a probe.
    fn admit(&mut self, now: Timestamp, most: usize) -> Result<bool, Closed> {
        if let Some(until) = self.shut_until {
            // Shut for longer than any gate is: the clock has been set back since.
            let ahead = until.duration_since(now) > SHUT_LONGEST;
            let until = if ahead { now } else { until };
            self.shut_until = Some(until);
            self.next = self.next.filter(|_| !ahead);
            if now < until || self.probing {
                return Err(Closed::Until(self.slot(until.max(now + SLOW))));
            }
            self.probing = true;
            return Ok(true);
        }
        let lately = |at: &Timestamp| (SignedDuration::ZERO..SLOW).contains(&now.duration_since(*at));
        // An endpoint that ends one exchange in a while is slow too: for each place beyond those of a slow one, one has ended lately.
        let ended = self.ended.iter().filter(|ended| lately(ended)).count();
        if self.running.len() < most + ended {
            return Ok(false);
        }
        match self.running.iter().all(lately) {
            true => Err(Closed::Unknown),
            false => Err(Closed::Until(self.slot(now + SLOW))),
        }
    }

    fn slot(&mut self, earliest: Timestamp) -> Timestamp {
        let at = self.next.map_or(earliest, |next| next.clamp(earliest, earliest + SPREAD));
        self.next = Some(at + STEP);
        at
    }

    fn ended(&mut self, now: Timestamp, most: usize) {
        self.ended.push_front(now);
        self.ended.truncate(most);
    }

    fn reached(&mut self) {
        let (running, ended) = (std::mem::take(&mut self.running), std::mem::take(&mut self.ended));
        *self = Self { running, ended, ..Self::default() };
    }

    /// True when this shuts the gate.
    fn missed(&mut self, now: Timestamp, probe: bool) -> bool {
        self.failures = self.failures.saturating_add(1);
        let since = *self.failing_since.get_or_insert(now);
        let shut = probe
            || (self.shut_until.is_none() && self.failures >= FAILURES && now.duration_since(since) >= OVER);
        if shut {
            self.shut_for = (self.shut_for * 2).clamp(SHUT_FIRST, SHUT_LONGEST);
            self.shut_until = Some(now + self.shut_for);
        }
        shut
    }

    fn is_forgotten(&self, now: Timestamp) -> bool {
        let hour = SignedDuration::from_hours(1);
        let old = |at: Option<Timestamp>| at.is_none_or(|at| now.duration_since(at) > hour);
        self.running.is_empty() && old(self.ended.front().copied()) && old(self.shut_until)
    }
}

impl Pass<'_> {
    /// A question is over, whatever was answered. One that took long is no sign that the next will not.
    pub(super) fn answered(self, now: Timestamp) {
        if now.duration_since(self.begun) < SLOW {
            self.over(true, now);
        }
    }

    /// The exchange is over; whether somebody was there.
    pub(super) fn over(self, reached: bool, now: Timestamp) {
        let mut endpoints = self.gates.lock();
        let Some(endpoint) = endpoints.get_mut(&self.endpoint) else { return };
        endpoint.ended(now, self.gates.most);
        if reached {
            if endpoint.shut_until.is_some() {
                tracing::info!(endpoint = self.endpoint, "reached again");
            }
            endpoint.reached();
        } else if endpoint.missed(now, self.probe) {
            let seconds = endpoint.shut_for.as_secs();
            tracing::warn!(
                endpoint = self.endpoint,
                failures = endpoint.failures,
                seconds,
                "not reached; left alone for a while"
            );
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut endpoints = self.gates.lock();
        let Some(endpoint) = endpoints.get_mut(&self.endpoint) else { return };
        if let Some(at) = endpoint.running.iter().position(|begun| *begun == self.begun) {
            endpoint.running.swap_remove(at);
        }
        if self.probe {
            endpoint.probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const URL: &str = "ap.example:443";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    /// When to come again.
    fn until(refused: Result<Pass<'_>, Closed>) -> Timestamp {
        match refused {
            Err(Closed::Until(again)) => again,
            other => panic!("{other:?}"),
        }
    }

    /// Fails once a second until the gate is shut; the second of the last failure.
    fn shut(gates: &Gates) -> i64 {
        for second in 0..60 {
            match gates.enter(URL, at(second)) {
                Ok(pass) => pass.over(false, at(second)),
                Err(_) => return second - 1,
            }
        }
        panic!("it was never shut")
    }

    #[test]
    fn an_endpoint_that_nobody_reaches_is_left_alone_and_tried_by_one_exchange() {
        let gates = Gates::new(8);
        let last = shut(&gates);
        assert_eq!(last, 10, "ten failures over ten seconds");
        let first = until(gates.enter(URL, at(last + 1)));
        let second = until(gates.enter(URL, at(last + 1)));
        assert!(at(last + 5) <= first && first < second, "{first} {second}");
        let probe = gates.enter(URL, at(last + 6)).unwrap();
        assert!(gates.enter(URL, at(last + 6)).is_err(), "one probe at a time");
        probe.over(false, at(last + 7));
        assert!(gates.enter(URL, at(last + 16)).is_err(), "twice as long now");
        gates.enter(URL, at(last + 17)).unwrap().over(true, at(last + 18));
        assert!(gates.enter(URL, at(last + 18)).is_ok());
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_nothing_shut_and_nobody_waiting() {
        let gates = Gates::new(8);
        shut(&gates);
        let back = -3600;
        let probe = gates.enter(URL, at(back)).unwrap();
        assert!(
            until(gates.enter(URL, at(back))) < at(back + 60),
            "nobody is put off until the clock gets there"
        );
        probe.over(true, at(back));
        let slow = Gates::new(8);
        let held: Vec<_> = (0..4).map(|_| slow.enter(URL, at(0)).unwrap()).collect();
        assert!(until(slow.enter(URL, at(back))) < at(0), "put off, for it is not about to turn out");
        drop(held);
    }

    #[test]
    fn failures_that_are_over_in_a_moment_or_far_apart_shut_nothing() {
        let gates = Gates::new(8);
        for _ in 0..100 {
            gates.enter(URL, at(0)).unwrap().over(false, at(0));
        }
        gates.enter(URL, at(1)).unwrap().over(true, at(1));
        assert_eq!(gates.lock()[URL].failures, 0);
    }

    #[test]
    fn a_slow_endpoint_holds_half_of_the_places_even_when_all_are_asked_for_at_once() {
        let gates = Gates::new(8);
        let held: Vec<_> = (0..4).map(|_| gates.enter(URL, at(0)).unwrap()).collect();
        assert_eq!(gates.enter(URL, at(0)).unwrap_err(), Closed::Unknown, "it may be fast: nobody knows yet");
        let later = until(gates.enter(URL, at(6)));
        assert!(later >= at(11), "{later}");
        assert!(gates.enter("other.example:443", at(6)).is_ok());
        drop(gates.insist(URL, at(6)));
        drop(held);
        assert!(gates.enter(URL, at(7)).is_ok());
    }

    #[test]
    fn those_that_are_about_to_be_too_late_hold_no_more_than_half_of_the_places_either() {
        let gates = Gates::new(8);
        let last = shut(&gates);
        let held: Vec<_> = (0..4).map(|_| gates.at_last(URL, at(last + 1)).unwrap()).collect();
        let [first, second] = [0, 1].map(|_| gates.at_last(URL, at(last + 1)).unwrap_err());
        assert!(at(last + 6) <= first && first < second && second < at(last + 60), "{first} {second}");
        drop(held);
        assert!(gates.at_last(URL, at(last + 2)).is_ok());
    }

    /// Lookups that time out end together: that is no reason to let twice as many begin.
    #[test]
    fn questions_that_took_long_give_no_more_places_than_a_slow_endpoint_has() {
        let gates = Gates::new(8);
        for round in 0..3 {
            let now = at(15 * round);
            let held: Vec<_> = (0..8).map_while(|_| gates.enter(URL, now).ok()).collect();
            assert_eq!(held.len(), 4, "round {round}");
            held.into_iter().for_each(|pass| pass.answered(at(15 * (round + 1))));
        }
        for _ in 0..4 {
            gates.enter(URL, at(60)).unwrap().answered(at(61));
        }
        assert_eq!((0..9).map_while(|_| gates.enter(URL, at(61)).ok()).collect::<Vec<_>>().len(), 8);
    }

    /// A burst at an endpoint that is fast: nobody is put off.
    #[tokio::test]
    async fn whoever_comes_before_the_first_exchange_has_ended_waits_for_that() {
        let (gates, clock) = (Gates::new(8), Clock::manual(at(0)));
        let mut held: Vec<_> = (0..4).map(|_| gates.enter(URL, at(0)).unwrap()).collect();
        let (first, rest) = (held.remove(0), held);
        let (passed, ()) = tokio::join!(gates.pass(URL, &clock), async {
            tokio::time::sleep(3 * MOMENT).await;
            first.over(true, at(0));
        });
        assert!(passed.is_ok());
        drop((passed, rest));
        let held: Vec<_> = (0..8).map_while(|_| gates.enter(URL, at(60)).ok()).collect();
        assert_eq!(held.len(), 4, "what was long ago says nothing of now");
        clock.set(at(66));
        assert!(gates.pass(URL, &clock).await.unwrap_err() >= at(71), "it is slow");
    }

    #[test]
    fn a_fast_endpoint_may_hold_all_places() {
        let gates = Gates::new(8);
        for _ in 0..4 {
            gates.enter(URL, at(0)).unwrap().over(true, at(0));
        }
        let held: Vec<_> = (0..8).map(|_| gates.enter(URL, at(1)).unwrap()).collect();
        drop(held);
    }

    /// One exchange in four seconds shows that somebody is there, not that all places are well used with them.
    #[test]
    fn an_endpoint_that_ends_an_exchange_now_and_then_does_not_come_to_hold_all_places() {
        let gates = Gates::new(64);
        let mut held = VecDeque::new();
        for second in 0..600 {
            while let Ok(pass) = gates.enter(URL, at(second)) {
                held.push_back(pass);
            }
            assert!(held.len() <= 32 + 2, "{} places at {second}", held.len());
            if second % 4 == 0 {
                held.pop_front().unwrap().over(true, at(second));
            }
        }
    }

    #[test]
    fn what_has_ended_in_the_future_says_nothing_of_now() {
        let gates = Gates::new(8);
        for _ in 0..4 {
            gates.enter(URL, at(600)).unwrap().over(true, at(600));
        }
        let held: Vec<_> = (0..8).map_while(|_| gates.enter(URL, at(0)).ok()).collect();
        assert_eq!(held.len(), 4, "time was set back");
    }

    #[test]
    fn endpoints_of_which_nothing_is_heard_are_forgotten() {
        let gates = Gates::new(4);
        for number in 0..2 * REMEMBERED {
            let seconds = i64::try_from(number).unwrap();
            gates.enter(&format!("{number}.example:443"), at(seconds)).unwrap().over(false, at(seconds));
        }
        assert!(gates.lock().len() <= REMEMBERED + 1, "{}", gates.lock().len());
    }

    proptest! {
        /// Whatever happens: a refusal names a time to come that is not far, and who is reached is not refused.
        #[test]
        fn refusals_are_for_a_while_and_places_come_back(steps in prop::collection::vec((0u8..4, 0i64..20), 1..200)) {
            let gates = Gates::new(4);
            let (mut now, mut passes) = (0, Vec::new());
            for (what, pause) in steps {
                now += pause;
                match (what, passes.pop()) {
                    (0, Some(pass)) => Pass::over(pass, true, at(now)),
                    (1, Some(pass)) => Pass::over(pass, false, at(now)),
                    (2, Some(pass)) => drop(pass),
                    (_, last) => {
                        passes.extend(last);
                        match gates.enter(URL, at(now)) {
                            Ok(pass) => passes.push(pass),
                            Err(Closed::Until(again)) => {
                                prop_assert!(at(now) < again && again <= at(now) + SHUT_LONGEST + SPREAD);
                            }
                            Err(Closed::Unknown) => {
                                let later = gates.enter(URL, at(now) + SLOW);
                                prop_assert!(!matches!(later, Err(Closed::Unknown)), "it ends");
                            }
                        }
                    }
                }
                let running = gates.lock().get(URL).map_or(0, |endpoint| endpoint.running.len());
                prop_assert_eq!(running, passes.len());
            }
            passes.clear();
            gates.insist(URL, at(now)).over(true, at(now));
            prop_assert!(gates.enter(URL, at(now)).is_ok());
        }
    }
}
