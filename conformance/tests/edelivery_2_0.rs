//! eDelivery AS4 2.0 between living nodes: under Ed25519 and X25519, under EC keys, and beside 1.15 on one node.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use conformance::http;
use conformance::probe::SENDER;
use conformance::stage::Kind::{Ec, Eddsa, Rsa};
use conformance::stage::{Stage, agree, captured, submit, url};
use conformance::world::{AccessPoint, ENVELOPE, EVIDENCE, TRANSPORT, TRANSPORT_2};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;

/// Acts as the backend: takes every message that is there.
async fn take(point: &AccessPoint) -> Result<()> {
    let listed = http::get(point.node.ports.backend, "/v1/messages?backend=all").await?;
    for message in listed["messages"].as_array().into_iter().flatten() {
        let id = message["id"].as_str().context("no id")?;
        let taken = json!({ "outcome": "accepted" });
        http::post(point.node.ports.backend, &format!("/v1/messages/{id}/acknowledge"), &taken).await?;
    }
    Ok(())
}

/// Waits until the evidence of the other side has made the message delivered.
async fn delivered(from: &AccessPoint, to: &AccessPoint, submission: &str) -> Result<()> {
    let path = format!("/api/submissions/{submission}");
    let until = Instant::now() + Duration::from_secs(40);
    let mut detail = Value::Null;
    while Instant::now() < until {
        take(to).await?;
        detail = http::get(from.node.ports.admin, &path).await?;
        if detail["submission"]["recipients"][0]["record"]["delivery"] == "delivered" {
            return receipted_and_proven(&detail);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let logs = [from, to].map(|point| fs::read_to_string(point.node.log()).unwrap_or_default());
    bail!("{} to {} is not delivered: {detail}\n{}", from.name, to.name, logs.join("\n----\n"))
}

/// The first attempt was receipted, and evidence of consignment and of retrieval came.
fn receipted_and_proven(detail: &Value) -> Result<()> {
    let recipient = &detail["recipients"][0];
    let attempts = recipient["messages"][0]["attempts"].as_array().map(Vec::len);
    ensure!(attempts == Some(1), "{attempts:?} attempts: {recipient}");
    let forms = recipient["evidence"].as_array().into_iter().flatten().map(ToString::to_string);
    let forms: Vec<String> = forms.collect();
    let count = |word: &str| forms.iter().filter(|row| row.contains(word)).count();
    ensure!(count("receipt") >= 1 && count("rem") >= 2, "evidence: {forms:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_speaks_1_15_and_both_kinds_of_2_0_at_the_same_time() -> Result<()> {
    let stage = Stage::set()?;
    let kinds = [Rsa, Eddsa, Ec];
    let mut hub = stage.node("hub", &kinds, false)?;
    let mut others = Vec::new();
    for kind in kinds {
        // The one with EC keys signs its evidence by RSA; the hub knows that certificate as one of the party's.
        others.push((kind, stage.node(kind.scheme(), &[kind], kind == Ec)?));
    }
    for (kind, other) in &others {
        let signers = if *kind == Ec { ", \"../curve/certificate.pem\"" } else { "" };
        stage.append("hub", &agree(other, *kind, signers, &url(other)))?;
        stage.append(&other.name, &agree(&hub, *kind, "", &url(&hub)))?;
    }
    hub.node.start().await?;
    for (_, other) in &mut others {
        other.node.start().await?;
    }
    for (_, other) in &others {
        let there = submit(&hub, SENDER, &format!("to-{}::1", other.name)).await?;
        let back = submit(other, &format!("to-{}::1", other.name), "to-hub::1").await?;
        delivered(&hub, other, &there).await?;
        delivered(other, &hub, &back).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn access_points_without_an_rsa_key_find_each_other_by_the_transport_profile_of_2_0() -> Result<()> {
    let stage = Stage::set()?;
    let (mut a, mut b) = (stage.node("a", &[Eddsa], false)?, stage.node("b", &[Eddsa], false)?);
    let (of_a, of_b) = ("iso6523-actorid-upis::0191:1", "iso6523-actorid-upis::0191:2");
    let entries = [(of_a, &a, EVIDENCE), (of_b, &b, ENVELOPE)];
    let registry = stage.world.registry(&entries, stage.resolver).await?;
    a.node.start().await?;
    b.node.start().await?;
    let id = submit(&a, of_a, of_b).await?;
    delivered(&a, &b, &id).await?;
    ensure!(registry.resolver == stage.resolver, "another resolver");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ec_keys_are_refused_where_they_were_not_agreed() -> Result<()> {
    let stage = Stage::set()?;
    let (mut a, mut b) = (stage.node("a", &[Eddsa, Ec], false)?, stage.node("b", &[Eddsa, Ec], false)?);
    stage.append("a", &agree(&b, Ec, "", &url(&b)))?;
    stage.append("b", &agree(&a, Eddsa, ", \"../a/ec.pem\"", &url(&a)))?;
    a.node.start().await?;
    b.node.start().await?;
    submit(&a, SENDER, "to-b::1").await?;
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let rejected = http::get(b.node.ports.admin, "/api/rejected").await?;
        if let Some(row) = rejected.as_array().and_then(|rows| rows.first()) {
            ensure!(row["rejected"]["code"] == "EBMS:0103", "{row}");
            ensure!(
                row.to_string().contains("ecdsa-sha256"),
                "the reason does not name the algorithm: {row}"
            );
            let taken = http::get(b.node.ports.admin, "/api/messages").await?;
            ensure!(taken.as_array().is_some_and(Vec::is_empty), "something was taken: {taken}");
            return Ok(());
        }
        ensure!(Instant::now() < until, "nothing was refused: {}", fs::read_to_string(b.node.log())?);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_passes_inspection_under_the_profile() -> Result<()> {
    for (kind, signature, agreement) in [(Eddsa, "eddsa-ed25519", "x25519"), (Ec, "ecdsa-sha256", "ECDH-ES")]
    {
        let stage = Stage::set()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (mut a, b) = (stage.node("a", &[kind], false)?, stage.node("b", &[kind], false)?);
        stage.append("a", &agree(&b, kind, "", &format!("http://{}/as4", listener.local_addr()?)))?;
        a.node.start().await?;
        submit(&a, SENDER, "to-b::1").await?;
        let request = tokio::time::timeout(Duration::from_secs(30), captured(listener)).await??;
        let file = stage.world.root.join("request.http");
        fs::write(&file, request)?;
        let store = stage.world.root.join("b").join(kind.certificates().1).with_extension("p12");
        let report = inspected(&stage, &file, &store).await?;
        ensure!(report["verdict"] == "accepted", "{report}");
        let ends = |value: &Value, word: &str| value.as_str().is_some_and(|uri| uri.ends_with(word));
        ensure!(ends(&report["signature"]["algorithm"], signature), "{report}");
        ensure!(report["signature"]["trust"] == "trusted", "{report}");
        ensure!(ends(&report["encryption"]["agreement"], agreement), "{report}");
        ensure!(ends(&report["encryption"]["kdf"], "hkdf"), "{report}");
        ensure!(report["encryption"]["token_reference"] == "X509SubjectKeyIdentifier", "{report}");
        ensure!(report["parts"].as_array().map(Vec::len) == Some(2), "{report}");
    }
    Ok(())
}

async fn inspected(stage: &Stage, file: &Path, store: &Path) -> Result<Value> {
    let output = Command::new(&stage.world.tilts)
        .arg("inspect")
        .arg(file)
        .args(["--profile", "edelivery-2.0", "--json", "--keystore"])
        .arg(store)
        .args(["--password", "changeit", "--trust"])
        .arg(stage.world.root.join("ca/ap.pem"))
        .output()
        .await?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("no report: {}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_without_its_keys_is_refused_before_anything_starts() -> Result<()> {
    let stage = Stage::set()?;
    stage.node("node", &[Rsa], false)?;
    let config = stage.world.root.join("node/tilts.toml");
    let good = fs::read_to_string(&config)?;
    let said = async |text: String| -> Result<String> {
        fs::write(&config, text)?;
        let output =
            Command::new(&stage.world.tilts).args(["check-config", "--config"]).arg(&config).output().await?;
        ensure!(!output.status.success(), "it was called good");
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let two = good.replace("edelivery-1.15", "edelivery-2.0").replace(TRANSPORT, TRANSPORT_2);
    let text = said(two).await?;
    for word in ["edelivery-2.0", "Ed25519", "X25519", "use = [\"sign\"]", "use = [\"decrypt\"]", "RSA"] {
        ensure!(text.contains(word), "it does not say {word:?}: {text}");
    }
    let text = said(good.replace(TRANSPORT, TRANSPORT_2)).await?;
    ensure!(text.contains(TRANSPORT_2) && text.contains("profiles = {"), "{text}");
    Ok(())
}
