//! Signatures made here hold, in both canonical forms, and no changed document passes.

use super::*;
use crate::pki::testing;
use crate::xml::{C14n, Document, Limits, Mode};
use crate::xmlsec::DigestAlgorithm;
use crate::xmlsec::names::DS;

const DOCUMENT: &str = "<a xmlns=\"urn:a\" xmlns:b=\"urn:b\"><b:part Id=\"part\">text</b:part><rest/></a>";

fn style(mode: Mode, properties_transform: bool) -> Style {
    Style {
        c14n: C14n { mode, comments: false, prefixes: Vec::new() },
        digest: DigestAlgorithm::Sha512,
        certificate_digest: DigestAlgorithm::Sha256,
        properties_transform,
        key_value: true,
    }
}

fn checked(text: &str) -> Checked {
    let document = Document::parse(text.as_bytes(), &Limits::default()).unwrap();
    let signature = document.root().child(DS, "Signature").unwrap();
    check(signature, &[]).unwrap()
}

#[test]
fn what_is_signed_here_verifies_and_no_change_does() {
    let rsa = testing::certificate("CN=rsa", &testing::Options { rsa: true, ..Default::default() }, None);
    let ec = testing::self_signed("CN=ec", testing::LONG);
    for (certificate, key) in [rsa, ec] {
        for mode in [Mode::Exclusive, Mode::Inclusive10] {
            for (targets, transform) in [(&[""][..], true), (&["#part"], false), (&["#part", ""], false)] {
                let at = "2026-11-22T12:00:00Z".parse().unwrap();
                let signing = Signing { certificate: &certificate, key: &key, at, id: "sig", targets };
                let signed = sign(DOCUMENT, DOCUMENT.len() - 4, &style(mode, transform), &signing).unwrap();
                let good = checked(&signed);
                assert!(good.is_valid(), "{mode:?} {targets:?}: {:?}", good.references);
                assert_eq!(good.signer().unwrap().der(), certificate.der());
                let properties = good.properties.as_ref().unwrap();
                assert_eq!(properties.names(&certificate), Some(true));
                assert_eq!(properties.signing_time.as_deref(), Some("2026-11-22T12:00:00Z"));
                assert!(!checked(&signed.replace(">text<", ">tent<")).is_valid());
                assert!(!checked(&signed.replace("12:00:00Z", "13:00:00Z")).is_valid());
                assert!(!good.is_weak());
            }
        }
    }
}

#[test]
fn a_section_that_exists_twice_is_not_covered() {
    let (certificate, key) = testing::self_signed("CN=ec", testing::LONG);
    let at = "2026-11-22T12:00:00Z".parse().unwrap();
    let signing = Signing { certificate: &certificate, key: &key, at, id: "sig", targets: &["#part"] };
    let signed = sign(DOCUMENT, DOCUMENT.len() - 4, &style(Mode::Exclusive, true), &signing).unwrap();
    let doubled = signed.replace("<rest", "<rest Id=\"part\"");
    let result = checked(&doubled);
    assert!(!result.is_valid());
    assert_eq!(result.references[0].2, None);
}

#[test]
fn the_number_in_the_name_of_signed_properties_is_read() {
    for (name, expected) in
        [("SignedProperties", true), ("SignedProperties-17", true), ("SignedProperties-x", false)]
    {
        let text = format!("<{name} xmlns=\"{XADES}\"/>");
        let document = Document::parse(text.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(is_signed_properties(document.root()), expected);
    }
}
