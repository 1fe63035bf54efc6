//! Agreements, matching and network profiles.
