//! What the cryptography of one exchange costs, measured in this process with the same library.
//!
//! One exchange: A signs the message and wraps the content key; B unwraps it, verifies the signature, and signs the receipt;
//! A verifies that. Every payload octet is hashed and ciphered on both sides, and once more on each side for TLS.

use std::fs;
use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result};
use openssl::derive::Deriver;
use openssl::encrypt::{Decrypter, Encrypter};
use openssl::hash::MessageDigest;
use openssl::md::Md;
use openssl::pkey::{PKey, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{Signer, Verifier};
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};

use crate::stage::Kind;

/// Each operation is repeated for so long.
const MEASURE: Duration = Duration::from_millis(400);
/// Octets of a SignedInfo, about.
const SIGNED_INFO: usize = 2000;

/// Processor time of single operations.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Bound {
    /// One signature by a private key, in seconds.
    pub sign: f64,
    /// One verification, in seconds.
    pub verify: f64,
    /// Wrapping a content key for a certificate, or agreeing on one, in seconds.
    pub wrap: f64,
    /// The same with the private key, in seconds.
    pub unwrap: f64,
    /// SHA-256, in seconds an octet.
    pub hash: f64,
    /// AES-128-GCM, in seconds an octet; decrypting costs the same.
    pub cipher: f64,
}

impl Bound {
    /// Measures the operations of a profile. `bits` is the length of RSA keys.
    pub fn measure(kind: Kind, bits: u32) -> Result<Self> {
        let megabyte = vec![7_u8; 1 << 20];
        let hash = cost(|| {
            black_box(openssl::sha::sha256(&megabyte));
            Ok(())
        })? / megabyte.len() as f64;
        let (key, iv) = ([1; 16], [2; 12]);
        let mut tag = [0; 16];
        let sealed = encrypt_aead(Cipher::aes_128_gcm(), &key, Some(&iv), &[], &megabyte, &mut tag)?;
        let cipher = cost(|| {
            decrypt_aead(Cipher::aes_128_gcm(), &key, Some(&iv), &[], &sealed, &tag)
                .map(drop)
                .map_err(Into::into)
        })? / megabyte.len() as f64;
        let (sign, verify) = signatures(&signing_key(kind, bits)?)?;
        let (wrap, unwrap) = match kind {
            Kind::Rsa => oaep(bits)?,
            Kind::Eddsa => agreement(&PKey::generate_x25519()?, &PKey::generate_x25519()?)?,
            Kind::Ec => agreement(&signing_key(kind, bits)?, &signing_key(kind, bits)?)?,
        };
        Ok(Self { sign, verify, wrap, unwrap, hash, cipher })
    }

    /// Processor seconds that the cryptography of one exchange of `octets` needs, on both sides together.
    pub fn exchange(&self, octets: u64) -> f64 {
        let keys = 2.0 * self.sign + 2.0 * self.verify + self.wrap + self.unwrap;
        // Hashed by A and B; ciphered by A and B for WS-Security, and by A and B for TLS.
        keys + octets as f64 * (2.0 * self.hash + 4.0 * self.cipher)
    }
}

fn signing_key(kind: Kind, bits: u32) -> Result<PKey<Private>> {
    Ok(match kind {
        Kind::Rsa => PKey::from_rsa(Rsa::generate(bits)?)?,
        Kind::Eddsa => PKey::generate_ed25519()?,
        Kind::Ec => {
            let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1)?;
            PKey::from_ec_key(openssl::ec::EcKey::generate(&group)?)?
        }
    })
}

fn signatures(key: &PKey<Private>) -> Result<(f64, f64)> {
    let text = [7; SIGNED_INFO];
    let plain = key.id() == openssl::pkey::Id::ED25519;
    let signer = || match plain {
        true => Signer::new_without_digest(key),
        false => Signer::new(MessageDigest::sha256(), key),
    };
    let value = signer()?.sign_oneshot_to_vec(&text)?;
    let sign = cost(|| signer()?.sign_oneshot_to_vec(&text).map(drop).map_err(Into::into))?;
    let verify = cost(|| {
        let mut verifier = match plain {
            true => Verifier::new_without_digest(key)?,
            false => Verifier::new(MessageDigest::sha256(), key)?,
        };
        anyhow::ensure!(verifier.verify_oneshot(&value, &text)?, "the signature does not verify");
        Ok(())
    })?;
    Ok((sign, verify))
}

fn oaep(bits: u32) -> Result<(f64, f64)> {
    let key = PKey::from_rsa(Rsa::generate(bits)?)?;
    let mut encrypter = Encrypter::new(&key)?;
    encrypter.set_rsa_padding(Padding::PKCS1_OAEP)?;
    encrypter.set_rsa_oaep_md(MessageDigest::sha256())?;
    encrypter.set_rsa_mgf1_md(MessageDigest::sha256())?;
    let mut wrapped = vec![0; encrypter.encrypt_len(&[1; 16])?];
    let length = encrypter.encrypt(&[1; 16], &mut wrapped)?;
    wrapped.truncate(length);
    let mut out = vec![0; wrapped.len()];
    let wrap = cost(|| encrypter.encrypt(&[1; 16], &mut out).map(drop).map_err(Into::into))?;
    let mut decrypter = Decrypter::new(&key)?;
    decrypter.set_rsa_padding(Padding::PKCS1_OAEP)?;
    decrypter.set_rsa_oaep_md(MessageDigest::sha256())?;
    decrypter.set_rsa_mgf1_md(MessageDigest::sha256())?;
    let mut out = vec![0; decrypter.decrypt_len(&wrapped)?];
    let unwrap = cost(|| decrypter.decrypt(&wrapped, &mut out).map(drop).map_err(Into::into))?;
    Ok((wrap, unwrap))
}

/// The sender makes an ephemeral key and agrees; the recipient agrees. HKDF and AES-KW are small beside that.
fn agreement(ours: &PKey<Private>, theirs: &PKey<Private>) -> Result<(f64, f64)> {
    let public = PKey::public_key_from_der(&theirs.public_key_to_der()?)?;
    let agree = || -> Result<Vec<u8>> {
        let mut deriver = Deriver::new(ours)?;
        deriver.set_peer(&public)?;
        Ok(deriver.derive_to_vec()?)
    };
    let secret = agree()?;
    let derive = || -> Result<()> {
        let mut context = PkeyCtx::new_id(openssl::pkey::Id::HKDF)?;
        context.derive_init()?;
        context.set_hkdf_md(Md::sha256())?;
        context.set_hkdf_key(&secret)?;
        context.set_hkdf_salt(&[3; 16])?;
        context.derive(Some(&mut [0; 16]))?;
        Ok(())
    };
    let unwrap = cost(|| agree().map(drop).and_then(|()| derive()))?;
    let generate = cost(|| match ours.id() {
        openssl::pkey::Id::X25519 => PKey::generate_x25519().map(drop).map_err(Into::into),
        _ => signing_key(Kind::Ec, 0).map(drop),
    })?;
    Ok((unwrap + generate, unwrap))
}

/// Processor seconds of one call, over as many calls as fit into [`MEASURE`].
fn cost(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    work()?;
    let (begun, before) = (std::time::Instant::now(), thread_seconds()?);
    let mut calls = 0_u32;
    while begun.elapsed() < MEASURE {
        work()?;
        calls += 1;
    }
    Ok((thread_seconds()? - before) / f64::from(calls.max(1)))
}

/// Processor time of this thread so far, in seconds.
fn thread_seconds() -> Result<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: u64 = text.split(' ').next().and_then(|n| n.parse().ok()).context("no schedstat")?;
    Ok(nanoseconds as f64 / 1e9)
}
