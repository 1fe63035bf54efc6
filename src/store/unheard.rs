//! Leases that nobody heard of: the connection went away while the database leased, or before what was leased could be read, or before
//! what became of it could be told. They may stand, held by a node that lives and does nothing with them, and would hold their rows back
//! until they run out, which may be hours.
//!
//! A node remembers when they would run out; its next look ends them in the transaction that leases anew.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Error;
use crate::clock::Timestamp;

/// What such leases are for, the backend where they are of deliveries, and when they run out: together with the node that is one lease
/// call, for who leases for the same calls one after the other, and time goes on between.
#[derive(Debug, Default)]
pub(super) struct Unheard(Mutex<Vec<(Option<String>, Timestamp)>>);

impl Unheard {
    fn lock(&self) -> MutexGuard<'_, Vec<(Option<String>, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, of: Option<&str>) -> Vec<Timestamp> {
        self.lock().extract_if(.., |(whose, _)| whose.as_deref() == of).map(|(_, until)| until).collect()
    }

    /// Leases of a call until `until` stand and nobody works on them.
    pub fn remember(&self, of: Option<&str>, until: Timestamp) {
        self.lock().push((of.map(str::to_owned), until));
    }

    /// Leases until `until`. What `leasing` is handed it must end first; if it fails, that and its own leases are remembered.
    ///
    /// # Errors
    /// Those of `leasing`.
    pub async fn remembered<T, F>(
        &self,
        of: Option<&str>,
        until: Timestamp,
        leasing: impl FnOnce(Vec<Timestamp>) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut unheard = self.take(of);
        let leased = leasing(unheard.clone()).await;
        if leased.is_err() {
            unheard.push(until);
            unheard.into_iter().for_each(|until| self.remember(of, until));
        }
        leased
    }
}
