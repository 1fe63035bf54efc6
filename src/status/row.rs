//! One row of evidence, as far as a status depends on it.

use serde::{Deserialize, Serialize};

use super::{EvidenceProfile, Policy, words};
use crate::clock::Timestamp;

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The other side: a receipt, an error signal, an evidence message.
    Remote,
    /// The national system's own word (DIV), for messages that it hands over.
    National,
    /// This node: acceptance, lookups, attempts, timers.
    Local,
    /// A person who operates this node.
    Operator,
}
words!(Kind, "evidence kind", { Remote => "remote", National => "national", Local => "local", Operator => "operator" });

/// What is said, normalised over all evidence formats (envelopes-evidence 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// S_ACC: we took the message over.
    Accepted,
    /// S_REJ: we could not take it over for this recipient (an address that cannot be mapped).
    Rejected,
    /// NOT_FOUND: participant, document type or endpoint does not exist.
    NotFound,
    /// T_ERR_PERM, or the retries are spent and every attempt was definite.
    SendFailed,
    /// The send deadline passed and at least one attempt may have been read by the other side.
    Uncertain,
    /// T_OK: the receipt was verified.
    Receipted,
    /// R_ACC.
    RelayAccepted,
    /// R_FAIL.
    RelayFailed,
    /// R_REJ.
    RelayRejected,
    /// CONSIGNED: at the recipient's disposal.
    Consigned,
    /// CONS_FAIL.
    ConsignmentFailed,
    /// TAKEN: the recipient retrieved or accepted it.
    Taken,
    /// REFUSED: the recipient refused it.
    Refused,
    /// EXPIRED: the recipient did not act in time.
    Expired,
    /// An operator ordered a new try: earlier verdicts of ours are void.
    Retried,
    /// Kept for the record; moves nothing.
    Note,
}
words!(Signal, "signal", {
    Accepted => "accepted",
    Rejected => "rejected",
    NotFound => "not-found",
    SendFailed => "send-failed",
    Uncertain => "uncertain",
    Receipted => "receipted",
    RelayAccepted => "relay-accepted",
    RelayFailed => "relay-failed",
    RelayRejected => "relay-rejected",
    Consigned => "consigned",
    ConsignmentFailed => "consignment-failed",
    Taken => "taken",
    Refused => "refused",
    Expired => "expired",
    Retried => "retried",
    Note => "note",
});

/// What the first row of a recipient carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// The policy in force.
    pub policy: Policy,
    /// The evidence profile in force.
    pub profile: EvidenceProfile,
}

/// One evidence row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Place in the recipient's chain, from 1.
    pub sequence: u32,
    /// Who says so.
    pub kind: Kind,
    /// What is said.
    pub signal: Signal,
    /// When it happened, by the one who says so.
    pub event_time: Timestamp,
    /// When this node learnt of it.
    pub received: Timestamp,
    /// The evidence's own identifier; a second row with the same identifier, kind and signal is a repetition.
    pub identifier: String,
    /// True when a signature by one who may testify was verified (model 4, "Who may testify").
    pub signed: bool,
    /// Policy and profile; present in the first row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acceptance: Option<Acceptance>,
    /// Reason or explanation, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Row {
    /// The first row of a recipient: accepted at `at` under `acceptance`.
    pub fn acceptance(at: Timestamp, acceptance: Acceptance) -> Self {
        let mut row = Self::local(Signal::Accepted, at, "acceptance");
        row.acceptance = Some(acceptance);
        row
    }

    /// A row of this node's own, witnessed at `at`. The store gives it its sequence.
    pub fn local(signal: Signal, at: Timestamp, identifier: impl Into<String>) -> Self {
        Self {
            sequence: 0,
            kind: Kind::Local,
            signal,
            event_time: at,
            received: at,
            identifier: identifier.into(),
            signed: false,
            acceptance: None,
            detail: None,
        }
    }

    /// A verified row of the other side: it happened at `event_time`, we learnt of it at `received`.
    pub fn remote(
        signal: Signal,
        event_time: Timestamp,
        received: Timestamp,
        identifier: impl Into<String>,
    ) -> Self {
        let mut row = Self::local(signal, event_time, identifier);
        row.kind = Kind::Remote;
        row.received = received;
        row.signed = true;
        row
    }

    /// An operator's act, with who did it and why in `detail`.
    pub fn operator(
        signal: Signal,
        at: Timestamp,
        identifier: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        let mut row = Self::local(signal, at, identifier);
        row.kind = Kind::Operator;
        row.detail = Some(detail.into());
        row
    }

    /// The same row with an explanation.
    #[must_use]
    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// True when neither a timer nor a person of ours can overrule the row. Whether an unsigned receipt or error settles
    /// an attempt was judged before it became a row (model 2); any other word of the other side counts only when signed.
    pub(super) fn is_firm(&self) -> bool {
        match self.kind {
            Kind::National => true,
            Kind::Remote => self.signed || matches!(self.signal, Signal::Receipted | Signal::SendFailed),
            Kind::Local | Kind::Operator => false,
        }
    }
}
