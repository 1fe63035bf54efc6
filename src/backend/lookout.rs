//! Looks into folders that may not answer: a share whose server is gone holds up whoever asks for as long as it is away.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::folder::{self, Seen};
use crate::store::DeliveryId;
use crate::thread;

/// A folder that needs longer is away.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks each backend's folder for one thing at a time: of one that does not answer one thread waits, and no more.
#[derive(Default)]
pub(super) struct Lookout {
    asking: HashMap<String, Arc<Semaphore>>,
}

impl Lookout {
    /// Looks for a message and for the answer to it; `None` where nobody can say.
    pub async fn see(&mut self, backend: &str, inbox: PathBuf, id: DeliveryId) -> Option<Seen> {
        self.ask(backend, move || folder::see(&inbox, id)).await
    }

    async fn ask<T: Send + 'static>(
        &mut self,
        backend: &str,
        look: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let turn = self.asking.entry(backend.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(1)));
        let turn = turn.clone().try_acquire_owned().ok()?;
        let looking = thread::elsewhere(move || {
            let seen = look();
            drop(turn);
            seen
        });
        timeout(PATIENCE, looking).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn a_folder_that_does_not_answer_is_waited_for_once_and_holds_up_no_other() {
        let mut lookout = Lookout::default();
        let (answer, hung) = channel::<()>();
        assert_eq!(lookout.ask("share", move || hung.recv().is_ok()).await, None);
        let begun = std::time::Instant::now();
        assert_eq!(lookout.ask("share", || true).await, None, "it is still away");
        assert_eq!(lookout.ask("other", || true).await, Some(true));
        assert!(begun.elapsed() < PATIENCE);
        answer.send(()).unwrap();
        while lookout.ask("share", || true).await.is_none() {
            tokio::task::yield_now().await;
        }
    }
}
