//! The business halves: submission, delivery and the adapters.
