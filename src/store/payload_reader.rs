//! Reading a payload: what comes out is what was stored, or an error.

use std::io::{self, BufRead, Read};

use openssl::sha::Sha256;

use super::PayloadId;
use super::spool::Measure;

/// The octets of a payload where they lie. Reading is blocking.
pub type Octets = Box<dyn BufRead + Send>;

/// Reads one form of a payload. Blocking: use it on a worker thread.
///
/// The octets are compared with size and digest of the row while they are read, and the last of them are only given out when they
/// agree: a file that was damaged, cut or exchanged where it lies is an error of whoever reads, never somebody's letter.
pub struct PayloadReader {
    /// Size and digest of what will be read.
    pub measure: Measure,
    inner: Octets,
    check: Check,
}

struct Check {
    id: PayloadId,
    count: u64,
    hash: Sha256,
    passed: bool,
}

impl PayloadReader {
    pub(super) fn new(id: PayloadId, measure: Measure, inner: Octets) -> Self {
        let check = Check { id, count: 0, hash: Sha256::new(), passed: false };
        Self { measure, inner, check }
    }

    /// Leaves the comparison to whoever receives the octets: for a message whose signature says what they must be. To hash a large
    /// payload again would cost a seventh of its way.
    #[must_use]
    pub fn unchecked(self) -> Octets {
        self.inner
    }
}

impl Read for PayloadReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if !buffer.is_empty() {
            self.check.pass(&buffer[..count], self.measure)?;
        }
        Ok(count)
    }
}

impl Check {
    fn pass(&mut self, octets: &[u8], expected: Measure) -> io::Result<()> {
        self.count += octets.len() as u64;
        self.hash.update(octets);
        let ended = octets.is_empty() || self.count == expected.size;
        if self.count > expected.size {
            return Err(
                self.damaged(&format!("it is longer than the {} octets that were stored", expected.size))
            );
        }
        if ended && self.count < expected.size {
            return Err(self.damaged(&format!("it ends after {} of {} octets", self.count, expected.size)));
        }
        if ended && !self.passed {
            if self.hash.clone().finish() != expected.sha256 {
                return Err(self.damaged("its octets have another SHA-256 than those that were stored"));
            }
            self.passed = true;
        }
        Ok(())
    }

    fn damaged(&self, what: &str) -> io::Error {
        let id = self.id;
        let said = format!("payload {id} is damaged where it lies: {what}; put its file back from a backup");
        io::Error::new(io::ErrorKind::InvalidData, said)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn measure(octets: &[u8]) -> Measure {
        Measure { size: octets.len() as u64, sha256: openssl::sha::sha256(octets) }
    }

    /// What is given out in steps of so many octets, and how it ended.
    fn read(stored: &[u8], lying: &[u8], step: usize) -> (Vec<u8>, io::Result<()>) {
        let lying = Box::new(io::Cursor::new(lying.to_vec()));
        let mut reader = PayloadReader::new(PayloadId::new(), measure(stored), lying);
        let (mut given, mut buffer) = (Vec::new(), vec![0; step]);
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return (given, Ok(())),
                Ok(count) => given.extend_from_slice(&buffer[..count]),
                Err(error) => return (given, Err(error)),
            }
        }
    }

    #[test]
    fn an_error_says_which_payload_what_is_wrong_and_what_to_do() {
        for (lying, word) in
            [("lettre", "another SHA-256"), ("lette", "after 5 of 6"), ("letters", "longer than the 6")]
        {
            let said = read(b"letter", lying.as_bytes(), 64).1.unwrap_err().to_string();
            assert!(said.contains(word) && said.contains("backup"), "{said}");
        }
    }

    #[test]
    fn a_reader_that_leaves_the_comparison_to_others_gives_what_lies_there() {
        let lying = Box::new(io::Cursor::new(b"lettre".to_vec()));
        let mut given = String::new();
        PayloadReader::new(PayloadId::new(), measure(b"letter"), lying)
            .unchecked()
            .read_to_string(&mut given)
            .unwrap();
        assert_eq!(given, "lettre");
    }

    proptest! {
        #[test]
        fn what_was_stored_is_read_in_steps_of_any_size(octets: Vec<u8>, step in 1usize..100) {
            let (given, ended) = read(&octets, &octets, step);
            prop_assert!(ended.is_ok() && given == octets);
        }

        #[test]
        fn nothing_else_is_ever_given_out_whole(octets: Vec<u8>, lying: Vec<u8>, step in 1usize..100) {
            prop_assume!(octets != lying);
            let (given, ended) = read(&octets, &lying, step);
            prop_assert!(ended.is_err() && (given.len() < octets.len() || given == octets));
        }

        #[test]
        fn one_changed_octet_is_noticed(octets in proptest::collection::vec(any::<u8>(), 1..300), at: prop::sample::Index, step in 1usize..100) {
            let mut lying = octets.clone();
            lying[at.index(octets.len())] ^= 1;
            let (given, ended) = read(&octets, &lying, step);
            prop_assert!(ended.is_err() && given.len() < octets.len());
        }
    }
}
