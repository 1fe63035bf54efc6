//! The delivery state machine: evidence rows in, one record per recipient out. Pure: no clock, no store, no configuration.
//!
//! A status is a function of the rows and of nothing else (design 2, promise 7). The first row of a recipient is its
//! acceptance, with the [`Policy`] and [`EvidenceProfile`] in force then, so that a later change of configuration
//! never changes an old status. [`fold()`] is the only judge of a transition.

pub mod chain;
mod fold;
mod national;
mod policy;
mod row;

pub use fold::{Alarm, Notice, Record, State, fold};
pub use national::{NationalDelivery, NationalSend};
pub use policy::{DeliveredOn, EvidenceProfile, MissedOn, Policy, SentOn, UncertainAfterDeadline};
pub use row::{Acceptance, Kind, Row, Signal};

/// A word read from a row or a file that the room does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The store or a file holds a word that this version does not know: it was written by a newer one, or damaged.
    #[error("unknown {what} `{word}`: written by a newer version, or the row is damaged")]
    UnknownWord {
        /// What kind of word it should have been, e.g. `signal`.
        what: &'static str,
        /// The word found.
        word: String,
    },
}

/// Gives an enum its stored words: `as_str`, `FromStr`, `Display`, `ALL`.
macro_rules! words {
    ($name:ident, $what:literal, { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $name {
            /// Every value, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word by which the value is stored and shown to programs.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::status::Error;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::status::Error::UnknownWord { what: $what, word: word.to_owned() }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                word.parse().map_err(|_| serde::de::Error::unknown_variant(&word, &[$($word),+]))
            }
        }
    };
}
pub(crate) use words;

#[cfg(test)]
mod tests;
