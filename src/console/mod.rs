//! Web pages on the read models of `api`.
