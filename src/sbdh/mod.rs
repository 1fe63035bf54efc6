//! Business envelopes (SBDH).
