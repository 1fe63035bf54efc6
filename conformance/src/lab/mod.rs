//! The crash laboratory: two access points, a network that goes wrong by a seeded schedule between them, and somebody who kills
//! either of them at random and at named points, while messages cross. An oracle compares what went in with what came out:
//! nothing lost, nothing doubled, every status true (promise 4).
//!
//! The seed gives contents, faults, victims and moments. What two processes do at the same time nobody can give: a run is
//! repeated closely, not to the instruction.

mod carry;
mod consumer;
mod disk;
mod ledger;
mod members;
mod oracle;
mod points;
mod producer;
mod proxy;
mod report;
mod request;
mod rig;
mod run;
mod schedule;
mod stall;
mod tally;
mod wire;

pub use disk::Disk;
pub use ledger::{Ledger, Letter};
pub use members::Stores;
pub use oracle::{Verdict, judge, settle};
pub use points::{Act, TRAPS, Trap, known_to};
pub use proxy::Proxy;
pub use report::Report;
pub use rig::Rig;
pub use run::{Lab, Plan};
pub use schedule::{At, Fault, Faults, Side, Strike, Strikes};
pub use stall::{Stall, Target};
pub use tally::Tally;
pub use wire::Wire;
