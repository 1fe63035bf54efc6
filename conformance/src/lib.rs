//! Black-box suite, peers and simulators for tilts. Knows only sockets, files and the published interfaces.

pub mod ca;
pub mod demo;
pub mod http;
pub mod node;
pub mod sml;
pub mod smp;
pub mod world;
