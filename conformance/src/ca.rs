//! A certificate authority for demonstrations and tests. Test keys only.

use std::path::Path;

use anyhow::{Context, Result};
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::hash::MessageDigest;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Rsa;
use openssl::stack::Stack;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Extension, X509NameBuilder};

/// A root that signs leaf certificates.
pub struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

/// A key with its certificate.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: X509,
    /// Its private key.
    pub key: PKey<Private>,
}

/// What a leaf is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Signing and decrypting messages, metadata or envelopes.
    Message,
    /// TLS on a loopback address, server and client.
    Tls,
    /// Agreeing on keys and nothing else: what it signs is worth nothing.
    KeyAgreement,
}

/// How long a certificate is valid, in days from now; negative days lie in the past.
#[derive(Debug, Clone, Copy)]
pub struct Validity {
    /// First day.
    pub from: i64,
    /// Last day.
    pub to: i64,
}

impl Default for Validity {
    fn default() -> Self {
        Self { from: -1, to: 365 }
    }
}

impl Authority {
    /// A new self-signed root of that common name.
    pub fn new(name: &str) -> Result<Self> {
        Self::with_key(name, PKey::from_rsa(Rsa::generate(2048)?)?)
    }

    /// The same with that key.
    pub fn with_key(name: &str, key: PKey<Private>) -> Result<Self> {
        let mut builder = blank(name, &key, Validity::default())?;
        let subject = distinguished(name)?;
        builder.set_issuer_name(&subject)?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
        let ski = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
        builder.append_extension(ski)?;
        builder.sign(&key, digest(&key))?;
        Ok(Self { certificate: builder.build(), key })
    }

    /// The root certificate.
    pub fn certificate(&self) -> &X509 {
        &self.certificate
    }

    /// A leaf with an RSA key of `bits`.
    pub fn issue(&self, name: &str, bits: u32, purpose: Purpose) -> Result<Identity> {
        self.issue_for(name, bits, purpose, Validity::default())
    }

    /// A leaf with an RSA key of `bits` and that validity.
    pub fn issue_for(&self, name: &str, bits: u32, purpose: Purpose, valid: Validity) -> Result<Identity> {
        self.issue_key(PKey::from_rsa(Rsa::generate(bits)?)?, name, purpose, valid)
    }

    /// A leaf for that key. The key itself signs nothing: an X25519 key could not.
    pub fn issue_key(
        &self,
        key: PKey<Private>,
        name: &str,
        purpose: Purpose,
        valid: Validity,
    ) -> Result<Identity> {
        let mut builder = blank(name, &key, valid)?;
        builder.set_issuer_name(self.certificate.subject_name())?;
        builder.append_extension(BasicConstraints::new().critical().build()?)?;
        builder.append_extension(usage(&key, purpose)?)?;
        if purpose == Purpose::Tls {
            builder.append_extension(ExtendedKeyUsage::new().server_auth().client_auth().build()?)?;
            let context = builder.x509v3_context(Some(&self.certificate), None);
            let san = SubjectAlternativeName::new().ip("127.0.0.1").dns("localhost").build(&context)?;
            builder.append_extension(san)?;
        }
        let context = builder.x509v3_context(Some(&self.certificate), None);
        let ski = SubjectKeyIdentifier::new().build(&context)?;
        builder.append_extension(ski)?;
        let context = builder.x509v3_context(Some(&self.certificate), None);
        let aki = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
        builder.append_extension(aki)?;
        builder.sign(&self.key, digest(&self.key))?;
        Ok(Identity { certificate: builder.build(), key })
    }

    /// Writes the root as PEM.
    pub fn write_pem(&self, path: &Path) -> Result<()> {
        write(path, &self.certificate.to_pem()?)
    }

    /// Writes identity and root as PKCS#12 under `password`.
    pub fn write_p12(&self, identity: &Identity, path: &Path, password: &str) -> Result<()> {
        let mut chain = Stack::new()?;
        chain.push(self.certificate.clone())?;
        let mut builder = Pkcs12::builder();
        builder.name("key").pkey(&identity.key).cert(&identity.certificate).ca(chain);
        write(path, &builder.build2(password)?.to_der()?)
    }
}

impl Identity {
    /// Writes the certificate as PEM.
    pub fn write_certificate(&self, path: &Path) -> Result<()> {
        write(path, &self.certificate.to_pem()?)
    }

    /// Writes certificate and key as two PEM files.
    pub fn write_pair(&self, certificate: &Path, key: &Path) -> Result<()> {
        self.write_certificate(certificate)?;
        write(key, &self.key.private_key_to_pem_pkcs8()?)
    }
}

/// Ed25519 digests by itself.
fn digest(key: &PKey<Private>) -> MessageDigest {
    if key.id() == Id::ED25519 { MessageDigest::null() } else { MessageDigest::sha256() }
}

/// What a key of that kind can do, and no more.
fn usage(key: &PKey<Private>, purpose: Purpose) -> Result<X509Extension> {
    let mut usage = KeyUsage::new();
    usage.critical();
    match key.id() {
        Id::X25519 => usage.key_agreement(),
        Id::ED25519 => usage.digital_signature(),
        Id::EC => usage.digital_signature().key_agreement(),
        _ if purpose == Purpose::KeyAgreement => usage.key_agreement(),
        _ if purpose == Purpose::Message => {
            usage.digital_signature().key_encipherment().non_repudiation().data_encipherment()
        }
        _ => usage.digital_signature().key_encipherment(),
    };
    Ok(usage.build()?)
}

fn blank(name: &str, key: &PKey<Private>, valid: Validity) -> Result<X509Builder> {
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    let mut serial = BigNum::new()?;
    serial.rand(120, MsbOption::MAYBE_ZERO, false)?;
    builder.set_serial_number(serial.to_asn1_integer()?.as_ref())?;
    let subject = distinguished(name)?;
    builder.set_subject_name(&subject)?;
    let now = jiff_now();
    builder.set_not_before(Asn1Time::from_unix(now + valid.from * 86_400)?.as_ref())?;
    builder.set_not_after(Asn1Time::from_unix(now + valid.to * 86_400)?.as_ref())?;
    builder.set_pubkey(key)?;
    Ok(builder)
}

#[allow(clippy::disallowed_methods, reason = "certificates are made by the real clock")]
fn jiff_now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn distinguished(name: &str) -> Result<openssl::x509::X509Name> {
    let mut builder = X509NameBuilder::new()?;
    builder.append_entry_by_text("C", "LV")?;
    builder.append_entry_by_text("O", "tilts test")?;
    builder.append_entry_by_text("CN", name)?;
    Ok(builder.build())
}

fn write(path: &Path, octets: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, octets).with_context(|| format!("cannot write {}", path.display()))
}
