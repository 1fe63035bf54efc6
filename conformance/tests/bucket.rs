//! Payloads in a bucket, asked over TLS and not: while it is away, nothing is taken that it must hold, nothing is sent that it holds,
//! and afterwards everything arrives once.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use conformance::ca::Purpose;
use conformance::demo::list;
use conformance::http::{self, Answer, Part, multipart};
use conformance::random::Random;
use conformance::s3::S3;
use conformance::stage::{Kind, Stage, agree, url};
use conformance::world::{AccessPoint, ENVELOPE, PROCESS};
use hyper::Method;
use serde_json::{Value, json};

const RETRY: &str =
    "overrides = { retry = { first_seconds = 1, factor = 1, longest_seconds = 1, within_seconds = 3600 } }\n";
const PATIENCE: Duration = Duration::from_secs(60);

/// Nodes `a` and `b`, each with a bucket: `a` asks it over TLS.
struct Scene {
    stage: Stage,
    a: AccessPoint,
    b: AccessPoint,
    buckets: [S3; 2],
}

impl Scene {
    fn set() -> Result<Self> {
        let stage = Stage::set()?;
        let [a, b] = ["a", "b"].map(|name| stage.node(name, &[Kind::Rsa], false));
        let (a, b) = (a?, b?);
        let tls = stage.world.tls_ca.issue("S3", 2048, Purpose::Tls)?;
        let at = |name: &str| stage.world.root.join("s3").join(name);
        let buckets = [S3::start(&at("a"), Some(&tls))?, S3::start(&at("b"), None)?];
        for (point, bucket, trust) in
            [(&a, &buckets[0], "tls_trust = \"../ca/tls.pem\"\n"), (&b, &buckets[1], "")]
        {
            let config = stage.world.root.join(&point.name).join("tilts.toml");
            let own = "path = \"data\"\n";
            let more = bucket.configuration(&stage.world.root.join(&point.name), "tilts")?;
            let text = fs::read_to_string(&config)?;
            ensure!(text.contains(own), "{} has no {own:?}", config.display());
            fs::write(&config, text.replace(own, &format!("{own}{more}{trust}")))?;
        }
        for (own, partner) in [(&a, &b), (&b, &a)] {
            stage.append(&own.name, &(agree(partner, Kind::Rsa, "", &url(partner)) + RETRY))?;
        }
        Ok(Self { stage, a, b, buckets })
    }

    /// Hands in noise for a recipient of `b`.
    async fn submit(&self, name: &str, octets: usize) -> Result<Answer> {
        let description = json!({
            "client_id": name, "original_sender": "to-a::us", "document_type": ENVELOPE, "process": PROCESS,
            "recipients": [{ "participant": format!("to-b::{name}") }],
        });
        let (kind, body) = multipart(&[
            Part::new("description", "application/json", description.to_string().into_bytes()),
            Part::new("noise", "application/octet-stream", noise(octets)),
        ]);
        http::request(self.a.node.ports.backend, Method::POST, "/v1/submissions?backend=all", &kind, body)
            .await
    }

    async fn submitted(&self, name: &str, octets: usize) -> Result<String> {
        let answer = self.submit(name, octets).await?.json()?;
        Ok(answer["id"].as_str().context("no id")?.to_owned())
    }

    /// The one message of a submission.
    async fn message(&self, id: &str) -> Result<Value> {
        let detail = http::get(self.a.node.ports.admin, &format!("/api/submissions/{id}")).await?;
        Ok(detail["recipients"][0]["messages"][0].clone())
    }

    /// Waits until what is told of the message holds.
    async fn until(&self, id: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let message = self.message(id).await?;
            if holds(&message) {
                return Ok(message);
            }
            ensure!(Instant::now() < until, "not within {PATIENCE:?}: {message:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What `b` has for its backend: each message once, with the octets that were handed in.
    async fn arrived(&self, octets: usize) -> Result<usize> {
        let backend = self.b.node.ports.backend;
        let listed = http::get(backend, "/v1/messages").await?;
        for message in list(&listed["messages"]) {
            let path = format!("/v1/messages/{}/parts/0", message["id"].as_str().context("no id")?);
            let part = http::request(backend, Method::GET, &path, "", "").await?;
            ensure!(part.status.is_success() && part.body == noise(octets), "{path}: {}", part.status);
        }
        Ok(list(&listed["messages"]).count())
    }
}

fn noise(octets: usize) -> Vec<u8> {
    let mut noise = vec![0; octets];
    Random::new(octets as u64).fill(&mut noise);
    noise
}

fn attempts(message: &Value) -> usize {
    list(&message["attempts"]).count()
}

fn is_receipted(message: &Value) -> bool {
    list(&message["attempts"]).any(|attempt| attempt["outcome"] == "receipted")
}

const LARGE: usize = 200_000;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bucket_holds_waits_for_it_without_an_attempt_and_nothing_more_is_taken() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.a.node.start().await?;
    let id = scene.submitted("waits", LARGE).await?;
    scene.until(&id, |message| attempts(message) > 0).await?;
    scene.buckets[0].fault.end();
    let told =
        |message: &Value| message["detail"].as_str().is_some_and(|d| d.contains("does not let us read"));
    let before = attempts(&scene.until(&id, told).await?);
    scene.b.node.start().await?;
    ensure!(scene.submit("large", LARGE).await?.status == 503, "a large payload was taken");
    let small = scene.submitted("small", 1000).await?;
    scene.until(&small, is_receipted).await?;
    let still = scene.message(&id).await?;
    ensure!(still["state"] == "queued" && attempts(&still) == before, "{still:#}");
    scene.buckets[0].fault.heal();
    scene.until(&id, is_receipted).await?;
    scene.submitted("large", LARGE).await.context("the same submission again")?;
    scene.a.node.stop().await?;
    scene.b.node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_without_its_bucket_says_so_signed_and_takes_the_message_later() -> Result<()> {
    let mut scene = Scene::set()?;
    scene.a.node.start().await?;
    scene.b.node.start().await?;
    scene.buckets[1].fault.end();
    let id = scene.submitted("letter", LARGE).await?;
    let refused = scene.until(&id, |message| !message["attempts"][0]["ended"].is_null()).await?;
    let detail = refused["attempts"][0]["detail"].as_str().unwrap_or_default();
    ensure!(detail.contains("EBMS:0202"), "{refused:#}");
    ensure!(refused["attempts"][0]["outcome"] == "definite", "{refused:#}");
    ensure!(scene.arrived(LARGE).await? == 0, "it has a message that nobody could keep");
    scene.buckets[1].fault.heal();
    scene.until(&id, is_receipted).await?;
    ensure!(scene.arrived(LARGE).await? == 1, "it did not arrive once");
    let found = scene.buckets[1].folder("tilts");
    ensure!(found.join("owner").is_file(), "the bucket of b is elsewhere than {}", found.display());
    scene.a.node.stop().await?;
    scene.b.node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_does_not_start_on_a_server_that_it_does_not_believe() -> Result<()> {
    let mut scene = Scene::set()?;
    let config = scene.stage.world.root.join("a/tilts.toml");
    let text = fs::read_to_string(&config)?;
    let (s3, rest) = text.split_once("tls_trust = \"../ca/tls.pem\"\n").context("no tls_trust")?;
    fs::write(&config, format!("{s3}{rest}"))?;
    ensure!(scene.a.node.start().await.is_err(), "it started");
    let log = fs::read_to_string(scene.a.node.log())?;
    let told = ["certificate is refused", &scene.buckets[0].url(), "in tls_trust of [store.s3]"];
    ensure!(told.iter().all(|word| log.contains(word)), "{log}");
    Ok(())
}
