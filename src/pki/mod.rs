//! Key stores, trust and path validation.
