//! Identifiers that tilts gives out: ebMS MessageIds, ConversationIds, Content-IDs, XML ids.

use uuid::Uuid;

/// A new ebMS MessageId, `<uuid>@<domain>`: an RFC 2822 msg-id without angle brackets (as4-wire 1.3). UUIDv7: those of one time lie
/// together in an index of millions, and the header says the time anyway.
pub fn message_id(domain: &str) -> String {
    format!("{}@{domain}", Uuid::now_v7())
}

/// A new row id. UUIDv7, so that rows sort by the time of their making.
pub fn row_id() -> Uuid {
    Uuid::now_v7()
}

/// A new XML id, an NCName: `<prefix>-<uuid>`. The prefix must start with a letter.
pub fn xml_id(prefix: &str) -> String {
    format!("{prefix}-{}", Uuid::new_v4().simple())
}
