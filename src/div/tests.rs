//! The recorded clients' envelopes read, verify and open as recorded; our own are valid, and no changed one passes.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use openssl::pkey::{PKey, Private};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::clock::Timestamp;
use crate::mime::{ContentType, Event, Limits as MimeLimits, PushParser, cid_of_href};
use crate::pki::testing::{self, Pair};
use crate::pki::{Certificate, TrustStore};
use crate::xml::{Document, Element, Limits};
use crate::xmlsec::decode_base64;

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

/// A recorded request or answer: the SOAP document and its other MIME parts by Content-ID.
struct Recorded {
    soap: Vec<u8>,
    parts: BTreeMap<String, Vec<u8>>,
}

fn recorded(file: &Path) -> Recorded {
    let mut octets = std::fs::read(file).unwrap();
    if file.extension().is_some_and(|e| e == "gz") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&octets[..]).read_to_end(&mut plain).unwrap();
        octets = plain;
    }
    let end = octets.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&octets[..end]).into_owned();
    let body = octets[end + 4..].to_vec();
    let content_type = head.lines().find_map(|l| {
        let (name, value) = l.split_once(':')?;
        name.eq_ignore_ascii_case("content-type").then(|| value.trim().to_owned())
    });
    match content_type.filter(|t| t.starts_with("multipart/")) {
        Some(content_type) => multipart(&content_type, &body),
        None => Recorded { soap: body, parts: BTreeMap::new() },
    }
}

fn multipart(content_type: &str, body: &[u8]) -> Recorded {
    let limits = MimeLimits { root_octets: 16 << 20, ..MimeLimits::default() };
    let mut parser = PushParser::new(&ContentType::parse(content_type).unwrap(), limits).unwrap();
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    parser
        .push(body, &mut |event| {
            match event {
                Event::PartStart(headers) => all.push((headers.content_id.unwrap_or_default(), Vec::new())),
                Event::Data(data) => all.last_mut().unwrap().1.extend_from_slice(data),
                _ => {}
            }
            Ok::<(), crate::mime::Error>(())
        })
        .unwrap();
    parser.finish().unwrap();
    let soap = all.remove(0).1;
    Recorded { soap, parts: all.into_iter().collect() }
}

impl Recorded {
    fn document(&self) -> Document {
        let limits = Limits { max_octets: 16 << 20, ..Limits::default() };
        Document::parse(&self.soap, &limits).unwrap()
    }

    /// Octets of each attachment by ContentId, as on the wire.
    fn attachments(&self) -> BTreeMap<String, Vec<u8>> {
        let document = self.document();
        let inputs = document.root().descendants().filter(|e| e.local() == "AttachmentInput");
        inputs.map(|input| (named(input, "ContentId").unwrap().text(), self.contents(input))).collect()
    }

    fn contents(&self, input: Element<'_>) -> Vec<u8> {
        let contents = named(input, "Contents").unwrap();
        match named(contents, "Include") {
            Some(include) => self.parts[&cid_of_href(include.attribute("href").unwrap()).unwrap()].clone(),
            None => decode_base64(&contents.text()).unwrap(),
        }
    }
}

fn named<'d>(element: Element<'d>, local: &str) -> Option<Element<'d>> {
    element.descendants().find(|e| e.local() == local)
}

fn expected() -> Option<(PathBuf, Vec<Value>)> {
    let folder = vectors("div/recorded")?;
    let text = std::fs::read(folder.join("expected.json")).unwrap();
    Some((folder, serde_json::from_slice(&text).unwrap()))
}

fn connection_key(folder: &Path) -> PKey<Private> {
    PKey::private_key_from_pem(&std::fs::read(folder.join("keys/conn-a.key")).unwrap()).unwrap()
}

#[test]
fn recorded_envelopes_read_and_verify_as_recorded() {
    let Some((folder, cases)) = expected() else { return };
    let signer = Certificate::from_pem(&std::fs::read(folder.join("keys/conn-a.crt")).unwrap()).unwrap();
    let mut seen = 0;
    for case in cases.iter().filter(|case| case.get("envelope").is_some()) {
        let file = case["file"].as_str().unwrap();
        let record = recorded(&folder.join(file));
        let document = record.document();
        let envelope = cut_out(find(&document).unwrap());
        let read = Envelope::parse(envelope.as_bytes()).unwrap();
        assert_eq!(files_as_recorded(&read), case["envelope"]["files"], "{file}");
        let encrypted = read.recipients.iter().filter(|r| r.encryption.is_some()).count();
        assert_eq!(encrypted, case["envelope"]["encrypted_recipients"].as_u64().unwrap() as usize, "{file}");

        let good = case["envelope"]["sender_signature_stand_alone"][0] == "OK";
        let signatures = verify(envelope.as_bytes()).unwrap();
        assert_eq!(signatures.sender().is_ok(), good, "{file}: {:?}", signatures.0[0].state);
        assert_eq!(signatures.0[0].signer.as_ref().unwrap().der(), signer.der(), "{file}");
        let pinned = TrustStore::new(vec![signer.clone()]);
        let at = "2026-11-22T17:00:00Z".parse().unwrap();
        assert_eq!(signatures.trusted_sender(&pinned, at).is_ok(), good, "{file}");
        assert!(signatures.trusted_sender(&TrustStore::new(Vec::new()), at).is_err(), "{file}");
        let in_place = super::verify::check(find(&document).unwrap(), first_signature(&document));
        assert!(in_place.state.is_err(), "{file}: holds inside the SOAP document");
        seen += 1;
    }
    assert!(seen >= 10, "{seen}");
}

fn first_signature(document: &Document) -> Element<'_> {
    let ds = crate::xmlsec::names::DS;
    find(document).unwrap().child(DIV, "Signatures").unwrap().child(ds, "Signature").unwrap()
}

fn files_as_recorded(envelope: &Envelope) -> Value {
    use base64::Engine as _;
    let file = |f: &FileEntry| {
        let mut recorded = serde_json::json!({
            "MimeType": f.mime_type, "Size": f.size.to_string(), "Name": f.name, "ContentReference": f.reference,
            "DigestValue": base64::engine::general_purpose::STANDARD.encode(&f.digest),
            "Compressed": f.compressed.to_string(),
        });
        if let Some(number) = f.appendix_number {
            recorded["AppendixNumber"] = number.to_string().into();
        }
        recorded
    };
    envelope.files.iter().map(file).collect()
}

#[test]
fn recorded_attachments_open() {
    let Some((folder, cases)) = expected() else { return };
    let key = connection_key(&folder);
    let mut opened = 0;
    for case in cases.iter().filter(|c| c.get("envelope").is_some() && c.get("attachments").is_some()) {
        let file = case["file"].as_str().unwrap();
        let record = recorded(&folder.join(file));
        let document = record.document();
        let envelope = Envelope::read(find(&document).unwrap()).unwrap();
        let info = envelope.encryption_for("774f67dadfc1d88ebba6c5b7aecb35aeada6e802");
        let info = info.or_else(|| envelope.recipients[0].encryption.as_ref());
        let content_key = info.map(|info| unwrap_key(info, &key).unwrap());
        let attachments = record.attachments();
        for entry in &envelope.files {
            let octets = &attachments[&entry.reference];
            let mut plain = Vec::new();
            let result =
                open_attachment(entry, content_key.as_ref(), &mut Cursor::new(octets), &mut plain, 1 << 20)
                    .unwrap();
            let by_ciphertext = file == "eadrese/send-encrypted.http";
            assert_eq!(result.digest_of_ciphertext, by_ciphertext, "{file}");
            assert_eq!(result.size, plain.len() as u64);
            assert!(by_ciphertext || result.size == entry.size, "{file}");
            opened += 1;

            let mut changed = octets.clone();
            changed[0] ^= 1;
            let mut sink = Vec::new();
            let refused =
                open_attachment(entry, content_key.as_ref(), &mut Cursor::new(changed), &mut sink, 1 << 20);
            assert!(matches!(refused, Err(Error::Attachment { .. })), "{file}: {refused:?}");
            let small =
                open_attachment(entry, content_key.as_ref(), &mut Cursor::new(octets), &mut Vec::new(), 5);
            assert!(matches!(small, Err(Error::Attachment { .. })), "{file}: over the limit");
        }
    }
    assert!(opened >= 8, "{opened}");
}

/// The envelope that an answer gave, stand-alone.
fn envelope_of(file: &Path) -> Vec<u8> {
    cut_out(find(&recorded(file).document()).unwrap()).into_bytes()
}

#[test]
fn recorded_answers_carry_two_good_signatures() {
    let Some(folder) = vectors("div/recorded") else { return };
    for file in
        ["java/get-message.response", "java/get-message-no-attachment.response", "zeep/get-message.response"]
    {
        let octets = envelope_of(&folder.join(file));
        let signatures = verify(&octets).unwrap();
        let roles: Vec<(&Role, bool)> = signatures.0.iter().map(|s| (&s.role, s.state.is_ok())).collect();
        assert_eq!(roles, [(&Role::Sender, true), (&Role::Server, true)], "{file}: {signatures:?}");
        let server = Envelope::parse(&octets).unwrap().server.unwrap();
        assert!(!server.reference.is_empty() && server.available.is_some());
    }
}

#[test]
fn recorded_confirmations_hold_against_their_envelopes() {
    let Some(folder) = vectors("div/recorded") else { return };
    for (answer, request, accepted) in [
        ("java/get-message.response", "java/confirm-accept.http", true),
        ("java/get-message-no-attachment.response", "java/confirm-reject.http", false),
        ("zeep/get-message.response", "zeep/confirm-accept.http", true),
    ] {
        let document = recorded(&folder.join(request)).document();
        let part = cut_out(named(document.root(), "RecipientConfirmationPart").unwrap());
        let envelope = envelope_of(&folder.join(answer));
        let (confirmation, check) = check_confirmation(&envelope, part.as_bytes()).unwrap();
        assert_eq!(check.state, Ok(()), "{request}");
        assert_eq!(confirmation.accepted, accepted);
        assert_eq!(confirmation.code.is_some(), !accepted);
        assert_eq!(confirmation.recipients, ["_DEFAULT@90000000001"]);
        let changed = part.replace("<E-Address>_", "<E-Address>x");
        assert!(check_confirmation(&envelope, changed.as_bytes()).unwrap().1.state.is_err());
    }
}

fn rsa() -> Pair {
    testing::certificate(
        "C=LV,O=Test,CN=gateway",
        &testing::Options { rsa: true, ..Default::default() },
        None,
    )
}

fn new_envelope() -> NewEnvelope {
    NewEnvelope {
        sender: "GATEWAY@90000000001".to_owned(),
        sender_ref: reference_number("POP000123", "1@sender"),
        author: "iso6523-actorid-upis::0088:123".to_owned(),
        title: "Message from <someone> & \"others\", āčē".to_owned(),
        recipients: vec!["_DEFAULT@90000000001".to_owned(), "_PRIVATE@01019012345".to_owned()],
        files: vec![
            NewFile {
                name: "a.pdf".to_owned(),
                mime_type: "application/pdf".to_owned(),
                size: 3,
                sha512: openssl::sha::sha512(b"abc"),
            },
            NewFile {
                name: "original-envelope.xml".to_owned(),
                mime_type: "application/xml".to_owned(),
                size: 0,
                sha512: openssl::sha::sha512(b""),
            },
        ],
        at: noon(),
        deadline: Some(noon()),
        trace: Some("DIV-000001".to_owned()),
    }
}

#[test]
fn a_new_envelope_reads_back_holds_and_is_valid_by_the_schema() {
    let (certificate, key) = rsa();
    let new = new_envelope();
    let octets = build(&new, &certificate, &key).unwrap();
    let read = Envelope::parse(&octets).unwrap();
    assert_eq!((&read.title, &read.authors[0], &read.sender), (&new.title, &new.author, &new.sender));
    assert_eq!(read.sender_ref, new.sender_ref);
    assert_eq!(read.recipients.iter().map(|r| r.address.clone()).collect::<Vec<_>>(), new.recipients);
    assert_eq!((read.kind.as_str(), read.deadline, read.notify), ("DOC_EMPTY", new.deadline, true));
    assert_eq!(read.traces, ["DIV-000001"]);
    let mut plain = Vec::new();
    open_attachment(&read.files[0], None, &mut Cursor::new(b"abc"), &mut plain, 10).unwrap();
    let signatures = verify(&octets).unwrap();
    let trust = TrustStore::new(vec![certificate.clone()]);
    assert_eq!(signatures.trusted_sender(&trust, noon()).unwrap().der(), certificate.der());

    let text = String::from_utf8(octets).unwrap();
    for (from, to) in [
        ("a.pdf", "b.pdf"),
        ("12:00:00Z</SigningTime>", "13:00:00Z</SigningTime>"),
        ("Id=\"SenderSection\"", ""),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        assert!(verify(changed.as_bytes()).unwrap().sender().is_err(), "{from}");
    }
    let Some(schemas) = vectors("div/reconstructed") else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("envelope.xml");
    std::fs::write(&file, &text).unwrap();
    let schema = schemas.join("ivis.eps.gov.lv/XMLSchemas/100001/DIV/v1-0/DIVEnvelope.xsd");
    run(Command::new("xmllint").arg("--nonet").arg("--noout").arg("--schema").arg(schema).arg(&file));
    let trusted = folder.path().join("trusted.pem");
    std::fs::write(&trusted, certificate.x509().to_pem().unwrap()).unwrap();
    let mut xmlsec1 = Command::new("xmlsec1");
    for name in ["SenderDocument", "SignedProperties"] {
        xmlsec1.args(["--id-attr:Id", name]);
    }
    let mut ordered = Command::new("xmlsec1");
    ordered.arg("--verify").args(xmlsec1.get_args()).arg("--trusted-pem").arg(&trusted).arg(&file);
    run(&mut ordered);
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
fn the_signature_survives_being_sent_inside_soap() {
    let (certificate, key) = rsa();
    let envelope = String::from_utf8(build(&new_envelope(), &certificate, &key).unwrap()).unwrap();
    let soap = format!(
        "<s:Envelope xmlns:s=\"urn:soap\" xmlns:ds=\"urn:other\" xmlns=\"urn:default\"><s:Body>{envelope}</s:Body></s:Envelope>"
    );
    let document = Document::parse(soap.as_bytes(), &Limits::default()).unwrap();
    let cut = cut_out(find(&document).unwrap());
    assert_eq!(cut, envelope);
    let inherited = soap.replace(&format!(" xmlns=\"{DIV}\""), "").replace("urn:default", DIV);
    let document = Document::parse(inherited.as_bytes(), &Limits::default()).unwrap();
    assert!(verify(cut_out(find(&document).unwrap()).as_bytes()).unwrap().sender().is_ok());
}

#[test]
fn a_section_beside_the_signed_one_is_not_read_as_signed() {
    let (certificate, key) = rsa();
    let text = String::from_utf8(build(&new_envelope(), &certificate, &key).unwrap()).unwrap();
    let start = text.find("<SenderDocument").unwrap();
    let end = text.find("</SenderDocument>").unwrap() + "</SenderDocument>".len();
    let signed = &text[start..end];
    let forged = signed.replace("a.pdf", "evil.pdf").replace(" Id=\"SenderSection\"", "");
    let wrapped = [&text[..start], &forged, "<Extra>", signed, "</Extra>", &text[end..]].concat();
    assert_eq!(Envelope::parse(wrapped.as_bytes()).unwrap().files[0].name, "evil.pdf");
    assert!(verify(wrapped.as_bytes()).unwrap().sender().is_err());
}

#[test]
fn a_confirmation_of_ours_holds() {
    let Some(folder) = vectors("div/recorded") else { return };
    let (certificate, key) = rsa();
    let envelope = envelope_of(&folder.join("java/get-message.response"));
    for rejection in [None, Some(("EDEL.SML.NOTFOUND".to_owned(), "Not registered".to_owned()))] {
        let new = NewConfirmation {
            name: "TEST_CONN".to_owned(),
            recipients: vec!["_DEFAULT@90000000001".to_owned()],
            rejection: rejection.clone(),
            at: noon(),
        };
        let part = confirm(&envelope, &new, &certificate, &key).unwrap();
        let (confirmation, check) = check_confirmation(&envelope, &part).unwrap();
        assert_eq!(check.state, Ok(()));
        assert_eq!(check.role, Role::Recipient("TEST_CONN".to_owned()));
        assert_eq!(confirmation.accepted, rejection.is_none());
        let other = envelope_of(&folder.join("java/get-message-no-attachment.response"));
        assert!(check_confirmation(&other, &part).unwrap().1.state.is_err());
    }
}

#[test]
fn what_does_div_not_take_is_refused_before_it_is_signed() {
    let (certificate, key) = testing::self_signed("CN=gateway", testing::LONG);
    let refused = |change: &dyn Fn(&mut NewEnvelope)| {
        let mut new = new_envelope();
        change(&mut new);
        matches!(build(&new, &certificate, &key), Err(Error::Unfit(_)))
    };
    assert!(refused(&|new| new.recipients.clear()));
    assert!(refused(&|new| new.recipients.push("not an address".to_owned())));
    assert!(refused(&|new| new.files = vec![new.files[0].clone(); MOST_FILES + 1]));
    assert!(refused(&|new| new.files[0].name = "a".to_owned()));
    assert!(refused(&|new| new.sender_ref = "x".repeat(51)));
    assert!(!refused(&|_| ()));
}

#[test]
fn reference_numbers_tell_messages_apart() {
    let number = reference_number("POP000123", "1@sender");
    assert_eq!(number.len(), 40);
    assert_eq!(number, reference_number("POP000123", "1@sender"));
    assert_ne!(number, reference_number("POP000124", "1@sender"));
    assert_ne!(reference_number("ab", "c"), reference_number("a", "bc"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn file_names_become_unique_and_harmless(names in prop::collection::vec(prop::option::of("\\PC{0,12}"), 0..12)) {
        let unique = unique_names(names.iter().map(|n| n.as_deref()));
        prop_assert_eq!(unique.len(), names.len());
        let mut lower: Vec<String> = unique.iter().map(|n| n.to_lowercase()).collect();
        lower.sort();
        lower.dedup();
        prop_assert_eq!(lower.len(), unique.len());
        for name in unique {
            prop_assert!((2..=250).contains(&name.chars().count()));
            prop_assert!(!name.contains(['/', '\\']) && !name.starts_with('.'), "{}", name);
        }
    }

    #[test]
    fn any_title_and_author_survive(title in "[!-~āčēģīķļņšūž]{1,60}", author in "[!-~]{1,60}") {
        let (certificate, key) = testing::self_signed("CN=ec", testing::LONG);
        let mut new = new_envelope();
        (new.title, new.author) = (title.clone(), author.clone());
        let octets = build(&new, &certificate, &key).unwrap();
        let read = Envelope::parse(&octets).unwrap();
        prop_assert_eq!((read.title, read.authors[0].clone()), (title, author));
        prop_assert!(verify(&octets).unwrap().sender().is_ok());
    }

    #[test]
    fn no_octets_panic_the_reader(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Envelope::parse(&octets);
        let _ = verify(&octets);
    }
}
