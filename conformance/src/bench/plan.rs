//! What `make bench` runs.

use super::Content::{self, Noise, Text};
use crate::stage::Kind;

const KB: u64 = 1 << 10;
const MB: u64 = 1 << 20;
const GB: u64 = 1 << 30;

/// The runs under one profile.
pub struct Plan {
    /// Profile and keys.
    pub name: &'static str,
    /// Keys.
    pub kind: Kind,
    /// Length of RSA keys.
    pub bits: u32,
    /// The runs.
    pub shapes: &'static [Shape],
}

/// One run.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// What the payloads are made of.
    pub content: Content,
    /// Octets of each payload.
    pub octets: u64,
    /// Messages that are sent at once.
    pub connections: usize,
    /// How many messages, for one of a run of small payloads.
    share: f64,
    /// How many at least.
    least: usize,
}

impl Shape {
    /// How many messages, where a run of small payloads has `small`.
    pub fn messages(&self, small: usize) -> usize {
        ((small as f64 * self.share) as usize).max(self.least)
    }
}

const fn of(content: Content, octets: u64, connections: usize, share: f64, least: usize) -> Shape {
    Shape { content, octets, connections, share, least }
}

/// All runs. The comparison with others, the crowd and the soak go by the first profile.
pub const PLANS: [Plan; 3] = [
    Plan {
        name: "1.15 RSA-2048",
        kind: Kind::Rsa,
        bits: 2048,
        shapes: &[
            of(Noise, KB, 1, 0.4, 4),
            of(Noise, KB, 8, 1.0, 4),
            of(Noise, KB, 64, 1.0, 4),
            of(Noise, 10 * KB, 1, 0.4, 4),
            of(Noise, 10 * KB, 2, 0.4, 4),
            of(Noise, 10 * KB, 8, 1.0, 4),
            of(Noise, 10 * KB, 32, 1.0, 4),
            of(Noise, 10 * KB, 64, 1.0, 4),
            of(Noise, MB, 1, 0.05, 4),
            of(Noise, MB, 8, 0.1, 4),
            of(Text, MB, 8, 0.1, 4),
            of(Noise, 100 * MB, 1, 0.004, 4),
            of(Noise, 100 * MB, 4, 0.008, 8),
            of(Text, 100 * MB, 1, 0.004, 4),
            of(Text, 100 * MB, 4, 0.008, 8),
            of(Noise, 2 * GB, 1, 0.0, 2),
        ],
    },
    Plan {
        name: "1.15 RSA-3072",
        kind: Kind::Rsa,
        bits: 3072,
        shapes: &[
            of(Noise, 10 * KB, 1, 0.2, 4),
            of(Noise, 10 * KB, 8, 0.6, 4),
            of(Noise, 10 * KB, 64, 0.6, 4),
        ],
    },
    Plan {
        name: "2.0 Ed25519/X25519",
        kind: Kind::Eddsa,
        bits: 2048,
        shapes: &[
            of(Noise, KB, 8, 1.0, 4),
            of(Noise, 10 * KB, 1, 0.4, 4),
            of(Noise, 10 * KB, 8, 1.0, 4),
            of(Noise, 10 * KB, 64, 1.0, 4),
            of(Noise, MB, 8, 0.1, 4),
            of(Noise, 100 * MB, 4, 0.008, 8),
        ],
    },
];
