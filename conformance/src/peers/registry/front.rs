//! The TLS front of phoss, as a reverse proxy would be; below some paths it is a man in the middle.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use super::phoss::encoded;
use crate::ca::Identity;
use crate::http;
use crate::smp::{Https, status, xml};

/// What the front does with what it passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Nothing.
    Honest,
    /// Names another address of the access point.
    Tampering,
    /// Gives another participant's metadata.
    Swapping,
    /// Says that it is not available now.
    Busy,
}

impl Manner {
    /// What stands before the SMP's own paths.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Honest => "",
            Self::Tampering => "/tampering",
            Self::Swapping => "/swapping",
            Self::Busy => "/busy",
        }
    }
}

/// Whose metadata is given instead of whose.
pub(super) type Swap = (String, String);

/// The front while it runs.
pub(super) struct Front {
    /// Where it listens.
    pub(super) address: SocketAddr,
    behind: Arc<OnceCell<SocketAddr>>,
    task: JoinHandle<Result<()>>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Front {
    /// Listens; what is behind it is said later, since that must know the front's address.
    pub(super) async fn start(tls: &Identity, swap: Swap) -> Result<Self> {
        let https = Https::bind("127.0.0.1:0".parse()?, tls).await?;
        let (address, behind, swap) = (https.address()?, Arc::new(OnceCell::new()), Arc::new(swap));
        let known = behind.clone();
        let task = tokio::spawn(https.run(move |request| answer(known.clone(), swap.clone(), request)));
        Ok(Self { address, behind, task })
    }

    /// Says where the SMP is.
    pub(super) fn stand_before(&self, smp: SocketAddr) -> Result<()> {
        Ok(self.behind.set(smp)?)
    }
}

async fn answer(
    behind: Arc<OnceCell<SocketAddr>>,
    swap: Arc<Swap>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let all = [Manner::Tampering, Manner::Swapping, Manner::Busy];
    let manner = all.into_iter().find(|m| path.starts_with(m.prefix())).unwrap_or(Manner::Honest);
    let Some(smp) = behind.get().filter(|_| manner != Manner::Busy) else {
        return status(StatusCode::SERVICE_UNAVAILABLE);
    };
    let mut path = path[manner.prefix().len()..].to_owned();
    if manner == Manner::Swapping {
        path = path.replace(&encoded(&swap.0), &encoded(&swap.1));
    }
    let Ok(answer) = http::request(*smp, Method::GET, &path, "", Bytes::new()).await else {
        return status(StatusCode::BAD_GATEWAY);
    };
    let text = String::from_utf8_lossy(&answer.body);
    match answer.status {
        StatusCode::OK if manner == Manner::Tampering => xml(text.replace("/as4<", "/elsewhere<")),
        StatusCode::OK => xml(answer.body),
        other => status(other),
    }
}
