//! PEM blocks and single DER objects.

use openssl::pkey::{PKey, Private, Public};

use super::keystore::{Bag, Passwords};
use super::{Certificate, Entry, Error, keystore};

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// Whether there is a PEM block in `octets`.
pub fn is_pem(octets: &[u8]) -> bool {
    octets.windows(BEGIN.len()).any(|window| window == BEGIN.as_bytes())
}

/// Reads all certificates and keys of a PEM file; blocks of other kinds (parameters, CRLs, requests) are passed over.
pub fn read(octets: &[u8], passwords: &Passwords<'_>) -> Result<Vec<Entry>, Error> {
    let text = String::from_utf8_lossy(octets);
    let mut bags = Vec::new();
    for (label, block) in blocks(&text)? {
        match label {
            "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
                let certificate = Certificate::from_pem(block.as_bytes())?;
                bags.push(Bag::Certificate { alias: None, certificate, id: None });
            }
            "PUBLIC KEY" => bags.push(Bag::Public(public(PKey::public_key_from_pem(block.as_bytes()))?)),
            "RSA PUBLIC KEY" => {
                let rsa = openssl::rsa::Rsa::public_key_from_pem_pkcs1(block.as_bytes());
                bags.push(Bag::Public(public(rsa.and_then(PKey::from_rsa))?));
            }
            label if label.ends_with("PRIVATE KEY") => bags.push(match private_from_pem(block, passwords) {
                Some(key) => Bag::Key { alias: None, key, id: None },
                None => Bag::Locked,
            }),
            _ => {}
        }
    }
    Ok(keystore::assemble(bags))
}

/// Reads one DER object: certificate, private key (PKCS#8, encrypted or not, or traditional) or public key.
pub fn read_der(octets: &[u8], passwords: &Passwords<'_>) -> Option<Vec<Entry>> {
    let bag = if let Ok(certificate) = Certificate::from_der(octets) {
        Bag::Certificate { alias: None, certificate, id: None }
    } else if let Ok(key) = PKey::private_key_from_der(octets) {
        Bag::Key { alias: None, key, id: None }
    } else if let Ok(key) = PKey::public_key_from_der(octets) {
        Bag::Public(key)
    } else if is_encrypted_pkcs8(octets) {
        let open = |password: &str| PKey::private_key_from_pkcs8_passphrase(octets, password.as_bytes()).ok();
        match passwords.for_keys().find_map(open) {
            Some(key) => Bag::Key { alias: None, key, id: None },
            None => Bag::Locked,
        }
    } else {
        return None;
    };
    Some(keystore::assemble(vec![bag]))
}

/// Label and whole text of each block.
fn blocks(text: &str) -> Result<Vec<(&str, &str)>, Error> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(BEGIN) {
        rest = &rest[start..];
        let label = rest[BEGIN.len()..].split(DASHES).next().unwrap_or_default();
        let end = format!("-----END {label}-----");
        let Some(stop) = rest.find(&end) else {
            return Err(Error::damaged("PEM", format!("no end of block {label:?}")));
        };
        let (block, after) = rest.split_at(stop + end.len());
        found.push((label, block));
        rest = after;
    }
    Ok(found)
}

fn private_from_pem(block: &str, passwords: &Passwords<'_>) -> Option<PKey<Private>> {
    let open =
        |password: &str| PKey::private_key_from_pem_passphrase(block.as_bytes(), password.as_bytes()).ok();
    passwords.for_keys().find_map(open)
}

fn public(key: Result<PKey<Public>, openssl::error::ErrorStack>) -> Result<PKey<Public>, Error> {
    key.map_err(|e| Error::damaged("PEM", format!("public key: {e}")))
}

/// EncryptedPrivateKeyInfo: a SEQUENCE of a SEQUENCE that starts with an OID, and an OCTET STRING, and nothing else.
fn is_encrypted_pkcs8(octets: &[u8]) -> bool {
    use super::der;
    let parts = der::tagged(octets, der::SEQUENCE)
        .filter(|(_, rest)| rest.is_empty())
        .and_then(|(outer, _)| der::values(outer.content));
    matches!(parts.as_deref(), Some([algorithm, data]) if algorithm.tag == der::SEQUENCE
        && der::tagged(algorithm.content, der::OID).is_some() && data.tag == der::OCTET_STRING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{KeyStore, testing};

    #[test]
    fn several_blocks_become_one_entry_for_each_key() {
        let (certificate, key) = testing::self_signed("CN=pem", testing::YEAR_2026);
        let (other, _) = testing::self_signed("CN=other", testing::YEAR_2026);
        let mut file = b"Bag Attributes\n".to_vec();
        file.extend(other.x509().to_pem().unwrap());
        file.extend(
            key.private_key_to_pem_pkcs8_passphrase(openssl::symm::Cipher::aes_128_cbc(), b"pw").unwrap(),
        );
        file.extend(certificate.x509().to_pem().unwrap());
        let store = KeyStore::read(&file, Some("pw"), &[]).unwrap();
        let mine: Vec<_> = store.entries.iter().filter(|e| e.private_key.is_some()).collect();
        assert_eq!((store.entries.len(), mine.len()), (2, 1));
        assert_eq!(mine[0].certificate.as_ref(), Some(&certificate));
        assert!(matches!(KeyStore::read(&file, Some("no"), &[]), Err(Error::WrongKeyPassword { keys: 1 })));
        assert!(KeyStore::read(&file[..file.len() - 40], Some("pw"), &[]).is_err(), "a block without end");
    }

    #[test]
    fn single_der_objects_are_told_apart() {
        let (certificate, key) = testing::self_signed("CN=der", testing::YEAR_2026);
        let read =
            |octets: &[u8]| KeyStore::read(octets, None, &["pw".to_owned()]).unwrap().entries.remove(0);
        assert!(read(certificate.der()).certificate.is_some());
        assert!(read(&key.private_key_to_pkcs8().unwrap()).private_key.is_some());
        assert!(read(&key.private_key_to_der().unwrap()).private_key.is_some());
        assert!(read(&key.public_key_to_der().unwrap()).public_key.is_some());
        let cipher = openssl::symm::Cipher::aes_256_cbc();
        assert!(read(&key.private_key_to_pkcs8_passphrase(cipher, b"pw").unwrap()).private_key.is_some());
    }
}
