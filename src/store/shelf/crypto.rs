//! What requests to S3 are signed with: OpenSSL, as everything here.

use object_store::Result;
use object_store::client::{
    CryptoProvider, DigestAlgorithm, DigestContext, HmacContext, Signer, SigningAlgorithm,
};
use openssl::hash::{Hasher, MessageDigest};
use openssl::md::Md;
use openssl::md_ctx::MdCtx;
use openssl::pkey::{PKey, Private};

/// OpenSSL for the library.
#[derive(Debug)]
pub(super) struct OpenSsl;

impl CryptoProvider for OpenSsl {
    fn digest(&self, algorithm: DigestAlgorithm) -> Result<Box<dyn DigestContext>> {
        sha256(&algorithm)?;
        let hasher = Hasher::new(MessageDigest::sha256()).map_err(failed)?;
        Ok(Box::new(Digest { hasher, failed: None, digest: Vec::new() }))
    }

    fn hmac(&self, algorithm: DigestAlgorithm, secret: &[u8]) -> Result<Box<dyn HmacContext>> {
        sha256(&algorithm)?;
        let key = PKey::hmac(secret).map_err(failed)?;
        let mut context = MdCtx::new().map_err(failed)?;
        context.digest_sign_init(Some(Md::sha256()), &key).map_err(failed)?;
        Ok(Box::new(Hmac { context, _key: key, failed: None, code: Vec::new() }))
    }

    fn sign(&self, _: SigningAlgorithm, _: &[u8]) -> Result<Box<dyn Signer>> {
        Err(not_supported("signing with RSA"))
    }
}

fn sha256(algorithm: &DigestAlgorithm) -> Result<()> {
    match algorithm {
        DigestAlgorithm::Sha256 => Ok(()),
        other => Err(not_supported(&format!("{other:?}"))),
    }
}

fn not_supported(what: &str) -> object_store::Error {
    object_store::Error::NotSupported { source: format!("{what} is not needed for S3").into() }
}

fn failed(error: openssl::error::ErrorStack) -> object_store::Error {
    object_store::Error::Generic { store: "S3", source: Box::new(error) }
}

type Failed = Option<openssl::error::ErrorStack>;

struct Digest {
    hasher: Hasher,
    failed: Failed,
    digest: Vec<u8>,
}

impl DigestContext for Digest {
    fn update(&mut self, data: &[u8]) {
        self.failed = self.failed.take().or(self.hasher.update(data).err());
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.failed.take().map_or(Ok(()), |error| Err(failed(error)))?;
        self.digest = self.hasher.finish().map_err(failed)?.to_vec();
        Ok(&self.digest)
    }
}

struct Hmac {
    context: MdCtx,
    _key: PKey<Private>,
    failed: Failed,
    code: Vec<u8>,
}

impl HmacContext for Hmac {
    fn update(&mut self, data: &[u8]) {
        self.failed = self.failed.take().or(self.context.digest_sign_update(data).err());
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.failed.take().map_or(Ok(()), |error| Err(failed(error)))?;
        self.code.clear();
        self.context.digest_sign_final_to_vec(&mut self.code).map_err(failed)?;
        Ok(&self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, 4.3.
    #[test]
    fn the_code_is_that_of_the_standard() {
        let mut context = OpenSsl.hmac(DigestAlgorithm::Sha256, b"Jefe").unwrap();
        context.update(b"what do ya want ");
        context.update(b"for nothing?");
        let code = hex::encode(context.finish().unwrap());
        assert_eq!(code, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn the_digest_is_that_of_all_octets() {
        let mut context = OpenSsl.digest(DigestAlgorithm::Sha256).unwrap();
        context.update(b"a");
        context.update(b"b");
        assert_eq!(context.finish().unwrap(), openssl::sha::sha256(b"ab"));
    }
}
