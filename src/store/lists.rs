//! Pages of messages and deliveries as an operator leafs through them: newest first.

use super::outbound::with_plan;
use super::sql;
use super::{DeliveryId, DeliveryState, DeliveryView, Error, MessageRow, MessageView, Store};

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// It was received.
    In,
    /// It is sent.
    Out,
}
crate::status::words!(Direction, "direction", { In => "in", Out => "out" });

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MessageState {
    /// It came, and was receipted.
    Received,
    /// It waits to be sent, or is being sent.
    Queued,
    /// It was receipted; evidence will follow.
    AwaitingEvidence,
    /// Nothing more will come.
    Done,
    /// Given up; the other side does not have it.
    Failed,
    /// Given up; the other side may have it.
    Uncertain,
    /// Another message took its place, for another access point.
    Superseded,
}
crate::status::words!(MessageState, "message state", {
    Received => "received",
    Queued => "queued",
    AwaitingEvidence => "awaiting-evidence",
    Done => "done",
    Failed => "failed",
    Uncertain => "uncertain",
    Superseded => "superseded",
});

impl MessageState {
    /// The direction of messages that may be in it.
    pub const fn direction(self) -> Direction {
        match self {
            Self::Received => Direction::In,
            _ => Direction::Out,
        }
    }
}

const MESSAGES: &str = concat!(
    with_plan!(),
    " WHERE (?1 IS NULL OR direction = ?1) AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4"
);
/// The same of states that are rare, by an index of them alone: not one message after the other until there are enough. Ids are hexadecimal,
/// so that all come before `~`.
const GIVEN_UP: &str = concat!(
    with_plan!(),
    " WHERE state IN ('failed', 'uncertain', 'superseded') AND state = ?2 AND (?1 IS NULL OR direction = ?1)
         AND id < coalesce(?3, '~') ORDER BY id DESC LIMIT ?4"
);

/// The statement for messages of a state.
pub(super) const fn listed(state: Option<MessageState>) -> &'static str {
    match state {
        Some(MessageState::Failed | MessageState::Uncertain | MessageState::Superseded) => GIVEN_UP,
        _ => MESSAGES,
    }
}

impl Store {
    /// A page of messages, newest first, older than `before`; of one direction and state, if given.
    ///
    /// # Errors
    /// The database's.
    pub async fn messages(
        &self,
        (direction, state): (Option<Direction>, Option<MessageState>),
        before: Option<MessageRow>,
        limit: u32,
    ) -> Result<Vec<MessageView>, Error> {
        let rows = sql::query(listed(state))
            .bind(direction.map(Direction::as_str))
            .bind(state.map(MessageState::as_str))
            .bind(before.map(MessageRow::column))
            .bind(limit)
            .fetch_all(&mut self.read())
            .await?;
        self.message_views(&rows).await
    }

    /// A page of deliveries, newest first, older than `before`; of one backend and state, if given.
    ///
    /// # Errors
    /// The database's.
    pub async fn newest_deliveries(
        &self,
        (backend, state): (Option<&str>, Option<DeliveryState>),
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<DeliveryView>, Error> {
        let rows = sql::query(
            "SELECT * FROM delivery WHERE (?1 IS NULL OR backend = ?1) AND (?2 IS NULL OR state = ?2)
                 AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4",
        )
        .bind(backend)
        .bind(state.map(DeliveryState::as_str))
        .bind(before.map(DeliveryId::column))
        .bind(limit)
        .fetch_all(&mut self.read())
        .await?;
        self.delivery_views(&rows).await
    }
}
