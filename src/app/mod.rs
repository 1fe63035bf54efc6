//! The composition root: builds every room's values from the settings, starts listeners and workers, and ends them in
//! order. Nothing is decided here.

mod build;
mod dossier;
mod intake;
mod listen;
mod revocation;
pub mod tools;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::backend::{self, Adapter, Office};
use crate::clock::Clock;
use crate::config::{Problems, Settings};
use crate::transport::{Network, Tcp};
use crate::{config, msh};

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

/// Runs a node until `stop` is ready, then ends it in order: listeners, workers, store.
///
/// # Errors
/// When the store or a listener cannot be opened.
pub async fn serve(
    settings: Settings,
    around: impl Into<Surroundings>,
    stop: impl Future<Output = ()> + Send,
) -> Result<()> {
    let built = build::build(settings, around.into()).await?;
    let (tell, told) = watch::channel(false);
    let mut tasks = JoinSet::new();
    listen::start(&built, &told, &mut tasks).await?;
    workers(&built, &told, &mut tasks);
    tracing::info!("ready");
    stop.await;
    tracing::info!("stopping: nothing new is taken, what runs may end");
    let _ = tell.send(true);
    while tasks.join_next().await.is_some() {}
    built.office.store.close().await.context("the store could not be closed")
}

/// Ready once the node was told to stop.
pub(crate) fn stopped(told: &watch::Receiver<bool>) -> impl Future<Output = ()> + Send + 'static {
    let mut told = told.clone();
    async move {
        let _ = told.wait_for(|stop| *stop).await;
    }
}

fn workers(built: &build::Built, told: &watch::Receiver<bool>, tasks: &mut JoinSet<()>) {
    tasks.spawn(msh::sending::run(built.node.clone(), stopped(told)));
    tasks.spawn(backend::delivery::run(built.office.clone(), stopped(told)));
    for revoker in built.node.revokers.values() {
        tasks.spawn(revoker.clone().run(stopped(told)));
    }
    tasks.spawn(backend::deadlines::run(built.office.clone(), stopped(told)));
    for backend in &built.office.backends {
        if !matches!(backend.adapter, Adapter::Rest | Adapter::Div(None)) {
            tasks.spawn(collect(built.office.clone(), backend.id.clone(), stopped(told)));
        }
    }
}

/// Looks for what a folder's owner submits.
async fn collect(office: Arc<Office>, id: String, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    loop {
        if let Some(backend) = office.backend(&id) {
            let looked = match &backend.adapter {
                Adapter::Folder(path) => backend::outbox::collect(&office, backend, path).await,
                Adapter::Div(Some(path)) => backend::div::collect(&office, backend, path).await,
                Adapter::Rest | Adapter::Div(None) => return,
            };
            if let Err(error) = looked {
                tracing::error!(backend = id, %error, "the folder cannot be read");
            }
        }
        tokio::select! {
            biased;
            () = &mut stop => return,
            () = tokio::time::sleep(std::time::Duration::from_millis(500)) => {}
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
