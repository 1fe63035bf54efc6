//! Payload parts as they stream in: decrypted, digested, inflated, and laid into an invisible spool file, chunk by chunk.
//!
//! Nothing of it is visible to anybody before every check of every stage has passed (promise 5 of the design): the spool
//! file vanishes with the value that holds it.

use std::io::Write;

use super::super::Node;
use super::reject::Refusal;
use super::unpack::Seen;
use crate::ebms::{Code, PartInfo};
use crate::mime::{self, Inflate, InflateLimits, PartHeaders, cid_of_href};
use crate::store::{SpoolWriter, StagedPayload};
use crate::wssec::{AttachmentVerifier, Verified};

/// A part that came whole, whose digest and tag are right.
pub(super) struct ReceivedPart {
    /// Content-ID without brackets.
    pub cid: String,
    /// What the header says of it.
    pub info: PartInfo,
    /// Media type on the wire, of the octets before encryption.
    pub media_type: String,
    /// Its octets, inflated where they were compressed; `None` when that failed.
    pub payload: Option<StagedPayload>,
    /// Why inflating failed.
    pub inflation: Option<String>,
}

/// Takes the MIME events of a message behind its envelope.
pub(super) struct Intake<'m> {
    node: &'m Node,
    verified: &'m Verified,
    /// (cid, PartInfo) in the order of the header.
    wanted: Vec<(String, PartInfo)>,
    done: Vec<Option<ReceivedPart>>,
    current: Option<Current>,
    /// Content-ID of the envelope.
    root: Option<String>,
}

struct Current {
    index: usize,
    media_type: String,
    verifier: AttachmentVerifier,
    sink: Sink,
}

/// Where the verified octets go.
struct Sink {
    writer: Option<SpoolWriter>,
    inflate: Option<Inflate>,
    problem: Option<String>,
    failed: Option<std::io::Error>,
    limit: u64,
}

impl<'m> Intake<'m> {
    /// For the parts that a header names.
    pub(super) fn new(node: &'m Node, verified: &'m Verified, parts: &[PartInfo]) -> Result<Self, Refusal> {
        let mut wanted: Vec<(String, PartInfo)> = Vec::with_capacity(parts.len());
        for info in parts {
            let href = info.href.as_deref().unwrap_or_default();
            let cid = cid_of_href(href)
                .ok_or_else(|| Refusal::new(Code::ExternalPayloadError, format!("{href:?} names no part")))?;
            if wanted.iter().any(|(known, _)| *known == cid) {
                return Err(Refusal::new(
                    Code::ValueInconsistent,
                    format!("two PartInfo name the part {cid}"),
                ));
            }
            wanted.push((cid, info.clone()));
        }
        let done = wanted.iter().map(|_| None).collect();
        Ok(Self { node, verified, wanted, done, current: None, root: None })
    }

    /// The envelope has this Content-ID: a part with the same one is ambiguous, whatever the signature says of it.
    pub(super) fn reserve(&mut self, root: &str) {
        self.root = Some(root.to_owned());
    }

    /// Takes an event kept from before.
    pub(super) fn replay(&mut self, seen: Seen) -> Result<(), Refusal> {
        match seen {
            Seen::Start(headers) => self.take(mime::Event::PartStart(headers)),
            Seen::Data(octets) => self.take(mime::Event::Data(&octets)),
            Seen::End => self.take(mime::Event::PartEnd),
            Seen::Close => self.take(mime::Event::End),
        }
    }

    /// Takes the next event.
    pub(super) fn take(&mut self, event: mime::Event<'_>) -> Result<(), Refusal> {
        match event {
            mime::Event::PartStart(headers) => self.start(headers),
            mime::Event::Data(octets) => self.data(octets),
            mime::Event::PartEnd => self.end(),
            mime::Event::End => Ok(()),
        }
    }

    /// All parts, in the order of the header.
    pub(super) fn finish(self) -> Result<Vec<ReceivedPart>, Refusal> {
        let missing = self.done.iter().position(Option::is_none);
        if let Some(index) = missing {
            let reason = format!("the part {} is named but did not come", self.wanted[index].0);
            return Err(Refusal::new(Code::ExternalPayloadError, reason));
        }
        Ok(self.done.into_iter().flatten().collect())
    }

    fn start(&mut self, headers: PartHeaders) -> Result<(), Refusal> {
        let cid = headers.content_id.clone().unwrap_or_default();
        if self.root.as_ref() == Some(&cid) {
            let reason = format!("the envelope and a part have the Content-ID {cid}");
            return Err(Refusal::new(Code::MimeInconsistency, reason));
        }
        let Some(index) = self.wanted.iter().position(|(wanted, _)| *wanted == cid) else {
            let reason = format!("the part {cid:?} is not named in the header");
            return Err(Refusal::new(Code::ExternalPayloadError, reason));
        };
        if self.done[index].is_some() {
            return Err(Refusal::new(
                Code::MimeInconsistency,
                format!("two parts have the Content-ID {cid}"),
            ));
        }
        let info = &self.wanted[index].1;
        let verifier = self.verified.attachment(&cid, &headers.media_type, info.is_compressed());
        let verifier = verifier.map_err(|e| super::secure::refused(&e))?;
        let media_type = verifier.media_type().to_owned();
        let sink = Sink::new(self.node, info.is_compressed(), verifier.sha256());
        self.current = Some(Current { index, media_type, verifier, sink });
        Ok(())
    }

    fn data(&mut self, octets: &[u8]) -> Result<(), Refusal> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let Current { verifier, sink, .. } = current;
        verifier.push(octets, &mut |plain| sink.take(plain)).map_err(|e| super::secure::refused(&e))?;
        sink.healthy()
    }

    fn end(&mut self) -> Result<(), Refusal> {
        let Some(Current { index, media_type, verifier, mut sink }) = self.current.take() else {
            return Ok(());
        };
        verifier.finish(&mut |plain| sink.take(plain)).map_err(|e| super::secure::refused(&e))?;
        let (payload, inflation) = sink.finish()?;
        let (cid, info) = self.wanted[index].clone();
        self.done[index] = Some(ReceivedPart { cid, info, media_type, payload, inflation });
        Ok(())
    }
}

impl Sink {
    /// `sha256` is that of the octets that will come, before they are inflated.
    fn new(node: &Node, compressed: bool, sha256: Option<[u8; 32]>) -> Self {
        let spool = node.store.spool();
        let writer = match sha256.filter(|_| !compressed) {
            Some(sha256) => spool.writer_of(sha256),
            None => spool.writer(),
        };
        let limits = InflateLimits {
            max_octets: node.limits.payload_octets,
            max_ratio: node.limits.inflate_ratio,
            ..InflateLimits::default()
        };
        Self {
            writer: Some(writer),
            inflate: compressed.then(|| Inflate::new(limits)),
            problem: None,
            failed: None,
            limit: node.limits.payload_octets,
        }
    }

    /// A problem with the compression is kept for the stage `check`: whether the signature holds comes first. The octets
    /// written so far go at once, so that a bomb does not lie on the disk while the rest streams by.
    fn take(&mut self, plain: &[u8]) {
        let Some(writer) = &mut self.writer else { return };
        let written: Result<(), Trouble> = match &mut self.inflate {
            Some(inflate) => {
                inflate.push(plain, &mut |octets| writer.write_all(octets).map_err(Trouble::Disk))
            }
            None if writer.size() + plain.len() as u64 > self.limit => Err(Trouble::TooLarge(self.limit)),
            None => writer.write_all(plain).map_err(Trouble::Disk),
        };
        match written {
            Ok(()) => return,
            Err(Trouble::Disk(error)) => self.failed = Some(error),
            Err(other) => self.problem = Some(other.to_string()),
        }
        self.writer = None;
    }

    fn healthy(&mut self) -> Result<(), Refusal> {
        match self.failed.take() {
            Some(error) => Err(full(&error)),
            None => Ok(()),
        }
    }

    fn finish(mut self) -> Result<(Option<StagedPayload>, Option<String>), Refusal> {
        self.healthy()?;
        if let (Some(inflate), None) = (&self.inflate, &self.problem)
            && let Err(error) = inflate.finish()
        {
            self.problem = Some(error.to_string());
        }
        match (self.writer, self.problem) {
            (Some(writer), None) => {
                writer.finish().map(|staged| (Some(staged), None)).map_err(|e| Refusal::store(&e))
            }
            (_, problem) => Ok((None, problem)),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the disk: {0}")]
    Disk(std::io::Error),
    #[error("larger than {0} octets")]
    TooLarge(u64),
    #[error("{0}")]
    Gzip(mime::Error),
}

impl From<mime::Error> for Trouble {
    fn from(error: mime::Error) -> Self {
        Self::Gzip(error)
    }
}

fn full(error: &std::io::Error) -> Refusal {
    Refusal::not_now(format!("the spool cannot be written: {error}"))
}
