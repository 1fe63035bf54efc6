//! Messages of a node whose domains are found through the registry.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{ATTACKED, DIALECTS, Dialect, Good, NOBODY, Registry, Tampered};
use crate::http;
use crate::node::free;
use crate::peers::gateway::Gateway;
use crate::peers::outbound::{end, short};
use crate::peers::registry::dns::ZONE;
use crate::peers::report::Report;
use crate::peppol;
use crate::world::{AccessPoint, World};

const SENDER: &str = "iso6523-actorid-upis::0218:90000000001";
/// Whom a node asks a resolver for that does not validate: nobody.
const UNPROVEN: &str = "iso6523-actorid-upis::0191:70000001";
const BACKEND: &str = "\n[[backend]]\nid = \"office\"\nadapter = \"rest\"\n";

/// The access point that phoss publishes; it is not started yet.
pub(super) fn receiver(world: &World) -> Result<AccessPoint> {
    let point = world.access_point("registered", 2048, free()?, BACKEND)?;
    let config = world.root.join("registered/tilts.toml");
    let text = fs::read_to_string(&config)?.replacen("evidence = \"rem\"\n", "", 1);
    fs::write(config, text)?;
    Ok(point)
}

/// Runs all cases.
pub(super) async fn run(registry: &mut Registry<'_>, report: &mut Report) -> Result<()> {
    let mut sender = sender(registry).await?;
    registry.receiver.node.start().await?;
    for dialect in DIALECTS {
        let outcome = delivered(registry, &sender, &Good.participant(dialect)).await;
        report.add(&format!("phoss {}", dialect.name()), "a message to whom it publishes", outcome);
    }
    let tampered = failed(&sender, &Tampered.participant(Dialect::Peppol), "signature").await;
    report.add("phoss peppol", "a message; the SMP's answer is changed on the way", tampered);
    let nobody = failed(&sender, NOBODY, "not registered").await;
    report.add("Knot, unbound", "a message to nobody, validated", nobody);
    let attacked = waits(&sender, ATTACKED, "Server Failure").await;
    report.add("Knot, unbound", "a message under a changed record", attacked);
    let unproven = waits(&sender, UNPROVEN, "not validated").await;
    report.add("Knot, unbound", "a message to nobody, not validated", unproven);
    sender.node.stop().await?;
    registry.receiver.node.stop().await
}

/// A node with a domain for each dialect, and two whose resolvers are not to be believed. All demand DNSSEC.
async fn sender(registry: &Registry<'_>) -> Result<Gateway> {
    let validating = registry.validating.address;
    let point = registry.world.access_point("asking", 2048, validating, BACKEND)?;
    let config = registry.world.root.join("asking/tilts.toml");
    let text = fs::read_to_string(&config)?;
    let (head, rest) = text.split_once("[[domain]]").context("no domain")?;
    let (domain, tail) = rest.split_once("[[backend]]").context("no backend")?;
    let mut domains = String::new();
    let mut with = |name: &str, dialect: Dialect, resolver: String, digits: &str| {
        let one = domain
            .replace(
                "name = \"demo\"",
                &format!("name = \"{name}\"\ndialects = [\"{}\"]\ndnssec = true", dialect.name()),
            )
            .replace(crate::world::ZONE, ZONE)
            .replace(&validating.to_string(), &resolver)
            .replace("evidence = \"rem\"\n", "")
            .replace("gateway_codes = [\"ee\"]\n", "")
            .replace("upis::*", &format!("upis::0191:{digits}*"));
        domains += &format!("[[domain]]{one}");
    };
    for dialect in DIALECTS {
        with(dialect.name(), dialect, validating.to_string(), &format!("4{}", dialect as u8 + 1));
    }
    with("nobody", Dialect::Peppol, validating.to_string(), "5");
    with("attacked", Dialect::Peppol, registry.attacked.address.to_string(), "6");
    with("unproven", Dialect::Peppol, registry.trusting.address.to_string(), "7");
    fs::write(&config, format!("{head}{domains}[[backend]]{tail}"))?;
    let mut sender = Gateway::of(point)?;
    sender.node.start().await?;
    Ok(sender)
}

async fn submit(from: &Gateway, recipient: &str) -> Result<String> {
    let description = json!({ "client_id": uuid::Uuid::new_v4().to_string() });
    let document = peppol::invoice();
    let (to, corners) = (from.node.ports.backend, [SENDER, recipient]);
    let answer = peppol::submit(to, "office", corners, description, &[document.as_bytes()]).await?.json()?;
    Ok(answer["id"].as_str().context("no id")?.to_owned())
}

async fn delivered(registry: &Registry<'_>, from: &Gateway, recipient: &str) -> Result<String> {
    let end = end(from, &submit(from, recipient).await?).await?;
    ensure!(end.state == "at-remote-gateway" && end.send == "sent", "{end:?}");
    let listed = http::get(registry.receiver.node.ports.admin, "/api/deliveries").await?;
    let found = crate::demo::list(&listed).any(|d| d["message"]["message_id"] == end.message_id.as_str());
    ensure!(found, "the receiver has it not: {listed}");
    Ok("Izsūtīts; the receiver has it".into())
}

async fn failed(from: &Gateway, recipient: &str, word: &str) -> Result<String> {
    let id = submit(from, recipient).await?;
    let end = end(from, &id).await?;
    let detail = from.admin(&format!("/api/submissions/{id}")).await?;
    ensure!(end.state == "failed" && end.send == "failed", "{end:?}");
    ensure!(detail.to_string().contains(word), "{word} was expected: {detail}");
    Ok(format!("Neizdevās izsūtīt: {word}"))
}

/// The message waits, and the operator can read why.
async fn waits(from: &Gateway, recipient: &str, word: &str) -> Result<String> {
    let id = submit(from, recipient).await?;
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let detail = from.admin(&format!("/api/submissions/{id}")).await?;
        let record: &Value = &detail["recipients"][0]["recipient"]["record"];
        ensure!(record["send"] != "failed" && record["send"] != "sent", "{record}");
        if detail.to_string().contains(word) {
            return Ok(format!("Apstrādē: {}", short(word)));
        }
        ensure!(Instant::now() < until, "{word} was expected: {detail}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
