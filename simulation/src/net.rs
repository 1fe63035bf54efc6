//! The network of a run: octets between addresses, each piece with a time of its own, in order on each way.
//!
//! Hosts run one after the other, each up to the same moment. What one sends arrives after that moment at the earliest when the run
//! says so ([`Net::deliver`]): a long step makes the network slower and changes nothing else.

mod line;

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use conformance::random::Random;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tilts::transport::{Line, Listen, Network};

pub use line::End;

use crate::engine::{Moment, Zero};
use crate::trace::Trace;

/// Whoever has addresses. The first is neither node: producer, consumer, and what lies between the nodes.
pub type Host = usize;

/// Neither node.
pub const OUTSIDE: Host = 0;

/// Octets under way on one way of a connection at most.
const WINDOW: usize = 64 << 10;

/// When a system sends again what was not answered.
const AGAIN: Duration = Duration::from_secs(1);

/// What a way takes at least.
const LATENCY: Duration = Duration::from_millis(1);

/// The network; clones are one.
#[derive(Clone)]
pub struct Net(Arc<Mutex<State>>);

struct State {
    /// Up to where everything was delivered.
    now: Moment,
    hosts: Vec<Place>,
    listeners: BTreeMap<SocketAddr, Listener>,
    /// The two ends of a connection are 2n and 2n + 1.
    ends: BTreeMap<u64, Conn>,
    /// Hosts of ends that are gone.
    gone: BTreeMap<u64, Host>,
    /// Who listened last at an address.
    homes: BTreeMap<SocketAddr, Host>,
    flight: BTreeMap<(Moment, u64), Parcel>,
    numbers: u64,
    random: Random,
    /// A way takes up to so many milliseconds more than it must.
    jitter: u64,
    /// One piece in so many breaks its connection; none for 0.
    rough: u64,
    trace: Trace,
}

/// A host: how its time stands to ours while it runs.
#[derive(Clone, Copy, Default)]
struct Place {
    zero: Option<Zero>,
    /// It is gone without a word: who sends to it hears nothing.
    silent: bool,
}

struct Listener {
    host: Host,
    waiting: VecDeque<u64>,
    waker: Option<Waker>,
}

/// One end of a connection.
struct Conn {
    host: Host,
    /// Where it leads, for the trace.
    to: SocketAddr,
    stand: Stand,
    inbox: VecDeque<Bytes>,
    /// Octets sent that the other end has not read.
    unread: usize,
    /// When the last piece sent arrives.
    last: Moment,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// The other side has not answered yet.
    Calling,
    Open,
    /// The other end sends nothing more.
    Ended,
    /// Neither sends anything more.
    Broken,
    Refused,
}

/// What is under way to an end.
enum Parcel {
    Call(u64),
    Taken(u64),
    Refused(u64),
    Octets(u64, Bytes),
    End(u64),
    Break(u64),
}

/// How rough the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Weather {
    /// A way takes up to so many milliseconds more than it must.
    pub jitter: u64,
    /// One piece in so many breaks its connection; none for 0.
    pub rough: u64,
}

impl Net {
    /// A network of so many hosts, none of which is up.
    pub fn new(hosts: usize, seed: u64, weather: Weather, trace: Trace) -> Self {
        Self(Arc::new(Mutex::new(State {
            now: Moment::ZERO,
            hosts: vec![Place::default(); hosts],
            listeners: BTreeMap::new(),
            ends: BTreeMap::new(),
            gone: BTreeMap::new(),
            homes: BTreeMap::new(),
            flight: BTreeMap::new(),
            numbers: 0,
            random: Random::new(seed),
            jitter: weather.jitter,
            rough: weather.rough,
            trace,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host is up.
    pub fn up(&self, host: Host, zero: Zero) {
        self.lock().hosts[host] = Place { zero: Some(zero), silent: false };
    }

    /// A host is gone, with all its connections. Its peers hear of it, as from a system that goes on without the process; or they
    /// do not, as when the power goes.
    pub fn down(&self, host: Host, silent: bool) {
        let mut state = self.lock();
        state.hosts[host] = Place { zero: None, silent };
        state.listeners.retain(|_, listener| listener.host != host);
        let gone: Vec<u64> =
            state.ends.iter().filter(|(_, end)| end.host == host).map(|(id, _)| *id).collect();
        for id in gone {
            let Some(last) = state.remove(id) else { continue };
            if !silent {
                let at = state.now.max(last);
                state.send(at, id, Parcel::Break(id ^ 1));
            }
        }
    }

    /// From now on nothing goes wrong by itself.
    pub fn calm(&self) {
        let mut state = self.lock();
        (state.jitter, state.rough) = (2, 0);
    }

    /// When the next piece arrives.
    pub fn next(&self) -> Option<Moment> {
        self.lock().flight.first_key_value().map(|((at, _), _)| *at)
    }

    /// How many pieces and calls there were so far.
    pub fn sent(&self) -> u64 {
        self.lock().numbers
    }

    /// Delivers what has arrived by `moment`; whether anything has.
    pub fn deliver(&self, moment: Moment) -> bool {
        let mut state = self.lock();
        state.now = moment;
        let mut any = false;
        while let Some(first) = state.flight.first_entry().filter(|first| first.key().0 <= moment) {
            let parcel = first.remove();
            state.arrive(parcel);
            any = true;
        }
        any
    }

    /// The network as a host sees it.
    pub fn of(&self, host: Host) -> Hosted {
        Hosted { net: self.clone(), host }
    }
}

impl State {
    fn now_at(&self, host: Host) -> Option<Moment> {
        Some(self.hosts[host].zero?.now())
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Forgets an end; when its last piece arrives.
    fn remove(&mut self, id: u64) -> Option<Moment> {
        let end = self.ends.remove(&id)?;
        self.gone.insert(id, end.host);
        Some(end.last)
    }

    /// Sends a piece from an end, after everything that it sent before.
    fn send(&mut self, now: Moment, from: u64, parcel: Parcel) {
        let late = self.random.below(self.jitter * 1000 + 1);
        let last = self.ends.get(&from).map_or(Moment::ZERO, |end| end.last);
        let due = (now + LATENCY + Duration::from_micros(late)).max(last);
        // Time goes in milliseconds.
        let due = Duration::from_millis(u64::try_from(due.as_micros().div_ceil(1000)).unwrap_or(u64::MAX));
        if let Some(end) = self.ends.get_mut(&from) {
            end.last = due;
        }
        let number = self.number();
        self.flight.insert((due, number), parcel);
    }

    fn arrive(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Call(id) => self.called(id),
            Parcel::Taken(id) => self.stands(id, Stand::Open),
            Parcel::Refused(id) => self.stands(id, Stand::Refused),
            Parcel::End(id) => self.stands(id, Stand::Ended),
            Parcel::Break(id) => self.stands(id, Stand::Broken),
            Parcel::Octets(id, octets) => match self.ends.get_mut(&id) {
                Some(end) if !matches!(end.stand, Stand::Broken) => {
                    end.inbox.push_back(octets);
                    wake(&mut end.reader);
                }
                Some(_) => {}
                None => self.nobody(id),
            },
        }
    }

    /// Something came for an end that is gone: its system says so, unless that is gone too.
    fn nobody(&mut self, id: u64) {
        match self.gone.get(&id).is_some_and(|host| self.hosts[*host].silent) {
            true => self.again(Parcel::Octets(id, Bytes::new())),
            false => self.send(self.now, id, Parcel::Break(id ^ 1)),
        }
    }

    /// What was not answered at all is sent again.
    fn again(&mut self, parcel: Parcel) {
        let number = self.number();
        self.flight.insert((self.now + AGAIN, number), parcel);
    }

    /// Somebody calls at an address.
    fn called(&mut self, id: u64) {
        let Some(end) = self.ends.get(&id) else { return };
        let (to, now) = (end.to, self.now);
        let Some(listener) = self.listeners.get_mut(&to) else {
            self.trace.event(now, format_args!("net {to} is not there"));
            let silent = self.homes.get(&to).is_some_and(|host| self.hosts[*host].silent);
            return match silent {
                true => self.again(Parcel::Call(id)),
                false => self.send(now, id ^ 1, Parcel::Refused(id)),
            };
        };
        listener.waiting.push_back(id ^ 1);
        wake(&mut listener.waker);
        let conn = Conn { stand: Stand::Open, ..Conn::new(listener.host, to) };
        self.ends.insert(id ^ 1, conn);
        self.send(now, id ^ 1, Parcel::Taken(id));
    }

    fn stands(&mut self, id: u64, stand: Stand) {
        let Some(end) = self.ends.get_mut(&id) else { return };
        if end.stand == Stand::Broken {
            return;
        }
        end.stand = stand;
        if stand == Stand::Broken {
            end.inbox.clear();
        }
        wake(&mut end.reader);
        wake(&mut end.writer);
    }

    /// Whether the network breaks a connection just now.
    fn breaks(&mut self) -> bool {
        self.rough > 0 && self.random.below(self.rough) == 0
    }
}

impl Conn {
    fn new(host: Host, to: SocketAddr) -> Self {
        Self {
            host,
            to,
            stand: Stand::Calling,
            inbox: VecDeque::new(),
            unread: 0,
            last: Moment::ZERO,
            reader: None,
            writer: None,
        }
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// The network as one host sees it.
#[derive(Clone)]
pub struct Hosted {
    net: Net,
    host: Host,
}

impl Hosted {
    /// A connection to an address.
    ///
    /// # Errors
    /// Nobody is there.
    pub async fn call(&self, to: SocketAddr) -> io::Result<End> {
        let Some(end) = self.calls(to) else { return std::future::pending().await };
        poll_fn(|cx| end.poll_taken(cx)).await?;
        Ok(end)
    }

    /// Who is dead calls nobody.
    fn calls(&self, to: SocketAddr) -> Option<End> {
        let mut state = self.net.lock();
        let now = state.now_at(self.host)?;
        let id = 2 * state.number();
        state.ends.insert(id, Conn::new(self.host, to));
        state.send(now, id, Parcel::Call(id));
        Some(End { net: self.net.clone(), id })
    }

    /// Takes an address.
    ///
    /// # Errors
    /// Somebody has it.
    pub fn bind(&self, at: SocketAddr) -> io::Result<Bound> {
        let mut state = self.net.lock();
        if state.listeners.contains_key(&at) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let listener = Listener { host: self.host, waiting: VecDeque::new(), waker: None };
        state.listeners.insert(at, listener);
        state.homes.insert(at, self.host);
        drop(state);
        Ok(Bound { net: self.net.clone(), at, host: self.host })
    }
}

impl Network for Hosted {
    fn connect(&self, to: SocketAddr) -> BoxFuture<'static, io::Result<Line>> {
        let own = self.clone();
        async move { Ok(Box::new(own.call(to).await?) as Line) }.boxed()
    }

    fn listen(&self, at: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Listen>>> {
        let bound = self.bind(at);
        async move { Ok(Box::new(bound?) as Box<dyn Listen>) }.boxed()
    }
}

/// An address that is listened on.
pub struct Bound {
    net: Net,
    at: SocketAddr,
    host: Host,
}

impl Bound {
    /// The next connection.
    pub async fn next(&self) -> End {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Nobody listens any more; who was waiting hears of it.
    pub fn end(self) {
        let mut state = self.net.lock();
        let waiting = state.listeners.remove(&self.at).map(|listener| listener.waiting);
        for id in waiting.into_iter().flatten() {
            state.remove(id);
            let now = state.now;
            state.send(now, id, Parcel::Break(id ^ 1));
        }
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<End> {
        let mut state = self.net.lock();
        let Some(listener) = state.listeners.get_mut(&self.at).filter(|l| l.host == self.host) else {
            return Poll::Pending;
        };
        match listener.waiting.pop_front() {
            Some(id) => Poll::Ready(End { net: self.net.clone(), id }),
            None => {
                listener.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Listen for Bound {
    fn accept(&self) -> BoxFuture<'_, io::Result<(Line, SocketAddr)>> {
        async {
            let end = self.next().await;
            let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
            Ok((Box::new(end) as Line, from))
        }
        .boxed()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests;
