//! One end of a connection, as whoever runs on its host holds it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use conformance::lab::Line;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Net, Parcel, Stand, WINDOW, wake};

/// The end. Dropped, it is closed.
pub struct End {
    pub(super) net: Net,
    pub(super) id: u64,
}

impl End {
    pub(super) fn poll_taken(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.net.lock();
        let Some(end) = state.ends.get_mut(&self.id) else { return Poll::Pending };
        match end.stand {
            Stand::Calling => {
                end.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            Stand::Open | Stand::Ended => Poll::Ready(Ok(())),
            Stand::Broken => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Stand::Refused => Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into())),
        }
    }

    /// Ends it so that whatever is under way is thrown away.
    pub fn reset(self) {
        self.close(true);
    }

    fn close(&self, reset: bool) {
        let mut state = self.net.lock();
        let Some(end) = state.ends.get(&self.id) else { return };
        // What nobody reads any more is a reset, as in TCP.
        let (host, reset) = (end.host, reset || !end.inbox.is_empty());
        let last = state.remove(self.id);
        let Some(now) = state.now_at(host) else { return };
        let parcel = if reset { Parcel::Break(self.id ^ 1) } else { Parcel::End(self.id ^ 1) };
        state.send(last.map_or(now, |last| now.max(last)), self.id, parcel);
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.close(false);
    }
}

impl Line for End {
    fn under(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin) {
        self
    }
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.net.lock();
        // Whoever is dead hears nothing more.
        let Some(end) = state.ends.get_mut(&self.id) else { return Poll::Pending };
        let mut count = 0;
        while buf.remaining() > 0
            && let Some(first) = end.inbox.front_mut()
        {
            let some = first.len().min(buf.remaining());
            buf.put_slice(&first[..some]);
            first.advance(some);
            count += some;
            if first.is_empty() {
                end.inbox.pop_front();
            }
        }
        if count == 0 {
            return match end.stand {
                Stand::Ended => Poll::Ready(Ok(())),
                Stand::Broken | Stand::Refused => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Stand::Calling | Stand::Open => {
                    end.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            };
        }
        if let Some(peer) = state.ends.get_mut(&(self.id ^ 1)) {
            peer.unread -= count.min(peer.unread);
            wake(&mut peer.writer);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.net.lock();
        let Some(end) = state.ends.get_mut(&self.id) else { return Poll::Pending };
        let (host, to, room) = (end.host, end.to, WINDOW - end.unread);
        if matches!(end.stand, Stand::Broken | Stand::Refused) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if room == 0 {
            end.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let Some(now) = state.now_at(host) else { return Poll::Pending };
        // Now and then a system takes only a part of what it is offered.
        let most = buf.len().min(room);
        let count = match state.random.below(6) {
            0 => 1 + usize::try_from(state.random.below(most as u64)).unwrap_or_default(),
            _ => most,
        };
        if let Some(end) = state.ends.get_mut(&self.id) {
            end.unread += count;
        }
        state.trace.event(now, format_args!("net {count} octets on {} to {to}", self.id));
        if state.breaks() {
            state.trace.event(now, format_args!("net {} to {to} breaks", self.id));
            state.send(now, self.id, Parcel::Break(self.id ^ 1));
            state.send(now, self.id ^ 1, Parcel::Break(self.id));
            return Poll::Ready(Ok(count));
        }
        let octets = Bytes::copy_from_slice(&buf[..count]);
        state.send(now, self.id, Parcel::Octets(self.id ^ 1, octets));
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.net.lock();
        let Some(end) = state.ends.get(&self.id) else { return Poll::Ready(Ok(())) };
        let host = end.host;
        if let Some(now) = state.now_at(host) {
            state.send(now, self.id, Parcel::End(self.id ^ 1));
        }
        Poll::Ready(Ok(()))
    }
}
