//! The parts behind the envelope: decrypted, inflated, compared with what the header says of them.

use crate::ebms::{Code, PartInfo, UserMessage, names};
use crate::mime::{self, Inflate, InflateLimits, cid_of_href};

use super::Judge;
use super::capture::RawPart;
use super::encryption::Encryption;
use super::report::PartRow;
use super::signature::PartOctets;

/// A part and what became of it.
pub(super) struct Opened {
    pub cid: Option<String>,
    /// As known to the signer.
    pub signed_type: String,
    /// Decrypted; `None` when that failed.
    pub octets: Option<Vec<u8>>,
    /// Inflated, where it was compressed.
    pub inflated: Option<Vec<u8>>,
    pub compressed: bool,
    pub row: PartRow,
}

impl Opened {
    pub(super) fn octets_for_signature(&self) -> Option<PartOctets<'_>> {
        Some(PartOctets {
            cid: self.cid.as_deref()?,
            media_type: &self.signed_type,
            octets: self.octets.as_deref(),
            compressed: self.compressed,
        })
    }
}

/// Opens every part and settles the encryption.
pub(super) fn open(
    raw: &[RawPart],
    user: Option<&UserMessage>,
    encryption: &mut Encryption<'_>,
    judge: &mut Judge<'_>,
) -> Vec<Opened> {
    let opened: Vec<Opened> = raw.iter().map(|part| one(part, user, encryption, judge)).collect();
    let encrypted = |part: &&Opened| part.cid.as_deref().is_some_and(|cid| encryption.of_part(cid).is_some());
    let count = opened.iter().filter(encrypted).filter(|part| part.octets.is_some()).count();
    encryption.settle(count, judge);
    opened
}

fn one(
    raw: &RawPart,
    user: Option<&UserMessage>,
    encryption: &Encryption<'_>,
    judge: &mut Judge<'_>,
) -> Opened {
    let cid = raw.headers.content_id.clone();
    let data = cid.as_deref().and_then(|cid| encryption.of_part(cid));
    let info = cid.as_deref().and_then(|cid| info_of(user, cid));
    let octets = match data {
        Some(data) => encryption.open(data, &raw.octets),
        None => Some(raw.octets.clone()),
    };
    let signed_type = match data {
        Some(data) => data.mime_type.unwrap_or("application/octet-stream").to_owned(),
        None => raw.headers.media_type.clone(),
    };
    let named = info.and_then(|info| info.property(names::MIME_TYPE)).map(str::to_owned);
    let compression = info.and_then(|info| info.property(names::COMPRESSION_TYPE));
    let inflated = match (compression, &octets) {
        (Some(names::GZIP), Some(octets)) => inflate(octets, cid.as_deref(), judge),
        (Some(other), _) if other != names::GZIP => {
            let detail = format!("CompressionType {other:?} is not {}", names::GZIP);
            judge.add(Code::DecompressionFailure, detail);
            None
        }
        _ => None,
    };
    let hash = |octets: &Option<Vec<u8>>| octets.as_deref().map(|o| hex::encode(openssl::sha::sha256(o)));
    let size = |octets: &Option<Vec<u8>>| octets.as_ref().map(|octets| octets.len() as u64);
    let row = PartRow {
        cid: cid.clone(),
        media_type: Some(named.unwrap_or_else(|| signed_type.clone())),
        sha256: hash(&octets),
        size: size(&octets),
        uncompressed_sha256: hash(&inflated),
        uncompressed_size: size(&inflated),
    };
    Opened { cid, signed_type, octets, inflated, compressed: compression.is_some(), row }
}

fn info_of<'u>(user: Option<&'u UserMessage>, cid: &str) -> Option<&'u PartInfo> {
    user?.parts.iter().find(|part| part.href.as_deref().and_then(cid_of_href).as_deref() == Some(cid))
}

fn inflate(octets: &[u8], cid: Option<&str>, judge: &mut Judge<'_>) -> Option<Vec<u8>> {
    let mut inflated = Vec::new();
    let mut reader = Inflate::new(InflateLimits::default());
    let outcome = reader
        .push(octets, &mut |piece| -> Result<(), mime::Error> {
            inflated.extend_from_slice(piece);
            Ok(())
        })
        .and_then(|()| reader.finish());
    match outcome {
        Ok(_) => Some(inflated),
        Err(error) => {
            judge.add(Code::DecompressionFailure, format!("part {}: {error}", cid.unwrap_or("without id")));
            None
        }
    }
}

/// Every part that the header names is there, and every part is named (EBMS3 5.1.5).
pub(super) fn compare(opened: &[Opened], user: &UserMessage, judge: &mut Judge<'_>) {
    let mut named = Vec::new();
    for info in &user.parts {
        let href = info.href.as_deref();
        match (href.map(cid_of_href), href) {
            (Some(Some(cid)), _) => {
                if !opened.iter().any(|part| part.cid.as_deref() == Some(&cid)) {
                    judge.add(Code::ExternalPayloadError, format!("the part `{cid}` is named but not here"));
                }
                named.push(cid);
            }
            (_, None) => {}
            (_, Some(other)) if other.starts_with('#') => {}
            (_, Some(other)) => {
                judge.add(
                    Code::ExternalPayloadError,
                    format!("the payload `{other}` is outside of the message"),
                );
            }
        }
    }
    if let Some(twice) = mime::first_duplicate(named.iter().map(String::as_str)) {
        judge.add(Code::ValueInconsistent, format!("two PartInfo name the part `{twice}`"));
    }
    for part in opened.iter().filter(|part| !named.iter().any(|cid| part.cid.as_deref() == Some(cid))) {
        let cid = part.cid.as_deref().unwrap_or("without Content-ID");
        judge.add(Code::ExternalPayloadError, format!("the part `{cid}` is not named by the header"));
    }
}
