//! What came of an assertion.

use anyhow::Result;

/// What came of an assertion at an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Passed,
    /// It does not hold, and why.
    Failed(String),
    /// It was not run, and why.
    Skipped(String),
}

/// Characters of a reason that are shown.
const LONGEST_REASON: usize = 900;

#[derive(Debug)]
struct Skip(String);

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}

/// Ends a case without a verdict about the endpoint.
pub fn skip<T>(reason: impl Into<String>) -> Result<T> {
    Err(anyhow::Error::new(Skip(reason.into())))
}

impl Verdict {
    /// The verdict of a case that ended so.
    pub fn of(outcome: Result<()>) -> Self {
        match outcome {
            Ok(()) => Self::Passed,
            Err(error) => match error.downcast_ref::<Skip>() {
                Some(Skip(reason)) => Self::Skipped(reason.clone()),
                None => Self::Failed(format!("{error:#}").chars().take(LONGEST_REASON).collect()),
            },
        }
    }

    /// One word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "FAILED",
            Self::Skipped(_) => "skipped",
        }
    }

    /// The reason of what was not passed.
    pub fn reason(&self) -> &str {
        match self {
            Self::Passed => "",
            Self::Failed(reason) | Self::Skipped(reason) => reason,
        }
    }
}
