//! The cases, one for each assertion, named by its number.

mod common;
mod discovery;
mod edelivery;
mod edelivery2;
mod oasis;
mod peppol;
mod security;
mod tls;

use anyhow::Result;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::context::Ctx;

/// One assertion's test.
pub struct Case {
    /// Number of the assertion.
    pub id: &'static str,
    /// Disturbs others, so it is run alone.
    pub alone: bool,
    /// The test.
    pub run: Box<dyn Fn(Ctx) -> BoxFuture<'static, Result<()>> + Send + Sync>,
}

fn case<F>(id: &'static str, run: impl Fn(Ctx) -> F + Send + Sync + 'static) -> Case
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    Case { id, alone: false, run: Box::new(move |ctx| run(ctx).boxed()) }
}

/// Every case.
pub fn all() -> Vec<Case> {
    let all = [
        common::cases(),
        discovery::cases(),
        oasis::cases(),
        edelivery::cases(),
        edelivery2::cases(),
        peppol::cases(),
        tls::cases(),
        security::cases(),
    ];
    all.into_iter().flatten().collect()
}
