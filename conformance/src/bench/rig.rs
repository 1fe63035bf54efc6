//! Two nodes, a queue, and the clock.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;

use super::scale::{let_wait, strangers};
use super::usage::Usage;
use crate::demo::list;
use crate::http::{self, Part, multipart};
use crate::node::Node;
use crate::random::Random;
use crate::stage::{Kind, Stage, agree, url};
use crate::world::{AccessPoint, ENVELOPE, PROCESS};

/// A to B, under one profile.
pub struct Rig {
    stage: Stage,
    a: AccessPoint,
    b: AccessPoint,
    submitted: usize,
    /// Between two looks at what has been sent.
    pause: Duration,
}

/// One run of many messages of one size.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Run {
    /// How many messages.
    pub messages: usize,
    /// Octets of each payload.
    pub octets: u64,
    /// Messages that A sent at once, each on a connection of its own.
    pub connections: usize,
    /// Seconds from the start of sending to the last verified receipt.
    pub seconds: f64,
    /// Processor seconds of A in that time.
    pub sender: f64,
    /// Processor seconds of B in that time.
    pub receiver: f64,
    /// Processor seconds of A for taking over the submissions, before.
    pub submission: f64,
    /// Time of one attempt, half of them.
    pub median_ms: f64,
    /// Time of one attempt, all but a hundredth of them.
    pub p99_ms: f64,
    /// Highest resident memory of A, in octets.
    pub sender_peak: u64,
    /// Highest resident memory of B, in octets.
    pub receiver_peak: u64,
    /// Milliseconds from A's start to ready, with the queue full.
    pub start_ms: f64,
}

/// Resident memory at one moment of a long run.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Memory {
    /// Messages handed in so far.
    pub messages: usize,
    /// Of A, in octets.
    pub sender: u64,
    /// Of B, in octets.
    pub receiver: u64,
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "resident {}/{} MB", self.sender >> 20, self.receiver >> 20)
    }
}

impl Run {
    /// Messages a second.
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.seconds
    }

    /// Processor milliseconds of both sides for one exchange.
    pub fn cpu_ms(&self) -> f64 {
        (self.sender + self.receiver) * 1e3 / self.messages as f64
    }
}

impl Rig {
    /// Makes keys and configurations of both nodes; starts B. The nodes run as `tilts`.
    pub async fn set_up(tilts: &Path, kind: Kind, bits: u32) -> Result<Self> {
        Self::among(tilts, kind, bits, 0).await
    }

    /// The same where each has so many partners besides.
    pub async fn among(tilts: &Path, kind: Kind, bits: u32, partners: u64) -> Result<Self> {
        let stage = Stage::with(tilts, bits)?;
        let a = stage.node("a", &[kind], false)?;
        let mut b = stage.node("b", &[kind], false)?;
        let plain = |text: String| text.replace("evidence = \"rem\"\n", "");
        let others = strangers(partners, &a, kind);
        stage.append("a", &(others.clone() + &plain(agree(&b, kind, "", &url(&b)))))?;
        let more = "\n[limits]\nconnections = 4000\n";
        stage.append("b", &(others + &plain(agree(&a, kind, "", &url(&a))) + more))?;
        b.node.start().await?;
        Ok(Self { stage, a, b, submitted: 0, pause: Duration::from_millis(200) })
    }

    /// Submits `messages` payloads of `octets` while A holds them, then lets A send them over `connections`.
    pub async fn run(&mut self, messages: usize, octets: u64, connections: usize) -> Result<Run> {
        self.restart(0).await?;
        let before = self.usage(&self.a)?;
        self.fill(messages, octets).await?;
        let filled = self.usage(&self.a)?;
        let receiver = self.usage(&self.b)?;
        let begun = Instant::now();
        let start_ms = self.restart(connections).await?;
        self.receipted(self.submitted).await?;
        let seconds = begun.elapsed().as_secs_f64() - start_ms / 1e3;
        let (a, b) = (self.usage(&self.a)?, self.usage(&self.b)?);
        let times = self.attempt_times(messages).await?;
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        Ok(Run {
            messages,
            octets,
            connections,
            seconds,
            sender: a.seconds,
            receiver: b.seconds - receiver.seconds,
            submission: filled.seconds - before.seconds,
            median_ms: at(0.5),
            p99_ms: at(0.99),
            sender_peak: a.peak,
            receiver_peak: b.peak,
            start_ms,
        })
    }

    /// Messages handed in so far.
    pub fn submitted(&self) -> usize {
        self.submitted
    }

    /// Hands in messages while A sends them; the memory of both nodes after that.
    pub async fn flow(&mut self, messages: usize, octets: u64, connections: usize) -> Result<Memory> {
        if self.submitted == 0 {
            self.restart(connections).await?;
        }
        self.fill(messages, octets).await?;
        self.receipted(self.submitted).await?;
        let (a, b) = (self.usage(&self.a)?, self.usage(&self.b)?);
        Ok(Memory { messages: self.submitted, sender: a.resident, receiver: b.resident })
    }

    /// Lets so many messages wait at A, for years, once it has sent some.
    pub async fn let_wait(&mut self, count: u64) -> Result<()> {
        self.a.node.stop().await?;
        // To count a million takes a while.
        self.pause = Duration::from_secs(2);
        let_wait(&self.stage.world.root.join("a/data"), count).await?;
        self.a.node.start().await
    }

    /// Resident memory of a node that has nothing to do.
    pub fn idle(&self) -> Result<u64> {
        Ok(self.usage(&self.b)?.resident)
    }

    fn usage(&self, of: &AccessPoint) -> Result<Usage> {
        Usage::of(of.node.pid().context("it does not run")?)
    }

    /// Starts A anew with so many messages at once; milliseconds until it is ready.
    async fn restart(&mut self, sending: usize) -> Result<f64> {
        self.a.node.stop().await?;
        let config: PathBuf = self.stage.world.root.join("a/tilts.toml");
        let text = fs::read_to_string(&config)?;
        let (head, _) = text.split_once("\n[limits]").unwrap_or((&text, ""));
        fs::write(&config, format!("{head}\n[limits]\nsending = {sending}\n"))?;
        let begun = Instant::now();
        self.a.node.start().await?;
        Ok(begun.elapsed().as_secs_f64() * 1e3)
    }

    /// Hands in the payloads, over eight connections.
    async fn fill(&mut self, messages: usize, octets: u64) -> Result<()> {
        let to = self.a.node.ports.backend;
        let first = self.submitted;
        self.submitted += messages;
        let lanes = (0..8).map(|lane| {
            let numbers: Vec<usize> = (first + lane..first + messages).step_by(8).collect();
            submit_all(to, numbers, octets)
        });
        futures_util::future::try_join_all(lanes).await.map(drop)
    }

    /// Waits until so many recipients are receipted.
    async fn receipted(&self, count: usize) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(1800);
        loop {
            let text = metrics(&self.a.node).await?;
            let at_gateway =
                text.lines().find(|line| line.starts_with("tilts_recipients{state=\"at-remote-gateway\"}"));
            let now = at_gateway.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0);
            if now as usize >= count {
                return Ok(());
            }
            ensure!(Instant::now() < until, "{now} of {count} messages are receipted");
            // To count is work for the node too, and would be measured with the rest.
            tokio::time::sleep(self.pause).await;
        }
    }

    /// Milliseconds of the attempts of the last `count` submissions, at most two hundred, sorted.
    async fn attempt_times(&self, count: usize) -> Result<Vec<f64>> {
        let admin = self.a.node.ports.admin;
        let mut times = Vec::new();
        for submission in
            list(&http::get(admin, &format!("/api/submissions?limit={}", count.min(200))).await?)
        {
            let id = submission["id"].as_str().context("no id")?;
            let detail = http::get(admin, &format!("/api/submissions/{id}")).await?;
            let messages = list(&detail["recipients"]).flat_map(|recipient| list(&recipient["messages"]));
            times.extend(messages.flat_map(|message| list(&message["attempts"])).filter_map(milliseconds));
        }
        ensure!(!times.is_empty(), "no attempt has ended");
        times.sort_by(f64::total_cmp);
        Ok(times)
    }
}

/// How long an attempt took.
fn milliseconds(attempt: &serde_json::Value) -> Option<f64> {
    let at = |key: &str| attempt[key].as_str()?.parse::<jiff::Timestamp>().ok();
    Some(at("ended")?.duration_since(at("started")?).as_secs_f64() * 1e3)
}

async fn metrics(node: &Node) -> Result<String> {
    let answer = http::request(node.ports.admin, Method::GET, "/metrics", "", Bytes::new()).await?;
    Ok(String::from_utf8(answer.body.to_vec())?)
}

/// One kept connection that submits one message after the other.
async fn submit_all(to: SocketAddr, numbers: Vec<usize>, octets: u64) -> Result<()> {
    let stream = TcpStream::connect(to).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    for number in numbers {
        let mut content = vec![0; usize::try_from(octets)?];
        Random::new(number as u64).fill(&mut content);
        let description = json!({
            "client_id": format!("bench-{number}"), "original_sender": "to-a::bench", "document_type": ENVELOPE,
            "process": PROCESS, "recipients": [{ "participant": "to-b::bench" }],
        });
        let (kind, body) = multipart(&[
            Part::new("description", "application/json", description.to_string().into_bytes()),
            Part::new("payload", "application/octet-stream", content),
        ]);
        let request = Request::post("/v1/submissions?backend=all").header("host", to.to_string());
        let request = request.header("content-type", kind).body(Full::new(Bytes::from(body)))?;
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status == 201, "HTTP {status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(())
}
