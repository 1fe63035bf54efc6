//! The network halves: receiving, sending, retry.
