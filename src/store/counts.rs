//! How much there is of what, and since when something waits: for the metrics.

use std::collections::BTreeMap;

use super::ids::{micros, optional_time};
use super::lease::FIRST_DUE;
use super::{Error, Store, sql};
use crate::clock::SignedDuration;

/// Numbers for the metrics page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateCounts {
    /// Messages by direction, class and state.
    pub messages: BTreeMap<[String; 3], u64>,
    /// Deliveries by backend and state.
    pub deliveries: BTreeMap<[String; 2], u64>,
}

// Grouped by columns in the order of an index, so that nothing is gathered beside it.
pub(super) const RECIPIENT_COUNTS: &str = "SELECT state, count(*) FROM recipient GROUP BY state";
pub(super) const MESSAGE_COUNTS: &str = "SELECT direction, class, state, count(*) FROM message WHERE class <> '' GROUP BY direction, class, state";
pub(super) const DELIVERY_COUNTS: &str =
    "SELECT backend, state, count(*) FROM delivery GROUP BY backend, state";

impl Store {
    /// How many messages and deliveries there are in each state. Every entry of an index is read.
    ///
    /// # Errors
    /// The database's.
    pub async fn counts(&self) -> Result<StateCounts, Error> {
        let messages = sql::query_as::<(String, String, String, i64)>(MESSAGE_COUNTS)
            .fetch_all(&mut self.read())
            .await?;
        let deliveries =
            sql::query_as::<(String, String, i64)>(DELIVERY_COUNTS).fetch_all(&mut self.read()).await?;
        Ok(StateCounts {
            messages: messages.into_iter().map(|(a, b, c, count)| ([a, b, c], count as u64)).collect(),
            deliveries: deliveries.into_iter().map(|(a, b, count)| ([a, b], count as u64)).collect(),
        })
    }

    /// How many recipients there are in each state.
    ///
    /// # Errors
    /// The database's.
    pub async fn recipient_counts(&self) -> Result<BTreeMap<String, u64>, Error> {
        let rows = sql::query_as::<(String, i64)>(RECIPIENT_COUNTS).fetch_all(&mut self.read()).await?;
        Ok(rows.into_iter().map(|(state, count)| (state, count as u64)).collect())
    }

    /// For how long the message that is due longest has been due, under way or not; nothing when none is.
    ///
    /// # Errors
    /// The database's.
    pub async fn overdue_for(&self) -> Result<SignedDuration, Error> {
        let now = self.clock().now();
        let rows = sql::query_as::<(String, i64)>(FIRST_DUE).bind(1_i64).fetch_all(&mut self.look()).await?;
        let due = optional_time(rows.first().map(|(_, due)| *due))?;
        let due = due.filter(|due| micros(*due) <= micros(now));
        Ok(due.map_or(SignedDuration::ZERO, |due| now.duration_since(due)))
    }
}
