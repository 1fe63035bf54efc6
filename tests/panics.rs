//! Defects that nobody has found yet, at named points: one message that panics is its own affair; a part of the node that does is that of
//! the whole node, which ends and says which part it was.

use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use conformance::demo::list;
use conformance::hostile::target::plain;
use conformance::http;
use conformance::node::Ports;
use conformance::postgres::{Postgres, skipped_without_postgres};
use conformance::probe::SENDER;
use conformance::stage::{Kind, Stage, agree, submit};
use conformance::world::{AccessPoint, said};
use serde_json::Value;
use tilts::app;
use tilts::clock::{Clock, SignedDuration, Timestamp};
use tilts::crash::{self, Point};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Attempts come so many seconds one after the other.
fn retry(seconds: u32) -> String {
    format!(
        "overrides = {{ retry = {{ first_seconds = {seconds}, factor = 1, longest_seconds = {seconds}, within_seconds = 3600 }} }}\n"
    )
}

/// Points that panic when they are passed the first time.
#[derive(Clone, Default)]
struct Defects(Arc<Mutex<Vec<Point>>>);

impl Defects {
    fn plant(&self, points: &[Point]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(points);
    }

    fn is_due(&self, point: Point) -> bool {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = left.iter().position(|one| *one == point);
        at.map(|at| left.swap_remove(at)).is_some()
    }

    fn have_sprung(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// From now on what this thread passes.
    fn watch(&self) {
        let this = self.clone();
        crash::watch(Some(Rc::new(move |point| {
            assert!(!this.is_due(point), "a defect at {}", point.as_str())
        })));
    }
}

/// Runs a test on threads that know its defects.
fn run<T: Future<Output = Result<()>>>(test: impl FnOnce(Defects) -> T) -> Result<()> {
    let defects = Defects::default();
    let known = defects.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(move || known.watch())
        .build()?;
    runtime.block_on(test(defects))
}

/// A node in this process.
struct Inside {
    ports: Ports,
    clock: Clock,
    serving: JoinHandle<Result<()>>,
    stop: oneshot::Sender<()>,
}

impl Inside {
    async fn start(stage: &Stage, point: &AccessPoint) -> Result<Self> {
        let clock = Clock::running(Clock::system().now());
        let settings = app::check(&config(stage, point), &clock).map_err(|p| anyhow!("{:?}", p.0))?;
        let (stop, told) = oneshot::channel::<()>();
        let stopped = async {
            let _ = told.await;
        };
        let serving = tokio::spawn(app::serve(settings, clock.clone(), stopped));
        let ports = point.node.ports;
        for _ in 0..200 {
            if http::request(ports.admin, hyper::Method::GET, "/ready", "", "").await.is_ok() {
                return Ok(Self { ports, clock, serving, stop });
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Err(anyhow!("not ready"))
    }

    async fn end(self) -> Result<()> {
        let _ = self.stop.send(());
        self.serving.await?
    }

    /// The one message of a submission.
    async fn message(&self, path: &str) -> Result<Value> {
        Ok(http::get(self.ports.admin, path).await?["recipients"][0]["messages"][0].take())
    }

    /// The attempts of a submission's one message, once one of them has found out that nobody is there.
    async fn tried(&self, id: &str) -> Result<Vec<Value>> {
        let path = format!("/api/submissions/{id}");
        for _ in 0..600 {
            let attempts: Vec<_> = list(&self.message(&path).await?["attempts"]).cloned().collect();
            if attempts.iter().any(|attempt| attempt["outcome"] == "definite") {
                return Ok(attempts);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(anyhow!("nobody was tried for {id}"))
    }
}

fn config(stage: &Stage, point: &AccessPoint) -> PathBuf {
    stage.world.root.join(&point.name).join("tilts.toml")
}

/// Two nodes that know each other; the second takes plain HTTP.
fn pair() -> Result<(Stage, AccessPoint, AccessPoint)> {
    pair_trying_each(1)
}

fn pair_trying_each(seconds: u32) -> Result<(Stage, AccessPoint, AccessPoint)> {
    let stage = Stage::with(env!("CARGO_BIN_EXE_tilts").as_ref(), 2048)?;
    let [one, two] = ["one", "two"].map(|name| stage.node(name, &[Kind::Rsa], true));
    let (one, two) = (one?, two?);
    let url = |point: &AccessPoint| format!("http://{}/as4", point.node.ports.as4);
    stage.append("one", &(agree(&two, Kind::Rsa, "", &url(&two)) + &retry(seconds)))?;
    stage.append("two", &agree(&one, Kind::Rsa, "", &url(&one)))?;
    plain(&config(&stage, &two))?;
    Ok((stage, one, two))
}

#[test]
fn a_message_whose_sending_panics_is_put_off_and_the_others_go_on() -> Result<()> {
    run(async |defects| {
        // The second is never there.
        let (stage, one, _) = pair()?;
        let node = Inside::start(&stage, &one).await?;
        // One before an attempt is begun, one after: that may have been read.
        defects.plant(&[Point::AttemptBegun, Point::AttemptCommitted]);
        let mut ids = Vec::new();
        for letter in 1..4 {
            ids.push(submit(&one, SENDER, &format!("to-two::{letter}")).await?);
        }
        let mut panicked = 0;
        for id in ids {
            let attempts = node.tried(&id).await?;
            let detail =
                |attempt: &&Value| attempt["detail"] == "sending panicked: a defect at attempt-committed";
            panicked +=
                attempts.iter().filter(detail).inspect(|a| assert_eq!(a["outcome"], "uncertain")).count();
        }
        ensure!(panicked == 1 && defects.have_sprung(), "{panicked} attempts that panicked");
        node.end().await
    })
}

#[test]
fn a_message_that_is_put_off_before_it_has_a_plan_waits_as_its_agreement_says() -> Result<()> {
    run(async |defects| {
        let (stage, one, _) = pair_trying_each(600)?;
        let node = Inside::start(&stage, &one).await?;
        defects.plant(&[Point::AttemptBegun]);
        let begun = node.clock.now();
        let path = format!("/api/submissions/{}", submit(&one, SENDER, "to-two::1").await?);
        for _ in 0..600 {
            let message = node.message(&path).await?;
            if message["detail"] == "sending panicked: a defect at attempt-begun" {
                let due: Timestamp = message["due"].as_str().context("never due")?.parse()?;
                let wait = due.duration_since(begun);
                ensure!(wait >= SignedDuration::from_secs(600), "tried again after {wait}");
                return node.end().await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(anyhow!("{}", node.message(&path).await?))
    })
}

#[test]
fn a_delivery_that_panics_is_tried_again() -> Result<()> {
    run(async |defects| {
        let (stage, mut one, two) = pair()?;
        let text = fs::read_to_string(config(&stage, &two))?;
        fs::write(config(&stage, &two), text.replace("\"rest\"", "\"folder\"\npath = \"post\""))?;
        let node = Inside::start(&stage, &two).await?;
        one.node.start().await?;
        defects.plant(&[Point::DisposalBegun]);
        submit(&one, SENDER, "to-two::1").await?;
        for _ in 0..200 {
            // What failed is tried again after seconds that this need not wait for.
            node.clock.advance(SignedDuration::from_secs(1));
            let shown = http::get(node.ports.admin, "/api/deliveries").await?;
            let mut all = list(&shown);
            if all.any(|delivery| delivery["state"] == "at-disposal") {
                ensure!(defects.have_sprung(), "nothing panicked");
                one.node.stop().await?;
                return node.end().await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(anyhow!("{}", http::get(node.ports.admin, "/api/deliveries").await?))
    })
}

/// What a node says that has ended because a part of it failed.
async fn failed(node: Inside) -> Result<String> {
    let served =
        tokio::time::timeout(Duration::from_secs(30), node.serving).await.context("it goes on")??;
    Ok(format!("{:#}", served.err().context("it ended well")?))
}

#[test]
fn a_part_of_the_node_that_panics_ends_the_node_and_is_named() -> Result<()> {
    run(async |defects| {
        let (stage, one, _) = pair()?;
        let node = Inside::start(&stage, &one).await?;
        defects.plant(&[Point::CheckpointBegun]);
        // More than once: the part may begin to count its minutes after the node has said that it is ready.
        for _ in 0..20 {
            node.clock.advance(SignedDuration::from_mins(2));
            if node.serving.is_finished() || submit(&one, SENDER, "to-two::1").await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let error = failed(node).await?;
        ensure!(
            error == "a part of the node has failed: deadlines: panicked: a defect at checkpoint-begun",
            "{error}"
        );
        Ok(())
    })
}

#[test]
fn a_part_of_a_store_on_postgresql_that_panics_ends_the_node_and_is_named() -> Result<()> {
    if skipped_without_postgres() {
        return Ok(());
    }
    run(async |defects| {
        let (stage, one, _) = pair()?;
        let server = Postgres::start(&stage.world.root.join("postgres.log")).await?;
        server.database("one").await?;
        let (own, text) = ("path = \"data\"\n", fs::read_to_string(config(&stage, &one))?);
        ensure!(text.contains(own), "no {own:?}");
        let url = server.url("one");
        let shared =
            format!("{own}[store.postgres]\nurl = \"{url}?sslmode=disable\"\ntakeover_seconds = 2\n");
        fs::write(config(&stage, &one), text.replace(own, &shared))?;
        for (point, part) in [
            (Point::CommandTaken, "the store's writer"),
            (Point::WordHeard, "the store's listener"),
            (Point::SignDue, "the store's sign of life"),
        ] {
            let node = Inside::start(&stage, &one).await?;
            defects.plant(&[point]);
            said(server.client("one", &["NOTIFY tilts, 'somebody outbound'"])).await?;
            let error = failed(node).await?;
            let known =
                format!("a part of the node has failed: {part}: panicked: a defect at {}", point.as_str());
            ensure!(error == known, "{error}");
        }
        server.stop().await
    })
}
