//! The lookup: name, NAPTR, metadata, signature, redirect, endpoint, with every step kept.

use std::sync::Arc;

use super::cache::{Cache, Entry};
use super::domain::{Dnssec, LookupMode};
use super::fetch::{self, Fetched};
use super::naptr::{self, Unusable};
use super::select::{choose, takes};
use super::smp::judge::{Examined, Policy, Wanted, examine};
use super::smp::{Content, Redirect, ServiceGroup, ServiceMetadata};
use super::{
    Class, Dialect, Dns, DnsError, Domain, Error, Failure, Identifier, Step, Trusts, names, wildcard,
};
use crate::clock::{Clock, Timestamp};
use crate::pki::{Certificate, TrustStore};
use crate::transport::{self, Client, Revoker};

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The participant; the domain's default scheme is added where it has none.
    pub participant: Identifier,
    /// The document type; the domain's default when absent.
    pub document_type: Option<Identifier>,
    /// The process; the domain's default when absent, and any if there is none.
    pub process: Option<Identifier>,
}

/// An access point that takes what was asked for.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The participant as asked.
    pub participant: Identifier,
    /// The document type as published (a wildcard may stand for the one asked).
    pub document_type: Identifier,
    /// The process as published; absent where any is taken.
    pub process: Option<Identifier>,
    /// How it is spoken to.
    pub transport_profile: String,
    /// Its address.
    pub url: String,
    /// The certificate to encrypt to; its common name is To/PartyId (model 7).
    pub certificate: Certificate,
    /// All certificates published for it: one of them signs receipts.
    pub certificates: Vec<Certificate>,
    /// Not used after this moment.
    pub until: Option<Timestamp>,
    /// Where the metadata came from.
    pub smp: String,
}

/// An endpoint with the way that led to it.
#[derive(Debug, Clone)]
pub struct Found {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// What was asked, in order.
    pub steps: Vec<Step>,
}

/// Looks up participants of one domain. Cheap to clone; clones share cache and connections.
#[derive(Clone)]
pub struct Resolver(Arc<Inner>);

struct Inner {
    domain: Domain,
    trusts: Trusts,
    clock: Clock,
    dns: Dns,
    client: Client,
    revoker: Revoker,
    cache: Cache,
}

impl Resolver {
    /// Builds the resolver of a domain; an error is the configuration's.
    pub fn new(domain: Domain, trusts: Trusts, clock: Clock) -> Result<Self, Error> {
        if domain.zone.is_empty() || domain.dialects.is_empty() || domain.lookup.is_empty() {
            return Err(Error::Configuration(
                "a domain needs a zone, a lookup mode and a dialect".to_owned(),
            ));
        }
        let dns = Dns::new(domain.resolver);
        let client = fetch::client(&domain, &trusts, &dns)?;
        let revoker = fetch::revoker(&domain, &dns, clock.clone())?;
        Ok(Self(Arc::new(Inner { domain, trusts, clock, dns, client, revoker, cache: Cache::default() })))
    }

    /// The domain's configuration.
    pub fn domain(&self) -> &Domain {
        &self.0.domain
    }

    /// What asks after certificates of this domain.
    pub fn revoker(&self) -> &Revoker {
        &self.0.revoker
    }

    /// Finds the endpoint. A good answer is used again until it ages; when there is an outage an older one is used, and a
    /// step says so.
    pub async fn lookup(&self, question: &Question) -> Result<Found, Failure> {
        let mut trail = Trail { clock: &self.0.clock, steps: Vec::new() };
        match self.0.find(question, &mut trail).await {
            Ok(endpoint) => Ok(Found { endpoint, steps: trail.steps }),
            Err(error) => Err(Failure { error, steps: trail.steps }),
        }
    }

    /// Whether the answer to a question is at hand, so that nobody need be asked.
    pub fn knows(&self, question: &Question) -> bool {
        let Inner { cache, clock, domain, .. } = &*self.0;
        let asked = self.0.asked(question);
        asked.is_ok_and(|asked| cache.holds(&asked.key(), clock.now(), domain.cache_seconds))
    }

    /// Forgets what is cached for a question: the endpoint turned out to be stale (discovery 2.8).
    pub fn forget(&self, question: &Question) {
        if let Ok(asked) = self.0.asked(question) {
            self.0.cache.forget(&asked.key());
        }
    }

    /// The participant's group: the document types that it receives. Unsigned in SMP 1, so a hint and no more.
    pub async fn services(&self, participant: &Identifier) -> Result<(ServiceGroup, Vec<Step>), Failure> {
        let mut trail = Trail { clock: &self.0.clock, steps: Vec::new() };
        let participant = self.0.with_scheme(participant);
        let found = async {
            let base = self.0.smp_address(&participant, &mut trail).await?;
            self.0.group(&base, &participant, &mut trail).await
        }
        .await;
        match found {
            Ok(group) => Ok((group, trail.steps)),
            Err(error) => Err(Failure { error, steps: trail.steps }),
        }
    }
}

/// A question with the domain's defaults filled in.
struct Asked {
    participant: Identifier,
    document_type: Identifier,
    process: Option<Identifier>,
}

impl Asked {
    fn key(&self) -> String {
        let process = self.process.as_ref().map(Identifier::to_string).unwrap_or_default();
        format!("{}\n{}\n{process}", self.participant.to_string().to_lowercase(), self.document_type)
    }
}

impl Inner {
    fn with_scheme(&self, participant: &Identifier) -> Identifier {
        let mut participant = participant.clone();
        if participant.scheme.is_none() && participant.ebcore().is_none() {
            participant.scheme.clone_from(&self.domain.default_scheme);
        }
        participant
    }

    fn asked(&self, question: &Question) -> Result<Asked, Error> {
        let or_default = |given: &Option<Identifier>, default: &Option<String>| {
            given.clone().or_else(|| default.as_deref().map(Identifier::parse))
        };
        let document_type = or_default(&question.document_type, &self.domain.default_document_type);
        let document_type = document_type.ok_or_else(|| {
            Error::Configuration("no document type given, and the domain has no default".to_owned())
        })?;
        let process = or_default(&question.process, &self.domain.default_process);
        Ok(Asked { participant: self.with_scheme(&question.participant), document_type, process })
    }

    async fn find(&self, question: &Question, trail: &mut Trail<'_>) -> Result<Endpoint, Error> {
        let asked = self.asked(question)?;
        let key = asked.key();
        let now = self.clock.now();
        if let Some(entry) = self.cache.get(&key, now, self.domain.cache_seconds) {
            trail.add(
                now,
                "cache",
                "ourselves",
                format!("metadata of {} kept since {}", entry.url, entry.since),
            );
            match self.endpoint(&asked, &entry, trail).await {
                // Whoever changes keys has said so to the SMP: only what is fetched now can be the last word.
                Err(Error::Revocation { unusable: transport::Unusable::Revoked { .. }, .. }) => {}
                kept => return kept,
            }
        }
        match self.metadata(&asked, trail).await {
            Ok(entry) => {
                self.cache.put(key, entry.clone());
                self.endpoint(&asked, &entry, trail).await
            }
            Err(error) if error.class() == Class::Outage => {
                let stale =
                    self.cache.get(&key, now, self.domain.stale_seconds).ok_or_else(|| error.clone())?;
                let came = format!("{error}; metadata of {} kept since {} is used", stale.url, stale.since);
                trail.add(self.clock.now(), "cache", "ourselves", came);
                // What is wrong with old metadata ends no message: the outage does not, either.
                self.endpoint(&asked, &stale, trail).await.map_err(|_| error)
            }
            Err(error) => {
                self.cache.forget(&key);
                Err(error)
            }
        }
    }

    async fn endpoint(&self, asked: &Asked, entry: &Entry, trail: &mut Trail<'_>) -> Result<Endpoint, Error> {
        let now = self.clock.now();
        let metadata = &entry.metadata;
        let chosen = choose(&metadata.processes, asked.process.as_ref(), &self.domain, &self.trusts, now);
        let chosen = chosen.map_err(|(filter, detail)| {
            trail.add(now, "endpoint", "ourselves", format!("{filter}{detail}"));
            Error::NoEndpoint { filter, detail }
        })?;
        let published = chosen.endpoint;
        trail.add(
            now,
            "endpoint",
            "ourselves",
            format!("{} at {}", published.transport_profile, published.url),
        );
        let alone = (&chosen.certificate, [].as_slice());
        self.check_revocation("access point", alone, self.trusts.ap.as_ref(), trail).await?;
        Ok(Endpoint {
            participant: asked.participant.clone(),
            document_type: metadata.document_type.clone(),
            process: chosen.process,
            transport_profile: published.transport_profile.clone(),
            url: published.url.clone(),
            until: published.until,
            certificates: published.certificates.iter().map(|(_, certificate)| certificate.clone()).collect(),
            certificate: chosen.certificate,
            smp: entry.url.clone(),
        })
    }

    /// Fetches and verifies the metadata, from the name on.
    async fn metadata(&self, asked: &Asked, trail: &mut Trail<'_>) -> Result<Entry, Error> {
        let base = self.smp_address(&asked.participant, trail).await?;
        let mut wanted = Wanted {
            participant: Some(asked.participant.clone()),
            document_type: Some(asked.document_type.clone()),
            process: asked.process.clone(),
            transport_profile: None,
        };
        if asked.document_type.scheme() == wildcard::SCHEME {
            let group = self.group(&base, &asked.participant, trail).await?;
            let best = wildcard::best(&group, &asked.document_type);
            wanted.document_type = Some(best.ok_or_else(|| not_supported(asked))?);
        }
        let Some((url, examined)) = self.first_metadata(&base, &wanted, trail).await? else {
            return Err(not_supported(asked));
        };
        self.check_signer(&examined, trail).await?;
        let (url, metadata) = match redirect_of(&examined, &wanted) {
            None => (url, metadata_of(examined)?),
            Some(redirect) => self.follow(redirect, &wanted, trail).await?,
        };
        Ok(Entry { metadata: Arc::new(metadata), url, since: self.clock.now() })
    }

    /// The address of the participant's SMP, by the domain's lookup modes in order.
    async fn smp_address(&self, participant: &Identifier, trail: &mut Trail<'_>) -> Result<String, Error> {
        let mut said = Vec::new();
        for mode in &self.domain.lookup {
            let found = match mode {
                LookupMode::Naptr => self.by_naptr(participant, trail).await,
                LookupMode::Cname => self.by_cname(participant, trail).await,
            };
            match found {
                Err(Error::NotRegistered { detail, .. }) => said.push(detail),
                other => return other,
            }
        }
        Err(Error::NotRegistered { participant: participant.to_string(), detail: said.join("; ") })
    }

    async fn by_naptr(&self, participant: &Identifier, trail: &mut Trail<'_>) -> Result<String, Error> {
        let (begun, domain) = (self.clock.now(), &self.domain);
        let name = names::naptr(participant, &domain.zone, &domain.name_rules());
        let asked = format!("NAPTR {name}");
        let found = self.dns.naptr(&name).await;
        let found = match found {
            Ok(found) => found,
            Err(error) => return Err(self.no_records(error, participant, &asked, begun, trail)),
        };
        self.check_validated(found.validated, &name)?;
        let result = naptr::address(&found.records, &domain.naptr_service, !domain.plain_http);
        let came = match &result {
            Ok(url) => url.clone(),
            Err(Unusable::NoSuchService) => format!("no service {}", domain.naptr_service),
            Err(Unusable::Wrong(detail)) => detail.clone(),
        };
        trail.add(begun, &asked, &self.dns.describe(), came);
        result.map_err(|unusable| match unusable {
            Unusable::NoSuchService => Error::NoSmpService {
                participant: participant.to_string(),
                service: domain.naptr_service.clone(),
            },
            Unusable::Wrong(detail) => Error::Registry { name, detail },
        })
    }

    /// The older SML: the name itself is the SMP's host, over plain HTTP.
    async fn by_cname(&self, participant: &Identifier, trail: &mut Trail<'_>) -> Result<String, Error> {
        let begun = self.clock.now();
        if !self.domain.plain_http {
            return Err(Error::Configuration(
                "lookup by CNAME leads to plain HTTP: it needs allow_http = true".to_owned(),
            ));
        }
        let name = names::cname(participant, &self.domain.zone, &self.domain.name_rules());
        let asked = format!("A {name}");
        match self.dns.addresses(&name).await {
            Ok(found) => {
                self.check_validated(found.validated, &name)?;
                trail.add(begun, &asked, &self.dns.describe(), format!("http://{name}"));
                Ok(format!("http://{name}"))
            }
            Err(error) => Err(self.no_records(error, participant, &asked, begun, trail)),
        }
    }

    /// Asks after one certificate and those above it, as the domain's rule says.
    async fn check_revocation(
        &self,
        role: &'static str,
        (certificate, chain): (&Certificate, &[Certificate]),
        anchors: Option<&TrustStore>,
        trail: &mut Trail<'_>,
    ) -> Result<(), Error> {
        let begun = self.clock.now();
        // Without anchors nobody's word is asked: that is for diagnosis.
        let Some(anchors) = anchors else { return Ok(()) };
        let asked = format!("revocation of the {role}");
        let judged = match anchors.path(certificate, chain, begun) {
            Some(path) => self.revoker.judge(&path).await,
            None => self.revoker.judge_without_path(certificate),
        };
        match judged {
            Ok(None) => Ok(()),
            Ok(Some(note)) => {
                trail.add(begun, &asked, "its issuer", note);
                Ok(())
            }
            Err(unusable) => {
                trail.add(begun, &asked, "its issuer", unusable.to_string());
                Err(Error::Revocation { role, unusable })
            }
        }
    }

    fn check_validated(&self, validated: bool, name: &str) -> Result<(), Error> {
        match self.domain.dnssec == Dnssec::Require && !validated {
            true => Err(Error::NotValidated { name: name.to_owned() }),
            false => Ok(()),
        }
    }

    fn no_records(
        &self,
        error: DnsError,
        participant: &Identifier,
        asked: &str,
        begun: Timestamp,
        trail: &mut Trail<'_>,
    ) -> Error {
        trail.add(begun, asked, &self.dns.describe(), error.to_string());
        let name = asked.split(' ').next_back().unwrap_or_default().to_owned();
        let (DnsError::NoSuchName { validated } | DnsError::NoRecords { validated }) = error else {
            return Error::DnsOutage { name, detail: error.to_string() };
        };
        // Anybody on the way can say that there is nothing: to be believed, that must be validated, too.
        match self.check_validated(validated, &name) {
            Err(unproven) => unproven,
            Ok(()) => Error::NotRegistered {
                participant: participant.to_string(),
                detail: format!("{asked}: {error}"),
            },
        }
    }

    async fn group(
        &self,
        base: &str,
        participant: &Identifier,
        trail: &mut Trail<'_>,
    ) -> Result<ServiceGroup, Error> {
        let wanted = Wanted { participant: Some(participant.clone()), ..Wanted::default() };
        for path in self.paths(|dialect| dialect.group_path(participant)) {
            let examined = self.fetch(&format!("{base}{path}"), &wanted, trail).await?;
            if let Some(Content::Group(group)) =
                examined.and_then(|found| found.answer).map(|answer| answer.content)
            {
                return Ok(group);
            }
        }
        let detail = format!("the SMP at {base} does not know it");
        Err(Error::NotRegistered { participant: participant.to_string(), detail })
    }

    /// Asks for metadata in each dialect until the SMP has it; `None` when it has none.
    async fn first_metadata(
        &self,
        base: &str,
        wanted: &Wanted,
        trail: &mut Trail<'_>,
    ) -> Result<Option<(String, Examined)>, Error> {
        let (Some(participant), Some(document_type)) = (&wanted.participant, &wanted.document_type) else {
            return Ok(None);
        };
        for path in self.paths(|dialect| dialect.metadata_path(participant, document_type)) {
            let url = format!("{base}{path}");
            if let Some(examined) = self.fetch(&url, wanted, trail).await? {
                return Ok(Some((url, examined)));
            }
        }
        Ok(None)
    }

    /// The paths of the domain's dialects, each once.
    fn paths(&self, path: impl Fn(Dialect) -> String) -> Vec<String> {
        let mut paths: Vec<String> = Vec::new();
        for one in self.domain.dialects.iter().map(|dialect| path(*dialect)) {
            if !paths.contains(&one) {
                paths.push(one);
            }
        }
        paths
    }

    /// Fetches and judges one answer; `None` for 404. What is not accepted is an error, but for the choice of an endpoint,
    /// which comes later and says more.
    async fn fetch(
        &self,
        url: &str,
        wanted: &Wanted,
        trail: &mut Trail<'_>,
    ) -> Result<Option<Examined>, Error> {
        let begun = self.clock.now();
        let host = url.split('/').nth(2).unwrap_or_default().to_owned();
        let asked = format!("GET {url}");
        let octets = match fetch::get(&self.client, url).await {
            Ok(Fetched::Answer(octets)) => octets,
            Ok(Fetched::Nothing) => {
                trail.add(begun, &asked, &host, "404 not found");
                return Ok(None);
            }
            Err(error) => {
                trail.add(begun, &asked, &host, error.to_string());
                return Err(error);
            }
        };
        let examined = examine(&octets, wanted, &self.policy());
        let judgement = &examined.judgement;
        let mut findings = judgement.errors.clone();
        findings.retain(|finding| finding.code != "no-endpoint");
        if judgement.dialect.is_some_and(|dialect| !self.domain.dialects.contains(&dialect)) {
            let detail = format!("dialect {:?} is not one of this domain's", judgement.dialect);
            findings.push(super::Finding { code: "malformed", detail });
        }
        let signer = judgement.signature.signer.as_ref().map(|signer| signer.subject.clone());
        let kind = judgement.kind.map_or_else(|| "answer".to_owned(), |kind| format!("{kind:?}"));
        match findings.is_empty() {
            true => {
                let by = signer.map_or_else(|| "unsigned".to_owned(), |signer| format!("signed by {signer}"));
                trail.add(begun, &asked, &host, format!("{kind}, {by}"));
                Ok(Some(examined))
            }
            false => {
                let error = Error::Answer { url: url.to_owned(), findings };
                trail.add(begun, &asked, &host, error.to_string());
                Err(error)
            }
        }
    }

    async fn check_signer(&self, examined: &Examined, trail: &mut Trail<'_>) -> Result<(), Error> {
        match &examined.signer {
            Some(signer) => {
                let with_chain = (signer, examined.chain.as_slice());
                self.check_revocation("SMP", with_chain, self.trusts.smp.as_ref(), trail).await
            }
            None => Ok(()),
        }
    }

    fn policy(&self) -> Policy {
        Policy {
            allow_sha1: self.domain.allow_sha1,
            allow_unsigned: self.domain.allow_unsigned,
            trust: self.trusts.smp.clone(),
            known: Vec::new(),
            at: self.clock.now(),
        }
    }

    /// Follows a verified redirect, once, and compares who signs there with who should (discovery 2.5).
    async fn follow(
        &self,
        redirect: Redirect,
        wanted: &Wanted,
        trail: &mut Trail<'_>,
    ) -> Result<(String, ServiceMetadata), Error> {
        let refused = |detail: &str| Error::Redirect { url: redirect.url.clone(), detail: detail.to_owned() };
        // In SMP 1 the href is the resource; in SMP 2.0 it is the other publisher's address.
        let complete = redirect.url.contains("/services/");
        let found = match complete {
            true => self
                .fetch(&redirect.url, wanted, trail)
                .await?
                .map(|examined| (redirect.url.clone(), examined)),
            false => self.first_metadata(redirect.url.trim_end_matches('/'), wanted, trail).await?,
        };
        let (url, examined) = found.ok_or_else(|| refused("there is no metadata there"))?;
        if redirect_of(&examined, wanted).is_some() {
            return Err(refused("it leads to another redirect"));
        }
        match examined.signer.as_ref() {
            Some(signer) if signs_there(&redirect, signer) => {}
            None if self.domain.allow_unsigned => {}
            _ => return Err(refused("another certificate signs there than the redirect names")),
        }
        self.check_signer(&examined, trail).await?;
        Ok((url, metadata_of(examined)?))
    }
}

/// The redirect of a whole answer, or of the wanted process in SMP 2.0.
fn redirect_of(examined: &Examined, wanted: &Wanted) -> Option<Redirect> {
    match &examined.answer.as_ref()?.content {
        Content::Redirect(redirect) => Some(redirect.clone()),
        Content::Metadata(metadata) => {
            let mut fitting =
                metadata.processes.iter().filter(|process| takes(process, wanted.process.as_ref()));
            let first = fitting.next()?;
            first.redirect.clone()
        }
        Content::Group(_) => None,
    }
}

/// CertificateUID is the subject in practice, in any order and spelling; SMP 2.0 has the certificate itself.
fn signs_there(redirect: &Redirect, signer: &Certificate) -> bool {
    if let Some(certificate) = &redirect.certificate {
        return certificate == signer;
    }
    let Some(uid) = &redirect.certificate_uid else {
        // SMP 2.0 need not name one; an answer of SMP 1 without it is malformed.
        return true;
    };
    let named = crate::pki::Name::parse(uid);
    signer.subject() == *uid || named.zip(signer.subject_name()).is_some_and(|(a, b)| a.means_the_same(&b))
}

fn metadata_of(examined: Examined) -> Result<ServiceMetadata, Error> {
    match examined.answer.map(|answer| answer.content) {
        Some(Content::Metadata(metadata)) => Ok(metadata),
        _ => Err(Error::Answer {
            url: String::new(),
            findings: vec![super::Finding { code: "malformed", detail: "not metadata".to_owned() }],
        }),
    }
}

fn not_supported(asked: &Asked) -> Error {
    Error::DocumentNotSupported {
        participant: asked.participant.to_string(),
        document_type: asked.document_type.to_string(),
    }
}

/// The steps as they happen.
struct Trail<'c> {
    clock: &'c Clock,
    steps: Vec<Step>,
}

impl Trail<'_> {
    fn add(&mut self, begun: Timestamp, asked: &str, of: &str, came: impl Into<String>) {
        let at = self.clock.now();
        let milliseconds = u64::try_from(at.duration_since(begun).as_millis()).unwrap_or_default();
        let step = Step { at, asked: asked.to_owned(), of: of.to_owned(), came: came.into(), milliseconds };
        self.steps.push(step);
    }
}
