//! xenc:AgreementMethod: the key that wraps the content key is agreed on, not sent (as4-wire 2.5, 2.6).

use openssl::derive::Deriver;
use openssl::pkey::{Id, PKey, PKeyRef, Private, Public};

use crate::xml::Element;

use super::algorithms::DigestAlgorithm;
use super::error::Error;
use super::kdf::{concat_octets, hkdf_octets};
use super::key_info::{KeyHint, hints};
use super::keys::decode_base64;
use super::names::{CONCAT_KDF, DS, DSIG_MORE, ECDH_ES, HKDF, X25519, XENC, XENC11};

/// An AgreementMethod as written.
#[derive(Debug, Clone)]
pub struct Agreement<'d> {
    /// URI of the key agreement.
    pub algorithm: &'d str,
    /// URI of the key derivation.
    pub kdf: Option<&'d str>,
    /// URI of the pseudo-random function within HKDF, where it is said.
    pub prf: Option<&'d str>,
    /// RecipientKeyInfo: which key of ours.
    pub recipient: Option<Element<'d>>,
    derivation: Option<Element<'d>>,
    originator: Option<Element<'d>>,
}

/// Longest salt or info of a derivation (as4-wire 2.5).
const LONGEST_PARAMETER: usize = 1024;

impl<'d> Agreement<'d> {
    /// Takes an xenc:AgreementMethod apart.
    pub(super) fn parse(element: Element<'d>) -> Self {
        let derivation = element.child(XENC11, "KeyDerivationMethod");
        Self {
            algorithm: element.attribute("Algorithm").unwrap_or_default(),
            kdf: derivation.and_then(|method| method.attribute("Algorithm")),
            prf: derivation.and_then(parameters).and_then(prf_uri),
            recipient: element.child(XENC, "RecipientKeyInfo"),
            derivation,
            originator: element.child(XENC, "OriginatorKeyInfo"),
        }
    }

    /// The key-encryption key of `length` octets. `originators` are tried when the message names its own key only by
    /// a name.
    pub(super) fn derive(
        &self,
        own: &PKeyRef<Private>,
        originators: &[PKey<Public>],
        length: usize,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let named = self.originator.map(hints).unwrap_or_default();
        let keys: Vec<PKey<Public>> = named
            .into_iter()
            .find_map(|hint| match hint {
                KeyHint::Key(_, key) => Some(vec![key]),
                _ => None,
            })
            .unwrap_or_else(|| originators.to_vec());
        let fitting = keys.iter().filter(|key| self.fits(key.id()) && self.fits(own.id()));
        let mut derived = Vec::new();
        for key in fitting {
            let Ok(secret) = agree(own, key) else { continue };
            derived.push(self.expand(&secret, length)?);
        }
        match derived.is_empty() {
            true => Err(Error::Decryption),
            false => Ok(derived),
        }
    }

    fn fits(&self, id: Id) -> bool {
        match self.algorithm {
            X25519 => id == Id::X25519,
            ECDH_ES => id == Id::EC,
            _ => false,
        }
    }

    fn expand(&self, secret: &[u8], length: usize) -> Result<Vec<u8>, Error> {
        let method = self.derivation.ok_or_else(|| Error::structure("no KeyDerivationMethod"))?;
        match self.kdf.unwrap_or_default() {
            HKDF => hkdf(method, secret, length),
            CONCAT_KDF => concat_kdf(method, secret, length),
            other => Err(Error::unsupported("KeyDerivationMethod", other)),
        }
    }
}

pub(super) fn agree(own: &PKeyRef<Private>, other: &PKeyRef<Public>) -> Result<Vec<u8>, Error> {
    let mut deriver = Deriver::new(own)?;
    deriver.set_peer(other)?;
    let secret = deriver.derive_to_vec()?;
    // RFC 7748, 6.1: an all-zero secret means a key of low order.
    match secret.iter().all(|octet| *octet == 0) {
        true => Err(Error::Decryption),
        false => Ok(secret),
    }
}

fn hkdf(method: Element<'_>, secret: &[u8], length: usize) -> Result<Vec<u8>, Error> {
    let parameters = parameters(method);
    let octets = |local: &str| -> Result<Vec<u8>, Error> {
        let Some(element) = parameters.and_then(|all| all.children().find(|child| child.local() == local))
        else {
            return Ok(Vec::new());
        };
        decode_base64(&element.text())
            .filter(|octets| octets.len() <= LONGEST_PARAMETER)
            .ok_or_else(|| Error::structure(format!("HKDF {local} is not base64 or too long")))
    };
    let (salt, info) = (octets("Salt")?, octets("Info")?);
    let stated = parameters.and_then(|all| all.child(DSIG_MORE, "KeyLength")).map(|e| e.text());
    if let Some(stated) = stated {
        // Octets by the text, bits by some peers (as4-wire 2.5).
        let number: usize = stated.trim().parse().unwrap_or(0);
        if number != length && number != length * 8 {
            return Err(Error::structure(format!("HKDF KeyLength {stated} does not fit the key wrap")));
        }
    }
    hkdf_octets(prf(parameters)?, (&salt, &info), secret, length)
}

/// HKDFParams, whatever the namespace: peers differ (as4-wire 2.5).
fn parameters(method: Element<'_>) -> Option<Element<'_>> {
    method.children().find(|child| child.local() == "HKDFParams")
}

fn prf_uri(parameters: Element<'_>) -> Option<&str> {
    parameters.children().find(|child| child.local() == "PRF").and_then(|prf| prf.attribute("Algorithm"))
}

/// The digest within HKDF's PRF; HMAC-SHA256 when not said.
fn prf(parameters: Option<Element<'_>>) -> Result<DigestAlgorithm, Error> {
    let uri = parameters.and_then(prf_uri);
    match uri.map(|uri| uri.rsplit('#').next().unwrap_or_default()) {
        None | Some("hmac-sha256") => Ok(DigestAlgorithm::Sha256),
        Some("hmac-sha384") => Ok(DigestAlgorithm::Sha384),
        Some("hmac-sha512") => Ok(DigestAlgorithm::Sha512),
        Some(_) => Err(Error::unsupported("PRF", uri.unwrap_or_default())),
    }
}

/// ConcatKDF (XML Encryption 1.1, 5.4.1; NIST SP 800-56A).
fn concat_kdf(method: Element<'_>, secret: &[u8], length: usize) -> Result<Vec<u8>, Error> {
    let parameters = method
        .child(XENC11, "ConcatKDFParams")
        .ok_or_else(|| Error::structure("ConcatKDF without ConcatKDFParams"))?;
    let digest = parameters
        .child(DS, "DigestMethod")
        .and_then(|method| DigestAlgorithm::from_uri(method.attribute("Algorithm")?))
        .ok_or_else(|| Error::structure("ConcatKDF without a known DigestMethod"))?;
    let mut other_info = Vec::new();
    for name in ["AlgorithmID", "PartyUInfo", "PartyVInfo", "SuppPubInfo", "SuppPrivInfo"] {
        other_info.extend(bits(parameters.attribute(name).unwrap_or_default())?);
    }
    concat_octets(digest, &other_info, secret, length)
}

/// A hex bit string: its first octet counts the unused bits, which have to be none.
fn bits(text: &str) -> Result<Vec<u8>, Error> {
    match hex::decode(text) {
        Ok(octets) if octets.is_empty() => Ok(octets),
        Ok(octets) if octets[0] == 0 && octets.len() <= LONGEST_PARAMETER => Ok(octets[1..].to_vec()),
        _ => Err(Error::structure(format!("ConcatKDF parameter `{text}` is no string of whole octets"))),
    }
}
