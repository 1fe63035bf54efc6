//! X25519 public keys as SubjectPublicKeyInfo (RFC 8410): the same octets before every key. OpenSSL looks for an encoder and a decoder
//! anew with each key, which is a part of the time of every message that can be seen.

use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, PKeyRef, Private, Public};

/// What comes before the 32 octets of the key.
const BEFORE: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00];

/// The public half of a key as SubjectPublicKeyInfo.
///
/// # Errors
/// OpenSSL's, of another kind of key.
pub(super) fn to_der(key: &PKeyRef<Private>) -> Result<Vec<u8>, ErrorStack> {
    Ok([&BEFORE[..], &key.raw_public_key()?].concat())
}

/// The key, where the octets are one of X25519 as everybody writes it.
pub(super) fn from_der(octets: &[u8]) -> Option<PKey<Public>> {
    let raw = octets.strip_prefix(&BEFORE)?;
    PKey::public_key_from_raw_bytes(raw, Id::X25519).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_and_read_as_openssl_does_it() {
        let key = PKey::generate_x25519().unwrap();
        let der = to_der(&key).unwrap();
        assert_eq!(der, key.public_key_to_der().unwrap());
        assert!(from_der(&der).unwrap().public_eq(&PKey::public_key_from_der(&der).unwrap()));
    }

    #[test]
    fn other_keys_and_other_lengths_are_none_of_ours() {
        let der = to_der(&PKey::generate_x25519().unwrap()).unwrap();
        assert!(from_der(&der[..43]).is_none() && from_der(&[&der[..], &[0]].concat()).is_none());
        let ed25519 = PKey::generate_ed25519().unwrap();
        assert!(from_der(&ed25519.public_key_to_der().unwrap()).is_none());
    }
}
