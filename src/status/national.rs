//! The national statuses with their official words. These words are fixed (design 6).

use super::words;

/// National send status of one recipient (envelopes-evidence 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NationalSend {
    /// Handed to the system, not yet available to the recipient.
    Processing,
    /// Available to the recipient, since the time shown with it.
    Sent,
    /// Not handed over.
    Failed,
}
words!(NationalSend, "national send status", { Processing => "processing", Sent => "sent", Failed => "failed" });

impl NationalSend {
    /// The official Latvian words.
    pub const fn latvian(self) -> &'static str {
        match self {
            Self::Processing => "Apstrādē",
            Self::Sent => "Izsūtīts",
            Self::Failed => "Neizdevās izsūtīt",
        }
    }

    /// The same in English.
    pub const fn english(self) -> &'static str {
        match self {
            Self::Processing => "In process",
            Self::Sent => "Sent",
            Self::Failed => "Sending failed",
        }
    }
}

/// National delivery status of one recipient (envelopes-evidence 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NationalDelivery {
    /// Not retrieved or not confirmed; or no evidence will ever say.
    None,
    /// Received and confirmed by the recipient, at the time shown with it.
    Delivered,
    /// The recipient missed the deadline.
    Missed,
    /// The recipient refused.
    Refused,
}
words!(NationalDelivery, "national delivery status", {
    None => "none",
    Delivered => "delivered",
    Missed => "missed",
    Refused => "refused",
});

impl NationalDelivery {
    /// The official Latvian words.
    pub const fn latvian(self) -> &'static str {
        match self {
            Self::None => "-",
            Self::Delivered => "Piegādāts",
            Self::Missed => "Saņēmēja nokavēta",
            Self::Refused => "Saņēmēja noraidīta",
        }
    }

    /// The same in English.
    pub const fn english(self) -> &'static str {
        match self {
            Self::None => "-",
            Self::Delivered => "Delivered",
            Self::Missed => "Missed by the recipient",
            Self::Refused => "Refused by the recipient",
        }
    }
}
