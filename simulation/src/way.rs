//! What lies between the nodes: every exchange passes here, and some go wrong, as in the laboratory (`conformance::lab`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use bytes::Bytes;
use conformance::http::{Answer, Ask, Asked, exchange_on};
use conformance::lab::{AnyLine, Dial, Exchange, Fault, Faults, Tally};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http_body_util::Full;
use std::time::Duration;

use crate::engine::{Moment, Zero};
use crate::net::{Bound, End, Hosted};
use crate::plan::{Away, Outage};
use crate::trace::Trace;

/// Whoever asks a node gives up after this.
const PATIENCE: Duration = Duration::from_secs(20);

impl Dial for Hosted {
    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, Result<AnyLine>> {
        async move { Ok(Box::new(self.call(to).await?) as AnyLine) }.boxed()
    }
}

impl Ask for Hosted {
    fn ask(&self, to: SocketAddr, request: Asked) -> BoxFuture<'_, Result<Answer>> {
        let request: hyper::Request<Full<Bytes>> = request;
        async move {
            let whole = async { exchange_on(self.call(to).await?, request).await };
            tokio::time::timeout(PATIENCE, whole).await?
        }
        .boxed()
    }
}

/// One direction between the nodes.
pub struct Way {
    /// Who calls, and where the outside has its connections from.
    pub outside: Hosted,
    /// The node.
    pub to: SocketAddr,
    /// What goes wrong.
    pub faults: Faults,
    /// Until when.
    pub until: Duration,
    /// When everything goes wrong.
    pub outages: Vec<Outage>,
    /// What has gone wrong.
    pub tally: Tally,
    /// The time.
    pub zero: Zero,
    /// All that happens.
    pub trace: Trace,
    /// Exchanges so far.
    pub exchanges: Arc<AtomicU64>,
}

impl Way {
    /// Carries what calls at an address, of which nobody else may be the owner.
    pub async fn serve(self, at: SocketAddr) {
        let way = Arc::new(self);
        while let Ok(bound) = way.outside.bind(at) {
            tokio::select! {
                biased;
                until = way.closing() => {
                    bound.end();
                    way.sleep_until(until).await;
                }
                () = way.clone().take(&bound) => {}
            }
        }
    }

    async fn take(self: Arc<Self>, bound: &Bound) {
        loop {
            let client = bound.next().await;
            let way = self.clone();
            tokio::spawn(async move { way.exchange(client).await });
        }
    }

    /// Ready when nobody is to be there any more; gives until when.
    async fn closing(&self) -> Moment {
        let closed = self.outages.iter().filter(|outage| outage.how == Away::Connections);
        let now = self.zero.now();
        match closed.filter(|outage| outage.to > now).min_by_key(|outage| outage.from) {
            Some(next) => {
                self.sleep_until(next.from).await;
                next.to
            }
            None => std::future::pending().await,
        }
    }

    async fn sleep_until(&self, moment: Moment) {
        tokio::time::sleep(moment.saturating_sub(self.zero.now())).await;
    }

    fn outage(&self, now: Moment) -> Option<Fault> {
        let outage = self.outages.iter().find(|outage| outage.from <= now && now < outage.to)?;
        match outage.how {
            Away::Answers => Some(Fault::Lose),
            Away::Requests => Some(Fault::Reset),
            Away::Connections => None,
        }
    }

    /// A node that is down is a fault of its own: only an exchange that could pass takes one from the schedule.
    async fn exchange(&self, client: End) -> Result<()> {
        let server = self.outside.call(self.to).await?;
        let number = self.exchanges.fetch_add(1, Ordering::Relaxed);
        let now = self.zero.now();
        let fault = self.outage(now).or_else(|| self.faults.of(number)).filter(|_| now < self.until);
        if let Some(fault) = fault {
            self.trace.event(now, format_args!("way exchange {number} to {}: {fault:?}", self.to));
            self.tally.count(fault.kind());
        }
        if fault == Some(Fault::Reset) {
            client.reset();
            return Ok(());
        }
        let (client, server) = (Box::new(client), Box::new(server));
        Exchange { client, server, other: self.to, way: &self.outside }.carry(fault).await
    }
}
