//! The hash chain of a recipient's evidence and the Merkle tree over chain heads: what makes the rows tamper-evident.
//!
//! A link's hash is the SHA-256 of its JSON line, so that a court can check a chain with a text editor and `sha256sum`.

use openssl::sha::{Sha256, sha256};
use serde::{Deserialize, Serialize};

use super::{Acceptance, Row};

/// The value before the first link and the first checkpoint.
pub const START: [u8; 32] = [0; 32];

/// One row as it is hashed: field order and spelling are part of the format and never change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The recipient's id.
    pub recipient: String,
    /// Place in the chain, from 1.
    pub sequence: u32,
    /// Who says so.
    pub kind: String,
    /// What is said.
    pub signal: String,
    /// RFC 3339, UTC.
    pub event_time: String,
    /// RFC 3339, UTC.
    pub received: String,
    /// The evidence's own identifier.
    pub identifier: String,
    /// True when a signature was verified.
    pub signed: bool,
    /// Policy and profile; in the first row.
    pub acceptance: Option<Acceptance>,
    /// Explanation.
    pub detail: Option<String>,
    /// What the raw octets are, e.g. `as4-receipt`.
    pub format: String,
    /// SHA-256 of the issuer's certificate, hex.
    pub issuer: Option<String>,
    /// SHA-256 of the raw octets, hex.
    pub sha256: String,
    /// Hash of the link before, hex.
    pub previous: String,
}

impl Link {
    /// The link of `row`, whose raw octets hash to `sha256`, after the link that hashes to `previous`.
    pub fn new(recipient: &str, row: &Row, raw: &RawDigest, previous: &[u8; 32]) -> Self {
        Self {
            recipient: recipient.to_owned(),
            sequence: row.sequence,
            kind: row.kind.as_str().to_owned(),
            signal: row.signal.as_str().to_owned(),
            event_time: row.event_time.to_string(),
            received: row.received.to_string(),
            identifier: row.identifier.clone(),
            signed: row.signed,
            acceptance: row.acceptance,
            detail: row.detail.clone(),
            format: raw.format.clone(),
            issuer: raw.issuer.map(hex::encode),
            sha256: hex::encode(raw.sha256),
            previous: hex::encode(previous),
        }
    }

    /// The row that the link holds.
    ///
    /// # Errors
    /// [`super::Error`] when a word or a time cannot be read back.
    pub fn row(&self) -> Result<Row, super::Error> {
        let time = |text: &String| {
            text.parse().map_err(|_| super::Error::UnknownWord { what: "time", word: text.clone() })
        };
        Ok(Row {
            sequence: self.sequence,
            kind: self.kind.parse()?,
            signal: self.signal.parse()?,
            event_time: time(&self.event_time)?,
            received: time(&self.received)?,
            identifier: self.identifier.clone(),
            signed: self.signed,
            acceptance: self.acceptance,
            detail: self.detail.clone(),
        })
    }

    /// The JSON line that is hashed.
    ///
    /// # Errors
    /// None in practice: every field is text, a number or a flag.
    pub fn line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// SHA-256 of [`Link::line`].
    ///
    /// # Errors
    /// As [`Link::line`].
    pub fn hash(&self) -> Result<[u8; 32], serde_json::Error> {
        Ok(sha256(self.line()?.as_bytes()))
    }
}

/// What a link says about the octets behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawDigest {
    /// What the octets are.
    pub format: String,
    /// SHA-256 of the issuer's certificate.
    pub issuer: Option<[u8; 32]>,
    /// SHA-256 of the octets.
    pub sha256: [u8; 32],
}

/// One chain head in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// The recipient's id.
    pub recipient: String,
    /// Length of its chain.
    pub sequence: u32,
    /// Hash of its last link, hex.
    pub head: String,
}

impl Leaf {
    fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(&[0]);
        hash.update(format!("{} {} {}", self.recipient, self.sequence, self.head).as_bytes());
        hash.finish()
    }
}

/// One checkpoint: the Merkle root over the heads that changed since the one before, chained to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// From 1, without gaps.
    pub number: i64,
    /// RFC 3339, UTC.
    pub at: String,
    /// How many heads it covers.
    pub leaves: usize,
    /// Merkle root, hex.
    pub root: String,
    /// Hash of the checkpoint before, hex.
    pub previous: String,
}

impl Checkpoint {
    /// SHA-256 of the JSON line.
    ///
    /// # Errors
    /// None in practice.
    pub fn hash(&self) -> Result<[u8; 32], serde_json::Error> {
        Ok(sha256(serde_json::to_string(self)?.as_bytes()))
    }
}

/// One step from a leaf to the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// True when the sibling stands to the left.
    pub left: bool,
    /// The sibling's hash, hex.
    pub hash: String,
}

/// The Merkle root of `leaves`; of none, 32 zero octets. A node without a sibling moves up unchanged.
pub fn merkle_root(leaves: &[Leaf]) -> [u8; 32] {
    let mut level: Vec<[u8; 32]> = leaves.iter().map(Leaf::hash).collect();
    while level.len() > 1 {
        level = level_above(&level);
    }
    level.first().copied().unwrap_or(START)
}

/// The steps that lead from the leaf at `position` to the root.
pub fn merkle_proof(leaves: &[Leaf], mut position: usize) -> Vec<Step> {
    let mut level: Vec<[u8; 32]> = leaves.iter().map(Leaf::hash).collect();
    let mut steps = Vec::new();
    while level.len() > 1 {
        let sibling = position ^ 1;
        if let Some(hash) = level.get(sibling) {
            steps.push(Step { left: sibling < position, hash: hex::encode(hash) });
        }
        level = level_above(&level);
        position /= 2;
    }
    steps
}

/// The root to which `steps` lead from `leaf`; `None` when a step is not a hash.
pub fn root_of(leaf: &Leaf, steps: &[Step]) -> Option<[u8; 32]> {
    steps.iter().try_fold(leaf.hash(), |below, step| {
        let sibling: [u8; 32] = hex::decode(&step.hash).ok()?.try_into().ok()?;
        Some(if step.left { node(&sibling, &below) } else { node(&below, &sibling) })
    })
}

fn level_above(level: &[[u8; 32]]) -> Vec<[u8; 32]> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => node(left, right),
            [alone] => *alone,
            _ => START,
        })
        .collect()
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(&[1]);
    hash.update(left);
    hash.update(right);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: usize) -> Vec<Leaf> {
        (0..count)
            .map(|n| Leaf { recipient: format!("r{n}"), sequence: 1, head: hex::encode([n as u8; 32]) })
            .collect()
    }

    #[test]
    fn every_leaf_proves_itself_and_no_changed_leaf_does() {
        for count in 1..20 {
            let leaves = leaves(count);
            let root = merkle_root(&leaves);
            for (position, leaf) in leaves.iter().enumerate() {
                let proof = merkle_proof(&leaves, position);
                assert_eq!(root_of(leaf, &proof), Some(root), "{position} of {count}");
                let forged = Leaf { sequence: 2, ..leaf.clone() };
                assert_ne!(root_of(&forged, &proof), Some(root));
            }
        }
    }
}
