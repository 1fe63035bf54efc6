//! A hundred hostile senders at once, each with the means of its choice, for as long as they are let.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::line::Line;
use crate::as4::{Message, Part, Request, seal};
use crate::probe::Probe;

/// Octets that an endless sender gives up after.
const ENOUGH: usize = 32 << 20;

/// The senders; they stop when this is dropped or [`Siege::lift`]ed.
pub struct Siege {
    stop: Arc<AtomicBool>,
    attacks: Arc<AtomicU64>,
    senders: JoinSet<()>,
}

impl Siege {
    /// Lays it with `senders` senders.
    pub fn lay(probe: &Probe, senders: usize) -> Result<Self> {
        let means = Arc::new(Means::make(probe)?);
        let (stop, attacks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut all = JoinSet::new();
        for number in 0..senders {
            let (means, stop, attacks) = (means.clone(), stop.clone(), attacks.clone());
            all.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    // The node may answer, refuse or hang up: that is the attacker's trouble.
                    let _ = means.attack(number).await;
                    attacks.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Ok(Self { stop, attacks, senders: all })
    }

    /// Ends it; gives the number of attacks.
    pub async fn lift(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let _ = tokio::time::timeout(Duration::from_secs(5), async {
            while self.senders.join_next().await.is_some() {}
        })
        .await;
        self.attacks.load(Ordering::Relaxed)
    }
}

struct Means {
    to: SocketAddr,
    bomb: Request,
    parts: Request,
    deep: Request,
    wide: Request,
    good: Request,
}

impl Means {
    fn make(probe: &Probe) -> Result<Self> {
        let message = Message { parts: vec![Part::compressed("bomb@suite", bomb()?)], ..probe.message() };
        let sealed = seal(&probe.message(), &probe.sender)?;
        let good = sealed.request();
        let many: Vec<Part> = (0..100_000).map(|n| Part::new(&format!("{n}@suite"), b"x")).collect();
        let envelope = |inside: &str| {
            let text = sealed.envelope();
            Request::post(
                "application/soap+xml",
                text.replacen("<env:Header>", &format!("<env:Header>{inside}"), 1),
            )
        };
        let attributes: String = (0..20_000).map(|n| format!(" a{n}=\"\"")).collect();
        Ok(Self {
            to: probe.node.node.ports.as4,
            bomb: seal(&message, &probe.sender)?.request(),
            parts: Request::multipart(&sealed.envelope(), &many),
            deep: envelope(&"<a>".repeat(100_000)),
            wide: envelope(&format!("<a{attributes}/>")),
            good,
        })
    }

    async fn attack(&self, number: usize) -> Result<()> {
        match number % 8 {
            0 => Line::new(self.to).send(&self.bomb).await.map(drop),
            1 => Line::new(self.to).send(&self.parts).await.map(drop),
            2 => Line::new(self.to).send(&self.deep).await.map(drop),
            3 => Line::new(self.to).send(&self.wide).await.map(drop),
            4 => {
                self.endless(
                    b"POST /as4 HTTP/1.1\r\nHost: x\r\n",
                    b"X-More: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
                )
                .await
            }
            5 => {
                self.endless(
                    &self.head("multipart/related; boundary=b; type=\"application/soap+xml\"", "--b\r\n"),
                    b"X-More: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
                )
                .await
            }
            6 => self.endless(&self.head("application/soap+xml", "<a>"), b"<b c=\"d\">text</b>").await,
            _ => self.half().await,
        }
    }

    fn head(&self, content_type: &str, begin: &str) -> Vec<u8> {
        format!(
            "POST /as4 HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nContent-Length: 4000000000\r\n\r\n{begin}"
        )
        .into_bytes()
    }

    /// The same piece again and again, until the other side has enough.
    async fn endless(&self, begin: &[u8], piece: &[u8]) -> Result<()> {
        let mut stream = TcpStream::connect(self.to).await?;
        stream.write_all(begin).await?;
        let block = piece.repeat(1000);
        let mut sent = 0;
        while sent < ENOUGH {
            tokio::time::timeout(Duration::from_secs(10), stream.write_all(&block)).await??;
            sent += block.len();
        }
        Ok(())
    }

    /// Half a request, then a closed sending side, and a look at what comes back.
    async fn half(&self) -> Result<()> {
        let octets = self.good.octets("x");
        let mut stream = TcpStream::connect(self.to).await?;
        stream.write_all(octets.get(..octets.len() / 2).context("short")?).await?;
        stream.shutdown().await?;
        let mut answer = Vec::new();
        tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await??;
        Ok(())
    }
}

/// 200 MB of zeros in 200 KB.
fn bomb() -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..200 {
        encoder.write_all(&zeros)?;
    }
    Ok(encoder.finish()?)
}
