//! The demonstration's cast and script: Latvia, A and B; six recipients; what must come out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hyper::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::ca::Purpose;
use crate::http::{self, Part};
use crate::node::free;
use crate::world::{AccessPoint, ENVELOPE, EVIDENCE, PROCESS, Registry, World, said};

/// Official words.
pub const PROCESSING: &str = "Apstrādē";
/// Official words.
pub const SENT: &str = "Izsūtīts";
/// Official words.
pub const FAILED: &str = "Neizdevās izsūtīt";
/// Official words.
pub const DELIVERED: &str = "Piegādāts";
/// Official words.
pub const MISSED: &str = "Saņēmēja nokavēta";
/// Official words.
pub const REFUSED: &str = "Saņēmēja noraidīta";

/// The sender's participant, and the Latvian recipient of the message from abroad.
const LATVIA: &str = "iso6523-actorid-upis::0218:90000000001";
/// The sender of the message from abroad.
const ABROAD: &str = "iso6523-actorid-upis::0191:70000001";
/// E-address of the sender.
const SENDER: &str = "_DEFAULT@90000000001";
/// Seconds that a recipient of the demonstration has.
const TAKE_WITHIN: i64 = 8;

/// Both national statuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Send status in its official words.
    pub send: String,
    /// Delivery status in its official words.
    pub delivery: String,
}

/// The running demonstration.
pub struct Demo {
    /// The world.
    pub world: World,
    /// The Latvian access point.
    pub latvia: AccessPoint,
    /// The foreign access point with recipients 1 to 4.
    pub a: AccessPoint,
    /// The foreign access point with recipient 6, started late.
    pub b: AccessPoint,
    _registry: Registry,
    first: Option<Status>,
}

/// Participant of recipient `n`.
fn participant(n: usize) -> String {
    format!("iso6523-actorid-upis::0191:1000000{n}")
}

impl Demo {
    /// Makes everything and starts Latvia and A.
    pub async fn set_up(root: &Path, tilts: &Path) -> Result<Self> {
        let world = World::new(root, tilts)?;
        let resolver = free()?;
        let signer = world.div_ca.issue("tilts demo e-address connection", 2048, Purpose::Message)?;
        world.div_ca.write_p12(&signer, &world.root.join("lv/div.p12"), "changeit")?;
        let latvia = world.access_point("lv", 2048, resolver, LATVIAN_PART)?;
        let a = world.access_point("a", 2048, resolver, &foreign_part(4))?;
        let b = world.access_point("b", 3072, resolver, &folder_part())?;
        let people: Vec<String> = (0..=6).map(participant).collect();
        let entries = [
            (people[1].as_str(), &a, ENVELOPE),
            (people[2].as_str(), &a, ENVELOPE),
            (people[3].as_str(), &a, ENVELOPE),
            (people[4].as_str(), &a, ENVELOPE),
            (people[6].as_str(), &b, ENVELOPE),
            (LATVIA, &latvia, ENVELOPE),
            (LATVIA, &latvia, EVIDENCE),
            (ABROAD, &a, EVIDENCE),
        ];
        let registry = world.registry(&entries, resolver).await?;
        let mut demo = Self { latvia, a, b, _registry: registry, first: None, world };
        demo.latvia.node.start().await?;
        demo.a.node.start().await?;
        Ok(demo)
    }

    /// Seals a DIV envelope with three attachments and posts it to the Latvian access point.
    pub async fn submit(&self) -> Result<String> {
        let folder = self.world.root.join("letter");
        fs::create_dir_all(&folder)?;
        let files = attachments(&folder)?;
        let envelope = folder.join("envelope.xml");
        let mut command = Command::new(&self.world.tilts);
        command.args([
            "div",
            "seal",
            "--sender",
            SENDER,
            "--reference",
            "demo-1",
            "--title",
            "Paraugs pāri robežai",
        ]);
        for n in 1..=6 {
            command.args(["--to", &eaddress(n)]);
        }
        command.arg("--keystore").arg(self.world.root.join("lv/div.p12")).args(["--password", "changeit"]);
        command.arg("--out").arg(&envelope).args(&files);
        said(command).await?;
        let mut parts = vec![Part { name: None, ..Part::file("envelope", "application/xml", &envelope)? }];
        for (index, file) in files.iter().enumerate() {
            parts.push(Part::file(&index.to_string(), "application/octet-stream", file)?);
        }
        let (content_type, body) = http::multipart(&parts);
        let to = self.latvia.node.ports.backend;
        let answer = http::request(to, Method::POST, "/div/messages", &content_type, body).await?.json()?;
        Ok(answer["id"].as_str().context("no id")?.to_owned())
    }

    async fn detail(&self, message: &str) -> Result<Value> {
        http::get(self.latvia.node.ports.admin, &format!("/api/submissions/{message}")).await
    }

    /// What has happened so far, in plain words, a line each.
    pub async fn news(&self, message: &str) -> Result<Vec<String>> {
        let detail = self.detail(message).await?;
        let mut lines = Vec::new();
        for (index, recipient) in list(&detail["recipients"]).enumerate() {
            for sent in list(&recipient["messages"]) {
                lines.extend(list(&sent["attempts"]).filter_map(|a| attempt_line(index + 1, a)));
            }
            lines.extend(list(&recipient["evidence"]).skip(1).map(|e| evidence_line(index + 1, e)));
        }
        Ok(lines)
    }

    /// Acts as the backend of A once the three messages are there: takes the first, refuses the second.
    pub async fn answer_as_recipients(&self) -> Result<bool> {
        let backend = self.a.node.ports.backend;
        let listed = http::get(backend, "/v1/messages?backend=people").await?;
        let id_of = |n: usize| {
            let wanted = participant(n);
            let found = list(&listed["messages"]).find(|m| m["final_recipient"] == wanted.as_str())?;
            found["id"].as_str().map(str::to_owned)
        };
        let (Some(first), Some(second), Some(_)) = (id_of(1), id_of(2), id_of(3)) else { return Ok(false) };
        let taken = json!({ "outcome": "accepted" });
        http::post(backend, &format!("/v1/messages/{first}/acknowledge"), &taken).await?;
        let refused = json!({ "outcome": "refused", "reason": "Not addressed to this institution" });
        http::post(backend, &format!("/v1/messages/{second}/acknowledge"), &refused).await?;
        Ok(true)
    }

    /// Both statuses of recipient `index` (from 0).
    pub async fn status(&self, message: &str, index: usize) -> Result<Status> {
        Ok(status_of(&self.detail(message).await?["submission"]["recipients"][index]))
    }

    /// Whether recipients 1 to 5 are settled and 6 is not.
    pub async fn only_b_is_open(&self, message: &str) -> Result<bool> {
        let detail = self.detail(message).await?;
        let all: Vec<Status> = list(&detail["submission"]["recipients"]).map(status_of).collect();
        let expected = expected();
        Ok(all.len() == 6 && (0..5).all(|n| all[n] == expected[n]) && all[5].send == PROCESSING)
    }

    /// Keeps what recipient 6 was before B came up.
    pub fn remember_first(&mut self, status: &Status) {
        self.first = Some(status.clone());
    }

    /// Starts B.
    pub async fn start_b(&mut self) -> Result<()> {
        self.b.node.start().await
    }

    /// Whether every recipient has the status that it must end in.
    pub async fn settled(&self, message: &str) -> Result<bool> {
        let detail = self.detail(message).await?;
        let all: Vec<Status> = list(&detail["submission"]["recipients"]).map(status_of).collect();
        Ok(self.first.is_some() && all == expected())
    }

    /// The table of recipients, and whether everything is as it must be.
    pub async fn table(&self, message: &str) -> Result<(String, bool)> {
        let detail = self.detail(message).await?;
        let mut text = format!(
            "   {:<24}{:<20}{:<22}{:<22}{:<22}{}\n",
            "recipient", "send status", "at", "delivery status", "at", "evidence"
        );
        let expected = expected();
        let mut good = self.first.as_ref().is_some_and(|s| s.send == PROCESSING);
        for (index, recipient) in list(&detail["recipients"]).enumerate() {
            let view = &recipient["recipient"];
            let status = status_of(view);
            let right = expected.get(index) == Some(&status);
            good &= right;
            let time = |value: &Value| {
                value.as_str().map(|t| t.get(..19).unwrap_or(t).replace('T', " ")).unwrap_or_default()
            };
            let behind: Vec<&str> =
                list(&recipient["evidence"]).skip(1).filter_map(|e| e["row"]["signal"].as_str()).collect();
            let record = &view["record"];
            let shown = |on: bool, at: &Value| if on { time(at) } else { String::new() };
            text.push_str(&format!(
                " {} {:<24}{:<20}{:<22}{:<22}{:<22}{}\n",
                if right { "✓" } else { "✗" },
                view["address"].as_str().unwrap_or_default(),
                status.send,
                shown(status.send == SENT, &record["sent_at"]),
                status.delivery,
                shown(status.delivery != "-", &record["delivered_at"]),
                behind.join(", ")
            ));
        }
        Ok((text, good))
    }

    /// A message from A's backend to a Latvian recipient.
    pub async fn submit_from_abroad(&self) -> Result<String> {
        let description = json!({
            "client_id": "from-abroad-1",
            "original_sender": ABROAD,
            "recipients": [{ "participant": LATVIA }],
            "document_type": ENVELOPE,
            "process": PROCESS,
            "title": "Vastus teie kirjale",
        });
        let parts = [
            Part {
                id: "d".into(),
                content_type: "application/json".into(),
                name: None,
                body: description.to_string().into(),
            },
            Part {
                id: "1".into(),
                content_type: "text/plain".into(),
                name: Some("vastus.txt".into()),
                body: b"Tere!\n".to_vec(),
            },
        ];
        let (content_type, body) = http::multipart(&parts);
        let path = "/v1/submissions?backend=people";
        let answer = http::request(self.a.node.ports.backend, Method::POST, path, &content_type, body)
            .await?
            .json()?;
        Ok(answer["id"].as_str().context("no id")?.to_owned())
    }

    /// Both statuses of the message from abroad, as A knows them.
    pub async fn status_at_a(&self, message: &str) -> Result<Status> {
        let found = http::get(self.a.node.ports.admin, &format!("/api/submissions/{message}")).await?;
        Ok(status_of(&found["submission"]["recipients"][0]))
    }

    /// A message to the test service of A's access point, with `tilts ping`.
    pub async fn ping(&self) -> Result<String> {
        let mut command = Command::new(&self.world.tilts);
        command.arg("ping").arg("--config").arg(self.world.root.join("lv/tilts.toml")).arg(participant(1));
        Ok(said(command).await?.trim().to_owned())
    }

    /// Acts as the national side: takes what lies in `div-in/`.
    pub fn answer_as_latvia(&self) -> Result<bool> {
        let inbox = self.world.root.join("lv/div/div-in");
        let Ok(entries) = fs::read_dir(&inbox) else { return Ok(false) };
        let mut taken = false;
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !name.starts_with('.') && !name.contains('.') {
                fs::rename(&path, inbox.join(format!("{name}.accepted")))?;
                taken = true;
            }
        }
        Ok(taken)
    }

    /// Ends every process in order.
    pub async fn stop(&mut self) -> Result<()> {
        self.b.node.stop().await?;
        self.a.node.stop().await?;
        self.latvia.node.stop().await
    }
}

/// What must come out.
pub fn expected() -> Vec<Status> {
    let status = |send: &str, delivery: &str| Status { send: send.into(), delivery: delivery.into() };
    vec![
        status(SENT, DELIVERED),
        status(SENT, REFUSED),
        status(SENT, MISSED),
        status(FAILED, "-"),
        status(FAILED, "-"),
        status(SENT, "-"),
    ]
}

/// Members of a JSON array; none of anything else.
pub fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Both statuses of a recipient as `/api/submissions` shows it.
pub fn status_of(recipient: &Value) -> Status {
    let record = &recipient["record"];
    let send = match record["send"].as_str().unwrap_or_default() {
        "processing" => PROCESSING,
        "sent" => SENT,
        "failed" => FAILED,
        other => other,
    };
    let delivery = match record["delivery"].as_str().unwrap_or_default() {
        "delivered" => DELIVERED,
        "missed" => MISSED,
        "refused" => REFUSED,
        _ => "-",
    };
    Status { send: send.into(), delivery: delivery.into() }
}

fn attempt_line(recipient: usize, attempt: &Value) -> Option<String> {
    let outcome = attempt["outcome"].as_str()?;
    let detail = attempt["detail"].as_str().unwrap_or_default();
    let number = attempt["number"].as_u64().unwrap_or_default();
    Some(format!("recipient {recipient}: attempt {number} {outcome}: {detail}"))
}

fn evidence_line(recipient: usize, evidence: &Value) -> String {
    let row = &evidence["row"];
    let text = |key: &str| row[key].as_str().unwrap_or_default();
    let detail = row["detail"].as_str().map(|d| format!(" ({d})")).unwrap_or_default();
    format!("recipient {recipient}: {} says {}{detail}", text("kind"), text("signal"))
}

fn eaddress(n: usize) -> String {
    format!("0191.1000000{n}@ee")
}

fn attachments(folder: &Path) -> Result<Vec<PathBuf>> {
    let text = "Rīkojums par paraugu, kas šķērso robežu.\n".repeat(2000);
    let noise: Vec<u8> = (0..300_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<pieteikums><nosaukums>Paraugs</nosaukums></pieteikums>\n";
    let files: [(&str, &[u8]); 3] =
        [("rikojums.txt", text.as_bytes()), ("pielikums.bin", &noise), ("pieteikums.xml", xml.as_bytes())];
    files
        .into_iter()
        .map(|(name, octets)| {
            let path = folder.join(name);
            fs::write(&path, octets)?;
            Ok(path)
        })
        .collect()
}

/// Keys, backend and sender of the Latvian side, behind the common configuration.
pub const LATVIAN_PART: &str = r#"

[[key]]
file = "div.p12"
password_file = "password"
use = ["div"]

[[backend]]
id = "e-address"
adapter = "div"
path = "div"
serves = { participants = ["iso6523-actorid-upis::0218:*"] }

[div]
trust = "../ca/div.pem"
sender = "_DEFAULT@90000000001"
"#;

fn foreign_part(absent: usize) -> String {
    let served: Vec<String> = (1..absent).map(|n| format!("{:?}", participant(n))).collect();
    format!(
        "\n[[backend]]\nid = \"people\"\nadapter = \"rest\"\ntake_within = \"{TAKE_WITHIN}s\"\nserves = {{ participants = [{}] }}\n",
        served.join(", ")
    )
}

fn folder_part() -> String {
    "\n[[backend]]\nid = \"files\"\nadapter = \"folder\"\npath = \"mail\"\n".to_owned()
}
