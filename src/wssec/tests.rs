//! Sealed and opened again; and every known way to make a receiver read what was not signed.

use openssl::pkey::PKey;
use openssl::rsa::Rsa;

use crate::clock::Timestamp;
use crate::pki::testing::{LONG, Options, Pair, ca, certificate, certificate_of, self_signed};
use crate::pki::{Certificate, Entry};
use crate::xml::{Document, Limits};
use crate::xmlsec::DigestAlgorithm;

use super::names::{EB, WSSE, WSU};
use super::*;

struct World {
    signing: SigningKey,
    recipient: Pair,
}

fn world() -> World {
    let issuer = ca("CN=ca");
    let rsa = Options { valid: LONG, rsa: true, ..Options::default() };
    let (own, key) = certificate("C=LV,CN=sender", &rsa, Some(&issuer));
    let recipient = certificate("C=EE,O=Ä\\, B,CN=recipient", &rsa, Some(&issuer));
    World { signing: SigningKey { certificate: own, chain: vec![issuer.0], key }, recipient }
}

fn messaging() -> String {
    format!(
        "<eb:Messaging xmlns:eb=\"{EB}\" xmlns:env=\"{}\" xmlns:wsu=\"{WSU}\" env:mustUnderstand=\"true\" wsu:Id=\"msg-1\">\
         <eb:UserMessage><eb:x a=\"ž &gt;\">1</eb:x></eb:UserMessage></eb:Messaging>",
        crate::soap::SOAP12
    )
}

fn sha256(octets: &[u8]) -> [u8; 32] {
    openssl::sha::sha256(octets)
}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn entries(pair: &Pair) -> Vec<Entry> {
    vec![Entry { certificate: Some(pair.0.clone()), private_key: Some(pair.1.clone()), ..Entry::default() }]
}

fn parse(envelope: &[u8]) -> Document {
    Document::parse(envelope, &Limits::default()).unwrap()
}

fn open(world: &World, envelope: &[u8], policy: &SecurityPolicy) -> Result<(Document, Verified), Error> {
    let document = parse(envelope);
    let header = Header::locate(&document)?;
    let known = [world.signing.certificate.clone(), world.recipient.0.clone()];
    let signed = header.judge_policy(&document, policy, now())?;
    let signer = signed.signer(&known)?;
    let verified = signed.verify(signer, &entries(&world.recipient))?;
    Ok((document, verified))
}

fn encrypt(key: &ContentKey, plain: &[u8]) -> Vec<u8> {
    let (mut encryptor, mut wire) = (key.encryptor().unwrap(), Vec::new());
    plain.chunks(7).for_each(|chunk| encryptor.push(chunk, &mut wire).unwrap());
    encryptor.finish(&mut wire).unwrap();
    assert_eq!(wire.len() as u64, sealed_len(plain.len() as u64));
    wire
}

fn receive(verifier: Result<AttachmentVerifier, Error>, wire: &[u8]) -> Result<Vec<u8>, Error> {
    let (mut verifier, mut plain) = (verifier?, Vec::new());
    for chunk in wire.chunks(5) {
        verifier.push(chunk, &mut |octets| plain.extend_from_slice(octets))?;
    }
    verifier.finish(&mut |octets| plain.extend_from_slice(octets))?;
    Ok(plain)
}

const GZIP: &[u8] = b"\x1f\x8b these octets are taken as they are";
const XML: &[u8] = b"<a  b='1'><c/></a >";

fn parts(canonical: &[u8]) -> [PartToSeal<'static>; 2] {
    [
        PartToSeal { cid: "a b@x", media_type: "application/gzip", digest: sha256(GZIP) },
        PartToSeal { cid: "xml@x", media_type: "application/xml", digest: sha256(canonical) },
    ]
}

#[test]
fn what_is_sealed_opens_in_every_token_form() {
    let world = world();
    let parts = parts(b"<a b=\"1\"><c></c></a>");
    let forms = [
        TokenForm::BinarySecurityToken,
        TokenForm::PkiPath,
        TokenForm::SubjectKeyIdentifier,
        TokenForm::IssuerSerial,
    ];
    for (signing, encryption) in forms.iter().zip(forms.iter().rev()) {
        let policy = SecurityPolicy::edelivery_1_15().with_tokens(*signing, *encryption);
        let sealed = seal(&messaging(), &parts, &policy, &world.signing, Some(&world.recipient.0)).unwrap();
        let key = sealed.content_key.unwrap();
        let (document, verified) = open(&world, &sealed.envelope, &policy).unwrap();
        assert_eq!(verified.signer(), &world.signing.certificate);
        assert_eq!(verified.references(), sealed.references);
        assert_eq!(verified.reference_elements(&document).len(), 4);
        assert_eq!(document.element(verified.messaging()).attribute_ns(WSU, "Id"), Some("msg-1"));
        assert_eq!(sha256(&verified.messaging_octets(&document)).to_vec(), sealed.references[0].digest_value);
        let gzip = verified.attachment("a b@x", "application/octet-stream", true);
        assert_eq!(gzip.as_ref().unwrap().media_type(), "application/gzip");
        assert_eq!(receive(gzip, &encrypt(&key, GZIP)).unwrap(), GZIP);
        let xml = verified.attachment("xml@x", "application/octet-stream", false);
        assert_eq!(receive(xml, &encrypt(&key, XML)).unwrap(), b"<a b=\"1\"><c></c></a>");
        verified.complete(["cid:a%20b@x", "cid:xml@x"]).unwrap();
        for wrong in [vec!["cid:xml@x"], vec!["cid:a%20b@x", "cid:xml@x", "cid:more"], vec!["http://x"]] {
            assert!(verified.complete(wrong).unwrap_err().is_authentication());
        }
    }
}

#[test]
fn a_retry_signs_the_same_references_under_a_fresh_key() {
    let world = world();
    let policy = SecurityPolicy::edelivery_1_15();
    let once = || seal(&messaging(), &parts(XML), &policy, &world.signing, Some(&world.recipient.0)).unwrap();
    let (first, second) = (once(), once());
    assert_eq!(first.references, second.references);
    assert_ne!(first.content_key.unwrap().sha256_hex(), second.content_key.unwrap().sha256_hex());
}

#[test]
fn a_signal_is_signed_and_never_encrypted() {
    let world = world();
    let policy = SecurityPolicy::peppol().for_signals();
    let envelope = seal_signal(&messaging(), "msg-1", &policy, &world.signing).unwrap();
    let (_, verified) = open(&world, &envelope, &policy).unwrap();
    assert_eq!(verified.references().len(), 2);
    assert_eq!(verified.cids().count(), 0);
    assert!(matches!(
        seal_signal(&messaging(), "other", &policy, &world.signing),
        Err(Error::Configuration(_))
    ));
    let bare = parse(&unsecured(&messaging()));
    let header = Header::locate(&bare).unwrap();
    assert!(!header.is_signed(&bare));
    assert!(header.judge_policy(&bare, &policy, now()).unwrap_err().is_policy());
}

#[test]
fn a_damaged_part_is_told_as_what_it_is_and_no_more() {
    let world = world();
    let policy = SecurityPolicy::edelivery_1_15();
    let sealed = seal(&messaging(), &parts(XML), &policy, &world.signing, Some(&world.recipient.0)).unwrap();
    let key = sealed.content_key.unwrap();
    let (_, verified) = open(&world, &sealed.envelope, &policy).unwrap();
    let part = |cid: &str| verified.attachment(cid, "x/y", cid == "a b@x");
    let mut wire = encrypt(&key, GZIP);
    wire[20] ^= 1;
    assert_eq!(receive(part("a b@x"), &wire), Err(Error::Decryption));
    assert_eq!(receive(part("a b@x"), &wire[..10]), Err(Error::Decryption));
    let other = ContentKey::random(key.algorithm()).unwrap();
    assert_eq!(receive(part("a b@x"), &encrypt(&other, GZIP)), Err(Error::Decryption));
    // Garbage where XML should be is a decryption failure as long as the tag has not passed.
    assert_eq!(receive(part("xml@x"), &encrypt(&other, XML)), Err(Error::Decryption));
    assert!(receive(part("xml@x"), &encrypt(&key, b"no XML")).unwrap_err().is_authentication());
    assert!(receive(part("a b@x"), &encrypt(&key, b"other octets")).unwrap_err().is_authentication());
    assert!(part("stranger@x").is_err_and(|error| error.is_authentication()));
}

#[test]
fn a_key_that_cannot_be_unwrapped_fails_where_a_wrong_key_fails() {
    let world = world();
    let policy = SecurityPolicy::edelivery_1_15();
    let sealed = seal(&messaging(), &parts(XML), &policy, &world.signing, Some(&world.recipient.0)).unwrap();
    let wire = encrypt(&sealed.content_key.unwrap(), GZIP);
    let text = String::from_utf8(sealed.envelope).unwrap();
    let wrapped = text.find("CipherValue>").unwrap() + "CipherValue>".len();
    let mut bent = text.into_bytes();
    bent[wrapped + 40] = if bent[wrapped + 40] == b'A' { b'B' } else { b'A' };
    let (_, verified) = open(&world, &bent, &policy).expect("the header alone does not tell");
    assert_eq!(receive(verified.attachment("a b@x", "x/y", true), &wire), Err(Error::Decryption));
}

#[test]
fn more_references_than_allowed_are_refused() {
    let world = world();
    let policy = SecurityPolicy::edelivery_1_15();
    let sealed = seal(&messaging(), &parts(XML), &policy, &world.signing, Some(&world.recipient.0)).unwrap();
    assert!(open(&world, &sealed.envelope, &policy.clone().with_most_references(4)).is_ok());
    let refused = open(&world, &sealed.envelope, &policy.with_most_references(3)).err().unwrap();
    assert!(refused.is_structure() && refused.to_string().contains("1 to 3"), "{refused}");
}

#[test]
fn a_message_for_somebody_else_cannot_be_decrypted() {
    let world = world();
    let policy = SecurityPolicy::edelivery_1_15();
    let stranger = self_signed("CN=stranger", LONG);
    let sealed = seal(&messaging(), &parts(XML), &policy, &world.signing, Some(&world.recipient.0)).unwrap();
    let document = parse(&sealed.envelope);
    let header = Header::locate(&document).unwrap();
    let signed = header.judge_policy(&document, &policy, now()).unwrap();
    let signer = signed.signer(&[]).unwrap();
    assert!(matches!(signed.verify(signer, &entries(&stranger)), Err(Error::Decryption)));
}

#[test]
fn parts_in_the_clear_are_against_the_policy() {
    let world = world();
    let policy = SecurityPolicy::edelivery_1_15();
    let sealed = seal(&messaging(), &parts(XML), &policy, &world.signing, None).unwrap();
    assert!(sealed.content_key.is_none());
    assert!(open(&world, &sealed.envelope, &policy).err().unwrap().is_policy());
    let (_, verified) = open(&world, &sealed.envelope, &policy.for_signals()).unwrap();
    assert_eq!(receive(verified.attachment("a b@x", "application/gzip", true), GZIP).unwrap(), GZIP);
}

#[test]
fn an_algorithm_that_is_not_in_the_policy_is_refused_before_it_is_used() {
    let world = world();
    let policy = SecurityPolicy::edelivery_1_15();
    let sealed = seal(&messaging(), &parts(XML), &policy, &world.signing, Some(&world.recipient.0)).unwrap();
    let text = String::from_utf8(sealed.envelope).unwrap();
    for (from, to) in [
        ("xmldsig-more#rsa-sha256", "xmldsig-more#rsa-sha384"),
        ("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1"),
        ("2009/xmlenc11#rsa-oaep", "2001/04/xmlenc#rsa-1_5"),
        ("xmlenc11#mgf1sha256", "xmlenc11#mgf1sha1"),
        ("2009/xmlenc11#aes128-gcm", "2001/04/xmlenc#aes128-cbc"),
        (
            "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"",
            "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        let error = open(&world, text.replacen(from, to, 1).as_bytes(), &policy).err();
        assert!(error.as_ref().is_some_and(Error::is_policy), "{from}: {error:?}");
    }
    let policy = SecurityPolicy::edelivery_2_0();
    assert!(open(&world, text.as_bytes(), &policy).err().unwrap().is_policy());
}

/// The envelope of a signal, and its pieces.
struct Pieces {
    world: World,
    text: String,
    policy: SecurityPolicy,
}

fn pieces() -> Pieces {
    let world = world();
    let policy = SecurityPolicy::edelivery_1_15().for_signals();
    let envelope = seal_signal(&messaging(), "msg-1", &policy, &world.signing).unwrap();
    Pieces { world, text: String::from_utf8(envelope).unwrap(), policy }
}

impl Pieces {
    fn refused(&self, text: &str) -> Error {
        match open(&self.world, text.as_bytes(), &self.policy) {
            Ok(_) => panic!("accepted: {text}"),
            Err(error) => error,
        }
    }
}

fn evil() -> String {
    messaging().replace(">1<", ">evil<")
}

#[test]
fn changed_content_is_refused() {
    let p = pieces();
    assert!(p.refused(&p.text.replace(">1<", ">2<")).is_authentication());
    assert!(p.refused(&p.text.replace("></env:Body>", "><x/></env:Body>")).is_authentication());
    assert!(p.refused(&p.text.replace("Id=\"msg-1\"", "Id=\"msg-2\"")).is_authentication());
    let value = p.text.find("<ds:SignatureValue>").unwrap() + 30;
    let mut octets = p.text.clone().into_bytes();
    octets[value] = if octets[value] == b'A' { b'B' } else { b'A' };
    assert!(p.refused(&String::from_utf8(octets).unwrap()).is_authentication());
}

#[test]
fn a_wrapped_header_is_refused_in_every_variant() {
    let p = pieces();
    let original = messaging();
    let other_id = evil().replace("msg-1", "msg-9");
    // Two headers, the signed one first or second.
    for both in [format!("{original}{other_id}"), format!("{other_id}{original}")] {
        assert!(p.refused(&p.text.replace(&original, &both)).is_structure());
    }
    // The signed one moved aside: into a foreign block, the Security header, a signature object, the Body.
    let aside = |wrapper: &str, place: &str| {
        let moved = p.text.replace(&original, &other_id);
        moved.replacen(place, &format!("{wrapper}{place}").replace("@", &original), 1)
    };
    assert!(p.refused(&aside("<x>@</x>", "<wsse:Security ")).is_authentication());
    assert!(p.refused(&aside("@", "</wsse:Security>")).is_authentication());
    assert!(p.refused(&aside("<ds:Object>@</ds:Object>", "</ds:Signature>")).is_authentication());
    assert!(p.refused(&aside("@", "</env:Body>")).is_authentication());
    // The same id twice.
    for twice in [
        p.text.replace(&original, &format!("{}<x>{original}</x>", evil())),
        p.text.replace(&original, &format!("<x>{original}</x>{}", evil())),
        p.text.replace(&original, &format!("{original}<x Id=\"msg-1\"/>")),
        p.text.replace(&original, &format!("{original}<x xml:id=\"msg-1\"/>")),
    ] {
        assert!(p.refused(&twice).is_structure());
    }
}

#[test]
fn a_wrapped_body_is_refused() {
    let p = pieces();
    let start = p.text.find("<env:Body").unwrap();
    let body = &p.text[start..p.text.find("</env:Envelope>").unwrap()];
    let other = body.replace("body-msg-1", "body-2").replace("></env:Body>", "><evil/></env:Body>");
    let moved =
        p.text.replace(body, &other).replace("<wsse:Security ", &format!("<x>{body}</x><wsse:Security "));
    assert!(p.refused(&moved).is_authentication());
    let second = p.text.replace(body, &format!("{body}{other}"));
    assert!(p.refused(&second).is_structure());
}

#[test]
fn doubled_security_structures_are_refused() {
    let p = pieces();
    let cut = |from: &str, to: &str| {
        let start = p.text.find(from).unwrap();
        p.text[start..p.text.find(to).unwrap() + to.len()].to_owned()
    };
    let signature = cut("<ds:Signature ", "</ds:Signature>");
    let again = signature.replace("Id=\"SIG-", "Id=\"TWO-");
    assert!(p.refused(&p.text.replace(&signature, &format!("{signature}{again}"))).is_structure());
    let second = format!("<wsse:Security xmlns:wsse=\"{WSSE}\"/><wsse:Security ");
    assert!(p.refused(&p.text.replacen("<wsse:Security ", &second, 1)).is_structure());
    let for_ebms = format!("<wsse:Security xmlns:wsse=\"{WSSE}\" env:role=\"ebms\"/><wsse:Security ");
    assert!(open(&p.world, p.text.replacen("<wsse:Security ", &for_ebms, 1).as_bytes(), &p.policy).is_ok());
    let user = "<wsse:UsernameToken/></wsse:Security>";
    assert!(p.refused(&p.text.replace("</wsse:Security>", user)).is_policy());
}

#[test]
fn another_token_than_the_named_one_does_not_verify() {
    let p = pieces();
    let stranger = certificate("CN=stranger", &Options { rsa: true, ..Options::default() }, None);
    use base64::Engine;
    let encode = |c: &Certificate| base64::engine::general_purpose::STANDARD.encode(c.der());
    let swapped = p.text.replace(&encode(&p.world.signing.certificate), &encode(&stranger.0));
    assert!(p.refused(&swapped).is_authentication());
    let start = p.text.find("<wsse:BinarySecurityToken").unwrap();
    let end = p.text.find("</wsse:BinarySecurityToken>").unwrap() + 27;
    let gone = format!("{}{}", &p.text[..start], &p.text[end..]);
    assert!(matches!(p.refused(&gone), Error::Signer(_)));
}

#[test]
fn what_peers_do_differently_is_taken() {
    let p = pieces();
    // Messaging behind Security, further tokens, a Timestamp that holds, an unsigned foreign block.
    let original = messaging();
    let timestamp = format!(
        "<wsu:Timestamp xmlns:wsu=\"{WSU}\"><wsu:Created>2026-11-22T11:59:00Z</wsu:Created>\
         <wsu:Expires>2026-11-22T12:05:00.5Z</wsu:Expires></wsu:Timestamp></wsse:Security>"
    );
    let text = p.text.replace(&original, "");
    let text = text.replace("</env:Header>", &format!("{original}<x/></env:Header>"));
    let text = text.replace("</wsse:Security>", &timestamp);
    assert!(open(&p.world, text.as_bytes(), &p.policy).is_ok());
    let late = text.replace("12:05:00.5Z", "11:50:00Z");
    assert!(matches!(p.refused(&late), Error::Timestamp(_)));
    let early = text.replace("11:59:00Z", "12:06:00Z");
    assert!(matches!(p.refused(&early), Error::Timestamp(_)));
}

#[test]
fn an_id_need_not_begin_with_a_letter() {
    let (world, policy) = (world(), SecurityPolicy::edelivery_1_15());
    let messaging = messaging().replace("msg-1", "52b78acd-43ff-4e1a-8b18-9e00a4f78794");
    let sealed = seal(&messaging, &[], &policy, &world.signing, None).unwrap();
    assert!(open(&world, &sealed.envelope, &policy).is_ok());
}

#[test]
fn a_digest_of_the_reference_is_that_of_the_octets() {
    let world = world();
    let sealed = seal(&messaging(), &[], &SecurityPolicy::edelivery_1_15(), &world.signing, None).unwrap();
    let document = parse(messaging().as_bytes());
    let octets = crate::xml::canonicalize_to_vec(document.root(), &crate::xml::C14n::exclusive(), None);
    assert_eq!(sealed.references[0].digest_value, DigestAlgorithm::Sha256.digest(&octets).unwrap());
}

/// A profile that allows rsa-sha256 does not mean keys that can be broken (SEC-15).
#[test]
fn a_signature_by_a_short_key_is_against_every_profile() {
    let mut world = world();
    let key = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
    let options = Options { valid: LONG, ..Options::default() };
    let (certificate, key) = certificate_of(key, "C=LV,CN=sender", &options, None);
    world.signing = SigningKey { certificate, chain: Vec::new(), key };
    let policy = SecurityPolicy::edelivery_1_15().for_signals();
    let envelope = seal_signal(&messaging(), "msg-1", &policy, &world.signing).unwrap();
    let refused = open(&world, &envelope, &policy).err().unwrap();
    assert!(refused.is_policy() && refused.to_string().contains("1024"), "{refused}");
    assert!(open(&world, &envelope, &SecurityPolicy::any()).is_ok(), "inspection says what it is");
}
