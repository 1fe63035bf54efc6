//! Black-box suite, peers and simulators for tilts. Knows only sockets, files and the published interfaces.

pub mod as4;
pub mod bench;
pub mod ca;
pub mod crash;
pub mod demo;
pub mod encryption;
pub mod hostile;
pub mod http;
pub mod lab;
pub mod large;
pub mod node;
pub mod peers;
pub mod peppol;
pub mod postgres;
pub mod probe;
pub mod random;
pub mod revocation;
pub mod s3;
pub mod service;
pub mod sml;
pub mod smp;
pub mod stage;
pub mod suite;
pub mod wire;
pub mod world;
