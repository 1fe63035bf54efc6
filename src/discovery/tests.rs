//! Lookups against a name server and an SMP of our own, over real sockets.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, NAPTR};
use hickory_proto::rr::{Name, RData, Record};
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::smp::write::metadata;
use super::*;
use crate::clock::{Clock, SignedDuration};
use crate::pki::testing::{self, Pair};
use crate::pki::{Certificate, RevocationRule, TrustStore};
use crate::transport::{Server, ServerLimits, Unusable};

const ZONE: &str = "sml.test";
const DOCUMENT: &str = "busdox-docid-qns::urn:x:Invoice-2::Invoice##urn:cen.eu:en16931:2017#a#b::2.1";
const PROCESS: &str = "cenbii-procid-ubl::urn:p";
const PARTICIPANT: &str = "iso6523-actorid-upis::0218:90000069281";

/// What the name server says, by lower-case name.
#[derive(Clone, Default)]
struct Zone {
    answers: Arc<Mutex<HashMap<String, Said>>>,
}

#[derive(Clone, Default)]
struct Said {
    naptr: Vec<String>,
    cname: Option<String>,
    code: Option<ResponseCode>,
    validated: bool,
    truncated: bool,
}

impl Zone {
    fn say(&self, name: &str, said: Said) {
        self.answers.lock().unwrap().insert(name.to_lowercase(), said);
    }

    fn naptr(&self, participant: &str, url: &str) {
        let name = names::naptr(&Identifier::parse(participant), ZONE, &NameRules::default());
        self.say(&name, Said { naptr: vec![format!("!.*!{url}!")], ..Said::default() });
    }

    fn answer(&self, octets: &[u8], tcp: bool) -> Vec<u8> {
        let question = Message::from_vec(octets).unwrap();
        let query = question.queries[0].clone();
        let name = query.name().to_ascii().trim_end_matches('.').to_lowercase();
        let mut answer = Message::new(question.metadata.id, MessageType::Response, question.metadata.op_code);
        answer.add_query(query.clone());
        let Some(said) = self.answers.lock().unwrap().get(&name).cloned() else {
            answer.metadata.response_code = ResponseCode::NXDomain;
            return answer.to_vec().unwrap();
        };
        answer.metadata.response_code = said.code.unwrap_or(ResponseCode::NoError);
        answer.metadata.authentic_data = said.validated && question.metadata.authentic_data;
        answer.metadata.truncation = said.truncated && !tcp;
        if answer.metadata.truncation {
            return answer.to_vec().unwrap();
        }
        for regexp in &said.naptr {
            let octets = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
            let naptr = NAPTR::new(100, 10, octets("U"), octets("Meta:SMP"), octets(regexp), Name::root());
            answer.add_answer(Record::from_rdata(query.name().clone(), 60, RData::NAPTR(naptr)));
        }
        if let Some(target) = &said.cname {
            let target = CNAME(Name::from_ascii(target).unwrap());
            answer.add_answer(Record::from_rdata(query.name().clone(), 60, RData::CNAME(target)));
        }
        answer.to_vec().unwrap()
    }

    /// Serves UDP and TCP on one port.
    async fn serve(&self) -> SocketAddr {
        let (udp, tcp) = loop {
            let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = tcp.local_addr().unwrap();
        let (one, other) = (self.clone(), self.clone());
        tokio::spawn(async move {
            let mut buffer = vec![0; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
                udp.send_to(&one.answer(&buffer[..length], false), from).await.unwrap();
            }
        });
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = tcp.accept().await {
                let mut question = vec![0; usize::from(stream.read_u16().await.unwrap())];
                stream.read_exact(&mut question).await.unwrap();
                let answer = other.answer(&question, true);
                stream.write_u16(answer.len() as u16).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        });
        address
    }
}

/// Status and body, by decoded path.
type Answers = HashMap<String, (u16, Vec<u8>)>;

/// An SMP: answers by decoded path, or files below a folder; 404 for all else.
#[derive(Clone, Default)]
struct Smp {
    answers: Arc<Mutex<Answers>>,
    folder: Option<PathBuf>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Smp {
    fn say(&self, path: &str, status: u16, body: &str) {
        self.answers.lock().unwrap().insert(path.to_owned(), (status, body.as_bytes().to_vec()));
    }

    fn octets(&self, path: &str, body: Vec<u8>) {
        self.answers.lock().unwrap().insert(path.to_owned(), (200, body));
    }

    fn answer(&self, path: &str) -> hyper::Response<Full<Bytes>> {
        let path = ident::percent_decode(path).unwrap();
        self.asked.lock().unwrap().push(path.clone());
        let said = self.answers.lock().unwrap().get(&path).cloned();
        let file = self.folder.as_ref().map(|folder| folder.join(path.trim_start_matches('/')));
        let read = file.and_then(|file| {
            let index = file.join("index.xml");
            std::fs::read(if file.is_dir() { index } else { file }).ok()
        });
        let (status, body) = said.or(read.map(|body| (200, body))).unwrap_or((404, Vec::new()));
        hyper::Response::builder().status(status).body(Full::from(body)).unwrap()
    }

    /// Serves until the sender is dropped.
    async fn serve(&self) -> (String, tokio::sync::oneshot::Sender<()>) {
        let server =
            Server::bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), None, ServerLimits::default());
        let server = server.await.unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let this = self.clone();
        let service =
            tower::service_fn(move |request: hyper::Request<crate::transport::body::RequestBody>| {
                let answer = this.answer(request.uri().path());
                async move { Ok::<_, Infallible>(answer) }
            });
        tokio::spawn(server.run(service, async move {
            let _ = stopped.await;
        }));
        (url, stop)
    }
}

struct World {
    zone: Zone,
    smp: Smp,
    url: String,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    signer: Pair,
    ap: Pair,
    clock: Clock,
    domain: Domain,
}

impl World {
    async fn new(folder: Option<PathBuf>) -> Self {
        let (zone, smp) = (Zone::default(), Smp { folder, ..Smp::default() });
        let (url, stop) = smp.serve().await;
        let domain = Domain {
            zone: ZONE.into(),
            resolver: Some(zone.serve().await),
            dialects: vec![Dialect::Bdxr2, Dialect::Peppol],
            egress_allow: vec!["127.0.0.1".parse().unwrap()],
            ports: vec![],
            plain_http: true,
            timeout_seconds: 2,
            ..Domain::default()
        };
        zone.naptr(PARTICIPANT, &url);
        Self {
            zone,
            smp,
            url,
            stop: Some(stop),
            signer: testing::self_signed("C=LV,O=Test,CN=SMP_LV", testing::YEAR_2026),
            ap: testing::self_signed("CN=PLV000001", testing::YEAR_2026),
            clock: Clock::manual("2026-06-01T12:00:00Z".parse().unwrap()),
            domain,
        }
    }

    fn resolver(&self) -> Resolver {
        let store = |certificate: &Certificate| Some(TrustStore::new(vec![certificate.clone()]));
        let trusts = Trusts { smp: store(&self.signer.0), ap: store(&self.ap.0), smp_tls: None };
        Resolver::new(self.domain.clone(), trusts, self.clock.clone()).unwrap()
    }

    fn unsigned(&self, document_type: &str) -> Unsigned {
        Unsigned {
            participant: Identifier::parse(PARTICIPANT),
            document_type: Identifier::parse(document_type),
            processes: vec![Identifier::parse(PROCESS)],
            transport_profile: "peppol-transport-as4-v2_0".into(),
            url: "https://ap.example/as4".into(),
            certificate: self.ap.0.clone(),
            from: None,
            until: None,
        }
    }

    fn signed(&self, dialect: Dialect, document_type: &str) -> String {
        sign(&metadata(dialect, &self.unsigned(document_type)), &self.signer.0, &self.signer.1).unwrap()
    }

    fn path(&self, document_type: &str) -> String {
        format!("/{PARTICIPANT}/services/{document_type}")
    }

    /// A signed redirect to `href`, naming `uid`.
    fn redirect(&self, href: &str, uid: &str) -> String {
        let text = format!(
            "<SignedServiceMetadata xmlns=\"http://busdox.org/serviceMetadata/publishing/1.0/\"><ServiceMetadata>\
             <Redirect href=\"{href}\"><CertificateUID>{uid}</CertificateUID></Redirect></ServiceMetadata>\
             </SignedServiceMetadata>"
        );
        sign(&text, &self.signer.0, &self.signer.1).unwrap()
    }
}

fn question(document_type: &str) -> Question {
    Question {
        participant: Identifier::parse(PARTICIPANT),
        document_type: Some(Identifier::parse(document_type)),
        process: Some(Identifier::parse(PROCESS)),
    }
}

#[test]
fn what_we_sign_is_accepted_in_every_dialect_and_nothing_else() {
    let (ca, ap) = (testing::ca("CN=smp ca"), testing::self_signed("CN=ap", testing::YEAR_2026));
    for rsa in [false, true] {
        let options = testing::Options { rsa, ..testing::Options::default() };
        let signer = testing::certificate("CN=SMP_1", &options, Some(&ca));
        for dialect in [Dialect::Peppol, Dialect::Bdxr1, Dialect::Bdxr2] {
            let what = Unsigned {
                participant: Identifier::parse(PARTICIPANT),
                document_type: Identifier::parse(DOCUMENT),
                processes: vec![Identifier::parse(PROCESS), Identifier::parse("a::b")],
                transport_profile: "t".into(),
                url: "https://x/?a=1&b=2".into(),
                certificate: ap.0.clone(),
                from: Some("2026-01-01T00:00:00Z".parse().unwrap()),
                until: Some("2026-12-01T00:00:00Z".parse().unwrap()),
            };
            let signed = sign(&metadata(dialect, &what), &signer.0, &signer.1).unwrap();
            let wanted = Wanted {
                participant: Some(what.participant.clone()),
                document_type: Some(what.document_type.clone()),
                process: Some(Identifier::parse("a::b")),
                transport_profile: Some("t".into()),
            };
            let policy = |trust: &Certificate| Policy {
                allow_sha1: false,
                allow_unsigned: false,
                trust: Some(TrustStore::new(vec![trust.clone()])),
                known: Vec::new(),
                at: "2026-06-01T00:00:00Z".parse().unwrap(),
            };
            let codes = |text: &str, trust: &Certificate| {
                let judgement = judge(text.as_bytes(), &wanted, &policy(trust));
                judgement.errors.iter().map(|finding| finding.code).collect::<Vec<_>>()
            };
            assert_eq!(codes(&signed, &ca.0), Vec::<&str>::new(), "{dialect:?}: {signed}");
            assert_eq!(codes(&signed, &ap.0), ["untrusted"]);
            assert_eq!(codes(&signed.replace("https://x/", "https://y/"), &ca.0), ["signature"]);
            assert_eq!(codes(&metadata(dialect, &what), &ca.0), ["unsigned"]);
            assert!(matches!(sign(&signed, &signer.0, &signer.1), Err(PublishError::Signed)));
        }
    }
}

#[test]
fn a_signature_that_stands_elsewhere_is_not_believed() {
    let signer = testing::self_signed("CN=SMP_1", testing::YEAR_2026);
    let redirect = "<SignedServiceMetadata xmlns=\"http://busdox.org/serviceMetadata/publishing/1.0/\"><ServiceMetadata>\
        <Redirect href=\"https://a/services/b\"><CertificateUID>CN=x</CertificateUID></Redirect></ServiceMetadata>\
        </SignedServiceMetadata>";
    let good = sign(redirect, &signer.0, &signer.1).unwrap();
    let policy = Policy {
        allow_sha1: false,
        allow_unsigned: false,
        trust: None,
        known: Vec::new(),
        at: "2026-06-01T00:00:00Z".parse().unwrap(),
    };
    let codes = |text: &str| {
        let judgement = judge(text.as_bytes(), &Wanted::default(), &policy);
        judgement.errors.iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    assert_eq!(codes(&good), Vec::<&str>::new());
    let body = good.split_once("?>").unwrap().1.trim();
    let wrapped = format!(
        "<SignedServiceMetadata xmlns=\"http://busdox.org/serviceMetadata/publishing/1.0/\">\
        <ServiceMetadata><Redirect href=\"https://evil/services/b\"><CertificateUID>CN=x</CertificateUID>{body}\
        </Redirect></ServiceMetadata></SignedServiceMetadata>"
    );
    assert_eq!(codes(&wrapped), ["signature"], "the good answer inside a bad one");
    let doubled = good.replace("<ServiceMetadata>", "<ServiceMetadata></ServiceMetadata><ServiceMetadata>");
    assert_eq!(codes(&doubled), ["malformed"]);
    assert_eq!(codes(&format!("<!DOCTYPE a>{body}")), ["malformed"]);
}

#[tokio::test]
async fn what_is_published_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(Some(folder.path().to_owned())).await;
    for dialect in [Dialect::Peppol, Dialect::Bdxr2] {
        publish(folder.path(), Some(&world.url), &world.signed(dialect, DOCUMENT)).unwrap();
        publish(folder.path(), Some(&world.url), &world.signed(dialect, "busdox-docid-qns::other::1"))
            .unwrap();
    }
    let resolver = world.resolver();
    let found = resolver.lookup(&question(DOCUMENT)).await.unwrap();
    assert_eq!(found.endpoint.url, "https://ap.example/as4");
    assert_eq!(found.endpoint.certificate, world.ap.0);
    assert_eq!(found.endpoint.process, Some(Identifier::parse(PROCESS)));
    assert!(found.endpoint.smp.contains("/bdxr-smp-2/"), "the first dialect is asked first");
    let asked: Vec<String> =
        found.steps.iter().map(|s| s.asked.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(asked, ["NAPTR", "GET", "endpoint"]);
    assert!(found.steps[1].came.contains("signed by CN=SMP_LV"), "{:?}", found.steps);
    let again = resolver.lookup(&question(DOCUMENT)).await.unwrap();
    assert_eq!(again.steps[0].asked, "cache");
    resolver.forget(&question(DOCUMENT));
    assert_eq!(resolver.lookup(&question(DOCUMENT)).await.unwrap().steps.len(), 3);
    let (group, _) = resolver.services(&Identifier::parse(PARTICIPANT)).await.unwrap();
    let services: Vec<String> = group.services.iter().map(ToString::to_string).collect();
    assert_eq!(services, ["busdox-docid-qns::other::1", DOCUMENT]);
    let old = Domain { dialects: vec![Dialect::Peppol], ..world.domain.clone() };
    let world = World { domain: old, ..world };
    let found = world.resolver().lookup(&question(DOCUMENT)).await.unwrap();
    assert!(!found.endpoint.smp.contains("bdxr-smp-2"));
    let (group, _) = world.resolver().services(&Identifier::parse(PARTICIPANT)).await.unwrap();
    assert_eq!(group.services.len(), 2, "hrefs are read back");
}

#[tokio::test]
async fn an_outage_is_never_read_as_not_registered() {
    let world = World::new(None).await;
    let resolver = world.resolver();
    let class = |participant: &'static str| {
        let resolver = resolver.clone();
        let asked = Question { participant: Identifier::parse(participant), ..question(DOCUMENT) };
        async move { resolver.lookup(&asked).await.unwrap_err().class() }
    };
    let name = |participant: &str| names::naptr(&Identifier::parse(participant), ZONE, &NameRules::default());
    assert_eq!(class("iso6523-actorid-upis::0218:1").await, Class::NotRegistered, "NXDOMAIN");
    world.zone.say(&name("s::empty"), Said::default());
    assert_eq!(class("s::empty").await, Class::NotRegistered, "NOERROR without records");
    world.zone.say(&name("s::servfail"), Said { code: Some(ResponseCode::ServFail), ..Said::default() });
    assert_eq!(class("s::servfail").await, Class::Outage);
    world.zone.say(&name("s::refused"), Said { code: Some(ResponseCode::Refused), ..Said::default() });
    assert_eq!(class("s::refused").await, Class::Outage);
    world.zone.naptr("s::inner", "http://10.0.0.1/smp");
    assert_eq!(class("s::inner").await, Class::Refused, "the gate");
    world.zone.naptr("s::closed", "http://127.0.0.1:1");
    assert_eq!(class("s::closed").await, Class::Outage, "nobody listens");
    assert_eq!(class(PARTICIPANT).await, Class::NotSupported, "404");
    world.smp.say(&world.path(DOCUMENT), 500, "");
    assert_eq!(class(PARTICIPANT).await, Class::Outage, "500");
    world.smp.say(&world.path(DOCUMENT), 302, "");
    assert_eq!(class(PARTICIPANT).await, Class::Outage, "HTTP redirects are not followed");
    world.smp.say(&world.path(DOCUMENT), 200, "<a/>");
    assert_eq!(class(PARTICIPANT).await, Class::Refused, "no answer of an SMP");
    world.smp.say(&world.path(DOCUMENT), 200, &world.signed(Dialect::Bdxr1, DOCUMENT));
    assert_eq!(class(PARTICIPANT).await, Class::Refused, "a dialect that the domain does not have");
}

#[tokio::test]
async fn an_old_answer_serves_while_the_smp_is_away() {
    let mut world = World::new(None).await;
    world.smp.say(&world.path(DOCUMENT), 200, &world.signed(Dialect::Peppol, DOCUMENT));
    let resolver = world.resolver();
    assert!(resolver.lookup(&question(DOCUMENT)).await.is_ok());
    drop(world.stop.take());
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    world.clock.advance(SignedDuration::from_secs(901));
    let stale = resolver.lookup(&question(DOCUMENT)).await.unwrap();
    let cache = stale.steps.iter().find(|step| step.asked == "cache").unwrap();
    assert!(cache.came.contains("gave no answer") && cache.came.contains("kept since"), "{}", cache.came);
    world.clock.advance(SignedDuration::from_secs(86_400));
    assert_eq!(resolver.lookup(&question(DOCUMENT)).await.unwrap_err().class(), Class::Outage, "too old");
}

#[tokio::test]
async fn a_redirect_is_followed_once_to_the_signer_it_names() {
    let world = World::new(None).await;
    let resolver = world.resolver();
    let there = format!("{}/there/services/x", world.url);
    let own = "CN=SMP_LV, O=Test, C=LV";
    let lookup = |uid: &'static str, target: String| {
        world.smp.say(&world.path(DOCUMENT), 200, &world.redirect(&there, uid));
        world.smp.say("/there/services/x", 200, &target);
        resolver.forget(&question(DOCUMENT));
        let resolver = resolver.clone();
        async move { resolver.lookup(&question(DOCUMENT)).await }
    };
    let good = world.signed(Dialect::Peppol, DOCUMENT);
    let found = lookup(own, good.clone()).await.unwrap();
    assert_eq!((found.endpoint.smp, found.steps.len()), (there.clone(), 5));
    assert!(lookup("C=LV,O=Test,CN=SMP_LV", good.clone()).await.is_ok(), "either order");
    let refused = lookup("CN=SMP_EE,O=Test,C=LV", good).await.unwrap_err();
    assert!(matches!(refused.error, Error::Redirect { .. }), "{refused}");
    let again = lookup(own, world.redirect(&there, own)).await.unwrap_err();
    assert!(matches!(again.error, Error::Redirect { .. }), "{again}");
    let other = lookup(own, world.signed(Dialect::Peppol, "busdox-docid-qns::other::1")).await.unwrap_err();
    assert!(matches!(other.error, Error::Answer { .. }), "{other}");
}

#[tokio::test]
async fn a_wildcard_is_chosen_from_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(Some(folder.path().to_owned())).await;
    let id = |customization: &str| {
        format!("peppol-doctype-wildcard::urn:x:Invoice-2::Invoice##{customization}::2.1")
    };
    publish(folder.path(), Some(&world.url), &world.signed(Dialect::Peppol, &id("urn:pint:billing-1*")))
        .unwrap();
    let found = world.resolver().lookup(&question(&id("urn:pint:billing-1@jp-1"))).await.unwrap();
    assert_eq!(found.endpoint.document_type.to_string(), id("urn:pint:billing-1*"));
    let missing = world.resolver().lookup(&question(&id("urn:pint:other-1"))).await.unwrap_err();
    assert_eq!(missing.class(), Class::NotSupported);
}

#[tokio::test]
async fn dns_answers_are_followed_completed_and_validated_on_demand() {
    let mut world = World::new(None).await;
    world.smp.say(&world.path(DOCUMENT), 200, &world.signed(Dialect::Peppol, DOCUMENT));
    let name = names::naptr(&Identifier::parse(PARTICIPANT), ZONE, &NameRules::default());
    let naptr = vec![format!("!^.*$!{}/!", world.url)];
    world.zone.say(&name, Said { cname: Some("lv.publisher.sml.test.".into()), ..Said::default() });
    world
        .zone
        .say("lv.publisher.sml.test", Said { naptr: naptr.clone(), truncated: true, ..Said::default() });
    assert!(world.resolver().lookup(&question(DOCUMENT)).await.is_ok(), "CNAME, then TCP");
    world.domain.dnssec = Dnssec::Require;
    let unvalidated = world.resolver().lookup(&question(DOCUMENT)).await.unwrap_err();
    assert!(matches!(unvalidated.error, Error::NotValidated { .. }), "{unvalidated}");
    world.zone.say(&name, Said { naptr, validated: true, ..Said::default() });
    assert!(world.resolver().lookup(&question(DOCUMENT)).await.is_ok(), "AD");
    let round = Said { cname: Some(format!("{name}.")), ..Said::default() };
    world.zone.say(&name, round);
    let circle = world.resolver().lookup(&question(DOCUMENT)).await.unwrap_err();
    assert_eq!(circle.class(), Class::Outage, "{circle}");
}

#[tokio::test]
async fn that_there_is_nothing_must_be_validated_too_on_demand() {
    let mut world = World::new(None).await;
    let name = names::naptr(&Identifier::parse(PARTICIPANT), ZONE, &NameRules::default());
    for code in [ResponseCode::NXDomain, ResponseCode::NoError] {
        for (dnssec, validated, class) in [
            (Dnssec::Off, false, Class::NotRegistered),
            (Dnssec::Require, false, Class::Outage),
            (Dnssec::Require, true, Class::NotRegistered),
        ] {
            world.domain.dnssec = dnssec;
            world.zone.say(&name, Said { code: Some(code), validated, ..Said::default() });
            let none = world.resolver().lookup(&question(DOCUMENT)).await.unwrap_err();
            assert_eq!(none.class(), class, "{code}, {dnssec:?}, validated {validated}: {none}");
        }
    }
}

#[tokio::test]
async fn a_revoked_access_point_is_refused_and_an_unknown_one_by_rule() {
    let mut world = World::new(None).await;
    let ca = testing::ca("CN=ap ca");
    let list = format!("{}/ca.crl", world.url);
    let options = testing::Options { crl: Some(&list), ..testing::Options::default() };
    world.ap = testing::certificate("CN=PLV000001", &options, Some(&ca));
    world.smp.say(&world.path(DOCUMENT), 200, &world.signed(Dialect::Peppol, DOCUMENT));
    let lookup = |world: &World, rule: RevocationRule| {
        let domain = Domain { revocation: rule, ..world.domain.clone() };
        let store = |certificate: &Certificate| Some(TrustStore::new(vec![certificate.clone()]));
        let trusts = Trusts { smp: store(&world.signer.0), ap: store(&ca.0), smp_tls: None };
        let resolver = Resolver::new(domain, trusts, world.clock.clone()).unwrap();
        async move { resolver.lookup(&question(DOCUMENT)).await }
    };
    let soft = lookup(&world, RevocationRule::Soft).await.unwrap();
    assert!(
        soft.steps.iter().any(|step| step.came.contains("unknown")),
        "the list is not there: {:?}",
        soft.steps
    );
    let required = lookup(&world, RevocationRule::Require).await.unwrap_err();
    assert_eq!(required.class(), Class::Outage);
    world.smp.octets("/ca.crl", testing::crl(&ca, &[]));
    assert!(lookup(&world, RevocationRule::Require).await.is_ok());
    world.smp.octets("/ca.crl", testing::crl(&ca, &[&world.ap.0]));
    for rule in [RevocationRule::Soft, RevocationRule::Require] {
        let revoked = lookup(&world, rule).await.unwrap_err();
        assert!(
            matches!(revoked.error, Error::Revocation { unusable: Unusable::Revoked { .. }, .. }),
            "{revoked}"
        );
    }
    assert!(lookup(&world, RevocationRule::Off).await.is_ok());
}

#[tokio::test]
async fn an_access_point_that_has_changed_its_keys_is_found_behind_cached_metadata() {
    let mut world = World::new(None).await;
    let ca = testing::ca("CN=ap ca");
    let list = format!("{}/ca.crl", world.url);
    let options = testing::Options { crl: Some(&list), ..testing::Options::default() };
    let [old, new] = [(); 2].map(|()| testing::certificate("CN=PLV000001", &options, Some(&ca)));
    world.ap = old.clone();
    world.smp.say(&world.path(DOCUMENT), 200, &world.signed(Dialect::Peppol, DOCUMENT));
    world.smp.octets("/ca.crl", testing::crl(&ca, &[]));
    let domain = Domain {
        revocation: RevocationRule::Require,
        cache_seconds: 1_000_000,
        stale_seconds: 2_000_000,
        ..world.domain.clone()
    };
    let store = |certificate: &Certificate| Some(TrustStore::new(vec![certificate.clone()]));
    let trusts = Trusts { smp: store(&world.signer.0), ap: store(&ca.0), smp_tls: None };
    let resolver = Resolver::new(domain, trusts, world.clock.clone()).unwrap();
    assert_eq!(resolver.lookup(&question(DOCUMENT)).await.unwrap().endpoint.certificate, old.0);
    world.smp.octets("/ca.crl", testing::crl(&ca, &[&old.0]));
    world.clock.advance(SignedDuration::from_hours(2));
    resolver.revoker().refresh().await;
    world.smp.say(&world.path(DOCUMENT), 503, "down");
    let outage = resolver.lookup(&question(DOCUMENT)).await.unwrap_err();
    assert_eq!(outage.class(), Class::Outage, "old metadata ends nothing: {outage}");
    world.ap = new.clone();
    world.smp.say(&world.path(DOCUMENT), 200, &world.signed(Dialect::Peppol, DOCUMENT));
    assert_eq!(resolver.lookup(&question(DOCUMENT)).await.unwrap().endpoint.certificate, new.0);
}
