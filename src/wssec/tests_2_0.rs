//! eDelivery AS4 2.0: sealed and opened again under both kinds of keys, alone and beside RSA.

use std::sync::LazyLock;

use proptest::prelude::*;

use crate::clock::Timestamp;
use crate::pki::testing::{Options, Pair, ca, certificate, certificate_of, ec_key, ed25519_key, x25519_key};
use crate::pki::{Certificate, Entry};
use crate::xml::{Document, Limits};
use crate::xmlsec::TokenKind;

use super::names::{EB, WSU};
use super::*;

/// A sender and a recipient with RSA, Ed25519 / X25519 and P-256 keys each.
struct World {
    signing: SigningKeys,
    recipient: [Pair; 3],
    known: Vec<Certificate>,
}

const RSA: usize = 0;
const EDDSA: usize = 1;
const EC: usize = 2;

static WORLD: LazyLock<World> = LazyLock::new(made);

/// RSA keys take long to make: one world for all cases.
fn world() -> &'static World {
    &WORLD
}

fn made() -> World {
    let issuer = ca("CN=ca");
    let options = || Options { rsa: true, ..Options::default() };
    let signing_key =
        |(certificate, key): Pair| SigningKey { certificate, chain: vec![issuer.0.clone()], key };
    let leaf = |key| certificate_of(key, "CN=sender", &options(), Some(&issuer));
    let keys = [certificate("CN=sender", &options(), Some(&issuer)), leaf(ed25519_key()), leaf(ec_key())];
    let leaf = |key| certificate_of(key, "CN=recipient", &options(), Some(&issuer));
    let recipient =
        [certificate("CN=recipient", &options(), Some(&issuer)), leaf(x25519_key()), leaf(ec_key())];
    let known = keys.iter().chain(&recipient).map(|(certificate, _)| certificate.clone()).collect();
    World { signing: SigningKeys::new(keys.map(signing_key).into()), recipient, known }
}

fn policy(kind: usize) -> SecurityPolicy {
    match kind {
        RSA => SecurityPolicy::edelivery_1_15(),
        EDDSA => SecurityPolicy::edelivery_2_0_eddsa(),
        _ => SecurityPolicy::edelivery_2_0_ec(),
    }
}

fn messaging() -> String {
    format!(
        "<eb:Messaging xmlns:eb=\"{EB}\" xmlns:wsu=\"{WSU}\" wsu:Id=\"msg-1\"><eb:UserMessage>1</eb:UserMessage></eb:Messaging>"
    )
}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

impl World {
    fn seal(&self, parts: &[Vec<u8>], policy: &SecurityPolicy, recipient: usize) -> Result<Sealed, Error> {
        let cids: Vec<String> = (0..parts.len()).map(|n| format!("part-{n}@x")).collect();
        let parts: Vec<_> = parts
            .iter()
            .zip(&cids)
            .map(|(octets, cid)| PartToSeal {
                cid,
                media_type: "application/gzip",
                digest: openssl::sha::sha256(octets),
            })
            .collect();
        let signing = self.signing.for_policy(policy)?;
        seal(&messaging(), &parts, policy, signing, Some(&self.recipient[recipient].0))
    }

    fn open(&self, envelope: &[u8], policy: &SecurityPolicy) -> Result<Verified, Error> {
        let document =
            Document::parse(envelope, &Limits::default()).map_err(|e| Error::structure(e.to_string()))?;
        let header = Header::locate(&document)?;
        let signed = header.judge_policy(&document, policy, now())?;
        let signer = signed.signer(&self.known)?;
        signed.verify(signer, &self.ours())
    }

    /// All keys of the recipient: the message's reference has to choose.
    fn ours(&self) -> Vec<Entry> {
        let entry = |(certificate, key): &Pair| Entry {
            certificate: Some(certificate.clone()),
            private_key: Some(key.clone()),
            ..Entry::default()
        };
        self.recipient.iter().map(entry).collect()
    }
}

fn wire(key: &ContentKey, plain: &[u8]) -> Vec<u8> {
    let (mut encryptor, mut wire) = (key.encryptor().unwrap(), Vec::new());
    encryptor.push(plain, &mut wire).unwrap();
    encryptor.finish(&mut wire).unwrap();
    wire
}

fn received(verified: &Verified, cid: &str, wire: &[u8]) -> Result<Vec<u8>, Error> {
    let mut verifier = verified.attachment(cid, "application/octet-stream", true)?;
    let mut plain = Vec::new();
    verifier.push(wire, &mut |octets| plain.extend_from_slice(octets))?;
    verifier.finish(&mut |octets| plain.extend_from_slice(octets))?;
    Ok(plain)
}

#[test]
fn each_profile_signs_and_encrypts_by_its_own_keys_and_refuses_the_others() {
    let world = world();
    let signatures = ["#rsa-sha256", "#eddsa-ed25519", "#ecdsa-sha256"];
    for kind in [RSA, EDDSA, EC] {
        for token in
            [TokenForm::BinarySecurityToken, TokenForm::SubjectKeyIdentifier, TokenForm::IssuerSerial]
        {
            let rules = policy(kind).with_tokens(policy(kind).signing_token, token);
            let sealed = world.seal(&[b"one".to_vec()], &rules, kind).unwrap();
            let text = String::from_utf8(sealed.envelope.clone()).unwrap();
            assert!(text.contains(&format!("{}\"></ds:SignatureMethod>", signatures[kind])), "{text}");
            let verified = world.open(&sealed.envelope, &rules).unwrap();
            let octets = wire(sealed.content_key.as_ref().unwrap(), b"one");
            assert_eq!(received(&verified, "part-0@x", &octets).unwrap(), b"one");
            for other in [RSA, EDDSA, EC].into_iter().filter(|other| *other != kind) {
                let refused = world.open(&sealed.envelope, &policy(other)).err();
                assert!(refused.is_some_and(|error| error.is_policy()), "{kind} under {other}");
            }
        }
    }
}

#[test]
fn where_both_kinds_are_allowed_the_recipient_decides() {
    let world = world();
    let rules = SecurityPolicy::edelivery_2_0();
    for (kind, method) in [(EDDSA, "eddsa-ed25519"), (EC, "ecdsa-sha256")] {
        let recipient = &world.recipient[kind].0;
        let towards = rules.clone().preferring_kin_of(recipient);
        let sealed = world.seal(&[b"x".to_vec()], &towards, kind).unwrap();
        assert!(String::from_utf8(sealed.envelope.clone()).unwrap().contains(method));
        assert!(world.open(&sealed.envelope, &rules).is_ok());
        assert!(world.open(&sealed.envelope, &policy(kind)).is_ok());
    }
    let certificates: Vec<Certificate> = world.recipient.iter().map(|(c, _)| c.clone()).collect();
    assert_eq!(rules.recipient(&certificates), Some(&certificates[EDDSA]));
    assert_eq!(policy(EC).recipient(&certificates), Some(&certificates[EC]));
    assert_eq!(policy(RSA).recipient(&certificates[1..]), None);
}

#[test]
fn nothing_is_sealed_by_or_for_a_key_of_another_profile() {
    let world = world();
    for (rules, recipient) in [(RSA, EDDSA), (RSA, EC), (EDDSA, RSA), (EDDSA, EC), (EC, RSA), (EC, EDDSA)] {
        let refused = world.seal(&[b"x".to_vec()], &policy(rules), recipient).err();
        assert!(matches!(refused, Some(Error::Configuration(_))), "{rules} for {recipient}");
    }
    let only_rsa = SigningKeys::new(world.signing.iter().take(1).cloned().collect());
    assert!(matches!(only_rsa.for_policy(&policy(EDDSA)), Err(Error::Configuration(_))));
}

#[test]
fn the_signing_token_is_the_path_and_signals_are_signed_likewise() {
    let world = world();
    for kind in [EDDSA, EC] {
        let rules = policy(kind).for_signals();
        let signing = world.signing.for_policy(&rules).unwrap();
        let envelope = seal_signal(&messaging(), "msg-1", &rules, signing).unwrap();
        let document = Document::parse(&envelope, &Limits::default()).unwrap();
        let header = Header::locate(&document).unwrap();
        assert!(rules.accepts_signature(header.shown_signature(&document).unwrap()));
        let signer = header.judge_policy(&document, &rules, now()).unwrap().signer(&[]).unwrap();
        assert_eq!((signer.kind, signer.chain.len()), (TokenKind::X509PkiPathv1, 1));
        assert!(world.open(&envelope, &rules).is_ok());
    }
}

#[test]
fn another_pseudo_random_function_is_against_the_policy() {
    let world = world();
    let sealed = world.seal(&[b"x".to_vec()], &policy(EDDSA), EDDSA).unwrap();
    let text = String::from_utf8(sealed.envelope).unwrap().replace("#hmac-sha256", "#hmac-sha512");
    assert!(world.open(text.as_bytes(), &policy(EDDSA)).err().unwrap().is_policy());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_parts_come_out_as_they_went_in(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..6),
        ec: bool,
    ) {
        let (world, kind) = (world(), if ec { EC } else { EDDSA });
        let sealed = world.seal(&parts, &policy(kind), kind).unwrap();
        let verified = world.open(&sealed.envelope, &policy(kind)).unwrap();
        prop_assert_eq!(verified.references(), sealed.references.as_slice());
        prop_assert_eq!(verified.cids().count(), parts.len());
        for (n, plain) in parts.iter().enumerate() {
            let octets = wire(sealed.content_key.as_ref().unwrap(), plain);
            prop_assert_eq!(&received(&verified, &format!("part-{n}@x"), &octets).unwrap(), plain);
        }
    }

    /// An octet that a reader does not look at (white space between attributes, say) may change; then the message must be
    /// the same. One of the wrapped key (which no signature covers) shows at the part's tag, as `xmlsec::wrap` means it to.
    #[test]
    fn no_changed_octet_changes_what_is_read(at: prop::sample::Index, bits in 1u8..=127, ec: bool) {
        let (world, kind) = (world(), if ec { EC } else { EDDSA });
        let plain = b"a payload".to_vec();
        let sealed = world.seal(std::slice::from_ref(&plain), &policy(kind), kind).unwrap();
        let octets = wire(sealed.content_key.as_ref().unwrap(), &plain);
        let mut envelope = sealed.envelope.clone();
        let at = at.index(envelope.len());
        envelope[at] ^= bits;
        if let Ok(verified) = world.open(&envelope, &policy(kind)) {
            prop_assert_eq!(verified.references(), sealed.references.as_slice());
            let read = received(&verified, "part-0@x", &octets);
            prop_assert!(read == Ok(plain.clone()) || read == Err(Error::Decryption), "{:?}", read);
        }
        let mut bent = octets.clone();
        let at = at % bent.len();
        bent[at] ^= bits;
        let verified = world.open(&sealed.envelope, &policy(kind)).unwrap();
        prop_assert_eq!(received(&verified, "part-0@x", &bent), Err(Error::Decryption));
    }
}
