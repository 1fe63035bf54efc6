//! The ids of rows, and how times and values stand in columns.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Error;

macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl $name {
            /// A new id; later ones sort after earlier ones.
            #[allow(clippy::new_without_default, reason = "two calls never give the same value")]
            pub fn new() -> Self {
                Self(crate::id::row_id())
            }

            pub(super) fn column(self) -> String {
                self.0.to_string()
            }

            pub(super) fn read(text: &str) -> Result<Self, Error> {
                text.parse().map_err(|_| Error::Damaged { what: stringify!($name), value: text.to_owned() })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

row_id!(
    /// One submission of a backend: a message to one or more recipients.
    SubmissionId
);
row_id!(
    /// One recipient of one submission: the owner of an evidence chain and of a status.
    RecipientId
);
row_id!(
    /// One message row. Not the ebMS MessageId, which is text.
    MessageRow
);
row_id!(
    /// One inbound message for one backend.
    DeliveryId
);
row_id!(
    /// One payload, in one or more forms.
    PayloadId
);

/// One attempt to send one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptId(pub i64);

/// A time as its column: microseconds since 1970. Finer digits are cut off before anything is judged or hashed.
pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

pub(super) fn time(column: i64) -> Result<Timestamp, Error> {
    Timestamp::from_microsecond(column)
        .map_err(|_| Error::Damaged { what: "time", value: column.to_string() })
}

pub(super) fn optional_time(column: Option<i64>) -> Result<Option<Timestamp>, Error> {
    column.map(time).transpose()
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value)
        .map_err(|e| Error::Damaged { what: "JSON to be stored", value: e.to_string() })
}

pub(super) fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|e| Error::Damaged { what, value: e.to_string() })
}

pub(super) fn digest(what: &'static str, octets: &[u8]) -> Result<[u8; 32], Error> {
    octets.try_into().map_err(|_| Error::Damaged { what, value: hex::encode(octets) })
}

/// Digests in JSON: lower-case hex.
pub(super) mod hex32 {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::store) fn serialize<S: Serializer>(value: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(value))
    }

    pub(in crate::store) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        let octets = hex::decode(text.as_ref()).map_err(serde::de::Error::custom)?;
        octets.try_into().map_err(|_| serde::de::Error::custom("not 32 octets"))
    }
}
