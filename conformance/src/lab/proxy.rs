//! The network between the two access points: every exchange passes here, and some go wrong.
//!
//! One exchange is one connection: the request is told that the connection closes after it, so that each exchange gets a fault
//! of its own. Plain HTTP on both sides, for a repeated request can only be made of octets that can be read.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::carry::carry;
use super::schedule::Faults;
use super::tally::Tally;

/// Most octets of a request's head.
const HEAD: usize = 64 << 10;

/// The proxy in front of one access point. It stops when dropped.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    exchanges: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Leads to `to`, with the faults of a schedule, which are counted when they are done.
    pub async fn start(to: SocketAddr, faults: Faults, tally: Tally) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let exchanges = Arc::new(AtomicU64::new(0));
        let numbers = exchanges.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (numbers, tally) = (numbers.clone(), tally.clone());
                tokio::spawn(async move { exchange(client, to, faults, (&numbers, &tally)).await });
            }
        });
        Ok(Self { address, exchanges, task })
    }

    /// Exchanges so far.
    pub fn exchanges(&self) -> u64 {
        self.exchanges.load(Ordering::Relaxed)
    }
}

/// An access point that is down is a fault of its own: only an exchange that could pass takes one from the schedule.
async fn exchange(
    client: TcpStream,
    to: SocketAddr,
    faults: Faults,
    (numbers, tally): (&AtomicU64, &Tally),
) -> Result<()> {
    let server = TcpStream::connect(to).await?;
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let fault = faults.of(numbers.fetch_add(1, Ordering::Relaxed));
    if let Some(fault) = fault {
        tally.count(fault.kind());
    }
    carry(client, server, fault).await
}

/// A request as far as it was read, with the length that it announces.
pub(super) struct Begun {
    /// Octets: the head, which says that the connection closes, and what came with it.
    pub octets: Vec<u8>,
    /// All octets that the request will have.
    pub length: u64,
}

/// Reads the head of a request.
pub(super) async fn head(client: &mut TcpStream) -> Result<Begun> {
    let mut octets = Vec::new();
    let mut chunk = [0; 16 << 10];
    let end = loop {
        let count = client.read(&mut chunk).await?;
        octets.extend_from_slice(&chunk[..count]);
        match octets.windows(4).position(|w| w == b"\r\n\r\n") {
            Some(end) => break end,
            None if count == 0 || octets.len() > HEAD => bail!("no head of a request"),
            None => {}
        }
    };
    let text = String::from_utf8_lossy(&octets[..end]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: u64 = length.context("no Content-Length")?.trim().parse()?;
    octets.splice(end..end, *b"\r\nConnection: close");
    let head = end as u64 + b"\r\nConnection: close\r\n\r\n".len() as u64;
    Ok(Begun { octets, length: head + length })
}

impl Begun {
    /// The whole request.
    pub(super) async fn whole(mut self, client: &mut TcpStream) -> Result<Vec<u8>> {
        let rest = self.length.saturating_sub(self.octets.len() as u64);
        let mut body = client.take(rest);
        body.read_to_end(&mut self.octets).await?;
        anyhow::ensure!(self.octets.len() as u64 == self.length, "the sender broke off");
        Ok(self.octets)
    }
}

/// Sends a whole request on a connection of its own and reads the answer to its end.
pub(super) async fn again(to: SocketAddr, request: &[u8]) -> Result<Vec<u8>> {
    let mut server = TcpStream::connect(to).await?;
    server.write_all(request).await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    Ok(answer)
}
