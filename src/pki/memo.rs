//! What was found out lately about certificates: those that were read, and paths that lead from one to an anchor. Peers show the same
//! few with every message, and OpenSSL takes longer to read or to judge one than to verify a signature by it.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use super::Certificate;

/// Entries of a generation; two are held.
const GENERATION: usize = 128;
/// Octets of the longest certificate that is remembered.
const LONGEST: usize = 8 * 1024;
/// Certificates of the longest path that is remembered.
const FARTHEST: usize = 8;

/// Which path: SHA-256 over the anchors, and of the certificate that it begins with.
pub(super) type Way = ([u8; 32], [u8; 32]);

type Shared<K, V> = LazyLock<Mutex<Memo<K, V>>>;

static READ: Shared<Box<[u8]>, Certificate> = LazyLock::new(Mutex::default);
static PATHS: Shared<Way, Vec<Certificate>> = LazyLock::new(Mutex::default);

/// Two generations: whoever is asked for stays, and a sender of ever new certificates displaces only what nobody asks for.
struct Memo<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<K: Eq + Hash, V: Clone> Memo<K, V> {
    fn find<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        if let Some(known) = self.young.get(key) {
            return Some(known.clone());
        }
        let (key, known) = self.old.remove_entry(key)?;
        self.keep(key, known.clone());
        Some(known)
    }

    fn keep(&mut self, key: K, value: V) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

fn lock<K, V>(memo: &Shared<K, V>) -> MutexGuard<'_, Memo<K, V>> {
    memo.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The certificate of these octets, if it was read lately.
pub(super) fn find(der: &[u8]) -> Option<Certificate> {
    lock(&READ).find(der)
}

/// Remembers a certificate that was read from its DER octets.
pub(super) fn keep(certificate: &Certificate) {
    if certificate.der().len() <= LONGEST {
        lock(&READ).keep(certificate.der().into(), certificate.clone());
    }
}

/// A path that was found there lately, whatever the dates of its certificates.
pub(super) fn find_path(way: &Way) -> Option<Vec<Certificate>> {
    lock(&PATHS).find(way)
}

/// Remembers a path.
pub(super) fn keep_path(way: Way, path: &[Certificate]) {
    if path.len() <= FARTHEST && path.iter().all(|one| one.der().len() <= LONGEST) {
        lock(&PATHS).keep(way, path.to_vec());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing;

    #[test]
    fn who_is_asked_for_stays_and_there_are_never_more_than_two_generations() {
        let mut memo: Memo<Box<[u8]>, Certificate> = Memo::default();
        let asked = testing::ca("CN=asked").0;
        memo.keep(b"asked".as_slice().into(), asked.clone());
        for number in 0..10 * GENERATION {
            memo.keep(number.to_string().into_bytes().into(), asked.clone());
            assert!(memo.find(b"asked".as_slice()).is_some(), "after {number}");
            assert!(memo.young.len() + memo.old.len() <= 2 * GENERATION);
        }
        assert!(memo.find(b"0".as_slice()).is_none(), "nobody asked for it");
    }
}
