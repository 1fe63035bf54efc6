//! The words of the console in both languages. National statuses stand beside them, always with their official Latvian
//! words (design.md 6).

/// Language of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Latvian.
    Latvian,
    /// English.
    English,
}

/// Every text that a page needs.
pub struct Words {
    /// `lang` attribute.
    pub code: &'static str,
    /// The other language's code.
    pub other_code: &'static str,
    /// The other language's name.
    pub other: &'static str,
    /// Heading of the list.
    pub messages: &'static str,
    /// Column.
    pub submitted: &'static str,
    /// Column.
    pub title: &'static str,
    /// Column.
    pub recipient: &'static str,
    /// Column.
    pub sending: &'static str,
    /// Column.
    pub delivery: &'static str,
    /// Column.
    pub state: &'static str,
    /// Heading of received messages.
    pub received: &'static str,
    /// Column.
    pub sender: &'static str,
    /// Heading of notices.
    pub notices: &'static str,
    /// Empty list.
    pub none: &'static str,
    /// Provisional verdict.
    pub provisional: &'static str,
    /// Column.
    pub time: &'static str,
    /// Column.
    pub event: &'static str,
    /// Column.
    pub detail: &'static str,
    /// A lookup step.
    pub lookup: &'static str,
    /// An attempt.
    pub attempt: &'static str,
    /// Evidence.
    pub evidence: &'static str,
    /// Back to the list.
    pub back: &'static str,
    /// Deadline of a recipient.
    pub deadline: &'static str,
    /// Filter: all.
    pub all: &'static str,
    /// Older page.
    pub older: &'static str,
    /// What a receipt-only recipient's `-` means.
    pub receipt_only: &'static str,
}

impl Language {
    /// The words of this language.
    pub fn words(self) -> &'static Words {
        match self {
            Self::Latvian => &LATVIAN,
            Self::English => &ENGLISH,
        }
    }
}

static LATVIAN: Words = Words {
    code: "lv",
    other_code: "en",
    other: "English",
    messages: "Nosūtītie ziņojumi",
    submitted: "Iesniegts",
    title: "Temats",
    recipient: "Saņēmējs",
    sending: "Nosūtīšanas statuss",
    delivery: "Piegādes statuss",
    state: "Stāvoklis",
    received: "Saņemtie ziņojumi",
    sender: "Sūtītājs",
    notices: "Paziņojumi operatoram",
    none: "Nav neviena.",
    provisional: "provizoriski",
    time: "Laiks",
    event: "Notikums",
    detail: "Apraksts",
    lookup: "Meklēšana",
    attempt: "Mēģinājums",
    evidence: "Pierādījums",
    back: "Uz sarakstu",
    deadline: "Termiņš",
    all: "visi",
    older: "Vecāki",
    receipt_only: "Šajā tīklā saņēmēja rīcība netiek apstiprināta; piegādes statuss paliek „-”.",
};

static ENGLISH: Words = Words {
    code: "en",
    other_code: "lv",
    other: "Latviešu",
    messages: "Messages sent",
    submitted: "Submitted",
    title: "Title",
    recipient: "Recipient",
    sending: "Send status",
    delivery: "Delivery status",
    state: "State",
    received: "Messages received",
    sender: "Sender",
    notices: "Notices to the operator",
    none: "There are none.",
    provisional: "provisional",
    time: "Time",
    event: "Event",
    detail: "Detail",
    lookup: "Lookup",
    attempt: "Attempt",
    evidence: "Evidence",
    back: "To the list",
    deadline: "Deadline",
    all: "all",
    older: "Older",
    receipt_only: "On this network nobody confirms what the recipient did; the delivery status stays “-”.",
};
