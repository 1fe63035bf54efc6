//! What an operator does to a message that does not get through: cancel, retry, close; each with who and why, each true.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use conformance::demo::{list, status_of};
use conformance::http;
use conformance::node::{free, tilts_binary};
use conformance::world::{AccessPoint, ENVELOPE, EVIDENCE, Registry, World};
use hyper::Method;
use serde_json::{Value, json};

const SENDER: &str = "iso6523-actorid-upis::0218:90000000001";
const RECIPIENT: &str = "iso6523-actorid-upis::0191:10000001";

struct Scene {
    home: AccessPoint,
    away: AccessPoint,
    _registry: Registry,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// A node of ours, and another one that is registered but down.
    async fn set() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let world = World::new(&folder.path().join("world"), &tilts_binary()?)?;
        let resolver = free()?;
        let backend = "\n[[backend]]\nid = \"office\"\nadapter = \"rest\"\n";
        let mut home = world.access_point("home", 2048, resolver, backend)?;
        let away = world.access_point("away", 2048, resolver, backend)?;
        let entries = [(SENDER, &home, EVIDENCE), (RECIPIENT, &away, ENVELOPE)];
        let registry = world.registry(&entries, resolver).await?;
        home.node.start().await?;
        Ok(Self { home, away, _registry: registry, _folder: folder })
    }

    async fn submit(&self, client_id: &str) -> Result<String> {
        self.home.submit(client_id, SENDER, RECIPIENT).await
    }

    async fn detail(&self, id: &str) -> Result<Value> {
        http::get(self.home.node.ports.admin, &format!("/api/submissions/{id}")).await
    }

    /// The recipient's id, once an attempt has failed.
    async fn tried(&self, id: &str) -> Result<String> {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let detail = self.detail(id).await?;
            let message = &detail["recipients"][0]["messages"][0];
            if message["attempts"].as_array().is_some_and(|attempts| !attempts.is_empty()) {
                let recipient = &detail["submission"]["recipients"][0];
                return Ok(recipient["id"].as_str().context("no recipient")?.to_owned());
            }
            ensure!(Instant::now() < until, "nothing was tried: {detail}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn act(&self, recipient: &str, act: &str, body: &Value) -> Result<(u16, String)> {
        let path = format!("/api/recipients/{recipient}/{act}");
        let to = self.home.node.ports.admin;
        let answer = http::request(to, Method::POST, &path, "application/json", body.to_string()).await?;
        Ok((answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned()))
    }

    async fn shown(&self, id: &str) -> Result<(String, String)> {
        let detail = self.detail(id).await?;
        let status = status_of(&detail["submission"]["recipients"][0]);
        Ok((status.send, status.delivery))
    }

    async fn becomes(&self, id: &str, send: &str) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(30);
        while self.shown(id).await?.0 != send {
            if Instant::now() > until {
                bail!("it is not {send}: {}", self.detail(id).await?);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_is_not_sent_until_somebody_orders_it_again() -> Result<()> {
    let mut scene = Scene::set().await?;
    let id = scene.submit("cancelled").await?;
    let recipient = scene.tried(&id).await?;
    ensure!(scene.shown(&id).await? == ("Apstrādē".into(), "-".into()), "{:?}", scene.shown(&id).await?);

    let anonymous = scene.act(&recipient, "cancel", &json!({ "who": " ", "why": "x" })).await?;
    ensure!(anonymous.0 == 422 || anonymous.0 == 400, "{anonymous:?}");
    let word = json!({ "who": "Anna", "why": "sent by mistake" });
    // An attempt may just be running: then the node says so, and the order is given again.
    let until = Instant::now() + Duration::from_secs(20);
    let mut told = scene.act(&recipient, "cancel", &word).await?;
    while told.0 != 200 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
        told = scene.act(&recipient, "cancel", &word).await?;
    }
    ensure!(told.0 == 200, "{told:?}");
    ensure!(
        scene.shown(&id).await? == ("Neizdevās izsūtīt".into(), "-".into()),
        "{:?}",
        scene.shown(&id).await?
    );
    let again = scene.act(&recipient, "cancel", &word).await?;
    ensure!(again.0 == 409, "cancelled twice: {again:?}");

    scene.away.node.start().await?;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let there = http::get(scene.away.node.ports.backend, "/v1/messages").await?;
    ensure!(there["messages"].as_array().is_some_and(Vec::is_empty), "it was sent all the same: {there}");

    let retried = scene.act(&recipient, "retry", &json!({ "who": "Anna", "why": "it was right" })).await?;
    ensure!(retried.0 == 200, "{retried:?}");
    scene.becomes(&id, "Izsūtīts").await?;
    let detail = scene.detail(&id).await?.to_string();
    for words in ["cancelled by Anna: sent by mistake", "Anna: it was right"] {
        ensure!(detail.contains(words), "the record does not say {words:?}");
    }
    let late = scene.act(&recipient, "cancel", &word).await?;
    ensure!(late.0 == 409, "cancelled after it was sent: {late:?}");
    let late = scene.act(&recipient, "retry", &word).await?;
    ensure!(late.0 == 409, "sent again after it was sent: {late:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_nobody_will_settle_can_be_closed() -> Result<()> {
    let scene = Scene::set().await?;
    let id = scene.submit("closed").await?;
    let recipient = scene.tried(&id).await?;
    for verdict in ["failed", "sent", "missed"] {
        let word = json!({ "who": "Anna", "why": "I know", "verdict": verdict });
        let (status, text) = scene.act(&recipient, "close", &word).await?;
        ensure!(
            (400..500).contains(&status) && text.contains("still being sent"),
            "{verdict}: {status} {text}"
        );
    }
    ensure!(scene.shown(&id).await? == ("Apstrādē".into(), "-".into()), "{:?}", scene.shown(&id).await?);
    Ok(())
}

/// An endpoint that nobody reaches is left alone for a while; who orders a message to be sent now knows why.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_orders_is_tried_at_once_even_where_an_endpoint_is_left_alone() -> Result<()> {
    let scene = Scene::set().await?;
    let mut ids = Vec::new();
    for number in 0..12 {
        ids.push(scene.submit(&format!("ordered-{number}")).await?);
    }
    let until = Instant::now() + Duration::from_secs(90);
    let (id, tries) = 'left: loop {
        for id in &ids {
            let message = scene.detail(id).await?["recipients"][0]["messages"][0].clone();
            if message["detail"].as_str().is_some_and(|detail| detail.starts_with("put off")) {
                break 'left (id, list(&message["attempts"]).count());
            }
        }
        ensure!(Instant::now() < until, "nothing is ever put off");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let recipient = scene.tried(id).await?;
    let ordered = scene.act(&recipient, "retry", &json!({ "who": "Anna", "why": "they are back" })).await?;
    ensure!(ordered.0 == 200, "{ordered:?}");
    // Whatever is put off waits for five seconds at least.
    let until = Instant::now() + Duration::from_secs(3);
    loop {
        let detail = scene.detail(id).await?;
        if list(&detail["recipients"][0]["messages"][0]["attempts"]).count() > tries {
            return Ok(());
        }
        ensure!(Instant::now() < until, "it is not tried: {detail}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The rows of a list of the node away.
async fn rows_away(scene: &Scene, path: &str) -> Result<Vec<Value>> {
    Ok(list(&http::get(scene.away.node.ports.admin, path).await?).cloned().collect())
}

/// The same for evidence of ours, which has no recipient: its sender's access point went down after it had sent.
#[tokio::test(flavor = "multi_thread")]
async fn evidence_that_an_operator_orders_is_tried_at_once() -> Result<()> {
    let mut scene = Scene::set().await?;
    scene.away.node.start().await?;
    for number in 0..12 {
        let id = scene.submit(&format!("taken-{number}")).await?;
        scene.becomes(&id, "Izsūtīts").await?;
    }
    scene.home.node.stop().await?;
    let backend = scene.away.node.ports.backend;
    let listed = http::get(backend, "/v1/messages").await?;
    for message in list(&listed["messages"]) {
        let path = format!("/v1/messages/{}/acknowledge", message["id"].as_str().context("no id")?);
        http::post(backend, &path, &json!({ "outcome": "accepted" })).await?;
    }
    let until = Instant::now() + Duration::from_secs(90);
    let put_off = |row: &Value| row["detail"].as_str().is_some_and(|detail| detail.starts_with("put off"));
    let waits = loop {
        let queued = rows_away(&scene, "/api/messages?direction=out&state=queued").await?;
        if let Some(row) = queued.into_iter().find(put_off) {
            break row;
        }
        ensure!(Instant::now() < until, "nothing is ever put off");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let tries = list(&waits["attempts"]).count();
    let path = format!("/api/messages/{}/retry", waits["id"].as_str().context("no id")?);
    let word = json!({ "who": "Anna", "why": "they are back" });
    let ordered = http::post(scene.away.node.ports.admin, &path, &word).await?;
    ensure!(ordered["acts"][0]["who"] == "Anna", "{ordered}");
    // Whatever is put off waits for five seconds at least.
    let until = Instant::now() + Duration::from_secs(3);
    loop {
        let all = rows_away(&scene, "/api/messages?direction=out").await?;
        let now = all.iter().find(|row| row["id"] == waits["id"]).context("it is gone")?;
        if list(&now["attempts"]).count() > tries {
            return Ok(());
        }
        ensure!(Instant::now() < until, "it is not tried: {now}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
