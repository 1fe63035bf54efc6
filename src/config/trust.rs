//! Key stores, certificates and anchors named by the file.

use std::path::{Path, PathBuf};

use super::file::{Key, KeyUse};
use super::load::Keys;
use super::problems::Problems;
use super::suites;
use crate::clock::Timestamp;
use crate::pki::{Certificate, Entry, KeyStore, TrustStore};
use crate::wssec::{SigningKey, SigningKeys};

/// Anchors from a PEM file (or any other store).
pub fn anchors(problems: &mut Problems, at: &str, path: &Path) -> Option<TrustStore> {
    let octets = problems.file(at, path)?;
    let read = KeyStore::read(&octets, None, &[]).map_err(|e| format!("{}: {e}", path.display()));
    let certificates = problems.keep(at, read)?.certificates();
    if certificates.is_empty() {
        problems.add(at, format!("{} holds no certificate", path.display()));
        return None;
    }
    Some(TrustStore::new(certificates))
}

/// The first certificate of a file: that of the owner, where others stand behind it.
pub fn certificate(problems: &mut Problems, at: &str, path: &Path) -> Option<Certificate> {
    anchors(problems, at, path).and_then(|store| store.anchors().first().cloned())
}

/// The keys of the node by use. Expired ones are a problem at start, not at the first message.
pub fn keys(problems: &mut Problems, base: &Path, all: &[Key], now: Timestamp) -> Option<Keys> {
    let mut found = Found::default();
    for (index, key) in all.iter().enumerate() {
        let at = format!("key[{}]", index + 1);
        if let Some(entry) = entry(problems, &at, base, key) {
            judge_validity(problems, &at, &entry, now);
            suites::judge_uses(problems, &at, &entry, &key.r#use);
            if key.r#use.contains(&KeyUse::Sign) {
                suites::judge_kind(problems, &at, &entry, &found.sign);
            }
            found.take(&key.r#use, entry);
        }
    }
    if found.sign.is_empty() {
        problems.add("key", "no key has use = [\"sign\"]; AS4 messages and receipts must be signed");
    }
    if found.decrypt.is_empty() {
        problems.add("key", "no key has use = [\"decrypt\"]; nothing encrypted could be read");
    }
    let signing: Vec<SigningKey> = found.sign.into_iter().filter_map(signing_key).collect();
    if signing.is_empty() {
        return None;
    }
    let evidence = match found.evidence.and_then(signing_key) {
        Some(own) => vec![own],
        None => signing.clone(),
    };
    let div = found.div.and_then(signing_key);
    Some(Keys { evidence, div, decryption: found.decrypt, signing: SigningKeys::new(signing) })
}

#[derive(Default)]
struct Found {
    sign: Vec<Entry>,
    evidence: Option<Entry>,
    div: Option<Entry>,
    decrypt: Vec<Entry>,
}

impl Found {
    fn take(&mut self, uses: &[KeyUse], entry: Entry) {
        for one in uses {
            match one {
                KeyUse::Sign => self.sign.push(entry.clone()),
                KeyUse::Evidence => self.evidence = Some(entry.clone()),
                KeyUse::Div => self.div = Some(entry.clone()),
                KeyUse::Decrypt => self.decrypt.push(entry.clone()),
            }
        }
    }
}

fn entry(problems: &mut Problems, at: &str, base: &Path, key: &Key) -> Option<Entry> {
    let path = base.join(&key.file);
    let octets = problems.file(&format!("{at}.file"), &path)?;
    let mut secret = |name: &str, file: &Option<PathBuf>| {
        file.as_ref().map(|f| problems.secret(&format!("{at}.{name}"), &base.join(f)))
    };
    let password = secret("password_file", &key.password_file).flatten();
    let key_passwords: Vec<String> =
        secret("key_password_file", &key.key_password_file).flatten().into_iter().collect();
    let read = KeyStore::read(&octets, password.as_deref(), &key_passwords)
        .map_err(|e| format!("{}: {e}", path.display()));
    let store = problems.keep(&format!("{at}.file"), read)?;
    let named = |e: &&Entry| key.alias.is_none() || e.alias == key.alias;
    let whole = |e: &&Entry| e.private_key.is_some() && e.certificate.is_some();
    let found = store.entries.iter().filter(named).find(whole).cloned();
    if found.is_none() {
        let which = key.alias.as_deref().map(|a| format!(" under the alias {a:?}")).unwrap_or_default();
        problems.add(
            format!("{at}.file"),
            format!("{} holds no private key with certificate{which}", path.display()),
        );
    }
    found
}

fn judge_validity(problems: &mut Problems, at: &str, entry: &Entry, now: Timestamp) {
    let Some(certificate) = &entry.certificate else { return };
    if certificate.not_after() < now {
        let end = certificate.not_after();
        problems.add(
            at,
            format!("the certificate {} expired on {end}; put a valid one there", certificate.subject()),
        );
    } else if certificate.not_before() > now {
        let start = certificate.not_before();
        problems.add(at, format!("the certificate {} is valid only from {start}", certificate.subject()));
    }
}

fn signing_key(entry: Entry) -> Option<SigningKey> {
    Some(SigningKey { certificate: entry.certificate?, chain: entry.chain, key: entry.private_key? })
}
