//! `[store]` as the store takes it.

use std::path::Path;
use std::time::Duration;

use super::file;
use super::problems::Problems;
use crate::store::{Config, PayloadKey, PayloadKeys, PostgresConfig};

/// The place of the store, with the password of its database.
pub fn store(problems: &mut Problems, store: &file::Store, base: &Path) -> Config {
    let postgres = store.postgres.as_ref().map(|given| postgres(problems, given, base));
    if store.payloads.is_some() && postgres.is_none() {
        problems
            .add("store.payloads", "payloads are shared by nodes on one PostgreSQL: add [store.postgres]");
    }
    let payloads = store.payloads.as_ref().map(|folder| base.join(folder));
    if store.payloads.is_some() && store.s3.is_some() {
        problems.add("store.payloads", "payloads lie in a folder or in [store.s3]: leave one of the two out");
    }
    let s3 = store.s3.as_ref().and_then(|given| super::s3::s3(problems, given, base));
    let keys = store.payload_keys.iter().filter_map(|file| key(problems, &base.join(file))).collect();
    Config {
        keys: PayloadKeys(keys),
        path: base.join(&store.path),
        postgres,
        payloads,
        s3,
        keep_free: store.keep_free,
        ..Config::default()
    }
}

fn key(problems: &mut Problems, file: &Path) -> Option<PayloadKey> {
    let text = problems.secret("store.payload_keys", file)?;
    let key = PayloadKey::parse(&text);
    if key.is_none() {
        let text =
            format!("{} is no 64 hexadecimal digits: `openssl rand -hex 32` makes a key", file.display());
        problems.add("store.payload_keys", text);
    }
    key
}

fn postgres(problems: &mut Problems, given: &file::Postgres, base: &Path) -> PostgresConfig {
    let scheme = ["postgres://", "postgresql://"].iter().find_map(|s| given.url.strip_prefix(s));
    let user = scheme.and_then(|rest| rest.split_once('@')).map(|(user, _)| user);
    if scheme.is_none() {
        // Not the whole of it: a password may stand in it.
        let begin = given.url.split("://").next().unwrap_or_default();
        problems.add("store.postgres.url", format!("{begin:?} is no postgres://user@host/database"));
    }
    if user.is_some_and(|user| user.contains(':')) {
        problems.add("store.postgres.url", "the password stands in the URL: put it into password_file");
    }
    if !(2..=1000).contains(&given.connections) {
        problems
            .add("store.postgres.connections", format!("{} is not between 2 and 1000", given.connections));
    }
    let mut time = |key: &str, seconds: u32| {
        if !(1..=3600).contains(&seconds) {
            problems.add(key, format!("{seconds} is not between 1 and 3600"));
        }
        Duration::from_secs(seconds.into())
    };
    let takeover = time("store.postgres.takeover_seconds", given.takeover_seconds);
    let answer = time("store.postgres.answer_seconds", given.answer_seconds);
    let file = given.password_file.as_ref().map(|file| base.join(file));
    let password = file.and_then(|file| problems.secret("store.postgres.password_file", &file));
    PostgresConfig { url: given.url.clone(), password, connections: given.connections, takeover, answer }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> (Config, String) {
        let mut problems = Problems::default();
        let given: file::Store = toml::from_str(text).unwrap();
        let config = store(&mut problems, &given, Path::new("/etc/tilts"));
        (config, problems.to_string())
    }

    #[test]
    fn paths_start_at_the_file() {
        let (config, said) =
            judged("path = 'a'\npayloads = 'shared'\npostgres = { url = 'postgresql://t@db/t' }");
        assert_eq!(said, "");
        assert_eq!(config.path, Path::new("/etc/tilts/a"));
        assert_eq!(config.payloads.as_deref(), Some(Path::new("/etc/tilts/shared")));
        assert_eq!(config.postgres.unwrap().connections, 12);
    }

    #[test]
    fn what_cannot_work_is_named_with_its_remedy() {
        for (text, expected) in [
            ("payload_keys = ['none']", "/etc/tilts/none"),
            ("payload_keys = ['/proc/self/comm']", "64 hexadecimal digits"),
            ("payloads = 'shared'", "add [store.postgres]"),
            ("postgres = { url = 'mysql://t:secret@db/t' }", "\"mysql\" is no postgres://"),
            ("postgres = { url = 'postgres://t:secret@db/t' }", "put it into password_file"),
            ("postgres = { url = 'postgres://t@db/t', connections = 1 }", "1 is not between 2 and 1000"),
            ("postgres = { url = 'postgres://t@db/t', takeover_seconds = 0 }", "0 is not between 1 and 3600"),
            (
                "postgres = { url = 'postgres://t@db/t', answer_seconds = 4000 }",
                "4000 is not between 1 and 3600",
            ),
            ("postgres = { url = 'postgres://t@db/t', password_file = 'none' }", "/etc/tilts/none"),
        ] {
            let (_, said) = judged(text);
            assert!(said.contains(expected) && !said.contains("secret"), "{text}: {said}");
        }
    }

    #[test]
    fn payloads_lie_in_one_place() {
        let s3 = "s3 = { bucket = 'tilts', access_key_file = 'a', secret_key_file = 'b' }";
        assert!(judged(&format!("payloads = 'shared'\n{s3}")).1.contains("leave one of the two out"));
    }
}
