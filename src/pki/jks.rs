//! Java key stores, JKS and JCEKS: read only, for whoever comes from a Java access point.
//!
//! Layout (`sun.security.provider.JavaKeyStore`, `com.sun.crypto.provider.JceKeyStore`): magic, version, count, entries,
//! and a SHA-1 digest over UTF-16BE password + "Mighty Aphrodite" + everything before it.

use openssl::hash::{MessageDigest, hash};
use openssl::pkey::{PKey, Private};
use openssl::symm::{Cipher, decrypt};

use super::keystore::Passwords;
use super::{Certificate, Entry, Error, der};

const JKS: &[u8] = &[0xfe, 0xed, 0xfe, 0xed];
const JCEKS: &[u8] = &[0xce, 0xce, 0xce, 0xce];
const WHITENER: &[u8] = b"Mighty Aphrodite";
const DIGEST_LENGTH: usize = 20;
/// Sun's key protector of JKS: a SHA-1 key stream.
const SUN_KEY_PROTECTOR: &str = "1.3.6.1.4.1.42.2.17.1.1";
/// The key protector of JCEKS: Sun's own MD5 and 3DES scheme.
const JCE_KEY_PROTECTOR: &str = "1.3.6.1.4.1.42.2.19.1";
/// More rounds than any real store has; a higher number would only burn our time.
const MAX_ROUNDS: u64 = 5_000_000;

/// Whether `octets` start as a JKS or JCEKS does.
pub fn is_jks(octets: &[u8]) -> bool {
    octets.starts_with(JKS) || octets.starts_with(JCEKS)
}

/// Reads all entries. Without a store password the integrity digest is not checked, as Java does it.
///
/// Keys that no password opens keep their certificates and have no private key.
pub fn read(octets: &[u8], passwords: &Passwords<'_>) -> Result<Vec<Entry>, Error> {
    let format = if octets.starts_with(JKS) { "JKS" } else { "JCEKS" };
    let body = check_integrity(octets, passwords.store, format)?;
    let mut reader = Reader { rest: &body[4..], format };
    let version = reader.u32()?;
    if !(1..=2).contains(&version) {
        return Err(Error::damaged(format, format!("version {version}")));
    }
    let count = reader.u32()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(reader.entry(version, passwords)?);
    }
    match reader.rest.is_empty() {
        true => Ok(entries),
        false => Err(Error::damaged(format, format!("{} octets behind the last entry", reader.rest.len()))),
    }
}

/// Compares the digest at the end; gives what stands before it.
fn check_integrity<'a>(
    octets: &'a [u8],
    password: Option<&str>,
    format: &'static str,
) -> Result<&'a [u8], Error> {
    let Some(end) = octets.len().checked_sub(DIGEST_LENGTH).filter(|end| *end >= 4) else {
        return Err(Error::damaged(format, "cut short"));
    };
    let (body, digest) = octets.split_at(end);
    let Some(password) = password else { return Ok(body) };
    let whole = [utf16(password).as_slice(), WHITENER, body].concat();
    match openssl::memcmp::eq(&openssl::sha::sha1(&whole), digest) {
        true => Ok(body),
        false => Err(Error::WrongPassword),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    format: &'static str,
}

impl<'a> Reader<'a> {
    fn entry(&mut self, version: u32, passwords: &Passwords<'_>) -> Result<Entry, Error> {
        let tag = self.u32()?;
        let alias = Some(self.text()?);
        self.take(8)?; // time of creation
        match tag {
            1 => {
                let protected = self.sized()?;
                let chain = self.chain(version)?;
                let key = passwords.for_keys().find_map(|password| unprotect(protected, password));
                let mut chain = chain.into_iter();
                let certificate = chain.next();
                let locked = key.is_none();
                Ok(Entry {
                    alias,
                    certificate,
                    chain: chain.collect(),
                    private_key: key,
                    public_key: None,
                    locked,
                })
            }
            2 => Ok(Entry { alias, certificate: Some(self.certificate(version)?), ..Entry::default() }),
            other => Err(Error::damaged(
                self.format,
                format!("entry {alias:?} has tag {other}; secret keys are not read"),
            )),
        }
    }

    fn chain(&mut self, version: u32) -> Result<Vec<Certificate>, Error> {
        let count = self.u32()?;
        (0..count).map(|_| self.certificate(version)).collect()
    }

    fn certificate(&mut self, version: u32) -> Result<Certificate, Error> {
        if version == 2 {
            let kind = self.text()?;
            if kind != "X.509" && kind != "X509" {
                return Err(Error::damaged(self.format, format!("certificate of type {kind:?}")));
            }
        }
        Certificate::from_der(self.sized()?)
    }

    fn text(&mut self) -> Result<String, Error> {
        let length = self.take(2)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        Ok(modified_utf8(self.take(length)?))
    }

    fn sized(&mut self) -> Result<&'a [u8], Error> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    fn u32(&mut self) -> Result<u32, Error> {
        let octets = self.take(4)?;
        Ok(u32::from_be_bytes([octets[0], octets[1], octets[2], octets[3]]))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        if self.rest.len() < length {
            return Err(Error::damaged(self.format, "cut short"));
        }
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(taken)
    }
}

/// Java's modified UTF-8: surrogates and NUL written as two or three octets each; a lone oddity becomes U+FFFD.
fn modified_utf8(octets: &[u8]) -> String {
    let mut units = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let Some((&first, after)) = rest.split_first() {
        let low = |at: usize| u16::from(after.get(at).copied().unwrap_or_default() & 0x3f);
        let (unit, used) = match first {
            0x00..=0x7f => (u16::from(first), 0),
            0xc0..=0xdf => ((u16::from(first & 0x1f) << 6) | low(0), 1),
            0xe0..=0xef => ((u16::from(first & 0x0f) << 12) | (low(0) << 6) | low(1), 2),
            _ => (0xfffd, 0),
        };
        units.push(unit);
        rest = after.get(used..).unwrap_or_default();
    }
    String::from_utf16_lossy(&units)
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// Undoes the protection of one key; `None` when the password does not fit or the scheme is unknown.
fn unprotect(protected: &[u8], password: &str) -> Option<PKey<Private>> {
    let (outer, _) = der::tagged(protected, der::SEQUENCE)?;
    let (algorithm, rest) = der::tagged(outer.content, der::SEQUENCE)?;
    let (data, _) = der::tagged(rest, der::OCTET_STRING)?;
    let (oid, parameters) = der::tagged(algorithm.content, der::OID)?;
    let plain = match der::dotted(oid.content)?.as_str() {
        SUN_KEY_PROTECTOR => sun_key_stream(data.content, password)?,
        JCE_KEY_PROTECTOR => jce_decrypt(parameters, data.content, password)?,
        _ => return PKey::private_key_from_pkcs8_passphrase(protected, password.as_bytes()).ok(),
    };
    PKey::private_key_from_pkcs8(&plain).ok()
}

/// `sun.security.provider.KeyProtector`: salt, key XOR stream, SHA-1 over password and key.
fn sun_key_stream(data: &[u8], password: &str) -> Option<Vec<u8>> {
    let password = utf16(password);
    let (salt, rest) = data.split_at_checked(DIGEST_LENGTH)?;
    let (encrypted, check) = rest.split_at_checked(rest.len().checked_sub(DIGEST_LENGTH)?)?;
    let mut plain = Vec::with_capacity(encrypted.len());
    let mut stream: [u8; DIGEST_LENGTH] = salt.try_into().ok()?;
    for block in encrypted.chunks(DIGEST_LENGTH) {
        stream = openssl::sha::sha1(&[password.as_slice(), &stream].concat());
        plain.extend(block.iter().zip(stream).map(|(octet, key)| octet ^ key));
    }
    let found = openssl::sha::sha1(&[password.as_slice(), &plain].concat());
    openssl::memcmp::eq(&found, check).then_some(plain)
}

/// `com.sun.crypto.provider.PBES1Core`, PBEWithMD5AndTripleDES: each half of the salt is hashed on its own.
fn jce_decrypt(parameters: &[u8], data: &[u8], password: &str) -> Option<Vec<u8>> {
    let (sequence, _) = der::tagged(parameters, der::SEQUENCE)?;
    let (salt, rest) = der::tagged(sequence.content, der::OCTET_STRING)?;
    let (rounds, _) = der::tagged(rest, der::INTEGER)?;
    let rounds = rounds.content.iter().fold(0u64, |sum, &octet| (sum << 8) | u64::from(octet));
    let mut salt: [u8; 8] = salt.content.try_into().ok()?;
    if rounds > MAX_ROUNDS {
        return None;
    }
    if salt[..4] == salt[4..] {
        // sic: Java means to reverse the first half and mistypes an index; stores are written with that.
        salt = [salt[3], salt[0], salt[1], salt[3], salt[4], salt[5], salt[6], salt[7]];
    }
    let derived: Vec<u8> = [&salt[..4], &salt[4..]]
        .into_iter()
        .map(|half| md5_rounds(half, password, rounds))
        .collect::<Option<Vec<_>>>()?
        .concat();
    let (key, iv) = derived.split_at_checked(24)?;
    decrypt(Cipher::des_ede3_cbc(), key, Some(iv), data).ok()
}

fn md5_rounds(half: &[u8], password: &str, rounds: u64) -> Option<Vec<u8>> {
    let mut state = half.to_vec();
    for _ in 0..rounds {
        state = hash(MessageDigest::md5(), &[state.as_slice(), password.as_bytes()].concat()).ok()?.to_vec();
    }
    Some(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing;

    #[test]
    fn a_store_reads_back_with_its_passwords_only() {
        let (certificate, key) = testing::self_signed("CN=ja", testing::YEAR_2026);
        let store =
            testing::jks("changeit", &[("mine", &key, "inner", &certificate)], &[("other", &certificate)]);
        let keys = ["inner".to_owned()];
        let entries = read(&store, &Passwords { store: Some("changeit"), keys: &keys }).unwrap();
        assert_eq!(
            entries.iter().map(|e| e.alias.as_deref().unwrap()).collect::<Vec<_>>(),
            ["mine", "other"]
        );
        assert!(entries[0].private_key.as_ref().unwrap().public_eq(&certificate.public_key().unwrap()));
        assert!(entries[1].private_key.is_none() && !entries[1].locked);
        let locked = read(&store, &Passwords { store: Some("changeit"), keys: &[] }).unwrap();
        assert!(locked[0].locked && locked[0].private_key.is_none());
        let wrong = read(&store, &Passwords { store: Some("nope"), keys: &keys });
        assert!(matches!(wrong, Err(Error::WrongPassword)));
    }

    #[test]
    fn a_damaged_store_is_an_error_at_every_length() {
        let (certificate, key) = testing::self_signed("CN=ja", testing::YEAR_2026);
        let store = testing::jks("pw", &[("mine", &key, "pw", &certificate)], &[]);
        for length in 0..store.len() {
            assert!(read(&store[..length], &Passwords { store: Some("pw"), keys: &[] }).is_err());
        }
    }

    #[test]
    fn aliases_are_modified_utf8() {
        assert_eq!(modified_utf8("ķēde".as_bytes()), "ķēde");
        assert_eq!(modified_utf8(&[0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]), "😀");
        assert_eq!(modified_utf8(&[0xc0, 0x80]), "\0");
    }
}
