//! Checking a dossier with nothing but the dossier.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};

use openssl::sha::sha256;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::Error;
use super::super::read::{SignatureState, read};
use super::{CHAIN, CHECKPOINTS, MANIFEST, Proof, RECORD, REFERENCES, problem, raw_name};
use crate::pki::Certificate;
use crate::status::chain::{Link, START, root_of};
use crate::status::{Record, Row, fold};
use crate::xml::{Document, Element, Limits};
use crate::xmlsec::names::DS;
use crate::xmlsec::{Signature, SignedReference, Target, decode_base64};

/// Most octets of one file and of all files: a dossier is small, a zip bomb is not.
const MOST_OCTETS: u64 = 256 << 20;

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// Good, bad, or could not be told.
    pub ok: Option<bool>,
    /// Why.
    pub detail: String,
}

/// All that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order in which a reader would go.
    pub checks: Vec<Check>,
    /// The status that follows from the chain.
    pub record: Record,
}

impl Report {
    /// True when nothing was found bad.
    pub fn is_good(&self) -> bool {
        self.checks.iter().all(|check| check.ok != Some(false))
    }
}

/// Checks a dossier.
///
/// # Errors
/// [`Error::Zip`], [`Error::Dossier`] when it cannot be read at all; what is wrong in it is in the report.
pub fn verify(zip: &[u8]) -> Result<Report, Error> {
    let files = Files::read(zip)?;
    let mut checks = vec![files.check_manifest()?];
    let lines = files.text(CHAIN)?;
    let links: Vec<(Link, String)> = lines.lines().map(parse_link).collect::<Result<_, _>>()?;
    checks.push(check_chain(&links));
    checks.push(files.check_raw(&links));
    let proofs: Vec<Proof> = files.json(CHECKPOINTS)?;
    checks.extend(proofs.iter().map(|proof| check_proof(proof, &links)));
    if proofs.is_empty() {
        checks.push(unknown("checkpoints", "no checkpoint covers the chain yet"));
    }
    let rows: Vec<Row> = links.iter().map(|(link, _)| row(link)).collect::<Result<_, _>>()?;
    let record = fold(&rows);
    let stated: Record = files.json(RECORD)?;
    checks.push(check("status", stated == record, "the stated status follows from the chain"));
    checks.extend(files.check_evidence(&links)?);
    Ok(Report { checks, record })
}

fn check(name: &str, ok: bool, detail: impl Into<String>) -> Check {
    Check { name: name.to_owned(), ok: Some(ok), detail: detail.into() }
}

fn unknown(name: &str, detail: impl Into<String>) -> Check {
    Check { name: name.to_owned(), ok: None, detail: detail.into() }
}

fn parse_link(line: &str) -> Result<(Link, String), Error> {
    let link = serde_json::from_str(line).map_err(|e| problem(CHAIN, e))?;
    Ok((link, hex::encode(sha256(line.as_bytes()))))
}

fn check_chain(links: &[(Link, String)]) -> Check {
    let mut previous = hex::encode(START);
    for (expected, (link, hash)) in (1_u32..).zip(links) {
        if link.sequence != expected || link.previous != previous {
            return check("chain", false, format!("row {expected} does not follow the row before it"));
        }
        previous.clone_from(hash);
    }
    check("chain", !links.is_empty(), format!("{} rows, each naming the one before", links.len()))
}

fn check_proof(proof: &Proof, links: &[(Link, String)]) -> Check {
    let name = format!("checkpoint {}", proof.checkpoint.number);
    let sealed = links.iter().find(|(link, _)| link.sequence == proof.leaf.sequence);
    let agrees =
        sealed.is_some_and(|(link, hash)| *hash == proof.leaf.head && link.recipient == proof.leaf.recipient);
    let root = root_of(&proof.leaf, &proof.steps).map(hex::encode);
    let ok = agrees && root.as_deref() == Some(proof.checkpoint.root.as_str());
    check(&name, ok, format!("the first {} rows stood so at {}", proof.leaf.sequence, proof.checkpoint.at))
}

fn row(link: &Link) -> Result<Row, Error> {
    link.row().map_err(|e| problem(CHAIN, e))
}

struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    fn read(zip: &[u8]) -> Result<Self, Error> {
        let mut archive = zip::ZipArchive::new(Cursor::new(zip))?;
        let (mut files, mut left) = (BTreeMap::new(), MOST_OCTETS);
        for index in 0..archive.len() {
            let file = archive.by_index(index)?;
            let name = file.name().to_owned();
            let mut octets = Vec::new();
            file.take(left + 1).read_to_end(&mut octets).map_err(|e| problem(&name, e))?;
            left =
                left.checked_sub(octets.len() as u64).ok_or_else(|| problem(&name, "unpacks to too much"))?;
            if files.insert(name.clone(), octets).is_some() {
                return Err(problem(&name, "is there twice"));
            }
        }
        Ok(Self(files))
    }

    fn octets(&self, name: &str) -> Result<&[u8], Error> {
        self.0.get(name).map(Vec::as_slice).ok_or_else(|| problem(name, "is missing"))
    }

    fn text(&self, name: &str) -> Result<&str, Error> {
        std::str::from_utf8(self.octets(name)?).map_err(|e| problem(name, e))
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        serde_json::from_slice(self.octets(name)?).map_err(|e| problem(name, e))
    }

    fn check_manifest(&self) -> Result<Check, Error> {
        let manifest: BTreeMap<String, String> = self.json(MANIFEST)?;
        for (name, octets) in self.0.iter().filter(|(name, _)| *name != MANIFEST) {
            if manifest.get(name) != Some(&hex::encode(sha256(octets))) {
                return Ok(check(
                    "manifest",
                    false,
                    format!("{name} is not the file that the manifest names"),
                ));
            }
        }
        let missing = manifest.keys().find(|name| !self.0.contains_key(*name));
        Ok(match missing {
            Some(name) => check("manifest", false, format!("{name} is missing")),
            None => check("manifest", true, format!("{} files", manifest.len())),
        })
    }

    fn check_raw(&self, links: &[(Link, String)]) -> Check {
        for (link, _) in links {
            let octets = self.0.get(&raw_name(link));
            if octets.map(|o| hex::encode(sha256(o))).as_ref() != Some(&link.sha256) {
                return check(
                    "octets",
                    false,
                    format!("{} is not what row {} names", raw_name(link), link.sequence),
                );
            }
        }
        check("octets", true, "every row's octets are those that it names")
    }

    /// Signatures of receipts and evidence, and whether receipts acknowledge what was sent.
    fn check_evidence(&self, links: &[(Link, String)]) -> Result<Vec<Check>, Error> {
        let sent: Vec<SignedReference> = self.json(REFERENCES)?;
        let mut checks = Vec::new();
        for (link, _) in links {
            let name = raw_name(link);
            let Some(octets) = self.0.get(&name) else { continue };
            match link.format.as_str() {
                "rem" => checks.push(check_rem(&name, octets, link)),
                "as4-receipt" => {
                    checks.push(check_receipt_signature(&name, octets, link));
                    checks.push(check_receipt_references(&name, octets, &sent));
                }
                _ => {}
            }
        }
        Ok(checks)
    }
}

fn check_rem(name: &str, octets: &[u8], link: &Link) -> Check {
    let testimony = match read(octets) {
        Ok(testimony) => testimony,
        Err(error) => return check(name, false, error.to_string()),
    };
    let signer = testimony.signer.as_ref().map(Certificate::sha256_hex);
    let says_so = testimony.signal.as_str() == link.signal && testimony.identifier == link.identifier;
    match testimony.signature {
        SignatureState::Valid if !says_so => check(name, false, "it says something else than its row"),
        SignatureState::Valid if link.issuer.is_some() && signer != link.issuer => {
            check(name, false, "it is signed by another than its row names")
        }
        SignatureState::Valid => check(name, true, format!("signed by {}", signer.unwrap_or_default())),
        SignatureState::Unsupported(why) => unknown(name, why),
        SignatureState::Invalid(why) => check(name, false, why),
        SignatureState::Absent => check(name, !link.signed, "not signed"),
    }
}

/// A receipt's WS-Security signature, as far as the token is in the message (it is, with our own profile).
fn check_receipt_signature(name: &str, octets: &[u8], link: &Link) -> Check {
    let name = format!("{name} signature");
    let Ok(document) = Document::parse(octets, &Limits::default()) else {
        return check(&name, false, "it is not XML");
    };
    let element = document.root().descendants().find(|e| e.is(DS, "Signature"));
    let Some(element) = element else { return check(&name, !link.signed, "not signed") };
    let Some(certificate) = token_of(&document, element) else {
        return unknown(&name, "the signer's certificate is not in the receipt");
    };
    match signature_holds(&document, element, &certificate) {
        Err(why) => unknown(&name, why),
        Ok(false) => check(&name, false, "it does not hold"),
        Ok(true) if link.issuer.as_ref().is_some_and(|issuer| *issuer != certificate.sha256_hex()) => {
            check(&name, false, "it is signed by another than its row names")
        }
        Ok(true) => check(&name, true, format!("signed by {}", certificate.sha256_hex())),
    }
}

fn token_of(document: &Document, signature: Element<'_>) -> Option<Certificate> {
    let key_info = signature.child(DS, "KeyInfo")?;
    let reference = key_info.descendants().find(|e| e.local() == "Reference")?;
    let id = reference.attribute("URI")?.strip_prefix('#')?;
    let [token] = document.by_id(id)[..] else { return None };
    Certificate::from_der(&decode_base64(&document.element(token).text())?).ok()
}

fn signature_holds(
    document: &Document,
    element: Element<'_>,
    certificate: &Certificate,
) -> Result<bool, String> {
    let signature = Signature::parse(element).map_err(|e| e.to_string())?;
    let key = certificate.public_key().map_err(|e| e.to_string())?;
    let mut holds = signature.verify_value(&key).map_err(|e| e.to_string())?;
    for reference in &signature.references {
        let id = reference.fragment().ok_or("it covers something outside the receipt")?;
        let [target] = document.by_id(id)[..] else { return Ok(false) };
        holds &= signature.verify_reference(reference, Target::Element(target)).map_err(|e| e.to_string())?;
    }
    Ok(holds)
}

/// Whether the receipt acknowledges exactly the references that were sent (as4-wire 3.1), as sets.
fn check_receipt_references(name: &str, octets: &[u8], sent: &[SignedReference]) -> Check {
    let name = format!("{name} references");
    let Ok(document) = Document::parse(octets, &Limits::default()) else {
        return check(&name, false, "it is not XML");
    };
    let information = document.root().descendants().filter(|e| e.local() == "MessagePartNRInformation");
    let acknowledged: BTreeSet<(String, Vec<u8>)> = information
        .filter_map(|part| part.child(DS, "Reference"))
        .filter_map(|reference| {
            let value = decode_base64(&reference.child(DS, "DigestValue")?.text())?;
            Some((reference.attribute("URI").unwrap_or_default().to_owned(), value))
        })
        .collect();
    let sent: BTreeSet<(String, Vec<u8>)> =
        sent.iter().map(|r| (r.uri.clone(), r.digest_value.clone())).collect();
    check(&name, !sent.is_empty() && acknowledged == sent, "it acknowledges what was sent")
}
