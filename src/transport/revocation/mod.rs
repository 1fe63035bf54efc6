//! Revocation data by the addresses that certificates name: fetched through the egress gate, kept in memory and on the disk,
//! and fetched again before it ends, so that no message waits for a fetch that could be had earlier (model 7;
//! discovery 5.2). Lists are asked first, then responders.

mod shelf;
mod source;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use hyper::header::HeaderValue;
use tokio::sync::Notify;

use self::shelf::{Kept, Shelf};
use self::source::{Proof, Source};
use super::{Client, ClientConfig, ClientTimeouts, ClientTls, Egress, Error, Request, Resolve};
use crate::clock::{Clock, SignedDuration, Timestamp};
use crate::pki::{Certificate, Revocation, RevocationRule};
use crate::thread::apart;

/// The largest list that is read.
const MAX_OCTETS: usize = 16 << 20;
/// The largest answer of a responder.
const MAX_ANSWER: usize = 64 << 10;
/// How long a message waits at most for all that is asked about its signer.
const PATIENCE: Duration = Duration::from_secs(25);
/// Fetches ahead at once.
const AT_ONCE: usize = 8;
/// Clock difference that is forgiven in "made just now".
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// The longest sleep between two looks at what is due.
const LOOK: Duration = Duration::from_secs(60);

/// What makes a revoker: one for each domain and each partner that is known by its authority.
pub struct RevokerConfig {
    /// Its name in metrics.
    pub name: String,
    /// What is demanded.
    pub rule: RevocationRule,
    /// Where fetches may go. Revocation data is signed, so plain HTTP on port 80 is permitted too: that is where authorities
    /// publish it.
    pub egress: Egress,
    /// Who turns host names into addresses; the system when absent.
    pub resolver: Option<Arc<dyn Resolve>>,
    /// Where data is kept for the next start; in memory alone when absent.
    pub folder: Option<PathBuf>,
}

/// Why a certificate cannot be used. The two are never the same: one is final, the other passes (model 7).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is revoked.
    #[error("the certificate {subject} is {verdict}")]
    Revoked {
        /// Its subject.
        subject: String,
        /// Since when.
        verdict: String,
    },
    /// It cannot be told now, and the rule is `require`.
    #[error("the certificate {subject}: {verdict}; revocation = \"require\" demands an answer")]
    Untold {
        /// Its subject.
        subject: String,
        /// Why not.
        verdict: String,
    },
}

/// Fetches, keeps and asks revocation data. Cheap to clone; clones share what is kept.
#[derive(Clone)]
pub struct Revoker(Arc<Inner>);

struct Inner {
    name: String,
    rule: RevocationRule,
    client: Client,
    clock: Clock,
    shelf: Shelf,
    /// Rung when there may be something new to fetch.
    changed: Notify,
}

impl Revoker {
    /// A revoker that has nothing yet; [`Revoker::load`] reads what an earlier process kept.
    ///
    /// # Errors
    /// A client that cannot be built.
    pub fn new(config: RevokerConfig, clock: Clock) -> Result<Self, Error> {
        let RevokerConfig { name, rule, mut egress, resolver, folder } = config;
        egress.plain_http = true;
        if !egress.ports.is_empty() {
            egress.ports.push(80);
        }
        let [connect, idle, answer, total] = [5, 10, 10, 60].map(Duration::from_secs);
        let timeouts = ClientTimeouts { connect, idle, answer, total };
        let client = Client::new(ClientConfig {
            tls: ClientTls::default(),
            egress,
            timeouts,
            resolver,
            network: None,
        })?;
        let folder = folder.filter(|_| rule != RevocationRule::Off);
        let shelf = Shelf::new(folder);
        Ok(Self(Arc::new(Inner { name, rule, client, clock, shelf, changed: Notify::new() })))
    }

    /// Reads what an earlier process kept in the folder.
    pub fn load(&self) {
        self.0.shelf.load(self.0.clock.now());
    }

    /// Whether the first certificate of a path may be used, as the rule says. `path` leads from it to an anchor, and every
    /// certificate but the anchor is asked after: whoever stands among the anchors is pinned, and nobody else can revoke
    /// it. A note comes back where `soft` lets something pass that could not be told.
    ///
    /// Only what was never had is waited for.
    ///
    /// # Errors
    /// [`Unusable`].
    pub async fn judge(&self, path: &[Certificate]) -> Result<Option<String>, Unusable> {
        if self.0.rule == RevocationRule::Off {
            return Ok(None);
        }
        let late = || Revocation::unknown(format!("nobody answered within {PATIENCE:?}"));
        match (tokio::time::timeout(PATIENCE, self.judge_all(path)).await, path.first()) {
            (Ok(judged), _) => judged,
            (Err(_), Some(certificate)) => decide(self.0.rule, certificate, &late()),
            (Err(_), None) => Ok(None),
        }
    }

    /// The gravest of all, and at once where one is revoked.
    async fn judge_all(&self, path: &[Certificate]) -> Result<Option<String>, Unusable> {
        let mut judged = Ok(None);
        for (certificate, issuer) in path.iter().zip(path.iter().skip(1)) {
            let verdict = self.status(certificate, issuer).await;
            judged = worse(judged, decide(self.0.rule, certificate, &verdict));
            if matches!(judged, Err(Unusable::Revoked { .. })) {
                break;
            }
        }
        judged
    }

    /// The same where no path to an anchor is at hand: nobody can be asked, and the rule decides.
    ///
    /// # Errors
    /// [`Unusable::Untold`].
    pub fn judge_without_path(&self, certificate: &Certificate) -> Result<Option<String>, Unusable> {
        decide(self.0.rule, certificate, &Revocation::unknown("its issuer is not at hand"))
    }

    /// Whether `certificate` is revoked, by the lists and responders that it names.
    pub async fn status(&self, certificate: &Certificate, issuer: &Certificate) -> Revocation {
        let sources = Source::of(certificate, issuer);
        let at_hand = sources.iter().map(|source| self.0.at_hand(source, certificate));
        match at_hand.filter(|verdict| !verdict.is_unknown()).reduce(graver) {
            Some(told) => told,
            None => self.first_answer(&sources, certificate).await,
        }
    }

    /// Asks one source after the other until one tells.
    async fn first_answer(&self, sources: &[Source], certificate: &Certificate) -> Revocation {
        let mut last = Revocation::unknown("the certificate names no revocation list and no responder");
        for source in sources {
            last = self.0.fetched(source, certificate).await;
            self.0.changed.notify_one();
            if !last.is_unknown() {
                break;
            }
        }
        last
    }

    /// Fetches everything that is due. [`Revoker::run`] calls it in time.
    pub async fn refresh(&self) {
        let now = self.0.clock.now();
        // A server that does not answer holds up a few of the others at most.
        let due = futures_util::stream::iter(self.0.shelf.due(now));
        due.for_each_concurrent(AT_ONCE, |source| async move {
            let Some(kept) = self.0.shelf.peek(&source) else { return };
            let _one = kept.flight.lock().await;
            // A message may have waited for it meanwhile.
            if self.0.shelf.peek(&source).is_some_and(|kept| kept.is_due(self.0.clock.now())) {
                self.0.fetch(&source).await;
            }
        })
        .await;
        self.0.shelf.forget_unused(now);
        let overdue = u32::try_from(self.0.shelf.overdue(now)).unwrap_or(u32::MAX);
        metrics::gauge!(crate::metrics::REVOCATION_OVERDUE, "of" => self.0.name.clone()).set(overdue);
    }

    /// Fetches ahead until `stop` is ready.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return,
                () = self.refresh() => {}
            }
            let left = self.0.shelf.next_due().map(|due| due.duration_since(self.0.clock.now()));
            let left = left.map_or(LOOK, |left| Duration::try_from(left).unwrap_or_default());
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(left.clamp(Duration::from_secs(1), LOOK)) => {}
                () = self.0.changed.notified() => {}
            }
        }
    }
}

impl Inner {
    /// What is at hand, without waiting for anything.
    fn at_hand(&self, source: &Source, certificate: &Certificate) -> Revocation {
        let now = self.clock.now();
        match self.shelf.used(source, now) {
            Some(kept) => said(&kept, certificate, now),
            None => Revocation::unknown("not asked yet"),
        }
    }

    /// What is at hand, or what comes, unless it was tried in vain a moment ago.
    async fn fetched(&self, source: &Source, certificate: &Certificate) -> Revocation {
        let flight = self.shelf.take(source, self.clock.now()).flight;
        let one = flight.lock().await;
        let now = self.clock.now();
        let kept = self.shelf.take(source, now);
        let before = said(&kept, certificate, now);
        if !before.is_unknown() || !kept.is_due(now) {
            return before;
        }
        self.fetch(source).await;
        drop(one);
        self.at_hand(source, certificate)
    }

    async fn fetch(&self, source: &Source) {
        let outcome = self.ask(source).await;
        let how = if outcome.is_ok() { "good" } else { "failed" };
        metrics::counter!(crate::metrics::REVOCATION_FETCHES, "of" => self.name.clone(), "outcome" => how)
            .increment(1);
        if let Err(why) = &outcome {
            tracing::warn!(url = source.url, error = why, "revocation data not fetched");
        }
        self.shelf.settle(source, outcome, self.clock.now());
    }

    /// Asks the source; what it gives is verified, not older than what is at hand, and on the disk.
    async fn ask(&self, source: &Source) -> Result<Proof, String> {
        let request = match source.question() {
            Some(question) => {
                let octets = question.to_der().map_err(|error| error.to_string())?;
                let kind = HeaderValue::from_static("application/ocsp-request");
                Request::post(&source.url, kind, octets, MAX_ANSWER)
            }
            None => Request::get(&source.url, MAX_OCTETS),
        };
        let answer = self.client.send(request).await.map_err(|error| error.to_string())?;
        if !answer.status.is_success() {
            return Err(format!("HTTP {}", answer.status));
        }
        let now = self.clock.now();
        let proof = apart(|| source.read(&answer.body, now)).map_err(|error| error.to_string())?;
        if proof.this_update().duration_since(now) > SKEW {
            return Err(format!("what came is in force only from {}", proof.this_update()));
        }
        self.not_older(source, &proof)?;
        if proof.next_update() > now {
            apart(|| self.shelf.write(source, &answer.body));
        }
        Ok(proof)
    }

    /// An old list that names fewer is what an attacker would play again.
    fn not_older(&self, source: &Source, proof: &Proof) -> Result<(), String> {
        match self.shelf.peek(source).and_then(|kept| kept.proof) {
            Some(kept) if kept.this_update() > proof.this_update() => Err(format!(
                "what came was made at {}, what is at hand at {}",
                proof.this_update(),
                kept.this_update()
            )),
            _ => Ok(()),
        }
    }
}

/// What the rule makes of a verdict.
fn decide(
    rule: RevocationRule,
    certificate: &Certificate,
    verdict: &Revocation,
) -> Result<Option<String>, Unusable> {
    let (subject, said) = (certificate.subject(), verdict.to_string());
    match (verdict, rule) {
        (_, RevocationRule::Off) | (Revocation::Good, _) => Ok(None),
        (Revocation::Revoked { .. }, _) => Err(Unusable::Revoked { subject, verdict: said }),
        (Revocation::Suspended { .. }, _) | (Revocation::Unknown { .. }, RevocationRule::Require) => {
            Err(Unusable::Untold { subject, verdict: said })
        }
        (Revocation::Unknown { .. }, RevocationRule::Soft) => Ok(Some(said)),
    }
}

/// Of two certificates of a path: a revoked one is never hidden by one that cannot be told.
fn worse(
    one: Result<Option<String>, Unusable>,
    other: Result<Option<String>, Unusable>,
) -> Result<Option<String>, Unusable> {
    match (one, other) {
        (Err(revoked @ Unusable::Revoked { .. }), _) | (_, Err(revoked @ Unusable::Revoked { .. })) => {
            Err(revoked)
        }
        (Err(untold), _) | (_, Err(untold)) => Err(untold),
        (Ok(one), Ok(other)) => Ok(one.or(other)),
    }
}

/// Of two sources that tell: a list that is older than the responder's answer does not undo a revocation.
fn graver(one: Revocation, other: Revocation) -> Revocation {
    let rank = |verdict: &Revocation| match verdict {
        Revocation::Revoked { .. } => 0,
        Revocation::Suspended { .. } => 1,
        Revocation::Good => 2,
        Revocation::Unknown { .. } => 3,
    };
    if rank(&other) < rank(&one) { other } else { one }
}

fn said(kept: &Kept, certificate: &Certificate, now: Timestamp) -> Revocation {
    let url = &kept.source.url;
    let verdict = kept.proof.as_ref().map(|proof| proof.judge(certificate, now));
    let why = match (verdict, &kept.failure) {
        (Some(Revocation::Unknown { why }), Some(failure)) => format!("{why}, and then {failure}"),
        (Some(Revocation::Unknown { why }), None) => why,
        (Some(told), _) => return told,
        (None, Some(failure)) => failure.clone(),
        (None, None) => "not asked yet".to_owned(),
    };
    Revocation::unknown(format!("{url}: {why}"))
}
