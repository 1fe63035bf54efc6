//! Deterministic simulation: two whole nodes in one process, on one thread, with time, network, commits and deaths by a seed. The same
//! seed gives the same run, event for event (docs/decisions/simulation.md).
//!
//! ```text
//! crowd     many runs, on several threads
//! world     keys and configurations, made once
//! plan      what a seed draws: letters, faults, deaths, clocks
//! run       the loop: whose turn it is, up to which moment
//!   engine    a runtime with paused time
//!   net       octets between addresses; way.rs carries exchanges as their fault will have it
//!   machine   a node with its disk: started, stepped, killed, started again
//!   disk      what becomes of commits; image.rs is what a death leaves
//!   people    producer, consumer, and an observer of every status; folders.rs where a backend has a folder; operator.rs
//!             who stops and urges what is sent
//! verdict   what must hold in the end
//! trace     all that happened, with times, and its digest
//! ```
//!
//! Rooms, pipelines, store and backend interface are the product's own, and so are the messages: signed and encrypted AS4. What is
//! missing: TLS, DNS and SMP, and the DIV adapter.

pub mod crowd;
pub mod disk;
pub mod engine;
mod folders;
mod image;
pub mod machine;
pub mod net;
mod observer;
mod operator;
mod people;
pub mod plan;
pub mod report;
pub mod run;
pub mod trace;
pub mod verdict;
mod way;
pub mod world;
