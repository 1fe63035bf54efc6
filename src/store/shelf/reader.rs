//! An object as it comes, one piece after the other.

use std::io::{self, BufRead, Read};

use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use super::bucket::Bucket;

/// Reads an object from its beginning to its end. A connection that breaks off is taken up again where it broke, by the library.
///
/// Nothing is asked for before it is read: of a message with many payloads, one is on its way at a time.
pub(super) struct ObjectReader {
    bucket: Bucket,
    name: String,
    stream: Option<BoxStream<'static, object_store::Result<Bytes>>>,
    piece: Bytes,
    /// Octets that are still to come.
    left: u64,
}

impl ObjectReader {
    /// Of an object of so many octets.
    pub fn new(bucket: Bucket, name: &str, size: u64) -> Self {
        Self { bucket, name: name.to_owned(), stream: None, piece: Bytes::new(), left: size }
    }

    fn next(&mut self) -> io::Result<()> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(self.bucket.get(&self.name).map_err(io::Error::other)?),
        };
        match self.bucket.wait(stream.next()) {
            Some(Ok(piece)) => {
                let long = || io::Error::new(io::ErrorKind::InvalidData, "an object is longer than it said");
                self.left = self.left.checked_sub(piece.len() as u64).ok_or_else(long)?;
                self.piece = piece;
                Ok(())
            }
            Some(Err(error)) => Err(io::Error::other(self.bucket.refused("read", &self.name, &error))),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for ObjectReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() && self.left > 0 {
            self.next()?;
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, count: usize) {
        self.piece.advance(count);
    }
}
