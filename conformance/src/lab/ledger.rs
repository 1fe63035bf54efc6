//! What the producer handed in and what the consumer got. Neither forgets anything when a node dies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::peers::job::sha256;
use crate::random::Random;

/// Most recipients of a letter.
pub const MOST_RECIPIENTS: u64 = 4;

/// What the address of every recipient begins with.
const ADDRESS: &str = "to-b::lab-";

/// One submission of a run: everything about it follows from seed and number. Each recipient gets a message of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its number.
    pub number: u64,
    /// How many recipients it has.
    pub recipients: u64,
    /// What its payload is said to be.
    pub media_type: &'static str,
    /// Its payload, which its recipients share.
    pub content: Vec<u8>,
    /// SHA-256 of the payload, hexadecimal.
    pub sha256: String,
}

impl Letter {
    /// Number `number` of the run with that seed. Three in ten have 100 to 300 KB and live in files at either side, the others are
    /// small and live in rows.
    ///
    /// Text is kept compressed from the first. Noise that is said to be text is not, for that saves nothing, and must be to be sent:
    /// this second form is made when it is wanted, by all its recipients at once.
    pub fn new(seed: u64, number: u64) -> Self {
        let mut random = Random::new(seed ^ number.wrapping_mul(0x0001_0000_01b3));
        let large = 100_000 + random.below(200_000);
        let small = 1 + random.below(6000);
        let (media_type, content) = match number % 10 {
            1 => (TEXT, text(&mut random, number, small)),
            3 => (OCTETS, noise(&mut random, large)),
            5 => (TEXT, noise(&mut random, large)),
            7 => (TEXT, text(&mut random, number, large)),
            9 => (TEXT, noise(&mut random, small)),
            _ => (OCTETS, noise(&mut random, small)),
        };
        let (recipients, sha256) = (recipients(seed, number), sha256(&content));
        Self { number, recipients, media_type, content, sha256 }
    }

    /// How many letters of the run with that seed, from the first, have so many recipients or just above.
    pub fn enough(seed: u64, messages: u64) -> u64 {
        let mut sums = (0..).scan(0, |sum, number| {
            let before = *sum;
            *sum += recipients(seed, number);
            Some(before)
        });
        sums.position(|before| before >= messages).unwrap_or_default() as u64
    }

    /// The producer's own id.
    pub fn client_id(&self) -> String {
        format!("lab-{}", self.number)
    }

    /// Addresses of its recipients, who get nothing else.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        let number = self.number;
        (0..self.recipients).map(move |place| match place {
            0 => format!("{ADDRESS}{number}"),
            _ => format!("{ADDRESS}{number}-{place}"),
        })
    }

    /// Whether the recipient with that address refuses it: by the digit of the digest at the recipient's place, so that of one
    /// letter some refuse and others do not.
    pub fn is_refused(address: &str, sha256: &str) -> bool {
        let place = address.strip_prefix(ADDRESS).and_then(|rest| rest.split_once('-')?.1.parse().ok());
        sha256.get(place.unwrap_or(0)..).is_some_and(|digits| digits.starts_with(['0', '1', '2', '3']))
    }
}

/// Media types of payloads.
const TEXT: &str = "text/plain";
const OCTETS: &str = "application/octet-stream";

/// By numbers of their own: whoever counts letters need not write them.
fn recipients(seed: u64, number: u64) -> u64 {
    1 + Random::new(!seed ^ number.wrapping_mul(0x9e37_79b9)).below(MOST_RECIPIENTS)
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
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// Letters handed in.
    pub letters: usize,
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

    /// A letter is handed in for the first time.
    pub fn handed_in(&self, letter: &Letter) {
        let mut book = self.book();
        book.letters += 1;
        book.handed_in.extend(letter.addresses().map(|address| (address, letter.sha256.clone())));
    }

    /// A node says that it has a letter, as the submission with that id.
    pub fn acknowledged(&self, letter: &Letter, id: &str) {
        self.book().acknowledged.extend(letter.addresses().map(|address| (address, id.to_owned())));
    }

    /// Something happened that must not.
    pub fn wrong(&self, what: String) {
        self.book().wrong.push(what);
    }

    /// Recipients acknowledged and deliveries settled so far.
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
        assert_eq!(sizes.iter().filter(|size| **size > 64 << 10).count(), 3, "{sizes:?}");
    }

    #[test]
    fn letters_have_one_to_four_recipients_and_some_refuse_what_others_take() {
        let letters: Vec<Letter> = (0..200).map(|number| Letter::new(1, number)).collect();
        let counts: BTreeSet<u64> = letters.iter().map(|letter| letter.recipients).collect();
        assert_eq!(counts, BTreeSet::from([1, 2, 3, 4]));
        let addresses: BTreeSet<String> = letters.iter().flat_map(Letter::addresses).collect();
        assert_eq!(addresses.len() as u64, letters.iter().map(|letter| letter.recipients).sum::<u64>());
        let refusals = |letter: &Letter| {
            letter.addresses().filter(|address| Letter::is_refused(address, &letter.sha256)).count()
        };
        let refused: usize = letters.iter().map(refusals).sum();
        assert!((addresses.len() / 6..addresses.len() / 3).contains(&refused), "{refused}");
        let both = letters.iter().filter(|one| (1..one.recipients).contains(&(refusals(one) as u64))).count();
        assert!(both > 50, "{both} of 200 letters are refused by some and taken by others");
    }

    #[test]
    fn letters_are_counted_by_their_recipients() {
        for messages in [1, 2, 7, 500] {
            let of = |letters: u64| (0..letters).map(|number| Letter::new(3, number).recipients).sum::<u64>();
            let enough = Letter::enough(3, messages);
            assert!(of(enough) >= messages && of(enough - 1) < messages, "{enough} for {messages}");
        }
        assert_eq!(Letter::enough(3, 0), 0);
    }
}
