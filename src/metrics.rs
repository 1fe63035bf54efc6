//! Names of the metrics that tilts exports, in one place.

/// Messages refused, by code.
pub const REJECTED: &str = "tilts_messages_rejected_total";
/// Messages accepted, by class.
pub const ACCEPTED: &str = "tilts_messages_accepted_total";
/// Duplicates answered with their receipt.
pub const DUPLICATES: &str = "tilts_messages_duplicate_total";
/// Attempts to send, by outcome.
pub const ATTEMPTS: &str = "tilts_send_attempts_total";
/// Recipients by state.
pub const RECIPIENTS: &str = "tilts_recipients";
/// Messages by direction, class and state.
pub const MESSAGES: &str = "tilts_messages";
/// Deliveries by backend and state.
pub const DELIVERIES: &str = "tilts_deliveries";
/// Seconds since the outbound message that is due longest was due.
pub const OLDEST_DUE: &str = "tilts_oldest_due_seconds";
/// Octets that are free on the disks of the store, by folder.
pub const FREE: &str = "tilts_store_free_bytes";
/// Fetches of revocation data, by outcome.
pub const REVOCATION_FETCHES: &str = "tilts_revocation_fetches_total";
/// Sources of revocation data of which nothing in force is at hand.
pub const REVOCATION_OVERDUE: &str = "tilts_revocation_overdue";
/// Submissions taken over, by channel.
pub const SUBMITTED: &str = "tilts_submissions_total";
