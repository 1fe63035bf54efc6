//! What the acceptance cases cannot show: sealed by us, taken apart by us, and every piece turned against us.

use super::*;
use crate::ebms::{SignedReference, write_receipt};
use crate::pki::testing::{LONG, Options as CertificateOptions, Pair, ca, certificate};
use crate::wssec::{PartToSeal, SigningKey, names::WSU, seal, seal_signal};

const PLAIN: &[u8] = b"these octets";

struct World {
    anchor: Certificate,
    sender: SigningKey,
    recipient: Pair,
}

fn world() -> World {
    let issuer = ca("CN=ca");
    let rsa = CertificateOptions { valid: LONG, rsa: true, ..CertificateOptions::default() };
    let (own, key) = certificate("CN=sender", &rsa, Some(&issuer));
    let recipient = certificate("CN=recipient", &rsa, Some(&issuer));
    World { anchor: issuer.0, sender: SigningKey { certificate: own, chain: Vec::new(), key }, recipient }
}

fn options(world: &World, with_key: bool) -> Options {
    let entry = Entry {
        certificate: Some(world.recipient.0.clone()),
        private_key: with_key.then(|| world.recipient.1.clone()),
        ..Entry::default()
    };
    Options {
        content_type: None,
        profile: Some(Profile::Edelivery115),
        request: None,
        at: "2026-11-22T12:00:00Z".parse().unwrap(),
        certificates: vec![world.recipient.0.clone()],
        entries: vec![entry],
        trust: Some(TrustStore::new(vec![world.anchor.clone()])),
    }
}

fn messaging() -> String {
    let eb = crate::ebms::names::EB;
    format!(
        "<eb:Messaging xmlns:eb=\"{eb}\" xmlns:wsu=\"{WSU}\" wsu:Id=\"msg-1\"><eb:UserMessage><eb:MessageInfo>\
         <eb:Timestamp>2026-11-22T12:00:00Z</eb:Timestamp><eb:MessageId>1@x</eb:MessageId></eb:MessageInfo><eb:PartyInfo>\
         <eb:From><eb:PartyId type=\"t\">a</eb:PartyId><eb:Role>r</eb:Role></eb:From><eb:To><eb:PartyId type=\"t\">b\
         </eb:PartyId><eb:Role>r</eb:Role></eb:To></eb:PartyInfo><eb:CollaborationInfo><eb:Service type=\"t\">s\
         </eb:Service><eb:Action>a</eb:Action><eb:ConversationId>c</eb:ConversationId></eb:CollaborationInfo>\
         <eb:PayloadInfo><eb:PartInfo href=\"cid:p@x\"/></eb:PayloadInfo></eb:UserMessage></eb:Messaging>"
    )
}

/// A whole message, and its references.
fn sent(world: &World) -> (Vec<u8>, Vec<SignedReference>) {
    let part = PartToSeal {
        cid: "p@x",
        media_type: "application/octet-stream",
        digest: openssl::sha::sha256(PLAIN),
    };
    let policy = SecurityPolicy::edelivery_1_15();
    let sealed = seal(&messaging(), &[part], &policy, &world.sender, Some(&world.recipient.0)).unwrap();
    let mut wire = Vec::new();
    let mut encryptor = sealed.content_key.unwrap().encryptor().unwrap();
    encryptor.push(PLAIN, &mut wire).unwrap();
    encryptor.finish(&mut wire).unwrap();
    let head = b"POST /as4 HTTP/1.1\r\nContent-Type: multipart/related; boundary=B; type=\"application/soap+xml\"\r\n\r\n";
    let whole = [
        head.as_slice(),
        b"--B\r\nContent-Type: application/soap+xml\r\n\r\n",
        &sealed.envelope,
        b"\r\n--B\r\nContent-Type: application/octet-stream\r\nContent-ID: <p@x>\r\n\r\n",
        &wire,
        b"\r\n--B--\r\n",
    ]
    .concat();
    (whole, sealed.references)
}

fn codes(report: &Report) -> Vec<&str> {
    report.errors.iter().map(|error| error.code.as_str()).collect()
}

#[test]
fn a_good_message_is_accepted_whole() {
    let world = world();
    let inspection = inspect(&sent(&world).0, &options(&world, true));
    let report = &inspection.report;
    assert_eq!(
        (report.verdict, report.form, report.soap),
        ("accepted", "multipart", Some("1.2")),
        "{report:?}"
    );
    assert_eq!((report.signature.status, report.signature.trust), ("valid", Some("trusted")));
    assert_eq!(report.encryption.status, "decrypted");
    assert_eq!(report.parts[0].size, Some(PLAIN.len() as u64));
    assert_eq!(inspection.payloads, [(Some("p@x".to_owned()), PLAIN.to_vec())]);
}

#[test]
fn what_cannot_be_checked_is_neither_true_nor_false() {
    let world = world();
    let report = inspect(&sent(&world).0, &options(&world, false)).report;
    assert_eq!((report.verdict, report.signature.status), ("rejected", "incomplete"));
    let digests: Vec<_> = report.signature.references.iter().map(|r| r.digest_ok).collect();
    assert_eq!(digests, [Some(true), Some(true), None]);
    assert_eq!((report.encryption.status, &report.encryption.content_key_sha256), ("failed", &None));
    assert_eq!(report.parts[0].sha256, None);
    assert_eq!(codes(&report), ["EBMS:0102"]);
}

#[test]
fn rejected_messages_give_no_payloads() {
    let world = world();
    let (whole, _) = sent(&world);
    let text = whole.iter().map(|octet| char::from(*octet)).collect::<String>();
    let back = |text: String| text.chars().map(|c| c as u8).collect::<Vec<u8>>();
    let evil = back(text.replace("<eb:Action>a<", "<eb:Action>b<"));
    let inspection = inspect(&evil, &options(&world, true));
    assert_eq!((inspection.report.verdict, inspection.report.signature.status), ("rejected", "invalid"));
    assert!(inspection.payloads.is_empty());
    let cut = &whole[..whole.len() - 12];
    assert!(codes(&inspect(cut, &options(&world, true)).report).contains(&"EBMS:0011"));
    let more = back(text.replace("--B--", "--B\r\nContent-ID: <q@x>\r\n\r\nx\r\n--B--"));
    assert_eq!(codes(&inspect(&more, &options(&world, true)).report), ["EBMS:0011"]);
}

#[test]
fn a_receipt_is_held_against_its_request() {
    let world = world();
    let (request, references) = sent(&world);
    let info = crate::ebms::MessageInfo {
        timestamp: "2026-11-22T12:00:01Z".parse().unwrap(),
        message_id: "2@y".into(),
        ref_to_message_id: Some("1@x".into()),
    };
    let document = super::parse(&request[request.windows(5).position(|w| w == b"<?xml").unwrap()..]).err();
    assert!(document.is_some(), "the capture is no XML by itself");
    let element = |reference: &SignedReference| {
        use base64::Engine;
        let transforms: String =
            reference.transforms.iter().map(|t| format!("<ds:Transform Algorithm=\"{t}\"/>")).collect();
        format!(
            "<ds:Reference xmlns:ds=\"{}\" URI=\"{}\"><ds:Transforms>{transforms}</ds:Transforms><ds:DigestMethod \
             Algorithm=\"{}\"/><ds:DigestValue>{}</ds:DigestValue></ds:Reference>",
            crate::ebms::names::DS,
            reference.uri,
            reference.digest_method,
            base64::engine::general_purpose::STANDARD.encode(&reference.digest_value)
        )
    };
    let all: Vec<String> = references.iter().map(element).collect();
    let policy = SecurityPolicy::edelivery_1_15();
    for (repeated, matches) in [(&all[..], true), (&all[1..], false)] {
        let messaging = write_receipt(&info, repeated, "msg-2");
        let envelope = seal_signal(&messaging, "msg-2", &policy, &world.sender).unwrap();
        let with_request = Options { request: Some(request.clone()), ..options(&world, true) };
        let report = inspect(&envelope, &with_request).report;
        assert_eq!(report.receipt_matches, Some(matches));
        assert_eq!(codes(&report), if matches { vec![] } else { vec!["EBMS:0302"] });
        assert_eq!(inspect(&envelope, &options(&world, true)).report.receipt_matches, None);
    }
}

#[test]
fn no_octets_make_it_panic() {
    let world = world();
    let (whole, _) = sent(&world);
    let options = Options { trust: None, ..options(&world, true) };
    for at in (0..whole.len()).step_by(97) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x20;
        inspect(&damaged, &options);
        inspect(&whole[..at], &options);
    }
    for text in ["", "--", "--\n", "<", "A: b\n\n", "HTTP/1.1 200 OK\r\n\r\n<a/>", "--B\n\n<a/>\n--B--"] {
        assert_eq!(inspect(text.as_bytes(), &options).report.verdict, "rejected", "{text}");
    }
}
