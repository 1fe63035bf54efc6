//! Real AS4 implementations of other people as the other side of tilts nodes: `make conformance`.
//!
//! A peer is a process of its own; JSON lines are all that connects it to the runner (`conformance/peers/`).

pub mod asx;
pub mod edelivery2;
pub mod gateway;
pub mod inbound;
pub mod java;
pub mod job;
pub mod outbound;
pub mod peppol;
pub mod phase4;
pub mod process;
pub mod registry;
pub mod relay;
pub mod report;
pub mod setting;
