//! Payloads encrypted at rest, where a key is configured: AES-256-GCM in chunks, under a key of each payload's own.
//!
//! ```text
//! version (1 octet) | salt (32) | chunk ... chunk
//! chunk: up to 64 KiB encrypted | tag (16)
//! ```
//!
//! The payload's key is HKDF-SHA-256 of the configured key with the salt, so that a nonce need only count: number of the chunk, and
//! whether it is the last. A chunk that is changed, missing, doubled or out of place is an error of whoever reads. The row of a payload
//! says its salt ([`Seal`]): so is another payload in its place, which would else be sent to a recipient that it is not for.

use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;

use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;
use openssl::md::Md;
use openssl::pkey::Id;
use openssl::pkey_ctx::PkeyCtx;
use openssl::rand::rand_bytes;

use super::Error;
use super::payload_reader::Octets;

const VERSION: u8 = 1;
const SALT: usize = 32;
const HEAD: usize = 1 + SALT;
const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;
/// What the derived keys are for, and no other.
const PURPOSE: &[u8] = b"tilts payload at rest";

/// A configured key. Cheap to clone; never shown.
#[derive(Clone)]
pub struct PayloadKey {
    octets: Arc<[u8; 32]>,
    name: Arc<str>,
}

impl fmt::Debug for PayloadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PayloadKey({})", self.name)
    }
}

impl PayloadKey {
    /// Of 64 hexadecimal digits, as `openssl rand -hex 32` writes them; `None` when the text is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let octets: [u8; 32] = hex::decode(text.trim()).ok()?.try_into().ok()?;
        let named = openssl::sha::sha256(&[PURPOSE, b", name", &octets].concat());
        Some(Self { octets: Arc::new(octets), name: hex::encode(&named[..4]).into() })
    }

    /// A word by which a payload says under which key it is: it betrays nothing of the key.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn of_payload(&self, salt: &[u8]) -> io::Result<[u8; 32]> {
        let derive = || -> Result<[u8; 32], openssl::error::ErrorStack> {
            let mut context = PkeyCtx::new_id(Id::HKDF)?;
            context.derive_init()?;
            context.set_hkdf_md(Md::sha256())?;
            context.set_hkdf_key(&*self.octets)?;
            context.set_hkdf_salt(salt)?;
            context.add_hkdf_info(PURPOSE)?;
            let mut key = [0; 32];
            context.derive(Some(&mut key))?;
            Ok(key)
        };
        derive().map_err(io::Error::other)
    }
}

/// The keys of a store: the first encrypts, all decrypt. Without any, payloads are kept as they are.
#[derive(Debug, Clone, Default)]
pub struct PayloadKeys(pub Vec<PayloadKey>);

impl PayloadKeys {
    /// The one that encrypts.
    pub(super) fn first(&self) -> Option<&PayloadKey> {
        self.0.first()
    }

    /// A reader of what lies as the row of a payload says (`seal`, [`Seal::column`]); of plain octets without that.
    ///
    /// # Errors
    /// [`Error::NoKey`], [`Error::Damaged`] when the row says something else.
    pub(super) fn open(&self, seal: Option<&str>, held: Octets) -> Result<Octets, Error> {
        let Some(seal) = seal else { return Ok(held) };
        // Rows of before the salt was written have the name only.
        let (name, salt) = seal.split_once(':').map_or((seal, None), |(name, salt)| (name, Some(salt)));
        let key = self.0.iter().find(|key| key.name() == name);
        let key = key.ok_or_else(|| Error::NoKey { name: name.to_owned() })?;
        let read = |salt| -> Option<[u8; SALT]> { hex::decode(salt).ok()?.try_into().ok() };
        let damaged = || Error::Damaged { what: "salt of a payload", value: seal.to_owned() };
        let salt = salt.map(|salt| read(salt).ok_or_else(damaged)).transpose()?;
        Ok(Box::new(Opener::new(held, key.clone(), salt)))
    }
}

/// How a sealed value of a column begins: no text does.
const VALUE: &[u8] = b"\0sealed ";

impl PayloadKeys {
    /// A value of a column as it is kept: under the first key, plain without any.
    ///
    /// # Errors
    /// Those of the source of randomness.
    pub(super) fn keep_value(&self, plain: Vec<u8>) -> io::Result<Vec<u8>> {
        let Some(key) = self.first() else { return Ok(plain) };
        let seal = Seal::new(key)?;
        let head = [VALUE, seal.column().as_bytes(), b"\n"].concat();
        let mut sealer = Sealer::new(head, &seal)?;
        sealer.write_all(&plain)?;
        sealer.finish()
    }

    /// What [`PayloadKeys::keep_value`] was given.
    ///
    /// # Errors
    /// [`Error::NoKey`], [`Error::Damaged`].
    pub(super) fn read_value(&self, kept: Vec<u8>) -> Result<Vec<u8>, Error> {
        let Some(sealed) = kept.strip_prefix(VALUE) else { return Ok(kept) };
        let damaged = |value: String| Error::Damaged { what: "encrypted value", value };
        let end = memchr::memchr(b'\n', sealed).ok_or_else(|| damaged("no seal".to_owned()))?;
        let seal = String::from_utf8_lossy(&sealed[..end]).into_owned();
        let held = Box::new(io::Cursor::new(sealed[end + 1..].to_vec()));
        let mut plain = Vec::new();
        self.open(Some(&seal), held)?.read_to_end(&mut plain).map_err(|error| damaged(error.to_string()))?;
        Ok(plain)
    }
}

/// What one payload is encrypted with: the configured key, and a salt that no other payload has.
#[derive(Clone)]
pub(super) struct Seal {
    key: PayloadKey,
    salt: [u8; SALT],
}

impl Seal {
    /// For a new payload.
    ///
    /// # Errors
    /// Those of the source of randomness.
    pub fn new(key: &PayloadKey) -> io::Result<Self> {
        let mut salt = [0; SALT];
        rand_bytes(&mut salt).map_err(io::Error::other)?;
        Ok(Self { key: key.clone(), salt })
    }

    /// What the row of the payload says: `name of the key:salt in hexadecimal digits`.
    pub fn column(&self) -> String {
        format!("{}:{}", self.key.name(), hex::encode(self.salt))
    }

    /// The keys that read the payload.
    pub fn keys(&self) -> PayloadKeys {
        PayloadKeys(vec![self.key.clone()])
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({})", self.column())
    }
}

/// Octets on the disk of a payload of so many.
pub(super) fn sealed_size(plain: u64) -> u64 {
    let chunks = plain.div_ceil(CHUNK as u64).max(1);
    HEAD as u64 + plain + chunks * TAG as u64
}

/// The cipher of one payload, one way.
struct Chunks {
    key: [u8; 32],
    number: u32,
}

impl Chunks {
    fn nonce(&mut self, last: bool) -> io::Result<[u8; 12]> {
        let mut nonce = [0; 12];
        nonce[7..11].copy_from_slice(&self.number.to_be_bytes());
        nonce[11] = u8::from(last);
        self.number = self.number.checked_add(1).ok_or_else(|| io::Error::other("too large to encrypt"))?;
        Ok(nonce)
    }

    fn seal(&mut self, plain: &[u8], last: bool) -> io::Result<Vec<u8>> {
        let nonce = self.nonce(last)?;
        let mut sealed = vec![0; plain.len() + TAG];
        let (octets, tag) = sealed.split_at_mut(plain.len());
        let mut seal = || -> Result<(), openssl::error::ErrorStack> {
            let mut context = CipherCtx::new()?;
            context.encrypt_init(Some(Cipher::aes_256_gcm()), Some(&self.key), Some(&nonce))?;
            context.cipher_update(plain, Some(octets))?;
            context.cipher_final(&mut [0; TAG])?;
            context.tag(tag)
        };
        seal().map_err(io::Error::other)?;
        Ok(sealed)
    }

    fn open(&mut self, sealed: &[u8], last: bool) -> io::Result<Vec<u8>> {
        let nonce = self.nonce(last)?;
        let (octets, tag) = sealed.split_at_checked(sealed.len().wrapping_sub(TAG)).ok_or_else(damaged)?;
        let mut plain = vec![0; octets.len()];
        let mut open = || -> Result<(), openssl::error::ErrorStack> {
            let mut context = CipherCtx::new()?;
            context.decrypt_init(Some(Cipher::aes_256_gcm()), Some(&self.key), Some(&nonce))?;
            context.set_tag(tag)?;
            context.cipher_update(octets, Some(&mut plain))?;
            context.cipher_final(&mut [0; TAG]).map(drop)
        };
        open().map_err(|_| damaged())?;
        Ok(plain)
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an encrypted payload is damaged")
}

fn exchanged() -> io::Error {
    let said = "another payload lies where an encrypted payload was kept: put its file back from a backup";
    io::Error::new(io::ErrorKind::InvalidData, said)
}

/// Encrypts what is written to it.
pub(super) struct Sealer<W> {
    out: W,
    chunks: Chunks,
    waiting: Vec<u8>,
}

impl<W: Write> Sealer<W> {
    /// Begins a payload.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn new(mut out: W, seal: &Seal) -> io::Result<Self> {
        let chunks = Chunks { key: seal.key.of_payload(&seal.salt)?, number: 0 };
        out.write_all(&[VERSION])?;
        out.write_all(&seal.salt)?;
        Ok(Self { out, chunks, waiting: Vec::with_capacity(CHUNK) })
    }

    /// Writes the last chunk; gives the writer back.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        let sealed = self.chunks.seal(&self.waiting, true)?;
        self.out.write_all(&sealed)?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        // Only when more comes is it known that a full chunk is not the last.
        if self.waiting.len() == CHUNK && !octets.is_empty() {
            let sealed = self.chunks.seal(&self.waiting, false)?;
            self.out.write_all(&sealed)?;
            self.waiting.clear();
        }
        let count = octets.len().min(CHUNK - self.waiting.len());
        self.waiting.extend_from_slice(&octets[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decrypts what is read through it.
struct Opener<R> {
    held: R,
    key: PayloadKey,
    /// Of the payload that is wanted, where its row says so.
    salt: Option<[u8; SALT]>,
    chunks: Option<Chunks>,
    /// The next chunk as it lies there: whether it is the last shows when nothing follows.
    next: Vec<u8>,
    plain: io::Cursor<Vec<u8>>,
    ended: bool,
}

impl<R: Read> Opener<R> {
    fn new(held: R, key: PayloadKey, salt: Option<[u8; SALT]>) -> Self {
        Self { held, key, salt, chunks: None, next: Vec::new(), plain: io::Cursor::default(), ended: false }
    }

    fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let mut chunk = Vec::with_capacity(CHUNK + TAG);
        self.held.by_ref().take((CHUNK + TAG) as u64).read_to_end(&mut chunk)?;
        Ok(chunk)
    }

    fn advance(&mut self) -> io::Result<()> {
        if self.chunks.is_none() {
            let mut head = [0; HEAD];
            self.held.read_exact(&mut head).map_err(|_| damaged())?;
            if head[0] != VERSION {
                return Err(damaged());
            }
            if self.salt.is_some_and(|salt| salt != head[1..]) {
                return Err(exchanged());
            }
            self.chunks = Some(Chunks { key: self.key.of_payload(&head[1..])?, number: 0 });
            self.next = self.chunk()?;
        }
        let after = self.chunk()?;
        self.ended = after.is_empty();
        let sealed = std::mem::replace(&mut self.next, after);
        let chunks = self.chunks.as_mut().ok_or_else(damaged)?;
        self.plain = io::Cursor::new(chunks.open(&sealed, self.ended)?);
        Ok(())
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Opener<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.plain.fill_buf()?.is_empty() && !self.ended {
            self.advance()?;
        }
        self.plain.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.plain.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(digit: char) -> PayloadKey {
        PayloadKey::parse(&digit.to_string().repeat(64)).unwrap()
    }

    fn seal(plain: &[u8], step: usize) -> Vec<u8> {
        seal_as(&Seal::new(&key('1')).unwrap(), plain, step)
    }

    fn seal_as(seal: &Seal, plain: &[u8], step: usize) -> Vec<u8> {
        let mut sealer = Sealer::new(Vec::new(), seal).unwrap();
        plain.chunks(step.max(1)).for_each(|some| sealer.write_all(some).unwrap());
        sealer.finish().unwrap()
    }

    fn open(sealed: Vec<u8>, key: &PayloadKey) -> io::Result<Vec<u8>> {
        let keys = PayloadKeys(vec![key.clone()]);
        let mut plain = Vec::new();
        let mut reader = keys.open(Some(key.name()), Box::new(io::Cursor::new(sealed))).unwrap();
        reader.read_to_end(&mut plain).map(|_| plain)
    }

    #[test]
    fn every_length_reads_back_and_takes_the_room_that_was_reckoned() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7] {
            let plain: Vec<u8> = (0..length).map(|n| (n * 7) as u8).collect();
            let sealed = seal(&plain, 1000);
            assert_eq!(sealed.len() as u64, sealed_size(length as u64));
            assert_eq!(open(sealed, &key('1')).unwrap(), plain);
        }
    }

    #[test]
    fn nothing_of_the_payload_shows_and_the_same_payload_never_looks_the_same() {
        let plain = b"a letter to somebody, over and over again. ".repeat(100);
        let (one, two) = (seal(&plain, 64), seal(&plain, 64));
        assert_ne!(one, two);
        assert!(!one.windows(8).any(|w| plain.windows(8).any(|p| p == w)));
    }

    #[test]
    fn whole_chunks_that_are_gone_doubled_or_out_of_place_are_noticed() {
        let plain = vec![7; 3 * CHUNK + 5];
        let sealed = seal(&plain, CHUNK);
        let (head, body) = sealed.split_at(HEAD);
        let chunks: Vec<&[u8]> = body.chunks(CHUNK + TAG).collect();
        for order in [&[0, 1, 2][..], &[0, 2, 3], &[1, 0, 2, 3], &[0, 0, 1, 2, 3], &[0], &[3], &[]] {
            let bent: Vec<u8> = order.iter().fold(head.to_vec(), |all, n| [&all, chunks[*n]].concat());
            assert!(open(bent, &key('1')).is_err(), "{order:?}");
        }
    }

    #[test]
    fn another_payload_in_the_place_of_one_is_noticed_before_an_octet_of_it_is_read() {
        let (one, other) = (Seal::new(&key('1')).unwrap(), Seal::new(&key('1')).unwrap());
        let read = |lying: Vec<u8>, seal: &str| {
            let mut plain = Vec::new();
            let mut reader = one.keys().open(Some(seal), Box::new(io::Cursor::new(lying))).unwrap();
            reader.read_to_end(&mut plain).map(|_| plain).map_err(|error| error.to_string())
        };
        let (mine, another) = (seal_as(&one, b"a letter", 8), seal_as(&other, b"not for you", 8));
        assert_eq!(read(mine.clone(), &one.column()).unwrap(), b"a letter");
        assert!(read(another, &one.column()).unwrap_err().contains("another payload"));
        let of_before = key('1').name().to_owned();
        assert_eq!(read(mine.clone(), &of_before).unwrap(), b"a letter");
        let bent = one.keys().open(Some(&format!("{of_before}:12")), Box::new(io::empty()));
        assert!(matches!(bent, Err(Error::Damaged { .. })));
    }

    #[test]
    fn a_value_of_a_column_is_kept_under_the_first_key_and_read_under_any() {
        let (none, one) = (PayloadKeys::default(), PayloadKeys(vec![key('1')]));
        let both = PayloadKeys(vec![key('2'), key('1')]);
        let envelope = b"<Envelope>who writes to whom</Envelope>".to_vec();
        assert_eq!(none.keep_value(envelope.clone()).unwrap(), envelope);
        let kept = one.keep_value(envelope.clone()).unwrap();
        assert!(!kept.windows(6).any(|w| w == b"writes"));
        for keys in [&one, &both] {
            assert_eq!(keys.read_value(kept.clone()).unwrap(), envelope);
            assert_eq!(keys.read_value(envelope.clone()).unwrap(), envelope, "of before there was a key");
        }
        assert!(matches!(none.read_value(kept.clone()), Err(Error::NoKey { .. })));
        let mut bent = kept.clone();
        *bent.last_mut().unwrap() ^= 1;
        assert!(matches!(one.read_value(bent), Err(Error::Damaged { .. })));
        assert!(matches!(one.read_value(VALUE.to_vec()), Err(Error::Damaged { .. })));
    }

    #[test]
    fn a_key_has_a_name_that_says_nothing_of_it_and_another_key_opens_nothing() {
        assert!(PayloadKey::parse("12").is_none() && PayloadKey::parse(&"z".repeat(64)).is_none());
        assert_ne!(key('1').name(), key('2').name());
        assert!(!format!("{:?}", key('1')).contains("1111"));
        assert!(open(seal(b"text", 1), &key('2')).is_err());
        let none = PayloadKeys(vec![key('2')]).open(Some(key('1').name()), Box::new(io::empty()));
        assert!(matches!(none, Err(Error::NoKey { name }) if name == key('1').name()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn any_changed_octet_is_noticed(at in 0usize..1000, bit in 0u8..8, length in 0usize..900) {
            let mut sealed = seal(&vec![1; length], 100);
            let at = at % sealed.len();
            sealed[at] ^= 1 << bit;
            prop_assert!(open(sealed, &key('1')).is_err());
        }
    }
}
