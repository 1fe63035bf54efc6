//! Evidence written here is valid by the schema and by xmlsec1, reads back, and is believed from the right party only.

use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;

use super::*;
use crate::clock::Timestamp;
use crate::pki::testing::{self, Pair};
use crate::pki::{Certificate, Trust, TrustStore};
use crate::status::chain::{Checkpoint, Leaf, Link, RawDigest, START, merkle_proof, merkle_root};
use crate::status::{Acceptance, EvidenceProfile, Policy, Row, Signal, fold};
use crate::xmlsec::SignedReference;

fn noon() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// The vectors, or a word that the test was skipped.
fn vectors(folder: &str) -> Option<PathBuf> {
    let given = std::env::var_os("TILTS_VECTORS").map(PathBuf::from);
    let root = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"));
    let found = root.join(folder);
    if !found.is_dir() {
        eprintln!("skipped: no vectors");
        return None;
    }
    Some(found)
}

fn rsa() -> Pair {
    testing::certificate("CN=evidence", &testing::Options { rsa: true, ..Default::default() }, None)
}

fn happenings() -> Vec<(Happening, Signal)> {
    vec![
        (Happening::AtDisposal, Signal::Consigned),
        (Happening::Taken, Signal::Taken),
        (Happening::Refused("we do not take <letters> & such".to_owned()), Signal::Refused),
        (Happening::Expired, Signal::Expired),
        (Happening::Undeliverable("mailbox closed".to_owned()), Signal::ConsignmentFailed),
    ]
}

fn new(happening: Happening) -> NewRem {
    NewRem {
        happening,
        event_time: noon(),
        identifier: "6a1c3f0e-0000-4000-8000-000000000001".to_owned(),
        submission_time: Some(noon()),
        issuer: "gateway_lv".to_owned(),
        sender: "iso6523-actorid-upis::0218:40000000000".to_owned(),
        recipient: "iso6523-actorid-upis::0088:123".to_owned(),
        message_id: "1@sender".to_owned(),
        digest: Some([9; 32]),
        spelling: Spelling::Etsi,
    }
}

#[test]
fn evidence_reads_back_and_its_signature_holds() {
    for pair in [rsa(), testing::self_signed("CN=ec", testing::LONG)] {
        for (happening, signal) in happenings() {
            for spelling in [Spelling::Etsi, Spelling::ECodex] {
                let rem = NewRem { spelling, ..new(happening.clone()) };
                let signed = build(&rem, &pair.0, &pair.1).unwrap();
                let testimony = read(&signed.octets).unwrap();
                assert_eq!(testimony.signature, SignatureState::Valid);
                assert_eq!((testimony.signal, testimony.event_time), (signal, noon()));
                assert_eq!(testimony.identifier, rem.identifier);
                assert_eq!(testimony.message_id.as_deref(), Some("1@sender"));
                assert_eq!(testimony.sender.as_deref(), Some(rem.sender.as_str()));
                assert_eq!(testimony.recipients, [rem.recipient]);
                assert_eq!(testimony.digest.unwrap().1, [9; 32]);
                assert_eq!(testimony.signer.unwrap().der(), pair.0.der());
                assert_eq!(testimony.root.local(), signed.action);
                assert_eq!(testimony.quirks.is_empty(), spelling == Spelling::Etsi);
            }
        }
    }
}

#[test]
fn evidence_is_valid_by_the_schema_and_by_xmlsec1() {
    let Some(schemas) = vectors("sbdh/schemas") else { return };
    let pair = rsa();
    let folder = tempfile::tempdir().unwrap();
    for (n, (happening, _)) in happenings().into_iter().enumerate() {
        let file = folder.path().join(format!("{n}.xml"));
        std::fs::write(&file, build(&new(happening), &pair.0, &pair.1).unwrap().octets).unwrap();
        let schema = schemas.join("TS02640_v2.xsd");
        // libxml2 takes an xs:integer of 24 digits at most, and the serial number of a certificate may have more.
        let text = std::fs::read_to_string(&file).unwrap().replace(&pair.0.serial_decimal(), "1");
        let short = folder.path().join(format!("{n}-short-serial.xml"));
        std::fs::write(&short, text).unwrap();
        run(Command::new("xmllint").arg("--nonet").arg("--noout").arg("--schema").arg(schema).arg(&short));
        let trusted = folder.path().join("trusted.pem");
        std::fs::write(&trusted, pair.0.x509().to_pem().unwrap()).unwrap();
        let mut xmlsec1 = Command::new("xmlsec1");
        xmlsec1
            .args(["--verify", "--id-attr:Id", "SignedProperties", "--trusted-pem"])
            .arg(&trusted)
            .arg(&file);
        run(&mut xmlsec1);
    }
}

/// Runs an oracle that may not be installed.
fn run(oracle: &mut Command) {
    match oracle.output() {
        Err(_) => eprintln!("skipped: {:?} is not installed", oracle.get_program()),
        Ok(output) => {
            assert!(output.status.success(), "{oracle:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn changed_evidence_does_not_hold() {
    let pair = rsa();
    let text =
        String::from_utf8(build(&new(Happening::AtDisposal), &pair.0, &pair.1).unwrap().octets).unwrap();
    for (from, to) in [
        ("#Delivery<", "#NonDelivery<"),
        ("1@sender", "2@sender"),
        ("<ds:X509SerialNumber>", "<ds:X509SerialNumber>1"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        let state = read(changed.as_bytes()).unwrap().signature;
        assert!(matches!(state, SignatureState::Invalid(_)), "{from}: {state:?}");
    }
    let start = text.find("<ds:Signature ").unwrap();
    let end = text.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
    let unsigned = [&text[..start], &text[end..]].concat();
    assert_eq!(read(unsigned.as_bytes()).unwrap().signature, SignatureState::Absent);
}

#[test]
fn peers_evidence_is_read_and_its_weak_signatures_are_not_believed() {
    let Some(folder) = vectors("sbdh/rem") else { return };
    let of = |name: &str| read(&std::fs::read(folder.join(name)).unwrap()).unwrap();
    for name in ["ecodex-msg1-SUBMISSION_ACCEPTANCE.xml", "ecodex-msg2-SUBMISSION_ACCEPTANCE.xml"] {
        let testimony = of(name);
        assert_eq!(testimony.root, Root::SubmissionAcceptanceRejection);
        assert_eq!((testimony.event, testimony.signal), (Some(Event::Acceptance), Signal::Accepted));
        // `MD5` in one, the bare word `SHA-256` in the other: neither names an algorithm that proves anything.
        assert!(testimony.quirks.iter().any(|q| matches!(q, Quirk::WeakDigest(_))), "{:?}", testimony.quirks);
        assert!(testimony.quirks.contains(&Quirk::Missing("MessageIdentifierByREMMD")));
        assert!(matches!(testimony.signature, SignatureState::Unsupported(_)), "{:?}", testimony.signature);
    }
    let delivery = of("vefa-sample-rem.xml");
    assert_eq!((delivery.event, delivery.signal), (Some(Event::Delivery), Signal::Consigned));
    assert_eq!(delivery.message_id.as_deref(), Some("egvp_hb_13668033503192911513881093559397"));
    assert_ne!(delivery.signature, SignatureState::Valid, "the file was indented after signing");
}

#[test]
fn what_is_no_evidence_is_refused() {
    assert!(matches!(read(b"<a/>"), Err(Error::UnknownRoot { .. })));
    assert!(matches!(read(b"not xml"), Err(Error::Xml(_))));
    let empty = format!("<DeliveryNonDeliveryToRecipient xmlns='{NAMESPACE}'/>");
    assert!(matches!(read(empty.as_bytes()), Err(Error::Malformed { .. })));
}

#[test]
fn only_the_party_that_the_message_went_to_may_testify() {
    let (party, stranger) = (rsa(), testing::self_signed("CN=stranger", testing::LONG));
    let ca = testing::ca("CN=evidence CA");
    let service = testing::issued("CN=evidence service", &ca, testing::LONG);
    let testimony =
        |pair: &Pair| read(&build(&new(Happening::Taken), &pair.0, &pair.1).unwrap().octets).unwrap();
    let original = Original {
        to: ("them".to_owned(), None),
        original_sender: Some("s::1".to_owned()),
        final_recipient: Some("r::2".to_owned()),
    };
    let courier = Courier {
        from: ("them".to_owned(), None),
        original_sender: Some("r::2".to_owned()),
        final_recipient: Some("s::1".to_owned()),
        signer: party.0.clone(),
    };
    let (nobody, anchors) = (TrustStore::new(Vec::new()), TrustStore::new(vec![ca.0.clone()]));
    let by = |testimony: &Testimony, courier: &Courier, trust: &TrustStore| {
        let believed = |signer: &Certificate, extra: &[Certificate]| {
            trust.judge(signer, extra, noon()) == Trust::Trusted
        };
        weigh(testimony, courier, Some(&original), &believed)
    };
    assert_eq!(by(&testimony(&party), &courier, &nobody), Weight::Counts);
    assert_eq!(by(&testimony(&service), &courier, &anchors), Weight::Counts);
    assert!(matches!(by(&testimony(&service), &courier, &nobody), Weight::None(_)));
    assert!(matches!(by(&testimony(&stranger), &courier, &anchors), Weight::None(_)));
    let other = Courier { from: ("others".to_owned(), None), ..courier.clone() };
    assert!(matches!(by(&testimony(&party), &other, &nobody), Weight::None(_)));
    let unswapped = Courier {
        original_sender: Some("s::1".to_owned()),
        final_recipient: Some("r::2".to_owned()),
        ..courier.clone()
    };
    assert!(matches!(by(&testimony(&party), &unswapped, &nobody), Weight::None(_)));
    assert_eq!(weigh(&testimony(&party), &courier, None, &|_, _| true), Weight::Orphan);
    let mut unsigned = testimony(&party);
    unsigned.signature = SignatureState::Absent;
    assert!(matches!(by(&unsigned, &courier, &nobody), Weight::None(_)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_text_survives(why in "\\PC{1,40}", id in "[!-~]{1,40}", who in "\\PC{1,20}") {
        let (certificate, key) = testing::self_signed("CN=ec", testing::LONG);
        let rem = NewRem { message_id: id.clone(), issuer: who, ..new(Happening::Refused(why.clone())) };
        let testimony = read(&build(&rem, &certificate, &key).unwrap().octets).unwrap();
        prop_assert_eq!(testimony.signature, SignatureState::Valid);
        prop_assert_eq!(testimony.message_id, Some(id));
        let details = testimony.reasons[0].details.clone().unwrap_or_default();
        prop_assert_eq!(details, why.trim());
    }

    #[test]
    fn no_octets_panic_the_reader(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&octets);
        let _ = dossier::verify(&octets);
    }
}

fn dossier_with(pair: &Pair) -> dossier::Dossier {
    let policy = Policy::for_profile(EvidenceProfile::Rem);
    let rem = build(&new(Happening::Taken), &pair.0, &pair.1).unwrap().octets;
    let identifier = new(Happening::Taken).identifier;
    let rows = [
        (
            Row::acceptance(noon(), Acceptance { policy, profile: EvidenceProfile::Rem }),
            "acceptance",
            b"{}".to_vec(),
        ),
        (Row::remote(Signal::Taken, noon(), noon(), identifier), "rem", rem),
    ];
    let (mut chain, mut folded, mut previous) = (Vec::new(), Vec::new(), START);
    for (sequence, (mut row, format, raw)) in (1..).zip(rows) {
        row.sequence = sequence;
        let digest =
            RawDigest { format: format.to_owned(), issuer: None, sha256: openssl::sha::sha256(&raw) };
        let link = Link::new("recipient-1", &row, &digest, &previous);
        previous = link.hash().unwrap();
        chain.push(dossier::Entry { link, raw });
        folded.push(row);
    }
    let leaf = Leaf { recipient: "recipient-1".to_owned(), sequence: 2, head: hex::encode(previous) };
    let leaves = [Leaf { recipient: "other".to_owned(), sequence: 1, head: "00".to_owned() }, leaf.clone()];
    let checkpoint = Checkpoint {
        number: 1,
        at: noon().to_string(),
        leaves: 2,
        root: hex::encode(merkle_root(&leaves)),
        previous: hex::encode(START),
    };
    dossier::Dossier {
        subject: dossier::Subject {
            recipient: "recipient-1".to_owned(),
            submission: "submission-1".to_owned(),
            client_id: "a".to_owned(),
            address: "0088.123@EU".to_owned(),
            participant: None,
            original_sender: "s::1".to_owned(),
            message_ids: vec!["1@sender".to_owned()],
            payloads: vec!["00".to_owned()],
        },
        chain,
        record: fold(&folded),
        envelope: Some(b"<Envelope/>".to_vec()),
        messaging: Some(b"<eb:Messaging/>".to_vec()),
        references: vec![SignedReference {
            uri: "#m".to_owned(),
            transforms: Vec::new(),
            digest_method: String::new(),
            digest_value: vec![1],
        }],
        certificates: vec![pair.0.clone()],
        proofs: vec![dossier::Proof { checkpoint, leaf, steps: merkle_proof(&leaves, 1) }],
    }
}

#[test]
fn a_dossier_proves_itself() {
    let pair = rsa();
    let dossier = dossier_with(&pair);
    let zip = dossier::export(&dossier).unwrap();
    assert!(zip == dossier::export(&dossier).unwrap(), "the same dossier gives the same octets");
    let report = dossier::verify(&zip).unwrap();
    assert!(report.is_good(), "{:#?}", report.checks);
    assert!(report.checks.iter().all(|c| c.ok == Some(true)), "{:#?}", report.checks);
    assert_eq!(report.record.delivery.latvian(), "Piegādāts");
}

/// One way to forge a dossier.
type Forgery = Box<dyn Fn(&mut dossier::Dossier)>;

#[test]
fn a_forged_dossier_betrays_itself() {
    let pair = rsa();
    let forgeries: Vec<(&str, Forgery)> = vec![
        ("chain", Box::new(|d| d.chain[0].link.detail = Some("forged".to_owned()))),
        ("octets", Box::new(|d| d.chain[1].raw.push(b' '))),
        ("status", Box::new(|d| d.record.delivered_at = None)),
        ("checkpoint 1", Box::new(|d| d.proofs[0].leaf.sequence = 1)),
        ("checkpoint 1", Box::new(|d| d.proofs[0].steps[0].left = false)),
        ("chain", Box::new(|d| d.chain.swap(0, 1))),
    ];
    for (expected, forge) in forgeries {
        let mut dossier = dossier_with(&pair);
        forge(&mut dossier);
        let report = dossier::verify(&dossier::export(&dossier).unwrap()).unwrap();
        let bad: Vec<&str> =
            report.checks.iter().filter(|c| c.ok == Some(false)).map(|c| c.name.as_str()).collect();
        assert!(bad.contains(&expected), "{expected}: {bad:?}");
    }
}

#[test]
fn certificates_are_kept_under_their_fingerprint() {
    let pair = rsa();
    let zip = dossier::export(&dossier_with(&pair)).unwrap();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap();
    let name = format!("certificates/{}.pem", pair.0.sha256_hex());
    let mut pem = Vec::new();
    std::io::Read::read_to_end(&mut archive.by_name(&name).unwrap(), &mut pem).unwrap();
    assert_eq!(Certificate::from_pem(&pem).unwrap().der(), pair.0.der());
}
