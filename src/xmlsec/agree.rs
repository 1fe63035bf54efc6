//! Writing xenc:AgreementMethod: a key pair for one message, and the key agreed with the recipient's (as4-wire 2.5, 2.6).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::bn::BigNumContext;
use openssl::ec::{EcKey, PointConversionForm};
use openssl::pkey::{Id, PKey, PKeyRef, Private, Public};

use crate::xml::Writer;

use super::agreement::agree;
use super::algorithms::DigestAlgorithm;
use super::error::Error;
use super::kdf::hkdf_octets;
use super::key_info::curve_oid;
use super::names::{DSIG_MORE, DSIG11, ECDH_ES, HKDF, HMAC_SHA256, X25519, XENC11};
use super::x25519;

/// Octets of the salt: as many as the digest has (RFC 5869, 3.1).
const SALT: usize = 32;

/// A key-encryption key, and how the recipient comes to it.
pub(super) struct Agreed {
    /// The xenc:AgreementMethod; prefixes `xenc` and `ds` are declared around it.
    pub method: String,
    /// The key-encryption key.
    pub key: Vec<u8>,
}

/// Agrees on a key of `length` octets with a fresh key pair. `recipient_info` is the XML inside RecipientKeyInfo.
///
/// # Errors
/// [`Error::KeyType`] when the recipient's key is neither X25519 nor on a curve known here.
pub(super) fn agree_on(
    recipient: &PKeyRef<Public>,
    recipient_info: &str,
    length: usize,
) -> Result<Agreed, Error> {
    let (algorithm, own, originator) = match recipient.id() {
        Id::X25519 => ephemeral_x25519()?,
        Id::EC => ephemeral_ec(&recipient.ec_key()?)?,
        _ => return Err(Error::KeyType("key agreement".to_owned())),
    };
    let mut salt = [0; SALT];
    openssl::rand::rand_bytes(&mut salt)?;
    let secret = agree(&own, recipient)?;
    let key = hkdf_octets(DigestAlgorithm::Sha256, (&salt, &[]), &secret, length)?;
    let mut xml = Writer::new();
    xml.start("xenc:AgreementMethod").attr("Algorithm", algorithm);
    xml.raw(&derivation(&salt, length));
    xml.start("xenc:OriginatorKeyInfo").raw(&originator).end();
    xml.start("xenc:RecipientKeyInfo").raw(recipient_info).end();
    Ok(Agreed { method: xml.into_string(), key })
}

/// KeyLength counts octets, as Santuario writes it and the schema's text says (as4-wire 2.5).
fn derivation(salt: &[u8], length: usize) -> String {
    let mut xml = Writer::new();
    xml.start("xenc11:KeyDerivationMethod").attr("xmlns:xenc11", XENC11).attr("Algorithm", HKDF);
    xml.start("dsig-more:HKDFParams").attr("xmlns:dsig-more", DSIG_MORE);
    xml.start("dsig-more:PRF").attr("Algorithm", HMAC_SHA256).end();
    xml.leaf("dsig-more:Salt", &STANDARD.encode(salt));
    xml.leaf("dsig-more:KeyLength", &length.to_string());
    xml.into_string()
}

type Ephemeral = (&'static str, PKey<Private>, String);

fn ephemeral_x25519() -> Result<Ephemeral, Error> {
    let own = PKey::generate_x25519()?;
    let mut xml = Writer::new();
    xml.start("dsig11:DEREncodedKeyValue").attr("xmlns:dsig11", DSIG11);
    xml.text(&STANDARD.encode(x25519::to_der(&own)?));
    Ok((X25519, own, xml.into_string()))
}

fn ephemeral_ec(recipient: &EcKey<Public>) -> Result<Ephemeral, Error> {
    let group = recipient.group();
    let oid = group
        .curve_name()
        .and_then(curve_oid)
        .ok_or_else(|| Error::KeyType("ECDH-ES on the curve of the recipient's key".to_owned()))?;
    let own = EcKey::generate(group)?;
    let mut context = BigNumContext::new()?;
    let point = own.public_key().to_bytes(group, PointConversionForm::UNCOMPRESSED, &mut context)?;
    let mut xml = Writer::new();
    xml.start("ds:KeyValue").start("dsig11:ECKeyValue").attr("xmlns:dsig11", DSIG11);
    xml.start("dsig11:NamedCurve").attr("URI", &format!("urn:oid:{oid}")).end();
    xml.leaf("dsig11:PublicKey", &STANDARD.encode(point));
    Ok((ECDH_ES, PKey::from_ec_key(own)?, xml.into_string()))
}
