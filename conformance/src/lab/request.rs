//! A request on its way: as far as it was read, and how long it will be.

use anyhow::{Context, Result, bail, ensure};
use tokio::io::AsyncReadExt;

use super::wire::AnyLine;

/// Most octets of a request's head.
const HEAD: usize = 64 << 10;

/// A request as far as it was read, with the length that it announces.
pub(super) struct Begun {
    /// Octets: the head, which says that the connection closes, and what came with it.
    pub octets: Vec<u8>,
    /// All octets that the request will have.
    pub length: u64,
}

/// Reads the head of a request.
pub(super) async fn head(client: &mut AnyLine) -> Result<Begun> {
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
    pub(super) async fn whole(mut self, client: &mut AnyLine) -> Result<Vec<u8>> {
        let rest = self.length.saturating_sub(self.octets.len() as u64);
        client.take(rest).read_to_end(&mut self.octets).await?;
        ensure!(self.octets.len() as u64 == self.length, "the sender broke off");
        Ok(self.octets)
    }
}
