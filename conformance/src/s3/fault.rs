//! Connections that break off after so many octets.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What goes wrong on the connections of a server; nothing, unless it is told.
pub struct Fault {
    /// Octets of all connections together, in both directions, until it goes wrong.
    left: AtomicI64,
    /// Whether the server is gone after that, or only that one connection.
    stays: AtomicBool,
    down: AtomicBool,
}

impl Default for Fault {
    fn default() -> Self {
        Self { left: AtomicI64::new(i64::MAX), stays: AtomicBool::new(false), down: AtomicBool::new(false) }
    }
}

impl Fault {
    /// After so many octets the connection that carries the last of them breaks off.
    pub fn break_after(&self, octets: i64) {
        self.stays.store(false, Ordering::SeqCst);
        self.left.store(octets, Ordering::SeqCst);
    }

    /// After so many octets all connections break off, and no other is taken.
    pub fn end_after(&self, octets: i64) {
        self.stays.store(true, Ordering::SeqCst);
        self.left.store(octets, Ordering::SeqCst);
    }

    /// All connections break off now, and no other is taken.
    pub fn end(&self) {
        self.down.store(true, Ordering::SeqCst);
    }

    /// All is well again.
    pub fn heal(&self) {
        self.left.store(i64::MAX, Ordering::SeqCst);
        self.down.store(false, Ordering::SeqCst);
    }

    /// Whether no connection is taken.
    pub fn is_down(&self) -> bool {
        self.down.load(Ordering::SeqCst)
    }

    fn passed(&self, octets: usize) -> io::Result<()> {
        if self.is_down() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let octets = i64::try_from(octets).unwrap_or(i64::MAX);
        if self.left.fetch_sub(octets, Ordering::SeqCst) > octets {
            return Ok(());
        }
        self.left.store(i64::MAX, Ordering::SeqCst);
        self.down.store(self.stays.load(Ordering::SeqCst), Ordering::SeqCst);
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

/// A connection with faults.
pub(super) struct Faulty {
    stream: TcpStream,
    fault: Arc<Fault>,
}

impl Faulty {
    pub fn new(stream: TcpStream, fault: Arc<Fault>) -> Self {
        Self { stream, fault }
    }
}

impl AsyncRead for Faulty {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        match poll {
            Poll::Ready(Ok(())) => Poll::Ready(self.fault.passed(buf.filled().len() - before)),
            other => other,
        }
    }
}

impl AsyncWrite for Faulty {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.fault.passed(buf.len().min(64 << 10))?;
        let some = &buf[..buf.len().min(64 << 10)];
        Pin::new(&mut self.stream).poll_write(cx, some)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
