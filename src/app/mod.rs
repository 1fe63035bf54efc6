//! The composition root: builds every room's values from the settings, starts listeners and workers, and ends them in
//! order. Nothing is decided here.

mod build;
mod dossier;
mod intake;
mod listen;
mod revocation;
mod tasks;
pub mod tools;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use self::tasks::Tasks;
use crate::backend::{self, Adapter, Office};
use crate::clock::Clock;
use crate::config::{Problems, Settings};
use crate::store::{Part, Store};
use crate::transport::{Network, Tcp};
use crate::{config, msh};

/// Exchanges and requests have the whole of `shutdown_seconds` to end; whatever else runs, so much more.
const BESIDES: Duration = Duration::from_secs(5);
/// And the store, to be closed, so much.
const CLOSING: Duration = Duration::from_secs(10);

/// What a node has around it.
#[derive(Clone)]
pub struct Surroundings {
    /// The time.
    pub clock: Clock,
    /// Where it listens, and what leads to partners. Lookups and revocation ask over the system's TCP.
    pub network: Arc<dyn Network>,
}

impl From<Clock> for Surroundings {
    /// That clock, and the system's network.
    fn from(clock: Clock) -> Self {
        Self { clock, network: Arc::new(Tcp) }
    }
}

/// Reads a configuration and builds everything that can be built without opening the store or a listener.
///
/// # Errors
/// All problems of the file.
pub fn check(path: &Path, clock: &Clock) -> Result<Settings, Problems> {
    let settings = config::load(path, clock.now())?;
    build::check(&settings, clock)?;
    Ok(settings)
}

/// Runs a node until `stop` is ready, then ends it in order: listeners, workers, store. A task that ends before that ends the node in
/// the same way: half of a node looks healthy, and nobody is told of what it leaves lying.
///
/// # Errors
/// When the store or a listener cannot be opened; when a task failed, with its name.
pub async fn serve(
    settings: Settings,
    around: impl Into<Surroundings>,
    stop: impl Future<Output = ()> + Send,
) -> Result<()> {
    let built = build::build(settings, around.into()).await?;
    let mut tasks = Tasks::new();
    listen::start(&built, &mut tasks).await?;
    workers(&built, &mut tasks);
    tracing::info!("ready");
    let failed = tokio::select! {
        biased;
        () = stop => None,
        failed = tasks.failed() => Some(failed),
    };
    match &failed {
        None => tracing::info!("stopping: nothing new is taken, what runs may end"),
        Some(error) => tracing::error!(%error, "stopping: a part of the node has failed"),
    }
    tasks.end(built.node.limits.shutdown + BESIDES).await;
    let closed = closed(&built.office.store).await;
    let Some(failed) = failed else { return closed };
    if let Err(error) = closed {
        tracing::error!(error = format!("{error:#}"), "did not end in order");
    }
    Err(failed.context("a part of the node has failed"))
}

/// A database that is away is not waited for: what is committed is safe, and whoever stops a node has so much patience only.
async fn closed(store: &Store) -> Result<()> {
    let closing = tokio::time::timeout(CLOSING, store.close()).await;
    let Ok(closed) = closing else {
        bail!("the store could not be closed: the database did not answer for {CLOSING:?}");
    };
    closed.context("the store could not be closed")
}

fn workers(built: &build::Built, tasks: &mut Tasks) {
    let (node, office) = (&built.node, &built.office);
    for part in office.store.parts() {
        tasks.spawn(part.name, watched(tasks.stopped(), part.clone()));
    }
    tasks.spawn("sending", msh::sending::run(node.clone(), tasks.stopped()));
    tasks.spawn("delivery", backend::delivery::run(office.clone(), tasks.stopped()));
    for (name, revoker) in &node.revokers {
        tasks.spawn(format!("revocation of {name:?}"), revoker.clone().run(tasks.stopped()));
    }
    tasks.spawn("deadlines", backend::deadlines::run(office.clone(), tasks.stopped()));
    tasks.spawn("retention", backend::retention::run(office.clone(), tasks.stopped()));
    for backend in &office.backends {
        if !matches!(backend.adapter, Adapter::Rest | Adapter::Div(None)) {
            let collecting = collect(office.clone(), backend.id.clone(), tasks.stopped());
            tasks.spawn(format!("the folder of backend {:?}", backend.id), collecting);
        }
    }
}

/// Ends with a part of the store, as that did.
async fn watched(stop: impl Future<Output = ()>, part: Part) {
    let said = tokio::select! {
        () = stop => None,
        said = part.ended() => said,
    };
    if let Some(said) = said {
        std::panic::resume_unwind(Box::new(said));
    }
}

/// Looks for what a folder's owner submits.
async fn collect(office: Arc<Office>, id: String, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    if let Some(backend) = office.backend(&id) {
        backend::folder::prepare(&backend.adapter);
    }
    loop {
        if let Some(backend) = office.backend(&id) {
            let looked = match &backend.adapter {
                Adapter::Folder(path) => backend::outbox::collect(&office, backend, path).await,
                Adapter::Div(Some(path)) => backend::div::collect(&office, backend, path).await,
                Adapter::Rest | Adapter::Div(None) => return,
            };
            if let Err(error) = looked {
                backend::outbox::complain(&office, &id, &error).await;
            }
        }
        tokio::select! {
            biased;
            () = &mut stop => return,
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }
}

/// Folds every chain of a node's store anew, read only, whether the node runs or not.
///
/// # Errors
/// When the configuration or the store cannot be read.
pub async fn recompute(config: &Path) -> Result<crate::store::Recomputed> {
    let text =
        std::fs::read_to_string(config).with_context(|| format!("cannot read {}", config.display()))?;
    let file: config::file::File = toml::from_str(&text).with_context(|| config.display().to_string())?;
    let base = config.parent().unwrap_or(Path::new("."));
    let mut problems = config::Problems::default();
    let place = config::store(&mut problems, &file.store, base);
    problems.into_result()?;
    Ok(crate::store::Store::recompute_at(&place).await?)
}

/// The official words of a send status' code.
pub fn latvian_send(code: &str) -> &'static str {
    code.parse().map_or("?", crate::status::NationalSend::latvian)
}

/// The official words of a delivery status' code.
pub fn latvian_delivery(code: &str) -> &'static str {
    code.parse().map_or("?", crate::status::NationalDelivery::latvian)
}
