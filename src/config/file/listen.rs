//! `[listen]`: the three listeners.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// `[listen]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// For other access points; public.
    pub as4: As4Listener,
    /// For backends.
    pub backend: Option<Listener>,
    /// For operators.
    pub admin: Option<Listener>,
}

/// `[listen.as4]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct As4Listener {
    /// Address and port.
    pub address: SocketAddr,
    /// Path of the endpoint.
    #[serde(default = "as4_path")]
    pub path: String,
    /// TLS; without it set `plain = true`.
    pub tls: Option<Tls>,
    /// Plain HTTP, for use behind a proxy that ends TLS.
    #[serde(default)]
    pub plain: bool,
}

/// `[listen.backend]` or `[listen.admin]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Address and port.
    pub address: SocketAddr,
    /// TLS; without it only loopback addresses are allowed.
    pub tls: Option<Tls>,
    /// Bearer tokens; without any only loopback addresses are allowed.
    #[serde(default)]
    pub tokens: Vec<Token>,
}

/// One bearer token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// File whose only line is the token.
    pub file: PathBuf,
    /// Backend that it speaks for; all of them when absent.
    pub backend: Option<String>,
    /// `backend`, `operator` or `viewer`.
    #[serde(default)]
    pub role: Role,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Submit, list, fetch, acknowledge.
    #[default]
    Backend,
    /// Retry, cancel, close, and read everything.
    Operator,
    /// Read everything.
    Viewer,
}

/// Server side TLS.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM: certificate and chain.
    pub certificate: PathBuf,
    /// PEM: private key.
    pub key: PathBuf,
    /// PEM: anchors of client certificates; a client that shows one must be under them.
    pub client_trust: Option<PathBuf>,
    /// Whether a client certificate is demanded.
    #[serde(default)]
    pub client_required: bool,
}

fn as4_path() -> String {
    "/as4".into()
}
