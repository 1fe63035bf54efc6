//! One X.509 certificate with the facts that the other rooms ask for.

use std::sync::{Arc, OnceLock};

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::pkey::{HasPublic, Id, PKey, PKeyRef, Public};
use openssl::x509::{X509, X509KeyUsage, X509NameRef, X509Ref};

use super::{Error, Name, der, memo};
use crate::clock::{SignedDuration, Timestamp};

/// `[3] EXPLICIT Extensions` of a certificate.
const EXTENSIONS: u8 = 0xa3;
/// id-ce-basicConstraints.
const BASIC_CONSTRAINTS: &str = "2.5.29.19";

/// An X.509 certificate; cheap to clone, equal when the DER octets are.
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    x509: X509,
    der: Vec<u8>,
    sha256: [u8; 32],
    not_before: Timestamp,
    not_after: Timestamp,
    public_key: OnceLock<PKey<Public>>,
}

impl Certificate {
    /// Reads one DER certificate; octets behind it are refused, and so is what is not DER: one certificate has one fingerprint.
    pub fn from_der(octets: &[u8]) -> Result<Self, Error> {
        if let Some(known) = memo::find(octets) {
            return Ok(known);
        }
        let certificate = Self::read(octets)?;
        memo::keep(&certificate);
        Ok(certificate)
    }

    fn read(octets: &[u8]) -> Result<Self, Error> {
        let x509 = X509::from_der(octets).map_err(|e| Error::Certificate(e.to_string()))?;
        let certificate = Self::from_x509(x509)?;
        match octets.strip_prefix(certificate.der()) {
            Some([]) => Ok(certificate),
            Some(more) => Err(Error::Certificate(format!("{} octets behind it", more.len()))),
            None => Err(Error::Certificate("its encoding is not DER".to_owned())),
        }
    }

    /// Reads the first PEM certificate in `octets`.
    pub fn from_pem(octets: &[u8]) -> Result<Self, Error> {
        X509::from_pem(octets).map_err(|e| Error::Certificate(e.to_string())).and_then(Self::from_x509)
    }

    /// Takes over a certificate that OpenSSL has already read (a TLS peer's).
    pub fn from_x509(x509: X509) -> Result<Self, Error> {
        let der = x509.to_der()?;
        Ok(Self(Arc::new(Inner {
            sha256: openssl::sha::sha256(&der),
            not_before: timestamp(x509.not_before())?,
            not_after: timestamp(x509.not_after())?,
            public_key: OnceLock::new(),
            x509,
            der,
        })))
    }

    /// The DER octets.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The certificate as OpenSSL holds it.
    pub fn x509(&self) -> &X509Ref {
        &self.0.x509
    }

    /// The certificate as OpenSSL holds it, shared.
    pub fn to_x509(&self) -> X509 {
        self.0.x509.clone()
    }

    /// SHA-256 over the DER octets.
    pub fn sha256(&self) -> [u8; 32] {
        self.0.sha256
    }

    /// SHA-256 over the DER octets, lower-case hex.
    pub fn sha256_hex(&self) -> String {
        hex::encode(self.0.sha256)
    }

    /// SHA-1 over the DER octets: only to resolve the ThumbprintSHA1 references of peers (WSS X.509 token profile 1.1).
    pub fn sha1(&self) -> [u8; 20] {
        openssl::sha::sha1(&self.0.der)
    }

    /// The subject, RFC 2253.
    pub fn subject(&self) -> String {
        self.subject_name().map_or_else(String::new, |name| name.to_string())
    }

    /// The issuer, RFC 2253.
    pub fn issuer(&self) -> String {
        self.issuer_name().map_or_else(String::new, |name| name.to_string())
    }

    /// The subject taken apart; `None` when its DER is not that of a name.
    pub fn subject_name(&self) -> Option<Name> {
        name_of(self.0.x509.subject_name())
    }

    /// The issuer taken apart; `None` when its DER is not that of a name.
    pub fn issuer_name(&self) -> Option<Name> {
        name_of(self.0.x509.issuer_name())
    }

    /// The subject's first common name.
    pub fn common_name(&self) -> Option<String> {
        self.subject_name().and_then(|name| name.common_name().map(str::to_owned))
    }

    /// The serial number in decimal, as ds:X509SerialNumber has it.
    pub fn serial_decimal(&self) -> String {
        let decimal = self.0.x509.serial_number().to_bn().and_then(|n| n.to_dec_str().map(|s| s.to_string()));
        decimal.unwrap_or_default()
    }

    /// The subject key identifier extension's octets.
    pub fn ski(&self) -> Option<Vec<u8>> {
        self.0.x509.subject_key_id().map(|id| id.as_slice().to_vec())
    }

    /// Valid from, inclusive.
    pub fn not_before(&self) -> Timestamp {
        self.0.not_before
    }

    /// Valid until, inclusive.
    pub fn not_after(&self) -> Timestamp {
        self.0.not_after
    }

    /// The public key; an error when its algorithm is unknown to OpenSSL.
    pub fn public_key(&self) -> Result<PKey<Public>, Error> {
        if let Some(key) = self.0.public_key.get() {
            return Ok(key.clone());
        }
        let key = self.0.x509.public_key()?;
        Ok(self.0.public_key.get_or_init(|| key).clone())
    }

    /// Whether the key can sign and its usage allows it (no such extension allows all).
    pub fn may_sign(&self) -> bool {
        !self.has_key(&[Id::X25519, Id::X448])
            && self.usage_allows(X509KeyUsage::DIGITAL_SIGNATURE | X509KeyUsage::NON_REPUDIATION)
    }

    /// Whether the key can encrypt or agree on a key and its usage allows it (no such extension allows all).
    pub fn may_encrypt(&self) -> bool {
        let allowed =
            X509KeyUsage::KEY_ENCIPHERMENT | X509KeyUsage::DATA_ENCIPHERMENT | X509KeyUsage::KEY_AGREEMENT;
        !self.has_key(&[Id::ED25519, Id::ED448]) && self.usage_allows(allowed)
    }

    /// Whether the key may sign revocation lists (no key usage allows all; RFC 5280 4.2.1.3).
    pub fn may_sign_lists(&self) -> bool {
        self.usage_allows(X509KeyUsage::CRL_SIGN)
    }

    /// Whether basicConstraints says that it is an authority's (RFC 5280 4.2.1.9).
    pub fn is_authority(&self) -> bool {
        let extensions = der::extensions(self.der(), EXTENSIONS).unwrap_or_default();
        let constraints = extensions.iter().find(|extension| extension.oid == BASIC_CONSTRAINTS);
        let fields = constraints.and_then(|extension| der::tagged(extension.value, der::SEQUENCE));
        fields
            .and_then(|(fields, _)| der::tagged(fields.content, der::BOOLEAN))
            .is_some_and(|(authority, _)| authority.content != [0])
    }

    /// Whether `issuer`'s name and key identifier fit this certificate's issuer fields; the signature is not checked.
    pub fn is_issued_by(&self, issuer: &Self) -> bool {
        issuer.0.x509.issued(&self.0.x509) == openssl::x509::X509VerifyResult::OK
    }

    /// Whether subject and issuer are one.
    pub fn is_self_issued(&self) -> bool {
        matches!((self.subject_name(), self.issuer_name()), (Some(a), Some(b)) if a == b)
    }

    fn has_key(&self, kinds: &[Id]) -> bool {
        self.public_key().is_ok_and(|key| kinds.contains(&key.id()))
    }

    fn usage_allows(&self, any_of: X509KeyUsage) -> bool {
        self.0.x509.key_usage().is_none_or(|usage| usage.intersects(any_of))
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.sha256 == other.0.sha256
    }
}

impl Eq for Certificate {}

impl std::hash::Hash for Certificate {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.sha256.hash(state);
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({}, sha256 {})", self.subject(), self.sha256_hex())
    }
}

/// The kind of a key in a word: `RSA`, `EC`, `Ed25519`, `X25519`, or `other`.
pub fn key_kind<T: HasPublic>(key: &PKeyRef<T>) -> &'static str {
    match key.id() {
        Id::RSA => "RSA",
        Id::EC => "EC",
        Id::ED25519 => "Ed25519",
        Id::X25519 => "X25519",
        _ => "other",
    }
}

fn name_of(name: &X509NameRef) -> Option<Name> {
    name.to_der().ok().and_then(|der| Name::from_der(&der))
}

/// An ASN.1 time as a timestamp.
pub(super) fn timestamp(time: &Asn1TimeRef) -> Result<Timestamp, Error> {
    let epoch = Asn1Time::from_unix(0)?;
    let since = epoch.diff(time)?;
    let seconds = i64::from(since.days) * 86_400 + i64::from(since.secs);
    Ok(Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing;

    #[test]
    fn the_facts_of_a_certificate_are_read() {
        let (certificate, _) = testing::self_signed("C=LV,O=Org\\, Ltd,CN=gw.example", testing::YEAR_2026);
        assert_eq!(certificate.subject(), "CN=gw.example,O=Org\\, Ltd,C=LV");
        assert_eq!(certificate.common_name().as_deref(), Some("gw.example"));
        assert_eq!(certificate.not_before().to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(certificate.not_after().to_string(), "2026-12-31T00:00:00Z");
        assert!(certificate.may_sign() && certificate.may_encrypt(), "no key usage allows all");
        assert!(Certificate::from_der(&[certificate.der(), b"x"].concat()).is_err(), "octets behind it");
    }

    #[test]
    fn what_is_not_der_is_refused() {
        // The signature is the last BIT STRING: its first octet counts the bits that are not used, which must be 0.
        let odd = |certificate: &Certificate| certificate.der().last().is_some_and(|octet| octet & 1 == 1);
        let mut all = (0..64).map(|_| testing::self_signed("CN=gw", testing::YEAR_2026).0);
        let certificate = all.find(odd).unwrap();
        let mut bent = certificate.der().to_vec();
        let count = bent.len() - certificate.x509().signature().as_slice().len() - 1;
        bent[count] = 1;
        assert!(Certificate::from_der(&bent).is_err());
        assert!(Certificate::from_der(certificate.der()).is_ok());
        assert_eq!(Certificate::from_pem(&certificate.x509().to_pem().unwrap()).unwrap(), certificate);
    }
}
