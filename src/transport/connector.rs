//! From a URL to a connection: resolve, egress gate, connect, TLS.

use std::borrow::Cow;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio_openssl::SslStream;

use super::network::{Line, Network, Tcp};
use super::tls;
use super::unclouded::Unclouded;
use super::{ClientConfig, Egress, Error, PeerTls, Sent, ServerCheck};

/// How much later the next address of a host is tried beside the first (RFC 8305 5).
const STAGGER: Duration = Duration::from_millis(250);

/// The addresses of a host name.
pub type Resolved = BoxFuture<'static, io::Result<Vec<IpAddr>>>;

/// Turns host names into addresses; the system does it unless a client is given another.
pub trait Resolve: Send + Sync {
    /// All addresses of `host`.
    fn resolve(&self, host: &str) -> Resolved;
}

/// The connector behind a client's pool.
#[derive(Clone)]
pub(super) struct Connector(Arc<Inner>);

struct Inner {
    tls: tls::Connector,
    check: ServerCheck,
    egress: Egress,
    timeout: Duration,
    resolver: Option<Arc<dyn Resolve>>,
    network: Arc<dyn Network>,
}

impl Connector {
    /// Builds the TLS context.
    pub(super) fn new(config: ClientConfig) -> Result<Self, Error> {
        Ok(Self(Arc::new(Inner {
            tls: config.tls.connector()?,
            check: config.tls.check,
            egress: config.egress,
            timeout: config.timeouts.connect,
            resolver: config.resolver,
            network: config.network.unwrap_or_else(|| Arc::new(Tcp)),
        })))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = Stream;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Stream, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let inner = self.0.clone();
        Box::pin(async move {
            let host =
                url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
            let limit = inner.timeout;
            let late = Error::TimedOut {
                host: host.clone(),
                phase: "accept a connection",
                limit,
                sent: Sent::Nothing,
            };
            tokio::time::timeout(limit, inner.connect(&url, &host)).await.unwrap_or(Err(late))
        })
    }
}

impl Inner {
    async fn connect(&self, url: &Uri, host: &str) -> Result<Stream, Error> {
        let secure = url.scheme_str() == Some("https");
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        if !self.egress.permits_port(port) {
            return Err(Error::EgressPort { host: host.to_owned(), port });
        }
        let addresses = self.permitted(host).await?;
        let line = first_to_answer(&*self.network, &addresses, port)
            .await
            .map_err(|error| Error::Connect { host: host.to_owned(), detail: error.to_string() })?;
        if !secure {
            return Ok(Stream { io: TokioIo::new(line), peer: PeerTls::default() });
        }
        self.handshake(line, host).await.map_err(|detail| Error::Tls { host: host.to_owned(), detail })
    }

    /// The addresses of the host that the gate lets through; what it holds back is said when none is left.
    async fn permitted(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        let unresolved = |detail: String| Error::Resolve { host: host.to_owned(), detail };
        let all = match (host.parse::<IpAddr>(), &self.resolver) {
            (Ok(address), _) => vec![address],
            (Err(_), Some(resolver)) => {
                resolver.resolve(host).await.map_err(|e| unresolved(e.to_string()))?
            }
            (Err(_), None) => {
                let found =
                    tokio::net::lookup_host((host, 0)).await.map_err(|e| unresolved(e.to_string()))?;
                found.map(|address| address.ip()).collect()
            }
        };
        let permitted: Vec<IpAddr> =
            all.iter().copied().filter(|address| self.egress.permits(*address)).collect();
        match (permitted.is_empty(), all.first()) {
            (false, _) => Ok(permitted),
            (true, Some(&address)) => Err(Error::EgressAddress { host: host.to_owned(), address }),
            (true, None) => Err(unresolved("no address".to_owned())),
        }
    }

    async fn handshake(&self, line: Line, host: &str) -> Result<Stream, String> {
        let configure = || SslStream::new(self.tls.to(host)?, line);
        let mut stream = configure().map_err(|error: openssl::error::ErrorStack| error.to_string())?;
        if let Err(error) = Pin::new(&mut stream).connect().await {
            let verdict = stream.ssl().verify_result();
            return Err(match verdict == openssl::x509::X509VerifyResult::OK {
                true => error.to_string(),
                false => format!("the server's certificate is refused: {}", verdict.error_string()),
            });
        }
        let peer = PeerTls::of(stream.ssl(), self.check != ServerCheck::Nothing);
        Ok(Stream { io: TokioIo::new(Box::new(Unclouded(stream))), peer })
    }
}

/// Tries the addresses one after the other, a little apart, and takes the first connection that stands.
async fn first_to_answer(network: &dyn Network, addresses: &[IpAddr], port: u16) -> io::Result<Line> {
    let mut attempts: FuturesUnordered<_> = interleaved(addresses)
        .into_iter()
        .enumerate()
        .map(|(index, address)| async move {
            tokio::time::sleep(STAGGER * index as u32).await;
            network.connect(SocketAddr::new(address, port)).await
        })
        .collect();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
    while let Some(attempt) = attempts.next().await {
        match attempt {
            Ok(line) => return Ok(line),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The families by turns, the one that the resolver put first ahead (RFC 8305 4).
fn interleaved(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let first_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (mut ahead, behind): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.iter().partition(|a| a.is_ipv6() == first_is_v6);
    for (index, address) in behind.into_iter().enumerate() {
        ahead.insert((2 * index + 1).min(ahead.len()), address);
    }
    ahead
}

/// A connection of the pool, with what TLS says of its peer.
pub(super) struct Stream {
    io: TokioIo<Line>,
    peer: PeerTls,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.peer.clone())
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    /// Were this not said, hyper would copy all of a body into a buffer of its own first.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, &together(pieces))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The most that a TLS record holds (RFC 8446 5.1).
const RECORD: usize = 16 << 10;

/// What to write first of several pieces: a large one as it is, small ones together, for each write is a record and a packet of its own.
/// Asked again for the same pieces, perhaps with more behind them, it begins with the same octets, as TLS wants it.
fn together<'p>(pieces: &'p [IoSlice<'_>]) -> Cow<'p, [u8]> {
    let mut filled = pieces.iter().map(|piece| &**piece).filter(|piece| !piece.is_empty());
    let first = filled.next().unwrap_or_default();
    let mut rest = filled.peekable();
    if first.len() >= RECORD || rest.peek().is_none() {
        return Cow::Borrowed(first);
    }
    let mut record = Vec::with_capacity(RECORD);
    for piece in std::iter::once(first).chain(rest) {
        record.extend_from_slice(&piece[..piece.len().min(RECORD - record.len())]);
    }
    Cow::Owned(record)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_are_written_in_order_and_small_ones_together(
            lengths in prop::collection::vec(prop_oneof![0..40usize, 0..3 * RECORD], 0..6),
            more in 0..3 * RECORD,
        ) {
            let octets: Vec<u8> = (0..lengths.iter().sum::<usize>() + more).map(|n| (n / 3) as u8).collect();
            let mut rest = octets.as_slice();
            let mut pieces: Vec<IoSlice<'_>> = Vec::new();
            for length in lengths {
                let (piece, behind) = rest.split_at(length);
                pieces.push(IoSlice::new(piece));
                rest = behind;
            }
            let all = octets.len() - more;
            let first = together(&pieces).into_owned();
            prop_assert!(octets.starts_with(&first) && (all == 0 || !first.is_empty()));
            prop_assert!(first.len() >= all.min(RECORD));
            pieces.push(IoSlice::new(rest));
            let again = together(&pieces).into_owned();
            prop_assert!(octets.starts_with(&again) && again.len() >= first.len().min(RECORD));
        }
    }

    #[test]
    fn families_take_turns() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let given = [ip("2a00::1"), ip("2a00::2"), ip("2a00::3"), ip("8.8.8.8"), ip("8.8.4.4")];
        let wanted = [ip("2a00::1"), ip("8.8.8.8"), ip("2a00::2"), ip("8.8.4.4"), ip("2a00::3")];
        assert_eq!(interleaved(&given), wanted);
    }
}
