//! phase4 sends, tilts receives: what tilts must take, what it must refuse and with which code, and whether phase4 believes
//! its receipts.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::gateway::Gateway;
use super::job::{Content, Part, canonical, same_parts};
use super::process::Process;
use super::report::Report;
use super::setting::Setting;
use crate::demo::list;
use crate::http;

/// Name of the pair in the table.
pub const PAIR: &str = "phase4 -> tilts";
const ANSWER: Duration = Duration::from_secs(180);
/// Service of test messages.
pub(super) const TEST_SERVICE: &str = "http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/service";
/// Their action.
pub(super) const TEST_ACTION: &str = "http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/test";

/// A message for phase4 to send; fields of `job` that differ from the usual one.
struct Case<'c> {
    name: &'c str,
    parts: Vec<Part>,
    other: Value,
}

/// What must come of it.
enum Expected {
    /// Delivered once, with exactly these parts, and receipted.
    Delivered,
    /// Receipted, and delivered to nobody.
    Receipted,
    /// Refused with that code, and delivered to nobody.
    Refused(&'static str),
}

/// Runs all cases.
pub async fn run(setting: &mut Setting<'_>, report: &mut Report) -> Result<()> {
    let folder = setting.world.root.join("inbound");
    for (case, expected) in
        content(&setting.world.tilts, &folder).await?.into_iter().chain(security(setting, &folder)?)
    {
        let outcome = one(setting, &case, &expected).await;
        match expected {
            Expected::Refused(_) => report.add(PAIR, case.name, outcome),
            _ => report.add_delivery(PAIR, case.name, outcome),
        }
    }
    large(setting, report, &folder).await?;
    report.add_delivery(PAIR, "RSA-3072 on both sides", with_large_keys(setting, &folder).await);
    duplicates(setting, report, &folder).await
}

fn case<'c>(name: &'c str, parts: Vec<Part>, other: Value) -> Case<'c> {
    Case { name, parts, other }
}

async fn content(tilts: &Path, folder: &Path) -> Result<Vec<(Case<'static>, Expected)>> {
    let part = |name: &str, content, compress| Part::new(folder, name, content, compress);
    let xml = |compress| part("letter.xml", Content::Xml, compress);
    let noise = |n: u64, compress| part(&format!("noise-{n}"), Content::Noise(n), compress);
    let mixed = vec![xml(true)?, noise(70_000, false)?, noise(1_000, true)?];
    let many = (0..28).map(|n| noise(100 + n, n % 2 == 0)).collect::<Result<Vec<_>>>()?;
    let ping = json!({ "service": TEST_SERVICE, "service_type": null, "action": TEST_ACTION });
    let delivered = [
        case("one part, XML, gzip", vec![xml(true)?], json!({})),
        case(
            "one part, XML, not compressed (arrives as C14N)",
            vec![canonical(tilts, xml(false)?).await?],
            json!({}),
        ),
        case("one part, binary, gzip", vec![noise(10_000, true)?], json!({})),
        case("one part, binary, not compressed", vec![noise(10_000, false)?], json!({})),
        case("one part of one octet", vec![noise(1, false)?], json!({})),
        case("one part of one octet, gzip", vec![noise(1, true)?], json!({})),
        case("no part", Vec::new(), json!({})),
        case("three parts: XML gzip, binary, binary gzip", mixed, json!({})),
        case("28 parts", many, json!({})),
    ];
    let mut all: Vec<_> = delivered.into_iter().map(|case| (case, Expected::Delivered)).collect();
    all.push((case("test service without payload", Vec::new(), ping.clone()), Expected::Receipted));
    all.push((case("test service with payload", vec![xml(true)?], ping), Expected::Receipted));
    Ok(all)
}

fn security(setting: &Setting<'_>, folder: &Path) -> Result<Vec<(Case<'static>, Expected)>> {
    let part = || Part::new(folder, "letter.xml", Content::Xml, true);
    let key = |name: &str| setting.phase4_file(name);
    let as_anchored = |file: &str| json!({ "from": "PHASE4-ANCHORED", "keystore": key(file) });
    let mut all = Vec::new();
    for (name, signing, recipient) in [
        ("signature by BST, recipient by BST", "bst", "bst"),
        ("signature by PKIPath, recipient by BST", "pkipath", "bst"),
        ("signature by SKI, recipient by SKI", "ski", "ski"),
        ("signature by issuer/serial, recipient by issuer/serial", "issuer-serial", "issuer-serial"),
    ] {
        let other = json!({ "token": signing, "recipient_token": recipient });
        all.push((case(name, vec![part()?], other), Expected::Delivered));
    }
    let cases = [
        ("partner known by authority and subject", as_anchored("anchored.p12"), Expected::Delivered),
        (
            "certificate of another party of the same authority",
            json!({ "keystore": key("other.p12") }),
            Expected::Refused("EBMS:0101"),
        ),
        ("another party's certificate, by anchor", as_anchored("key.p12"), Expected::Refused("EBMS:0101")),
        ("certificate of an unknown authority", as_anchored("untrusted.p12"), Expected::Refused("EBMS:0101")),
        ("expired certificate", as_anchored("expired.p12"), Expected::Refused("EBMS:0101")),
        ("unknown sender", json!({ "from": "NOBODY" }), Expected::Refused("EBMS:0010")),
        ("for another receiver", json!({ "to": "NOT-US" }), Expected::Refused("EBMS:0010")),
        (
            "a service that is not agreed",
            json!({ "from": "PHASE4-ANCHORED", "keystore": key("anchored.p12"), "service": "other" }),
            Expected::Refused("EBMS:0010"),
        ),
        (
            "encrypted for another key",
            json!({ "receiver": key("other.pem") }),
            Expected::Refused("EBMS:0102"),
        ),
        ("called gzip, but is not", json!({ "pretend_gzip": true }), Expected::Refused("EBMS:0303")),
        (
            "originalSender and finalRecipient missing",
            json!({ "properties": [] }),
            Expected::Refused("EBMS:0010"),
        ),
    ];
    for (name, other, expected) in cases {
        let part = match other["pretend_gzip"].is_null() {
            true => part()?,
            false => Part::new(folder, "no-gzip", Content::Noise(500), false)?,
        };
        all.push((case(name, vec![part], other), expected));
    }
    Ok(all)
}

async fn one(setting: &mut Setting<'_>, case: &Case<'_>, expected: &Expected) -> Result<String> {
    let id = new_id();
    let url = setting.node.url();
    let sent = send(setting, &id, &url, case).await?;
    match expected {
        Expected::Delivered => {
            believed(&sent, &setting.node)?;
            delivered(&setting.node, &id, &case.parts).await?;
        }
        Expected::Receipted => {
            believed(&sent, &setting.node)?;
            ensure!(deliveries(&setting.node, &id).await?.is_empty(), "a test message was delivered");
        }
        Expected::Refused(code) => {
            ensure!(sent["codes"] == json!([code]), "{code} was expected: {sent}");
            ensure!(deliveries(&setting.node, &id).await?.is_empty(), "refused and delivered");
            return rejected(&setting.node, &id, code, &sent).await;
        }
    }
    Ok(format!("receipt signed by tilts, NRI valid, {} ms", sent["milliseconds"]))
}

/// 200 MB each way need a Java whose AES-GCM streams do not copy themselves at every read.
async fn large(setting: &mut Setting<'_>, report: &mut Report, folder: &Path) -> Result<()> {
    let name = "one part of 200 MB, not compressed";
    if setting.java.major < 25 {
        let why = format!("phase4 on Java {} needs hours for it; Java 25 does not", setting.java.major);
        report.leave_out(PAIR, name, &why);
        return Ok(());
    }
    let case = case(name, vec![Part::new(folder, "large", Content::Noise(200_000_000), false)?], json!({}));
    let outcome = one(setting, &case, &Expected::Delivered).await;
    report.add_delivery(PAIR, name, outcome);
    Ok(std::fs::remove_file(&case.parts[0].file)?)
}

async fn with_large_keys(setting: &mut Setting<'_>, folder: &Path) -> Result<String> {
    let other = json!({
        "from": "PHASE4-3072", "to": setting.large_key.party,
        "keystore": setting.phase4_file("other.p12"), "receiver": setting.large_key.certificate,
    });
    let case = case("", vec![Part::new(folder, "letter.xml", Content::Xml, true)?], other);
    let (id, url) = (new_id(), setting.large_key.url());
    let sent = send(setting, &id, &url, &case).await?;
    believed(&sent, &setting.large_key)?;
    delivered(&setting.large_key, &id, &case.parts).await?;
    Ok("receipt signed by tilts, NRI valid".into())
}

async fn duplicates(setting: &mut Setting<'_>, report: &mut Report, folder: &Path) -> Result<()> {
    let letter = || Part::new(folder, "letter.xml", Content::Xml, true);
    let same = json!({ "conversation": "one" });
    let again = twice(setting, case("", vec![letter()?], same.clone()), letter()?).await;
    let again = again.and_then(|(id, sent)| {
        ensure!(sent["signal"] == "receipt" && sent["nri"] == "valid", "no receipt for {id}: {sent}");
        Ok("a receipt of its own, delivered once".into())
    });
    report.add_delivery(PAIR, "duplicate: built anew under the same MessageId", again);
    let other = Part::new(folder, "other", Content::Noise(50), true)?;
    let changed = twice(setting, case("", vec![letter()?], same), other).await;
    report.add(PAIR, "other content under the same MessageId", contradiction(changed));
    // phase4 draws a ConversationId for each building unless its caller gives one.
    let drawn = twice(setting, case("", vec![letter()?], json!({})), letter()?).await;
    report.add(PAIR, "other ConversationId under the same MessageId", contradiction(drawn));
    report.add_delivery(PAIR, "receipt lost: the same octets again", lost(setting, vec![letter()?]).await);
    Ok(())
}

fn contradiction(outcome: Result<(String, Value)>) -> Result<String> {
    let (id, sent) = outcome?;
    ensure!(sent["codes"] == json!(["EBMS:0003"]), "EBMS:0003 was expected for {id}: {sent}");
    Ok("EBMS:0003, delivered once".into())
}

/// Sends two messages under one MessageId, the second with another part; gives what came of that one. The first must be
/// delivered, and nothing more.
async fn twice(setting: &mut Setting<'_>, first: Case<'_>, second: Part) -> Result<(String, Value)> {
    let (id, url) = (new_id(), setting.node.url());
    let sent = send(setting, &id, &url, &first).await?;
    believed(&sent, &setting.node)?;
    let again = send(setting, &id, &url, &case("", vec![second], first.other.clone())).await?;
    delivered(&setting.node, &id, &first.parts).await?;
    Ok((id, again))
}

/// The first answer never reaches phase4, which then sends the same octets again.
async fn lost(setting: &mut Setting<'_>, parts: Vec<Part>) -> Result<String> {
    let (id, url) = (new_id(), format!("http://{}/as4", setting.to_node.address));
    let case = case("", parts, json!({ "retries": 2 }));
    let sent = send(setting, &id, &url, &case).await?;
    believed(&sent, &setting.node)?;
    delivered(&setting.node, &id, &case.parts).await?;
    ensure!(setting.to_node.connections() == 2, "{} attempts", setting.to_node.connections());
    Ok("the second attempt got the stored receipt; delivered once".into())
}

/// Has phase4 send a case to the node and waits for what it says of it.
async fn send(setting: &mut Setting<'_>, id: &str, url: &str, case: &Case<'_>) -> Result<Value> {
    let mut job = job(id, url, &setting.node.party, &case.parts);
    for part in job["parts"].as_array_mut().into_iter().flatten() {
        part["pretend_gzip"] = case.other["pretend_gzip"].clone();
    }
    ask(&mut setting.sender, job, &case.other).await
}

/// The usual message from phase4, as our Java program takes it.
pub(super) fn job(id: &str, url: &str, to: &str, parts: &[Part]) -> Value {
    json!({
        "job": uuid::Uuid::new_v4().to_string(), "message_id": id, "url": url, "from": "PHASE4", "to": to,
        "party_type": crate::world::PARTY_TYPE, "service": "bdx:noprocess", "service_type": "bdx-procid-transport",
        "action": "bdx-docid-qns::urn:example:letter", "parts": parts.iter().map(Part::job).collect::<Vec<_>>(),
        "properties": [
            { "name": "originalSender", "type": "iso6523-actorid-upis", "value": "0191:10000001" },
            { "name": "finalRecipient", "type": "iso6523-actorid-upis", "value": "0218:90000000001" },
        ],
    })
}

/// Hands a job with other fields over and waits for its result.
pub(super) async fn ask(sender: &mut Process, mut job: Value, other: &Value) -> Result<Value> {
    for (name, value) in other.as_object().into_iter().flatten() {
        job[name] = value.clone();
    }
    sender.tell(&job).await?;
    sender.line(ANSWER, |line| line["job"] == job["job"]).await
}

/// phase4 got a receipt, signed by that node, whose digests are those that phase4 signed.
pub(super) fn believed(sent: &Value, by: &Gateway) -> Result<()> {
    ensure!(sent["result"] == "success" && sent["signal"] == "receipt", "no receipt: {sent}");
    ensure!(sent["signer"] == by.fingerprint.as_str(), "the receipt is not signed by the node: {sent}");
    ensure!(sent["nri"] == "valid", "phase4 does not believe the receipt: {sent}");
    Ok(())
}

/// Every delivery of that MessageId, whatever its state.
pub(super) async fn deliveries(at: &Gateway, id: &str) -> Result<Vec<Value>> {
    let all = at.admin("/api/deliveries").await?;
    Ok(list(&all).filter(|d| d["message"]["message_id"] == id).cloned().collect())
}

/// The message is at the backend's disposal, once, with exactly these parts.
pub(super) async fn delivered(at: &Gateway, id: &str, sent: &[Part]) -> Result<()> {
    let message = disposal(at, id).await?;
    let found = deliveries(at, id).await?;
    ensure!(found.len() == 1, "delivered {} times", found.len());
    let parts = list(&message["parts"]).map(|part| {
        let text = |name: &str| part[name].as_str().unwrap_or_default().to_owned();
        (part["size"].as_u64().unwrap_or_default(), text("sha256"), text("media_type"))
    });
    same_parts(sent, &parts.collect::<Vec<_>>())?;
    // What the interface says is not enough: the octets themselves.
    let id = message["id"].as_str().context("no id")?;
    for (n, part) in sent.iter().enumerate() {
        let path = format!("/v1/messages/{id}/parts/{n}");
        let (size, digest) = crate::large::download(at.node.ports.backend, &path).await?;
        ensure!(
            size == part.size && super::job::hex(&digest) == part.sha256,
            "part {n} is fetched otherwise"
        );
    }
    Ok(())
}

/// The receipt may leave before the delivery has been put at the backend's disposal.
pub(super) async fn disposal(at: &Gateway, id: &str) -> Result<Value> {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let listed = http::get(at.node.ports.backend, "/v1/messages").await?;
        if let Some(message) = list(&listed["messages"]).find(|m| m["message_id"] == id) {
            return Ok(message.clone());
        }
        ensure!(Instant::now() < until, "receipted, but never at the backend's disposal");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The operator can read that it was refused, and why.
pub(super) async fn rejected(at: &Gateway, id: &str, code: &str, sent: &Value) -> Result<String> {
    let rows = at.admin("/api/rejected").await?;
    let row = list(&rows).find(|row| row["rejected"]["message_id"] == id);
    let row = row.with_context(|| format!("{id} is not in the list of rejected messages"))?;
    ensure!(row["rejected"]["code"] == code, "{row}");
    let signed = if sent["signed"] == true { "signed" } else { "unsigned" };
    let detail = row["rejected"]["detail"].as_str().unwrap_or_default();
    Ok(format!("{code} ({signed}); operator reads: {}", detail.chars().take(90).collect::<String>()))
}

/// A MessageId.
pub(super) fn new_id() -> String {
    format!("{}@phase4.example", uuid::Uuid::new_v4())
}
