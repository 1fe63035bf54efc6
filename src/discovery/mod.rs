//! From a participant to an access point: SML names in DNS, SMP answers, their signatures, cache (docs/smp.md).
//!
//! [`Resolver::lookup`] reads as the list of what happens: name, NAPTR, metadata, signature, endpoint. Outages are never
//! read as "not registered" ([`Error::class`]). [`judge()`] says of one captured answer what the resolver would.

mod cache;
mod dns;
mod domain;
mod error;
mod fetch;
pub mod ident;
pub mod names;
pub mod naptr;
mod resolver;
mod select;
mod sign;
pub mod smp;
mod step;
#[cfg(test)]
mod tests;
mod wildcard;

pub use dns::{Dns, DnsError};
pub use domain::{Dnssec, Domain, LookupMode, Trusts};
pub use error::{Class, Error, Failure};
pub use ident::Identifier;
pub use names::NameRules;
pub use resolver::{Endpoint, Found, Question, Resolver};
pub use select::Filter;
pub use sign::{PublishError, Unsigned, publish, sign};
pub use smp::Dialect;
pub use smp::judge::{Finding, Judgement, Policy, Wanted, judge};
pub use step::Step;

/// The folder of captured answers, where there is one; tests without it say so and pass.
#[cfg(test)]
pub(crate) fn vectors() -> Option<std::path::PathBuf> {
    #[allow(clippy::disallowed_methods, reason = "tests find the vectors by it")]
    let named = std::env::var("TILTS_VECTORS").ok().map(std::path::PathBuf::from);
    let beside = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors");
    let found = named.or(Some(beside)).filter(|folder| folder.is_dir());
    if found.is_none() {
        println!("skipped: no vectors");
    }
    found
}
