//! AES-GCM as XML Encryption 1.1 frames it (5.2.4): IV (12 octets), ciphertext, tag (16 octets); no additional data.
//! Pushed in chunks, nothing is kept but the tag's length.

use std::sync::OnceLock;

use openssl::cipher::{Cipher, CipherRef};
use openssl::cipher_ctx::CipherCtx;

use super::algorithms::ContentAlgorithm;
use super::error::Error;

/// Octets that sealing adds to a part.
pub const OVERHEAD: u64 = (IV + TAG) as u64;

const IV: usize = 12;
const TAG: usize = 16;
/// Octets handed to the cipher in one go: the size of the one buffer.
const STEP: usize = 32 << 10;

/// The key for the content of one message. Its octets are never shown.
#[derive(Clone)]
pub struct ContentKey {
    algorithm: ContentAlgorithm,
    octets: Vec<u8>,
}

impl ContentKey {
    /// A fresh random key: one for every attempt (as4-wire 2.4).
    pub fn random(algorithm: ContentAlgorithm) -> Result<Self, Error> {
        let mut octets = vec![0; algorithm.key_length()];
        openssl::rand::rand_priv_bytes(&mut octets)?;
        Ok(Self { algorithm, octets })
    }

    /// A key that was unwrapped. One of another length than the algorithm's is refused as any other failure.
    pub fn from_octets(algorithm: ContentAlgorithm, octets: Vec<u8>) -> Result<Self, Error> {
        match octets.len() == algorithm.key_length() {
            true => Ok(Self { algorithm, octets }),
            false => Err(Error::Decryption),
        }
    }

    /// The algorithm that it is for.
    pub fn algorithm(&self) -> ContentAlgorithm {
        self.algorithm
    }

    /// SHA-256 of the key, lower-case hex: tells keys apart without showing them.
    pub fn sha256_hex(&self) -> String {
        hex::encode(openssl::sha::sha256(&self.octets))
    }

    /// Begins to seal one part under a fresh IV.
    pub fn encryptor(&self) -> Result<Encryptor, Error> {
        let mut iv = [0; IV];
        openssl::rand::rand_bytes(&mut iv)?;
        let mut context = CipherCtx::new()?;
        context.encrypt_init(Some(cipher(self.algorithm)), Some(&self.octets), Some(&iv))?;
        Ok(Encryptor { context, iv: Some(iv) })
    }

    /// Begins to open one part.
    pub fn decryptor(&self) -> Result<Decryptor, Error> {
        let mut context = CipherCtx::new()?;
        context.decrypt_init(Some(cipher(self.algorithm)), Some(&self.octets), None)?;
        Ok(Decryptor { context, head: Vec::with_capacity(IV), held: Vec::new(), buffer: vec![0; STEP] })
    }

    /// Octets of a part when sealed.
    pub fn sealed_len(plain_len: u64) -> u64 {
        plain_len + OVERHEAD
    }

    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for ContentKey {
    fn drop(&mut self) {
        self.octets.fill(0);
        std::hint::black_box(&self.octets);
    }
}

impl std::fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ContentKey({:?})", self.algorithm)
    }
}

/// Seals one part.
pub struct Encryptor {
    context: CipherCtx,
    iv: Option<[u8; IV]>,
}

impl Encryptor {
    /// Takes plaintext and appends to `out` what belongs on the wire.
    pub fn push(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        out.reserve(IV + plain.len());
        if let Some(iv) = self.iv.take() {
            out.extend_from_slice(&iv);
        }
        let from = out.len();
        out.extend_from_slice(plain);
        let length = self.context.cipher_update_inplace(&mut out[from..], plain.len())?;
        out.truncate(from + length);
        Ok(())
    }

    /// Appends the tag.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.push(&[], out)?;
        let mut tag = [0; TAG];
        self.context.cipher_final(&mut [])?;
        self.context.tag(&mut tag)?;
        out.extend_from_slice(&tag);
        Ok(())
    }
}

/// Opens one part. What it gives before [`Decryptor::finish`] has succeeded is not authenticated: the caller shows it
/// to nobody (design, promise 5).
pub struct Decryptor {
    context: CipherCtx,
    head: Vec<u8>,
    /// The last octets seen: the tag, if nothing follows.
    held: Vec<u8>,
    buffer: Vec<u8>,
}

impl Decryptor {
    /// Takes octets from the wire and gives `out` plaintext; the last 16 octets seen are held back.
    pub fn push(&mut self, sealed: &[u8], out: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let mut rest = sealed;
        if self.head.len() < IV {
            let take = (IV - self.head.len()).min(rest.len());
            self.head.extend_from_slice(&rest[..take]);
            rest = &rest[take..];
            if self.head.len() < IV {
                return Ok(());
            }
            self.context.decrypt_init(None, None, Some(&self.head)).map_err(|_| Error::Decryption)?;
        }
        let over = (self.held.len() + rest.len()).saturating_sub(TAG);
        let from_held = over.min(self.held.len());
        if from_held > 0 {
            let ready: Vec<u8> = self.held.drain(..from_held).collect();
            self.decrypt(&ready, out)?;
        }
        let from_rest = over - from_held;
        for step in rest[..from_rest].chunks(STEP) {
            self.decrypt(step, out)?;
        }
        self.held.extend_from_slice(&rest[from_rest..]);
        Ok(())
    }

    /// Checks the tag.
    pub fn finish(mut self) -> Result<(), Error> {
        if self.head.len() < IV || self.held.len() != TAG {
            return Err(Error::Decryption);
        }
        self.context.set_tag(&self.held).map_err(|_| Error::Decryption)?;
        self.context.cipher_final(&mut []).map_err(|_| Error::Decryption)?;
        Ok(())
    }

    fn decrypt(&mut self, step: &[u8], out: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let plain = &mut self.buffer[..step.len()];
        let length = self.context.cipher_update(step, Some(plain)).map_err(|_| Error::Decryption)?;
        out(&self.buffer[..length]);
        Ok(())
    }
}

/// OpenSSL 3 looks a cipher up at every use unless it was fetched once.
fn cipher(algorithm: ContentAlgorithm) -> &'static CipherRef {
    static FETCHED: OnceLock<Option<[Cipher; 3]>> = OnceLock::new();
    let fetched = FETCHED.get_or_init(|| {
        let fetch = |name| Cipher::fetch(None, name, None).ok();
        Some([fetch("AES-128-GCM")?, fetch("AES-192-GCM")?, fetch("AES-256-GCM")?])
    });
    match (fetched, algorithm) {
        (Some([first, _, _]), ContentAlgorithm::Aes128Gcm) => first,
        (Some([_, second, _]), ContentAlgorithm::Aes192Gcm) => second,
        (Some([_, _, third]), ContentAlgorithm::Aes256Gcm) => third,
        (None, ContentAlgorithm::Aes128Gcm) => Cipher::aes_128_gcm(),
        (None, ContentAlgorithm::Aes192Gcm) => Cipher::aes_192_gcm(),
        (None, ContentAlgorithm::Aes256Gcm) => Cipher::aes_256_gcm(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seal(key: &ContentKey, plain: &[u8], step: usize) -> Vec<u8> {
        let (mut encryptor, mut sealed) = (key.encryptor().unwrap(), Vec::new());
        for chunk in plain.chunks(step) {
            encryptor.push(chunk, &mut sealed).unwrap();
        }
        encryptor.finish(&mut sealed).unwrap();
        sealed
    }

    fn open(key: &ContentKey, sealed: &[u8], step: usize) -> Result<Vec<u8>, Error> {
        let (mut decryptor, mut plain) = (key.decryptor()?, Vec::new());
        for chunk in sealed.chunks(step) {
            decryptor.push(chunk, &mut |octets| plain.extend_from_slice(octets))?;
        }
        decryptor.finish().map(|()| plain)
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_nothing_else_does(
            plain in prop::collection::vec(any::<u8>(), 0..200),
            steps in (1usize..50, 1usize..50),
            at in any::<prop::sample::Index>(),
            algorithm in prop::sample::select(vec![
                ContentAlgorithm::Aes128Gcm, ContentAlgorithm::Aes192Gcm, ContentAlgorithm::Aes256Gcm]),
        ) {
            let key = ContentKey::random(algorithm).unwrap();
            let mut sealed = seal(&key, &plain, steps.0);
            prop_assert_eq!(sealed.len() as u64, ContentKey::sealed_len(plain.len() as u64));
            prop_assert_eq!(open(&key, &sealed, steps.1).unwrap(), plain);
            let cut = at.index(sealed.len());
            prop_assert_eq!(open(&key, &sealed[..cut], steps.1), Err(Error::Decryption));
            sealed[cut] ^= 1;
            prop_assert_eq!(open(&key, &sealed, steps.1), Err(Error::Decryption));
        }
    }

    #[test]
    fn a_key_of_another_length_fails_as_a_damaged_one() {
        let key = ContentKey::from_octets(ContentAlgorithm::Aes128Gcm, vec![0; 32]);
        assert_eq!(key.unwrap_err(), Error::Decryption);
    }

    #[test]
    fn two_parts_never_share_an_iv() {
        let key = ContentKey::random(ContentAlgorithm::Aes128Gcm).unwrap();
        assert_ne!(seal(&key, b"x", 1)[..IV], seal(&key, b"x", 1)[..IV]);
    }
}
