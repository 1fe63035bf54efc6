//! Writing xenc:EncryptedKey: RSA-OAEP, or AES key wrap under an agreed key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::aes::{AesKey, wrap_key};
use openssl::encrypt::Encrypter;
use openssl::hash::MessageDigest;
use openssl::pkey::{HasPublic, Id, PKeyRef, Public};
use openssl::rsa::Padding;

use crate::xml::Writer;

use super::agree::agree_on;
use super::error::Error;
use super::gcm::ContentKey;
use super::names::{DS, KW_AES128, MGF1_SHA256, RSA_OAEP, SHA256, XENC, XENC11};

/// Octets of the key that wraps: AES-128.
const WRAPPING: usize = 16;
/// Octets that AES key wrap adds (RFC 3394).
const WRAP_OVERHEAD: usize = 8;

/// The ways in which a content key is protected here; the recipient's key decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyEncryption {
    /// RSA-OAEP with SHA-256 and MGF1-SHA-256 (eDelivery AS4 1.15).
    RsaOaep,
    /// X25519, HKDF, AES-128 key wrap (eDelivery AS4 2.0).
    X25519,
    /// ECDH-ES, HKDF, AES-128 key wrap (eDelivery AS4 2.0, alternative elliptic curves).
    EcdhEs,
}

impl KeyEncryption {
    /// The way for a recipient with this key; `None` for keys that only sign.
    pub fn for_key<T: HasPublic>(key: &PKeyRef<T>) -> Option<Self> {
        match key.id() {
            Id::RSA => Some(Self::RsaOaep),
            Id::X25519 => Some(Self::X25519),
            Id::EC => Some(Self::EcdhEs),
            _ => None,
        }
    }
}

/// Writes an xenc:EncryptedKey in the way of the recipient's key ([`KeyEncryption::for_key`]), prefixes `xenc` and `ds`
/// declared on it. `token` is the XML that names the recipient's certificate, `data_ids` are the Ids of the EncryptedData.
///
/// # Errors
/// [`Error::KeyType`] for a key that nothing can be encrypted for.
pub fn write_encrypted_key(
    id: &str,
    content_key: &ContentKey,
    recipient: &PKeyRef<Public>,
    token: &str,
    data_ids: &[String],
) -> Result<String, Error> {
    let protected = match KeyEncryption::for_key(recipient) {
        Some(KeyEncryption::RsaOaep) => by_oaep(recipient, token, content_key.octets())?,
        Some(KeyEncryption::X25519 | KeyEncryption::EcdhEs) => {
            by_agreement(recipient, token, content_key.octets())?
        }
        None => return Err(Error::KeyType("key encryption".to_owned())),
    };
    let mut xml = Writer::new();
    xml.start("xenc:EncryptedKey").attr("xmlns:xenc", XENC).attr("Id", id);
    xml.raw(&protected.method);
    xml.start("ds:KeyInfo").attr("xmlns:ds", DS).raw(&protected.key_info).end();
    xml.start("xenc:CipherData").leaf("xenc:CipherValue", &STANDARD.encode(protected.value)).end();
    xml.start("xenc:ReferenceList");
    for data in data_ids {
        xml.start("xenc:DataReference").attr("URI", &format!("#{data}")).end();
    }
    Ok(xml.into_string())
}

/// The protected key, with its EncryptionMethod and the inside of its KeyInfo.
struct Protected {
    method: String,
    key_info: String,
    value: Vec<u8>,
}

fn by_oaep(recipient: &PKeyRef<Public>, token: &str, octets: &[u8]) -> Result<Protected, Error> {
    let mut xml = Writer::new();
    xml.start("xenc:EncryptionMethod").attr("Algorithm", RSA_OAEP);
    xml.start("ds:DigestMethod").attr("xmlns:ds", DS).attr("Algorithm", SHA256).end();
    xml.start("xenc11:MGF").attr("xmlns:xenc11", XENC11).attr("Algorithm", MGF1_SHA256).end();
    let value = wrap_oaep(recipient, octets)?;
    Ok(Protected { method: xml.into_string(), key_info: token.to_owned(), value })
}

fn by_agreement(recipient: &PKeyRef<Public>, token: &str, octets: &[u8]) -> Result<Protected, Error> {
    let agreed = agree_on(recipient, token, WRAPPING)?;
    let mut xml = Writer::new();
    xml.start("xenc:EncryptionMethod").attr("Algorithm", KW_AES128);
    let value = wrap_aes(&agreed.key, octets)?;
    Ok(Protected { method: xml.into_string(), key_info: agreed.method, value })
}

fn wrap_oaep(recipient: &PKeyRef<Public>, octets: &[u8]) -> Result<Vec<u8>, Error> {
    let mut encrypter = Encrypter::new(recipient)?;
    encrypter.set_rsa_padding(Padding::PKCS1_OAEP)?;
    encrypter.set_rsa_oaep_md(MessageDigest::sha256())?;
    encrypter.set_rsa_mgf1_md(MessageDigest::sha256())?;
    let mut wrapped = vec![0; encrypter.encrypt_len(octets)?];
    let length = encrypter.encrypt(octets, &mut wrapped)?;
    wrapped.truncate(length);
    Ok(wrapped)
}

fn wrap_aes(key: &[u8], octets: &[u8]) -> Result<Vec<u8>, Error> {
    let failed = || Error::Crypto("AES key wrap failed".to_owned());
    let key = AesKey::new_encrypt(key).map_err(|_| failed())?;
    let mut wrapped = vec![0; octets.len() + WRAP_OVERHEAD];
    let length = wrap_key(&key, None, &mut wrapped, octets).map_err(|_| failed())?;
    wrapped.truncate(length);
    Ok(wrapped)
}

#[cfg(test)]
mod tests {
    use openssl::pkey::{PKey, Private};
    use proptest::prelude::*;

    use super::*;
    use crate::pki::testing::{curve_key, ec_key, ed25519_key, rsa_key, x25519_key};
    use crate::xml::{Document, Limits};
    use crate::xmlsec::names::{AES128_GCM, ECDH_ES, HKDF, HMAC_SHA256, X25519};
    use crate::xmlsec::{ContentAlgorithm, EncryptedKey};
    use openssl::nid::Nid;

    fn public(key: &PKey<Private>) -> PKey<Public> {
        PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap()
    }

    fn written(content: &ContentKey, key: &PKey<Private>) -> String {
        write_encrypted_key("EK-1", content, &public(key), "<a/>", &["ED-1".into(), "ED-2".into()]).unwrap()
    }

    fn content() -> ContentKey {
        ContentKey::random(ContentAlgorithm::from_uri(AES128_GCM).unwrap()).unwrap()
    }

    fn parse(xml: &str) -> Document {
        Document::parse(xml.as_bytes(), &Limits::default()).unwrap()
    }

    #[test]
    fn an_oaep_key_comes_out_as_it_went_in_and_every_failure_reads_the_same() {
        let (key, other, content) = (rsa_key(), rsa_key(), content());
        let document = parse(&written(&content, &key));
        let mut read = EncryptedKey::parse(document.root()).unwrap();
        assert_eq!((read.algorithm, read.digest, read.mgf), (RSA_OAEP, Some(SHA256), Some(MGF1_SHA256)));
        assert_eq!(read.data_references, ["#ED-1", "#ED-2"]);
        assert_eq!(read.unwrap(&key, &[]).unwrap(), content.octets());
        assert_eq!(read.unwrap(&other, &[]), Err(Error::Decryption));
        read.cipher_value[0] ^= 1;
        assert_eq!(read.unwrap(&key, &[]), Err(Error::Decryption));
        read.cipher_value.clear();
        assert_eq!(read.unwrap(&key, &[]), Err(Error::Decryption));
        read.algorithm = "http://www.w3.org/2001/04/xmlenc#rsa-1_5";
        assert!(matches!(read.unwrap(&key, &[]), Err(Error::Unsupported { .. })));
    }

    #[test]
    fn an_agreed_key_comes_out_as_it_went_in() {
        let curves = [Nid::SECP384R1, Nid::SECP521R1, Nid::BRAINPOOL_P256R1, Nid::X9_62_PRIME256V1];
        let keys = curves.iter().map(|curve| (ECDH_ES, curve_key(*curve)));
        for (algorithm, key) in keys.chain([(X25519, x25519_key())]) {
            let content = content();
            let document = parse(&written(&content, &key));
            let mut read = EncryptedKey::parse(document.root()).unwrap();
            let by = read.agreement.clone().unwrap();
            assert_eq!((read.algorithm, by.algorithm), (KW_AES128, algorithm));
            assert_eq!((by.kdf, by.prf), (Some(HKDF), Some(HMAC_SHA256)));
            assert_eq!(by.recipient.unwrap().children().next().unwrap().local(), "a");
            assert_eq!(read.cipher_value.len(), 24);
            assert_eq!(read.data_references, ["#ED-1", "#ED-2"]);
            assert_eq!(read.unwrap(&key, &[]).unwrap(), content.octets());
            for other in [rsa_key(), ec_key(), x25519_key()] {
                assert_eq!(read.unwrap(&other, &[]), Err(Error::Decryption));
            }
            read.cipher_value[3] ^= 1;
            assert_eq!(read.unwrap(&key, &[]), Err(Error::Decryption));
        }
    }

    #[test]
    fn the_originator_of_x25519_is_44_octets_and_new_each_time() {
        let (key, content) = (x25519_key(), content());
        let originator = |xml: &str| {
            let start = xml.find("\"http://www.w3.org/2009/xmldsig11#\">").unwrap() + 36;
            xml[start..].split('<').next().unwrap().to_owned()
        };
        let (one, two) = (originator(&written(&content, &key)), originator(&written(&content, &key)));
        let octets = STANDARD.decode(&one).unwrap();
        assert_eq!((octets.len(), hex::encode(&octets[..12])), (44, "302a300506032b656e032100".to_owned()));
        assert_ne!(one, two);
    }

    #[test]
    fn nothing_is_encrypted_for_a_key_that_only_signs() {
        let key = ed25519_key();
        let refused = write_encrypted_key("EK-1", &content(), &public(&key), "", &[]);
        assert!(matches!(refused, Err(Error::KeyType(_))));
    }

    #[test]
    fn a_low_order_point_of_the_originator_is_refused() {
        let key = x25519_key();
        let xml = written(&content(), &key);
        let start = xml.find("\"http://www.w3.org/2009/xmldsig11#\">").unwrap() + 36;
        let end = start + xml[start..].find('<').unwrap();
        let zero = STANDARD.encode([hex::decode("302a300506032b656e032100").unwrap(), vec![0; 32]].concat());
        let document = parse(&format!("{}{zero}{}", &xml[..start], &xml[end..]));
        let read = EncryptedKey::parse(document.root()).unwrap();
        assert_eq!(read.unwrap(&key, &[]), Err(Error::Decryption));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_changed_octet_of_the_wrapped_key_gives_the_content_key(at in 0usize..24, bits in 1u8..=255, ec: bool) {
            let key = if ec { ec_key() } else { x25519_key() };
            let content = content();
            let document = parse(&written(&content, &key));
            let mut read = EncryptedKey::parse(document.root()).unwrap();
            read.cipher_value[at] ^= bits;
            prop_assert_eq!(read.unwrap(&key, &[]), Err(Error::Decryption));
        }
    }
}
