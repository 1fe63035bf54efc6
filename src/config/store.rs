//! `[store]` as the store takes it.

use std::path::Path;

use super::file;
use super::problems::Problems;
use crate::store::{Config, PostgresConfig};

/// The place of the store, with the password of its database.
pub fn store(problems: &mut Problems, store: &file::Store, base: &Path) -> Config {
    let postgres = store.postgres.as_ref().map(|given| postgres(problems, given, base));
    if store.payloads.is_some() && postgres.is_none() {
        problems
            .add("store.payloads", "payloads are shared by nodes on one PostgreSQL: add [store.postgres]");
    }
    let payloads = store.payloads.as_ref().map(|folder| base.join(folder));
    Config { path: base.join(&store.path), postgres, payloads, ..Config::default() }
}

fn postgres(problems: &mut Problems, given: &file::Postgres, base: &Path) -> PostgresConfig {
    let scheme = ["postgres://", "postgresql://"].iter().find_map(|s| given.url.strip_prefix(s));
    let user = scheme.and_then(|rest| rest.split_once('@')).map(|(user, _)| user);
    if scheme.is_none() {
        problems.add("store.postgres.url", format!("{:?} is no postgres://user@host/database", given.url));
    }
    if user.is_some_and(|user| user.contains(':')) {
        problems.add("store.postgres.url", "the password stands in the URL: put it into password_file");
    }
    if !(2..=1000).contains(&given.connections) {
        problems
            .add("store.postgres.connections", format!("{} is not between 2 and 1000", given.connections));
    }
    let file = given.password_file.as_ref().map(|file| base.join(file));
    let password = file.and_then(|file| problems.secret("store.postgres.password_file", &file));
    PostgresConfig { url: given.url.clone(), password, connections: given.connections }
}
