//! PKCS#12: read bag by bag, with the algorithms that OpenSSL 3 keeps in its legacy provider (RC2-40, 3DES).

use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use p12_keystore::Pkcs12Archive;

use super::keystore::{Bag, Passwords};
use super::{Certificate, Entry, Error, der, keystore};

/// Whether `octets` start as a PFX does: a SEQUENCE whose first value is the INTEGER 3.
pub fn is_pkcs12(octets: &[u8]) -> bool {
    let version =
        der::tagged(octets, der::SEQUENCE).and_then(|(pfx, _)| der::tagged(pfx.content, der::INTEGER));
    version.is_some_and(|(version, rest)| version.content == [3] && rest.first() == Some(&der::SEQUENCE))
}

/// Reads all keys and certificates; a key is joined with its certificate by key id, else by public key.
pub fn read(octets: &[u8], passwords: &Passwords<'_>) -> Result<Vec<Entry>, Error> {
    let password = passwords.store.unwrap_or_default();
    let bags = match Pkcs12Archive::from_pkcs12(octets, password) {
        Ok(archive) => bags_of(archive)?,
        // Stores that the archive reader does not take (certificates that it finds odd, no password at all).
        Err(_) => bags_by_openssl(octets, password)?,
    };
    Ok(keystore::assemble(bags))
}

fn bags_of(archive: Pkcs12Archive) -> Result<Vec<Bag>, Error> {
    let mut bags = Vec::new();
    for bag in archive.keys {
        let key = PKey::private_key_from_pkcs8(bag.key.as_der())
            .map_err(|e| Error::damaged("PKCS#12", e.to_string()))?;
        bags.push(Bag::Key { alias: bag.friendly_name, key, id: bag.local_key_id.map(|id| id.0) });
    }
    for bag in archive.certs {
        let certificate = Certificate::from_der(bag.cert.as_der())?;
        bags.push(Bag::Certificate { alias: bag.friendly_name, certificate, id: bag.local_key_id });
    }
    Ok(bags)
}

fn bags_by_openssl(octets: &[u8], password: &str) -> Result<Vec<Bag>, Error> {
    let store = Pkcs12::from_der(octets).map_err(|e| Error::damaged("PKCS#12", e.to_string()))?;
    let parsed = store.parse2(password).map_err(|_| Error::WrongPassword)?;
    let key = parsed.pkey.map(|key: PKey<Private>| Bag::Key { alias: None, key, id: None });
    let mut bags: Vec<Bag> = key.into_iter().collect();
    for x509 in parsed.cert.into_iter().chain(parsed.ca.into_iter().flatten()) {
        bags.push(Bag::Certificate { alias: None, certificate: Certificate::from_x509(x509)?, id: None });
    }
    Ok(bags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing;

    fn store(password: &str) -> Vec<u8> {
        let (certificate, key) = testing::self_signed("CN=p12", testing::YEAR_2026);
        let mut builder = Pkcs12::builder();
        builder.name("one").pkey(&key).cert(certificate.x509());
        builder.build2(password).unwrap().to_der().unwrap()
    }

    #[test]
    fn a_key_finds_its_certificate() {
        let entries = read(&store("geheim"), &Passwords { store: Some("geheim"), keys: &[] }).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].alias.as_deref(), Some("one"));
        assert!(entries[0].private_key.is_some() && entries[0].certificate.is_some());
    }

    #[test]
    fn the_wrong_password_is_said() {
        let wrong = read(&store("geheim"), &Passwords { store: Some("falsch"), keys: &[] });
        assert!(matches!(wrong, Err(Error::WrongPassword)));
        assert!(read(&store(""), &Passwords { store: None, keys: &[] }).is_ok(), "an empty password");
    }
}
