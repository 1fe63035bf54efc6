//! Certificates that were read lately. Peers show the same few with every message, and OpenSSL takes longer to read one than to
//! verify a signature by it.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::Certificate;

/// Certificates of a generation; two are held.
const GENERATION: usize = 128;
/// Octets of the longest certificate that is remembered.
const LONGEST: usize = 8 * 1024;

static MEMO: LazyLock<Mutex<Memo>> = LazyLock::new(|| Mutex::new(Memo::default()));

/// Two generations: whoever is asked for stays, and a sender of ever new certificates displaces only what nobody asks for.
#[derive(Default)]
struct Memo {
    young: HashMap<Box<[u8]>, Certificate>,
    old: HashMap<Box<[u8]>, Certificate>,
}

impl Memo {
    fn find(&mut self, der: &[u8]) -> Option<Certificate> {
        if let Some(known) = self.young.get(der) {
            return Some(known.clone());
        }
        let (der, known) = self.old.remove_entry(der)?;
        self.keep(der, known.clone());
        Some(known)
    }

    fn keep(&mut self, der: Box<[u8]>, certificate: Certificate) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(der, certificate);
    }
}

/// The certificate of these octets, if it was read lately.
pub(super) fn find(der: &[u8]) -> Option<Certificate> {
    MEMO.lock().unwrap_or_else(PoisonError::into_inner).find(der)
}

/// Remembers a certificate that was read from its DER octets.
pub(super) fn keep(certificate: &Certificate) {
    if certificate.der().len() <= LONGEST {
        let der = certificate.der().into();
        MEMO.lock().unwrap_or_else(PoisonError::into_inner).keep(der, certificate.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing;

    #[test]
    fn who_is_asked_for_stays_and_there_are_never_more_than_two_generations() {
        let mut memo = Memo::default();
        let asked = testing::ca("CN=asked").0;
        memo.keep(b"asked".as_slice().into(), asked.clone());
        for number in 0..10 * GENERATION {
            memo.keep(number.to_string().into_bytes().into(), asked.clone());
            assert!(memo.find(b"asked").is_some(), "after {number}");
            assert!(memo.young.len() + memo.old.len() <= 2 * GENERATION);
        }
        assert!(memo.find(b"0").is_none(), "nobody asked for it");
    }
}
