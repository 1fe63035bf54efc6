//! Who is not asked now: an endpoint that nobody reaches, and one that holds too many places with exchanges that do not end.
//!
//! A message that may not pass is put off, without an attempt. Those put off are spread over time, so that a long queue for a dead
//! endpoint is neither tried through again and again nor let loose at once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::{SignedDuration, Timestamp};

/// An exchange that takes longer counts against its endpoint.
const SLOW: SignedDuration = SignedDuration::from_secs(5);
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

/// The gates of all endpoints.
#[derive(Debug)]
pub struct Gates {
    /// Slow exchanges that one endpoint may hold.
    slow: usize,
    endpoints: Mutex<HashMap<String, Endpoint>>,
}

#[derive(Debug, Default)]
struct Endpoint {
    /// When the exchanges under way were begun.
    running: Vec<Timestamp>,
    /// Exchanges in a row that reached nobody, and when the first of them ended.
    failures: u32,
    failing_since: Option<Timestamp>,
    shut_until: Option<Timestamp>,
    shut_for: SignedDuration,
    /// After the shut time one exchange tries whether anybody is there again.
    probing: bool,
    /// When the next message that is put off is due.
    next: Option<Timestamp>,
}

/// Leave for one exchange. Dropped, its place is free again.
#[derive(Debug)]
pub(super) struct Pass<'g> {
    gates: &'g Gates,
    url: String,
    begun: Timestamp,
    probe: bool,
}

impl Gates {
    /// Gates for so many messages at once: one endpoint may hold half of them with slow exchanges.
    pub fn new(sending: usize) -> Self {
        Self { slow: (sending / 2).max(1), endpoints: Mutex::default() }
    }

    /// Leave for an exchange with an endpoint, or when to come again.
    pub(super) fn enter(&self, url: &str, now: Timestamp) -> Result<Pass<'_>, Timestamp> {
        let mut endpoints = self.lock();
        let endpoint = endpoints.entry(url.to_owned()).or_default();
        let probe = endpoint.admit(now, self.slow)?;
        endpoint.running.push(now);
        Ok(Pass { gates: self, url: url.to_owned(), begun: now, probe })
    }

    /// Leave for a message that cannot wait any longer: the only one left to find out.
    pub(super) fn insist(&self, url: &str, now: Timestamp) -> Pass<'_> {
        self.lock().entry(url.to_owned()).or_default().running.push(now);
        Pass { gates: self, url: url.to_owned(), begun: now, probe: false }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Endpoint>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Endpoint {
    /// Whether the exchange is a probe; else when to come again.
    fn admit(&mut self, now: Timestamp, most: usize) -> Result<bool, Timestamp> {
        if let Some(until) = self.shut_until {
            if now < until || self.probing {
                return Err(self.slot(until.max(now + SLOW)));
            }
            self.probing = true;
            return Ok(true);
        }
        let slow = self.running.iter().filter(|begun| now.duration_since(**begun) > SLOW).count();
        if slow >= most { Err(self.slot(now + SLOW)) } else { Ok(false) }
    }

    fn slot(&mut self, earliest: Timestamp) -> Timestamp {
        let at = self.next.map_or(earliest, |next| next.clamp(earliest, earliest + SPREAD));
        self.next = Some(at + STEP);
        at
    }

    fn reached(&mut self) {
        *self = Self { running: std::mem::take(&mut self.running), ..Self::default() };
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

    fn is_plain(&self) -> bool {
        self.running.is_empty() && self.failures == 0 && self.shut_until.is_none()
    }
}

impl Pass<'_> {
    /// The exchange is over; whether somebody was there.
    pub(super) fn over(self, reached: bool, now: Timestamp) {
        let mut endpoints = self.gates.lock();
        let Some(endpoint) = endpoints.get_mut(&self.url) else { return };
        if reached {
            if endpoint.shut_until.is_some() {
                tracing::info!(url = self.url, "reached again");
            }
            endpoint.reached();
        } else if endpoint.missed(now, self.probe) {
            let seconds = endpoint.shut_for.as_secs();
            tracing::warn!(
                url = self.url,
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
        let Some(endpoint) = endpoints.get_mut(&self.url) else { return };
        if let Some(at) = endpoint.running.iter().position(|begun| *begun == self.begun) {
            endpoint.running.swap_remove(at);
        }
        if self.probe {
            endpoint.probing = false;
        }
        if endpoint.is_plain() {
            endpoints.remove(&self.url);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const URL: &str = "https://ap.example/as4";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
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
        let first = gates.enter(URL, at(last + 1)).unwrap_err();
        let second = gates.enter(URL, at(last + 1)).unwrap_err();
        assert!(at(last + 5) <= first && first < second, "{first} {second}");
        let probe = gates.enter(URL, at(last + 6)).unwrap();
        assert!(gates.enter(URL, at(last + 6)).is_err(), "one probe at a time");
        probe.over(false, at(last + 7));
        assert!(gates.enter(URL, at(last + 16)).is_err(), "twice as long now");
        gates.enter(URL, at(last + 17)).unwrap().over(true, at(last + 18));
        assert!(gates.enter(URL, at(last + 18)).is_ok() && gates.lock().is_empty());
    }

    #[test]
    fn failures_that_are_over_in_a_moment_or_far_apart_shut_nothing() {
        let gates = Gates::new(8);
        for _ in 0..100 {
            gates.enter(URL, at(0)).unwrap().over(false, at(0));
        }
        gates.enter(URL, at(1)).unwrap().over(true, at(1));
        assert!(gates.lock().is_empty());
    }

    #[test]
    fn slow_exchanges_hold_half_of_the_places_and_no_more() {
        let gates = Gates::new(4);
        let held = [gates.enter(URL, at(0)).unwrap(), gates.enter(URL, at(0)).unwrap()];
        assert!(gates.enter(URL, at(4)).is_ok(), "not slow yet");
        let again = gates.enter(URL, at(6)).unwrap_err();
        assert!(again > at(6));
        assert!(gates.enter("https://other.example/", at(6)).is_ok());
        drop(gates.insist(URL, at(6)));
        drop(held);
        assert!(gates.enter(URL, at(7)).is_ok());
    }

    proptest! {
        /// Whatever happens: a refusal names a time to come that is not far, and when all is over nothing is left but failures.
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
                            Err(again) => prop_assert!(at(now) < again && again <= at(now) + SHUT_LONGEST + SPREAD),
                        }
                    }
                }
                let running = gates.lock().get(URL).map_or(0, |endpoint| endpoint.running.len());
                prop_assert_eq!(running, passes.len());
            }
            passes.clear();
            gates.insist(URL, at(now)).over(true, at(now));
            prop_assert!(gates.lock().is_empty());
        }
    }
}
