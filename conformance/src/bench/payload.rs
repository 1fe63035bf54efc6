//! What the payloads of the benchmark are made of: noise and text of any length, without ever being in memory as a whole.
//!
//! A stock of a few megabytes is made once; a payload is slices of it, in an order of its own. To make one costs next to nothing,
//! so that the processor is the nodes', and repetitions lie too far apart for gzip, which looks back 32 KB.

use std::fmt::Write as _;
use std::sync::LazyLock;

use bytes::Bytes;

use crate::random::Random;

/// Octets of each stock.
const STOCK: usize = 4 << 20;
/// Octets handed on at a time.
const CHUNK: usize = 64 << 10;

/// What a payload is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// Octets that do not shrink: sent as they are.
    Noise,
    /// Records of a register in JSON, which shrink to a fifth or so: compressed on the way.
    Text,
}

impl Content {
    /// One word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Text => "text",
        }
    }

    /// Its media type. JSON is compressed like any text, and nobody has reason to parse it on the way.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Noise => "application/octet-stream",
            Self::Text => "application/json",
        }
    }

    /// The octets that payloads of this kind are cut from.
    pub fn stock(self) -> Bytes {
        static NOISE: LazyLock<Bytes> = LazyLock::new(noise);
        static TEXT: LazyLock<Bytes> = LazyLock::new(text);
        match self {
            Self::Noise => NOISE.clone(),
            Self::Text => TEXT.clone(),
        }
    }

    /// A payload of so many octets, a chunk at a time; the same `number` gives the same one.
    pub fn chunks(self, number: u64, octets: u64) -> Chunks {
        Chunks { stock: self.stock(), random: Random::new(number), left: octets }
    }
}

/// The octets of one payload.
pub struct Chunks {
    stock: Bytes,
    random: Random,
    left: u64,
}

impl Iterator for Chunks {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let count = usize::try_from(self.left).unwrap_or(CHUNK).min(CHUNK);
        if count == 0 {
            return None;
        }
        self.left -= count as u64;
        let begin = self.random.below((STOCK - CHUNK) as u64) as usize;
        Some(self.stock.slice(begin..begin + count))
    }
}

fn noise() -> Bytes {
    let mut octets = vec![0; STOCK];
    Random::new(1).fill(&mut octets);
    octets.into()
}

fn text() -> Bytes {
    const NAMES: [&str; 8] =
        ["Bērziņa", "Kalniņš", "Ozola", "Jansons", "Liepiņa", "Krūmiņš", "Balode", "Eglītis"];
    const STREETS: [&str; 6] = ["Brīvības", "Elizabetes", "Lāčplēša", "Skolas", "Dārza", "Rīgas"];
    let mut random = Random::new(2);
    let mut records = String::with_capacity(STOCK + 512);
    while records.len() < STOCK {
        let mut pick = |of: u64| random.below(of);
        let (name, street) = (NAMES[pick(8) as usize], STREETS[pick(6) as usize]);
        let _ = writeln!(
            records,
            "{{\"record\":{},\"surname\":\"{name}\",\"address\":{{\"street\":\"{street} iela\",\"house\":{},\"post\":\"LV-{}\"}},\
             \"amount\":\"{}.{:02}\",\"currency\":\"EUR\",\"due\":\"2027-{:02}-{:02}\",\"status\":\"registered\",\"remarks\":null}},",
            pick(100_000_000),
            pick(200),
            1000 + pick(900),
            pick(100_000),
            pick(100),
            1 + pick(12),
            1 + pick(28),
        );
    }
    let mut octets = records.into_bytes();
    octets.truncate(STOCK);
    octets.into()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn whole(content: Content, number: u64, octets: u64) -> Vec<u8> {
        content.chunks(number, octets).flatten().collect()
    }

    #[test]
    fn a_payload_has_its_length_and_no_other_payload_is_the_same() {
        for octets in [0, 1, CHUNK as u64, 3 * CHUNK as u64 + 17] {
            assert_eq!(whole(Content::Noise, 1, octets).len() as u64, octets);
        }
        assert_eq!(whole(Content::Text, 1, 5000), whole(Content::Text, 1, 5000));
        assert_ne!(whole(Content::Noise, 1, 5000), whole(Content::Noise, 2, 5000));
    }

    #[test]
    fn text_shrinks_four_to_ten_times_and_noise_does_not() {
        let shrunk = |content| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(1));
            encoder.write_all(&whole(content, 3, 8 << 20)).unwrap();
            (8 << 20) as f64 / encoder.finish().unwrap().len() as f64
        };
        let (text, noise) = (shrunk(Content::Text), shrunk(Content::Noise));
        assert!((4.0..10.0).contains(&text), "text shrinks {text:.2} times");
        assert!(noise < 1.01, "noise shrinks {noise:.3} times");
    }
}
