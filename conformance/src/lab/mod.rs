//! The crash laboratory: two access points, a network that goes wrong by a seeded schedule between them, and somebody who kills
//! either of them at random and at named points, while messages cross. An oracle compares what went in with what came out:
//! nothing lost, nothing doubled, every status true (promise 4).
//!
//! The seed gives contents, faults, victims and moments. What two processes do at the same time nobody can give: a run is
//! repeated closely, not to the instruction.

mod carry;
pub mod consumer;
mod disk;
mod freeze;
mod ledger;
mod members;
mod oracle;
mod points;
pub mod producer;
mod proxy;
mod report;
mod request;
mod rig;
mod run;
mod schedule;
mod stall;
mod strait;
mod tally;
pub mod truth;
mod wire;

pub use carry::Exchange;
pub use disk::Disk;
pub use ledger::{Book, Ledger, Letter};
pub use members::Stores;
pub use oracle::{judge, settle};
pub use points::{Act, OF_CLUSTERS, TRAPS, Trap, in_traffic, known_to};
pub use proxy::Proxy;
pub use report::Report;
pub use rig::Rig;
pub use run::{Lab, Plan};
pub use schedule::{At, Fault, Faults, Side, Strike, Strikes};
pub use stall::{Stall, Target};
pub use strait::Strait;
pub use tally::Tally;
pub use truth::Verdict;
pub use wire::{AnyLine, Dial, Line, Wire};
