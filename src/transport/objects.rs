//! The client, as the library for object stores asks for one: its requests go by our TLS, our gate and our time-outs.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use object_store::client::{
    HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};

use super::idle::Watch;
use super::{Client, Error, Request, Sent};

/// A [`Client`] that asks an object store.
struct Objects {
    client: Client,
    idle: Duration,
}

impl Client {
    /// The client for an object store; an answer may stand still for the idle limit of its time-outs.
    pub fn for_objects(self) -> HttpClient {
        let idle = self.timeouts().idle;
        HttpClient::new(Objects { client: self, idle })
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Objects")
    }
}

impl HttpService for Objects {
    // As `async_trait` writes it.
    fn call<'life0, 'async_trait>(
        &'life0 self,
        request: HttpRequest,
    ) -> BoxFuture<'async_trait, Result<HttpResponse, HttpError>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let answer = self.client.head(outgoing(request)).await.map_err(failed)?;
            let (head, body) = answer.into_parts();
            let body = Patient { inner: body, watch: Watch::new(self.idle), limit: self.idle };
            Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)))
        })
    }
}

fn outgoing(request: HttpRequest) -> Request {
    let (head, body) = request.into_parts();
    Request {
        method: head.method,
        url: head.uri.to_string(),
        headers: head.headers,
        content_length: body.content_length() as u64,
        body: body.map_err(std::io::Error::other).boxed_unsync(),
        max_response: 0,
    }
}

/// What of a failure the library must know to try again: whether the store may have heard the request.
fn failed(error: Error) -> HttpError {
    let kind = match &error {
        Error::Resolve { .. } | Error::Connect { .. } | Error::Tls { .. } => HttpErrorKind::Connect,
        Error::TimedOut { sent: Sent::Nothing, .. } => HttpErrorKind::Connect,
        Error::TimedOut { .. } => HttpErrorKind::Timeout,
        Error::Connection { sent: Sent::Nothing, .. } => HttpErrorKind::Request,
        Error::Connection { .. } => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}

/// The body of an answer; fails when the store sends nothing for the limit while it is being read.
struct Patient {
    inner: Incoming,
    watch: Watch,
    limit: Duration,
}

/// Why an answer cannot be read to its end.
#[derive(Debug, thiserror::Error)]
enum BrokenOff {
    #[error("the answer stood still for {0:?}")]
    Still(Duration),
    #[error("the answer broke off: {0}")]
    Connection(#[from] hyper::Error),
}

impl Body for Patient {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let poll = Pin::new(&mut self.inner).poll_frame(cx);
        if self.watch.stalled(&poll, cx) {
            return Poll::Ready(Some(Err(HttpError::new(
                HttpErrorKind::Timeout,
                BrokenOff::Still(self.limit),
            ))));
        }
        poll.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, BrokenOff::Connection(error)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
