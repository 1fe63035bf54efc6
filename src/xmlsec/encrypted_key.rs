//! xenc:EncryptedKey and xenc:EncryptedData: read and unwrapped.

use openssl::aes::{AesKey, unwrap_key};
use openssl::pkey::{PKey, PKeyRef, Private, Public};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;

use crate::xml::Element;

use super::agreement::Agreement;
use super::algorithms::{ContentAlgorithm, DigestAlgorithm};
use super::error::Error;
use super::keys::decode_base64;
use super::names::{DS, KW_AES128, RSA_OAEP, RSA_OAEP_MGF1P, XENC, XENC11};

/// An xenc:EncryptedKey as written.
#[derive(Debug, Clone)]
pub struct EncryptedKey<'d> {
    /// The xenc:EncryptedKey.
    pub element: Element<'d>,
    /// URI of its EncryptionMethod.
    pub algorithm: &'d str,
    /// URI of the OAEP digest, the default as what it means; `None` where there is no OAEP.
    pub digest: Option<&'d str>,
    /// URI of the OAEP mask generation function, the default as what it means.
    pub mgf: Option<&'d str>,
    /// Its ds:KeyInfo.
    pub key_info: Option<Element<'d>>,
    /// The key agreement, where there is one.
    pub agreement: Option<Agreement<'d>>,
    /// The wrapped key.
    pub cipher_value: Vec<u8>,
    /// `#id` of each DataReference.
    pub data_references: Vec<&'d str>,
    label: Vec<u8>,
}

impl<'d> EncryptedKey<'d> {
    /// Takes an xenc:EncryptedKey apart.
    pub fn parse(element: Element<'d>) -> Result<Self, Error> {
        let method = element.child(XENC, "EncryptionMethod");
        let algorithm = method.and_then(|m| m.attribute("Algorithm")).unwrap_or_default();
        let oaep = is_oaep(algorithm);
        let inside = |ns: &str, local: &str| method?.child(ns, local)?.attribute("Algorithm");
        let label = method
            .and_then(|m| m.child(XENC, "OAEPparams"))
            .map(|e| decode_base64(&e.text()).ok_or_else(|| Error::structure("OAEPparams is not base64")))
            .transpose()?;
        let key_info = element.child(DS, "KeyInfo");
        let references = element.child(XENC, "ReferenceList");
        Ok(Self {
            element,
            algorithm,
            digest: oaep.then(|| inside(DS, "DigestMethod").unwrap_or(super::names::SHA1)),
            mgf: oaep.then(|| inside(XENC11, "MGF").unwrap_or(super::names::MGF1_SHA1)),
            key_info,
            agreement: key_info.and_then(|k| k.child(XENC, "AgreementMethod")).map(Agreement::parse),
            cipher_value: cipher_value(element)?,
            data_references: references
                .into_iter()
                .flat_map(|list| list.children_named(XENC, "DataReference"))
                .filter_map(|reference| reference.attribute("URI"))
                .collect(),
            label: label.unwrap_or_default(),
        })
    }

    /// Whether the algorithms of the key transport are known here.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with the first that is not.
    pub fn check_supported(&self) -> Result<(), Error> {
        match (is_oaep(self.algorithm), wrap_length(self.algorithm), &self.agreement) {
            (true, ..) => self.oaep_digests().map(|_| ()),
            (_, Some(_), Some(_)) => Ok(()),
            _ => Err(Error::unsupported("key encryption", self.algorithm)),
        }
    }

    /// The octets of the wrapped key. `originators`: keys that the sender may have agreed with, tried where the message
    /// does not carry its own.
    ///
    /// # Errors
    /// [`Error::Decryption`] for every failure that depends on key or content.
    pub fn unwrap(&self, key: &PKeyRef<Private>, originators: &[PKey<Public>]) -> Result<Vec<u8>, Error> {
        self.check_supported()?;
        match (&self.agreement, wrap_length(self.algorithm)) {
            (Some(agreement), Some(length)) => {
                let candidates = agreement.derive(key, originators, length).map_err(|_| Error::Decryption)?;
                candidates.iter().find_map(|kek| unwrap_aes(kek, &self.cipher_value)).ok_or(Error::Decryption)
            }
            _ => self.unwrap_oaep(key).map_err(|_| Error::Decryption),
        }
    }

    fn unwrap_oaep(&self, key: &PKeyRef<Private>) -> Result<Vec<u8>, Error> {
        let (digest, mgf) = self.oaep_digests()?;
        let mut context = PkeyCtx::new(key)?;
        context.decrypt_init()?;
        context.set_rsa_padding(Padding::PKCS1_OAEP)?;
        context.set_rsa_oaep_md(digest.md())?;
        context.set_rsa_mgf1_md(mgf.md())?;
        if !self.label.is_empty() {
            context.set_rsa_oaep_label(&self.label)?;
        }
        let mut octets = Vec::new();
        context.decrypt_to_vec(&self.cipher_value, &mut octets)?;
        Ok(octets)
    }

    fn oaep_digests(&self) -> Result<(DigestAlgorithm, DigestAlgorithm), Error> {
        let (digest, mgf) = (self.digest.unwrap_or_default(), self.mgf.unwrap_or_default());
        Ok((
            DigestAlgorithm::from_uri(digest).ok_or_else(|| Error::unsupported("OAEP digest", digest))?,
            DigestAlgorithm::from_mgf_uri(mgf).ok_or_else(|| Error::unsupported("MGF", mgf))?,
        ))
    }
}

/// An xenc:EncryptedData as written.
#[derive(Debug, Clone)]
pub struct EncryptedData<'d> {
    /// The xenc:EncryptedData.
    pub element: Element<'d>,
    /// URI of its EncryptionMethod.
    pub algorithm: &'d str,
    /// Media type before encryption. Not covered by any signature (as4-wire 2.3).
    pub mime_type: Option<&'d str>,
    /// URI of its Type.
    pub data_type: Option<&'d str>,
    /// `cid:` that its CipherReference names.
    pub cipher_reference: Option<&'d str>,
    /// URIs of the transforms of the CipherReference.
    pub transforms: Vec<&'d str>,
    /// Its ds:KeyInfo.
    pub key_info: Option<Element<'d>>,
}

impl<'d> EncryptedData<'d> {
    /// Takes an xenc:EncryptedData apart.
    pub fn parse(element: Element<'d>) -> Self {
        let reference = element.child(XENC, "CipherData").and_then(|d| d.child(XENC, "CipherReference"));
        let method = element.child(XENC, "EncryptionMethod");
        Self {
            element,
            algorithm: method.and_then(|m| m.attribute("Algorithm")).unwrap_or_default(),
            mime_type: element.attribute("MimeType"),
            data_type: element.attribute("Type"),
            cipher_reference: reference.and_then(|r| r.attribute("URI")),
            transforms: reference
                .and_then(|r| r.child(XENC, "Transforms"))
                .into_iter()
                .flat_map(|all| all.children_named(DS, "Transform"))
                .filter_map(|transform| transform.attribute("Algorithm"))
                .collect(),
            key_info: element.child(DS, "KeyInfo"),
        }
    }

    /// The content algorithm, when it is known.
    pub fn content_algorithm(&self) -> Result<ContentAlgorithm, Error> {
        ContentAlgorithm::from_uri(self.algorithm)
            .ok_or_else(|| Error::unsupported("content encryption", self.algorithm))
    }

    /// The octets of its CipherValue, where the content stands in the XML itself.
    pub fn cipher_value(&self) -> Result<Vec<u8>, Error> {
        cipher_value(self.element)
    }
}

fn is_oaep(algorithm: &str) -> bool {
    matches!(algorithm, RSA_OAEP | RSA_OAEP_MGF1P)
}

/// Octets of the key that an AES key wrap algorithm needs.
fn wrap_length(algorithm: &str) -> Option<usize> {
    match algorithm {
        KW_AES128 => Some(16),
        "http://www.w3.org/2001/04/xmlenc#kw-aes192" => Some(24),
        "http://www.w3.org/2001/04/xmlenc#kw-aes256" => Some(32),
        _ => None,
    }
}

fn unwrap_aes(kek: &[u8], wrapped: &[u8]) -> Option<Vec<u8>> {
    let key = AesKey::new_decrypt(kek).ok()?;
    let mut octets = vec![0; wrapped.len().checked_sub(8)?];
    let length = unwrap_key(&key, None, &mut octets, wrapped).ok()?;
    octets.truncate(length);
    Some(octets)
}

fn cipher_value(element: Element<'_>) -> Result<Vec<u8>, Error> {
    element
        .child(XENC, "CipherData")
        .and_then(|data| data.child(XENC, "CipherValue"))
        .and_then(|value| decode_base64(&value.text()))
        .ok_or_else(|| Error::structure(format!("{} has no CipherValue in base64", element.local())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Document, Limits};

    #[test]
    fn both_defaults_of_oaep_are_sha1() {
        for algorithm in [RSA_OAEP, RSA_OAEP_MGF1P] {
            let xml = format!(
                "<x:EncryptedKey xmlns:x='{XENC}'><x:EncryptionMethod Algorithm='{algorithm}'/>\
                 <x:CipherData><x:CipherValue>AA==</x:CipherValue></x:CipherData></x:EncryptedKey>"
            );
            let document = Document::parse(xml.as_bytes(), &Limits::default()).unwrap();
            let read = EncryptedKey::parse(document.root()).unwrap();
            assert_eq!(read.digest, Some(super::super::names::SHA1));
            assert_eq!(read.mgf, Some(super::super::names::MGF1_SHA1));
        }
    }
}
