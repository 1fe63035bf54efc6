//! The network halves: receiving a message from an access point, sending one to it, and trying again.
//!
//! [`receiving`] runs on the connection and ends with the receipt; [`sending`] is a worker that leases from the store.
//! Both read as a list of stages; each stage is a file of its own, takes the former stage's value and gives the next.

mod node;
mod peers;
pub mod receiving;
pub mod sending;

pub use node::{Finder, Intake, Limits, Node, NotNow, Testimony};
pub use peers::{Disbelief, DomainTrust, Partner, Peers, SignerRule};
