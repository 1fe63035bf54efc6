//! A TLS stream that no other user of OpenSSL on the same thread can break.
//!
//! OpenSSL keeps what went wrong in a queue of the thread until somebody takes it. `SSL_get_error` looks there first: an error
//! that another call left (a revocation list whose signature does not hold, a forged certificate) would be read as a failure
//! of whatever connection this thread serves next. So the queue is emptied before each step (SSL_get_error(3), "the current
//! thread's error queue must be empty").

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use openssl::error::ErrorStack;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// See the module.
pub(super) struct Unclouded<S>(pub S);

impl<S: Unpin> Unclouded<S> {
    fn clean(&mut self) -> Pin<&mut S> {
        drop(ErrorStack::get());
        Pin::new(&mut self.0)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unclouded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.clean().poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unclouded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.clean().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.clean().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.clean().poll_shutdown(cx)
    }
}
