//! The benchmark: what an exchange costs, beside what its cryptography alone costs, in one run on the same cores.
//!
//! A and B are two processes of the release build on loopback, durable on both sides, TLS with kept connections, every
//! receipt verified. The queue is filled while A holds what it has (`sending = 0`); then A is started again and sends
//! it. Processor time is what the system counts for the two processes, so it hardly depends on what else the machine does.
//! Software of other people that does the same is measured beside it, where the machine has it.

pub mod bound;
pub mod chart;
pub mod others;
pub mod report;
pub mod rig;
mod scale;
pub mod usage;

pub use bound::Bound;
pub use others::{Other, Others};
pub use report::{Report, Row};
pub use rig::{Memory, Rig, Run};
