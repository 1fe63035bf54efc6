//! Everything that is wrong with a configuration, collected.

use std::fmt;
use std::path::Path;

/// One thing that is wrong: where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Key or table in the file.
    pub at: String,
    /// What is wrong with its value.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

/// All of it, in the order found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Notes one.
    pub fn add(&mut self, at: impl Into<String>, what: impl fmt::Display) {
        self.0.push(Problem { at: at.into(), what: what.to_string() });
    }

    /// Nothing, or all of it as an error.
    ///
    /// # Errors
    /// When there is a problem.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    /// The value, or `None` with the error noted.
    pub fn keep<T, E: fmt::Display>(&mut self, at: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(at, error)).ok()
    }

    /// The octets of a file, or `None` with the failure noted.
    pub fn file(&mut self, at: &str, path: &Path) -> Option<Vec<u8>> {
        self.keep(at, std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display())))
    }

    /// The first line of a file that holds a secret.
    pub fn secret(&mut self, at: &str, path: &Path) -> Option<String> {
        let octets = self.file(at, path)?;
        let text = String::from_utf8(octets).map_err(|_| format!("{} is not UTF-8 text", path.display()));
        self.keep(at, text).map(|t| t.lines().next().unwrap_or_default().to_owned())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
