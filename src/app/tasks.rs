//! The tasks of a node, by name. None of them ends before it is told to: one that does has failed, however healthy the rest looks.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use anyhow::{Error, anyhow};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::timeout;

use crate::thread;

/// What was dropped is waited for so long.
const MOMENT: Duration = Duration::from_secs(1);

/// What runs.
pub(super) struct Tasks {
    running: JoinSet<()>,
    names: HashMap<Id, String>,
    tell: watch::Sender<bool>,
}

impl Tasks {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { running: JoinSet::new(), names: HashMap::new(), tell: watch::channel(false).0 }
    }

    /// Ready once all are told to stop.
    pub(super) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut told = self.tell.subscribe();
        async move {
            let _ = told.wait_for(|stop| *stop).await;
        }
    }

    /// Starts one. It ends when [`Tasks::stopped`] is ready, and not before.
    pub(super) fn spawn(&mut self, name: impl Into<String>, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.running.spawn(task).id();
        self.names.insert(id, name.into());
    }

    /// Waits for one that ends although it was not told to: which one, and why.
    pub(super) async fn failed(&mut self) -> Error {
        match self.next().await {
            Some((name, Err(error))) => anyhow!("{name}: {}", thread::why(error)),
            Some((name, Ok(()))) => anyhow!("{name}: ended before it was told to"),
            None => std::future::pending().await,
        }
    }

    /// Tells all to stop and waits until they have; those that take longer than `patience` are dropped.
    pub(super) async fn end(mut self, patience: Duration) {
        let _ = self.tell.send(true);
        if timeout(patience, self.all_ended()).await.is_ok() {
            return;
        }
        for name in self.names.values() {
            tracing::warn!(task = name, "does not end; dropped");
        }
        // One that works without waiting for anything notices when it has done so.
        let _ = timeout(MOMENT, self.running.shutdown()).await;
    }

    async fn all_ended(&mut self) {
        while let Some((name, ended)) = self.next().await {
            if let Err(error) = ended {
                tracing::error!(task = name, error = thread::why(error), "did not end in order");
            }
        }
    }

    async fn next(&mut self) -> Option<(String, Result<(), JoinError>)> {
        let ended = self.running.join_next_with_id().await?;
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id);
        Some((self.names.remove(&id).unwrap_or_default(), ended.map(drop)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    async fn failing(task: impl Future<Output = ()> + Send + 'static) -> String {
        let mut tasks = Tasks::new();
        let stopped = tasks.stopped();
        tasks.spawn("the quiet one", stopped);
        tasks.spawn("the other", task);
        let failed = tasks.failed().await;
        tasks.end(LONG).await;
        failed.to_string()
    }

    #[tokio::test]
    async fn one_that_panics_or_returns_is_named_and_the_others_end_in_order() {
        let panicked = failing(async { panic!("there is no {}", "bottom") }).await;
        assert_eq!(panicked, "the other: panicked: there is no bottom");
        assert_eq!(failing(async {}).await, "the other: ended before it was told to");
    }

    #[tokio::test]
    async fn whoever_ends_when_told_has_not_failed() {
        let mut tasks = Tasks::new();
        let stopped = tasks.stopped();
        tasks.spawn("one", stopped);
        tokio::select! {
            biased;
            failed = tasks.failed() => panic!("{failed}"),
            () = tokio::task::yield_now() => {}
        }
        tasks.end(LONG).await;
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_not_waited_for() {
        let mut tasks = Tasks::new();
        let (held, free) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn("the stubborn one", async move {
            let _held = held;
            std::future::pending().await
        });
        tasks.end(Duration::from_millis(10)).await;
        assert!(free.await.is_err(), "it is gone");
    }
}
