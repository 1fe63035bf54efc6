//! What the cryptography and the compression of one exchange cost, measured in this process with the same libraries.
//!
//! One exchange: A signs the message and wraps the content key; B unwraps it, verifies the signature, and signs the receipt;
//! A verifies that. Every octet on the wire is hashed and ciphered once on both sides, and goes through TLS. What shrinks is
//! compressed by A when it is handed in, and decompressed by B.

mod keys;
mod octets;

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use super::Content;
use crate::stage::Kind;

/// Each operation is repeated for so long.
const MEASURE: Duration = Duration::from_millis(400);

/// Processor time of single operations.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Bound {
    /// One signature by a private key, in seconds.
    pub sign: f64,
    /// One verification, in seconds.
    pub verify: f64,
    /// Wrapping a content key for a certificate, or agreeing on one, in seconds.
    pub wrap: f64,
    /// The same with the private key, in seconds.
    pub unwrap: f64,
    /// SHA-256, in seconds an octet.
    pub hash: f64,
    /// AES-128-GCM, in seconds an octet; decrypting costs the same.
    pub cipher: f64,
    /// TLS 1.3 with AES-128-GCM, both ends together, in seconds an octet.
    pub tls: f64,
    /// gzip of text, at the level that tilts uses, in seconds an octet before it.
    pub gzip: f64,
    /// The way back, in seconds an octet of what comes out.
    pub gunzip: f64,
    /// Octets of text after compression, for one before.
    pub shrunk: f64,
}

impl Bound {
    /// Measures the operations of a profile. `bits` is the length of RSA keys.
    pub fn measure(kind: Kind, bits: u32) -> Result<Self> {
        let (sign, verify) = keys::signatures(kind, bits)?;
        let (wrap, unwrap) = keys::content_key(kind, bits)?;
        let (hash, cipher, tls) = (octets::hash()?, octets::cipher()?, octets::tls()?);
        let octets::Gzip { gzip, gunzip, shrunk } = octets::gzip()?;
        Ok(Self { sign, verify, wrap, unwrap, hash, cipher, tls, gzip, gunzip, shrunk })
    }

    /// What one exchange of `octets` costs at the least, on both sides together.
    pub fn exchange(&self, content: Content, octets: u64) -> Costs {
        let plain = octets as f64;
        let (wire, packed) = match content {
            Content::Noise => (plain, 0.0),
            Content::Text => (plain * self.shrunk, plain),
        };
        let ms = |seconds: f64| seconds * 1e3;
        Costs {
            sign: ms(2.0 * self.sign),
            verify: ms(2.0 * self.verify),
            wrap: ms(self.wrap),
            unwrap: ms(self.unwrap),
            hash: ms(2.0 * wire * self.hash),
            cipher: ms(2.0 * wire * self.cipher),
            tls: ms(wire * self.tls),
            gzip: ms(packed * self.gzip),
            gunzip: ms(packed * self.gunzip),
        }
    }
}

/// Processor milliseconds of one exchange at the least, by stage, both sides together.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Costs {
    /// Signatures of the message, by A, and of the receipt, by B.
    pub sign: f64,
    /// Verifications of the two.
    pub verify: f64,
    /// The content key for B, by A.
    pub wrap: f64,
    /// The content key, by B.
    pub unwrap: f64,
    /// SHA-256 of the octets on the wire, by A when they are handed in, and by B.
    pub hash: f64,
    /// AES-GCM of WS-Security, by A and by B.
    pub cipher: f64,
    /// TLS, by A and by B.
    pub tls: f64,
    /// Compression, by A when the octets are handed in.
    pub gzip: f64,
    /// Decompression, by B.
    pub gunzip: f64,
}

impl Costs {
    /// Each stage by its name.
    pub fn stages(&self) -> [(&'static str, f64); 9] {
        [
            ("sign", self.sign),
            ("verify", self.verify),
            ("wrap", self.wrap),
            ("unwrap", self.unwrap),
            ("hash", self.hash),
            ("cipher", self.cipher),
            ("TLS", self.tls),
            ("gzip", self.gzip),
            ("gunzip", self.gunzip),
        ]
    }

    /// All of it.
    pub fn sum(&self) -> f64 {
        self.stages().iter().map(|(_, ms)| ms).sum()
    }

    /// What A does when a payload is handed in: compression and the digest that it will sign.
    pub fn handing_in(&self) -> f64 {
        self.gzip + self.hash / 2.0
    }

    /// What A does when it sends.
    pub fn sender(&self) -> f64 {
        (self.sign + self.verify + self.cipher + self.tls) / 2.0 + self.wrap
    }

    /// What B does.
    pub fn receiver(&self) -> f64 {
        (self.sign + self.verify + self.hash + self.cipher + self.tls) / 2.0 + self.unwrap + self.gunzip
    }

    /// What is done from the moment when A begins to send.
    pub fn sending(&self) -> f64 {
        self.sender() + self.receiver()
    }
}

/// Processor seconds of one call, over as many calls as fit into [`MEASURE`].
fn cost(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    work()?;
    let (begun, before) = (std::time::Instant::now(), thread_seconds()?);
    let mut calls = 0_u32;
    while begun.elapsed() < MEASURE {
        work()?;
        calls += 1;
    }
    Ok((thread_seconds()? - before) / f64::from(calls.max(1)))
}

/// Processor time of this thread so far, in seconds.
fn thread_seconds() -> Result<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: u64 = text.split(' ').next().and_then(|n| n.parse().ok()).context("no schedstat")?;
    Ok(nanoseconds as f64 / 1e9)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A second for each operation with a key, and one for a thousand octets; text shrinks to a quarter.
    pub(in crate::bench) const BOUND: Bound = Bound {
        sign: 1.0,
        verify: 1.0,
        wrap: 1.0,
        unwrap: 1.0,
        hash: 1e-3,
        cipher: 1e-3,
        tls: 1e-3,
        gzip: 1e-3,
        gunzip: 1e-3,
        shrunk: 0.25,
    };

    fn same(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-9 * right.abs().max(1.0)
    }

    #[test]
    fn the_parts_of_an_exchange_are_the_whole() {
        for content in [Content::Noise, Content::Text] {
            let costs = BOUND.exchange(content, 4000);
            assert!(same(costs.handing_in() + costs.sending(), costs.sum()));
        }
    }

    #[test]
    fn noise_is_not_compressed_and_text_is_small_on_the_wire() {
        // Six operations with keys; 4,000 octets hashed and ciphered twice each, and once through TLS.
        assert!(same(BOUND.exchange(Content::Noise, 4000).sum(), 6000.0 + 20_000.0));
        // The same with 1,000 octets, and 4,000 compressed and decompressed.
        assert!(same(BOUND.exchange(Content::Text, 4000).sum(), 6000.0 + 5000.0 + 8000.0));
    }

    #[test]
    fn every_operation_is_measured() {
        let bound = Bound::measure(Kind::Eddsa, 2048).unwrap();
        let Bound { sign, verify, wrap, unwrap, hash, cipher, tls, gzip, gunzip, shrunk } = bound;
        for seconds in [sign, verify, wrap, unwrap] {
            assert!((1e-6..0.1).contains(&seconds), "{bound:?}");
        }
        for seconds in [hash, cipher, tls, gzip, gunzip] {
            assert!((1e-12..1e-6).contains(&seconds), "{bound:?}");
        }
        assert!((0.1..0.25).contains(&shrunk), "{bound:?}");
    }
}
