//! The three listeners: AS4 (public), backends, administration.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::extract::State;
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use hyper::header::HeaderValue;
use hyper::{Request, Response, StatusCode};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::build::Built;
use super::dossier;
use super::tasks::Tasks;
use crate::backend::auth::{Role, Tokens};
use crate::backend::rest;
use crate::config::file;
use crate::config::{Problems, anchors};
use crate::msh::Node;
use crate::msh::receiving::{Throttle, receive};
use crate::pki::{Certificate, KeyStore};
use crate::transport::body::RequestBody;
use crate::transport::{ClientAuth, Identity, Peer, Server, ServerLimits, ServerTls};
use crate::{api, console};

/// Binds every listener, then serves.
pub(super) async fn start(built: &Built, tasks: &mut Tasks) -> Result<()> {
    let as4 = &built.file.listen.as4;
    let server = bind(built, as4.address, as4.tls.as_ref()).await.context("listen.as4")?;
    let backend = match &built.file.listen.backend {
        Some(l) => Some(bind(built, l.address, l.tls.as_ref()).await.context("listen.backend")?),
        None => None,
    };
    let admin = match &built.file.listen.admin {
        Some(l) => Some(bind(built, l.address, l.tls.as_ref()).await.context("listen.admin")?),
        None => None,
    };
    let endpoint = As4 { node: built.node.clone(), path: as4.path.clone().into() };
    tasks.spawn("listen.as4", serve_as4(endpoint, server, tasks.stopped()));
    if let Some(server) = backend {
        let desk = rest::Desk { office: built.office.clone(), tokens: built.backend_tokens.clone() };
        tasks.spawn("listen.backend", server.run(rest::router(desk), tasks.stopped()));
    }
    if let Some(server) = admin {
        let state = api::Api::new(built.office.store.clone(), recorder()?);
        let router = api::router(state.clone()).merge(console::router(state)).merge(dossier::router(built));
        let guard = middleware::from_fn_with_state(built.admin_tokens.clone(), guard);
        tasks.spawn("listen.admin", server.run(router.layer(guard), tasks.stopped()));
    }
    Ok(())
}

async fn bind(built: &Built, address: std::net::SocketAddr, tls: Option<&file::Tls>) -> Result<Server> {
    let limits = &built.file.limits;
    let idle = Duration::from_secs(limits.idle_seconds);
    let server = ServerLimits {
        connections: limits.connections,
        header_octets: limits.header_octets,
        headers: limits.headers,
        handshake: Duration::from_secs(limits.handshake_seconds),
        header_read: Duration::from_secs(limits.header_seconds),
        body_idle: idle,
        write_idle: idle,
        shutdown: Duration::from_secs(limits.shutdown_seconds),
    };
    let tls = tls.map(|tls| server_tls(&built.base, tls)).transpose()?;
    Ok(Server::bind_on(&*built.network, address, tls.as_ref(), server).await?)
}

/// Reads what a listener needs for TLS; also part of checking a configuration.
pub(super) fn server_tls(base: &Path, tls: &file::Tls) -> Result<ServerTls> {
    let read = |path: &Path| {
        let path = base.join(path);
        std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let pem = [read(&tls.certificate)?, read(&tls.key)?].concat();
    let identity = identity(&pem).with_context(|| format!("tls of {}", tls.certificate.display()))?;
    let mut problems = Problems::default();
    let trust = match &tls.client_trust {
        Some(path) => anchors(&mut problems, "tls.client_trust", &base.join(path)),
        None => None,
    };
    if !problems.0.is_empty() {
        return Err(problems.into());
    }
    let client_auth = match (trust, tls.client_required) {
        (Some(trust), true) => ClientAuth::Required(trust),
        (Some(trust), false) => ClientAuth::Optional(trust),
        (None, true) => anyhow::bail!("tls.client_required needs tls.client_trust"),
        (None, false) => ClientAuth::None,
    };
    Ok(ServerTls { identity, client_auth })
}

/// What the AS4 endpoint works with.
struct As4 {
    node: Arc<Node>,
    path: Arc<str>,
}

/// The leaf, the certificates above it, and the key, from PEM.
fn identity(pem: &[u8]) -> Result<Identity> {
    let entries = KeyStore::read(pem, None, &[])?.entries;
    let key = entries.iter().find_map(|e| e.private_key.clone()).context("there is no private key")?;
    let all: Vec<_> = entries.iter().flat_map(|e| e.certificate.iter().chain(&e.chain)).cloned().collect();
    let fits = |c: &Certificate| c.public_key().is_ok_and(|public| public.public_eq(&key));
    let certificate = all.iter().find(|c| fits(c)).cloned().context("no certificate fits the private key")?;
    let chain = all.into_iter().filter(|c| c.der() != certificate.der()).collect();
    Ok(Identity { certificate, chain, key })
}

async fn serve_as4(built: As4, server: Server, stop: impl Future<Output = ()>) {
    let As4 { node, path } = built;
    let throttle = Arc::new(Throttle::new(node.limits.rejected_per_minute, node.clock.now()));
    let service = tower::service_fn(move |request: Request<RequestBody>| {
        let (node, throttle, path) = (node.clone(), throttle.clone(), path.clone());
        async move {
            if request.uri().path() != &*path {
                return Ok::<_, Infallible>(not_here(&path));
            }
            let source = request.extensions().get::<Peer>().map(|peer| peer.address.ip());
            let source = source.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into());
            Ok(receive(&node, &throttle, request, source).await)
        }
    });
    server.run(service, stop).await;
}

/// Tokens of the administration listener; health and readiness are for machines that have none.
async fn guard(
    State(tokens): State<Arc<Tokens>>,
    request: axum::extract::Request,
    next: Next,
) -> axum::response::Response {
    if matches!(request.uri().path(), "/health" | "/ready") {
        return next.run(request).await;
    }
    let reading = request.method() == hyper::Method::GET;
    let caller = tokens.caller(request.headers());
    let caller = caller.or_else(|| tokens.reader(request.headers()).filter(|_| reading));
    match caller.map(|caller| caller.role) {
        Some(Role::Operator) => next.run(request).await,
        Some(Role::Viewer) if reading => next.run(request).await,
        Some(_) => (StatusCode::FORBIDDEN, "this token may not do that\n").into_response(),
        None => {
            let mut refused = (StatusCode::UNAUTHORIZED, "send a valid token\n").into_response();
            let ways = ["Bearer", "Basic realm=\"tilts: the token is the password\", charset=\"UTF-8\""];
            for way in ways.into_iter().take(if reading { 2 } else { 1 }) {
                refused.headers_mut().append(hyper::header::WWW_AUTHENTICATE, HeaderValue::from_static(way));
            }
            refused
        }
    }
}

/// The metrics of this process; a second node in one process (tests) shares them.
fn recorder() -> Result<Arc<PrometheusHandle>> {
    static RECORDER: Mutex<Option<Arc<PrometheusHandle>>> = Mutex::new(None);
    // Held while it is installed: of two nodes that start at once one does it.
    let mut known = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*known {
        return Ok(handle.clone());
    }
    let handle = Arc::new(PrometheusBuilder::new().install_recorder().context("the metrics recorder")?);
    Ok(known.insert(handle).clone())
}

fn not_here(path: &str) -> Response<http_body_util::Full<bytes::Bytes>> {
    let mut response = Response::new(format!("AS4 messages are taken at {path}\n").into_bytes().into());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
