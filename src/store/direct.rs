//! Large files, written and read past the system's cache: copying their octets there costs more than to decrypt and to digest
//! them. Where a file system cannot do that, a file is written and read as any other.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tempfile::NamedTempFile;

/// Octets of one write.
const BLOCK: usize = 256 << 10;
/// What address, place and length of a direct write are multiples of, on every disk.
const ALIGNED: usize = 4096;

/// A smaller file is read as any other: it is likely to be in the cache.
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

/// A file on its way to the disk. Dropped unfinished, it is gone.
pub(super) struct DirectFile {
    file: NamedTempFile,
    block: Block,
    filled: usize,
    /// Octets before the block.
    written: u64,
    direct: Option<bool>,
}

impl DirectFile {
    /// An empty file in a folder.
    ///
    /// # Errors
    /// The system's.
    pub fn new_in(folder: &Path) -> io::Result<Self> {
        let file = NamedTempFile::new_in(folder)?;
        let block = Block::new().ok_or_else(nowhere)?;
        Ok(Self { file, block, filled: 0, written: 0, direct: None })
    }

    /// Writes what is left, which is no whole block.
    ///
    /// # Errors
    /// The system's.
    pub fn finish(mut self) -> io::Result<NamedTempFile> {
        if self.direct == Some(true) {
            turn(self.file.as_file(), false)?;
        }
        self.direct = Some(false);
        self.write_out()?;
        Ok(self.file)
    }

    fn write_out(&mut self) -> io::Result<()> {
        let block = self.block.part(0..self.filled);
        let file = self.file.as_file();
        let direct = *self.direct.get_or_insert_with(|| turn(file, true).is_ok());
        match file.write_all_at(block, self.written) {
            // The file system took the flag and does not keep its word, or wrote a part that is no multiple.
            Err(error) if direct && error.kind() == io::ErrorKind::InvalidInput => {
                turn(file, false)?;
                self.direct = Some(false);
                file.write_all_at(block, self.written)?;
            }
            written => written?,
        }
        self.written += self.filled as u64;
        self.filled = 0;
        Ok(())
    }
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
    pub fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
        let file = File::open(path)?;
        if file.metadata()?.len() < LARGE || turn(&file, true).is_err() {
            return Ok(Box::new(file));
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
        if self.left.is_empty() {
            self.refill()?;
        }
        let count = self.left.len().min(buffer.len());
        let end = self.left.start + count;
        buffer[..count].copy_from_slice(self.block.part(self.left.start..end));
        self.left.start = end;
        Ok(count)
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
        assert_eq!(file.direct, Some(flags.contains(OFlags::DIRECT)), "what is believed is so");
    }
}
