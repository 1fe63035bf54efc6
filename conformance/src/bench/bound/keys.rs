//! What is done once or twice a message, with the keys.

use anyhow::Result;
use openssl::derive::Deriver;
use openssl::encrypt::{Decrypter, Encrypter};
use openssl::hash::MessageDigest;
use openssl::md::Md;
use openssl::pkey::{PKey, Private};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{Signer, Verifier};

use super::cost;
use crate::stage::Kind;

/// Octets of a SignedInfo, about.
const SIGNED_INFO: usize = 2000;

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

/// What a signature and its verification cost, in seconds.
pub(super) fn signatures(kind: Kind, bits: u32) -> Result<(f64, f64)> {
    let key = &signing_key(kind, bits)?;
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

/// What it costs to wrap a content key, or to agree on one, and to unwrap it, in seconds.
pub(super) fn content_key(kind: Kind, bits: u32) -> Result<(f64, f64)> {
    match kind {
        Kind::Rsa => oaep(bits),
        Kind::Eddsa => agreement(&PKey::generate_x25519()?, &PKey::generate_x25519()?),
        Kind::Ec => agreement(&signing_key(kind, bits)?, &signing_key(kind, bits)?),
    }
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
