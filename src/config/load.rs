//! From the file to the values that the rooms work with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tracing::level_filters::LevelFilter;

use super::file::{self, File};
use super::problems::Problems;
use super::{bounds, patterns, suites, trust};
use crate::clock::Timestamp;
use crate::discovery::LookupMode;
use crate::msh::{DomainTrust, Partner, Peers, SignerRule};
use crate::pki::{Certificate, Entry, Kept, Name};
use crate::pmode::{
    Agreement, Agreements, Dynamic, EvidenceRule, PartyId, Profile, Scope, SenderRule, Service,
};
use crate::status::{EvidenceProfile, Policy};
use crate::store::PARTNER;
use crate::wssec::{SigningKey, SigningKeys};

/// Everything that the node needs to know before it opens its store.
#[derive(Clone)]
pub struct Settings {
    /// The file as written.
    pub file: File,
    /// Folder that its relative paths start from.
    pub base: PathBuf,
    /// Our PartyId.
    pub own: PartyId,
    /// Our keys.
    pub keys: Keys,
    /// What was agreed.
    pub agreements: Agreements,
    /// Who the others are.
    pub peers: Peers,
    /// What statuses follow from.
    pub policies: Policies,
    /// Where everything is stored.
    pub store: crate::store::Config,
}

/// Evidence profile and policy of whatever is sent.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    /// By the name of a domain.
    pub domains: BTreeMap<String, (EvidenceProfile, Policy)>,
    /// By the id of an agreement: one partner may have several.
    pub agreements: BTreeMap<String, (EvidenceProfile, Policy)>,
}

/// Our keys by use.
#[derive(Clone)]
pub struct Keys {
    /// Sign AS4 messages and signals, one of each kind.
    pub signing: SigningKeys,
    /// Sign delivery evidence; the signing keys when no key is for evidence.
    pub evidence: Vec<SigningKey>,
    /// Signs DIV envelopes.
    pub div: Option<SigningKey>,
    /// Decrypt what comes in.
    pub decryption: Vec<Entry>,
}

/// Reads a configuration file and everything that it names.
///
/// # Errors
/// [`Problems`]: all that is wrong, not only the first.
pub fn load(path: &Path, now: Timestamp) -> Result<Settings, Problems> {
    let mut problems = Problems::default();
    let text = std::fs::read_to_string(path).map_err(|e| one(path, format!("cannot be read: {e}")))?;
    let file: File = toml::from_str(&text).map_err(|e| one(path, e.to_string().trim_end()))?;
    let base = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let settings = assemble(&mut problems, file, base, now);
    match settings {
        Some(settings) if problems.0.is_empty() => Ok(settings),
        _ => Err(problems),
    }
}

fn one(path: &Path, what: impl std::fmt::Display) -> Problems {
    let mut problems = Problems::default();
    problems.add(path.display().to_string(), what);
    problems
}

fn assemble(problems: &mut Problems, file: File, base: PathBuf, now: Timestamp) -> Option<Settings> {
    let own = PartyId { value: file.node.party_id.clone(), party_type: file.node.party_type.clone() };
    if own.party_type.is_none() && !own.value.contains(':') {
        problems.add("node.party_id", format!("{:?} is no URI, so node.party_type is needed", own.value));
    }
    listeners(problems, &file);
    let keys = trust::keys(problems, &base, &file.keys, now);
    let agreements = agreements(problems, &file, &own);
    let peers = peers(problems, &file, &base, &agreements);
    let policies = policies(problems, &file);
    let store = super::store::store(problems, &file.store, &base);
    unique(problems, &file);
    named(problems, &file);
    log_level(problems, &file.log.level);
    part_limits(problems, &file, &agreements);
    bounds::check(problems, &file, &agreements);
    let keys = keys?;
    suites::check(problems, &file, &agreements, &keys);
    Some(Settings { own, keys, agreements, peers, policies, store, file, base })
}

fn listeners(problems: &mut Problems, file: &File) {
    let as4 = &file.listen.as4;
    if as4.tls.is_none() && !as4.plain {
        problems
            .add("listen.as4", "no tls; add [listen.as4.tls], or plain = true behind a proxy that ends TLS");
    }
    let others = [("listen.backend", &file.listen.backend), ("listen.admin", &file.listen.admin)];
    for (at, listener) in others.into_iter().filter_map(|(at, l)| l.as_ref().map(|l| (at, l))) {
        let local = listener.address.ip().is_loopback();
        if !local && listener.tokens.is_empty() {
            problems.add(at, format!("{} is no loopback address, so tokens are needed", listener.address));
        }
        if !local && listener.tls.is_none() {
            problems.add(at, format!("{} is no loopback address, so tls is needed", listener.address));
        }
    }
}

fn agreements(problems: &mut Problems, file: &File, own: &PartyId) -> Agreements {
    let partners = file.partners.iter().rev().map(|p| (p.party_id.as_str(), p)).collect();
    let all = file.agreements.iter().enumerate();
    let fixed = all.filter_map(|(n, a)| agreement(problems, &partners, n, a)).collect();
    let dynamic = file.domains.iter().filter_map(|d| dynamic(problems, d)).collect();
    Agreements::new(own.clone(), fixed, dynamic)
}

/// What was agreed must fit what is read: a message of `max_parts` has an envelope besides, and signs header and Body.
fn part_limits(problems: &mut Problems, file: &File, agreements: &Agreements) {
    let (parts, references) = (file.limits.parts, file.limits.references);
    let fixed = agreements.agreements.iter().map(|a| (format!("agreement {:?}", a.id), a.profile.max_parts));
    let dynamic = agreements.dynamic.iter().map(|d| (format!("domain {:?}", d.domain), d.profile.max_parts));
    for (at, most) in fixed.chain(dynamic) {
        let (with_envelope, with_header_and_body) = (u64::from(most) + 1, u64::from(most) + 2);
        if with_envelope > parts as u64 || with_header_and_body > references as u64 {
            problems.add(
                at,
                format!(
                    "max_parts = {most} needs limits.parts = {with_envelope} and limits.references = \
                     {with_header_and_body} or more; they are {parts} and {references}"
                ),
            );
        }
    }
}

fn agreement(
    problems: &mut Problems,
    partners: &HashMap<&str, &file::Partner>,
    index: usize,
    a: &file::Agreement,
) -> Option<Agreement> {
    let at = format!("agreement[{}]", index + 1);
    let Some(partner) = partners.get(a.partner.as_str()) else {
        problems
            .add(format!("{at}.partner"), format!("there is no [[partner]] with party_id {:?}", a.partner));
        return None;
    };
    if let (Some(kind), None) = (&a.service_type, &a.service) {
        problems
            .add(format!("{at}.service_type"), format!("{kind:?} is the type of no service; add service"));
    }
    Some(Agreement {
        id: agreement_id(index, a),
        partner: party(partner),
        profile: profile(problems, &at, &a.profile, &a.overrides)?,
        scope: Scope {
            service: a.service.clone().map(|value| Service { value, service_type: a.service_type.clone() }),
            action: a.action.clone(),
        },
        evidence: a.evidence,
    })
}

fn agreement_id(index: usize, a: &file::Agreement) -> String {
    a.id.clone().unwrap_or_else(|| format!("{}/{}", a.partner, index + 1))
}

fn dynamic(problems: &mut Problems, d: &file::Domain) -> Option<Dynamic> {
    let at = format!("domain {:?}", d.name);
    let own = profile(problems, &at, &d.profile, &d.overrides)?;
    if own.sender_rule == SenderRule::Registered {
        let why = "\"registered\" is for a [[partner]]; whoever is found by discovery is known by \"subject-cn\" or \"subject-ou\"";
        problems.add(format!("{at}.overrides.sender_rule"), why);
    }
    if d.lookup.contains(&LookupMode::Cname) && !d.allow_http {
        problems.add(format!("{at}.lookup"), "\"cname\" leads to plain HTTP: it needs allow_http = true");
    }
    let party_type = d.party_type.clone().or_else(|| own.party_type.clone());
    let others = d.profiles.iter().filter_map(|(transport, name)| {
        Some((transport.clone(), profile(problems, &format!("{at}.profiles"), name, &d.overrides)?))
    });
    let by_transport = others.collect();
    Some(Dynamic { domain: d.name.clone(), party_type, profile: own, by_transport, evidence: d.evidence })
}

fn profile(problems: &mut Problems, at: &str, name: &str, overrides: &Map<String, Value>) -> Option<Profile> {
    let base = problems.keep(&format!("{at}.profile"), Profile::named(name))?;
    let profile = problems.keep(&format!("{at}.overrides"), base.with(overrides))?;
    if profile.tls_client_certificate {
        let why =
            "true is not supported: no TLS client certificate is shown or asked for; let a proxy do that";
        problems.add(format!("{at}.overrides.tls_client_certificate"), why);
    }
    Some(profile)
}

fn party(partner: &file::Partner) -> PartyId {
    PartyId { value: partner.party_id.clone(), party_type: partner.party_type.clone() }
}

fn peers(problems: &mut Problems, file: &File, base: &Path, agreements: &Agreements) -> Peers {
    let all = file.partners.iter();
    let partners = all.filter_map(|p| Some((party(p), partner(problems, base, agreements, p)?))).collect();
    let domains = file.domains.iter().filter_map(|d| {
        let at = format!("domain {:?}.ap_trust", d.name);
        let ap_trust = trust::anchors(problems, &at, &base.join(&d.ap_trust))?;
        Some((d.name.clone(), DomainTrust { ap_trust }))
    });
    Peers::new(partners, domains.collect())
}

fn partner(
    problems: &mut Problems,
    base: &Path,
    agreements: &Agreements,
    p: &file::Partner,
) -> Option<Partner> {
    let at = format!("partner {:?}", p.party_id);
    let mut read = |key: &str, paths: &file::Paths| -> Option<Vec<Certificate>> {
        let at = format!("{at}.{key}");
        paths.0.iter().map(|path| trust::certificate(problems, &at, &base.join(path))).collect()
    };
    let certificates = read("certificate", &p.certificate)?;
    let signers = read("signer", &p.signer)?;
    if p.url.is_some() {
        agreements.with(&p.party_id).for_each(|a| suites::their_keys(problems, a, &certificates));
    }
    let kept = |all: &[Certificate]| all.iter().map(Kept::of).collect::<Vec<_>>();
    let encryption = kept(&certificates);
    let named = if signers.is_empty() { encryption.clone() } else { kept(&signers) };
    let rule = match (named.as_slice(), &p.anchor, &p.subject) {
        (_, Some(anchor), Some(subject)) => {
            let trust = trust::anchors(problems, &format!("{at}.anchor"), &base.join(anchor))?;
            let name = Name::parse(subject).ok_or_else(|| format!("{subject:?} is no distinguished name"));
            SignerRule::Anchored { trust, subject: problems.keep(&format!("{at}.subject"), name)? }
        }
        ([_, ..], None, None) => SignerRule::Pinned(named),
        _ => {
            problems.add(
                at,
                "say how its signatures are recognised: certificate, signer, or anchor with subject",
            );
            return None;
        }
    };
    Some(Partner { url: p.url.clone(), encryption, signer: rule })
}

fn policies(problems: &mut Problems, file: &File) -> Policies {
    let mut all = Policies::default();
    for domain in &file.domains {
        let at = format!("domain {:?}.status", domain.name);
        if let Some(found) = policy(problems, &at, domain.evidence, [&file.status, &domain.status]) {
            all.domains.insert(domain.name.clone(), found);
        }
    }
    for (index, agreement) in file.agreements.iter().enumerate() {
        let id = agreement_id(index, agreement);
        let at = format!("agreement {id:?}.status");
        if let Some(found) = policy(problems, &at, agreement.evidence, [&file.status, &agreement.status]) {
            all.agreements.insert(id, found);
        }
    }
    all
}

/// The default of the evidence profile, then `[status]`, then the domain's or agreement's own words.
fn policy(
    problems: &mut Problems,
    at: &str,
    evidence: EvidenceRule,
    layers: [&file::StatusPolicy; 2],
) -> Option<(EvidenceProfile, Policy)> {
    let profile = match evidence {
        EvidenceRule::ReceiptOnly => EvidenceProfile::ReceiptOnly,
        EvidenceRule::Rem => EvidenceProfile::Rem,
    };
    let base = serde_json::to_value(Policy::for_profile(profile));
    let mut record = problems.keep(at, base)?;
    for layer in layers {
        let fields = [
            ("sent_on", &layer.sent_on),
            ("delivered_on", &layer.delivered_on),
            ("missed_on", &layer.missed_on),
            ("uncertain_after_deadline", &layer.uncertain_after_deadline),
        ];
        for (name, value) in fields.into_iter().filter_map(|(n, v)| v.clone().map(|v| (n, v))) {
            record[name] = Value::String(value);
        }
    }
    problems.keep(at, serde_json::from_value(record)).map(|policy| (profile, policy))
}

/// Names that must be given once; a participant pattern may stand in one place only (model.md 7).
fn unique(problems: &mut Problems, file: &File) {
    let backends = file.backends.iter().map(|b| b.id.as_str());
    twice(problems, "backend.id", backends);
    twice(problems, "domain.name", file.domains.iter().map(|d| d.name.as_str()));
    twice(problems, "partner.party_id", file.partners.iter().map(|p| p.party_id.as_str()));
    let ids: Vec<_> = file.agreements.iter().enumerate().map(|(n, a)| agreement_id(n, a)).collect();
    twice(problems, "agreement.id", ids.iter().map(String::as_str));
    twice(
        problems,
        "domain.gateway_codes",
        file.domains.iter().flat_map(|d| d.gateway_codes.iter().map(String::as_str)),
    );
    let of_domains = file.domains.iter().flat_map(|d| d.participants.iter());
    let all = of_domains.chain(file.partners.iter().flat_map(|p| p.participants.iter()));
    patterns::apart(problems, all.map(String::as_str));
}

/// Names that must be those of something else in the file.
fn named(problems: &mut Problems, file: &File) {
    let backends: BTreeSet<&str> = file.backends.iter().map(|b| b.id.as_str()).collect();
    for listener in [&file.listen.backend, &file.listen.admin].into_iter().flatten() {
        for backend in listener.tokens.iter().filter_map(|token| token.backend.as_deref()) {
            if !backends.contains(backend) {
                problems.add("listen.tokens.backend", format!("there is no [[backend]] with id {backend:?}"));
            }
        }
    }
    let domains = file.domains.iter().map(|d| d.name.as_str());
    let routes: BTreeSet<&str> = domains.chain(file.partners.iter().map(|p| p.party_id.as_str())).collect();
    for (backend, route) in file.backends.iter().filter_map(|b| Some((&b.id, b.domain.as_deref()?))) {
        if !routes.contains(route.strip_prefix(PARTNER).unwrap_or(route)) {
            let at = format!("backend {backend:?}.domain");
            problems.add(at, format!("there is no [[domain]] or [[partner]] named {route:?}"));
        }
    }
    let agreed: BTreeSet<&str> = file.agreements.iter().map(|a| a.partner.as_str()).collect();
    for partner in file.partners.iter().filter(|p| !p.participants.is_empty()) {
        if !agreed.contains(partner.party_id.as_str()) {
            let at = format!("partner {:?}.participants", partner.party_id);
            problems.add(at, "nothing can be sent to them without an [[agreement]] with the partner");
        }
    }
}

/// A word that is no level would be taken for the name of a module, and nothing logged.
fn log_level(problems: &mut Problems, level: &str) {
    let known = |word: &str| word.parse::<LevelFilter>().is_ok();
    let means = |directive: &str| match directive.trim().rsplit_once('=') {
        Some((_, word)) => known(word),
        // A module of ours alone stands for all that it says.
        None => known(directive.trim()) || directive.trim().starts_with("tilts"),
    };
    // Fields of spans may have commas in them.
    let plain = (!level.contains('[')).then_some(level);
    if let Some(word) = plain.into_iter().flat_map(|level| level.split(',')).find(|one| !means(one)) {
        let why =
            format!("{word:?} is no level (error, warn, info, debug, trace, off) and no <module>=<level>");
        problems.add("log.level", why);
    }
}

fn twice<'a>(problems: &mut Problems, at: &str, names: impl Iterator<Item = &'a str>) {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            problems.add(at, format!("{name:?} is given twice"));
        }
    }
}
