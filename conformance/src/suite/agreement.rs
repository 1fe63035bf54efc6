//! Content keys of eDelivery AS4 2.0 by code of the suite's own: X25519 or ECDH-ES, HKDF with HMAC-SHA256, AES-128 key wrap
//! (as4-wire 2.5 and 2.6).

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::aes::{AesKey, unwrap_key, wrap_key};
use openssl::bn::BigNumContext;
use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcGroupRef, EcKey, EcPoint, PointConversionForm};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, PKeyRef, Private, Public};
use openssl::sign::Signer;

use super::xml::Element;
use crate::as4::DS;
use crate::encryption::XENC;

/// AES-128 key wrap.
pub const KW_AES128: &str = "http://www.w3.org/2001/04/xmlenc#kw-aes128";
/// Agreement by X25519.
pub const X25519: &str = "http://www.w3.org/2021/04/xmldsig-more#x25519";
/// Agreement by elliptic curves with an ephemeral key.
pub const ECDH_ES: &str = "http://www.w3.org/2009/xmlenc11#ECDH-ES";
/// Key derivation.
pub const HKDF: &str = "http://www.w3.org/2021/04/xmldsig-more#hkdf";
/// Its pseudo-random function.
pub const HMAC_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256";
const MORE: &str = "http://www.w3.org/2021/04/xmldsig-more#";
const XENC11: &str = "http://www.w3.org/2009/xmlenc11#";
const DSIG11: &str = "http://www.w3.org/2009/xmldsig11#";
/// SubjectPublicKeyInfo of an X25519 key up to its 32 octets: OID 1.3.101.110.
pub const X25519_INFO: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00];

/// The curves of the profile with their names in XML.
const CURVES: [(Nid, &str); 4] = [
    (Nid::X9_62_PRIME256V1, "urn:oid:1.2.840.10045.3.1.7"),
    (Nid::SECP384R1, "urn:oid:1.3.132.0.34"),
    (Nid::SECP521R1, "urn:oid:1.3.132.0.35"),
    (Nid::BRAINPOOL_P256R1, "urn:oid:1.3.36.3.3.2.8.1.1.7"),
];

/// What may differ in an agreement; the default is what WSS4J writes.
#[derive(Debug, Clone)]
pub struct Agreement {
    /// Salt of the derivation.
    pub salt: Option<Vec<u8>>,
    /// Info of the derivation.
    pub info: Option<Vec<u8>>,
    /// KeyLength in octets.
    pub key_length: Option<u32>,
    /// Pseudo-random function, as it is called; what is computed is always HMAC-SHA256.
    pub prf: String,
    /// An X25519 key of small order in the place of an ephemeral one: everybody knows the secret, which is zero.
    pub small_order: bool,
}

impl Default for Agreement {
    fn default() -> Self {
        Self {
            salt: Some(vec![0x5a; 16]),
            info: None,
            key_length: Some(16),
            prf: HMAC_SHA256.into(),
            small_order: false,
        }
    }
}

/// An EncryptedKey of that content key for `recipient`, whose reference is `recipient_info`.
pub fn encrypted_key(
    recipient: &PKeyRef<Public>,
    recipient_info: &str,
    content_key: &[u8],
    agreement: &Agreement,
) -> Result<String> {
    let (secret, originator) = if agreement.small_order {
        (vec![0; 32], der_value(&[&X25519_INFO[..], &[0; 32]].concat()))
    } else {
        let ephemeral = like(recipient)?;
        (shared(&ephemeral, recipient)?, originator(&ephemeral)?)
    };
    let kek = hkdf(&secret, agreement.salt.as_deref(), agreement.info.as_deref())?;
    let kek = AesKey::new_encrypt(&kek).map_err(|_| anyhow::anyhow!("the key-encryption key"))?;
    let mut wrapped = vec![0; content_key.len() + 8];
    wrap_key(&kek, None, &mut wrapped, content_key).map_err(|_| anyhow::anyhow!("AES key wrap"))?;
    let method = if recipient.id() == Id::X25519 { X25519 } else { ECDH_ES };
    Ok(format!(
        "<xenc:EncryptedKey xmlns:xenc=\"{XENC}\" Id=\"EK-1\"><xenc:EncryptionMethod Algorithm=\"{KW_AES128}\"/>\
         <ds:KeyInfo xmlns:ds=\"{DS}\"><xenc:AgreementMethod Algorithm=\"{method}\">{}\
         <xenc:OriginatorKeyInfo>{originator}</xenc:OriginatorKeyInfo><xenc:RecipientKeyInfo>{recipient_info}\
         </xenc:RecipientKeyInfo></xenc:AgreementMethod></ds:KeyInfo><xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue>\
         </xenc:CipherData><xenc:ReferenceList><xenc:DataReference URI=\"#ED-0\"/></xenc:ReferenceList></xenc:EncryptedKey>",
        derivation(agreement),
        STANDARD.encode(&wrapped)
    ))
}

fn derivation(agreement: &Agreement) -> String {
    let encoded = |name: &str, octets: &Option<Vec<u8>>| match octets {
        Some(octets) => format!("<more:{name}>{}</more:{name}>", STANDARD.encode(octets)),
        None => String::new(),
    };
    let length = agreement.key_length.map(|octets| format!("<more:KeyLength>{octets}</more:KeyLength>"));
    format!(
        "<xenc11:KeyDerivationMethod xmlns:xenc11=\"{XENC11}\" Algorithm=\"{HKDF}\"><more:HKDFParams xmlns:more=\"{MORE}\">\
         <more:PRF Algorithm=\"{}\"/>{}{}{}</more:HKDFParams></xenc11:KeyDerivationMethod>",
        agreement.prf,
        encoded("Salt", &agreement.salt),
        encoded("Info", &agreement.info),
        length.unwrap_or_default()
    )
}

fn der_value(octets: &[u8]) -> String {
    let value = STANDARD.encode(octets);
    format!("<dsig11:DEREncodedKeyValue xmlns:dsig11=\"{DSIG11}\">{value}</dsig11:DEREncodedKeyValue>")
}

/// A new key of the same kind.
fn like(recipient: &PKeyRef<Public>) -> Result<PKey<Private>> {
    match recipient.id() {
        Id::X25519 => Ok(PKey::generate_x25519()?),
        Id::EC => Ok(PKey::from_ec_key(EcKey::generate(recipient.ec_key()?.group())?)?),
        other => bail!("no agreement with a key of kind {other:?}"),
    }
}

fn originator(key: &PKey<Private>) -> Result<String> {
    if key.id() == Id::X25519 {
        return Ok(der_value(&key.public_key_to_der()?));
    }
    let key = key.ec_key()?;
    let group = key.group();
    let name = CURVES.iter().find(|(nid, _)| group.curve_name() == Some(*nid)).context("the curve")?.1;
    let mut context = BigNumContext::new()?;
    let point = key.public_key().to_bytes(group, PointConversionForm::UNCOMPRESSED, &mut context)?;
    Ok(format!(
        "<ds:KeyValue><dsig11:ECKeyValue xmlns:dsig11=\"{DSIG11}\"><dsig11:NamedCurve URI=\"{name}\"/><dsig11:PublicKey>{}\
         </dsig11:PublicKey></dsig11:ECKeyValue></ds:KeyValue>",
        STANDARD.encode(point)
    ))
}

/// The content key of an EncryptedKey by agreement. Names of algorithms are checked: others do not open here.
pub fn content_key(key: &Element, owner: &PKeyRef<Private>) -> Result<Vec<u8>> {
    let algorithm = |e: &Element| e.attribute("Algorithm").unwrap_or_default().to_owned();
    let agreement = key.first("AgreementMethod")?;
    let said = [
        algorithm(key.first("EncryptionMethod")?),
        algorithm(agreement),
        algorithm(agreement.first("KeyDerivationMethod")?),
        algorithm(agreement.first("PRF")?),
    ];
    let method = if owner.id() == Id::X25519 { X25519 } else { ECDH_ES };
    ensure!(said == [KW_AES128, method, HKDF, HMAC_SHA256], "the content key is protected by {said:?}");
    if let Some(length) = agreement.all("KeyLength").first() {
        ensure!(length.text() == "16", "KeyLength is {}", length.text());
    }
    let octets = |name: &str| agreement.all(name).first().map(|e| base64(e)).transpose();
    let public = public_key(agreement.first("OriginatorKeyInfo")?, owner)?;
    let kek = hkdf(&shared(owner, &public)?, octets("Salt")?.as_deref(), octets("Info")?.as_deref())?;
    let kek = AesKey::new_decrypt(&kek).map_err(|_| anyhow::anyhow!("the key-encryption key"))?;
    let wrapped = base64(key.first("CipherValue")?)?;
    ensure!(wrapped.len() == 24, "the wrapped key has {} octets", wrapped.len());
    let mut content_key = vec![0; 16];
    unwrap_key(&kek, None, &mut content_key, &wrapped)
        .map_err(|_| anyhow::anyhow!("EncryptedKey does not open with our key"))?;
    Ok(content_key)
}

fn public_key(info: &Element, owner: &PKeyRef<Private>) -> Result<PKey<Public>> {
    if owner.id() == Id::X25519 {
        return Ok(PKey::public_key_from_der(&base64(info.first("DEREncodedKeyValue")?)?)?);
    }
    let named = info.first("ECKeyValue")?.first("NamedCurve")?.attribute("URI").unwrap_or_default();
    let nid = CURVES.iter().find(|(_, name)| *name == named).with_context(|| format!("the curve {named}"))?;
    let group: EcGroup = EcGroup::from_curve_name(nid.0)?;
    let point = base64(info.first("PublicKey")?)?;
    Ok(PKey::from_ec_key(ec_key(&group, &point)?)?)
}

fn ec_key(group: &EcGroupRef, point: &[u8]) -> Result<EcKey<Public>> {
    let mut context = BigNumContext::new()?;
    let point = EcPoint::from_bytes(group, point, &mut context)?;
    Ok(EcKey::from_public_key(group, &point)?)
}

/// Octets of an element in base64.
pub fn base64(element: &Element) -> Result<Vec<u8>> {
    let text: String = element.text().split_whitespace().collect();
    STANDARD.decode(text).with_context(|| format!("{} is no base64", element.local()))
}

fn shared(own: &PKeyRef<Private>, other: &PKeyRef<Public>) -> Result<Vec<u8>> {
    let mut deriver = Deriver::new(own)?;
    deriver.set_peer(other)?;
    Ok(deriver.derive_to_vec()?)
}

/// RFC 5869 with SHA-256 for one block, of which 16 octets are needed.
fn hkdf(secret: &[u8], salt: Option<&[u8]>, info: Option<&[u8]>) -> Result<Vec<u8>> {
    let zeros = [0; 32];
    let salt = salt.filter(|salt| !salt.is_empty()).unwrap_or(&zeros);
    let prk = hmac(salt, &[secret])?;
    let mut block = hmac(&prk, &[info.unwrap_or_default(), &[1]])?;
    block.truncate(16);
    Ok(block)
}

fn hmac(key: &[u8], pieces: &[&[u8]]) -> Result<Vec<u8>> {
    let key = PKey::hmac(key)?;
    let mut by = Signer::new(MessageDigest::sha256(), &key)?;
    for piece in pieces {
        by.update(piece)?;
    }
    Ok(by.sign_to_vec()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::suite::xml;

    /// RFC 5869, test cases 1 and 3: the first 16 octets.
    #[test]
    fn hkdf_is_that_of_the_rfc() {
        let secret = [0x0b; 22];
        let (salt, info): (Vec<u8>, Vec<u8>) = ((0..=0x0c).collect(), (0xf0..=0xf9).collect());
        let hex = |octets: Vec<u8>| octets.iter().map(|o| format!("{o:02x}")).collect::<String>();
        let first = hkdf(&secret, Some(&salt), Some(&info)).unwrap();
        assert_eq!(hex(first), "3cb25f25faacd57a90434f64d0362f2a");
        assert_eq!(hex(hkdf(&secret, None, None).unwrap()), "8da4e775a563c18f715f802a063c5a31");
    }

    #[test]
    fn what_is_wrapped_for_a_key_opens_with_it_and_with_no_other() {
        let mut keys = vec![PKey::generate_x25519().unwrap()];
        for (nid, _) in CURVES {
            let group = EcGroup::from_curve_name(nid).unwrap();
            keys.push(PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap());
        }
        for owner in &keys {
            let public = PKey::public_key_from_der(&owner.public_key_to_der().unwrap()).unwrap();
            let content = [7; 16];
            let text = encrypted_key(&public, "<x/>", &content, &Agreement::default()).unwrap();
            let element = xml::parse(&text).unwrap();
            assert_eq!(content_key(&element, owner).unwrap(), content);
            assert!(content_key(&element, &like(&public).unwrap()).is_err());
        }
    }
}
