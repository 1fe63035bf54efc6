//! HTTP/1.1 over TLS, as server and as client: limits, time-outs, the egress gate. Octets and headers only.
//!
//! [`Server`] hands requests with streaming bodies to any tower service (an `axum::Router`, or `tower::service_fn`), with
//! the [`Peer`] in the request's extensions. [`Client`] sends one request with a body of known length and reads the
//! answer up to a limit; its [`Error::sent`] says whether the peer may have read the whole request, which decides between
//! a definite and an uncertain attempt (model 2). The same client speaks for the library that asks object stores.

pub mod body;
mod client;
mod connector;
mod egress;
mod error;
mod idle;
mod network;
mod objects;
mod revocation;
mod server;
#[cfg(test)]
mod tests;
mod tls;
mod unclouded;

pub use client::{Client, ClientConfig, ClientTimeouts, Request, Response};
pub use connector::{Resolve, Resolved};
pub use egress::{Cidr, Egress};
pub use error::{Error, Sent};
pub use network::{Duplex, Line, Listen, Network, Tcp};
pub use revocation::{Revoker, RevokerConfig, Unusable};
pub use server::{Peer, Server, ServerLimits};
pub use tls::{ClientAuth, ClientTls, Identity, PeerTls, ServerCheck, ServerTls};
