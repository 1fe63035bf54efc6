//! What the operator of a domain or agreement decided: which signal means which national status (model 4).

use serde::{Deserialize, Serialize};

use super::words;

/// Which evidence a network can give (envelopes-evidence 4.3). Fixed per recipient at acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EvidenceProfile {
    /// The AS4 receipt is all that will ever come (Peppol without MLS).
    #[default]
    ReceiptOnly,
    /// ETSI TS 102 640 REM evidence travels back as messages.
    Rem,
}
words!(EvidenceProfile, "evidence profile", { ReceiptOnly => "receipt-only", Rem => "rem" });

impl EvidenceProfile {
    /// True when the receiving side sends evidence after the receipt.
    pub const fn expects_evidence(self) -> bool {
        matches!(self, Self::Rem)
    }
}

/// The least signal that shows `Izsūtīts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SentOn {
    /// The message is at the recipient's disposal.
    Consignment,
    /// The remote service accepted it for relay.
    Relay,
    /// The AS4 receipt was verified.
    Receipt,
}
words!(SentOn, "sent_on", { Consignment => "consignment", Relay => "relay", Receipt => "receipt" });

/// The least signal that shows `Piegādāts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveredOn {
    /// The recipient took the message.
    Retrieval,
    /// It is at the recipient's disposal.
    Consignment,
    /// The AS4 receipt: only where the operator chose so (design 2, promise 7).
    Receipt,
}
words!(DeliveredOn, "delivered_on", { Retrieval => "retrieval", Consignment => "consignment", Receipt => "receipt" });

/// What may show `Saņēmēja nokavēta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MissedOn {
    /// Only signed evidence of the other side, or the word of the national system.
    Evidence,
    /// Our own deadline too, provisionally.
    Deadline,
}
words!(MissedOn, "missed_on", { Evidence => "evidence", Deadline => "deadline" });

/// What an uncertain sending becomes at the send deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UncertainAfterDeadline {
    /// `Apstrādē`, with a notice to the operator.
    Keep,
    /// `Neizdevās izsūtīt`, provisionally.
    Failed,
}
words!(UncertainAfterDeadline, "uncertain_after_deadline", { Keep => "keep", Failed => "failed" });

/// The policy in force at acceptance; stored in the first evidence row of each recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The least signal that shows `Izsūtīts`.
    pub sent_on: SentOn,
    /// The least signal that shows `Piegādāts`.
    #[serde(default = "retrieval")]
    pub delivered_on: DeliveredOn,
    /// What may show `Saņēmēja nokavēta`.
    #[serde(default = "evidence")]
    pub missed_on: MissedOn,
    /// What an uncertain sending becomes at the send deadline.
    #[serde(default = "keep")]
    pub uncertain_after_deadline: UncertainAfterDeadline,
}

impl Policy {
    /// The default of an evidence profile: `rem` waits for consignment, `receipt-only` takes the receipt (model 4).
    pub const fn for_profile(profile: EvidenceProfile) -> Self {
        let sent_on = match profile {
            EvidenceProfile::Rem => SentOn::Consignment,
            EvidenceProfile::ReceiptOnly => SentOn::Receipt,
        };
        Self { sent_on, delivered_on: retrieval(), missed_on: evidence(), uncertain_after_deadline: keep() }
    }
}

const fn retrieval() -> DeliveredOn {
    DeliveredOn::Retrieval
}

const fn evidence() -> MissedOn {
    MissedOn::Evidence
}

const fn keep() -> UncertainAfterDeadline {
    UncertainAfterDeadline::Keep
}
