//! A message as both sides are asked to send it: parties, parts, and what must arrive.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use openssl::sha::Sha256;
use serde_json::{Value, json};

use crate::random::Random;
use crate::world::said;

/// One payload on the disk.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its octets.
    pub file: PathBuf,
    /// How many.
    pub size: u64,
    /// Lower-case hex.
    pub sha256: String,
    /// Media type.
    pub media_type: String,
    /// Whether phase4 compresses it; tilts decides by its agreement.
    pub compress: bool,
}

/// What a payload is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// XML with everything that canonicalisation may touch: prefixes, comments, CDATA, attribute order, line ends.
    Xml,
    /// Noise of so many octets.
    Noise(u64),
}

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- a comment before the root -->\n<a:letter xmlns:a=\"urn:a\" \
    xmlns:unused=\"urn:unused\" z=\"1\"  b='2' a:c=\"3\">\n  <empty/>\r\n  <text>r\u{12b}ts &amp; vakars &#x9; <![CDATA[<raw>]]></text>\n  \
    <default xmlns=\"urn:b\"><in\u{146}  k = \"v\"/></default><!-- inside -->\n</a:letter>\n<?end of it?>\n";

impl Part {
    /// Writes a payload into `folder`.
    pub fn new(folder: &Path, name: &str, content: Content, compress: bool) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let file = folder.join(name);
        let (media_type, octets) = match content {
            Content::Xml => ("application/xml", XML.as_bytes().to_vec()),
            Content::Noise(size) => ("application/octet-stream", noise(size)?),
        };
        std::fs::write(&file, &octets)?;
        let mut hash = Sha256::new();
        hash.update(&octets);
        let sha256 = hex(&hash.finish());
        Ok(Self { file, size: octets.len() as u64, sha256, media_type: media_type.into(), compress })
    }

    /// As a job of our Java program names it.
    pub fn job(&self) -> Value {
        json!({ "file": self.file, "media_type": self.media_type, "compress": self.compress })
    }
}

/// The part with size and digest of its exclusive C14N: WSS4J replaces XML that is not compressed by it, when it signs and
/// when it verifies.
pub async fn canonical(tilts: &Path, mut part: Part) -> Result<Part> {
    let mut command = tokio::process::Command::new(tilts);
    command.arg("c14n").arg(&part.file);
    let octets = said(command).await?.into_bytes();
    (part.size, part.sha256) = (octets.len() as u64, sha256(&octets));
    Ok(part)
}

fn noise(size: u64) -> Result<Vec<u8>> {
    let mut octets = vec![0; usize::try_from(size)?];
    Random::new(size).fill(&mut octets);
    Ok(octets)
}

/// Lower-case hex.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// SHA-256 in lower-case hex.
pub fn sha256(octets: &[u8]) -> String {
    hex(&openssl::sha::sha256(octets))
}

/// Compares what arrived, in order, with what was sent: size, SHA-256 and media type.
pub fn same_parts(sent: &[Part], arrived: &[(u64, String, String)]) -> Result<()> {
    ensure!(sent.len() == arrived.len(), "{} parts arrived instead of {}", arrived.len(), sent.len());
    for (n, (part, (size, sha256, media_type))) in sent.iter().zip(arrived).enumerate() {
        ensure!(part.size == *size, "part {n} has {size} octets instead of {}", part.size);
        ensure!(part.sha256 == *sha256, "part {n} has other octets than were sent");
        ensure!(part.media_type == *media_type, "part {n} is {media_type} instead of {}", part.media_type);
    }
    Ok(())
}
