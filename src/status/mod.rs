//! The delivery state machine, pure.
