//! A Peppol stack sends, tilts receives: what it takes, what it refuses, and whether its receipts are believed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{Network, Peer, SERVED, Stack};
use crate::http;
use crate::peers::gateway::Gateway;
use crate::peers::inbound::{
    TEST_ACTION, TEST_SERVICE, ask, believed, deliveries, disposal, new_id, rejected,
};
use crate::peers::relay::Relay;
use crate::peers::report::Report;
use crate::peppol::{AGREEMENT, AP_TYPE, DOCUMENT_TYPE, UBL, invoice};
use crate::world::{PROCESS_PEPPOL, said};

/// In whose name the peers send.
const SENDER: &str = "iso6523-actorid-upis::0191:30000001";

/// What must come of a message.
enum Expected {
    /// Delivered once with the same invoice, and receipted.
    Delivered,
    /// Refused with that code, a word in the error's detail, and delivered to nobody.
    Refused(&'static str, &'static str),
    /// Receipted, and delivered to nobody.
    Pinged,
}

use Expected::{Delivered, Pinged, Refused};

/// A message; `change` says what differs from a good one.
struct Case {
    name: &'static str,
    change: Value,
    expected: Expected,
}

/// Runs all cases.
pub(super) async fn run(network: &Network<'_>, peer: &mut Peer, report: &mut Report) -> Result<()> {
    let pair = peer.stack.inbound_pair();
    let [bare, large, other] = documents(&peer.folder)?;
    for Case { name, change, expected } in cases(peer, &large) {
        let outcome = one(network, peer, &bare, &change, &expected).await;
        match expected {
            Refused(..) => report.add(&pair, name, outcome),
            _ => report.add_delivery(&pair, name, outcome),
        }
    }
    report.add_delivery(&pair, "receipt lost: the same octets again", lost(network, peer, &bare).await);
    let again = contradiction(network, peer, &bare, &other).await;
    report.add(&pair, "other content under the same MessageId", again);
    if peer.stack == Stack::As4 {
        report.leave_out(&pair, "not signed; not encrypted; test service", "as4 sends nothing like that");
    }
    Ok(())
}

/// A small invoice, a large one, and another small one.
fn documents(folder: &Path) -> Result<[PathBuf; 3]> {
    let lines: String = (0..60_000).map(|n| format!("<u:Note>l\u{12b}nija {n}</u:Note>")).collect();
    let large = invoice().replace("</u:Invoice>", &format!("{lines}</u:Invoice>"));
    let texts = [
        ("invoice.xml", invoice()),
        ("large.xml", large),
        ("other.xml", invoice().replace("ins 1", "ins 2")),
    ];
    let files = texts.map(|(name, text)| (folder.join(name), text));
    for (file, text) in &files {
        std::fs::write(file, text)?;
    }
    Ok(files.map(|(file, _)| file))
}

/// What message and envelope say.
fn says() -> Value {
    json!({
        "sender": value(SENDER), "receiver": value(SERVED), "document_type": DOCUMENT_TYPE, "process": PROCESS_PEPPOL,
        "country": "LV",
    })
}

fn value(participant: &str) -> &str {
    participant.split_once("::").map_or(participant, |(_, value)| value)
}

/// What everybody says, but for one thing.
fn but(name: &str, value: Value) -> Value {
    let mut says = says();
    says[name] = value;
    says
}

fn cases(peer: &Peer, large: &Path) -> Vec<Case> {
    let case = |name, change, expected| Case { name, change, expected };
    let envelope = |name, value: &str| json!({ "envelope": but(name, json!(value)) });
    let key = |name: &str| json!({ "keystore": peer.folder.join(name) });
    let order = DOCUMENT_TYPE.replace("billing:3.0", "billing:4.0");
    let mut all = vec![
        case("invoice", json!({}), Delivered),
        case("invoice of two megabytes", json!({ "file": large }), Delivered),
        case(
            "SBDH names another sender",
            envelope("sender", "0191:30000002"),
            Refused("EBMS:0004", "originalSender"),
        ),
        case(
            "SBDH names another receiver",
            envelope("receiver", "0218:1"),
            Refused("EBMS:0004", "finalRecipient"),
        ),
        case(
            "SBDH names another document type",
            envelope("document_type", &order),
            Refused("EBMS:0004", "document type"),
        ),
        case(
            "SBDH names another process",
            envelope("process", "cenbii-procid-ubl::x"),
            Refused("EBMS:0004", "process"),
        ),
        case(
            "SBDH names no country",
            json!({ "envelope": but("country", Value::Null) }),
            Refused("EBMS:0004", "COUNTRY_C1"),
        ),
        case("no SBDH", json!({ "envelope": "nothing" }), Refused("EBMS:0004", "")),
        case(
            "a receiver that tilts does not serve",
            json!({ "says": but("receiver", json!("0088:1")) }),
            Refused("EBMS:0004", "PEPPOL:NOT_SERVICED"),
        ),
        case("another party's certificate", key("other.p12"), Refused("EBMS:0101", "")),
        case("certificate of an unknown authority", key("untrusted.p12"), Refused("EBMS:0101", "")),
        case("expired certificate", key("expired.p12"), Refused("EBMS:0101", "")),
        case(
            "encrypted for another key",
            json!({ "receiver": peer.folder.join("other.pem") }),
            Refused("EBMS:0102", ""),
        ),
    ];
    let ping = json!({ "file": null, "service": TEST_SERVICE, "service_type": null, "action": TEST_ACTION });
    match peer.stack {
        Stack::As4 => all.push(case("duplicate: the same octets again", json!({ "times": 2 }), Delivered)),
        Stack::Phase4 => all.extend([
            case("not signed", json!({ "sign": false }), Refused("EBMS:0103", "")),
            case("not encrypted", json!({ "encrypt": false }), Refused("EBMS:0103", "")),
            case("test service", ping, Pinged),
            case("another agreement", json!({ "agreement": "urn:other" }), Refused("EBMS:0010", "")),
            case("a receiver PartyId that is not ours", json!({ "to": "NOT-US" }), Refused("EBMS:0010", "")),
        ]),
    }
    all
}

/// The job of a good message, as each of our programs takes it.
fn job(network: &Network<'_>, peer: &Peer, id: &str, document: &Path, change: &Value) -> Value {
    let said = if change["says"].is_object() { change["says"].clone() } else { says() };
    let split = |name: &str| said[name].as_str().and_then(|text| text.split_once("::")).unwrap_or_default();
    let corner =
        |name: &str, value: &Value| json!({ "name": name, "type": "iso6523-actorid-upis", "value": value });
    let (service_type, service) = split("process");
    let mut job = json!({
        "job": uuid::Uuid::new_v4().to_string(), "message_id": id, "conversation": id, "url": network.node.url(),
        "from": peer.stack.party(), "to": network.node.party, "receiver": network.node.certificate, "file": document,
        "party_type": AP_TYPE, "agreement": AGREEMENT, "service": service, "service_type": service_type,
        "action": said["document_type"], "says": said, "envelope": said, "parts": [],
        "properties": [corner("originalSender", &said["sender"]), corner("finalRecipient", &said["receiver"])],
    });
    for (name, value) in change.as_object().into_iter().flatten() {
        job[name] = value.clone();
    }
    job
}

async fn one(
    network: &Network<'_>,
    peer: &mut Peer,
    document: &Path,
    change: &Value,
    expected: &Expected,
) -> Result<String> {
    let id = new_id();
    let job = job(network, peer, &id, document, change);
    let document = PathBuf::from(job["file"].as_str().unwrap_or_default());
    let sent = ask(peer.sender(), job, &json!({})).await?;
    match expected {
        Delivered => {
            believed(&sent, &network.node)?;
            delivered(network, &id, &document).await?;
            Ok(format!("receipt signed by tilts, NRI valid, {} ms", sent["milliseconds"]))
        }
        Pinged => {
            believed(&sent, &network.node)?;
            ensure!(deliveries(&network.node, &id).await?.is_empty(), "a test message was delivered");
            Ok("receipted, not delivered".into())
        }
        Refused(code, word) => {
            ensure!(sent["codes"] == json!([code]), "{code} was expected: {sent}");
            ensure!(sent["details"].to_string().contains(word), "{word} was expected: {sent}");
            ensure!(deliveries(&network.node, &id).await?.is_empty(), "refused and delivered");
            rejected(&network.node, &id, code, &sent).await
        }
    }
}

/// The message is at the backend's disposal, once, with that invoice in its envelope.
async fn delivered(network: &Network<'_>, id: &str, document: &Path) -> Result<()> {
    let message = disposal(&network.node, id).await?;
    let found = deliveries(&network.node, id).await?;
    ensure!(found.len() == 1, "delivered {} times", found.len());
    ensure!(
        message["final_recipient"] == SERVED && message["original_sender"] == SENDER,
        "corners: {message}"
    );
    let arrived = document.with_file_name("arrived.xml");
    std::fs::write(&arrived, part(&network.node, &message).await?)?;
    // The stacks write the document anew inside the envelope, so octets may differ where XML says the same.
    let (sent, came) = (invoice_in(network, document).await?, invoice_in(network, &arrived).await?);
    ensure!(sent == came, "another invoice arrived");
    Ok(())
}

async fn part(at: &Gateway, message: &Value) -> Result<Vec<u8>> {
    let id = message["id"].as_str().context("no id")?;
    let path = format!("/v1/messages/{id}/parts/0");
    Ok(http::request(at.node.ports.backend, Method::GET, &path, "", "").await?.body.to_vec())
}

/// The exclusive C14N of the invoice in a file.
async fn invoice_in(network: &Network<'_>, file: &Path) -> Result<String> {
    let mut command = Command::new(&network.world.tilts);
    command.arg("c14n").arg(file).args(["--element", &format!("{{{UBL}}}Invoice")]);
    said(command).await
}

/// The first answer never reaches the peer, which then sends the same octets again.
async fn lost(network: &Network<'_>, peer: &mut Peer, document: &Path) -> Result<String> {
    let relay = Relay::start(network.node.node.ports.as4, 1).await?;
    let change = json!({ "url": format!("http://{}/as4", relay.address), "retries": 2 });
    one(network, peer, document, &change, &Delivered).await?;
    ensure!(relay.connections() == 2, "{} attempts", relay.connections());
    Ok("the second attempt got the stored receipt; delivered once".into())
}

async fn contradiction(
    network: &Network<'_>,
    peer: &mut Peer,
    first: &Path,
    second: &Path,
) -> Result<String> {
    let id = new_id();
    let job = |file| job(network, peer, &id, file, &json!({}));
    let jobs = [job(first), job(second)];
    let [first_job, second_job] = jobs;
    believed(&ask(peer.sender(), first_job, &json!({})).await?, &network.node)?;
    let sent = ask(peer.sender(), second_job, &json!({})).await?;
    ensure!(sent["codes"] == json!(["EBMS:0003"]), "EBMS:0003 was expected: {sent}");
    delivered(network, &id, first).await?;
    Ok("EBMS:0003, delivered once".into())
}
