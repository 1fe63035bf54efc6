//! The walls between the rooms: any `crate::<room>` edge that the table does not list fails this test.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Single files at the root of `src`, usable by all.
const FREE: [&str; 5] = ["clock", "crash", "id", "metrics", "thread"];

/// Room and the rooms it may name.
const ARROWS: &[(&str, &[&str])] = &[
    ("xml", &[]),
    ("mime", &[]),
    ("pki", &[]),
    ("status", &[]),
    ("xmlsec", &["xml", "pki"]),
    ("soap", &["xml"]),
    ("ebms", &["xml", "soap", "xmlsec"]),
    ("wssec", &["xml", "soap", "mime", "xmlsec", "pki"]),
    ("sbdh", &["xml"]),
    ("evidence", &["xml", "xmlsec", "pki", "status"]),
    ("pmode", &["ebms", "wssec"]),
    ("transport", &["pki"]),
    ("discovery", &["xml", "xmlsec", "pki", "transport"]),
    ("div", &["xml", "mime", "xmlsec", "wssec", "pki", "soap", "transport"]),
    ("store", &["status", "ebms"]),
    ("msh", &["soap", "ebms", "mime", "wssec", "pki", "pmode", "discovery", "store", "status", "transport"]),
    (
        "backend",
        &[
            "xml",
            "soap",
            "mime",
            "ebms",
            "sbdh",
            "evidence",
            "pki",
            "pmode",
            "div",
            "store",
            "status",
            "transport",
        ],
    ),
    ("inspect", &["xml", "mime", "soap", "ebms", "wssec", "xmlsec", "pki", "pmode"]),
    ("api", &["store", "status", "pmode"]),
    ("console", &["api"]),
    (
        "config",
        &[
            "pki",
            "pmode",
            "transport",
            "discovery",
            "div",
            "store",
            "msh",
            "backend",
            "api",
            "console",
            "status",
            "wssec",
            "app",
        ],
    ),
    (
        "app",
        &[
            "xml",
            "mime",
            "pki",
            "status",
            "xmlsec",
            "soap",
            "ebms",
            "wssec",
            "sbdh",
            "evidence",
            "pmode",
            "transport",
            "discovery",
            "div",
            "store",
            "msh",
            "backend",
            "inspect",
            "api",
            "console",
            "config",
        ],
    ),
    ("cli", &["app", "config", "inspect", "discovery", "evidence", "pki", "pmode", "xml", "transport"]),
];

#[test]
fn every_edge_between_rooms_is_in_the_table() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ARROWS.iter().map(|(room, to)| (*room, to.iter().copied().collect())).collect();
    let mut wrong = Vec::new();
    for file in sources(Path::new("src")) {
        let Some(room) = room_of(&file) else { continue };
        let Some(arrows) = allowed.get(room.as_str()) else {
            wrong.push(format!("{}: room `{room}` is not in the table", file.display()));
            continue;
        };
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            for target in edges(line) {
                if target != room && !arrows.contains(target.as_str()) && !FREE.contains(&target.as_str()) {
                    wrong.push(format!("{}:{}: {room} -> {target}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "edges that the design does not allow:\n{}", wrong.join("\n"));
}

#[test]
fn an_edge_is_seen_in_every_spelling() {
    assert_eq!(edges("use crate::store::Store;"), ["store"]);
    assert_eq!(edges("use crate::{xml::Document, pki::Certificate};"), ["xml", "pki"]);
    assert_eq!(edges("    let x = crate::msh::send(crate::ebms::x());"), ["msh", "ebms"]);
    assert!(edges("//! see [`crate::store`]").is_empty(), "documentation may point anywhere");
}

/// The room of a source file; `None` for the files at the root of `src`.
fn room_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix("src").ok()?;
    (inside.components().count() > 1)
        .then(|| inside.components().next().map(|c| c.as_os_str().to_string_lossy().into_owned()))?
}

/// The rooms that a line of code names.
fn edges(line: &str) -> Vec<String> {
    let code = line.trim_start();
    if code.starts_with("//") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("crate::") {
        rest = &rest[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group.split(',').filter_map(first_word)),
            None => found.extend(first_word(rest)),
        }
    }
    found
}

fn first_word(text: &str) -> Option<String> {
    let word: String =
        text.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(sources(&path)),
            false if path.extension().is_some_and(|e| e == "rs") => files.push(path),
            false => {}
        }
    }
    files
}
