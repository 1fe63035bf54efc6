//! A key store of any format, told by its content.

use base64::Engine;
use openssl::pkey::{PKey, Private, Public};

use super::{Certificate, Error, jks, pem, pkcs12};

/// One entry: a key with its certificates, a certificate, or a bare public key.
#[derive(Clone, Default)]
pub struct Entry {
    /// The name that the store gives it.
    pub alias: Option<String>,
    /// The certificate; absent for bare keys.
    pub certificate: Option<Certificate>,
    /// The certificates above it, nearest first; only where a private key is.
    pub chain: Vec<Certificate>,
    /// The private key, where the store has one and a password opened it.
    pub private_key: Option<PKey<Private>>,
    /// A bare public key; `None` where there is a certificate.
    pub public_key: Option<PKey<Public>>,
    /// There is a private key, but no password given opens it.
    pub locked: bool,
}

/// All that a store holds.
#[derive(Clone, Default)]
pub struct KeyStore {
    /// The entries in the store's order, those with a private key first where the format knows no order.
    pub entries: Vec<Entry>,
}

impl KeyStore {
    /// Reads PKCS#12, JKS, JCEKS, PEM, or one DER certificate or key, told by content; bare base64 of DER as well.
    ///
    /// `password` is the store's, `key_passwords` are tried on each private key after it. A store none of whose private
    /// keys opens is [`Error::WrongKeyPassword`]; one with several keeps the closed ones as `locked` entries.
    pub fn read(octets: &[u8], password: Option<&str>, key_passwords: &[String]) -> Result<Self, Error> {
        let passwords = Passwords { store: password, keys: key_passwords };
        let entries = read_any(octets, &passwords)?;
        let locked = entries.iter().filter(|e| e.locked).count();
        match locked > 0 && entries.iter().all(|e| e.private_key.is_none()) {
            true => Err(Error::WrongKeyPassword { keys: locked }),
            false => Ok(Self { entries }),
        }
    }

    /// Every certificate of the store once: those of the entries, then those of their chains.
    pub fn certificates(&self) -> Vec<Certificate> {
        let own = self.entries.iter().filter_map(|e| e.certificate.clone());
        let mut found: Vec<Certificate> = Vec::new();
        for certificate in own.chain(self.entries.iter().flat_map(|e| e.chain.clone())) {
            if !found.contains(&certificate) {
                found.push(certificate);
            }
        }
        found
    }
}

/// The passwords that belong to one store.
pub(super) struct Passwords<'a> {
    pub(super) store: Option<&'a str>,
    pub(super) keys: &'a [String],
}

impl Passwords<'_> {
    /// What to try on a private key: the key passwords, then the store's, then the empty one (an open key).
    pub(super) fn for_keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(String::as_str).chain(self.store).chain(std::iter::once(""))
    }
}

/// What formats without entries give one by one.
pub(super) enum Bag {
    Key { alias: Option<String>, key: PKey<Private>, id: Option<Vec<u8>> },
    Certificate { alias: Option<String>, certificate: Certificate, id: Option<Vec<u8>> },
    Public(PKey<Public>),
    Locked,
}

/// Joins keys with their certificates (by public key: a key id alone may lie) and builds the chains.
///
/// A certificate that serves as chain of a key is no entry of its own unless it has a name.
pub(super) fn assemble(bags: Vec<Bag>) -> Vec<Entry> {
    let (mut keys, mut certificates, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    for bag in bags {
        match bag {
            Bag::Key { alias, key, id } => keys.push((alias, key, id)),
            Bag::Certificate { alias, certificate, id } => certificates.push((alias, certificate, id)),
            Bag::Public(key) => entries.push(Entry { public_key: Some(key), ..Entry::default() }),
            Bag::Locked => entries.push(Entry { locked: true, ..Entry::default() }),
        }
    }
    let mut used: Vec<Certificate> = Vec::new();
    let mut joined = Vec::new();
    for (alias, key, id) in keys {
        let own = own_certificate(&certificates, &key, id.as_deref());
        let chain = own.as_ref().map(|(_, leaf)| chain_of(leaf, &certificates)).unwrap_or_default();
        used.extend(own.iter().map(|(_, c)| c.clone()).chain(chain.iter().cloned()));
        let (named, certificate) = own.map_or((None, None), |(alias, c)| (alias, Some(c)));
        let alias = alias.or(named);
        joined.push(Entry { alias, certificate, chain, private_key: Some(key), ..Entry::default() });
    }
    for (alias, certificate, _) in certificates {
        let leaf_of_key = joined.iter().any(|e| e.certificate.as_ref() == Some(&certificate));
        if !leaf_of_key && (alias.is_some() || !used.contains(&certificate)) {
            used.push(certificate.clone());
            joined.push(Entry { alias, certificate: Some(certificate), ..Entry::default() });
        }
    }
    joined.extend(entries);
    joined
}

type Named = (Option<String>, Certificate, Option<Vec<u8>>);

fn own_certificate(
    certificates: &[Named],
    key: &PKey<Private>,
    id: Option<&[u8]>,
) -> Option<(Option<String>, Certificate)> {
    let fits = |c: &Certificate| c.public_key().is_ok_and(|public| public.public_eq(key));
    let by_id = certificates.iter().find(|(_, c, i)| id.is_some() && i.as_deref() == id && fits(c));
    let found = by_id.or_else(|| certificates.iter().find(|(_, c, _)| fits(c)));
    found.map(|(alias, certificate, _)| (alias.clone(), certificate.clone()))
}

fn chain_of(leaf: &Certificate, certificates: &[Named]) -> Vec<Certificate> {
    let mut chain: Vec<Certificate> = Vec::new();
    let mut top = leaf.clone();
    while !top.is_self_issued() {
        let above =
            certificates.iter().map(|(_, c, _)| c).find(|c| top.is_issued_by(c) && !chain.contains(c));
        let Some(above) = above.filter(|c| *c != leaf) else { break };
        chain.push(above.clone());
        top = above.clone();
    }
    chain
}

fn read_any(octets: &[u8], passwords: &Passwords<'_>) -> Result<Vec<Entry>, Error> {
    if jks::is_jks(octets) {
        return jks::read(octets, passwords);
    }
    if pkcs12::is_pkcs12(octets) {
        return pkcs12::read(octets, passwords);
    }
    if pem::is_pem(octets) {
        return pem::read(octets, passwords);
    }
    if let Some(entries) = pem::read_der(octets, passwords) {
        return Ok(entries);
    }
    let text: Vec<u8> = octets.iter().copied().filter(|c| !c.is_ascii_whitespace()).collect();
    let decoded = base64::engine::general_purpose::STANDARD.decode(&text).unwrap_or_default();
    pem::read_der(&decoded, passwords).ok_or(Error::UnknownFormat { octets: octets.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing;
    use proptest::prelude::*;

    #[test]
    fn a_chain_is_built_and_hidden_behind_its_key() {
        let ca = testing::ca("CN=ca");
        let (leaf, key) = testing::issued("CN=leaf", &ca, testing::YEAR_2026);
        let certificate =
            |c: &Certificate| Bag::Certificate { alias: None, certificate: c.clone(), id: None };
        let entries =
            assemble(vec![certificate(&ca.0), Bag::Key { alias: None, key, id: None }, certificate(&leaf)]);
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].chain, [ca.0]);
    }

    #[test]
    fn bare_base64_is_read() {
        let (certificate, _) = testing::self_signed("CN=b64", testing::YEAR_2026);
        let text = base64::engine::general_purpose::STANDARD.encode(certificate.der());
        let store = KeyStore::read(text.as_bytes(), None, &[]).unwrap();
        assert_eq!(store.certificates(), [certificate]);
    }

    proptest! {
        #[test]
        fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..200), head in 0usize..4) {
            let start: &[u8] = [&[][..], &[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2], &[0x30, 0x82, 1, 0, 2, 1, 3], b"-----BEGIN X"][head];
            let _ = KeyStore::read(&[start, &octets].concat(), None, &[]);
        }
    }
}
