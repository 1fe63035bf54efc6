//! The black-box suite: every assertion that an endpoint's outside can show, against any endpoint that a file describes.
//!
//! The suite is three things at once: a sending handler whose messages can be bent in every piece (`forge`), a receiving
//! handler that records and answers as a case demands (`receiver`), and a judge with XML, signature and decryption code of
//! its own (`xml`, `capture`). `docs/conformance.md` says how to point it at an endpoint.

mod agreement;
mod backend;
mod capture;
mod cases;
mod catalogue;
mod context;
mod endpoint;
mod forge;
mod ours;
mod phase4;
mod receiver;
mod registry;
mod report;
mod run;
mod signal;
mod verdict;
mod xml;

pub use catalogue::{Assertion, assertions, skipped};
pub use report::{Column, Count, Report};
pub use run::{Options, run};
pub use verdict::Verdict;

/// Numbers of the assertions that have a case.
pub fn run_ids() -> Vec<&'static str> {
    cases::all().into_iter().map(|case| case.id).collect()
}
