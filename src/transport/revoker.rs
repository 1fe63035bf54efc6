//! Revocation lists fetched by their distribution points, through the egress gate, and kept to their next update
//! (model 7; discovery 5.2).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Client, ClientConfig, ClientTimeouts, ClientTls, Egress, Error, Request, Resolve};
use crate::clock::{Clock, SignedDuration, Timestamp};
use crate::pki::{Certificate, Crl, Revocation};

/// The largest list that is read.
const MAX_OCTETS: usize = 32 << 20;
/// A list is fetched again after this time even if its next update is far off.
const REFRESH: SignedDuration = SignedDuration::from_hours(24);
/// A failed fetch is not repeated sooner.
const BACK_OFF: SignedDuration = SignedDuration::from_secs(60);

/// Fetches, keeps and asks revocation lists. Cheap to clone; clones share the lists.
#[derive(Clone)]
pub struct Revoker(Arc<Inner>);

struct Inner {
    client: Client,
    clock: Clock,
    lists: Mutex<HashMap<String, Kept>>,
}

#[derive(Clone, Default)]
struct Kept {
    list: Option<Arc<Crl>>,
    failure: Option<String>,
    again: Timestamp,
}

impl Revoker {
    /// A revoker whose fetches go where `egress` permits. Lists are signed, so plain HTTP on port 80 is permitted too:
    /// that is where authorities publish them.
    pub fn new(mut egress: Egress, resolver: Option<Arc<dyn Resolve>>, clock: Clock) -> Result<Self, Error> {
        egress.plain_http = true;
        if !egress.ports.is_empty() {
            egress.ports.push(80);
        }
        let [connect, idle, answer, total] = [5, 10, 10, 60].map(Duration::from_secs);
        let timeouts = ClientTimeouts { connect, idle, answer, total };
        let client = Client::new(ClientConfig { tls: ClientTls::default(), egress, timeouts, resolver })?;
        Ok(Self(Arc::new(Inner { client, clock, lists: Mutex::default() })))
    }

    /// Whether `certificate` is revoked, by the lists that it names. `issuers` are the certificates among which its issuer
    /// is; one that stands among them itself is pinned, and nobody else can revoke it.
    ///
    /// Fetches only what is not at hand or due; call it for the certificates in use now and then, and the answer to a
    /// message waits for no fetch.
    pub async fn status(&self, certificate: &Certificate, issuers: &[Certificate]) -> Revocation {
        if issuers.contains(certificate) {
            return Revocation::Good;
        }
        let Some(issuer) = issuers.iter().find(|issuer| certificate.is_issued_by(issuer)) else {
            return Revocation::unknown("its issuer is not at hand");
        };
        let mut last = Revocation::unknown("the certificate names no revocation list");
        for url in certificate.crl_urls() {
            last = match self.0.list(&url).await {
                Ok(list) => list.judge(certificate, issuer, self.0.clock.now()),
                Err(why) => Revocation::unknown(format!("{url}: {why}")),
            };
            if !matches!(last, Revocation::Unknown { .. }) {
                break;
            }
        }
        last
    }
}

impl Inner {
    /// The list kept, or fetched when it is due; the old one stays when a fetch fails.
    async fn list(&self, url: &str) -> Result<Arc<Crl>, String> {
        let now = self.clock.now();
        let mut kept = self.lock().get(url).cloned().unwrap_or_default();
        if kept.again <= now {
            match self.fetch(url).await {
                Ok(list) => {
                    let day = later(now, REFRESH);
                    kept.again = list.next_update().map_or(day, |next| next.clamp(later(now, BACK_OFF), day));
                    kept.list = Some(Arc::new(list));
                    kept.failure = None;
                }
                Err(why) => {
                    tracing::warn!(url, error = %why, "revocation list not fetched");
                    kept.again = later(now, BACK_OFF);
                    kept.failure = Some(why);
                }
            }
            self.lock().insert(url.to_owned(), kept.clone());
        }
        kept.list.ok_or_else(|| kept.failure.unwrap_or_default())
    }

    async fn fetch(&self, url: &str) -> Result<Crl, String> {
        let answer =
            self.client.send(Request::get(url, MAX_OCTETS)).await.map_err(|error| error.to_string())?;
        match answer.status.is_success() {
            true => Crl::read(&answer.body).map_err(|error| error.to_string()),
            false => Err(format!("HTTP {}", answer.status)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Kept>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing::{self, Options};
    use bytes::Bytes;
    use http_body_util::Full;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn lists_are_fetched_kept_and_outlive_an_outage() {
        let ca = testing::ca("CN=ca");
        let server = crate::transport::Server::bind("127.0.0.1:0".parse().unwrap(), None, Default::default());
        let server = server.await.unwrap();
        let url = format!("http://{}/ca.crl", server.local_addr().unwrap());
        let options = Options { crl: Some(&url), ..Options::default() };
        let (bad, _) = testing::certificate("CN=bad", &options, Some(&ca));
        let (good, _) = testing::certificate("CN=good", &options, Some(&ca));
        let (list, asked) = (testing::crl(&ca, &[&bad]), Arc::new(AtomicUsize::new(0)));
        let count = asked.clone();
        let service = tower::service_fn(move |_: hyper::Request<crate::transport::body::RequestBody>| {
            // The second fetch fails.
            let fails = count.fetch_add(1, Ordering::SeqCst) == 1;
            let answer = hyper::Response::builder().status(if fails { 503 } else { 200 });
            let answer = answer.body(Full::new(Bytes::from(list.clone()))).unwrap();
            async move { Ok::<_, std::convert::Infallible>(answer) }
        });
        tokio::spawn(server.run(service, std::future::pending()));
        let clock = Clock::manual("2026-06-01T00:00:00Z".parse().unwrap());
        let egress = Egress { allow: vec!["127.0.0.1".parse().unwrap()], ports: vec![], plain_http: false };
        let revoker = Revoker::new(egress, None, clock.clone()).unwrap();
        let issuers = [ca.0.clone()];
        assert!(matches!(revoker.status(&bad, &issuers).await, Revocation::Revoked { .. }));
        assert_eq!(revoker.status(&good, &issuers).await, Revocation::Good);
        assert_eq!(asked.load(Ordering::SeqCst), 1, "kept");
        clock.advance(SignedDuration::from_hours(25));
        assert_eq!(revoker.status(&good, &issuers).await, Revocation::Good, "the old list serves");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        clock.advance(SignedDuration::from_secs(61));
        assert_eq!(revoker.status(&good, &issuers).await, Revocation::Good);
        assert_eq!(asked.load(Ordering::SeqCst), 3, "asked again");
        let strict = Revoker::new(Egress::default(), None, clock).unwrap();
        assert!(matches!(strict.status(&good, &issuers).await, Revocation::Unknown { .. }), "the gate");
        assert_eq!(strict.status(&ca.0, &issuers).await, Revocation::Good, "pinned");
        let (plain, _) = testing::issued("CN=plain", &ca, testing::LONG);
        assert!(matches!(strict.status(&plain, &issuers).await, Revocation::Unknown { .. }), "names no list");
    }
}
