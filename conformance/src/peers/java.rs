//! Finds a Java runtime.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// A Java runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Java {
    /// Its `java`.
    pub binary: PathBuf,
    /// Its major version.
    pub major: u32,
}

impl Java {
    /// The newest of `JAVA_HOME`, the search path and the Debian folder.
    ///
    /// # Errors
    /// None of 17 or later is there.
    pub fn newest() -> Result<Self> {
        let found = candidates().into_iter().filter_map(|binary| {
            let major = version(&binary)?;
            Some(Self { binary, major })
        });
        let newest = found.filter(|java| java.major >= 17).max_by_key(|java| java.major);
        newest.context("no Java 17 or later is installed")
    }
}

#[allow(clippy::disallowed_methods, reason = "where Java is, only the environment says")]
fn candidates() -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("java")];
    found.extend(std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java")));
    if let Ok(entries) = std::fs::read_dir("/usr/lib/jvm") {
        found.extend(
            entries.filter_map(Result::ok).map(|e| e.path().join("bin/java")).filter(|p| p.is_file()),
        );
    }
    found
}

fn version(binary: &Path) -> Option<u32> {
    let output = Command::new(binary).arg("-version").output().ok()?;
    major(&String::from_utf8_lossy(&output.stderr))
}

/// The major version in what `java -version` says.
fn major(text: &str) -> Option<u32> {
    let quoted = text.split('"').nth(1)?;
    quoted.split(['.', '-', '+']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_every_form() {
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15\n"), Some(17));
        assert_eq!(major("openjdk version \"25\" 2025-09-16\n"), Some(25));
        assert_eq!(major("openjdk version \"26-ea\" 2026-03-17\n"), Some(26));
        assert_eq!(major("java: not found"), None);
    }
}
