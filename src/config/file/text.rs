//! Values that are written as text.

use std::path::PathBuf;

use serde::Deserialize;

/// A value written as text, such as `"5 minutes"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<T>(pub T);

impl<'de, T> Deserialize<'de> for Text<T>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        text.parse().map(Self).map_err(|e| {
            serde::de::Error::custom(format!(
                "{text:?}: {e}; write a duration such as \"30s\" or \"5 minutes\""
            ))
        })
    }
}

/// One path, or a list of them.
#[derive(Debug, Clone, Default)]
pub struct Paths(pub Vec<PathBuf>);

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a path or a list of paths")]
        enum Written {
            One(PathBuf),
            Several(Vec<PathBuf>),
        }
        Ok(match Written::deserialize(input)? {
            Written::One(path) => Self(vec![path]),
            Written::Several(paths) => Self(paths),
        })
    }
}
