//! One exchange, carried as its fault will have it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, copy, split};

use super::request::{Begun, head};
use super::schedule::Fault;
use super::wire::{AnyLine, Dial};

/// How long a stall lasts that neither side ends.
const STALL: Duration = Duration::from_secs(60);

/// Both ends of an exchange, and the way to another connection of the same kind.
pub struct Exchange<'w> {
    /// Whoever sends.
    pub client: AnyLine,
    /// Whoever answers.
    pub server: AnyLine,
    /// Where a repetition goes: another node, where there are several.
    pub other: SocketAddr,
    /// How to get there.
    pub way: &'w dyn Dial,
}

impl Exchange<'_> {
    /// Carries it. What is dropped at the end is cut off without a word.
    ///
    /// # Errors
    /// Either end's.
    pub async fn carry(mut self, fault: Option<Fault>) -> Result<()> {
        match fault {
            None | Some(Fault::Reset) => self.through().await,
            Some(Fault::Delay { ms }) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                self.through().await
            }
            Some(Fault::CutRequest { share }) => self.part(share).await,
            Some(Fault::Truncate { share }) => self.truncate(share).await,
            Some(Fault::Stall { share }) => self.stall(share).await,
            Some(Fault::Leave { ms }) => {
                self.request().await?;
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Ok(())
            }
            Some(Fault::CutAnswer { octets }) => {
                self.request().await?;
                copy(&mut self.server.take(octets), &mut self.client).await?;
                Ok(())
            }
            Some(Fault::Lose) => {
                self.request().await?;
                self.server.read_to_end(&mut Vec::new()).await?;
                Ok(())
            }
            Some(Fault::Repeat) => self.repeat().await,
            Some(Fault::Twin) => self.twin().await,
        }
    }

    /// Passes on the whole request.
    async fn request(&mut self) -> Result<Vec<u8>> {
        let request = head(&mut self.client).await?.whole(&mut self.client).await?;
        self.server.write_all(&request).await?;
        self.server.flush().await?;
        Ok(request)
    }

    /// Passes on the first thousandths of a request.
    async fn part(&mut self, share: u64) -> Result<()> {
        let Begun { octets, length } = head(&mut self.client).await?;
        let limit = (length * share / 1000).max(1);
        let first = octets.len().min(usize::try_from(limit)?);
        self.server.write_all(&octets[..first]).await?;
        copy(&mut (&mut self.client).take(limit - first as u64), &mut self.server).await?;
        Ok(self.server.flush().await?)
    }

    /// The end of what lies under TLS, and not of TLS: no network can make that.
    async fn truncate(mut self, share: u64) -> Result<()> {
        self.part(share).await?;
        self.server.under().shutdown().await?;
        copy(&mut self.server, &mut self.client).await?;
        Ok(())
    }

    async fn stall(mut self, share: u64) -> Result<()> {
        self.part(share).await?;
        tokio::select! {
            () = hung_up(&mut self.client) => {}
            () = hung_up(&mut self.server) => {}
            () = tokio::time::sleep(STALL) => {}
        }
        Ok(())
    }

    /// Everything passes, both ways, until the answer ends or the sender goes.
    async fn through(self) -> Result<()> {
        let Self { mut client, server, .. } = self;
        let begun = head(&mut client).await?;
        let ((from_client, to_client), (from_server, mut to_server)) = (split(client), split(server));
        to_server.write_all(&begun.octets).await?;
        to_server.flush().await?;
        let up = tokio::spawn(pass(from_client, to_server));
        let answered = pass(from_server, to_client).await;
        up.abort();
        answered
    }

    async fn repeat(mut self) -> Result<()> {
        let request = self.request().await?;
        copy(&mut self.server, &mut self.client).await?;
        self.client.shutdown().await?;
        again(self.way, self.other, &request).await.map(drop)
    }

    async fn twin(mut self) -> Result<()> {
        let request = self.request().await?;
        let mut answer = Vec::new();
        let first = self.server.read_to_end(&mut answer);
        let (first, _) = tokio::join!(first, again(self.way, self.other, &request));
        first?;
        self.client.write_all(&answer).await?;
        Ok(self.client.shutdown().await?)
    }
}

/// One direction to its end, of which the other side hears.
async fn pass(mut from: ReadHalf<AnyLine>, mut to: WriteHalf<AnyLine>) -> Result<()> {
    copy(&mut from, &mut to).await?;
    Ok(to.shutdown().await?)
}

/// Ready when the other end is gone. What it says until then goes nowhere.
async fn hung_up(stream: &mut AnyLine) {
    let mut octets = [0; 1 << 10];
    while stream.read(&mut octets).await.is_ok_and(|count| count > 0) {}
}

/// Sends a whole request on a connection of its own and reads the answer to its end.
async fn again(way: &dyn Dial, to: SocketAddr, request: &[u8]) -> Result<Vec<u8>> {
    let mut server = way.dial(to).await?;
    server.write_all(request).await?;
    server.flush().await?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await?;
    Ok(answer)
}
