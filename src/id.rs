//! Identifiers that tilts gives out: ebMS MessageIds, ConversationIds, Content-IDs, XML ids.

use std::cell::RefCell;

use uuid::{Builder, Uuid};

use crate::clock::Clock;

/// A new ebMS MessageId, `<uuid>@<domain>`: an RFC 2822 msg-id without angle brackets (as4-wire 1.3). UUIDv7: those of one time lie
/// together in an index of millions, and the header says the time anyway.
pub fn message_id(domain: &str) -> String {
    format!("{}@{domain}", row_id())
}

/// A new row id. UUIDv7, so that rows sort by the time of their making.
pub fn row_id() -> Uuid {
    drawn(Source::in_order).unwrap_or_else(Uuid::now_v7)
}

/// A new XML id, an NCName: `<prefix>-<uuid>`. The prefix must start with a letter.
pub fn xml_id(prefix: &str) -> String {
    let uuid = drawn(|source| Builder::from_random_bytes(source.octets()).into_uuid());
    format!("{prefix}-{}", uuid.unwrap_or_else(Uuid::new_v4).simple())
}

thread_local! {
    static SOURCE: RefCell<Option<Source>> = const { RefCell::new(None) };
}

/// Where the identifiers of a node come from that is to do the same thing twice: a simulation. Whoever knows the seed knows them all.
#[derive(Debug)]
pub struct Source {
    seed: u64,
    drawn: u64,
    clock: Clock,
    /// Milliseconds and number of the last one that is in order.
    last: (u64, u16),
}

/// What is made on this thread from now on comes from `source`, from the system where that is none; gives the source before.
pub fn draw_from(source: Option<Source>) -> Option<Source> {
    SOURCE.replace(source)
}

fn drawn<T>(draw: impl FnOnce(&mut Source) -> T) -> Option<T> {
    SOURCE.with_borrow_mut(|source| source.as_mut().map(draw))
}

impl Source {
    /// What follows from a seed and from the time of a clock.
    pub fn new(seed: u64, clock: Clock) -> Self {
        Self { seed, drawn: 0, clock, last: (0, 0) }
    }

    fn octets(&mut self) -> [u8; 16] {
        self.drawn += 1;
        let digest = openssl::sha::sha256(&[self.seed.to_be_bytes(), self.drawn.to_be_bytes()].concat());
        std::array::from_fn(|index| digest[index])
    }

    /// A UUIDv7 after the one before, whatever the clock does meanwhile.
    fn in_order(&mut self) -> Uuid {
        let now = u64::try_from(self.clock.now().as_millisecond()).unwrap_or_default();
        self.last = match self.last {
            (last, _) if now > last => (now, 0),
            (last, 0xfff) => (last + 1, 0),
            (last, number) => (last, number + 1),
        };
        let (millis, number) = self.last;
        let mut octets = [0; 10];
        octets.copy_from_slice(&self.octets()[..10]);
        octets[..2].copy_from_slice(&number.to_be_bytes());
        Builder::from_unix_timestamp_millis(millis, &octets).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SignedDuration;

    fn ids(seed: u64) -> Vec<Uuid> {
        let clock = Clock::manual("2026-11-22T12:00:00Z".parse().unwrap());
        draw_from(Some(Source::new(seed, clock.clone())));
        let mut ids: Vec<Uuid> = (0..5000).map(|_| row_id()).collect();
        clock.advance(-SignedDuration::from_mins(5));
        ids.push(row_id());
        clock.advance(SignedDuration::from_mins(9));
        ids.push(row_id());
        draw_from(None);
        ids
    }

    #[test]
    fn what_follows_from_a_seed_is_the_same_twice_and_in_order() {
        let first = ids(1);
        assert!(first.is_sorted_by(|a, b| a < b), "each after the one before");
        assert!(first.iter().all(|id| id.get_version_num() == 7));
        assert_eq!(first, ids(1));
        assert!(first.iter().zip(ids(2)).all(|(one, other)| *one != other));
        assert_ne!(row_id(), row_id(), "and from the system again");
    }
}
