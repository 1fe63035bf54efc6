//! Whether keys and certificates are of the kinds that the profiles need.

use openssl::pkey::Id;

use super::file::{Domain, File, KeyUse};
use super::load::Keys;
use super::problems::Problems;
use crate::pki::{Certificate, Entry, key_kind};
use crate::pmode::{Agreement, Agreements, CryptoSuite, Encryption, Profile};

/// Transport profiles whose generation of eDelivery AS4 is told by their name. The one of 2.0 is what SMP software in
/// use writes; the specification names none that we have seen (discovery 4).
const GENERATIONS: [(&str, bool); 3] = [
    ("bdxr-transport-ebms3-as4-v1p0", false),
    ("bdxr-transport-ebms3-as4-v2p0", true),
    ("peppol-transport-as4-v2_0", false),
];

/// Holds every profile that is configured against our own keys.
pub(super) fn check(problems: &mut Problems, file: &File, agreements: &Agreements, keys: &Keys) {
    for agreement in &agreements.agreements {
        let at = format!("agreement {:?}.profile", agreement.id);
        own_keys(problems, &at, &agreement.profile, keys);
    }
    for dynamic in &agreements.dynamic {
        let at = format!("domain {:?}", dynamic.domain);
        own_keys(problems, &format!("{at}.profile"), &dynamic.profile, keys);
        for profile in dynamic.by_transport.values() {
            own_keys(problems, &format!("{at}.profiles"), profile, keys);
        }
    }
    for domain in &file.domains {
        transport_profiles(problems, domain, agreements);
    }
}

/// A key can only do what its kind can.
pub(super) fn judge_uses(problems: &mut Problems, at: &str, entry: &Entry, uses: &[KeyUse]) {
    let Some(key) = &entry.private_key else { return };
    for one in uses {
        let why = match (one, key.id()) {
            (KeyUse::Decrypt, Id::ED25519) => "an Ed25519 key cannot decrypt; X25519 is for that",
            (KeyUse::Sign | KeyUse::Evidence | KeyUse::Div, Id::X25519) => {
                "an X25519 key cannot sign; Ed25519 is for that"
            }
            (KeyUse::Div, Id::ED25519) => "DIV envelopes are signed by RSA or EC keys, not by Ed25519",
            (_, Id::RSA | Id::EC | Id::ED25519 | Id::X25519) => continue,
            _ => "keys of this kind are not supported; known are RSA, EC, Ed25519 and X25519",
        };
        problems.add(format!("{at}.use"), why);
    }
}

/// Of two keys of one kind nobody could say which one signs.
pub(super) fn judge_kind(problems: &mut Problems, at: &str, entry: &Entry, known: &[Entry]) {
    let id = |entry: &Entry| entry.private_key.as_ref().map(|key| key.id());
    if known.iter().any(|other| id(other) == id(entry)) {
        let kind = entry.private_key.as_ref().map_or("unknown", |key| key_kind(key));
        problems.add(format!("{at}.use"), format!("there is another {kind} key with the use \"sign\""));
    }
}

fn own_keys(problems: &mut Problems, at: &str, profile: &Profile, keys: &Keys) {
    let policy = profile.security_policy();
    let (signs, decrypts) = needed(profile.crypto_suite);
    let name = &profile.name;
    if !keys.signing.iter().any(|signing| policy.signature_with(&signing.key).is_some()) {
        let ours = keys.signing.iter().map(|signing| key_kind(&signing.key));
        problems.add(
            at,
            format!(
                "{name:?} is signed by {signs}, but the keys with the use \"sign\" are {}; add a [[key]] with {signs} and \
                 use = [\"sign\"]",
                listed(ours)
            ),
        );
    }
    let private = || keys.decryption.iter().filter_map(|entry| entry.private_key.as_ref());
    if profile.encryption == Encryption::Required && !private().any(|key| policy.encrypts_for(key)) {
        let ours = private().map(|key| key_kind(key));
        problems.add(
            at,
            format!(
                "{name:?} is encrypted for {decrypts}, but the keys with the use \"decrypt\" are {}; add a [[key]] with \
                 {decrypts} and use = [\"decrypt\"]",
                listed(ours)
            ),
        );
    }
}

/// Holds the profile of an agreement under which we send against the partner's certificates. Only where we know what we would
/// encrypt for: the certificate of an anchored partner may still be unknown.
pub(super) fn their_keys(problems: &mut Problems, agreement: &Agreement, certificates: &[Certificate]) {
    let profile = &agreement.profile;
    if profile.encryption != Encryption::Required || certificates.is_empty() {
        return;
    }
    if profile.security_policy().recipient(certificates).is_none() {
        let theirs =
            certificates.iter().filter_map(|c: &Certificate| c.public_key().ok().map(|key| key_kind(&key)));
        let (_, wanted) = needed(profile.crypto_suite);
        problems.add(
            format!("partner {:?}.certificate", agreement.partner.value),
            format!(
                "the agreement {:?} ({:?}) encrypts for {wanted}, but the certificates are of {}; add the one of that \
                 kind to the list",
                agreement.id,
                profile.name,
                listed(theirs)
            ),
        );
    }
}

/// A transport profile that speaks of one generation must not be given the profile of the other.
fn transport_profiles(problems: &mut Problems, domain: &Domain, agreements: &Agreements) {
    let at = format!("domain {:?}", domain.name);
    for name in domain.profiles.keys().filter(|name| !domain.transport_profiles.contains(name)) {
        problems.add(format!("{at}.profiles"), format!("{name:?} is not among its transport_profiles"));
    }
    let Some(dynamic) = agreements.dynamic.iter().find(|dynamic| dynamic.domain == domain.name) else {
        return;
    };
    for name in &domain.transport_profiles {
        let Some((_, second)) = GENERATIONS.iter().find(|(known, _)| known == name) else { continue };
        let profile = dynamic.by_transport.get(name).unwrap_or(&dynamic.profile);
        if (profile.crypto_suite != CryptoSuite::RsaGcm128) != *second {
            let (is, fitting) = if *second { ("2.0", "edelivery-2.0") } else { ("1.x", "edelivery-1.15") };
            problems.add(
                format!("{at}.transport_profiles"),
                format!(
                    "{name:?} is AS4 of eDelivery {is}, but its profile is {:?}; add profiles = {{ {name:?} = {fitting:?} }}",
                    profile.name
                ),
            );
        }
    }
}

/// Kinds of keys that sign and decrypt under a suite.
fn needed(suite: CryptoSuite) -> (&'static str, &'static str) {
    match suite {
        CryptoSuite::RsaGcm128 => ("an RSA key", "an RSA key"),
        CryptoSuite::EddsaX25519 => ("an Ed25519 key", "an X25519 key"),
        CryptoSuite::EcdsaEcdhHkdf => ("an EC key", "an EC key"),
        CryptoSuite::EddsaOrEcdsa => ("an Ed25519 or EC key", "an X25519 or EC key"),
    }
}

fn listed(kinds: impl Iterator<Item = &'static str>) -> String {
    let kinds: Vec<&str> = kinds.collect();
    match kinds.is_empty() {
        true => "none".to_owned(),
        false => kinds.join(", "),
    }
}
