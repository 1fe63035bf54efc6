//! asx-rs, a second and unrelated stack for eDelivery AS4 1.15, in both directions.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

use super::gateway::{Gateway, Place};
use super::inbound::{delivered, deliveries};
use super::job::{Content, Part};
use super::outbound::{self, Expected, case, many};
use super::process::Process;
use super::report::Report;
use super::setting::SCHEME;
use crate::ca::Purpose;
use crate::node::Ports;
use crate::world::{PARTY_TYPE, World};

const TO_TILTS: &str = "asx-rs -> tilts";
const FROM_TILTS: &str = "tilts -> asx-rs";
const ANSWER: Duration = Duration::from_secs(60);
const PARTY: &str = "ASX";

/// A tilts node and asx-rs, which know each other.
pub struct Asx {
    node: Gateway,
    peer: Process,
}

impl Asx {
    /// Makes keys and starts both; `binary` is our program around asx-rs.
    pub async fn start(world: &World, binary: &Path) -> Result<Self> {
        let folder = world.root.join("asx");
        let own = world.ap_ca.issue("AP-ASX", 2048, Purpose::Message)?;
        own.write_certificate(&folder.join("partner.pem"))?;
        let peer = world.ap_ca.issue(PARTY, 2048, Purpose::Message)?;
        peer.write_pair(&folder.join("certificate.pem"), &folder.join("key.pem"))?;
        let ports = Ports::free()?;
        let mut command = Command::new(binary);
        for (option, file) in [
            ("--certificate", folder.join("certificate.pem")),
            ("--key", folder.join("key.pem")),
            ("--partner-certificate", folder.join("partner.pem")),
            ("--trust", world.root.join("ca/ap.pem")),
            ("--tls-trust", world.root.join("ca/tls.pem")),
        ] {
            command.arg(option).arg(file);
        }
        command.args(["--party", PARTY, "--party-type", PARTY_TYPE, "--partner", "AP-ASX"]);
        command.arg("--partner-url").arg(format!("https://{}/as4", ports.as4));
        let mut peer = Process::spawn("asx-rs", command, &folder.join("asx.log"))?;
        let port = peer.port().await?;
        let place = Place { world, name: "asx-node", identity: &own, decrypt: None, ca: &world.ap_ca };
        Ok(Self { node: place.start(ports, &partners(port)).await?, peer })
    }

    /// Runs all cases in both directions.
    pub async fn run(&mut self, root: &Path, report: &mut Report) -> Result<()> {
        let folder = root.join("asx/parts");
        let part = |name: &str, content| Part::new(&folder, name, content, true);
        let (xml, noise) = (part("letter.xml", Content::Xml)?, part("noise", Content::Noise(70_000))?);
        let octet = part("octet", Content::Noise(1))?;
        let many_parts = (0..16).map(|n| part(&format!("n{n}"), Content::Noise(100 + n)));
        let contents = [
            ("one part, XML", vec![xml.clone()]),
            ("one part, binary", vec![noise.clone()]),
            ("one part of one octet", vec![octet.clone()]),
            ("three parts", vec![xml.clone(), noise, octet]),
            ("16 parts", many_parts.collect::<Result<Vec<_>>>()?),
        ];
        for (name, parts) in &contents {
            let outcome = self.deliver(parts, json!({})).await;
            report.add_delivery(TO_TILTS, name, outcome);
        }
        report.add_delivery(TO_TILTS, "test service with payload", self.ping(&xml).await);
        report.add_delivery(TO_TILTS, "the same message again", self.twice(&xml).await);
        report.leave_out(TO_TILTS, "no part", "asx-rs refuses to send it");
        for pair in [TO_TILTS, FROM_TILTS] {
            report.leave_out(pair, "28 parts", "asx-rs takes 16 at most");
        }
        let receipted = |(name, parts)| case(name, PARTY, parts, Expected::Receipted);
        let mut cases: Vec<_> = contents.into_iter().map(receipted).collect();
        let ping = case("test service", PARTY, Vec::new(), Expected::Pinged);
        cases.push(outbound::Case { test: true, ..ping });
        many(FROM_TILTS, &self.node, &mut self.peer, report, cases).await;
        self.node.node.stop().await
    }

    async fn deliver(&mut self, parts: &[Part], other: Value) -> Result<String> {
        let (id, sent) = self.send(parts, other).await?;
        self.believed(&sent)?;
        delivered(&self.node, &id, parts).await?;
        Ok("receipt verified by asx-rs; the same octets".into())
    }

    async fn ping(&mut self, part: &Part) -> Result<String> {
        let (id, sent) = self.send(std::slice::from_ref(part), json!({ "ping": true })).await?;
        self.believed(&sent)?;
        ensure!(deliveries(&self.node, &id).await?.is_empty(), "a test message was delivered");
        Ok("receipt verified by asx-rs; not delivered".into())
    }

    /// asx-rs retries by building the message anew with the time of the first attempt.
    async fn twice(&mut self, part: &Part) -> Result<String> {
        let id = format!("{}@asx.example", uuid::Uuid::new_v4());
        let fixed = json!({ "message_id": id, "timestamp": 1_790_000_000 });
        for _ in 0..2 {
            let (_, sent) = self.send(std::slice::from_ref(part), fixed.clone()).await?;
            self.believed(&sent)?;
        }
        delivered(&self.node, &id, std::slice::from_ref(part)).await?;
        Ok("both receipts verified by asx-rs; delivered once".into())
    }

    async fn send(&mut self, parts: &[Part], other: Value) -> Result<(String, Value)> {
        let mut job = json!({
            "job": uuid::Uuid::new_v4().to_string(),
            "message_id": format!("{}@asx.example", uuid::Uuid::new_v4()),
            "service": "urn:example:service", "action": "urn:example:action",
            "parts": parts.iter().map(Part::job).collect::<Vec<_>>(),
        });
        for (name, value) in other.as_object().into_iter().flatten() {
            job[name] = value.clone();
        }
        self.peer.tell(&job).await?;
        let sent = self.peer.line(ANSWER, |line| line["job"] == job["job"]).await?;
        Ok((job["message_id"].as_str().unwrap_or_default().to_owned(), sent))
    }

    fn believed(&self, sent: &Value) -> Result<()> {
        ensure!(sent["signal"] == "receipt", "no receipt: {sent}");
        ensure!(sent["signer"] == self.node.fingerprint.as_str(), "not signed by the node: {sent}");
        Ok(())
    }
}

/// asx-rs sends no message properties at all, so the corners are agreed away.
fn partners(port: u16) -> String {
    format!(
        "\n[[partner]]\nparty_id = \"{PARTY}\"\nparty_type = \"{PARTY_TYPE}\"\nurl = \"http://127.0.0.1:{port}/as4\"\n\
         certificate = \"../asx/certificate.pem\"\negress_allow = [\"127.0.0.0/8\"]\nports = []\nallow_http = true\n\
         participants = [\"{SCHEME}::{PARTY}\"]\n\n\
         [[agreement]]\npartner = \"{PARTY}\"\nprofile = \"edelivery-1.15\"\noverrides = {{ four_corners = \"off\", \
         retry = {{ first_seconds = 1, factor = 1, longest_seconds = 1, within_seconds = 2 }} }}\n"
    )
}
