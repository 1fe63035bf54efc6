//! asx-rs as the other side of an interoperability test: it receives on a free loopback port, and sends one message per JSON
//! line on standard input. With `--load yes` it does both in memory, many messages per line, and takes the time. Results are JSON
//! lines on standard output. It ends with standard input.

mod client;
mod load;
mod receive;

use std::collections::HashMap;
use std::io::Write;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use asx::as4::{As4, Message};
use asx::{Certificate, HttpClient, KeyPair, LocalParty, Partner, Payload, Profile};
use openssl::sha::sha256;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

#[tokio::main]
async fn main() -> Result<()> {
    let options = options()?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut jobs = async || -> Result<Option<Value>> {
        let line = lines.next_line().await?;
        Ok(line.map(|line| serde_json::from_str(&line)).transpose()?)
    };
    if options.contains_key("load") {
        return load::run(&options, jobs).await;
    }
    let option = |name: &str| options.get(name).cloned().with_context(|| format!("--{name} is missing"));
    let partner = partner(&option)?;
    let as4 = access_point(&option, &partner, client::Client::trusting(&option("tls-trust")?)?)?;
    let port = receive::start(&as4).await?;
    say(&json!({ "event": "ready", "port": port }));
    while let Some(job) = jobs().await? {
        say(&send(&as4, &partner, &job).await?);
    }
    Ok(())
}

/// `--name value` pairs.
fn options() -> Result<HashMap<String, String>> {
    let mut options = HashMap::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{name} has no value"))?;
        options.insert(name.trim_start_matches("--").to_owned(), value);
    }
    Ok(options)
}

fn partner(option: &impl Fn(&str) -> Result<String>) -> Result<Partner> {
    let certificate = Certificate::from_pem(&std::fs::read(option("partner-certificate")?)?)?;
    Ok(Partner::new(option("partner")?)
        .party_type(option("party-type")?)
        .endpoint(option("partner-url")?)
        .signing_cert(certificate.clone())
        .encryption_cert(certificate))
}

fn access_point(
    option: &impl Fn(&str) -> Result<String>,
    partner: &Partner,
    client: impl HttpClient,
) -> Result<As4> {
    let read = |name: &str| -> Result<Vec<u8>> { Ok(std::fs::read(option(name)?)?) };
    let keys = KeyPair::from_pem(&read("certificate")?, &read("key")?)?;
    let local = LocalParty::new(option("party")?)
        .party_type(option("party-type")?)
        .signer(keys.clone())
        .decrypter(keys);
    Ok(As4::builder(Profile::edelivery_1_15())
        .local(local)
        .trust_anchor(Certificate::from_pem(&read("trust")?)?)
        .partner(partner.clone())
        .http_client(client)
        .build()?)
}

/// Sends a job and says what came of it.
async fn send(as4: &As4, partner: &Partner, job: &Value) -> Result<Value> {
    let text = |name: &str| job[name].as_str().with_context(|| format!("the job has no {name}"));
    let mut message = match job["ping"] == true {
        true => Message::ping(partner),
        false => Message::to(partner).service(text("service")?).action(text("action")?),
    };
    // A retry must be the same message, so the caller may fix what would differ.
    if let Some(seconds) = job["timestamp"].as_u64() {
        message = message.timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    }
    message = message.message_id(text("message_id")?);
    for part in job["parts"].as_array().into_iter().flatten() {
        let file = part["file"].as_str().context("a part has no file")?;
        let media_type = part["media_type"].as_str().context("a part has no media type")?;
        message = message.payload(Payload::new(tokio::fs::read(file).await?, media_type));
    }
    let mut result = json!({ "event": "sent", "job": job["job"], "message_id": job["message_id"] });
    match as4.send(message).await {
        Ok(receipt) => {
            // asx-rs gives a receipt only when signature, signer and digests hold.
            result["signal"] = json!("receipt");
            result["signer"] = json!(hex(&sha256(receipt.signer().der())));
        }
        Err(error) => {
            result["signal"] = json!(if error.ebms_code().is_some() { "error" } else { "none" });
            result["codes"] = json!(error.ebms_code().into_iter().collect::<Vec<_>>());
            result["exception"] = json!(format!("{:?}: {error}", error.kind()));
        }
    }
    Ok(result)
}

/// One line on standard output.
fn say(line: &Value) {
    let mut out = std::io::stdout().lock();
    // Nobody reads any more: then there is nobody to tell.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Lower-case hex.
fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
