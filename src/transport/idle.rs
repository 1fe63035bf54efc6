//! Time-outs on standing still.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Runs only while something is waited for.
pub(super) struct Watch {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Watch {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    /// Tells the watch how a poll ended; `true` when nothing has moved for the limit.
    pub(super) fn stalled<T>(&mut self, poll: &Poll<T>, cx: &mut Context<'_>) -> bool {
        if poll.is_ready() {
            self.timer = None;
            return false;
        }
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + limit)));
        timer.as_mut().poll(cx).is_ready()
    }
}

/// Octets that a peer must send for each second of ours that it takes, beyond the limit.
const LEAST_PER_SECOND: u64 = 1024;

/// As [`Watch`], and counts all waiting together: who sends an octet a second is never still, but would hold a connection
/// for years.
pub(super) struct Pace {
    limit: Duration,
    octets: u64,
    waited: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Pace {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, octets: 0, waited: Duration::ZERO, waiting: None }
    }

    /// Octets have come.
    pub(super) fn came(&mut self, octets: usize) {
        self.octets += octets as u64;
    }

    /// Forgets since when nothing has come.
    pub(super) fn wait_anew(&mut self) {
        self.waiting = None;
    }

    /// Tells how a poll ended; `true` when nothing has come for the limit, or too little.
    pub(super) fn stalled<T>(&mut self, poll: &Poll<T>, cx: &mut Context<'_>) -> bool {
        if poll.is_ready() {
            self.waited += self.waiting.take().map_or(Duration::ZERO, |(since, _)| since.elapsed());
            return false;
        }
        let earned = self.limit + Duration::from_secs(self.octets / LEAST_PER_SECOND);
        let left = earned.saturating_sub(self.waited).min(self.limit);
        let (_, timer) = self.waiting.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + left)))
        });
        timer.as_mut().poll(cx).is_ready()
    }
}

/// A connection whose writes fail when the peer takes nothing for a while. Reads are watched where their meaning is
/// known: by the header time-out and by the request's body.
pub(super) struct WriteWatched<S> {
    stream: S,
    watch: Watch,
}

impl<S> WriteWatched<S> {
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self { stream, watch: Watch::new(limit) }
    }

    fn judge<T>(&mut self, poll: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match self.watch.stalled(&poll, cx) {
            true => Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing"))),
            false => poll,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteWatched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteWatched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.judge(poll, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.judge(poll, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.judge(poll, cx)
    }
}
