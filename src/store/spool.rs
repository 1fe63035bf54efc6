//! Payload octets on their way in: in memory up to 64 KB, then in a file that nobody sees until it is published.
//!
//! A payload file is durable where it is published ([`super::shelf`]) before the row that names it is committed, so that a row never
//! points at nothing (design 2, promise 4); a file without a row is an orphan and is collected.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use openssl::sha::Sha256;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::direct::DirectFile;
use super::payload_reader::Octets;
use super::room::Room;
use super::sealed::{PayloadKey, PayloadKeys, Seal, Sealer};
use super::shelf::{Shelf, read_dir};
use super::{Error, PayloadId};

/// Payloads at or under this many octets live in their row; larger ones in files (design 4).
pub const INLINE: usize = 64 * 1024;
/// After so many octets more it is asked whether there is still room.
const ROOM: u64 = 1 << 20;
/// How much of a payload decides whether it is worth compressing.
const SAMPLE: usize = 64 * 1024;

/// In which form the octets of a payload are kept or wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// As submitted or received.
    Original,
    /// gzip with a fixed header (time 0), so that the same octets always give the same digest.
    Gzip,
    /// Exclusive C14N of an XML payload that is sent uncompressed (as4-wire 2.3).
    Canonical,
}

impl Form {
    /// The word by which the form is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Gzip => "gzip",
            Self::Canonical => "canonical",
        }
    }

    pub(super) fn read(word: &str) -> Result<Self, Error> {
        match word {
            "original" => Ok(Self::Original),
            "gzip" => Ok(Self::Gzip),
            "canonical" => Ok(Self::Canonical),
            _ => Err(Error::Damaged { what: "payload form", value: word.to_owned() }),
        }
    }
}

/// How a writer keeps what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// As it comes: inbound payloads.
    AsIs,
    /// Compressed, unless a sample of 64 KB does not shrink by 5 % (model 3): outbound payloads.
    Compressed,
}

/// Size and SHA-256 of one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// In octets.
    pub size: u64,
    /// Over exactly these octets.
    #[serde(with = "super::ids::hex32")]
    pub sha256: [u8; 32],
}

/// Payloads in the making, and the place where they are published.
#[derive(Debug, Clone)]
pub struct Spool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    making: PathBuf,
    shelf: Shelf,
    keys: PayloadKeys,
    room: Arc<Room>,
}

impl Spool {
    /// Payloads are made in the folder `making`, which is emptied, and published on the shelf.
    pub(super) fn open(
        making: PathBuf,
        shelf: Shelf,
        keys: PayloadKeys,
        room: Arc<Room>,
    ) -> Result<Self, Error> {
        fs::create_dir_all(&making).map_err(Error::io(&making))?;
        for left_over in read_dir(&making)? {
            fs::remove_file(&left_over).map_err(Error::io(&left_over))?;
        }
        shelf.prepare()?;
        Ok(Self { inner: Arc::new(Inner { making, shelf, keys, room }) })
    }

    /// A writer for one payload that keeps it as it comes.
    pub fn writer(&self) -> SpoolWriter {
        self.writer_keeping(Keep::AsIs)
    }

    /// A writer for one payload that keeps it as it comes, and whose SHA-256 is known: whoever calls must have seen that before
    /// [`SpoolWriter::finish`].
    pub fn writer_of(&self, sha256: [u8; 32]) -> SpoolWriter {
        SpoolWriter { original: Digest::Known(sha256), ..self.writer() }
    }

    /// A writer for one payload.
    pub fn writer_keeping(&self, keep: Keep) -> SpoolWriter {
        let sink = Sink {
            folder: self.inner.making.clone(),
            key: self.keys().first().cloned(),
            room: Arc::clone(&self.inner.room),
            held: Held::Memory(Vec::new()),
            count: 0,
            hash: None,
        };
        let stage = match keep {
            Keep::AsIs => Stage::Plain(sink),
            Keep::Compressed => Stage::Sampling { sample: Vec::new(), sink },
        };
        SpoolWriter { stage, original: Digest::Made(Sha256::new()), size: 0, crc: Crc::new() }
    }

    /// The keys of payloads at rest.
    pub(super) fn keys(&self) -> &PayloadKeys {
        &self.inner.keys
    }

    /// Where payloads are published.
    pub(super) fn shelf(&self) -> &Shelf {
        &self.inner.shelf
    }
}

/// Takes the octets of one payload. Dropped unfinished, it leaves nothing behind.
pub struct SpoolWriter {
    stage: Stage,
    original: Digest,
    size: u64,
    crc: Crc,
}

/// SHA-256 of what is written.
enum Digest {
    Made(Sha256),
    Known([u8; 32]),
}

impl Digest {
    fn update(&mut self, octets: &[u8]) {
        if let Self::Made(hash) = self {
            hash.update(octets);
        }
    }

    fn finish(self) -> [u8; 32] {
        match self {
            Self::Made(hash) => hash.finish(),
            Self::Known(sha256) => sha256,
        }
    }
}

enum Stage {
    Plain(Sink),
    Sampling {
        sample: Vec<u8>,
        sink: Sink,
    },
    Gzip(Box<DeflateEncoder<Sink>>),
    /// Only while one stage turns into the next.
    Spent,
}

impl SpoolWriter {
    /// Octets written so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Ends the payload. Nothing is visible yet: [`super::Store::submit`] and [`super::Store::accept`] publish it.
    ///
    /// # Errors
    /// The disk's, when the last octets cannot be written.
    pub fn finish(mut self) -> Result<StagedPayload, Error> {
        self.decide().map_err(Error::spool)?;
        let crc = self.crc.sum();
        let original = Measure { size: self.size, sha256: self.original.finish() };
        let (form, sink) = match self.stage {
            Stage::Plain(sink) => (Form::Original, sink),
            Stage::Gzip(encoder) => {
                (Form::Gzip, end_gzip(*encoder, crc, original.size).map_err(Error::spool)?)
            }
            Stage::Sampling { sink, .. } => (Form::Original, sink),
            Stage::Spent => return Err(Error::spool(broken())),
        };
        let stored = match sink.hash {
            Some(hash) => Measure { size: sink.count, sha256: hash.finish() },
            None => original,
        };
        let held = sink.held.settle().map_err(Error::spool)?;
        Ok(StagedPayload { original, form, stored, identity: original.sha256, held })
    }

    /// Judges the sample, once it is full or the payload has ended.
    fn decide(&mut self) -> io::Result<()> {
        let Stage::Sampling { .. } = self.stage else { return Ok(()) };
        let Stage::Sampling { sample, mut sink } = std::mem::replace(&mut self.stage, Stage::Spent) else {
            return Err(broken());
        };
        self.stage = if shrinks(&sample)? {
            sink.hash = Some(Sha256::new());
            sink.write_all(&GZIP_HEADER)?;
            let mut encoder = DeflateEncoder::new(sink, Compression::fast());
            encoder.write_all(&sample)?;
            Stage::Gzip(Box::new(encoder))
        } else {
            sink.write_all(&sample)?;
            Stage::Plain(sink)
        };
        Ok(())
    }

    fn pass_on(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.stage {
            Stage::Plain(sink) => sink.write_all(octets),
            Stage::Gzip(encoder) => encoder.write_all(octets),
            Stage::Sampling { sample, .. } => {
                let room = SAMPLE.saturating_sub(sample.len()).min(octets.len());
                let (now, later) = octets.split_at(room);
                sample.extend_from_slice(now);
                if sample.len() < SAMPLE {
                    return Ok(());
                }
                self.decide()?;
                if later.is_empty() { Ok(()) } else { self.pass_on(later) }
            }
            Stage::Spent => Err(broken()),
        }
    }
}

impl Write for SpoolWriter {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.original.update(octets);
        if matches!(self.stage, Stage::Gzip(_) | Stage::Sampling { .. }) {
            self.crc.update(octets);
        }
        self.size += octets.len() as u64;
        self.pass_on(octets)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A finished payload that no row names yet. Dropped, it is gone.
#[derive(Debug)]
pub struct StagedPayload {
    /// Size and digest of what was written.
    pub original: Measure,
    /// The form in which it is held.
    pub form: Form,
    /// Size and digest of that form.
    pub stored: Measure,
    identity: [u8; 32],
    held: Settled,
}

impl StagedPayload {
    /// Octets as written, before any compression.
    pub fn size(&self) -> u64 {
        self.original.size
    }

    /// Whether it will live in its row.
    pub(super) fn is_in_memory(&self) -> bool {
        matches!(self.held, Settled::Memory(_))
    }

    /// SHA-256 of the octets as written.
    pub fn sha256(&self) -> [u8; 32] {
        self.original.sha256
    }

    /// This payload was made here out of `other`, in a way that differs each time: for the question whether a submission came
    /// before it counts as `other`.
    #[must_use]
    pub fn standing_for(mut self, other: &Self) -> Self {
        self.identity = other.identity;
        self
    }

    /// What a submission is recognised by: SHA-256 of the octets that its sender handed over.
    pub(super) fn identity(&self) -> [u8; 32] {
        self.identity
    }

    /// Reads the original octets, unpacked where they are held compressed: to look at a payload before it is accepted.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(&self) -> Result<Box<dyn Read + Send>, Error> {
        let held = self.open_held()?;
        Ok(match self.form {
            Form::Gzip => Box::new(flate2::bufread::GzDecoder::new(held)),
            Form::Original | Form::Canonical => held,
        })
    }

    /// Reads the octets in the form in which they are held.
    pub(super) fn open_held(&self) -> Result<Octets, Error> {
        Ok(match &self.held {
            Settled::Memory(octets) => Box::new(io::Cursor::new(octets.clone())),
            Settled::File(file, seal) => {
                let held = File::open(file.path()).map_err(Error::io(file.path()))?;
                let held = Box::new(BufReader::with_capacity(INLINE, held));
                match seal {
                    Some(seal) => seal.keys().open(Some(&seal.column()), held)?,
                    None => held,
                }
            }
        })
    }

    /// Makes the octets durable and gives what the rows need. Blocking.
    pub(super) fn publish(self, spool: &Spool) -> Result<Published, Error> {
        let id = PayloadId::new();
        let (place, sealed) = self.held.publish(spool, id, self.form.as_str())?;
        Ok(Published { id, original: self.original, form: self.form, stored: self.stored, place, sealed })
    }

    /// The same for another form of a payload that exists.
    pub(super) fn publish_as(mut self, spool: &Spool, id: PayloadId, form: Form) -> Result<Published, Error> {
        self.form = form;
        // Two may make the form at the same time: neither may touch the file that the other's row names.
        let name = format!("{}.{}", form.as_str(), crate::id::row_id());
        let (place, sealed) = self.held.publish(spool, id, &name)?;
        Ok(Published { id, original: self.original, form, stored: self.stored, place, sealed })
    }
}

/// A payload that is durable but not yet named by a row.
#[derive(Debug)]
pub(super) struct Published {
    pub id: PayloadId,
    pub original: Measure,
    pub form: Form,
    pub stored: Measure,
    pub place: Place,
    /// Key and salt under which the octets lie there ([`Seal::column`]).
    pub sealed: Option<String>,
}

/// Where the octets of a form are.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Inline(Vec<u8>),
    File(String),
}

#[derive(Debug)]
enum Settled {
    Memory(Vec<u8>),
    File(NamedTempFile, Option<Seal>),
}

impl Settled {
    fn publish(self, spool: &Spool, id: PayloadId, form: &str) -> Result<(Place, Option<String>), Error> {
        match self {
            Self::Memory(octets) => inline(octets, spool.keys().first()).map_err(Error::spool),
            Self::File(temporary, seal) => {
                // The last octets of a UUIDv7 are random: an even spread over the shards.
                let shard = hex::encode(&id.0.as_bytes()[15..]);
                let file = format!("{shard}/{id}.{form}");
                spool.shelf().publish(temporary, &file)?;
                Ok((Place::File(file), seal.map(|seal| seal.column())))
            }
        }
    }
}

fn inline(octets: Vec<u8>, key: Option<&PayloadKey>) -> io::Result<(Place, Option<String>)> {
    let Some(key) = key else { return Ok((Place::Inline(octets), None)) };
    let seal = Seal::new(key)?;
    let mut sealer = Sealer::new(Vec::with_capacity(octets.len() + 64), &seal)?;
    sealer.write_all(&octets)?;
    Ok((Place::Inline(sealer.finish()?), Some(seal.column())))
}

/// Counts, hashes and holds octets: in memory first, in a temporary file when they grow.
struct Sink {
    folder: PathBuf,
    key: Option<PayloadKey>,
    /// Asked as a file grows: what came in is to be sent, evidenced and answered after, and that needs the disk too.
    room: Arc<Room>,
    held: Held,
    count: u64,
    /// Of what is held, where that is not what was written.
    hash: Option<Sha256>,
}

enum Held {
    Memory(Vec<u8>),
    File(DirectFile),
    Sealed(Sealer<DirectFile>, Seal),
}

impl Held {
    /// A file, encrypted where there is a key.
    fn file(folder: &Path, key: Option<&PayloadKey>) -> io::Result<Self> {
        let file = DirectFile::new_in(folder)?;
        let Some(key) = key else { return Ok(Self::File(file)) };
        let seal = Seal::new(key)?;
        Ok(Self::Sealed(Sealer::new(file, &seal)?, seal))
    }

    fn push(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(memory) => memory.write_all(octets),
            Self::File(file) => file.write_all(octets),
            Self::Sealed(sealer, _) => sealer.write_all(octets),
        }
    }

    fn settle(self) -> io::Result<Settled> {
        match self {
            Self::Memory(octets) => Ok(Settled::Memory(octets)),
            Self::File(file) => Ok(Settled::File(file.finish()?, None)),
            Self::Sealed(sealer, seal) => Ok(Settled::File(sealer.finish()?.finish()?, Some(seal))),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let before = self.count / ROOM;
        self.count += octets.len() as u64;
        if self.count / ROOM > before {
            self.room.check().map_err(|error| io::Error::new(io::ErrorKind::StorageFull, error))?;
        }
        if let Some(hash) = &mut self.hash {
            hash.update(octets);
        }
        if let Held::Memory(memory) = &mut self.held
            && memory.len() + octets.len() > INLINE
        {
            let memory = std::mem::take(memory);
            self.held = Held::file(&self.folder, self.key.as_ref())?;
            self.held.push(&memory)?;
        }
        self.held.push(octets)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// RFC 1952: deflate, no flags, time 0, fastest, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

fn end_gzip(encoder: DeflateEncoder<Sink>, crc: u32, size: u64) -> io::Result<Sink> {
    let mut sink = encoder.finish()?;
    sink.write_all(&crc.to_le_bytes())?;
    // RFC 1952 keeps the size modulo 2^32.
    sink.write_all(&(size as u32).to_le_bytes())?;
    Ok(sink)
}

/// True when compressing the sample saves at least 5 % (model 3).
fn shrinks(sample: &[u8]) -> io::Result<bool> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(sample)?;
    let packed = encoder.finish()?.len() + GZIP_HEADER.len() + 8;
    Ok(packed * 100 <= sample.len() * 95)
}

fn broken() -> io::Error {
    io::Error::other("the payload writer failed earlier and cannot go on")
}
