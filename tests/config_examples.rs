//! The example configurations are what the program reads, and what is wrong with a configuration is said by name.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::{X509, X509NameBuilder};
use tilts::clock::Clock;
use tilts::config::file::File;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn example(name: &str) -> String {
    fs::read_to_string(examples().join(name)).unwrap()
}

fn identity(name: &str) -> (X509, PKey<Private>) {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    (certificate(name, &key, &key), key)
}

fn certificate(name: &str, key: &PKey<Private>, issuer: &PKey<Private>) -> X509 {
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    let subject = subject.build();
    let mut certificate = X509::builder().unwrap();
    certificate.set_version(2).unwrap();
    let serial = Asn1Integer::from_bn(&BigNum::from_u32(1).unwrap()).unwrap();
    certificate.set_serial_number(&serial).unwrap();
    certificate.set_subject_name(&subject).unwrap();
    certificate.set_issuer_name(&subject).unwrap();
    certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::days_from_now(30).unwrap()).unwrap();
    certificate.set_pubkey(key).unwrap();
    certificate.sign(issuer, MessageDigest::sha256()).unwrap();
    certificate.build()
}

/// A folder with everything that the examples name, but for `single-node.toml`.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let (certificate, key) = identity("AP-LV");
        for store in ["key", "div", "red", "rsa"] {
            place.store(store, &key, &certificate);
        }
        for kind in ["ed25519", "x25519"] {
            let own = match kind {
                "ed25519" => PKey::generate_ed25519().unwrap(),
                _ => PKey::generate_x25519().unwrap(),
            };
            let certificate = self::certificate("AP-LV", &own, &key);
            place.store(kind, &own, &certificate);
            place.write(&format!("partners/neighbour-{kind}.pem"), &certificate.to_pem().unwrap());
        }
        let pem = certificate.to_pem().unwrap();
        place.write("partners/neighbour-rsa.pem", &pem);
        for file in ["tls.pem", "blue.pem", "trust/smp.pem", "trust/ap.pem", "trust/div.pem"] {
            place.write(file, &pem);
        }
        place.write("trust/s3.pem", &pem);
        for (file, line) in [("payload.key", "5a".repeat(32)), ("postgres.password", "secret".into())] {
            place.write(file, line.as_bytes());
        }
        for file in ["s3.id", "s3.secret"] {
            place.write(file, b"secret\n");
        }
        place.write("tls.key", &key.private_key_to_pem_pkcs8().unwrap());
        place
    }

    fn store(&self, name: &str, key: &PKey<Private>, certificate: &X509) {
        let mut builder = Pkcs12::builder();
        builder.name(name).pkey(key).cert(certificate);
        self.write(&format!("{name}.p12"), &builder.build2("secret").unwrap().to_der().unwrap());
        self.write(&format!("{name}.password"), b"secret\n");
    }

    fn write(&self, name: &str, octets: &[u8]) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, octets).unwrap();
    }

    /// What is wrong with this configuration; empty when nothing is.
    fn problems(&self, text: &str) -> String {
        self.write("tilts.toml", text.as_bytes());
        match tilts::app::check(&self.0.path().join("tilts.toml"), &Clock::system()) {
            Ok(_) => String::new(),
            Err(problems) => problems.to_string(),
        }
    }
}

fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the example no longer says {from:?}");
    text.replacen(from, to, 1)
}

#[test]
fn every_example_is_read() {
    let mut seen = 0;
    for entry in fs::read_dir(examples()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "toml") {
            let text = fs::read_to_string(&path).unwrap();
            toml::from_str::<File>(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            seen += 1;
        }
    }
    assert!(seen >= 3, "{seen} examples");
}

#[test]
fn examples_load_whole_with_their_keys() {
    let place = Place::new();
    for name in ["national.toml", "two-gateways.toml", "edelivery-2.0.toml", "peppol.toml", "cluster.toml"] {
        assert_eq!(place.problems(&example(name)), "", "{name}");
    }
}

#[test]
fn an_unknown_key_is_named() {
    let text = changed(&example("two-gateways.toml"), "[store]\n", "[store]\npaht = \"data\"\n");
    let problems = Place::new().problems(&text);
    assert!(problems.contains("paht"), "{problems}");
}

#[test]
fn an_unknown_word_is_named_with_the_known_ones() {
    let text = changed(&example("national.toml"), "form = \"div\"", "revocation = \"always\"");
    let problems = Place::new().problems(&text);
    assert!(problems.contains("always") && problems.contains("require"), "{problems}");
}

#[test]
fn a_missing_key_file_is_named() {
    let text = changed(&example("two-gateways.toml"), "red.p12", "blew.p12");
    let problems = Place::new().problems(&text);
    assert!(problems.contains("key[1].file") && problems.contains("blew.p12"), "{problems}");
}

#[test]
fn a_wrong_password_is_named_by_its_store_and_never_shown() {
    let place = Place::new();
    place.write("red.password", b"open sesame\n");
    let problems = place.problems(&example("two-gateways.toml"));
    assert!(problems.contains("key[1]") && problems.contains("red.p12"), "{problems}");
    assert!(problems.to_lowercase().contains("password"), "{problems}");
    assert!(!problems.contains("sesame"), "{problems}");
}

#[test]
fn a_key_of_the_wrong_kind_is_named_with_the_right_one() {
    let (place, text) = (Place::new(), example("edelivery-2.0.toml"));
    let cases = [
        ("file = \"ed25519.p12\"", "file = \"rsa.p12\"", &["another RSA key", "Ed25519"][..]),
        ("file = \"ed25519.p12\"", "file = \"x25519.p12\"", &["cannot sign", "Ed25519"]),
        ("file = \"x25519.p12\" ", "file = \"ed25519.p12\" ", &["cannot decrypt", "X25519"]),
        ("\"partners/neighbour-x25519.pem\", ", "", &["neighbour-2.0", "X25519", "RSA"]),
        ("profiles = {", "# profiles = {", &["bdxr-transport-ebms3-as4-v2p0", "edelivery-2.0"]),
        ("v2p0\", \"", "v3\", \"", &["is not among its transport_profiles"]),
    ];
    for (from, to, words) in cases {
        let problems = place.problems(&changed(&text, from, to));
        assert!(words.iter().all(|word| problems.contains(word)), "{from}: {problems}");
    }
}

#[test]
fn a_bucket_that_cannot_be_asked_is_named_with_its_remedy() {
    let text = changed(&example("cluster.toml"), "https://s3.red.example", "http://s3.red.example");
    let problems = Place::new().problems(&text);
    assert!(problems.contains("store.s3.endpoint") && problems.contains("allow_http"), "{problems}");
    let text = changed(&example("cluster.toml"), "s3.secret", "s3.nothing");
    let problems = Place::new().problems(&text);
    assert!(problems.contains("store.s3.secret_key_file") && problems.contains("s3.nothing"), "{problems}");
}

#[test]
fn overlapping_participants_are_named() {
    let text = changed(
        &example("national.toml"),
        "\"iso6523-actorid-upis::0200:*\"",
        "\"iso6523-actorid-upis::0191:1*\"",
    );
    let problems = Place::new().problems(&text);
    assert!(problems.contains("0191:*") && problems.contains("0191:1*"), "{problems}");
}

#[test]
fn all_problems_are_said_at_once() {
    let text = changed(&example("two-gateways.toml"), "red.p12", "blew.p12");
    let text = changed(&text, "certificate = \"blue.pem\"", "certificate = \"grey.pem\"");
    let problems = Place::new().problems(&text);
    assert!(problems.contains("blew.p12") && problems.contains("grey.pem"), "{problems}");
}
