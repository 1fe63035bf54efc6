//! Messages, leases, duplicates, evidence, payloads: the one hinge between the network and the business halves.
//!
//! Every operation is one transaction. What a caller has been told is on the disk; what it has not been told may be gone
//! after a crash, whole. The store decides nothing about meaning: states of recipients come from [`crate::status`].
//!
//! On SQLite one thread writes ([`writer`](self)) and a pool reads, unless whoever calls does both ([`Hands`]); on PostgreSQL several
//! nodes may share everything. Files: `<path>/tilts.db`, `<path>/payloads`, `<path>/spool`, `<path>/lock`, `<path>/node`. Payloads may
//! lie elsewhere ([`shelf`](self)).

mod acts;
mod alias;
mod alive;
mod answering;
mod counts;
mod delivery;
mod direct;
mod events;
mod evidence;
mod hands;
mod ids;
mod inbound;
mod integrity;
mod lease;
mod lists;
mod migrate;
mod open;
mod outbound;
mod outgoing;
mod parts;
mod payload;
mod payload_files;
mod payload_reader;
mod reading;
mod retention;
mod room;
mod sealed;
mod settle;
mod shelf;
mod spool;
mod sql;
mod submission;
mod unheard;
mod unreadable;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use acts::ActView;
pub use counts::StateCounts;
pub use delivery::{DeliveryOutcome, DeliveryState, DeliveryView, LeasedDelivery, PageEnd, Settled};
pub use events::{Event, NoticeRow, Rejected, RejectedRow};
pub use evidence::{NewEvidence, StoredEvidence, StrayEvidence};
pub use hands::{Commits, Hands};
pub use ids::{AttemptId, DeliveryId, MessageRow, PayloadId, RecipientId, SubmissionId};
pub use inbound::{Accepted, Effect, InboundKey, InboundView, NewInbound, NewInboundPart, Stored};
pub use integrity::{CheckpointProof, Difference, Recomputed, SealedLeaf};
pub use lease::Lease;
pub use lists::{Direction, MessageState};
pub use open::{Config, SETTLED, Store};
pub use outbound::{NewAttempt, OutMessage, OutPart, Planned};
pub use outgoing::NewEvidenceMessage;
pub use parts::Part;
pub use payload::PartView;
pub use payload_reader::{Octets, PayloadReader};
pub use reading::{AttemptView, MessageView, OriginalMessage, RecipientView, SubmissionView};
pub use retention::Retention;
pub use sealed::{PayloadKey, PayloadKeys};
pub use settle::{Next, Outcome, Settlement};
pub use shelf::S3Config;
pub use spool::{Form, INLINE, Keep, Measure, Spool, SpoolWriter, StagedPayload};
pub use sql::PostgresConfig;
pub use submission::{NewMessage, NewPart, NewRecipient, NewSubmission, Submitted};

/// A recipient's `domain` is the name of a domain, or this and the PartyId of a static partner.
pub const PARTNER: &str = "partner:";

/// What a message is for (model 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A message between people or their systems.
    Business,
    /// Delivery evidence about a business message; never delivered to a backend.
    Evidence,
    /// The test service: receipted, never delivered.
    Test,
}
crate::status::words!(Class, "message class", { Business => "business", Evidence => "evidence", Test => "test" });

/// What a database says when it does not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL.
    #[error(transparent)]
    Postgres(#[from] sqlx::Error),
}

impl DatabaseError {
    /// The system failed to write, or to force what was written onto the disk.
    fn is_io(&self) -> bool {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::SystemIoFailure),
            Self::Postgres(_) => false,
        }
    }

    /// What lies on the disk is not what was written there.
    fn is_corrupt(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match self {
            Self::Sqlite(error) => matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)),
            // data_corrupted, index_corrupted
            Self::Postgres(error) => error
                .as_database_error()
                .and_then(|e| e.code())
                .is_some_and(|code| code.starts_with("XX00") && code != "XX000"),
        }
    }

    /// A server, or the way to it, has ended the connection.
    fn is_hung_up(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(sqlx::Error::Io(_)) => true,
            // admin_shutdown, crash_shutdown, cannot_connect_now
            Self::Postgres(error) => {
                error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code.starts_with("57P0"))
            }
        }
    }

    fn is_full(&self) -> bool {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            // disk_full
            Self::Postgres(error) => {
                error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "53100")
            }
        }
    }
}

/// Why the store could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The caller named something that does not exist.
    #[error("no {what} `{id}`")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// The id given.
        id: String,
    },
    /// The caller asked for something that contradicts what is stored.
    #[error("{what} `{id}`: {problem}")]
    Conflict {
        /// What kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
        /// Why not.
        problem: String,
    },
    /// Configuration: another process holds the store.
    #[error(
        "the store {path} is in use by another process: stop that one, or give this node its own [store] path"
    )]
    Locked {
        /// The store's folder.
        path: PathBuf,
    },
    /// Configuration: the store was written by a newer version.
    #[error("the store {path} has schema {found}, this version knows {known}: start the newer version")]
    Newer {
        /// The store's folder.
        path: PathBuf,
        /// Schema number found.
        found: i64,
        /// The last one known.
        known: i64,
    },
    /// Environment: a stored value cannot be read back.
    #[error("damaged store: {what} reads `{value}`; restore a backup and run `tilts status --recompute`")]
    Damaged {
        /// Which value.
        what: &'static str,
        /// What it reads.
        value: String,
    },
    /// Environment: the database's own words.
    #[error("database: {0}")]
    Database(Arc<DatabaseError>),
    /// Environment: the database went away while it committed, or the disk failed under it. Nobody knows whether it did;
    /// whoever asked must ask again, and what the rows may name must stay.
    #[error("database, during a commit whose outcome is not known: {0}")]
    Undecided(Arc<DatabaseError>),
    /// Environment: a file or folder.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        source: Arc<io::Error>,
    },
    /// Environment: the object store does not do as it was asked; at a start, the configuration may be wrong.
    #[error("the bucket {url} does not let us {act}: {said}; {remedy}")]
    Bucket {
        /// Its address.
        url: Arc<str>,
        /// What we wanted: to list, read, write or delete, and what.
        act: Arc<str>,
        /// What was answered, or what became of the connection.
        said: Arc<str>,
        /// What to do about it.
        remedy: &'static str,
    },
    /// Configuration: a folder or a prefix of a bucket holds payloads of another database.
    #[error(
        "{place} holds the payloads of another database (id {owner:?}), which would be lost: name that database, or put it back from a \
         backup, or give this one a place of its own ([store] path, payloads or s3.prefix); if it is no more, move away what lies there, \
         `owner` too"
    )]
    Foreign {
        /// The folder, or bucket and prefix.
        place: String,
        /// The id of that database; `unknown` where nothing says it.
        owner: String,
    },
    /// Configuration: a payload is encrypted under a key that is not there.
    #[error(
        "a payload is encrypted under the key {name}, which is none of [store] payload_keys: name its file there too"
    )]
    NoKey {
        /// Name of the key.
        name: String,
    },
    /// Environment: less is free than is kept free.
    #[error("{path} has {free} octets free and {wanted} are kept: make room, or lower [store] keep_free")]
    NoRoom {
        /// The folder whose disk it is.
        path: PathBuf,
        /// Octets that are free.
        free: u64,
        /// Octets that are kept.
        wanted: u64,
    },
    /// Environment: what is asked of the database is not committed, and not refused either.
    #[error(
        "the database has committed nothing it was asked to for {seconds} s: look for a disk that stands still, or another program that has \
         it locked"
    )]
    Silent {
        /// For how long.
        seconds: u64,
    },
    /// Environment: the PostgreSQL server follows another one.
    #[error("the database is read only: [store.postgres] must name the server that takes writes")]
    ReadOnly,
    /// The store was shut down.
    #[error("the store is shut down")]
    Closed,
}

impl Error {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source: Arc::new(source) }
    }

    fn spool(source: io::Error) -> Self {
        Self::Io { path: PathBuf::from("spool"), source: Arc::new(source) }
    }

    fn conflict(what: &'static str, id: impl ToString, problem: impl Into<String>) -> Self {
        Self::Conflict { what, id: id.to_string(), problem: problem.into() }
    }

    fn missing(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    /// What became of reading a payload: the store's own words where it has some.
    pub fn of_reading(error: &io::Error) -> Self {
        Self::within(error).unwrap_or_else(|| Self::Damaged { what: "payload", value: error.to_string() })
    }

    /// Our own error that went through [`io::Read`] or [`io::Write`].
    fn within(error: &io::Error) -> Option<Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()).cloned()
    }

    /// What the writer of a payload said through [`io::Write`]: ours, whatever it is.
    pub fn of_writing(error: &io::Error) -> Self {
        Self::within(error).unwrap_or_else(|| Self::spool(io::Error::new(error.kind(), error.to_string())))
    }

    /// True when the payload is where it was, and cannot be had at this moment.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Bucket { .. })
    }

    /// True when the database has ended the connection: nothing is wrong with what was asked.
    fn is_hung_up(&self) -> bool {
        matches!(self, Self::Database(error) | Self::Undecided(error) if error.is_hung_up())
    }

    /// True when the disk has no room left.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            Self::Database(error) => error.is_full(),
            Self::NoRoom { .. } => true,
            _ => false,
        }
    }
}

/// A row that cannot be read must hold up nobody else: it is logged, and nothing.
fn readable<T>(what: &str, id: impl std::fmt::Display, read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Err(error @ Error::Damaged { .. }) => {
            tracing::error!(row = %id, %error, "{what} cannot be read; the others go on");
            Ok(None)
        }
        read => read.map(Some),
    }
}

impl From<crate::status::Error> for Error {
    fn from(crate::status::Error::UnknownWord { what, word }: crate::status::Error) -> Self {
        Self::Damaged { what, value: word }
    }
}

#[cfg(test)]
pub(crate) mod tests;
