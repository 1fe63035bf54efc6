//! Algorithm URIs and what they mean.

use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::md::{Md, MdRef};
use openssl::pkey::{HasPublic, Id, PKeyRef, Public};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Verifier};

use super::error::Error;

/// A digest that is known here. SHA-1 and SHA-224 are read, never written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// SHA-1: broken for signatures; policies name it to allow it.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

use DigestAlgorithm::{Sha1, Sha224, Sha256, Sha384, Sha512};

const DIGESTS: [(DigestAlgorithm, &str); 5] = [
    (Sha1, "http://www.w3.org/2000/09/xmldsig#sha1"),
    (Sha224, "http://www.w3.org/2001/04/xmldsig-more#sha224"),
    (Sha256, "http://www.w3.org/2001/04/xmlenc#sha256"),
    (Sha384, "http://www.w3.org/2001/04/xmldsig-more#sha384"),
    (Sha512, "http://www.w3.org/2001/04/xmlenc#sha512"),
];

const MGFS: [(DigestAlgorithm, &str); 5] = [
    (Sha1, "http://www.w3.org/2009/xmlenc11#mgf1sha1"),
    (Sha224, "http://www.w3.org/2009/xmlenc11#mgf1sha224"),
    (Sha256, "http://www.w3.org/2009/xmlenc11#mgf1sha256"),
    (Sha384, "http://www.w3.org/2009/xmlenc11#mgf1sha384"),
    (Sha512, "http://www.w3.org/2009/xmlenc11#mgf1sha512"),
];

impl DigestAlgorithm {
    /// The digest that a DigestMethod URI names.
    pub fn from_uri(uri: &str) -> Option<Self> {
        by_uri(&DIGESTS, uri)
    }

    /// The DigestMethod URI.
    pub fn uri(self) -> &'static str {
        uri_of(&DIGESTS, self)
    }

    /// The digest within the mask generation function that a MGF URI names.
    pub fn from_mgf_uri(uri: &str) -> Option<Self> {
        by_uri(&MGFS, uri)
    }

    /// The URI of MGF1 with this digest.
    pub fn mgf_uri(self) -> &'static str {
        uri_of(&MGFS, self)
    }

    /// Digest of octets at hand.
    pub fn digest(self, octets: &[u8]) -> Result<Vec<u8>, Error> {
        match self {
            // The function itself: OpenSSL 3 looks for an algorithm by its name each time, which costs more than the digest of a header.
            Sha256 => Ok(openssl::sha::sha256(octets).to_vec()),
            _ => Ok(openssl::hash::hash(self.message_digest(), octets)?.to_vec()),
        }
    }

    pub(crate) fn message_digest(self) -> MessageDigest {
        match self {
            Sha1 => MessageDigest::sha1(),
            Sha224 => MessageDigest::sha224(),
            Sha256 => MessageDigest::sha256(),
            Sha384 => MessageDigest::sha384(),
            Sha512 => MessageDigest::sha512(),
        }
    }

    pub(crate) fn md(self) -> &'static MdRef {
        match self {
            Sha1 => Md::sha1(),
            Sha224 => Md::sha224(),
            Sha256 => Md::sha256(),
            Sha384 => Md::sha384(),
            Sha512 => Md::sha512(),
        }
    }
}

/// A digest in progress.
pub struct Hasher(openssl::hash::Hasher, DigestAlgorithm);

impl Hasher {
    /// Begins a digest.
    pub fn new(algorithm: DigestAlgorithm) -> Result<Self, Error> {
        Ok(Self(openssl::hash::Hasher::new(algorithm.message_digest())?, algorithm))
    }

    /// By which algorithm.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.1
    }

    /// Takes more octets.
    pub fn update(&mut self, octets: &[u8]) -> Result<(), Error> {
        Ok(self.0.update(octets)?)
    }

    /// The digest.
    pub fn finish(mut self) -> Result<Vec<u8>, Error> {
        Ok(self.0.finish()?.to_vec())
    }
}

/// A signature algorithm that is verified here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// RSA PKCS#1 v1.5.
    Rsa(DigestAlgorithm),
    /// RSA-PSS with MGF1 and a salt of the digest's length, all with one digest (RFC 6931, 2.3.10).
    RsaPss(DigestAlgorithm),
    /// ECDSA; the value is r and s, each as long as the curve's order.
    Ecdsa(DigestAlgorithm),
    /// Ed25519 over the octets themselves.
    Ed25519,
}

use SignatureAlgorithm::{Ecdsa, Ed25519, Rsa, RsaPss};

const SIGNATURES: [(SignatureAlgorithm, &str); 16] = [
    (Rsa(Sha1), "http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
    (Rsa(Sha224), "http://www.w3.org/2001/04/xmldsig-more#rsa-sha224"),
    (Rsa(Sha256), super::names::RSA_SHA256),
    (Rsa(Sha384), "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384"),
    (Rsa(Sha512), "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"),
    (RsaPss(Sha1), "http://www.w3.org/2007/05/xmldsig-more#sha1-rsa-MGF1"),
    (RsaPss(Sha224), "http://www.w3.org/2007/05/xmldsig-more#sha224-rsa-MGF1"),
    (RsaPss(Sha256), "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"),
    (RsaPss(Sha384), "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1"),
    (RsaPss(Sha512), "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1"),
    (Ecdsa(Sha1), "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"),
    (Ecdsa(Sha224), "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha224"),
    (Ecdsa(Sha256), super::names::ECDSA_SHA256),
    (Ecdsa(Sha384), "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"),
    (Ecdsa(Sha512), "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512"),
    (Ed25519, super::names::EDDSA_ED25519),
];

impl SignatureAlgorithm {
    /// The algorithm that a SignatureMethod URI names.
    pub fn from_uri(uri: &str) -> Option<Self> {
        by_uri(&SIGNATURES, uri)
    }

    /// The SignatureMethod URI.
    pub fn uri(self) -> &'static str {
        uri_of(&SIGNATURES, self)
    }

    /// The digest within; Ed25519 has its own.
    pub fn digest(self) -> Option<DigestAlgorithm> {
        match self {
            Rsa(digest) | RsaPss(digest) | Ecdsa(digest) => Some(digest),
            Ed25519 => None,
        }
    }

    /// Whether a key is of the type that the algorithm needs.
    pub fn fits<T: HasPublic>(self, key: &PKeyRef<T>) -> bool {
        match self {
            Rsa(_) => key.id() == Id::RSA,
            RsaPss(_) => matches!(key.id(), Id::RSA | Id::RSA_PSS),
            Ecdsa(_) => key.id() == Id::EC,
            Ed25519 => key.id() == Id::ED25519,
        }
    }

    /// Whether `value` is this key's signature over `octets`. A key of another type is an error, not a bad signature.
    pub fn verify(self, key: &PKeyRef<Public>, octets: &[u8], value: &[u8]) -> Result<bool, Error> {
        if !self.fits(key) {
            return Err(Error::KeyType(self.uri().to_owned()));
        }
        let verified = match self {
            Rsa(digest) => Verifier::new(digest.message_digest(), key)?.verify_oneshot(value, octets),
            RsaPss(digest) => {
                let mut verifier = Verifier::new(digest.message_digest(), key)?;
                verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
                verifier.set_rsa_mgf1_md(digest.message_digest())?;
                verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
                verifier.verify_oneshot(value, octets)
            }
            Ecdsa(digest) => match der_of(value) {
                Some(der) => Verifier::new(digest.message_digest(), key)?.verify_oneshot(&der, octets),
                None => return Ok(false),
            },
            Ed25519 => Verifier::new_without_digest(key)?.verify_oneshot(value, octets),
        };
        // OpenSSL reports a value of the wrong length or form as an error: that too is a bad signature.
        Ok(verified.unwrap_or(false))
    }
}

/// r and s side by side (XML Signature 1.1, 6.4.3) as the DER that OpenSSL verifies.
fn der_of(value: &[u8]) -> Option<Vec<u8>> {
    if value.is_empty() || !value.len().is_multiple_of(2) || value.len() > 2 * LONGEST_ORDER {
        return None;
    }
    let (r, s) = value.split_at(value.len() / 2);
    let (r, s) = (BigNum::from_slice(r).ok()?, BigNum::from_slice(s).ok()?);
    EcdsaSig::from_private_components(r, s).ok()?.to_der().ok()
}

/// Octets of the order of the longest curve (secp521r1).
const LONGEST_ORDER: usize = 66;

/// AES-GCM as content encryption; CBC is known to no one here (CVE-2011-1096).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentAlgorithm {
    /// AES-128-GCM, the one that eDelivery uses.
    Aes128Gcm,
    /// AES-192-GCM.
    Aes192Gcm,
    /// AES-256-GCM.
    Aes256Gcm,
}

const CONTENTS: [(ContentAlgorithm, &str); 3] = [
    (ContentAlgorithm::Aes128Gcm, super::names::AES128_GCM),
    (ContentAlgorithm::Aes192Gcm, "http://www.w3.org/2009/xmlenc11#aes192-gcm"),
    (ContentAlgorithm::Aes256Gcm, "http://www.w3.org/2009/xmlenc11#aes256-gcm"),
];

impl ContentAlgorithm {
    /// The algorithm that an EncryptionMethod URI names.
    pub fn from_uri(uri: &str) -> Option<Self> {
        by_uri(&CONTENTS, uri)
    }

    /// The EncryptionMethod URI.
    pub fn uri(self) -> &'static str {
        uri_of(&CONTENTS, self)
    }

    /// Octets of its key.
    pub fn key_length(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes192Gcm => 24,
            Self::Aes256Gcm => 32,
        }
    }
}

fn by_uri<T: Copy>(table: &[(T, &str)], uri: &str) -> Option<T> {
    table.iter().find(|(_, known)| *known == uri).map(|(algorithm, _)| *algorithm)
}

fn uri_of<T: PartialEq>(table: &[(T, &'static str)], algorithm: T) -> &'static str {
    table.iter().find(|(known, _)| *known == algorithm).map_or("", |(_, uri)| *uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_uri_reads_back() {
        for (algorithm, uri) in SIGNATURES {
            assert_eq!(SignatureAlgorithm::from_uri(uri), Some(algorithm));
            assert_eq!(algorithm.uri(), uri);
        }
        for (digest, uri) in DIGESTS {
            assert_eq!(DigestAlgorithm::from_uri(digest.uri()), Some(digest));
            assert_eq!(DigestAlgorithm::from_uri(uri), Some(digest));
            assert_eq!(DigestAlgorithm::from_mgf_uri(digest.mgf_uri()), Some(digest));
        }
        assert_eq!(ContentAlgorithm::from_uri("http://www.w3.org/2001/04/xmlenc#aes128-cbc"), None);
    }

    #[test]
    fn an_ecdsa_value_of_another_form_is_a_bad_signature() {
        let key =
            crate::pki::testing::self_signed("CN=x", crate::pki::testing::YEAR_2026).0.public_key().unwrap();
        if key.id() != Id::EC {
            return;
        }
        for value in [vec![], vec![1], vec![0; 64], vec![7; 64], vec![7; 200]] {
            assert_eq!(Ecdsa(Sha256).verify(&key, b"x", &value), Ok(false));
        }
        assert!(matches!(Rsa(Sha256).verify(&key, b"x", &[1]), Err(Error::KeyType(_))));
    }
}
