//! tilts sends, phase4 receives: whether what tilts says of a message is true, whatever phase4 answers.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};

use super::gateway::Gateway;
use super::job::{Content, Part, canonical, same_parts};
use super::process::Process;
use super::report::Report;
use super::setting::{SCHEME, Setting};
use crate::demo::list;
use crate::http;

/// Name of the pair in the table.
pub const PAIR: &str = "tilts -> phase4";
const SETTLED: Duration = Duration::from_secs(120);
/// States in which sending has ended.
const ENDS: [&str; 4] = ["at-remote-gateway", "failed", "uncertain", "available"];

/// A message for tilts to send.
pub(super) struct Case {
    /// As the table calls it.
    pub(super) name: &'static str,
    /// PartyId of the partner.
    pub(super) partner: &'static str,
    /// Payloads.
    pub(super) parts: Vec<Part>,
    /// Whether it goes to the test service.
    pub(super) test: bool,
    /// What must come of it.
    pub(super) expected: Expected,
}

/// What tilts must say of it in the end, and what the peer must have done.
#[derive(Clone, Copy)]
pub(super) enum Expected {
    /// Izsūtīts after one attempt; the peer's backend has exactly these parts.
    Receipted,
    /// The same, except that WSS4J hands its backend the canonical form of XML that was not compressed.
    Canonical,
    /// Izsūtīts; the peer's backend was not asked.
    Pinged,
    /// Neizdevās izsūtīt with that code; the peer's backend has nothing.
    Failed(&'static str),
    /// Apstrādē, with that in the reason; the peer's backend has it.
    Uncertain(&'static str),
    /// Not Izsūtīts, with that in the first attempt's reason; the peer's backend has nothing.
    Retried(&'static str),
}

/// Runs all cases.
pub async fn run(setting: &mut Setting<'_>, report: &mut Report) -> Result<()> {
    let folder = setting.world.root.join("outbound");
    let Setting { node, large_key, stranger, receiver, java, world, .. } = setting;
    many(PAIR, node, receiver, report, receipted(&folder)?).await;
    let canonical =
        vec![canonical(&world.tilts, Part::new(&folder, "letter.xml", Content::Xml, false)?).await?];
    let name = "one part, XML, not compressed";
    many(PAIR, node, receiver, report, vec![case(name, "PHASE4-PLAIN", canonical, Expected::Canonical)])
        .await;
    many(PAIR, node, receiver, report, unhappy(&folder)?).await;
    let letter = || Part::new(&folder, "letter.xml", Content::Xml, true);
    let keys = case("RSA-3072 on both sides", "PHASE4-3072", vec![letter()?], Expected::Receipted);
    many(PAIR, large_key, receiver, report, vec![keys]).await;
    let untrusted = "the node's certificate is of an unknown authority";
    let unknown = case(untrusted, "PHASE4", vec![letter()?], Expected::Failed("EBMS:0102"));
    many(PAIR, stranger, receiver, report, vec![unknown]).await;
    let name = "one part of 200 MB, not compressed";
    if java.major < 25 {
        let why = format!("phase4 on Java {} needs hours for it; Java 25 does not", java.major);
        report.leave_out(PAIR, name, &why);
        return Ok(());
    }
    let part = Part::new(&folder, "large", Content::Noise(200_000_000), false)?;
    let file = part.file.clone();
    many(PAIR, node, receiver, report, vec![case(name, "PHASE4", vec![part], Expected::Receipted)]).await;
    Ok(std::fs::remove_file(file)?)
}

/// A case of a business message.
pub(super) fn case(name: &'static str, partner: &'static str, parts: Vec<Part>, expected: Expected) -> Case {
    Case { name, partner, parts, test: false, expected }
}

fn receipted(folder: &Path) -> Result<Vec<Case>> {
    let xml = || Part::new(folder, "letter.xml", Content::Xml, true);
    let noise = |n: u64| Part::new(folder, &format!("noise-{n}"), Content::Noise(n), false);
    let many = (0..28).map(|n| noise(100 + n)).collect::<Result<Vec<_>>>()?;
    let cases = [
        ("one part, XML, gzip", "PHASE4-GZIP", vec![xml()?]),
        ("one part, binary, gzip", "PHASE4-GZIP", vec![noise(10_000)?]),
        ("one part, binary, not compressed", "PHASE4-PLAIN", vec![noise(10_000)?]),
        ("one part of one octet", "PHASE4-PLAIN", vec![noise(1)?]),
        ("one part of one octet, gzip", "PHASE4-GZIP", vec![noise(1)?]),
        ("no part", "PHASE4", Vec::new()),
        ("three parts, compression auto", "PHASE4", vec![xml()?, noise(70_000)?, noise(1_000)?]),
        ("28 parts", "PHASE4", many),
        ("receipt by BST", "PHASE4", vec![xml()?]),
        ("receipt by PKIPath", "PHASE4-PKIPATH", vec![xml()?]),
        ("receipt by SKI", "PHASE4-SKI", vec![xml()?]),
        ("receipt by issuer/serial", "PHASE4-ISSUER", vec![xml()?]),
        ("signature by BST, recipient by BST", "PHASE4-TOKEN-BST", vec![xml()?]),
        ("signature by PKIPath, recipient by SKI", "PHASE4-TOKEN-PKIPATH", vec![xml()?]),
        ("signature by SKI, recipient by SKI", "PHASE4-TOKEN-SKI", vec![xml()?]),
        ("signature by issuer/serial, recipient by issuer/serial", "PHASE4-TOKEN-ISSUER", vec![xml()?]),
    ];
    let mut all: Vec<Case> = cases
        .into_iter()
        .map(|(name, partner, parts)| case(name, partner, parts, Expected::Receipted))
        .collect();
    all.push(Case { test: true, ..case("test service", "PHASE4", Vec::new(), Expected::Pinged) });
    Ok(all)
}

fn unhappy(folder: &Path) -> Result<Vec<Case>> {
    let cases = [
        ("encrypted for another key", "PHASE4-WRONG-KEY", Expected::Failed("EBMS:0102")),
        ("phase4 does not know the receiver", "PHASE4-NOT-ITS-NAME", Expected::Failed("EBMS:0010")),
        ("originalSender and finalRecipient missing", "PHASE4-NO-CORNERS", Expected::Failed("EBMS:0010")),
        ("phase4's backend fails", "PHASE4-BROKEN", Expected::Failed("EBMS:0004")),
        ("phase4's backend is not there now", "PHASE4-BUSY", Expected::Retried("EBMS:0202")),
        ("the receipt is not signed", "PHASE4-UNSIGNED", Expected::Uncertain("EBMS:0302")),
        ("another party signed the receipt", "PHASE4-FOREIGN", Expected::Uncertain("EBMS:0302")),
        ("receipt lost; phase4 refuses the duplicate", "PHASE4-LOSSY", Expected::Uncertain("has it already")),
    ];
    let letter = || Part::new(folder, "letter.xml", Content::Xml, true);
    cases
        .into_iter()
        .map(|(name, partner, expected)| Ok(case(name, partner, vec![letter()?], expected)))
        .collect()
}

/// Submits all, then waits for the end of each.
pub(super) async fn many(
    pair: &str,
    from: &Gateway,
    to: &mut Process,
    report: &mut Report,
    cases: Vec<Case>,
) {
    let mut submitted = Vec::new();
    for case in cases {
        let id = submit(from, &case).await;
        submitted.push((case, id));
    }
    for (case, id) in submitted {
        let outcome = match id {
            Ok(id) => judged(from, to, &case, &id).await,
            Err(error) => Err(error),
        };
        match case.expected {
            Expected::Receipted | Expected::Canonical | Expected::Pinged => {
                report.add_delivery(pair, case.name, outcome);
            }
            _ => report.add(pair, case.name, outcome),
        }
    }
}

async fn submit(from: &Gateway, case: &Case) -> Result<String> {
    let description = json!({
        "client_id": uuid::Uuid::new_v4().to_string(),
        "original_sender": "iso6523-actorid-upis::0218:90000000001",
        "recipients": [{ "participant": format!("{SCHEME}::{}", case.partner) }],
        "document_type": "bdx-docid-qns::urn:example:letter",
        "process": "bdx-procid-transport::bdx:noprocess",
        "test": case.test,
    });
    let mut parts = vec![http::Part::new("description", "application/json", description.to_string())];
    for (n, part) in case.parts.iter().enumerate() {
        let body = std::fs::read(&part.file)?;
        parts.push(http::Part::new(&n.to_string(), &part.media_type, body));
    }
    let (content_type, body) = http::multipart(&parts);
    let to = from.node.ports.backend;
    let answer = http::request(to, Method::POST, "/v1/submissions", &content_type, body).await?.json()?;
    Ok(answer["id"].as_str().context("no id")?.to_owned())
}

async fn judged(from: &Gateway, to: &mut Process, case: &Case, id: &str) -> Result<String> {
    let end = end(from, id).await?;
    let taken = to.lines(|line| line["event"] == "received" && line["message_id"] == end.message_id.as_str());
    let (send, delivery) = (end.send.as_str(), end.delivery.as_str());
    ensure!(
        delivery == "none" || delivery == "-" || delivery.is_empty(),
        "without evidence it is {delivery}"
    );
    match case.expected {
        Expected::Receipted => {
            ensure!(end.state == "at-remote-gateway" && send == "sent", "{end:?}");
            ensure!(end.attempts.len() == 1, "{} attempts: {:?}", end.attempts.len(), end.attempts);
            arrived(&taken, from, &case.parts)?;
            Ok("Izsūtīts after one attempt; the peer has the same octets".into())
        }
        Expected::Canonical => {
            ensure!(end.state == "at-remote-gateway" && end.attempts.len() == 1, "{end:?}");
            arrived(&taken, from, &case.parts)?;
            Ok("Izsūtīts after one attempt; the peer's backend has its exclusive C14N".into())
        }
        Expected::Pinged => {
            ensure!(end.state == "at-remote-gateway", "{end:?}");
            ensure!(taken.is_empty(), "a test message was delivered");
            Ok("receipted, not delivered".into())
        }
        Expected::Failed(code) => {
            ensure!(end.state == "failed" && send == "failed" && taken.is_empty(), "{end:?}, {taken:?}");
            ensure!(end.last().contains(code), "{code} was expected: {end:?}");
            Ok(format!("Neizdevās izsūtīt: {}", short(end.last())))
        }
        Expected::Uncertain(reason) => {
            ensure!(end.state == "uncertain" && send == "processing", "{end:?}");
            ensure!(end.attempts.iter().any(|a| a.contains(reason)), "{reason:?} was expected: {end:?}");
            arrived(&taken, from, &case.parts)?;
            Ok(format!("Apstrādē, operator told; delivered once: {}", short(end.last())))
        }
        Expected::Retried(code) => {
            ensure!(send != "sent" && taken.is_empty(), "{end:?}, {taken:?}");
            ensure!(end.attempts.len() > 1, "one attempt only: {end:?}");
            ensure!(end.attempts[0].contains(code), "{code} was expected: {end:?}");
            Ok(format!("{} attempts, then {}: {}", end.attempts.len(), end.state, short(end.last())))
        }
    }
}

/// How a message ended.
#[derive(Debug)]
pub(super) struct End {
    /// Its MessageId.
    pub(super) message_id: String,
    /// State of the delivery record.
    pub(super) state: String,
    /// National status of sending.
    pub(super) send: String,
    /// National status of delivery.
    pub(super) delivery: String,
    /// What came of each attempt.
    pub(super) attempts: Vec<String>,
}

impl End {
    /// What came of the last attempt.
    pub(super) fn last(&self) -> &str {
        self.attempts.last().map_or("", String::as_str)
    }
}

/// Waits until sending has ended.
pub(super) async fn end(from: &Gateway, id: &str) -> Result<End> {
    let until = Instant::now() + SETTLED;
    loop {
        let detail = from.admin(&format!("/api/submissions/{id}")).await?;
        let end = read(&detail);
        if ENDS.contains(&end.state.as_str()) {
            return Ok(end);
        }
        ensure!(Instant::now() < until, "not settled after {SETTLED:?}: {end:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn read(detail: &Value) -> End {
    let recipient = &detail["recipients"][0];
    let record = &recipient["recipient"]["record"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let message = &recipient["messages"][0];
    End {
        message_id: text(&message["message_id"]),
        state: text(&record["state"]),
        send: text(&record["send"]),
        delivery: text(&record["delivery"]),
        attempts: list(&message["attempts"]).map(|a| text(&a["detail"])).collect(),
    }
}

/// The peer's backend got it once, whole, signed by the node.
fn arrived(taken: &[Value], from: &Gateway, sent: &[Part]) -> Result<()> {
    let [line] = taken else { anyhow::bail!("the peer delivered it {} times", taken.len()) };
    ensure!(line["signer"] == from.fingerprint.as_str(), "signed by {}", line["signer"]);
    // phase4 delivers unsigned and clear messages, too, so it is asked; asx-rs delivers only what was both.
    ensure!(line["signed"] != false, "the peer checked no signature");
    ensure!(sent.is_empty() || line["decrypted"] != false, "the peer decrypted nothing");
    if line["properties"].is_array() {
        let names: Vec<&str> = list(&line["properties"]).filter_map(|p| p["name"].as_str()).collect();
        ensure!(names.contains(&"originalSender") && names.contains(&"finalRecipient"), "corners: {names:?}");
    }
    let parts = list(&line["parts"]).map(|part| {
        let text = |name: &str| part[name].as_str().unwrap_or_default().to_owned();
        (part["size"].as_u64().unwrap_or_default(), text("sha256"), text("media_type"))
    });
    same_parts(sent, &parts.collect::<Vec<_>>())
}

/// The beginning of a text, for a line of the table.
pub(super) fn short(text: &str) -> String {
    text.chars().take(110).collect()
}
