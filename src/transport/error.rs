//! What can go wrong between us and a peer.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How much of a request the peer may have read when it failed (model 2: definite or uncertain).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sent {
    /// Never the whole request: the last octet of its body was not handed to the socket.
    Nothing,
    /// Perhaps the whole request.
    Maybe,
}

/// Why a listener does not start or a request got no answer. Cheap to clone, for it crosses the connection pool.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    // Our configuration.
    /// Not an absolute http or https URL with a host and without user information.
    #[error("{url:?} is no address that can be asked: {problem}")]
    Url {
        /// The address.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The address is none that this client may speak to; `egress_allow` and `ports` of the domain allow more.
    #[error(
        "{host} resolves to {address}, which egress_allow does not permit; if it is meant, add its network there"
    )]
    EgressAddress {
        /// The host of the URL.
        host: String,
        /// The address that was refused (the first, if all were).
        address: IpAddr,
    },
    /// The port is none that this client may speak to.
    #[error(
        "port {port} of {host} is not among the permitted ports; if it is meant, add it to ports of the domain or partner"
    )]
    EgressPort {
        /// The host of the URL.
        host: String,
        /// The port.
        port: u16,
    },
    /// Keys, certificates or anchors that OpenSSL does not take.
    #[error("TLS configuration: {0}")]
    TlsConfiguration(String),
    /// The listener's address cannot be bound.
    #[error("cannot listen on {address}: {detail}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        detail: String,
    },
    // The network and the peer.
    /// The host name does not resolve.
    #[error("{host} does not resolve: {detail}")]
    Resolve {
        /// The host of the URL.
        host: String,
        /// What the resolver said.
        detail: String,
    },
    /// No address of the host accepts a connection.
    #[error("cannot connect to {host}: {detail}")]
    Connect {
        /// The host of the URL.
        host: String,
        /// What the system said.
        detail: String,
    },
    /// The TLS handshake failed.
    #[error("TLS with {host} failed: {detail}")]
    Tls {
        /// The host of the URL.
        host: String,
        /// What OpenSSL said; names the verification error, if it was one.
        detail: String,
    },
    /// The connection broke, or what came is no HTTP.
    #[error("the connection to {host} failed: {detail}")]
    Connection {
        /// The host of the URL.
        host: String,
        /// What hyper said.
        detail: String,
        /// How much was sent.
        sent: Sent,
    },
    /// A time-out.
    #[error("{host} did not {phase} within {limit:?}")]
    TimedOut {
        /// The host of the URL.
        host: String,
        /// What was waited for.
        phase: &'static str,
        /// The limit.
        limit: Duration,
        /// How much was sent.
        sent: Sent,
    },
    /// The answer is larger than the limit.
    #[error("the answer of {host} is larger than {limit} octets")]
    ResponseTooLarge {
        /// The host of the URL.
        host: String,
        /// The limit.
        limit: usize,
    },
    // Ourselves.
    /// Our own body could not be produced, or was not as long as announced.
    #[error("the body of the request failed: {detail}")]
    Body {
        /// What the producer said.
        detail: String,
    },
}

impl Error {
    /// Whether the peer may have read the whole request. Anything that fails before the body was handed over, and the
    /// body itself failing, is `Nothing`.
    pub fn sent(&self) -> Sent {
        match self {
            Self::Connection { sent, .. } | Self::TimedOut { sent, .. } => *sent,
            Self::ResponseTooLarge { .. } => Sent::Maybe,
            _ => Sent::Nothing,
        }
    }
}
