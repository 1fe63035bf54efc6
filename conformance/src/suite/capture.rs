//! What an endpoint wrote, taken apart by the suite's own code: MIME, XML, signature and encryption (openssl).

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;
use openssl::encrypt::Decrypter;
use openssl::hash::{MessageDigest, hash};
use openssl::pkey::{Id, PKeyRef, Public};
use openssl::rsa::Padding;
use openssl::sign::Verifier;
use openssl::symm::{Cipher, decrypt_aead};
use openssl::x509::X509Ref;

use super::agreement;
use super::xml::{self, Element};
use crate::as4::{ATTACHMENT, C14N, signature_method};
use crate::ca::Identity;

const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

/// One request or answer as it came.
#[derive(Debug, Clone, Default)]
pub struct Capture {
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// A MIME part.
#[derive(Debug, Clone)]
pub struct MimePart {
    /// Header names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Octets.
    pub octets: Vec<u8>,
}

impl MimePart {
    /// Content-ID without brackets.
    pub fn cid(&self) -> &str {
        self.headers.get("content-id").map_or("", |id| id.trim_start_matches('<').trim_end_matches('>'))
    }
}

/// A message taken apart.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The envelope as text.
    pub text: String,
    /// The envelope.
    pub envelope: Element,
    /// The parts behind it, as they travelled.
    pub parts: Vec<MimePart>,
}

/// A payload as it was submitted.
#[derive(Debug, Clone)]
pub struct Payload {
    /// Content-ID.
    pub cid: String,
    /// PartProperties.
    pub properties: BTreeMap<String, String>,
    /// Octets as signed: decrypted, still compressed.
    pub signed: Vec<u8>,
    /// Octets as the producer gave them.
    pub octets: Vec<u8>,
}

impl Capture {
    /// A header's value.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// Takes it apart.
    pub fn open(&self) -> Result<Opened> {
        let content_type = self.header("content-type");
        let mut parts = match boundary(content_type) {
            Some(boundary) => split(&self.body, &boundary)?,
            None => vec![MimePart { headers: BTreeMap::new(), octets: self.body.clone() }],
        };
        ensure!(!parts.is_empty(), "no part in the multipart message");
        let root = parts.remove(0);
        let text = String::from_utf8(root.octets).context("the envelope is not UTF-8")?;
        Ok(Opened { envelope: xml::parse(&text)?, text, parts })
    }
}

fn boundary(content_type: &str) -> Option<String> {
    content_type.to_ascii_lowercase().starts_with("multipart/").then_some(())?;
    let at = content_type.to_ascii_lowercase().find("boundary=")? + "boundary=".len();
    let rest = &content_type[at..];
    match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().map(str::to_owned),
        None => rest.split(';').next().map(|b| b.trim().to_owned()),
    }
}

fn split(body: &[u8], boundary: &str) -> Result<Vec<MimePart>> {
    let delimiter = format!("--{boundary}").into_bytes();
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(found) = find(&body[at..], &delimiter) {
        let start = at + found;
        if start == 0 || body[..start].ends_with(b"\r\n") {
            starts.push(start);
        }
        at = start + delimiter.len();
    }
    let last = starts.last().context("no boundary in the body")?;
    ensure!(body[last + delimiter.len()..].starts_with(b"--"), "the closing boundary is missing");
    starts.windows(2).map(|pair| part(&body[pair[0] + delimiter.len()..pair[1] - 2])).collect()
}

fn part(octets: &[u8]) -> Result<MimePart> {
    let octets = octets.strip_prefix(b"\r\n").context("something behind a boundary")?;
    let (head, body) = match octets.strip_prefix(b"\r\n") {
        Some(body) => (&b""[..], body),
        None => {
            let end = find(octets, b"\r\n\r\n").context("a part without end of its headers")?;
            (&octets[..end], &octets[end + 4..])
        }
    };
    let head = String::from_utf8_lossy(head).replace("\r\n ", " ").replace("\r\n\t", " ");
    let headers = head.lines().filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Ok(MimePart { headers, octets: body.to_vec() })
}

fn find(octets: &[u8], wanted: &[u8]) -> Option<usize> {
    octets.windows(wanted.len()).position(|window| window == wanted)
}

impl Opened {
    /// The Messaging header.
    pub fn messaging(&self) -> Result<&Element> {
        self.envelope.first("Messaging")
    }

    /// The UserMessage.
    pub fn user_message(&self) -> Result<&Element> {
        self.envelope.first("UserMessage")
    }

    /// Text of the first element of that name in the UserMessage; empty when absent.
    pub fn value(&self, name: &str) -> String {
        let found = self.user_message().ok().and_then(|user| user.first(name).ok());
        found.map(Element::text).unwrap_or_default()
    }

    /// Message properties by name.
    pub fn properties(&self) -> BTreeMap<String, String> {
        let all = self.envelope.first("MessageProperties").map(|p| p.all("Property")).unwrap_or_default();
        all.into_iter().map(|p| (p.attribute("name").unwrap_or_default().to_owned(), p.text())).collect()
    }

    /// The PartInfo elements.
    pub fn part_infos(&self) -> Vec<&Element> {
        self.envelope.all("PartInfo")
    }

    /// The ds:Reference elements of the signature.
    pub fn references(&self) -> Result<Vec<&Element>> {
        Ok(self.envelope.first("SignedInfo")?.children().filter(|e| e.local() == "Reference").collect())
    }

    /// Decrypts every part with that key, where it is encrypted, and inflates it, where the header says so.
    pub fn payloads(&self, owner: &Identity) -> Result<Vec<Payload>> {
        let key = match self.envelope.all("EncryptedKey").is_empty() {
            false => Some(self.content_key(owner)?),
            true => None,
        };
        self.part_infos().into_iter().map(|info| self.payload(info, key.as_deref())).collect()
    }

    /// The key that the parts are encrypted by.
    pub fn content_key(&self, owner: &Identity) -> Result<Vec<u8>> {
        let key = self.envelope.first("EncryptedKey")?;
        match key.all("AgreementMethod").is_empty() {
            true => transported(key, owner),
            false => agreement::content_key(key, &owner.key),
        }
    }

    fn payload(&self, info: &Element, key: Option<&[u8]>) -> Result<Payload> {
        let href = info.attribute("href").context("a PartInfo without href")?;
        let cid = href.strip_prefix("cid:").with_context(|| format!("{href} is no part"))?;
        let part = self.parts.iter().find(|p| p.cid() == cid).with_context(|| format!("no part {cid}"))?;
        let encrypted = self.envelope.all("CipherReference").iter().any(|c| c.attribute("URI") == Some(href));
        let signed = match (encrypted, key) {
            (true, Some(key)) => decrypted(&part.octets, key).with_context(|| format!("part {cid}"))?,
            (true, None) => bail!("part {cid} is encrypted without a key"),
            (false, _) => part.octets.clone(),
        };
        let properties: BTreeMap<_, _> = info
            .all("Property")
            .into_iter()
            .map(|p| (p.attribute("name").unwrap_or_default().to_owned(), p.text()))
            .collect();
        let octets = match properties.get("CompressionType") {
            Some(_) => inflated(&signed)?,
            None => signed.clone(),
        };
        Ok(Payload { cid: cid.into(), properties, signed, octets })
    }

    /// Verifies the signature as eDelivery AS4 has it: by that certificate and the algorithm of its kind of key, over
    /// Messaging, Body and every part.
    pub fn verify(&self, signer: &X509Ref, payloads: &[Payload]) -> Result<Vec<String>> {
        let signature = self.envelope.first("Signature")?;
        let info = signature.first("SignedInfo")?;
        let method = info.first("SignatureMethod")?.attribute("Algorithm").unwrap_or_default();
        let key = signer.public_key()?;
        ensure!(method == signature_method(key.id()), "SignatureMethod is {method}");
        let c14n = info.first("CanonicalizationMethod")?;
        ensure!(c14n.attribute("Algorithm") == Some(C14N), "CanonicalizationMethod is not exclusive C14N");
        let value = STANDARD.decode(packed(&signature.first("SignatureValue")?.text()))?;
        let octets = info.canonical(prefixes(c14n)).into_bytes();
        ensure!(holds(&key, &octets, &value)?, "SignatureValue is not by {:?}", signer.subject_name());
        self.references()?.into_iter().map(|r| self.digest_holds(r, payloads)).collect()
    }

    fn digest_holds(&self, reference: &Element, payloads: &[Payload]) -> Result<String> {
        let uri = reference.attribute("URI").unwrap_or_default();
        let method = reference.first("DigestMethod")?.attribute("Algorithm").unwrap_or_default();
        ensure!(method == SHA256, "DigestMethod of {uri} is {method}");
        let transform = reference.first("Transform")?;
        let algorithm = transform.attribute("Algorithm").unwrap_or_default();
        let octets = match (uri.strip_prefix('#'), uri.strip_prefix("cid:")) {
            (Some(id), _) => {
                ensure!(algorithm == C14N, "the transform of {uri} is {algorithm}");
                let element = self.envelope.by_id(id).with_context(|| format!("no element {id}"))?;
                element.canonical(prefixes(transform)).into_bytes()
            }
            (_, Some(cid)) => {
                ensure!(algorithm == ATTACHMENT, "the transform of {uri} is {algorithm}");
                let payload = payloads.iter().find(|p| p.cid == cid);
                payload.with_context(|| format!("no part {cid}"))?.signed.clone()
            }
            _ => bail!("the reference {uri:?} is neither an element nor a part"),
        };
        let wanted = STANDARD.decode(packed(&reference.first("DigestValue")?.text()))?;
        ensure!(
            hash(MessageDigest::sha256(), &octets)?[..] == wanted[..],
            "the digest of {uri} does not hold"
        );
        Ok(uri.to_owned())
    }
}

/// Whether that SignatureValue is by the owner of that key.
fn holds(key: &PKeyRef<Public>, octets: &[u8], value: &[u8]) -> Result<bool> {
    match key.id() {
        Id::ED25519 => Ok(Verifier::new_without_digest(key)?.verify_oneshot(value, octets)?),
        Id::EC => {
            let key = key.ec_key()?;
            let size = usize::try_from(key.group().degree().div_ceil(8))?;
            ensure!(value.len() == 2 * size, "SignatureValue has {} octets", value.len());
            let (r, s) = value.split_at(size);
            let signature =
                EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?;
            Ok(signature.verify(&hash(MessageDigest::sha256(), octets)?, &key)?)
        }
        _ => {
            let mut by = Verifier::new(MessageDigest::sha256(), key)?;
            by.update(octets)?;
            Ok(by.verify(value)?)
        }
    }
}

fn prefixes(of: &Element) -> &str {
    of.child("InclusiveNamespaces").and_then(|list| list.attribute("PrefixList")).unwrap_or_default()
}

fn packed(text: &str) -> String {
    text.split_whitespace().collect()
}

/// RSA-OAEP with SHA-256 and MGF1-SHA256: another key transport does not open here.
fn transported(key: &Element, owner: &Identity) -> Result<Vec<u8>> {
    let value = STANDARD.decode(packed(&key.first("CipherValue")?.text()))?;
    let mut by = Decrypter::new(&owner.key)?;
    by.set_rsa_padding(Padding::PKCS1_OAEP)?;
    by.set_rsa_oaep_md(MessageDigest::sha256())?;
    by.set_rsa_mgf1_md(MessageDigest::sha256())?;
    let mut out = vec![0; by.decrypt_len(&value)?];
    let length = by.decrypt(&value, &mut out).context("EncryptedKey does not open with our key")?;
    out.truncate(length);
    Ok(out)
}

fn decrypted(octets: &[u8], key: &[u8]) -> Result<Vec<u8>> {
    ensure!(octets.len() >= 28, "too short for nonce and tag");
    ensure!(key.len() == 16, "the content key has {} octets", key.len());
    let (nonce, rest) = octets.split_at(12);
    let (cipher, tag) = rest.split_at(rest.len() - 16);
    decrypt_aead(Cipher::aes_128_gcm(), key, Some(nonce), &[], cipher, tag).context("AES-128-GCM")
}

/// Undoes gzip.
pub fn inflated(octets: &[u8]) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut GzDecoder::new(octets), &mut plain).context("gzip")?;
    Ok(plain)
}

/// gzip.
pub fn gzip(octets: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, octets)?;
    Ok(encoder.finish()?)
}
