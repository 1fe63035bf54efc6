//! AS4 compression: a deterministic writer, and a reader that trusts nothing (as4-wire 1.5 and 6, EBMS:0303).

use std::io::Write;

use flate2::{Compression, Crc, Decompress, FlushDecompress, GzBuilder, Status};

use super::Error;

/// Output of one round of the reader.
const WINDOW: usize = 64 << 10;
/// A gzip header with names longer than this is nothing that a peer sends.
const MAX_HEADER: usize = 64 << 10;

/// Writes one gzip member that depends on nothing but the input: time 0, no name, level 1 (model 3).
pub struct GzipWriter<W: Write>(flate2::write::GzEncoder<W>);

impl<W: Write> GzipWriter<W> {
    /// A writer into `inner`.
    pub fn new(inner: W) -> Self {
        Self(GzBuilder::new().mtime(0).operating_system(255).write(inner, Compression::new(1)))
    }

    /// Writes the trailer; gives `inner` back.
    pub fn finish(self) -> std::io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// What a compressed part may expand to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InflateLimits {
    /// Octets of output.
    pub max_octets: u64,
    /// Octets of output for one octet of input, judged once the output exceeds `free_octets`.
    pub max_ratio: u64,
    /// Outputs up to this size may have any ratio: honest zeros compress a thousandfold, too.
    pub free_octets: u64,
}

impl Default for InflateLimits {
    /// 4 GiB, and 200 octets for one beyond 64 MiB.
    fn default() -> Self {
        Self { max_octets: 4 << 30, max_ratio: 200, free_octets: 64 << 20 }
    }
}

/// Reads exactly one gzip member in chunks of any size.
pub struct Inflate {
    limits: InflateLimits,
    state: State,
    /// Octets of the header or trailer gathered so far.
    held: Vec<u8>,
    inflater: Decompress,
    crc: Crc,
    window: Vec<u8>,
    input: u64,
    output: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Data,
    Trailer,
    Done,
}

impl Inflate {
    /// A reader with these caps.
    pub fn new(limits: InflateLimits) -> Self {
        Self {
            limits,
            state: State::Header,
            held: Vec::new(),
            inflater: Decompress::new(false),
            crc: Crc::new(),
            window: vec![0; WINDOW],
            input: 0,
            output: 0,
        }
    }

    /// Takes the next octets; hands what they inflate to, in pieces, to `on`.
    pub fn push<E: From<Error>>(
        &mut self,
        chunk: &[u8],
        on: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.input += chunk.len() as u64;
        let mut rest = chunk;
        while !rest.is_empty() {
            rest = match self.state {
                State::Header => self.header(rest)?,
                State::Data => self.data(rest, on)?,
                State::Trailer => self.trailer(rest)?,
                State::Done => return Err(Error::Gzip("octets behind the member").into()),
            };
        }
        Ok(())
    }

    /// The number of octets inflated; an error when the member is not complete.
    pub fn finish(&self) -> Result<u64, Error> {
        match self.state {
            State::Done => Ok(self.output),
            _ => Err(Error::Gzip("cut short")),
        }
    }

    fn header<'c>(&mut self, chunk: &'c [u8]) -> Result<&'c [u8], Error> {
        let before = self.held.len();
        self.held.extend_from_slice(chunk);
        match header_length(&self.held)? {
            Some(length) => {
                self.state = State::Data;
                self.held.clear();
                Ok(&chunk[length - before..])
            }
            None if self.held.len() > MAX_HEADER => Err(Error::Gzip("header too long")),
            None => Ok(&[]),
        }
    }

    fn data<'c, E: From<Error>>(
        &mut self,
        mut chunk: &'c [u8],
        on: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<&'c [u8], E> {
        loop {
            let (used, made) = (self.inflater.total_in(), self.inflater.total_out());
            let status = self
                .inflater
                .decompress(chunk, &mut self.window, FlushDecompress::None)
                .map_err(|_| Error::Gzip("not a deflate stream"))?;
            let used = (self.inflater.total_in() - used) as usize;
            let made = (self.inflater.total_out() - made) as usize;
            chunk = &chunk[used..];
            self.account(made)?;
            if made > 0 {
                on(&self.window[..made])?;
            }
            match status {
                Status::StreamEnd => {
                    self.state = State::Trailer;
                    return Ok(chunk);
                }
                _ if used == 0 && made == 0 => return Ok(&[]),
                _ if chunk.is_empty() && made < self.window.len() => return Ok(&[]),
                _ => {}
            }
        }
    }

    fn account(&mut self, made: usize) -> Result<(), Error> {
        self.crc.update(&self.window[..made]);
        self.output += made as u64;
        if self.output > self.limits.max_octets {
            return Err(Error::Inflated { limit: self.limits.max_octets, what: "size" });
        }
        let allowed = self.input.saturating_mul(self.limits.max_ratio).max(self.limits.free_octets);
        match self.output > allowed {
            true => Err(Error::Inflated { limit: self.limits.max_ratio, what: "ratio" }),
            false => Ok(()),
        }
    }

    /// CRC-32 and size modulo 2^32, little endian (RFC 1952 2.3.1).
    fn trailer<'c>(&mut self, chunk: &'c [u8]) -> Result<&'c [u8], Error> {
        let take = chunk.len().min(8 - self.held.len());
        self.held.extend_from_slice(&chunk[..take]);
        if let Ok(trailer) = <[u8; 8]>::try_from(self.held.as_slice()) {
            let expected = [self.crc.sum().to_le_bytes(), (self.output as u32).to_le_bytes()].concat();
            if trailer.as_slice() != expected {
                return Err(Error::Gzip("checksum or size differs"));
            }
            self.state = State::Done;
        }
        Ok(&chunk[take..])
    }
}

/// The length of a gzip header (RFC 1952 2.3); `None` when more octets are needed.
fn header_length(octets: &[u8]) -> Result<Option<usize>, Error> {
    const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
    let seen = octets.len().min(MAGIC.len());
    if octets[..seen] != MAGIC[..seen] {
        return Err(Error::Gzip("no gzip header"));
    }
    let Some(&flags) = octets.get(3).filter(|_| octets.len() >= 10) else { return Ok(None) };
    if flags & 0xe0 != 0 {
        return Err(Error::Gzip("reserved header flags"));
    }
    let mut at = 10;
    if flags & 0x04 != 0 {
        let Some(length) = octets.get(at..at + 2) else { return Ok(None) };
        at += 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    }
    for flag in [0x08, 0x10] {
        if flags & flag != 0 {
            let rest = octets.get(at..).unwrap_or_default();
            let Some(end) = memchr::memchr(0, rest) else { return Ok(None) };
            at += end + 1;
        }
    }
    if flags & 0x02 != 0 {
        at += 2;
    }
    Ok((octets.len() >= at).then_some(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gzip(octets: &[u8]) -> Vec<u8> {
        let mut writer = GzipWriter::new(Vec::new());
        writer.write_all(octets).unwrap();
        writer.finish().unwrap()
    }

    fn inflate(octets: &[u8], size: usize, limits: InflateLimits) -> Result<Vec<u8>, Error> {
        let (mut reader, mut out) = (Inflate::new(limits), Vec::new());
        for chunk in octets.chunks(size) {
            reader.push(chunk, &mut |piece| -> Result<(), Error> {
                out.extend_from_slice(piece);
                Ok(())
            })?;
        }
        assert_eq!(reader.finish()?, out.len() as u64);
        Ok(out)
    }

    #[test]
    fn the_header_is_fixed() {
        assert_eq!(gzip(b"x")[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255]);
    }

    #[test]
    fn names_and_extras_of_other_writers_are_passed_over() {
        let builder = GzBuilder::new().filename("a.xml").comment("c").extra(vec![1, 2, 3]).mtime(7);
        let mut writer = builder.write(Vec::new(), Compression::best());
        writer.write_all(b"hello").unwrap();
        let member = writer.finish().unwrap();
        for size in 1..member.len() {
            assert_eq!(inflate(&member, size, InflateLimits::default()).unwrap(), b"hello");
        }
    }

    #[test]
    fn only_one_whole_member_is_accepted() {
        let member = gzip(b"hello world");
        for length in 0..member.len() {
            assert_eq!(
                inflate(&member[..length], 4, InflateLimits::default()),
                Err(Error::Gzip("cut short"))
            );
        }
        for more in [member.as_slice(), &[0]] {
            let two = [member.as_slice(), more].concat();
            assert_eq!(
                inflate(&two, 7, InflateLimits::default()),
                Err(Error::Gzip("octets behind the member"))
            );
        }
        let mut wrong = member.clone();
        *wrong.last_mut().unwrap() ^= 1;
        assert_eq!(
            inflate(&wrong, 9, InflateLimits::default()),
            Err(Error::Gzip("checksum or size differs"))
        );
        assert!(inflate(b"PK\x03\x04", 4, InflateLimits::default()).is_err());
    }

    #[test]
    fn bombs_are_stopped_at_the_caps() {
        let bomb = gzip(&vec![0; 8 << 20]);
        let small = InflateLimits { max_octets: 1 << 20, max_ratio: u64::MAX, free_octets: 0 };
        assert_eq!(inflate(&bomb, 999, small), Err(Error::Inflated { limit: 1 << 20, what: "size" }));
        let ratio = InflateLimits { max_octets: u64::MAX, max_ratio: 100, free_octets: 1 << 20 };
        assert_eq!(inflate(&bomb, 999, ratio), Err(Error::Inflated { limit: 100, what: "ratio" }));
        let free = InflateLimits { max_octets: 8 << 20, max_ratio: 2000, free_octets: 0 };
        assert_eq!(inflate(&bomb, 999, free).unwrap().len(), 8 << 20);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_equal(octets in prop::collection::vec(any::<u8>(), 0..3000), size in 1usize..700) {
            prop_assert_eq!(inflate(&gzip(&octets), size, InflateLimits::default()).unwrap(), octets);
        }
    }
}
