//! Stage 1: where the message goes and under which rules. The header is made once and kept; URL and certificate may change
//! between attempts, the MessageId not (model.md 2).

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::Node;
use super::leave;
use crate::clock::Timestamp;
use crate::discovery::{self, Class as Kind, Found, Identifier, Question, Resolver};
use crate::ebms::PartyId;
use crate::pki::Certificate;
use crate::pmode::{EvidenceRule, Outbound, PMode, Profile, Retry, Scope, Service};
use crate::store::{Class, OutMessage, PARTNER};

/// A message with its way.
pub(super) struct Planned<'m> {
    /// The message.
    pub message: &'m OutMessage,
    /// The rules.
    pub pmode: PMode,
    /// Where to.
    pub endpoint: Endpoint,
    /// Name of the HTTPS client that goes there.
    pub client: String,
    /// What the lookup did, for the timeline.
    pub steps: Value,
    /// What was asked of the client's domain, where the way was discovered.
    pub question: Option<Question>,
}

/// The access point that the message goes to.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// Where it receives.
    pub url: String,
    /// What we encrypt for.
    pub certificate: Option<Certificate>,
    /// Its transport profile, where discovery said one.
    pub transport_profile: Option<String>,
}

/// [`Endpoint`] as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    url: String,
    #[serde(default)]
    certificate: Option<String>,
    #[serde(default)]
    transport_profile: Option<String>,
}

/// Why there is no way.
#[derive(Debug)]
pub(super) enum Unplanned {
    /// For good: not registered, no such document type, no rules. With the steps of the lookup.
    Never { reason: String, steps: Value, not_found: bool },
    /// For now: an outage.
    Later { reason: String, steps: Value },
    /// Nobody is asked now, and nothing is said of that: too many lookups wait for this domain.
    PutOff { until: Timestamp },
    /// The recipient has moved to another access point, and no attempt at the old one is uncertain.
    Moved { to: String },
}

impl Unplanned {
    /// Our own configuration or data forbid sending.
    pub(super) fn never(reason: impl Into<String>) -> Self {
        Self::Never { reason: reason.into(), steps: Value::Array(Vec::new()), not_found: false }
    }

    /// Something of ours is not available now.
    pub(super) fn later(reason: impl Into<String>) -> Self {
        Self::Later { reason: reason.into(), steps: Value::Array(Vec::new()) }
    }
}

/// Finds the way of a message.
pub(super) async fn plan<'m>(node: &Node, message: &'m OutMessage) -> Result<Planned<'m>, Unplanned> {
    match message.class {
        Class::Evidence => evidence(node, message).await,
        Class::Business | Class::Test => business(node, message).await,
    }
}

async fn business<'m>(node: &Node, message: &'m OutMessage) -> Result<Planned<'m>, Unplanned> {
    let recipient =
        message.recipient.as_ref().ok_or_else(|| Unplanned::never("a message without recipient"))?;
    if let Some(partner) = recipient.domain.strip_prefix(PARTNER) {
        return fixed(node, message, partner);
    }
    let question = Question {
        participant: Identifier::parse(needed(recipient.participant.as_deref(), "participant")?),
        document_type: Some(Identifier::parse(needed(recipient.document_type.as_deref(), "document type")?)),
        process: recipient.process.as_deref().map(Identifier::parse),
    };
    discovered(node, message, &recipient.domain, question).await
}

fn needed<'v>(value: Option<&'v str>, what: &str) -> Result<&'v str, Unplanned> {
    value.ok_or_else(|| Unplanned::never(format!("the recipient has no {what}")))
}

/// A partner whose address the configuration names.
fn fixed<'m>(node: &Node, message: &'m OutMessage, partner: &str) -> Result<Planned<'m>, Unplanned> {
    let pmode = agreed(node, message, partner).ok_or_else(|| {
        let known = node.agreements.with(partner).map(|agreement| agreement.scope.to_string());
        let known = known.collect::<Vec<_>>().join("; ");
        Unplanned::never(format!(
            "no [[agreement]] with {partner} for {}; there are those for: {known}",
            asked(message)
        ))
    })?;
    to_partner(node, message, pmode)
}

/// The rules of a message to such a partner.
fn agreed(node: &Node, message: &OutMessage, partner: &str) -> Option<PMode> {
    kept_pmode(message).or_else(|| {
        let Scope { service, action } = asked(message);
        let (service, action) = (service.unwrap_or_default(), action.unwrap_or_default());
        node.agreements.outbound(Outbound { partner, service: &service, action: &action })
    })
}

/// Service and Action under which a message is to be sent.
fn asked(message: &OutMessage) -> Scope {
    let service = message.service.clone();
    let service = service.map(|value| Service { value, service_type: message.service_type.clone() });
    Scope { service, action: message.action.clone() }
}

/// When a message is tried again to which there is no way now: by its rules, where they are known before there is a plan; else by those of its
/// domain.
pub(super) fn retry(node: &Node, message: &OutMessage) -> Retry {
    let domain = message.recipient.as_ref().map(|recipient| recipient.domain.as_str()).unwrap_or_default();
    let rules = match domain.strip_prefix(PARTNER) {
        Some(partner) => agreed(node, message, partner),
        None => kept_pmode(message),
    };
    let dynamic = || node.agreements.dynamic.iter().find(|dynamic| dynamic.domain == domain);
    let known = rules.map(|rules| rules.profile.retry).or_else(|| Some(dynamic()?.profile.retry));
    // Where there is no way there may be no agreement either.
    known.unwrap_or_else(|| Profile::edelivery_1_15().retry)
}

fn to_partner<'m>(node: &Node, message: &'m OutMessage, pmode: PMode) -> Result<Planned<'m>, Unplanned> {
    let name = &pmode.peer.value;
    let partner = node.peers.partners.get(&pmode.peer);
    let partner = partner.ok_or_else(|| Unplanned::never(format!("there is no [[partner]] {name:?}")))?;
    let url =
        partner.url.clone().ok_or_else(|| Unplanned::never(format!("[[partner]] {name:?} has no url")))?;
    let certificates: Result<Vec<_>, _> = partner.encryption.iter().map(|kept| kept.read()).collect();
    let certificates = certificates
        .map_err(|e| Unplanned::Later { reason: format!("[[partner]] {name:?}: {e}"), steps: json!([]) })?;
    let fitting = pmode.profile.security_policy().recipient(&certificates).or(certificates.first());
    let endpoint = Endpoint { url, certificate: fitting.cloned(), transport_profile: None };
    let client = format!("{PARTNER}{name}");
    Ok(Planned { message, pmode, endpoint, client, steps: json!([]), question: None })
}

/// An access point that SML and SMP name.
async fn discovered<'m>(
    node: &Node,
    message: &'m OutMessage,
    domain: &str,
    question: Question,
) -> Result<Planned<'m>, Unplanned> {
    let found = lookup(node, message, domain, &question).await?;
    let steps = serde_json::to_value(&found.steps).unwrap_or_default();
    let peer = party_of(node, domain, &found.endpoint.certificate)?;
    let endpoint = Endpoint {
        url: found.endpoint.url.clone(),
        certificate: Some(found.endpoint.certificate.clone()),
        transport_profile: Some(found.endpoint.transport_profile.clone()),
    };
    let found = peer.clone();
    let (peer, endpoint) = stay_or_move(message, peer, endpoint)?;
    if peer != found {
        still_good(node, domain, &endpoint).await?;
    }
    let pmode = node.agreements.discovered(domain, endpoint.transport_profile.as_deref(), peer);
    let pmode = pmode.ok_or_else(|| Unplanned::never(format!("there is no [[domain]] {domain:?}")))?;
    let pmode = kept_pmode(message).map(|kept| kept.secured_as(&pmode)).unwrap_or(pmode);
    Ok(Planned { message, pmode, endpoint, client: domain.to_owned(), steps, question: Some(question) })
}

/// The endpoint turned out to be stale: the next attempt asks anew (discovery 2.8).
pub(super) fn forget(node: &Node, planned: &Planned<'_>) {
    let finder = node.finders.get(&planned.client);
    if let (Some(finder), Some(question)) = (finder, &planned.question) {
        tracing::info!(
            message.id = planned.message.message_id,
            url = planned.endpoint.url,
            "what was looked up may be stale; asked anew next time"
        );
        finder.resolver.forget(question);
    }
}

/// Asks the registry of a domain, unless the answer is at hand. Where it does not answer soon, lookups hold no more than half of the places:
/// it is no reason to send nothing to others.
async fn lookup(
    node: &Node,
    message: &OutMessage,
    domain: &str,
    question: &Question,
) -> Result<Found, Unplanned> {
    let finder = node.finders.get(domain);
    let finder = finder.ok_or_else(|| Unplanned::never(format!("there is no [[domain]] {domain:?}")))?;
    if finder.resolver.knows(question) {
        return ask(&finder.resolver, question).await;
    }
    let leave = leave(node, message, retry(node, message), &format!("lookup {domain}")).await;
    let pass = leave.map_err(|error| Unplanned::later(error.to_string()))?;
    let pass = pass.map_err(|until| Unplanned::PutOff { until })?;
    let found = ask(&finder.resolver, question).await;
    // One registry of many that is not reached says nothing of the others: only time counts here.
    pass.answered(node.clock.now());
    found
}

/// An outage is never read as "not registered", and what cannot be believed is no word of the recipient's either.
async fn ask(resolver: &Resolver, question: &Question) -> Result<Found, Unplanned> {
    resolver.lookup(question).await.map_err(|failed| {
        let steps = serde_json::to_value(&failed.steps).unwrap_or_default();
        let reason = failed.error.to_string();
        match failed.class() {
            Kind::Outage => Unplanned::Later { reason, steps },
            Kind::NotRegistered | Kind::NotSupported => Unplanned::Never { reason, steps, not_found: true },
            Kind::Refused | Kind::Configuration => Unplanned::Never { reason, steps, not_found: false },
        }
    })
}

/// To/PartyId of a discovered access point is the CN of its certificate (model.md 7).
fn party_of(node: &Node, domain: &str, certificate: &Certificate) -> Result<PartyId, Unplanned> {
    let value = certificate.common_name().ok_or_else(|| {
        Unplanned::never(format!("the certificate {} in the SMP has no common name", certificate.subject()))
    })?;
    let dynamic = node.agreements.dynamic.iter().find(|d| d.domain == domain);
    Ok(PartyId { value, party_type: dynamic.and_then(|d| d.party_type.clone()) })
}

/// The certificate of an access point that no lookup names any more: whoever is revoked or expired gets nothing more.
async fn still_good(node: &Node, domain: &str, endpoint: &Endpoint) -> Result<(), Unplanned> {
    let (trust, revoker) = (node.peers.domains.get(domain), node.revokers.get(domain));
    let (Some(trust), Some(revoker), Some(certificate)) = (trust, revoker, &endpoint.certificate) else {
        return Err(Unplanned::later("the former access point has no certificate that can be judged"));
    };
    let path = trust.ap_trust.path(certificate, &[], node.clock.now()).ok_or_else(|| {
        Unplanned::later(format!(
            "the certificate {} of the former access point is not trusted now",
            certificate.subject()
        ))
    })?;
    revoker
        .judge(&path)
        .await
        .map(drop)
        .map_err(|unusable| Unplanned::later(format!("former access point: {unusable}")))
}

/// With an uncertain attempt at the old access point the message stays there; without one it moves under a new MessageId.
fn stay_or_move(
    message: &OutMessage,
    found: PartyId,
    new: Endpoint,
) -> Result<(PartyId, Endpoint), Unplanned> {
    let Some((value, party_type)) = message.to.clone() else { return Ok((found, new)) };
    let old = PartyId { value, party_type };
    if old == found {
        return Ok((found, new));
    }
    match kept_endpoint(message) {
        Some(endpoint) if message.uncertain_attempts > 0 => Ok((old, endpoint)),
        _ => Err(Unplanned::Moved { to: found.value }),
    }
}

/// Evidence goes back to the party that sent the original: a static partner of that name, else the access point that
/// discovery names for the original sender, whose certificate must bind to that PartyId (model.md 4).
async fn evidence<'m>(node: &Node, message: &'m OutMessage) -> Result<Planned<'m>, Unplanned> {
    let (value, party_type) = message.to.clone().ok_or_else(|| Unplanned::never("evidence without To"))?;
    let peer = PartyId { value, party_type };
    let mut pmode =
        kept_pmode(message).ok_or_else(|| Unplanned::never("evidence without processing mode"))?;
    pmode.peer = peer.clone();
    pmode.evidence = EvidenceRule::ReceiptOnly;
    if node.peers.partners.contains_key(&peer) {
        return to_partner(node, message, pmode);
    }
    let domain =
        pmode.domain.clone().ok_or_else(|| Unplanned::never(format!("no way to party {:?}", peer.value)))?;
    let document_type = node.finders.get(&domain).map(|f| f.evidence_document_type.clone());
    let participant = needed(message.final_recipient.as_deref(), "original sender")?;
    let question = Question { participant: Identifier::parse(participant), document_type, process: None };
    let found = lookup(node, message, &domain, &question).await?;
    let bound = party_of(node, &domain, &found.endpoint.certificate)?;
    if bound != peer {
        let reason = format!(
            "the original sender is now at {:?}, the message came from {:?}",
            bound.value, peer.value
        );
        return Err(Unplanned::never(reason));
    }
    if let Some(now) = node.agreements.discovered(&domain, Some(&found.endpoint.transport_profile), peer) {
        pmode = pmode.secured_as(&now);
    }
    let discovery::Endpoint { url, certificate, transport_profile, .. } = found.endpoint;
    let endpoint =
        Endpoint { url, certificate: Some(certificate), transport_profile: Some(transport_profile) };
    let steps = serde_json::to_value(&found.steps).unwrap_or_default();
    Ok(Planned { message, pmode, endpoint, client: domain, steps, question: Some(question) })
}

fn kept_pmode(message: &OutMessage) -> Option<PMode> {
    serde_json::from_value(message.pmode.clone()?).ok()
}

fn kept_endpoint(message: &OutMessage) -> Option<Endpoint> {
    let kept: Kept = serde_json::from_value(message.endpoint.clone()?).ok()?;
    let certificate = kept.certificate.and_then(|hex| Certificate::from_der(&hex::decode(hex).ok()?).ok());
    Some(Endpoint { url: kept.url, certificate, transport_profile: kept.transport_profile })
}

impl Endpoint {
    /// The endpoint as it is kept with the message.
    pub(super) fn to_json(&self) -> Value {
        // Some thousand digits: this encoder writes them at once.
        let certificate = self.certificate.as_ref().map(|c| HEXLOWER.encode(c.der()));
        let kept =
            Kept { url: self.url.clone(), certificate, transport_profile: self.transport_profile.clone() };
        serde_json::to_value(kept).unwrap_or_default()
    }
}
