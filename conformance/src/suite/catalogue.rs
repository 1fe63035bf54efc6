//! Every assertion, and why some are not run.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::Deserialize;

/// One assertion.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// Its number.
    pub id: String,
    /// A to F.
    pub group: String,
    /// M mandatory, P preferred, O permitted.
    pub level: String,
    /// What must hold.
    pub text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Assertions {
    assertion: Vec<Assertion>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reasons {
    reason: Vec<Reason>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    why: String,
    ids: Vec<String>,
}

/// All assertions in their order.
pub fn assertions() -> Result<Vec<Assertion>> {
    let all: Assertions = toml::from_str(include_str!("../../assertions.toml"))?;
    Ok(all.assertion)
}

/// Why an assertion is not run, by its number.
pub fn skipped() -> Result<BTreeMap<String, String>> {
    let all: Reasons = toml::from_str(include_str!("../../skipped.toml"))?;
    let mut found = BTreeMap::new();
    for reason in all.reason {
        for id in reason.ids {
            ensure!(found.insert(id.clone(), reason.why.clone()).is_none(), "{id} is skipped twice");
        }
    }
    Ok(found)
}
