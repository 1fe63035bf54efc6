//! Large files, written and read past the system's cache: copying their octets there costs more than to decrypt and to digest
//! them. Where a file system cannot do that, a file is written and read as any other.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tempfile::NamedTempFile;

use super::payload_reader::Octets;
use super::spool::INLINE;
use crate::thread;

/// Octets of one write.
const BLOCK: usize = 256 << 10;
/// What address, place and length of a direct write are multiples of, on every disk.
const ALIGNED: usize = 4096;

/// A smaller file is read as any other: it is likely to be in the cache. It is written by whoever has its octets.
const LARGE: u64 = 4 * BLOCK as u64;

/// Room for a block behind an aligned address.
struct Block {
    octets: Vec<u8>,
    begin: usize,
}

impl Block {
    /// `None` on a system that cannot say where something lies; there is none such.
    fn new() -> Option<Self> {
        let octets = vec![0; BLOCK + ALIGNED];
        let begin = octets.as_ptr().align_offset(ALIGNED);
        (begin <= ALIGNED).then_some(Self { octets, begin })
    }

    fn all(&mut self) -> &mut [u8] {
        &mut self.octets[self.begin..self.begin + BLOCK]
    }

    fn part(&self, range: std::ops::Range<usize>) -> &[u8] {
        &self.octets[self.begin + range.start..self.begin + range.end]
    }
}

fn nowhere() -> io::Error {
    io::Error::other("no aligned memory")
}

/// Octets on their way into a file, block by block.
struct Place {
    file: File,
    /// Octets before the next block.
    written: u64,
    /// Whether the file is written directly; nobody has tried yet.
    direct: Option<bool>,
}

impl Place {
    fn write(&mut self, block: &[u8]) -> io::Result<()> {
        let direct = *self.direct.get_or_insert_with(|| turn(&self.file, true).is_ok());
        match self.file.write_all_at(block, self.written) {
            // The file system took the flag and does not keep its word, or wrote a part that is no multiple.
            Err(error) if direct && error.kind() == io::ErrorKind::InvalidInput => {
                turn(&self.file, false)?;
                self.direct = Some(false);
                self.file.write_all_at(block, self.written)?;
            }
            written => written?,
        }
        self.written += block.len() as u64;
        Ok(())
    }

    /// What is left is no whole block.
    fn write_rest(&mut self, rest: &[u8]) -> io::Result<()> {
        if self.direct == Some(true) {
            turn(&self.file, false)?;
        }
        self.direct = Some(false);
        self.write(rest)
    }
}

/// A file on its way to the disk. Dropped unfinished, it is gone.
pub(super) struct DirectFile {
    file: NamedTempFile,
    block: Block,
    filled: usize,
    writing: Writing,
}

/// Who writes.
enum Writing {
    Here(Place),
    Beside(Beside),
    /// Only while one turns into the other, and after an error.
    Nobody,
}

impl DirectFile {
    /// An empty file in a folder.
    ///
    /// # Errors
    /// The system's.
    pub fn new_in(folder: &Path) -> io::Result<Self> {
        let file = NamedTempFile::new_in(folder)?;
        let place = Place { file: file.as_file().try_clone()?, written: 0, direct: None };
        Ok(Self { file, block: Block::new().ok_or_else(nowhere)?, filled: 0, writing: Writing::Here(place) })
    }

    /// Writes what is left, which is no whole block.
    ///
    /// # Errors
    /// The system's.
    pub fn finish(mut self) -> io::Result<NamedTempFile> {
        let mut place = match std::mem::replace(&mut self.writing, Writing::Nobody) {
            Writing::Here(place) => place,
            Writing::Beside(beside) => beside.end()?,
            Writing::Nobody => return Err(failed_before()),
        };
        place.write_rest(self.block.part(0..self.filled))?;
        Ok(self.file)
    }

    /// Hands the block on. From the second MiB on somebody else writes: whoever fills blocks would wait for the disk, and with it
    /// everybody else on its thread.
    fn write_out(&mut self) -> io::Result<()> {
        self.filled = 0;
        match std::mem::replace(&mut self.writing, Writing::Nobody) {
            Writing::Here(mut place) => {
                place.write(self.block.part(0..BLOCK))?;
                self.writing = if place.written == LARGE { beside(place)? } else { Writing::Here(place) };
            }
            Writing::Beside(beside) => self.writing = Writing::Beside(beside.write(&mut self.block)?),
            Writing::Nobody => return Err(failed_before()),
        }
        Ok(())
    }
}

fn failed_before() -> io::Error {
    io::Error::other("the file could not be written before")
}

impl Write for DirectFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let room = BLOCK - self.filled;
        let count = room.min(octets.len());
        self.block.all()[self.filled..self.filled + count].copy_from_slice(&octets[..count]);
        self.filled += count;
        if self.filled == BLOCK {
            self.write_out()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A thread that writes one block while the next one is filled.
struct Beside {
    full: SyncSender<Block>,
    empty: Receiver<Block>,
    thread: JoinHandle<io::Result<Place>>,
}

/// Begins to write beside, where that can be.
fn beside(place: Place) -> io::Result<Writing> {
    let (full, blocks) = sync_channel::<Block>(1);
    let (written, empty) = sync_channel(1);
    written.try_send(Block::new().ok_or_else(nowhere)?).map_err(|_| failed_before())?;
    let mut same = Place { file: place.file.try_clone()?, ..place };
    let thread = thread::beside("payload", move || {
        for block in blocks {
            same.write(block.part(0..BLOCK))?;
            // Whoever fills may have given up.
            let _ = written.send(block);
        }
        Ok(same)
    });
    Ok(match thread {
        Some(thread) => Writing::Beside(Beside { full, empty, thread }),
        None => Writing::Here(place),
    })
}

impl Beside {
    /// Hands a full block on, and puts one in its place that may be filled.
    fn write(self, block: &mut Block) -> io::Result<Self> {
        if let Ok(next) = self.empty.recv()
            && self.full.send(std::mem::replace(block, next)).is_ok()
        {
            return Ok(self);
        }
        // It has ended before its time, and says why.
        self.end().and_then(|_| Err(failed_before()))
    }

    /// After the last block; gives what the thread wrote to.
    fn end(self) -> io::Result<Place> {
        drop(self.full);
        self.thread.join().unwrap_or_else(|panic| Err(io::Error::other(thread::words(&*panic).to_owned())))
    }
}

/// Reads a file from its beginning to its end.
pub(super) struct DirectReader {
    file: File,
    block: Block,
    /// What of the block was not handed on yet.
    left: std::ops::Range<usize>,
    place: u64,
    direct: bool,
}

impl DirectReader {
    /// A reader of a large file; a smaller one reads itself.
    ///
    /// # Errors
    /// The system's.
    pub fn open(path: &Path) -> io::Result<Octets> {
        let file = File::open(path)?;
        if file.metadata()?.len() < LARGE || turn(&file, true).is_err() {
            return Ok(Box::new(BufReader::with_capacity(INLINE, file)));
        }
        let block = Block::new().ok_or_else(nowhere)?;
        Ok(Box::new(Self { file, block, left: 0..0, place: 0, direct: true }))
    }

    fn refill(&mut self) -> io::Result<()> {
        let count = match self.file.read_at(self.block.all(), self.place) {
            Err(error) if self.direct && error.kind() == io::ErrorKind::InvalidInput => {
                turn(&self.file, false)?;
                self.direct = false;
                self.file.read_at(self.block.all(), self.place)?
            }
            read => read?,
        };
        self.place += count as u64;
        self.left = 0..count;
        Ok(())
    }
}

impl Read for DirectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for DirectReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left.is_empty() {
            self.refill()?;
        }
        Ok(self.block.part(self.left.clone()))
    }

    fn consume(&mut self, count: usize) {
        self.left.start = self.left.end.min(self.left.start + count);
    }
}

fn turn(file: &File, direct: bool) -> io::Result<()> {
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, direct);
    Ok(fcntl_setfl(file, flags)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(folder: &Path, length: usize, chunk: usize) {
        let octets: Vec<u8> = (0..length).map(|n| (n / 7 + n) as u8).collect();
        let mut file = DirectFile::new_in(folder).unwrap();
        octets.chunks(chunk).for_each(|some| file.write_all(some).unwrap());
        let file = file.finish().unwrap();
        let mut read = Vec::new();
        file.reopen().unwrap().read_to_end(&mut read).unwrap();
        assert!(read == octets, "{length} octets in chunks of {chunk}");
        let (mut reader, mut again) = (DirectReader::open(file.path()).unwrap(), Vec::new());
        let mut some = vec![0; chunk];
        while let count @ 1.. = reader.read(&mut some).unwrap() {
            again.extend_from_slice(&some[..count]);
        }
        assert!(again == octets, "{length} octets, {chunk} at a time");
    }

    #[test]
    fn every_length_reads_back() {
        let folder = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
        for length in [
            0,
            1,
            ALIGNED,
            BLOCK - 1,
            BLOCK,
            BLOCK + 1,
            3 * BLOCK,
            3 * BLOCK + 4097,
            4 * BLOCK,
            5 * BLOCK + 1,
        ] {
            for chunk in [1000, 65_536, BLOCK, 10 * BLOCK] {
                round_trip(folder.path(), length, chunk);
            }
        }
    }

    #[test]
    fn what_fails_beside_is_said_with_the_next_block_and_nothing_is_written_after() {
        let file = NamedTempFile::new().unwrap();
        let unwritable = File::open(file.path()).unwrap();
        let writing = beside(Place { file: unwritable, written: LARGE, direct: Some(false) }).unwrap();
        let mut file = DirectFile { file, block: Block::new().unwrap(), filled: 0, writing };
        file.write_all(&vec![1; BLOCK]).unwrap();
        let said = file.write_all(&vec![1; BLOCK]).unwrap_err();
        assert_eq!(said.raw_os_error(), Some(rustix::io::Errno::BADF.raw_os_error()), "{said}");
        assert!(file.write_all(&vec![1; BLOCK]).is_err());
        assert!(file.finish().is_err());
    }

    /// A file system in memory has no disk to write to directly.
    #[test]
    fn a_file_system_that_cannot_is_written_as_any_other() {
        match tempfile::tempdir_in("/dev/shm") {
            Ok(folder) => round_trip(folder.path(), 2 * BLOCK + 5, 1000),
            Err(_) => eprintln!("SKIPPED: there is no /dev/shm"),
        }
    }

    #[test]
    fn an_aligned_block_is_written_directly_where_that_can_be() {
        let folder = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
        let mut file = DirectFile::new_in(folder.path()).unwrap();
        file.write_all(&vec![1; BLOCK]).unwrap();
        let flags = fcntl_getfl(file.file.as_file()).unwrap();
        let Writing::Here(place) = &file.writing else { panic!("one block is little") };
        assert_eq!(place.direct, Some(flags.contains(OFlags::DIRECT)), "what is believed is so");
    }
}
