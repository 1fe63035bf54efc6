//! What the producer handed in and what the consumer got. Neither forgets anything when a node dies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::peers::job::sha256;
use crate::random::Random;

/// One message of a run: everything about it follows from seed and number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its number.
    pub number: u64,
    /// Its payload.
    pub content: Vec<u8>,
    /// SHA-256 of the payload, hexadecimal.
    pub sha256: String,
    /// How many get it.
    pub copies: u64,
}

impl Letter {
    /// Number `number` of the run with that seed. One in ten is noise of 100 to 300 KB, one in ten text of that size; both live
    /// in files at either side. The others are small and live in rows.
    pub fn new(seed: u64, number: u64) -> Self {
        let mut random = Random::new(seed ^ number.wrapping_mul(0x0001_0000_01b3));
        let large = 100_000 + random.below(200_000);
        let content = match number % 10 {
            3 => noise(&mut random, large),
            7 => text(&mut random, number, large),
            _ => {
                let small = 1 + random.below(6000);
                noise(&mut random, small)
            }
        };
        let sha256 = sha256(&content);
        Self { number, content, sha256, copies: 1 }
    }

    /// The same letter, to so many recipients in one submission.
    pub fn to(self, copies: u64) -> Self {
        Self { copies, ..self }
    }

    /// The producer's own id.
    pub fn client_id(&self) -> String {
        format!("lab-{}", self.number)
    }

    /// Its recipients, who get nothing else.
    pub fn recipients(&self) -> impl Iterator<Item = String> {
        (0..self.copies).map(|copy| format!("to-b::lab-{}.{copy}", self.number))
    }

    /// Whether the consumer refuses it for that recipient: by what it reads, and of the same letter one may take what another refuses.
    pub fn is_refused(recipient: &str, sha256: &str) -> bool {
        let copy = recipient.rsplit_once('.').and_then(|(_, copy)| copy.parse().ok());
        let digit = sha256.as_bytes().get(copy.unwrap_or(0usize));
        digit.is_some_and(|digit| (b'0'..=b'3').contains(digit))
    }
}

fn noise(random: &mut Random, octets: u64) -> Vec<u8> {
    let mut content = vec![0; usize::try_from(octets).unwrap_or_default()];
    random.fill(&mut content);
    content
}

fn text(random: &mut Random, number: u64, octets: u64) -> Vec<u8> {
    let mut content = format!("Letter {number}\n").into_bytes();
    while (content.len() as u64) < octets {
        content.extend_from_slice(format!("line {} of letter {number}\n", random.below(1000)).as_bytes());
    }
    content
}

/// What a producer and a consumer know; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Book>>);

/// The ledger's pages.
#[derive(Debug, Default)]
pub struct Book {
    /// SHA-256 of what was handed in, by recipient.
    pub handed_in: BTreeMap<String, String>,
    /// Our id of each submission that was acknowledged, by recipient.
    pub acknowledged: BTreeMap<String, String>,
    /// (delivery id, MessageId) of everything that was offered, by recipient.
    pub offered: BTreeMap<String, BTreeSet<(String, String)>>,
    /// Words that were said and not heard to be taken, by delivery; as JSON.
    pub unheard: BTreeMap<String, String>,
    /// Deliveries whose word was heard to be taken.
    pub settled: BTreeSet<String>,
    /// Times that the producer was told to come again.
    pub turned_away: u64,
    /// What must not have happened.
    pub wrong: Vec<String>,
}

impl Ledger {
    /// The pages. Not to be held across a wait.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened that must not.
    pub fn wrong(&self, what: String) {
        self.book().wrong.push(what);
    }

    /// Submissions acknowledged and deliveries settled so far.
    pub fn progress(&self) -> (usize, usize) {
        let book = self.book();
        (book.acknowledged.len(), book.settled.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_follows_from_seed_and_number() {
        assert_eq!(Letter::new(1, 5), Letter::new(1, 5));
        assert_ne!(Letter::new(1, 5).content, Letter::new(2, 5).content);
        assert_ne!(Letter::new(1, 5).content, Letter::new(1, 6).content);
        let sizes: Vec<usize> = (0..10).map(|n| Letter::new(1, n).content.len()).collect();
        assert_eq!(sizes.iter().filter(|size| **size > 64 << 10).count(), 2, "{sizes:?}");
    }

    #[test]
    fn some_are_refused_and_most_are_not() {
        let refused = |number| {
            let letter = Letter::new(1, number).to(2);
            letter.recipients().filter(|r| Letter::is_refused(r, &letter.sha256)).count()
        };
        let [none, one, both] = [0, 1, 2].map(|count| (0..200).filter(|n| refused(*n) == count).count());
        assert!(none > 60 && one > 20 && both > 2, "{none}, {one} and {both} of 200");
    }
}
