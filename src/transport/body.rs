//! Bodies: of requests that a server reads, and of requests that a client sends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::mpsc;

use super::idle::Pace;
use crate::crash;

/// What a client sends. Its length is announced beside it ([`super::Request::content_length`]).
pub type OutgoingBody = UnsyncBoxBody<Bytes, io::Error>;

/// Octets that are read and thrown away behind an early answer.
const LINGER_OCTETS: u64 = 256 << 20;
/// How long that goes on.
const LINGER: Duration = Duration::from_secs(30);

/// The body of a request that came in; fails when the peer sends nothing for the idle limit while it is being read, or makes
/// its reader wait longer than the limit and a second more for each KiB.
///
/// What is not read when it is dropped is thrown away behind the back of whoever answers: most peers write their whole
/// request before they read, and would see a broken pipe instead of the answer.
pub struct RequestBody {
    inner: Option<Incoming>,
    pace: Pace,
    limit: Duration,
    /// Whether the peer sends without being asked for it (`Expect: 100-continue` waits for the first read).
    sending: bool,
}

/// Why a request's body cannot be read to its end. All are the peer's fault.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The peer sends nothing, or next to nothing.
    #[error("no octet of the body within {0:?}, or less than 1 KiB a second beyond that")]
    Idle(Duration),
    /// The connection broke, or the body is malformed.
    #[error("the request's body broke off: {0}")]
    Broken(#[from] hyper::Error),
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, limit: Duration, sending: bool) -> Self {
        Self { inner: Some(inner), pace: Pace::new(limit), limit, sending }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(rest) = self.inner.take().filter(|body| self.sending && !body.is_end_stream()) else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(LINGER, discard(rest)));
        }
    }
}

async fn discard(mut body: Incoming) {
    let mut octets = 0;
    while let Some(Ok(frame)) = body.frame().await {
        octets += frame.data_ref().map_or(0, |data| data.len() as u64);
        if octets > LINGER_OCTETS {
            return;
        }
    }
}

impl RequestBody {
    /// What was waited so far, while whoever reads did something else, is not the peer's fault.
    pub fn wait_anew(&mut self) {
        self.pace.wait_anew();
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.sending = true;
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let poll = Pin::new(inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &poll {
            self.pace.came(frame.data_ref().map_or(0, Bytes::len));
        }
        if self.pace.stalled(&poll, cx) {
            self.inner = None;
            return Poll::Ready(Some(Err(BodyError::Idle(self.limit))));
        }
        if matches!(poll, Poll::Ready(None | Some(Err(_)))) {
            self.inner = None;
        }
        poll.map(|frame| frame.map(|frame| frame.map_err(BodyError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or(SizeHint::with_exact(0), Incoming::size_hint)
    }
}

/// A body that is in memory already.
pub fn full(octets: impl Into<Bytes>) -> OutgoingBody {
    Full::new(octets.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body fed by another thread (`blocking_send`) or task; `capacity` chunks wait at most. Sending an error, or dropping
/// the sender before the announced length is reached, breaks the request off.
pub fn channel(capacity: usize) -> (mpsc::Sender<io::Result<Bytes>>, OutgoingBody) {
    let (sender, mut receiver) = mpsc::channel(capacity);
    let stream = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
    let frames = futures_util::StreamExt::map(stream, |chunk: io::Result<Bytes>| chunk.map(Frame::data));
    (sender, StreamBody::new(frames).boxed_unsync())
}

/// How far a request has come, seen from outside the connection.
#[derive(Default)]
pub(super) struct Progress {
    /// Octets handed to the connection.
    given: AtomicU64,
    /// 0 running, 1 complete, 2 failed.
    state: AtomicU64,
}

impl Progress {
    /// The last octet has been handed over.
    pub(super) fn complete(&self) -> bool {
        self.state.load(Ordering::Acquire) == 1
    }

    /// The body itself failed or has another length than announced.
    pub(super) fn failed(&self) -> bool {
        self.state.load(Ordering::Acquire) == 2
    }

    pub(super) fn given(&self) -> u64 {
        self.given.load(Ordering::Acquire)
    }
}

/// The body on its way out, of exactly the length announced, telling how far it has come.
pub(super) struct Counted {
    inner: OutgoingBody,
    length: u64,
    progress: Arc<Progress>,
}

impl Counted {
    pub(super) fn new(inner: OutgoingBody, length: u64) -> (Self, Arc<Progress>) {
        let progress = Arc::<Progress>::default();
        if length == 0 {
            progress.state.store(1, Ordering::Release); // never polled
        }
        (Self { inner, length, progress: progress.clone() }, progress)
    }

    fn left(&self) -> u64 {
        self.length - self.progress.given()
    }

    fn count(&self, octets: u64) -> io::Result<()> {
        if octets > self.left() {
            return Err(self.wrong_length("more octets than announced"));
        }
        let given = self.progress.given.fetch_add(octets, Ordering::AcqRel) + octets;
        if given == self.length {
            crash::soon(crash::Point::RequestSent);
            self.progress.state.store(1, Ordering::Release);
        }
        Ok(())
    }

    fn wrong_length(&self, what: &str) -> io::Error {
        self.progress.state.store(2, Ordering::Release);
        io::Error::new(io::ErrorKind::InvalidData, format!("{what} ({})", self.length))
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let poll = Pin::new(&mut self.inner).poll_frame(cx);
        let Poll::Ready(frame) = poll else { return Poll::Pending };
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                let octets = frame.data_ref().map_or(0, |data| data.len() as u64);
                Some(self.count(octets).map(|()| frame))
            }
            Some(Err(error)) => {
                self.progress.state.store(2, Ordering::Release);
                Some(Err(error))
            }
            None if self.left() > 0 => Some(Err(self.wrong_length("fewer octets than announced"))),
            None => {
                self.progress.state.store(1, Ordering::Release);
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.length == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}
