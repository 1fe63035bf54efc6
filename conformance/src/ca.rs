//! A certificate authority for demonstrations and tests. Test keys only.

use std::path::Path;

use anyhow::{Context, Result};
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{HasPublic, Id, PKey, PKeyRef, Private};
use openssl::rsa::Rsa;
use openssl::stack::Stack;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509CrlBuilder, X509Extension, X509NameBuilder, X509RevokedBuilder};

/// A root that signs leaf certificates.
pub struct Authority {
    certificate: X509,
    key: PKey<Private>,
    pointers: Pointers,
}

/// Where an authority publishes what it has revoked; written into what it issues.
#[derive(Debug, Clone, Default)]
pub struct Pointers {
    /// Address of its list.
    pub list: Option<String>,
    /// Address of its OCSP responder.
    pub responder: Option<String>,
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

/// How long a revocation list is in force, in seconds from now.
#[derive(Debug, Clone, Copy)]
pub struct List {
    /// thisUpdate.
    pub from: i64,
    /// nextUpdate.
    pub to: i64,
}

impl Default for List {
    fn default() -> Self {
        Self { from: -600, to: 7 * 86_400 }
    }
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
        Ok(Self { certificate: builder.build(), key, pointers: Pointers::default() })
    }

    /// The same authority, which from now on publishes what it revokes.
    #[must_use]
    pub fn publishing(self, pointers: Pointers) -> Self {
        Self { pointers, ..self }
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
        Ok(Identity { certificate: self.certify(&key, name, purpose, valid)?, key })
    }

    /// A certificate for a key whose private half nobody need have.
    pub fn certify<T: HasPublic>(
        &self,
        key: &PKeyRef<T>,
        name: &str,
        purpose: Purpose,
        valid: Validity,
    ) -> Result<X509> {
        let mut builder = blank(name, key, valid)?;
        builder.set_issuer_name(self.certificate.subject_name())?;
        builder.append_extension(BasicConstraints::new().critical().build()?)?;
        builder.append_extension(usage(key, purpose)?)?;
        if purpose == Purpose::Tls {
            builder.append_extension(ExtendedKeyUsage::new().server_auth().client_auth().build()?)?;
            let context = builder.x509v3_context(Some(&self.certificate), None);
            let san = SubjectAlternativeName::new().ip("127.0.0.1").dns("localhost").build(&context)?;
            builder.append_extension(san)?;
        }
        if let Some(url) = &self.pointers.list {
            builder.append_extension(by_value(Nid::CRL_DISTRIBUTION_POINTS, &format!("URI:{url}"))?)?;
        }
        if let Some(url) = &self.pointers.responder {
            builder.append_extension(by_value(Nid::INFO_ACCESS, &format!("OCSP;URI:{url}"))?)?;
        }
        let context = builder.x509v3_context(Some(&self.certificate), None);
        let ski = SubjectKeyIdentifier::new().build(&context)?;
        builder.append_extension(ski)?;
        let context = builder.x509v3_context(Some(&self.certificate), None);
        let aki = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
        builder.append_extension(aki)?;
        builder.sign(&self.key, digest(&self.key))?;
        Ok(builder.build())
    }

    /// A revocation list that names these certificates, DER.
    pub fn revocation_list(&self, revoked: &[&Identity], list: List) -> Result<Vec<u8>> {
        let now = jiff_now();
        let time = |seconds: i64| Asn1Time::from_unix(now + seconds);
        let mut builder = X509CrlBuilder::new()?;
        builder.set_issuer_name(self.certificate.subject_name())?;
        builder.set_last_update(time(list.from)?.as_ref())?;
        builder.set_next_update(time(list.to)?.as_ref())?;
        for identity in revoked {
            let mut entry = X509RevokedBuilder::new()?;
            entry.set_revocation_date(time(-3600)?.as_ref())?;
            entry.set_serial_number(identity.certificate.serial_number())?;
            builder.add_revoked(entry.build())?;
        }
        // A CRL's builder has no context of its own.
        let context = X509::builder()?;
        let context = context.x509v3_context(Some(&self.certificate), None);
        builder.append_extension(AuthorityKeyIdentifier::new().keyid(true).build(&context)?)?;
        let number = openssl::asn1::Asn1OctetString::new_from_bytes(&[2, 1, 1])?;
        let oid = openssl::asn1::Asn1Object::from_str("2.5.29.20")?;
        builder.append_extension(X509Extension::new_from_der(&oid, false, &number)?)?;
        builder.sort()?;
        builder.sign(&self.key, digest(&self.key))?;
        Ok(builder.build()?.to_der()?)
    }

    /// Writes root and key as two PEM files.
    pub fn write_pair(&self, certificate: &Path, key: &Path) -> Result<()> {
        self.write_pem(certificate)?;
        write(key, &self.key.private_key_to_pem_pkcs8()?)
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
    /// Reads what [`Identity::write_pair`] wrote as `<name>.pem` and `<name>.key`.
    pub fn read_pair(folder: &Path, name: &str) -> Result<Self> {
        let read = |kind: &str| std::fs::read(folder.join(format!("{name}.{kind}")));
        Ok(Self {
            certificate: X509::from_pem(&read("pem")?)?,
            key: PKey::private_key_from_pem(&read("key")?)?,
        })
    }

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

#[allow(deprecated, reason = "the only way to write this extension by value")]
fn by_value(nid: Nid, value: &str) -> Result<X509Extension> {
    Ok(X509Extension::new_nid(None, None, nid, value)?)
}

/// Ed25519 digests by itself.
fn digest(key: &PKey<Private>) -> MessageDigest {
    if key.id() == Id::ED25519 { MessageDigest::null() } else { MessageDigest::sha256() }
}

/// What a key of that kind can do, and no more.
fn usage<T: HasPublic>(key: &PKeyRef<T>, purpose: Purpose) -> Result<X509Extension> {
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

fn blank<T: HasPublic>(name: &str, key: &PKeyRef<T>, valid: Validity) -> Result<X509Builder> {
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
