use super::*;
use crate::clock::SignedDuration;
use crate::pki::testing::{self, Options, Pair};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const YEAR: (&str, &str) = ("20260101000000Z", "20270101000000Z");

/// A real HTTP server that publishes what it is told to, and counts.
struct Publisher {
    url: String,
    asked: Arc<AtomicUsize>,
    says: Arc<Mutex<Says>>,
}

type Answer = Box<dyn Fn(&[u8]) -> Vec<u8> + Send>;

/// What the publisher does with a request.
enum Says {
    Octets(Vec<u8>),
    Answers(Answer),
    Fails,
}

impl Publisher {
    async fn start() -> Self {
        let server = crate::transport::Server::bind("127.0.0.1:0".parse().unwrap(), None, Default::default());
        let server = server.await.unwrap();
        let url = format!("http://{}/ca", server.local_addr().unwrap());
        let (asked, says) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Says::Fails)));
        let (count, say) = (asked.clone(), says.clone());
        let service =
            tower::service_fn(move |request: hyper::Request<crate::transport::body::RequestBody>| {
                count.fetch_add(1, Ordering::SeqCst);
                let say = say.clone();
                async move {
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let (status, octets) = match &*say.lock().unwrap() {
                        Says::Octets(octets) => (200, octets.clone()),
                        Says::Answers(answer) => (200, answer(&body)),
                        Says::Fails => (503, Vec::new()),
                    };
                    let answer = hyper::Response::builder().status(status);
                    Ok::<_, std::convert::Infallible>(answer.body(Full::new(Bytes::from(octets))).unwrap())
                }
            });
        tokio::spawn(server.run(service, std::future::pending()));
        Self { url, asked, says }
    }

    fn say(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn clock() -> Clock {
    Clock::manual("2026-06-01T00:00:00Z".parse().unwrap())
}

fn revoker(rule: RevocationRule, folder: Option<PathBuf>, clock: &Clock) -> Revoker {
    let egress = Egress { allow: vec!["127.0.0.1".parse().unwrap()], ports: vec![], plain_http: false };
    Revoker::new(RevokerConfig { name: "test".into(), rule, egress, resolver: None, folder }, clock.clone())
        .unwrap()
}

fn leaf(ca: &Pair, publisher: &Publisher) -> Certificate {
    let options = Options { crl: Some(&publisher.url), ..Options::default() };
    testing::certificate("CN=leaf", &options, Some(ca)).0
}

fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

#[tokio::test]
async fn lists_are_fetched_once_kept_and_outlive_an_outage() {
    let (ca, publisher, clock) = (testing::ca("CN=ca"), Publisher::start().await, clock());
    let (bad, good) = (leaf(&ca, &publisher), leaf(&ca, &publisher));
    publisher.say(Says::Octets(testing::list(&ca, &[&bad], &[], YEAR)));
    let revoker = revoker(RevocationRule::Soft, None, &clock);
    let (first, second) = tokio::join!(revoker.status(&good, &ca.0), revoker.status(&good, &ca.0));
    assert_eq!((first, second), (Revocation::Good, Revocation::Good));
    assert!(matches!(revoker.status(&bad, &ca.0).await, Revocation::Revoked { .. }));
    assert_eq!(publisher.asked(), 1, "one fetch, kept");
    publisher.say(Says::Fails);
    clock.advance(hours(25));
    assert_eq!(revoker.status(&good, &ca.0).await, Revocation::Good, "the old list serves");
    assert_eq!(publisher.asked(), 1, "and nobody waits for a new one");
    revoker.refresh().await;
    assert_eq!(publisher.asked(), 2, "it is asked for in the background");
    revoker.refresh().await;
    assert_eq!(publisher.asked(), 2, "and after a failure not at once again");
    clock.advance(hours(24 * 365));
    let unknown = revoker.status(&good, &ca.0).await;
    assert!(unknown.is_unknown() && unknown.to_string().contains("in force until"), "{unknown}");
    assert!(matches!(revoker.status(&bad, &ca.0).await, Revocation::Revoked { .. }), "for ever");
}

#[tokio::test]
async fn the_next_list_is_there_before_the_old_one_ends() {
    let (ca, publisher, clock) = (testing::ca("CN=ca"), Publisher::start().await, clock());
    let good = leaf(&ca, &publisher);
    publisher.say(Says::Octets(testing::list(&ca, &[], &[], ("20260501000000Z", "20260601010000Z"))));
    let revoker = revoker(RevocationRule::Require, None, &clock);
    assert_eq!(revoker.judge(&[good.clone(), ca.0.clone()]).await, Ok(None));
    publisher.say(Says::Octets(testing::list(&ca, &[], &[], ("20260601000000Z", "20260602000000Z"))));
    clock.advance(SignedDuration::from_mins(31));
    revoker.refresh().await;
    publisher.say(Says::Fails);
    clock.advance(hours(1));
    assert_eq!(revoker.judge(&[good.clone(), ca.0.clone()]).await, Ok(None), "the first list has ended");
    assert_eq!(publisher.asked(), 2);
}

#[tokio::test]
async fn a_restart_finds_what_was_kept_and_believes_no_other_file() {
    let (ca, publisher, clock) = (testing::ca("CN=ca"), Publisher::start().await, clock());
    let (bad, good) = (leaf(&ca, &publisher), leaf(&ca, &publisher));
    publisher.say(Says::Octets(testing::list(&ca, &[&bad], &[], YEAR)));
    let folder = tempfile::tempdir().unwrap();
    let kept = Some(folder.path().join("revocation"));
    revoker(RevocationRule::Require, kept.clone(), &clock).status(&good, &ca.0).await;
    publisher.say(Says::Fails);
    let again = revoker(RevocationRule::Require, kept.clone(), &clock);
    again.load();
    assert_eq!(again.status(&good, &ca.0).await, Revocation::Good);
    assert!(matches!(again.status(&bad, &ca.0).await, Revocation::Revoked { .. }));
    assert_eq!(publisher.asked(), 1, "nothing was fetched");
    let files = || std::fs::read_dir(folder.path().join("revocation")).unwrap().flatten();
    let file = files().next().unwrap().path();
    let mut octets = std::fs::read(&file).unwrap();
    *octets.last_mut().unwrap() ^= 1;
    std::fs::write(&file, octets).unwrap();
    std::fs::write(file.with_file_name("other"), b"nonsense").unwrap();
    let tampered = revoker(RevocationRule::Require, kept, &clock);
    tampered.load();
    assert_eq!(files().count(), 0, "what cannot be verified is removed");
    assert!(tampered.status(&good, &ca.0).await.is_unknown());
}

#[tokio::test]
async fn a_tampered_or_an_older_list_does_not_replace_a_good_one() {
    let (ca, publisher, clock) = (testing::ca("CN=ca"), Publisher::start().await, clock());
    let bad = leaf(&ca, &publisher);
    let revoker = revoker(RevocationRule::Soft, None, &clock);
    publisher.say(Says::Octets(testing::list(&ca, &[&bad], &[], ("20260301000000Z", "20270101000000Z"))));
    assert!(matches!(revoker.status(&bad, &ca.0).await, Revocation::Revoked { .. }));
    let mut tampered = testing::list(&ca, &[], &[], ("20260401000000Z", "20270101000000Z"));
    *tampered.last_mut().unwrap() ^= 1;
    let strangers = testing::list(&testing::ca("CN=ca"), &[], &[], ("20260401000000Z", "20270101000000Z"));
    for octets in [tampered, strangers, testing::list(&ca, &[], &[], YEAR), b"nonsense".to_vec()] {
        publisher.say(Says::Octets(octets));
        clock.advance(hours(2));
        revoker.refresh().await;
        assert!(matches!(revoker.status(&bad, &ca.0).await, Revocation::Revoked { .. }));
    }
    assert_eq!(publisher.asked(), 5, "each was fetched");
}

#[tokio::test]
async fn the_rule_decides_and_every_certificate_of_the_path_is_asked_after() {
    let (root, publisher, clock) = (testing::ca("CN=root"), Publisher::start().await, clock());
    let options = Options { ca: true, crl: Some(&publisher.url), ..Options::default() };
    let middle = testing::certificate("CN=middle", &options, Some(&root));
    let (leaf, _) = testing::issued("CN=leaf", &middle, testing::LONG);
    let path = [leaf.clone(), middle.0.clone(), root.0.clone()];
    publisher.say(Says::Octets(testing::list(&root, &[], &[], YEAR)));
    let soft = revoker(RevocationRule::Soft, None, &clock).judge(&path).await;
    assert!(soft.unwrap().is_some_and(|note| note.contains("names no")), "the leaf names no list");
    let required = revoker(RevocationRule::Require, None, &clock).judge(&path).await;
    assert!(matches!(required, Err(Unusable::Untold { .. })), "{required:?}");
    publisher.say(Says::Octets(testing::list(&root, &[&middle.0], &[], YEAR)));
    for rule in [RevocationRule::Soft, RevocationRule::Require] {
        let revoked = revoker(rule, None, &clock).judge(&path[1..]).await;
        assert!(matches!(revoked, Err(Unusable::Revoked { .. })), "the authority in the middle");
    }
    let asked = publisher.asked();
    assert_eq!(revoker(RevocationRule::Off, None, &clock).judge(&path).await, Ok(None));
    assert_eq!(revoker(RevocationRule::Require, None, &clock).judge(&[leaf]).await, Ok(None), "pinned");
    assert_eq!(publisher.asked(), asked, "nobody was asked");
}

#[tokio::test]
async fn a_responder_is_asked_where_there_is_no_list() {
    let (ca, publisher) = (testing::ca("CN=ca"), Publisher::start().await);
    let options = Options { ocsp: Some(&publisher.url), ..Options::default() };
    let (good, _) = testing::certificate("CN=good", &options, Some(&ca));
    let (bad, _) = testing::certificate("CN=bad", &options, Some(&ca));
    let (authority, known) = (ca.clone(), [good.clone(), bad.clone()]);
    publisher.say(Says::Answers(Box::new(move |request| {
        let known = [(&known[0], None), (&known[1], Some("20260201000000Z"))];
        testing::ocsp_answer(&authority, &authority, &known, request)
    })));
    let revoker = revoker(RevocationRule::Require, None, &Clock::system());
    assert_eq!(revoker.status(&good, &ca.0).await, Revocation::Good);
    assert!(matches!(revoker.status(&bad, &ca.0).await, Revocation::Revoked { .. }));
    publisher.say(Says::Fails);
    assert_eq!(revoker.status(&good, &ca.0).await, Revocation::Good, "kept");
    assert_eq!(publisher.asked(), 2);
}

#[tokio::test]
async fn a_list_does_not_undo_what_the_responder_said() {
    let (ca, lists, responder) = (testing::ca("CN=ca"), Publisher::start().await, Publisher::start().await);
    let options = Options { crl: Some(&lists.url), ocsp: Some(&responder.url), ..Options::default() };
    let (bad, _) = testing::certificate("CN=bad", &options, Some(&ca));
    let (authority, known) = (ca.clone(), bad.clone());
    responder.say(Says::Answers(Box::new(move |request| {
        testing::ocsp_answer(&authority, &authority, &[(&known, Some("20260201000000Z"))], request)
    })));
    let revoker = revoker(RevocationRule::Soft, None, &Clock::system());
    let revoked = |verdict| matches!(verdict, Revocation::Revoked { .. });
    assert!(revoked(revoker.status(&bad, &ca.0).await), "the list cannot be had");
    lists.say(Says::Octets(testing::list(&ca, &[], &[], YEAR)));
    let source = Source::of(&bad, &ca.0).remove(0);
    revoker.0.fetch(&source).await;
    assert!(revoked(revoker.status(&bad, &ca.0).await), "an older list says nothing of it");
    assert_eq!(lists.asked(), 2);
}

#[tokio::test]
async fn a_list_of_the_future_replaces_none_that_is_in_force() {
    let (ca, publisher, clock) = (testing::ca("CN=ca"), Publisher::start().await, clock());
    let good = leaf(&ca, &publisher);
    publisher.say(Says::Octets(testing::list(&ca, &[], &[], YEAR)));
    let revoker = revoker(RevocationRule::Require, None, &clock);
    assert_eq!(revoker.status(&good, &ca.0).await, Revocation::Good);
    publisher.say(Says::Octets(testing::list(&ca, &[], &[], ("20260701000000Z", "20270101000000Z"))));
    clock.advance(hours(2));
    revoker.refresh().await;
    assert_eq!(revoker.status(&good, &ca.0).await, Revocation::Good);
    assert_eq!(publisher.asked(), 2);
}

#[tokio::test]
async fn a_revoked_authority_is_not_hidden_by_a_leaf_that_cannot_be_told() {
    let (root, publisher, clock) = (testing::ca("CN=root"), Publisher::start().await, clock());
    let options = Options { ca: true, crl: Some(&publisher.url), ..Options::default() };
    let middle = testing::certificate("CN=middle", &options, Some(&root));
    let (leaf, _) = testing::issued("CN=leaf", &middle, testing::LONG);
    publisher.say(Says::Octets(testing::list(&root, &[&middle.0], &[], YEAR)));
    let revoker = revoker(RevocationRule::Require, None, &clock);
    let judged = revoker.judge(&[leaf.clone(), middle.0, root.0]).await;
    assert!(matches!(judged, Err(Unusable::Revoked { .. })), "{judged:?}");
    assert!(matches!(revoker.judge_without_path(&leaf), Err(Unusable::Untold { .. })));
}

#[tokio::test]
async fn servers_that_hang_hold_up_neither_the_others_nor_a_message_for_long() {
    let (ca, clock) = (testing::ca("CN=ca"), clock());
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tarpit = format!("http://{}/ca", silent.local_addr().unwrap());
    let publisher = Publisher::start().await;
    publisher.say(Says::Octets(testing::list(&ca, &[], &[], YEAR)));
    let revoker = revoker(RevocationRule::Soft, None, &clock);
    let stuck =
        testing::certificate("CN=x", &Options { crl: Some(&tarpit), ..Options::default() }, Some(&ca)).0;
    let good = leaf(&ca, &publisher);
    assert_eq!(revoker.status(&good, &ca.0).await, Revocation::Good);
    revoker.0.shelf.take(&Source::of(&stuck, &ca.0)[0], clock.now());
    clock.advance(hours(2));
    let begun = std::time::Instant::now();
    let refreshed = tokio::time::timeout(Duration::from_secs(2), revoker.refresh()).await;
    assert!(refreshed.is_err() && publisher.asked() == 2, "the others are fetched meanwhile");
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn fetches_go_only_where_they_may() {
    let (ca, publisher, clock) = (testing::ca("CN=ca"), Publisher::start().await, clock());
    publisher.say(Says::Octets(testing::list(&ca, &[], &[], YEAR)));
    let config = RevokerConfig {
        name: "strict".into(),
        rule: RevocationRule::Require,
        egress: Egress::default(),
        resolver: None,
        folder: None,
    };
    let strict = Revoker::new(config, clock).unwrap();
    assert!(strict.status(&leaf(&ca, &publisher), &ca.0).await.is_unknown());
    assert_eq!(publisher.asked(), 0);
}
