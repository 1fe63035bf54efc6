//! From settings to the values of each room.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Surroundings;
use super::intake::OfficeIntake;
use super::revocation::{self, revokers};
use crate::backend::auth::{Role, Token, Tokens};
use crate::backend::routes::{Form, Route, Routes, Terms};
use crate::backend::testimony::EvidenceTrust;
use crate::backend::{Adapter, Backend, Office, Serves, ServesAll, div};
use crate::clock::Clock;
use crate::config::file;
use crate::config::{Problems, Settings, anchors};
use crate::discovery::{self, Dnssec, Identifier, Resolver, Trusts};
use crate::mime;
use crate::msh::sending::Gates;
use crate::msh::{Finder, Limits, Node};
use crate::pmode::{Admitted, Envelope, Scope};
use crate::status::{EvidenceProfile, Policy};
use crate::store::{PARTNER, Retention, Store};
use crate::transport::{
    Client, ClientConfig, ClientTimeouts, ClientTls, Egress, Network, Revoker, ServerCheck,
};
use crate::wssec::XmlLimits;

/// A node, built.
pub(super) struct Built {
    /// The network halves.
    pub node: Arc<Node>,
    /// The business halves.
    pub office: Arc<Office>,
    /// What it listens on.
    pub network: Arc<dyn Network>,
    /// The file that it was built from.
    pub file: file::File,
    /// Folder of relative paths.
    pub base: PathBuf,
    /// Tokens of the backend listener.
    pub backend_tokens: Arc<Tokens>,
    /// Tokens of the administration listener.
    pub admin_tokens: Arc<Tokens>,
}

/// Builds what can be built without store and listeners, to see whether it can be built.
pub(super) fn check(settings: &Settings, clock: &Clock) -> Result<(), Problems> {
    let mut problems = Problems::default();
    let finders = finders(&mut problems, settings, clock);
    let revokers = revokers(&mut problems, settings, &finders, clock);
    evidence_trust(&mut problems, settings, &revokers);
    clients(&mut problems, settings, None);
    national(&mut problems, settings);
    listeners(&mut problems, settings);
    backends(&mut problems, settings);
    if problems.0.is_empty() { Ok(()) } else { Err(problems) }
}

/// Tokens and TLS of every listener: a missing file is told before the store is opened.
fn listeners(problems: &mut Problems, settings: &Settings) {
    let file::Listen { as4, backend, admin } = &settings.file.listen;
    for listener in [backend, admin].into_iter().flatten() {
        tokens(problems, settings, listener);
    }
    let others = [("backend", backend), ("admin", admin)];
    let others = others.into_iter().filter_map(|(name, l)| Some((name, l.as_ref()?.tls.as_ref()?)));
    for (name, tls) in as4.tls.iter().map(|tls| ("as4", tls)).chain(others) {
        let read = super::listen::server_tls(&settings.base, tls);
        problems.keep(&format!("listen.{name}.tls"), read.map_err(|e| format!("{e:#}")));
    }
}

/// Opens the store and builds everything.
pub(super) async fn build(settings: Settings, around: Surroundings) -> Result<Built> {
    let Surroundings { clock, network } = around;
    let mut problems = Problems::default();
    let finders = finders(&mut problems, &settings, &clock);
    let clients = clients(&mut problems, &settings, Some(&network));
    let div = national(&mut problems, &settings);
    let [backend_tokens, admin_tokens] = [&settings.file.listen.backend, &settings.file.listen.admin]
        .map(|l| Arc::new(l.as_ref().map(|l| tokens(&mut problems, &settings, l)).unwrap_or_default()));
    let backends = backends(&mut problems, &settings);
    let revokers = revokers(&mut problems, &settings, &finders, &clock);
    let evidence_trust = evidence_trust(&mut problems, &settings, &revokers);
    if !problems.0.is_empty() {
        return Err(problems.into());
    }
    let (routes, retention) = (routes(&settings), retention(&settings.file));
    let Settings { file, base, own, keys, agreements, peers, store, .. } = settings;
    let store = Store::open(&store, clock.clone()).await.context("the store cannot be opened")?;
    revokers.values().for_each(Revoker::load);
    let admission = ServesAll(backends.iter().map(admitted).collect());
    let office = Arc::new(Office {
        domain: file.node.domain.clone(),
        party: own.value.clone(),
        clock: clock.clone(),
        store: store.clone(),
        routes,
        backends,
        evidence_keys: keys.evidence.into_iter().map(|k| (k.certificate, k.key)).collect(),
        evidence_trust,
        div,
        retention,
        payload_octets: file.limits.payload_octets,
    });
    let node = Arc::new(Node {
        domain: file.node.domain.clone(),
        clock,
        store,
        agreements,
        peers,
        signing: keys.signing,
        decryption: keys.decryption,
        admission: Arc::new(admission),
        intake: Arc::new(OfficeIntake(office.clone())),
        finders,
        clients,
        revokers,
        gates: Gates::new(file.limits.sending),
        limits: limits(&file.limits),
    });
    Ok(Built { node, office, network, file, base, backend_tokens, admin_tokens })
}

/// A backend as admission sees it.
fn admitted(b: &Backend) -> (Admitted, Serves) {
    let lists = b.adapter.inbox().is_none();
    (Admitted { backend: b.id.clone(), take_within: b.take_within, lists }, b.serves.clone())
}

fn limits(file: &file::Limits) -> Limits {
    Limits {
        payload_octets: file.payload_octets,
        inflate_ratio: file.inflate_ratio,
        mime: mime::Limits {
            header_octets: file.part_header_octets,
            headers: file.part_headers,
            parts: file.parts,
            root_octets: file.envelope_octets as u64,
            body_octets: file.message_octets,
        },
        xml: XmlLimits {
            max_octets: file.envelope_octets,
            max_depth: file.xml_depth,
            max_nodes: file.xml_nodes,
            max_attributes: file.xml_attributes,
            ..XmlLimits::default()
        },
        references: file.references,
        exchange: longest(file),
        shutdown: Duration::from_secs(file.shutdown_seconds),
        sending: file.sending,
        rejected_per_minute: file.rejected_per_minute,
    }
}

fn finders(problems: &mut Problems, settings: &Settings, clock: &Clock) -> BTreeMap<String, Finder> {
    let mut all = BTreeMap::new();
    for d in &settings.file.domains {
        let at = format!("domain {:?}", d.name);
        let read = |problems: &mut Problems, key: &str, path: &PathBuf| {
            anchors(problems, &format!("{at}.{key}"), &settings.base.join(path))
        };
        let trusts = Trusts {
            smp: read(problems, "smp_trust", &d.smp_trust),
            ap: read(problems, "ap_trust", &d.ap_trust),
            smp_tls: d.smp_tls_trust.as_ref().and_then(|path| read(problems, "smp_tls_trust", path)),
        };
        // A store that could not be read is a problem already; diagnosis without trust is not for a node.
        if trusts.smp.is_none() || trusts.ap.is_none() {
            continue;
        }
        let resolver = Resolver::new(domain(settings, d), trusts, clock.clone());
        let evidence_document_type = Identifier::parse(&d.evidence_document_type);
        if let Some(resolver) = problems.keep(&at, resolver) {
            all.insert(d.name.clone(), Finder { resolver, evidence_document_type });
        }
    }
    all
}

fn domain(settings: &Settings, d: &file::Domain) -> discovery::Domain {
    discovery::Domain {
        zone: d.zone.clone(),
        lookup: d.lookup.clone(),
        dialects: d.dialects.clone(),
        allow_sha1: d.allow_sha1,
        transport_profiles: d.transport_profiles.clone(),
        default_scheme: Some(d.scheme.clone()),
        default_document_type: Some(d.document_type.clone()),
        default_process: Some(d.process.clone()),
        egress_allow: d.egress_allow.clone(),
        ports: d.ports.clone(),
        plain_http: d.allow_http,
        resolver: d.resolver,
        dnssec: if d.dnssec { Dnssec::Require } else { Dnssec::Off },
        revocation: d.revocation,
        revocation_folder: Some(revocation::folder(settings, &d.name)),
        ..discovery::Domain::default()
    }
}

fn clients(
    problems: &mut Problems,
    settings: &Settings,
    network: Option<&Arc<dyn Network>>,
) -> BTreeMap<String, Client> {
    let mut all = BTreeMap::new();
    // Thousands of partners under the same rules share a client: its anchors take more room than everything else about them.
    let mut made: HashMap<String, Option<Client>> = HashMap::new();
    let ways = Ways { timeouts: timeouts(&settings.file.limits), network };
    for d in &settings.file.domains {
        let at = format!("domain {:?}.ap_tls_trust", d.name);
        let egress =
            Egress { allow: d.egress_allow.clone(), ports: d.ports.clone(), plain_http: d.allow_http };
        if let Some(client) = client(problems, &at, settings, (d.ap_tls_trust.as_ref(), egress), &ways) {
            all.insert(d.name.clone(), client);
        }
    }
    for p in &settings.file.partners {
        let at = format!("partner {:?}.tls_trust", p.party_id);
        let egress =
            Egress { allow: p.egress_allow.clone(), ports: p.ports.clone(), plain_http: p.allow_http };
        let same = made.entry(format!("{:?} {egress:?}", p.tls_trust));
        let client =
            same.or_insert_with(|| client(problems, &at, settings, (p.tls_trust.as_ref(), egress), &ways));
        if let Some(client) = client {
            all.insert(format!("{PARTNER}{}", p.party_id), client.clone());
        }
    }
    all
}

/// What all clients of a node have in common.
struct Ways<'w> {
    timeouts: ClientTimeouts,
    network: Option<&'w Arc<dyn Network>>,
}

fn client(
    problems: &mut Problems,
    at: &str,
    settings: &Settings,
    (trust, egress): (Option<&PathBuf>, Egress),
    ways: &Ways<'_>,
) -> Option<Client> {
    let anchors = match trust {
        Some(path) => Some(anchors(problems, at, &settings.base.join(path))?),
        None => None,
    };
    let tls = ClientTls { anchors, identity: None, check: ServerCheck::Full };
    let (timeouts, network) = (ways.timeouts.clone(), ways.network.cloned());
    let config = ClientConfig { tls, egress, timeouts, resolver: None, network };
    problems.keep(at, Client::new(config))
}

/// The answer is waited for as long as the file says; the whole exchange may take what the largest message needs besides. The
/// lease of a message outlives it.
fn timeouts(limits: &file::Limits) -> ClientTimeouts {
    let [answer, idle] = [limits.exchange_seconds, limits.idle_seconds].map(Duration::from_secs);
    ClientTimeouts { connect: Duration::from_secs(10).min(answer), idle, answer, total: longest(limits) }
}

/// How long an exchange can take at one mebibyte a second.
fn longest(limits: &file::Limits) -> Duration {
    Duration::from_secs(limits.exchange_seconds + (limits.message_octets >> 20))
}

fn tokens(problems: &mut Problems, settings: &Settings, listener: &file::Listener) -> Tokens {
    let read = listener.tokens.iter().filter_map(|token| {
        let text = problems.secret("listen.tokens.file", &settings.base.join(&token.file))?;
        if text.trim().len() < 16 {
            problems
                .add("listen.tokens.file", format!("{} holds less than 16 characters", token.file.display()));
        }
        let role = match token.role {
            file::Role::Backend => Role::Backend,
            file::Role::Operator => Role::Operator,
            file::Role::Viewer => Role::Viewer,
        };
        Some(Token::new(&text, token.backend.clone(), role))
    });
    Tokens(read.collect())
}

fn backends(problems: &mut Problems, settings: &Settings) -> Vec<Backend> {
    let found = settings.file.backends.iter().filter_map(|b| {
        let path = b.path.as_ref().map(|p| settings.base.join(p));
        let adapter = match (b.adapter, path) {
            (file::Adapter::Rest, _) => Adapter::Rest,
            (file::Adapter::Div, path) => Adapter::Div(path),
            (file::Adapter::Folder, Some(path)) => Adapter::Folder(path),
            (file::Adapter::Folder, None) => {
                problems.add(format!("backend {:?}.path", b.id), "is needed by the folder adapter");
                return None;
            }
        };
        let serves = Serves {
            participants: b.serves.participants.clone(),
            document_types: b.serves.document_types.clone(),
            processes: b.serves.processes.clone(),
        };
        let take_within = b.take_within.map(|t| t.0);
        Some(Backend { id: b.id.clone(), adapter, serves, take_within, route: b.domain.clone() })
    });
    let found: Vec<Backend> = found.collect();
    if found.iter().any(|b| matches!(b.adapter, Adapter::Div(_))) && settings.file.div.is_none() {
        problems.add("div", "is needed by a backend with the adapter \"div\"");
    }
    found
}

fn evidence_trust(
    problems: &mut Problems,
    settings: &Settings,
    revokers: &BTreeMap<String, Revoker>,
) -> BTreeMap<String, EvidenceTrust> {
    let mut all = BTreeMap::new();
    for d in &settings.file.domains {
        let Some(path) = &d.evidence_trust else { continue };
        let at = format!("domain {:?}.evidence_trust", d.name);
        let anchors = anchors(problems, &at, &settings.base.join(path));
        if let Some((anchors, revoker)) = anchors.zip(revokers.get(&d.name).cloned()) {
            all.insert(d.name.clone(), EvidenceTrust { anchors, revoker });
        }
    }
    all
}

/// How long payloads are kept, by the names that routes have.
fn retention(file: &file::File) -> Retention {
    let domains = file.domains.iter().map(|d| (d.name.clone(), &d.keep_payloads));
    let partners = file.partners.iter().map(|p| (format!("{PARTNER}{}", p.party_id), &p.keep_payloads));
    let of = domains.chain(partners).filter_map(|(name, kept)| Some((name, kept.as_ref()?.0)));
    Retention { otherwise: file.store.keep_payloads.0, of: of.collect() }
}

fn national(problems: &mut Problems, settings: &Settings) -> Option<div::National> {
    let file = settings.file.div.as_ref()?;
    let trust = anchors(problems, "div.trust", &settings.base.join(&file.trust))?;
    let Some(key) = settings.keys.div.clone() else {
        problems.add("key", "no key has use = [\"div\"]; envelopes from abroad must be signed");
        return None;
    };
    Some(div::National { trust, certificate: key.certificate, key: key.key, sender: file.sender.clone() })
}

fn routes(settings: &Settings) -> Routes {
    let domains = settings.file.domains.iter().map(|d| Route {
        name: d.name.clone(),
        participants: d.participants.clone(),
        gateway_codes: d.gateway_codes.clone(),
        scheme: d.scheme.clone(),
        document_type: Some(d.document_type.clone()),
        process: Some(d.process.clone()),
        form: match d.form {
            file::DivForm::Div => Form::Div,
            file::DivForm::Plain => Form::Plain,
        },
        terms: domain_terms(settings, &d.name),
        other_terms: Vec::new(),
        send_within: d.send_within.map(|within| within.0),
        take_within: d.take_within.map(|t| t.0),
    });
    let partners = settings.file.partners.iter().filter_map(|p| partner_route(settings, p));
    let addresses = settings.file.addresses.iter().map(|a| (a.eaddress.clone(), a.participant.clone()));
    Routes::new(domains.chain(partners).collect(), addresses.collect())
}

fn domain_terms(settings: &Settings, name: &str) -> Terms {
    let dynamic = settings.agreements.dynamic.iter().find(|d| d.domain == name);
    let envelope = dynamic.map_or(Envelope::None, |d| d.profile.envelope);
    terms(Scope::default(), envelope, settings.policies.domains.get(name))
}

/// The first agreement of a partner gives the route's defaults.
fn partner_route(settings: &Settings, p: &file::Partner) -> Option<Route> {
    let mut agreed = settings.agreements.with(&p.party_id).map(|agreement| {
        let policy = settings.policies.agreements.get(&agreement.id);
        terms(agreement.scope.clone(), agreement.profile.envelope, policy)
    });
    Some(Route {
        name: format!("{PARTNER}{}", p.party_id),
        participants: p.participants.clone(),
        gateway_codes: Vec::new(),
        scheme: String::new(),
        document_type: None,
        process: None,
        form: Form::Plain,
        terms: agreed.next()?,
        other_terms: agreed.collect(),
        send_within: None,
        take_within: None,
    })
}

fn terms(scope: Scope, envelope: Envelope, policy: Option<&(EvidenceProfile, Policy)>) -> Terms {
    let fallback = EvidenceProfile::ReceiptOnly;
    let (profile, policy) = policy.copied().unwrap_or((fallback, Policy::for_profile(fallback)));
    Terms { scope, envelope, profile, policy }
}
