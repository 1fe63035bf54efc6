//! Delivery: a worker leads each received message to its backend and keeps what the backend makes of it.
//!
//! ```text
//! lease -> adapter puts it at the backend's disposal -> accepted | refused | missed | undeliverable
//! ```
//!
//! Each step and the evidence about it are one transaction. The REST adapter needs no carrying: being listed is being at
//! disposal (model.md 6).

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;

use super::{Adapter, Office, div, folder, proof, said};
use crate::clock::SignedDuration;
use crate::crash::{self, Point};
use crate::evidence::{self, Happening};
use crate::store::{
    self, DeliveryId, DeliveryOutcome, DeliveryState, DeliveryView, NewEvidenceMessage, Settled,
};
use crate::thread;

/// Deliveries carried at a time.
const BATCH: u32 = 50;
/// How long an adapter may take for one batch.
const LEASE: SignedDuration = SignedDuration::from_mins(10);
/// Pause before an adapter that failed is tried again.
const AGAIN: SignedDuration = SignedDuration::from_secs(10);
/// After so many tries a person must know: five minutes, where nothing else takes time.
const PATIENCE: u32 = 30;
/// Folders are looked at in this rhythm, and a store that failed.
const LOOK: Duration = Duration::from_millis(500);
/// Without an event the store is asked again after this time at the latest.
const AT_LATEST: Duration = Duration::from_secs(30);

/// Why a delivery could not be carried or settled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Our store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Our evidence key.
    #[error(transparent)]
    Evidence(#[from] evidence::Error),
    /// The backend's folder.
    #[error("{path}: {source}")]
    Folder {
        /// File or folder.
        path: std::path::PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The message cannot take the form that the backend needs.
    #[error("cannot be delivered: {0}")]
    Form(String),
    /// A defect of ours.
    #[error("panicked: {0}")]
    Panicked(String),
}

/// Carries deliveries until `stop` is ready, each backend's by itself: one whose folder does not answer holds up no other.
pub async fn run(office: Arc<Office>, stop: impl Future<Output = ()> + Send + 'static) {
    if let Err(error) = strangers(&office).await {
        tracing::error!(%error, "deliveries of backends that are not configured");
    }
    let stop = stop.shared();
    let mut carriers = JoinSet::new();
    for backend in &office.backends {
        carriers.spawn(carrier(office.clone(), backend.id.clone(), stop.clone()));
    }
    while let Some(ended) = carriers.join_next().await {
        if let Err(error) = ended
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
    stop.await;
}

/// Messages that wait for a backend which the configuration no longer names wait for ever: somebody must know.
async fn strangers(office: &Office) -> Result<(), store::Error> {
    for backend in office.store.backends_with_deliveries().await? {
        if office.backend(&backend).is_none() {
            let text = format!(
                "messages wait for the backend {backend:?}, which is no [[backend]] of the configuration: name it again"
            );
            office.store.raise_once("unknown-backend", &backend, &text).await?;
        }
    }
    Ok(())
}

async fn carrier(office: Arc<Office>, backend: String, stop: impl Future<Output = ()>) {
    let Some(adapter) = office.backend(&backend).map(|backend| &backend.adapter) else { return };
    folder::prepare(adapter);
    let mut changes = office.store.delivery_changes();
    let mut stop = std::pin::pin!(stop);
    loop {
        changes.mark_unchanged();
        let done = round(&office, (&backend, adapter)).await;
        if let Err(error) = &done
            && said::is_due(&format!("delivery to {backend}: {error}"))
        {
            tracing::error!(backend, %error, "delivery");
        }
        let pause = pause(&office, adapter, done.is_ok()).await;
        tokio::select! {
            biased;
            () = &mut stop => return,
            _ = changes.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Until something is due again; what was left undone is, soon. Folders tell nobody that there is something in them: they are looked at.
async fn pause(office: &Office, adapter: &Adapter, done: bool) -> Duration {
    if !done || adapter.inbox().is_some() {
        return LOOK;
    }
    let Ok(next) = office.store.next_delivery().await else { return LOOK };
    office.clock.until(next, LOOK, AT_LATEST)
}

/// One look at a backend: gather what it answered, which may have a deadline, then carry what waits. What is leased when the
/// store fails is given back: its lease would hold it back for long.
async fn round(office: &Office, (backend, adapter): (&str, &Adapter)) -> Result<(), Error> {
    let gathered = match adapter.inbox() {
        Some(inbox) => folder::gather(office, backend, &inbox).await,
        None => Ok(()),
    };
    let now = office.clock.now();
    let until = now + LEASE;
    for delivery in office.store.lease_deliveries(backend, now, BATCH, until).await? {
        if let Err(error) = carried(office, adapter, &delivery).await {
            tracing::warn!(delivery.id = %delivery.id, %error, "not delivered yet");
            if delivery.tries >= PATIENCE {
                let text = format!(
                    "message {:?} cannot be delivered to {backend:?}: {error}",
                    delivery.message.message_id
                );
                // If that fails too, the log has it, and the next try says it again.
                let _ = office.store.raise_once("not-delivered", &delivery.id.to_string(), &text).await;
            }
            let postponed = office.store.postpone_delivery(delivery.id, office.clock.now() + AGAIN).await;
            if let Err(error) = postponed {
                office.store.give_back_deliveries(backend, until);
                return Err(error.into());
            }
        }
    }
    gathered
}

/// A panic on the way is the delivery's own affair: it is tried again like any that failed, and the others go on.
async fn carried(office: &Office, adapter: &Adapter, delivery: &DeliveryView) -> Result<(), Error> {
    let carried = AssertUnwindSafe(carry(office, adapter, delivery)).catch_unwind().await;
    carried.unwrap_or_else(|panic| Err(Error::Panicked(thread::words(&*panic).to_owned())))
}

async fn carry(office: &Office, adapter: &Adapter, delivery: &DeliveryView) -> Result<(), Error> {
    let carried = match adapter {
        Adapter::Rest | Adapter::Div(None) => Ok(()),
        Adapter::Folder(path) => folder::put(office, path, delivery).await,
        Adapter::Div(Some(path)) => div::put(office, path, delivery).await,
    };
    match carried {
        Ok(()) => match at_disposal(office, delivery).await? {
            Settled::Now => Ok(()),
            Settled::Before => taken_back(office, adapter, delivery).await,
        },
        Err(Error::Form(reason)) => {
            let outcome = DeliveryOutcome::Undeliverable { reason, carrier: true };
            settle(office, delivery.id, outcome).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

/// What was said to be undeliverable while it was put there, as where its carrier stood still for longer than its lease, is shown to nobody.
async fn taken_back(office: &Office, adapter: &Adapter, delivery: &DeliveryView) -> Result<(), Error> {
    let now = office.store.delivery(delivery.id).await?;
    if let (DeliveryState::Undeliverable, Some(inbox)) = (now.state, adapter.inbox()) {
        thread::apart(|| folder::take_back(&inbox, delivery.id));
    }
    Ok(())
}

/// The message is at the backend's disposal: the sender hears of it.
pub async fn at_disposal(office: &Office, delivery: &DeliveryView) -> Result<Settled, Error> {
    let evidence = proof(office, delivery, Happening::AtDisposal)?;
    tracing::info!(
        message.id = delivery.message.message_id,
        backend = delivery.backend,
        "at the backend's disposal"
    );
    crash::at(Point::DisposalBegun);
    let settled = office.store.delivery_at_disposal(delivery.id, evidence).await?;
    crash::at(Point::DisposalCommitted);
    Ok(settled)
}

/// The final word of a backend, a deadline, or an adapter. The same word again changes nothing.
///
/// # Errors
/// [`store::Error::Conflict`] when another word was final already.
pub async fn settle(office: &Office, id: DeliveryId, outcome: DeliveryOutcome) -> Result<Settled, Error> {
    let delivery = office.store.delivery(id).await?;
    let happening = match &outcome {
        DeliveryOutcome::Accepted => Happening::Taken,
        DeliveryOutcome::Refused { reason, .. } => Happening::Refused(reason.clone()),
        DeliveryOutcome::Missed => Happening::Expired,
        DeliveryOutcome::Undeliverable { reason, .. } => Happening::Undeliverable(reason.clone()),
    };
    let evidence = proof(office, &delivery, happening)?;
    crash::at(Point::DeliveryBegun);
    let settled = office.store.settle_delivery(id, outcome, evidence).await?;
    crash::at(Point::DeliveryCommitted);
    tracing::info!(message.id = delivery.message.message_id, delivery.id = %id, "delivery settled");
    Ok(settled)
}

fn proof(
    office: &Office,
    delivery: &DeliveryView,
    happening: Happening,
) -> Result<Option<NewEvidenceMessage>, evidence::Error> {
    proof::of(office, &delivery.message, happening, office.clock.now())
}
