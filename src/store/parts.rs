//! What a store does by itself as long as it is open. Each part has a name, and whoever runs the node hears of one that ends before the
//! store is closed: without it the store looks healthy.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::sync::watch;

use crate::thread;

/// A part of a store that runs by itself.
#[derive(Debug, Clone)]
pub struct Part {
    /// What it is called.
    pub name: &'static str,
    said: watch::Receiver<Option<String>>,
}

impl Part {
    /// A part that does `work`, and what is to be run for it.
    pub(super) fn of(
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (says, said) = watch::channel(None);
        let run = async move {
            if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
                says.send_replace(Some(thread::words(&*panic).to_owned()));
            }
        };
        (Self { name, said }, run)
    }

    /// Ready when it has ended, or was dropped; with what it panicked of, if it did.
    pub async fn ended(&self) -> Option<String> {
        let mut said = self.said.clone();
        while said.changed().await.is_ok() {}
        said.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_part_is_heard_whatever_it_was() {
        let (part, run) = Part::of("one", async { panic!("there is no {}", "bottom") });
        tokio::spawn(run);
        assert_eq!(part.ended().await.as_deref(), Some("there is no bottom"));
        let (part, run) = Part::of("two", async {});
        tokio::spawn(run);
        assert_eq!(part.ended().await, None);
        let (part, run) = Part::of("three", std::future::pending());
        tokio::spawn(run).abort();
        assert_eq!(part.ended().await, None);
    }
}
