//! The other side of an endpoint: how messages are handed in, and what was delivered.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::endpoint::{Backend, Endpoint};
use super::verdict::skip;
use crate::http::{self, multipart};
use crate::peers::process::Process;

/// A backend at work.
pub enum Desk {
    /// There is none.
    None,
    /// tilts over REST.
    Tilts {
        /// Where it listens.
        address: SocketAddr,
        /// PartyId of the partner that the suite is.
        partner: String,
    },
    /// A process that says what it took.
    Lines(Box<Mutex<Process>>),
}

/// A message to hand in.
#[derive(Default)]
pub struct Submission {
    /// Fields of the description that differ from the usual ones.
    pub fields: Value,
    /// Payloads.
    pub parts: Vec<http::Part>,
}

impl Desk {
    /// Opens the backend of an endpoint; a process is started, and its port noted.
    pub async fn open(endpoint: &mut Endpoint, folder: &Path) -> Result<Self> {
        match endpoint.backend.clone() {
            Backend::None => Ok(Self::None),
            Backend::TiltsRest { address, partner } => Ok(Self::Tilts { address, partner }),
            Backend::JsonLines { command } => {
                let here = endpoint.path_of(Path::new("")).canonicalize()?.display().to_string();
                let mut words = command.iter().map(|word| word.replace("{folder}", &here));
                let program = words.next().context("backend.command is empty")?;
                let mut command = tokio::process::Command::new(program);
                command.args(words);
                let log = folder.join(format!("{}.log", endpoint.name));
                let mut process = Process::spawn(&endpoint.name, command, &log)?;
                let ready = process.line(Duration::from_secs(60), |line| line["event"] == "ready").await?;
                let port = ready["port"].as_u64().and_then(|port| u16::try_from(port).ok());
                endpoint.address.set_port(port.context("no port")?);
                Ok(Self::Lines(Box::new(Mutex::new(process))))
            }
        }
    }

    /// Hands a message in; gives its id at the backend.
    pub async fn submit(&self, submission: Submission) -> Result<String> {
        let Self::Tilts { address, partner } = self else {
            return skip("the backend of this endpoint takes nothing that it could send");
        };
        let mut description = json!({ "client_id": uuid::Uuid::new_v4().to_string(), "domain": partner });
        if let (Some(all), Some(fields)) = (description.as_object_mut(), submission.fields.as_object()) {
            all.extend(fields.clone());
        }
        let first = http::Part::new("description", "application/json", description.to_string());
        let parts: Vec<_> = std::iter::once(first).chain(submission.parts).collect();
        let (kind, body) = multipart(&parts);
        let answer = http::request(*address, Method::POST, "/v1/submissions", &kind, body).await?;
        Ok(answer.json()?["id"].as_str().context("no id")?.to_owned())
    }

    /// Where a message stands that was handed in: its first recipient.
    pub async fn status(&self, id: &str) -> Result<Value> {
        let Self::Tilts { address, .. } = self else { return skip("this backend knows no status") };
        http::get(*address, &format!("/v1/submissions/{id}/recipients/0")).await
    }

    /// Waits until `holds` of the status.
    pub async fn until(&self, id: &str, within: Duration, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let until = Instant::now() + within;
        loop {
            let status = self.status(id).await?;
            if holds(&status) {
                return Ok(status);
            }
            ensure!(
                Instant::now() < until,
                "not after {within:?}: {} {}",
                status["state"],
                status["messages"]
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether the endpoint can be made to send.
    pub fn submits(&self) -> bool {
        matches!(self, Self::Tilts { .. })
    }

    /// Whether deliveries can be seen.
    pub fn sees(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Deliveries of a message, by its MessageId.
    pub async fn deliveries(&self, message_id: &str) -> Result<Vec<Value>> {
        match self {
            Self::None => skip("there is no backend at which a delivery could be seen"),
            Self::Tilts { address, .. } => {
                let mut found = Vec::new();
                let mut after = String::new();
                loop {
                    let listed = http::get(*address, &format!("/v1/messages?limit=500{after}")).await?;
                    let all = listed["messages"].as_array().context("no list")?;
                    found.extend(all.iter().filter(|m| m["message_id"] == message_id).cloned());
                    match all.last().filter(|_| all.len() == 500) {
                        Some(last) => after = format!("&after={}", last["id"].as_str().unwrap_or_default()),
                        None => return Ok(found),
                    }
                }
            }
            Self::Lines(process) => {
                let taken = |line: &Value| line["event"] == "received" && line["message_id"] == message_id;
                Ok(process.lock().await.lines(taken))
            }
        }
    }

    /// The delivery of a message that must come, and come once.
    pub async fn delivered(&self, message_id: &str) -> Result<Value> {
        let until = Instant::now() + Duration::from_secs(15);
        loop {
            let found = self.deliveries(message_id).await?;
            if let Some(first) = found.first() {
                ensure!(found.len() == 1, "delivered {} times", found.len());
                return Ok(first.clone());
            }
            ensure!(Instant::now() < until, "not delivered within 15 s");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The octets of a delivered part.
    pub async fn part(&self, delivery: &Value, index: usize) -> Result<Vec<u8>> {
        let Self::Tilts { address, .. } = self else { return skip("this backend gives no payloads") };
        let path = format!("/v1/messages/{}/parts/{index}", delivery["id"].as_str().unwrap_or_default());
        let answer = http::request(*address, Method::GET, &path, "", "").await?;
        ensure!(answer.status.is_success(), "GET {path}: HTTP {}", answer.status);
        Ok(answer.body.to_vec())
    }
}
