//! Certificates and stores made on the spot, for the tests of this and other rooms.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, SubjectAlternativeName, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509CrlBuilder, X509Extension, X509NameBuilder, X509RevokedBuilder};

use super::Certificate;

/// A certificate and its key.
pub type Pair = (Certificate, PKey<Private>);

/// From the first to the last day of 2026.
pub const YEAR_2026: (&str, &str) = ("20260101000000Z", "20261231000000Z");

/// Long enough for tests that use the machine's clock (TLS).
pub const LONG: (&str, &str) = ("20200101000000Z", "20991231000000Z");

/// A P-256 key.
pub fn ec_key() -> PKey<Private> {
    curve_key(Nid::X9_62_PRIME256V1)
}

/// A key on that curve.
pub fn curve_key(curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

/// An Ed25519 key: signs only.
pub fn ed25519_key() -> PKey<Private> {
    PKey::generate_ed25519().unwrap()
}

/// An X25519 key: agrees only.
pub fn x25519_key() -> PKey<Private> {
    PKey::generate_x25519().unwrap()
}

/// An RSA key of 2048 bits.
pub fn rsa_key() -> PKey<Private> {
    PKey::from_rsa(openssl::rsa::Rsa::generate(2048).unwrap()).unwrap()
}

/// A self-signed end-entity certificate. `subject` is in the order of the encoding (`C=LV,O=x,CN=y`).
pub fn self_signed(subject: &str, valid: (&str, &str)) -> Pair {
    certificate(subject, &Options { valid, ..Options::default() }, None)
}

/// A CA valid from 2020 to 2099.
pub fn ca(subject: &str) -> Pair {
    certificate(subject, &Options { ca: true, ..Options::default() }, None)
}

/// A CA below another.
pub fn sub_ca(subject: &str, issuer: &Pair) -> Pair {
    certificate(subject, &Options { ca: true, ..Options::default() }, Some(issuer))
}

/// An end-entity certificate below a CA.
pub fn issued(subject: &str, issuer: &Pair, valid: (&str, &str)) -> Pair {
    certificate(subject, &Options { valid, ..Options::default() }, Some(issuer))
}

/// What a test certificate may vary in.
pub struct Options<'a> {
    /// notBefore and notAfter as ASN.1 GeneralizedTime.
    pub valid: (&'a str, &'a str),
    /// Whether basicConstraints says CA.
    pub ca: bool,
    /// DNS names or IP addresses for subjectAltName.
    pub hosts: &'a [&'a str],
    /// RSA instead of P-256.
    pub rsa: bool,
    /// Address of the issuer's revocation list.
    pub crl: Option<&'a str>,
    /// Address of the issuer's OCSP responder.
    pub ocsp: Option<&'a str>,
    /// Whether it may answer for its issuer over OCSP.
    pub responder: bool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { valid: LONG, ca: false, hosts: &[], rsa: false, crl: None, ocsp: None, responder: false }
    }
}

/// A certificate as the options say, signed by `issuer` or by itself.
pub fn certificate(subject: &str, options: &Options<'_>, issuer: Option<&Pair>) -> Pair {
    let key = if options.rsa { rsa_key() } else { ec_key() };
    certificate_of(key, subject, options, issuer)
}

/// A certificate for that key, signed by `issuer` or by itself.
pub fn certificate_of(
    key: PKey<Private>,
    subject: &str,
    options: &Options<'_>,
    issuer: Option<&Pair>,
) -> Pair {
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(120, MsbOption::MAYBE_ZERO, false).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    let name = name(subject);
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(issuer.map_or(&*name, |(c, _)| c.x509().subject_name())).unwrap();
    builder.set_not_before(&Asn1Time::from_str(options.valid.0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_str(options.valid.1).unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    extensions(&mut builder, options, issuer);
    let by = issuer.map_or(&key, |(_, key)| key);
    let digest = if by.id() == Id::ED25519 { MessageDigest::null() } else { MessageDigest::sha256() };
    builder.sign(by, digest).unwrap();
    (Certificate::from_x509(builder.build()).unwrap(), key)
}

fn extensions(builder: &mut X509Builder, options: &Options<'_>, issuer: Option<&Pair>) {
    if options.ca {
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    }
    let issuer = issuer.map(|(c, _)| c.x509());
    let ski = SubjectKeyIdentifier::new().build(&builder.x509v3_context(issuer, None)).unwrap();
    builder.append_extension(ski).unwrap();
    if issuer.is_some() {
        let aki =
            AuthorityKeyIdentifier::new().keyid(true).build(&builder.x509v3_context(issuer, None)).unwrap();
        builder.append_extension(aki).unwrap();
    }
    if let Some(url) = options.crl {
        builder.append_extension(extension(Nid::CRL_DISTRIBUTION_POINTS, &format!("URI:{url}"))).unwrap();
    }
    if let Some(url) = options.ocsp {
        builder.append_extension(extension(Nid::INFO_ACCESS, &format!("OCSP;URI:{url}"))).unwrap();
    }
    if options.responder {
        builder.append_extension(extension(Nid::EXT_KEY_USAGE, "OCSPSigning")).unwrap();
    }
    if !options.hosts.is_empty() {
        let mut san = SubjectAlternativeName::new();
        for host in options.hosts {
            match host.parse::<std::net::IpAddr>() {
                Ok(_) => san.ip(host),
                Err(_) => san.dns(host),
            };
        }
        let san = san.build(&builder.x509v3_context(issuer, None)).unwrap();
        builder.append_extension(san).unwrap();
    }
}

#[allow(deprecated, reason = "the only way to write this extension by value")]
fn extension(nid: Nid, value: &str) -> X509Extension {
    X509Extension::new_nid(None, None, nid, value).unwrap()
}

/// A list of `issuer` for 2026 and 2027 with these certificates revoked on 2026-02-01, DER.
pub fn crl(issuer: &Pair, revoked: &[&Certificate]) -> Vec<u8> {
    crl_for(issuer, revoked, &[])
}

/// The same for a scope: the DER of an IssuingDistributionPoint, or nothing.
pub fn crl_for(issuer: &Pair, revoked: &[&Certificate], scope: &[u8]) -> Vec<u8> {
    list(issuer, revoked, scope, ("20260101000000Z", "20271231000000Z"))
}

/// An IssuingDistributionPoint with one address.
pub fn distribution_point(url: &str) -> Vec<u8> {
    tlv(0x30, &tlv(0xa0, &tlv(0xa0, &tlv(0x86, url.as_bytes()))))
}

/// An IssuingDistributionPoint that is a directory name: the subject of `of`.
pub fn named_distribution_point(of: &Certificate) -> Vec<u8> {
    let name = of.x509().subject_name().to_der().unwrap();
    tlv(0x30, &tlv(0xa0, &tlv(0xa0, &tlv(0xa4, &name))))
}

/// A list of `issuer` in force from the first to the second time, DER.
pub fn list(issuer: &Pair, revoked: &[&Certificate], scope: &[u8], valid: (&str, &str)) -> Vec<u8> {
    let time = |text: &str| Asn1Time::from_str(text).unwrap();
    let mut builder = X509CrlBuilder::new().unwrap();
    builder.set_issuer_name(issuer.0.x509().subject_name()).unwrap();
    builder.set_last_update(&time(valid.0)).unwrap();
    builder.set_next_update(&time(valid.1)).unwrap();
    for certificate in revoked {
        let mut entry = X509RevokedBuilder::new().unwrap();
        entry.set_revocation_date(&time("20260201000000Z")).unwrap();
        entry.set_serial_number(certificate.x509().serial_number()).unwrap();
        builder.add_revoked(entry.build()).unwrap();
    }
    let context = X509::builder().unwrap();
    let context = context.x509v3_context(Some(issuer.0.x509()), None);
    builder.append_extension(AuthorityKeyIdentifier::new().keyid(true).build(&context).unwrap()).unwrap();
    let oid = openssl::asn1::Asn1Object::from_str("2.5.29.20").unwrap();
    let one = openssl::asn1::Asn1OctetString::new_from_bytes(&[2, 1, 1]).unwrap();
    builder.append_extension(X509Extension::new_from_der(&oid, false, &one).unwrap()).unwrap();
    if !scope.is_empty() {
        let oid = openssl::asn1::Asn1Object::from_str("2.5.29.28").unwrap();
        let scope = openssl::asn1::Asn1OctetString::new_from_bytes(scope).unwrap();
        builder.append_extension(X509Extension::new_from_der(&oid, true, &scope).unwrap()).unwrap();
    }
    builder.sort().unwrap();
    builder.sign(&issuer.1, MessageDigest::sha256()).unwrap();
    builder.build().unwrap().to_der().unwrap()
}

fn name(subject: &str) -> openssl::x509::X509Name {
    let mut builder = X509NameBuilder::new().unwrap();
    for part in subject.replace("\\,", "\u{1}").split(',') {
        let (kind, value) = part.split_once('=').unwrap();
        builder.append_entry_by_text(kind, &value.replace('\u{1}', ",")).unwrap();
    }
    builder.build()
}

/// A JKS with keys (alias, key, key password, certificate) and trusted certificates.
pub fn jks(
    password: &str,
    keys: &[(&str, &PKey<Private>, &str, &Certificate)],
    trusted: &[(&str, &Certificate)],
) -> Vec<u8> {
    let mut out = vec![0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2];
    out.extend(((keys.len() + trusted.len()) as u32).to_be_bytes());
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend((text.len() as u16).to_be_bytes());
        out.extend(text.as_bytes());
    };
    let sized = |out: &mut Vec<u8>, octets: &[u8]| {
        out.extend((octets.len() as u32).to_be_bytes());
        out.extend(octets);
    };
    for (alias, key, key_password, certificate) in keys {
        out.extend([0, 0, 0, 1]);
        text(&mut out, alias);
        out.extend([0; 8]);
        sized(&mut out, &protect(&key.private_key_to_pkcs8().unwrap(), key_password));
        out.extend([0, 0, 0, 1]);
        text(&mut out, "X.509");
        sized(&mut out, certificate.der());
    }
    for (alias, certificate) in trusted {
        out.extend([0, 0, 0, 2]);
        text(&mut out, alias);
        out.extend([0; 8]);
        text(&mut out, "X.509");
        sized(&mut out, certificate.der());
    }
    let digest = openssl::sha::sha1(&[utf16(password).as_slice(), b"Mighty Aphrodite", &out].concat());
    out.extend(digest);
    out
}

/// Sun's key protector, the writing side.
fn protect(plain: &[u8], password: &str) -> Vec<u8> {
    let password = utf16(password);
    let mut data = vec![7; 20];
    let mut stream = [7; 20];
    for block in plain.chunks(20) {
        stream = openssl::sha::sha1(&[password.as_slice(), &stream].concat());
        data.extend(block.iter().zip(stream).map(|(octet, key)| octet ^ key));
    }
    data.extend(openssl::sha::sha1(&[password.as_slice(), plain].concat()));
    let algorithm = tlv(0x30, &[tlv(6, &[0x2b, 6, 1, 4, 1, 0x2a, 2, 0x11, 1, 1]), tlv(5, &[])].concat());
    tlv(0x30, &[algorithm, tlv(4, &data)].concat())
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len() as u16;
    let mut out = vec![tag];
    match content.len() {
        0..=127 => out.push(length as u8),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend(content);
    out
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// What OpenSSL's own responder answers to `request`, DER, for two days from the machine's time: `known` are certificates of
/// `ca` with the time of their revocation, `signer` signs.
pub fn ocsp_answer(
    ca: &Pair,
    signer: &Pair,
    known: &[(&Certificate, Option<&str>)],
    request: &[u8],
) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, octets: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, octets).unwrap();
        path
    };
    let line = |(certificate, revoked): &(&Certificate, Option<&str>)| {
        let serial = certificate.x509().serial_number().to_bn().unwrap().to_hex_str().unwrap();
        let (status, when) = revoked.map_or(("V", String::new()), |at| ("R", at[2..].to_owned()));
        format!("{status}\t991231000000Z\t{when}\t{serial}\tunknown\t/CN=x\n")
    };
    let index = file("index.txt", known.iter().map(line).collect::<String>().as_bytes());
    let answer = folder.path().join("answer");
    let run = std::process::Command::new("openssl")
        .args(["ocsp", "-ndays", "2", "-index"])
        .arg(index)
        .arg("-CA")
        .arg(file("ca", &ca.0.x509().to_pem().unwrap()))
        .arg("-rsigner")
        .arg(file("signer", &signer.0.x509().to_pem().unwrap()))
        .arg("-rkey")
        .arg(file("key", &signer.1.private_key_to_pem_pkcs8().unwrap()))
        .arg("-reqin")
        .arg(file("request", request))
        .arg("-respout")
        .arg(&answer)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    std::fs::read(answer).unwrap()
}
