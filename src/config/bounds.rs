//! Values that no node can work with, although they have the right form: a sign too much, a nought, an address that nobody may ask.

use std::collections::HashMap;

use super::file::{self, File, Listener, Role};
use super::problems::Problems;
use crate::clock::SignedDuration;
use crate::pmode::{Agreements, Retry};
use crate::transport::Egress;

/// Judges all of them.
pub(super) fn check(problems: &mut Problems, file: &File, agreements: &Agreements) {
    node(problems, file);
    listeners(problems, file);
    durations(problems, file);
    limits(problems, &file.limits);
    let fixed = agreements.agreements.iter().map(|a| (format!("agreement {:?}", a.id), a.profile.retry));
    let dynamic = agreements.dynamic.iter().map(|d| (format!("domain {:?}", d.domain), d.profile.retry));
    for (at, retry) in fixed.chain(dynamic) {
        schedule(problems, &format!("{at}.overrides.retry"), retry);
    }
    file.partners.iter().for_each(|partner| address(problems, partner));
}

fn node(problems: &mut Problems, file: &File) {
    if file.node.party_id.trim().is_empty() {
        problems.add("node.party_id", "is empty: no partner could know who we are");
    }
    let domain = &file.node.domain;
    if domain.is_empty() || domain.contains(|c: char| !(c.is_ascii_alphanumeric() || ".-_".contains(c))) {
        problems.add("node.domain", format!("{domain:?} is no domain name: MessageIds end with it"));
    }
}

fn listeners(problems: &mut Problems, file: &File) {
    let listen = &file.listen;
    if !listen.as4.path.starts_with('/') {
        problems.add("listen.as4.path", format!("{:?} is no path: it begins with \"/\"", listen.as4.path));
    }
    let others = [("listen.backend", &listen.backend), ("listen.admin", &listen.admin)];
    let others = others.into_iter().filter_map(|(at, listener)| Some((at, listener.as_ref()?)));
    let mut known = HashMap::from([(listen.as4.address, "listen.as4")]);
    for (at, listener) in others {
        let before = (listener.address.port() != 0).then(|| known.insert(listener.address, at)).flatten();
        if let Some(other) = before {
            problems.add(format!("{at}.address"), format!("{} is that of {other} too", listener.address));
        }
        tokens(problems, at, listener);
    }
    for token in listen.admin.iter().flat_map(|admin| &admin.tokens) {
        let named = token.file.display();
        if token.role == Role::Backend {
            let why = format!("{named} may do nothing here: give it role = \"operator\" or \"viewer\"");
            problems.add("listen.admin.tokens.role", why);
        } else if let Some(backend) = &token.backend {
            let why = format!(
                "{named} would see more than {backend:?}: operators and viewers see all; leave it out"
            );
            problems.add("listen.admin.tokens.backend", why);
        }
    }
}

/// The first would count, and the other never.
fn tokens(problems: &mut Problems, at: &str, listener: &Listener) {
    for (index, token) in listener.tokens.iter().enumerate() {
        if listener.tokens.iter().take(index).any(|before| before.file == token.file) {
            problems.add(format!("{at}.tokens.file"), format!("{} is given twice", token.file.display()));
        }
    }
}

fn durations(problems: &mut Problems, file: &File) {
    let mut longer = |at: String, given: Option<SignedDuration>, least: SignedDuration| {
        if let Some(given) = given.filter(|given| *given < least) {
            let least = if least.is_zero() { "must not be negative" } else { "must be more than nothing" };
            problems.add(at, format!("{given:#} {least}"));
        }
    };
    let (nothing, something) = (SignedDuration::ZERO, SignedDuration::from_nanos(1));
    longer("store.keep_payloads".into(), Some(file.store.keep_payloads.0), nothing);
    for domain in &file.domains {
        let at = |key: &str| format!("domain {:?}.{key}", domain.name);
        longer(at("keep_payloads"), domain.keep_payloads.as_ref().map(|text| text.0), nothing);
        longer(at("send_within"), domain.send_within.as_ref().map(|text| text.0), something);
        longer(at("take_within"), domain.take_within.as_ref().map(|text| text.0), something);
    }
    for partner in &file.partners {
        let at = format!("partner {:?}.keep_payloads", partner.party_id);
        longer(at, partner.keep_payloads.as_ref().map(|text| text.0), nothing);
    }
    for backend in &file.backends {
        let at = format!("backend {:?}.take_within", backend.id);
        longer(at, backend.take_within.as_ref().map(|text| text.0), something);
    }
}

/// Of what is nought there would be nothing at all. `shutdown_seconds` and `rejected_per_minute` may be, and `sending`, which holds the queue.
fn limits(problems: &mut Problems, limits: &file::Limits) {
    let sizes = [
        ("envelope_octets", limits.envelope_octets),
        ("parts", limits.parts),
        ("part_headers", limits.part_headers),
        ("part_header_octets", limits.part_header_octets),
        ("xml_depth", limits.xml_depth),
        ("xml_nodes", limits.xml_nodes),
        ("xml_attributes", limits.xml_attributes),
        ("references", limits.references),
        ("connections", limits.connections),
        ("headers", limits.headers),
        ("header_octets", limits.header_octets),
    ];
    let others = [
        ("message_octets", limits.message_octets),
        ("payload_octets", limits.payload_octets),
        ("inflate_ratio", limits.inflate_ratio),
        ("handshake_seconds", limits.handshake_seconds),
        ("header_seconds", limits.header_seconds),
        ("idle_seconds", limits.idle_seconds),
        ("exchange_seconds", limits.exchange_seconds),
    ];
    let sizes = sizes.into_iter().map(|(name, value)| (name, value as u64));
    for (name, _) in sizes.chain(others).filter(|(_, value)| *value == 0) {
        problems.add(format!("limits.{name}"), "0 lets nothing through; give 1 or more");
    }
}

/// Without a pause a partner that is down is asked hundreds of times a second.
fn schedule(problems: &mut Problems, at: &str, retry: Retry) {
    let Retry { first_seconds, longest_seconds, .. } = retry;
    // With no time at all there is one attempt, whatever the pauses.
    if retry.within_seconds > 0 && first_seconds.min(longest_seconds) == 0 {
        let why = format!(
            "first_seconds = {first_seconds}, longest_seconds = {longest_seconds}: both must be 1 or more"
        );
        problems.add(at, why);
    }
}

/// What will never be asked is said now, and not by a message a day later.
fn address(problems: &mut Problems, partner: &file::Partner) {
    let egress = Egress {
        allow: partner.egress_allow.clone(),
        ports: partner.ports.clone(),
        plain_http: partner.allow_http,
    };
    if let Some(Err(why)) = partner.url.as_ref().map(|url| egress.check(url)) {
        problems.add(format!("partner {:?}.url", partner.party_id), why.to_string());
    }
}
