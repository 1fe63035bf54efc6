//! The benchmark: what an exchange costs, beside what its cryptography alone costs, in one run on the same cores.
//!
//! A and B are two processes of the release build on loopback, durable on both sides, TLS with kept connections, every
//! receipt verified. The queue is filled while A holds what it has (`sending = 0`); then A is started again and sends
//! it. Processor time is what the system counts for the two processes, so it hardly depends on what else the machine does.
//! Software of other people that does the same is measured beside it, where the machine has it.

pub mod bound;
pub mod chart;
mod charts;
pub mod disk;
mod hand_in;
pub mod others;
pub mod payload;
pub mod plan;
pub mod report;
pub mod rig;
pub mod row;
pub mod run;
mod scale;
pub mod soak;
pub mod stages;
pub mod threads;
pub mod usage;

pub use bound::Bound;
pub use others::{Other, Others};
pub use payload::Content;
pub use plan::{PLANS, Shape};
pub use report::Report;
pub use rig::Rig;
pub use row::Row;
pub use run::Run;
pub use soak::Soak;
