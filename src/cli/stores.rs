//! `STORES` of the command line: `(--keystore F | --trust F) [--password P] [--key-password P]...`, repeatable; the
//! passwords belong to the store before them (design 5).

use std::path::PathBuf;

use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::pki::{Certificate, Entry, KeyStore, TrustStore};

/// The stores of one call, in the order given.
#[derive(Debug, Clone, Default)]
pub struct Stores {
    given: Vec<Given>,
}

#[derive(Debug, Clone)]
struct Given {
    file: PathBuf,
    anchors: bool,
    password: Option<String>,
    key_passwords: Vec<String>,
}

/// What the stores hold, read.
#[derive(Default)]
pub struct Opened {
    /// Every entry of every store.
    pub entries: Vec<Entry>,
    /// Every certificate of every store, chains included: they resolve references.
    pub certificates: Vec<Certificate>,
    /// The certificates of the `--trust` stores; `None` when there was none, and nobody is then judged.
    pub trust: Option<TrustStore>,
}

impl Stores {
    /// Reads all stores. The error names the store.
    pub fn open(&self) -> anyhow::Result<Opened> {
        let mut opened = Opened::default();
        let mut anchors: Option<Vec<Certificate>> = None;
        for given in &self.given {
            let name = || given.file.display().to_string();
            let octets = std::fs::read(&given.file).with_context(name)?;
            let store = KeyStore::read(&octets, given.password.as_deref(), &given.key_passwords)
                .with_context(name)?;
            let certificates = store.certificates();
            if given.anchors {
                anchors.get_or_insert_default().extend(certificates.iter().cloned());
            }
            opened.certificates.extend(certificates);
            opened.entries.extend(store.entries);
        }
        opened.trust = anchors.map(TrustStore::new);
        Ok(opened)
    }
}

const NAMES: [(&str, &str); 4] = [
    ("keystore", "A store with keys or certificates"),
    ("trust", "A store whose certificates are anchors"),
    ("password", "The password of the store before it"),
    ("key-password", "A private key's password in the store before it"),
];

impl clap::Args for Stores {
    fn augment_args(command: Command) -> Command {
        NAMES.iter().fold(command, |command, (name, help)| {
            let value = if name.ends_with("password") { "P" } else { "F" };
            command.arg(Arg::new(*name).long(*name).help(*help).value_name(value).action(ArgAction::Append))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Stores {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut words: Vec<(usize, &str, String)> = Vec::new();
        for (name, _) in NAMES {
            let values = matches.get_many::<String>(name).into_iter().flatten().cloned();
            let places = matches.indices_of(name).into_iter().flatten();
            words.extend(places.zip(values).map(|(place, value)| (place, name, value)));
        }
        words.sort_by_key(|(place, ..)| *place);
        let mut given: Vec<Given> = Vec::new();
        for (_, name, value) in words {
            let store = match name {
                "keystore" | "trust" => {
                    let (file, anchors) = (PathBuf::from(value), name == "trust");
                    given.push(Given { file, anchors, password: None, key_passwords: Vec::new() });
                    continue;
                }
                _ => given.last_mut(),
            };
            let Some(store) = store else {
                let text = format!("--{name} stands before any --keystore or --trust\n");
                return Err(clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, text));
            };
            match name {
                "password" => store.password = Some(value),
                _ => store.key_passwords.push(value),
            }
        }
        Ok(Self { given })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        stores: Stores,
    }

    #[test]
    fn passwords_belong_to_the_store_before_them() {
        let line = "x --keystore a --password 1 --key-password 2 --key-password 3 --trust b --keystore c --password 4";
        let stores = Line::try_parse_from(line.split(' ')).unwrap().stores;
        let short = |g: &Given| {
            (g.file.display().to_string(), g.anchors, g.password.clone(), g.key_passwords.join(","))
        };
        assert_eq!(
            stores.given.iter().map(short).collect::<Vec<_>>(),
            [
                ("a".to_owned(), false, Some("1".to_owned()), "2,3".to_owned()),
                ("b".to_owned(), true, None, String::new()),
                ("c".to_owned(), false, Some("4".to_owned()), String::new()),
            ]
        );
        assert!(Line::try_parse_from(["x", "--password", "1", "--trust", "b"]).is_err());
    }
}
