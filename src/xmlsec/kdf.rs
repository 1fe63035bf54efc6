//! Key derivation: from an agreed secret to a key-encryption key (as4-wire 2.5, 2.6).

use openssl::pkey::Id;
use openssl::pkey_ctx::{HkdfMode, PkeyCtx};

use super::algorithms::DigestAlgorithm;
use super::error::Error;

/// HKDF (RFC 5869) with this digest; an empty salt means as many zero octets as the digest is long.
pub(super) fn hkdf_octets(
    digest: DigestAlgorithm,
    (salt, info): (&[u8], &[u8]),
    secret: &[u8],
    length: usize,
) -> Result<Vec<u8>, Error> {
    let mut context = PkeyCtx::new_id(Id::HKDF)?;
    context.derive_init()?;
    context.set_hkdf_mode(HkdfMode::EXTRACT_THEN_EXPAND)?;
    context.set_hkdf_md(digest.md())?;
    context.set_hkdf_key(secret)?;
    if !salt.is_empty() {
        context.set_hkdf_salt(salt)?;
    }
    if !info.is_empty() {
        context.add_hkdf_info(info)?;
    }
    let mut key = vec![0; length];
    context.derive(Some(&mut key))?;
    Ok(key)
}

/// ConcatKDF (XML Encryption 1.1, 5.4.1; NIST SP 800-56A).
pub(super) fn concat_octets(
    digest: DigestAlgorithm,
    other_info: &[u8],
    secret: &[u8],
    length: usize,
) -> Result<Vec<u8>, Error> {
    let mut key = Vec::new();
    let mut counter: u32 = 1;
    while key.len() < length {
        key.extend(digest.digest(&[&counter.to_be_bytes(), secret, other_info].concat())?);
        counter += 1;
    }
    key.truncate(length);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5869, A.1 and A.3.
    #[test]
    fn hkdf_gives_the_octets_of_its_rfc() {
        let info = hex::decode("f0f1f2f3f4f5f6f7f8f9").unwrap();
        let salt = hex::decode("000102030405060708090a0b0c").unwrap();
        let key = hkdf_octets(DigestAlgorithm::Sha256, (&salt, &info), &[0x0b; 22], 42).unwrap();
        assert_eq!(
            hex::encode(key),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        );
        let key = hkdf_octets(DigestAlgorithm::Sha256, (&[], &[]), &[0x0b; 22], 16).unwrap();
        assert_eq!(hex::encode(key), "8da4e775a563c18f715f802a063c5a31");
    }
}
