//! Many messages in one process, without a network: what comes out of one half of asx-rs goes into the other as it is.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use asx::as4::{As4, Message, UserMessage};
use asx::{BoxFuture, HttpClient, Inbound, MemoryDedup, Partner, Payload, Reject, Verified};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use openssl::sha::sha256;
use serde_json::{Value, json};

use crate::{access_point, hex, partner, say};

/// A transport that is a function call.
#[derive(Debug)]
struct Direct(Inbound);

impl HttpClient for Direct {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, Box<dyn Error + Send + Sync>>> {
        let answer = TowerToHyperService::new(self.0.clone()).call(request.map(Full::new));
        Box::pin(async move {
            let (head, body) = answer.await?.into_parts();
            Ok(http::Response::from_parts(head, body.collect().await?.to_bytes()))
        })
    }
}

/// What every message is made of.
struct Load {
    as4: As4,
    partner: Partner,
    payload: Vec<u8>,
    signer: String,
}

/// Answers each JSON line on standard input with one: `warm` messages before, then `count` that are measured, each the
/// octets of `file`, from `tasks` tasks at once. Party and partner are both here; they have one key, so that options for one do.
pub async fn run(
    options: &HashMap<String, String>,
    mut jobs: impl AsyncFnMut() -> Result<Option<Value>>,
) -> Result<()> {
    let option = |name: &str| options.get(name).cloned().with_context(|| format!("--{name} is missing"));
    let swapped = |name: &str| match name {
        "party" => option("partner"),
        "partner" => option("party"),
        name => option(name),
    };
    let client = crate::client::Client::trusting(&option("tls-trust")?)?;
    let inbound = access_point(&swapped, &partner(&swapped)?, client)?.inbound(MemoryDedup::default(), take);
    let partner = partner(&option)?;
    let as4 = access_point(&option, &partner, Direct(inbound))?;
    let certificate = asx::Certificate::from_pem(&std::fs::read(option("partner-certificate")?)?)?;
    let signer = hex(&sha256(certificate.der()));
    say(&json!({ "event": "ready" }));
    while let Some(job) = jobs().await? {
        let file = job["file"].as_str().context("the job has no file")?;
        let payload = tokio::fs::read(file).await?;
        let load = Load { as4: as4.clone(), partner: partner.clone(), payload, signer: signer.clone() };
        say(&Arc::new(load).measure(&job).await?);
    }
    Ok(())
}

async fn take(message: Verified<UserMessage>) -> Result<(), Reject> {
    std::hint::black_box(message.payloads());
    Ok(())
}

impl Load {
    async fn measure(self: Arc<Self>, job: &Value) -> Result<Value> {
        let number = |name: &str| job[name].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
        self.clone().batch(number("warm"), number("tasks")).await?;
        say(&json!({ "event": "warm", "job": job["job"] }));
        let begun = Instant::now();
        let mut times = self.batch(number("count"), number("tasks")).await?;
        let seconds = begun.elapsed().as_secs_f64();
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times.get(((times.len().max(1) - 1) as f64 * share) as usize);
        Ok(json!({
            "event": "load", "job": job["job"], "messages": times.len(), "failures": 0, "seconds": seconds,
            "p50_ms": at(0.5), "p99_ms": at(0.99),
        }))
    }

    /// Milliseconds of each message. The first failure ends it: nothing here can go wrong by chance.
    async fn batch(self: Arc<Self>, count: usize, tasks: usize) -> Result<Vec<f64>> {
        let next = Arc::new(AtomicUsize::new(0));
        let senders: Vec<_> =
            (0..tasks).map(|_| tokio::spawn(self.clone().share(next.clone(), count))).collect();
        let mut times = Vec::with_capacity(count);
        for sender in senders {
            times.extend(sender.await??);
        }
        Ok(times)
    }

    async fn share(self: Arc<Self>, next: Arc<AtomicUsize>, count: usize) -> Result<Vec<f64>> {
        let mut times = Vec::new();
        while next.fetch_add(1, Ordering::Relaxed) < count {
            let begun = Instant::now();
            let message =
                Message::to(&self.partner).service("urn:example:service").action("urn:example:action");
            let payload = Payload::new(self.payload.clone(), "application/octet-stream");
            let receipt = self.as4.send(message.payload(payload)).await?;
            ensure!(hex(&sha256(receipt.signer().der())) == self.signer, "signed by another");
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        Ok(times)
    }
}
