//! The network between the two access points: every exchange passes here, and some go wrong. Before an access point of several
//! nodes it shares the exchanges out, in turn, over those that are up.
//!
//! One exchange is one connection: the request is told that the connection closes after it, so that each exchange gets a fault
//! of its own. Therefore, and because a request can only be repeated by whoever can read it, TLS ends here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use anyhow::{Result, bail};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::carry::Exchange;
use super::schedule::{Fault, Faults};
use super::tally::Tally;
use super::wire::Wire;

/// The proxy in front of one access point. It stops when dropped.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    way: Arc<Way>,
    task: JoinHandle<()>,
}

/// Where exchanges go, and what becomes of them.
struct Way {
    to: Vec<SocketAddr>,
    wire: Wire,
    faults: Faults,
    tally: Tally,
    exchanges: AtomicU64,
    turn: AtomicUsize,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Leads to the nodes `to`, with the faults of a schedule, which are counted when they are done.
    pub async fn start(to: Vec<SocketAddr>, wire: Wire, faults: Faults, tally: Tally) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let way = Arc::new(Way {
            to,
            wire,
            faults,
            tally,
            exchanges: AtomicU64::new(0),
            turn: AtomicUsize::new(0),
        });
        let ways = way.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let way = ways.clone();
                tokio::spawn(async move { way.exchange(client).await });
            }
        });
        Ok(Self { address, way, task })
    }

    /// Exchanges so far.
    pub fn exchanges(&self) -> u64 {
        self.way.exchanges.load(Ordering::Relaxed)
    }
}

impl Way {
    /// An access point that is down is a fault of its own: only an exchange that could pass takes one from the schedule.
    async fn exchange(&self, client: TcpStream) -> Result<()> {
        let (server, other) = self.connect().await?;
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let fault = self.faults.of(self.exchanges.fetch_add(1, Ordering::Relaxed));
        if let Some(fault) = fault {
            self.tally.count(fault.kind());
        }
        if fault == Some(Fault::Reset) {
            // Whatever the system still holds is thrown away, and the sender reads a reset.
            return Ok(client.set_zero_linger()?);
        }
        let (client, server) = (self.wire.accept(client).await?, self.wire.connect(server).await?);
        Exchange { client, server, other, way: &self.wire }.carry(fault).await
    }

    /// The next node that is up, and the one after it.
    async fn connect(&self) -> Result<(TcpStream, SocketAddr)> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let node = |number: usize| self.to[(first + number) % self.to.len()];
        for number in 0..self.to.len() {
            if let Ok(server) = TcpStream::connect(node(number)).await {
                return Ok((server, node(number + 1)));
            }
        }
        bail!("no node is up")
    }
}
