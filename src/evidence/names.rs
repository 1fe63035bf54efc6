//! The words of TS 102 640: roots, events, and the two ways in which peers spell event codes.

use crate::status::Signal;

/// Namespace of REM evidence.
pub const NAMESPACE: &str = "http://uri.etsi.org/02640/v2#";

/// The kind of evidence: the root element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Root {
    /// The sender's service took the message over, or not.
    SubmissionAcceptanceRejection,
    /// The recipient's service took it over, or not.
    RelayREMMDAcceptanceRejection,
    /// It could not be relayed.
    RelayREMMDFailure,
    /// It was put at the recipient's disposal, or not.
    DeliveryNonDeliveryToRecipient,
    /// The recipient downloaded it, or not.
    DownloadNonDownloadByRecipient,
    /// The recipient retrieved it, or not.
    RetrievalNonRetrievalByRecipient,
    /// The recipient accepted or refused it.
    AcceptanceRejectionByRecipient,
    /// It left for a system without evidence.
    RelayToNonREMSystem,
    /// It came from a system without evidence.
    ReceivedFromNonREMSystem,
}

impl Root {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::SubmissionAcceptanceRejection,
        Self::RelayREMMDAcceptanceRejection,
        Self::RelayREMMDFailure,
        Self::DeliveryNonDeliveryToRecipient,
        Self::DownloadNonDownloadByRecipient,
        Self::RetrievalNonRetrievalByRecipient,
        Self::AcceptanceRejectionByRecipient,
        Self::RelayToNonREMSystem,
        Self::ReceivedFromNonREMSystem,
    ];

    /// The element's local name, which is also the AS4 Action (model 4).
    pub const fn local(self) -> &'static str {
        match self {
            Self::SubmissionAcceptanceRejection => "SubmissionAcceptanceRejection",
            Self::RelayREMMDAcceptanceRejection => "RelayREMMDAcceptanceRejection",
            Self::RelayREMMDFailure => "RelayREMMDFailure",
            Self::DeliveryNonDeliveryToRecipient => "DeliveryNonDeliveryToRecipient",
            Self::DownloadNonDownloadByRecipient => "DownloadNonDownloadByRecipient",
            Self::RetrievalNonRetrievalByRecipient => "RetrievalNonRetrievalByRecipient",
            Self::AcceptanceRejectionByRecipient => "AcceptanceRejectionByRecipient",
            Self::RelayToNonREMSystem => "RelayToNonREMSystem",
            Self::ReceivedFromNonREMSystem => "ReceivedFromNonREMSystem",
        }
    }

    /// The root that a local name or an AS4 Action names, peers' spelling of Retrieval with `To` included.
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "RetrievalNonRetrievalToRecipient" {
            return Some(Self::RetrievalNonRetrievalByRecipient);
        }
        Self::ALL.into_iter().find(|root| root.local() == name)
    }
}

/// What happened: the part of an event code after `#`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// Taken over, or accepted by the recipient.
    Acceptance,
    /// Not taken over, or refused by the recipient.
    Rejection,
    /// At the recipient's disposal.
    Delivery,
    /// Could not be put there.
    NonDelivery,
    /// Could not be put there in time.
    DeliveryExpiration,
    /// Retrieved by the recipient.
    Retrieval,
    /// Not retrieved in time.
    RetrievalExpiration,
    /// Downloaded by the recipient.
    Download,
    /// Not downloaded in time.
    DownloadExpiration,
    /// Another word, as written.
    Other(String),
}

impl Event {
    /// The word after `#` as we write it.
    pub fn fragment(&self) -> &str {
        match self {
            Self::Acceptance => "Acceptance",
            Self::Rejection => "Rejection",
            Self::Delivery => "Delivery",
            Self::NonDelivery => "NonDelivery",
            Self::DeliveryExpiration => "DeliveryExpiration",
            Self::Retrieval => "Retrieval",
            Self::RetrievalExpiration => "RetrievalExpiration",
            Self::Download => "Download",
            Self::DownloadExpiration => "DownloadExpiration",
            Self::Other(word) => word,
        }
    }

    /// The event that the part after `#` names; peers' second spellings included (envelopes-evidence 3).
    pub fn from_fragment(word: &str) -> Self {
        match word {
            "Acceptance" => Self::Acceptance,
            "Rejection" => Self::Rejection,
            "Delivery" => Self::Delivery,
            "NonDelivery" => Self::NonDelivery,
            "DeliveryExpiration" => Self::DeliveryExpiration,
            "Retrieval" => Self::Retrieval,
            "RetrievalExpiration" | "NonRetrievalExpiration" | "NonRetrieval" => Self::RetrievalExpiration,
            "Download" => Self::Download,
            "DownloadExpiration" | "NonDownloadExpiration" | "NonDownload" => Self::DownloadExpiration,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// How an agreement's profile spells event and reason codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spelling {
    /// `http://uri.etsi.org/...`, as the standard has it.
    #[default]
    Etsi,
    /// `http:uri.etsi.org/...`, as e-CODEX connectors write and compare it.
    ECodex,
}

impl Spelling {
    /// The code of an event.
    pub fn event(self, event: &Event) -> String {
        format!("{}uri.etsi.org/02640/Event#{}", self.scheme(), event.fragment())
    }

    /// The code of a reason.
    pub fn reason(self, word: &str) -> String {
        format!("{}uri.etsi.org/REM/EventReason#{word}", self.scheme())
    }

    const fn scheme(self) -> &'static str {
        match self {
            Self::Etsi => "http://",
            Self::ECodex => "http:",
        }
    }
}

/// The normalised signal of an evidence (envelopes-evidence 4.2); `reasons` are the words after `#`.
pub(super) fn signal(root: Root, event: Option<&Event>, reasons: &[&str]) -> Signal {
    let negative = match (root, event) {
        (Root::RelayREMMDFailure, _) => Signal::RelayFailed,
        (Root::SubmissionAcceptanceRejection, Some(Event::Acceptance)) => return Signal::Accepted,
        (Root::SubmissionAcceptanceRejection, Some(Event::Rejection)) => return Signal::Rejected,
        (Root::RelayREMMDAcceptanceRejection, Some(Event::Acceptance)) => return Signal::RelayAccepted,
        (Root::RelayREMMDAcceptanceRejection, Some(Event::Rejection)) => Signal::RelayRejected,
        (Root::DeliveryNonDeliveryToRecipient, Some(Event::Delivery)) => return Signal::Consigned,
        (Root::DeliveryNonDeliveryToRecipient, Some(Event::NonDelivery | Event::DeliveryExpiration)) => {
            Signal::ConsignmentFailed
        }
        (Root::RetrievalNonRetrievalByRecipient, Some(Event::Retrieval)) => return Signal::Taken,
        (Root::DownloadNonDownloadByRecipient, Some(Event::Download | Event::Retrieval)) => {
            return Signal::Taken;
        }
        (
            Root::RetrievalNonRetrievalByRecipient | Root::DownloadNonDownloadByRecipient,
            Some(Event::RetrievalExpiration | Event::DownloadExpiration),
        ) => Signal::Expired,
        (Root::AcceptanceRejectionByRecipient, Some(Event::Acceptance)) => return Signal::Taken,
        (Root::AcceptanceRejectionByRecipient, Some(Event::Rejection)) => return Signal::Refused,
        _ => return Signal::Note,
    };
    by_reason(negative, reasons)
}

/// A negative event may say by its reason that the recipient refused, or let the time pass.
fn by_reason(negative: Signal, reasons: &[&str]) -> Signal {
    if !matches!(negative, Signal::ConsignmentFailed | Signal::Expired) {
        return negative;
    }
    if reasons.contains(&"RecipientRejection") {
        Signal::Refused
    } else if reasons.contains(&"RetentionPeriodExpired") {
        Signal::Expired
    } else {
        negative
    }
}
