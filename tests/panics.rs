//! Defects that nobody has found yet, at named points: one message that panics is its own affair.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use conformance::demo::list;
use conformance::http;
use conformance::node::free;
use conformance::probe::SENDER;
use conformance::stage::{Kind, Stage, agree, submit};
use conformance::world::AccessPoint;
use serde_json::Value;
use tilts::app;
use tilts::clock::Clock;
use tilts::crash::{self, Point};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const RETRY: &str =
    "overrides = { retry = { first_seconds = 1, factor = 1, longest_seconds = 1, within_seconds = 3600 } }\n";

/// Each of these points panics when this thread passes it the first time.
fn defects(points: &[Point]) {
    let left = RefCell::new(points.to_vec());
    crash::watch(Some(Rc::new(move |point| {
        let mut all = left.borrow_mut();
        if let Some(at) = all.iter().position(|one| *one == point) {
            all.swap_remove(at);
            drop(all);
            panic!("a defect at {}", point.as_str());
        }
    })));
}

/// A node on this thread.
struct Inside {
    point: AccessPoint,
    serving: JoinHandle<Result<()>>,
    stop: oneshot::Sender<()>,
    _stage: Stage,
}

impl Inside {
    /// Its partner `two` is never there.
    async fn start() -> Result<Self> {
        let stage = Stage::with(env!("CARGO_BIN_EXE_tilts").as_ref(), 2048)?;
        let point = stage.node("one", &[Kind::Rsa], true)?;
        let other = stage.node("two", &[Kind::Rsa], true)?;
        stage.append("one", &(agree(&other, Kind::Rsa, "", &format!("http://{}/as4", free()?)) + RETRY))?;
        let clock = Clock::running(Clock::system().now());
        let settings = app::check(&stage.world.root.join("one/tilts.toml"), &clock)
            .map_err(|problems| anyhow!("{:?}", problems.0))?;
        let (stop, told) = oneshot::channel::<()>();
        let stopped = async {
            let _ = told.await;
        };
        let serving = tokio::spawn(app::serve(settings, clock, stopped));
        for _ in 0..200 {
            if http::request(point.node.ports.admin, hyper::Method::GET, "/ready", "", "").await.is_ok() {
                return Ok(Self { point, serving, stop, _stage: stage });
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Err(anyhow!("not ready"))
    }

    /// The attempts of a submission's one message, once one of them has found out that nobody is there.
    async fn tried(&self, id: &str) -> Result<Vec<Value>> {
        let path = format!("/api/submissions/{id}");
        for _ in 0..200 {
            let shown = http::get(self.point.node.ports.admin, &path).await?;
            let attempts: Vec<_> =
                list(&shown["recipients"][0]["messages"][0]["attempts"]).cloned().collect();
            if attempts.iter().any(|attempt| attempt["outcome"] == "definite") {
                return Ok(attempts);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(anyhow!("nobody was tried for {id}"))
    }
}

#[tokio::test]
async fn a_message_whose_sending_panics_is_put_off_and_the_others_go_on() -> Result<()> {
    let node = Inside::start().await?;
    // One before an attempt is begun, one after: that may have been read.
    defects(&[Point::AttemptBegun, Point::AttemptCommitted]);
    let ids = [
        submit(&node.point, SENDER, "to-two::1").await?,
        submit(&node.point, SENDER, "to-two::2").await?,
        submit(&node.point, SENDER, "to-two::3").await?,
    ];
    let mut panicked = 0;
    for id in ids {
        let attempts = node.tried(&id).await?;
        let detail =
            |attempt: &&Value| attempt["detail"] == "sending panicked: a defect at attempt-committed";
        panicked += attempts.iter().filter(detail).inspect(|a| assert_eq!(a["outcome"], "uncertain")).count();
    }
    ensure!(panicked == 1, "{panicked} attempts that panicked");
    let _ = node.stop.send(());
    node.serving.await?
}
