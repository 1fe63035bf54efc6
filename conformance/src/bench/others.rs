//! Software of other people, measured beside tilts: phase4 with itself, and asx-rs in memory.
//!
//! phase4 runs as two processes over TLS with kept connections, its keys read once, everything in memory: nothing is on a
//! disk when it acknowledges. asx-rs has neither network nor TLS nor disk: it is what a message costs at the least.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::process::Command;

use super::Run;
use super::usage::Usage;
use crate::ca::Purpose;
use crate::peers::gateway::PASSWORD;
use crate::peers::java::Java;
use crate::peers::job::{Content, Part};
use crate::peers::phase4::Phase4;
use crate::peers::process::Process;
use crate::world::{PARTY_TYPE, World};

/// Octets of every payload here.
pub const OCTETS: u64 = 10 << 10;
/// Messages that phase4 sends at once.
const SENDERS: [usize; 2] = [8, 32];
/// Tasks of asx-rs.
const TASKS: [usize; 2] = [1, 2];
/// Messages until asx-rs, which is machine code from the start, has its memory.
const ASX_WARM: usize = 200;
/// The heap that phase4 does not exceed with payloads of this size; else the runtime decides, as it does for most who run it.
const FLAGS: [&str; 1] = ["-Xmx1g"];
/// How long one run may take.
const LONGEST: Duration = Duration::from_secs(1800);
/// Who sends, and who receives.
const PARTIES: [&str; 2] = ["PEER-A", "PEER-B"];

/// One run of somebody else's software.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Other {
    /// What was run, and on what.
    pub name: String,
    /// Octets of each payload.
    pub octets: u64,
    /// Messages that were sent at once.
    pub connections: usize,
    /// How many messages, those that failed among them.
    pub messages: usize,
    /// Seconds of the measured part.
    pub seconds: f64,
    /// Processor seconds of the sender in that time; of both sides, where they are one process.
    pub sender: f64,
    /// Processor seconds of the receiver in that time, where it is a process of its own.
    pub receiver: Option<f64>,
    /// Highest resident memory of the sender, in octets; of both sides, where they are one process.
    pub sender_peak: u64,
    /// Highest resident memory of the receiver, in octets, where it is a process of its own.
    pub receiver_peak: Option<u64>,
    /// Time of one message, half of them.
    pub p50_ms: f64,
    /// Time of one message, all but a hundredth of them.
    pub p99_ms: f64,
    /// Messages without a receipt that proves them.
    pub failures: usize,
    /// Milliseconds from the start of the receiver to ready.
    pub start_ms: f64,
}

/// tilts beside somebody else's software; above one where tilts needs less.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Ratios {
    /// Rate of tilts in times of the other's.
    pub rate: f64,
    /// Processor time a message of the other in times of tilts'.
    pub cpu: f64,
    /// Highest resident memory of the other in times of tilts', both sides together.
    pub memory: f64,
}

impl Other {
    /// Proven messages a second.
    pub fn rate(&self) -> f64 {
        (self.messages - self.failures.min(self.messages)) as f64 / self.seconds
    }

    /// Processor milliseconds of both sides for one message.
    pub fn cpu_ms(&self) -> f64 {
        (self.sender + self.receiver.unwrap_or(0.0)) * 1e3 / self.messages as f64
    }

    /// What tilts did with as much at once.
    pub fn beside(&self, tilts: &Run) -> Ratios {
        let peak = self.sender_peak + self.receiver_peak.unwrap_or(0);
        Ratios {
            rate: tilts.rate() / self.rate(),
            cpu: self.cpu_ms() / tilts.cpu_ms(),
            memory: peak as f64 / (tilts.sender_peak + tilts.receiver_peak) as f64,
        }
    }
}

/// Keys and folders of the others.
pub struct Others {
    world: World,
    part: Part,
    _folder: tempfile::TempDir,
}

/// One kind of peer, running: who sends, who receives where that is another process, and what it took to start.
struct Pair {
    name: String,
    sender: Process,
    receiver: Option<Process>,
    start_ms: f64,
}

impl Others {
    /// Makes keys. The authorities come with a world, which wants to know tilts.
    pub fn set_up(tilts: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let world = World::new(&folder.path().join("world"), tilts)?;
        let part = Part::new(&world.root.join("others"), "noise", Content::Noise(OCTETS), true)?;
        let others = Self { world, part, _folder: folder };
        for party in PARTIES {
            let identity = others.world.ap_ca.issue(party, 2048, Purpose::Message)?;
            others.world.ap_ca.write_p12(&identity, &others.file(party, "p12"), PASSWORD)?;
            identity.write_pair(&others.file(party, "pem"), &others.file(party, "key"))?;
        }
        let tls = others.world.tls_ca.issue("others TLS", 2048, Purpose::Tls)?;
        others.world.tls_ca.write_p12(&tls, &others.file("tls", "p12"), PASSWORD)?;
        Ok(others)
    }

    /// phase4 to phase4: `warm` messages until the runtime has compiled what matters, then `messages` for each of the runs.
    pub async fn phase4(&self, jar: &Path, messages: usize, warm: usize) -> Result<Vec<Other>> {
        let java = Java::newest()?;
        let name = format!("phase4, Java {}", java.major);
        let phase4 = Phase4 { java, jar: std::path::absolute(jar)?, folder: self.world.root.join("others") };
        let begun = Instant::now();
        let mut receiver = self.phase4_receiver(&phase4)?;
        let url = format!("https://127.0.0.1:{}/as4", receiver.port().await?);
        let start_ms = begun.elapsed().as_secs_f64() * 1e3;
        let sender = self.phase4_sender(&phase4)?;
        let mut pair = Pair { name, sender, receiver: Some(receiver), start_ms };
        let mut runs = Vec::new();
        for senders in SENDERS {
            // The second run finds everything compiled and needs only its connections.
            let warm = if runs.is_empty() { warm } else { warm / 10 };
            let mut job = self.job(&url);
            (job["threads"], job["warm"], job["count"]) = (senders.into(), warm.into(), messages.into());
            runs.push(pair.run(senders, job).await?);
        }
        Ok(runs)
    }

    /// asx-rs in one process: signed, compressed, encrypted; decrypted, verified; receipt signed and verified.
    pub async fn asx(&self, binary: &Path, messages: usize) -> Result<Vec<Other>> {
        let begun = Instant::now();
        let mut sender = self.asx_process(binary)?;
        sender.ready().await?;
        let start_ms = begun.elapsed().as_secs_f64() * 1e3;
        let mut pair = Pair { name: "asx-rs, in memory".into(), sender, receiver: None, start_ms };
        let mut runs = Vec::new();
        for tasks in TASKS {
            let job = json!({ "file": self.part.file, "tasks": tasks, "warm": ASX_WARM, "count": messages });
            runs.push(pair.run(tasks, job).await?);
        }
        Ok(runs)
    }

    fn file(&self, name: &str, kind: &str) -> PathBuf {
        self.world.root.join("others").join(name).with_extension(kind)
    }

    fn phase4_receiver(&self, phase4: &Phase4) -> Result<Process> {
        let (key, tls) = (self.file(PARTIES[1], "p12"), self.file("tls", "p12"));
        let trust = self.world.root.join("ca/ap.pem");
        let files: [(&str, &Path); 3] = [("keystore", &key), ("tls-keystore", &tls), ("trust", &trust)];
        let more = [
            ("profile", "edelivery-1.15"),
            ("password", PASSWORD),
            ("expect", PARTIES[0]),
            ("party", PARTIES[1]),
            ("quiet", "yes"),
        ];
        phase4.start_with(&FLAGS, "receiver", "receive", &files, &more)
    }

    fn phase4_sender(&self, phase4: &Phase4) -> Result<Process> {
        let (key, receiver) = (self.file(PARTIES[0], "p12"), self.file(PARTIES[1], "pem"));
        let (trust, tls) = (self.world.root.join("ca/ap.pem"), self.world.root.join("ca/tls.pem"));
        let files: [(&str, &Path); 4] =
            [("keystore", &key), ("receiver", &receiver), ("trust", &trust), ("tls-trust", &tls)];
        let more = [("profile", "edelivery-1.15"), ("password", PASSWORD)];
        phase4.start_with(&FLAGS, "sender", "load", &files, &more)
    }

    /// The message that phase4 repeats. Where connections are kept, one may be closed under a request: that is tried again.
    fn job(&self, url: &str) -> Value {
        json!({
            "retries": 1,
            "from": PARTIES[0], "to": PARTIES[1], "party_type": PARTY_TYPE, "url": url,
            "service": "urn:example:service", "action": "urn:example:action",
            "properties": [
                { "name": "originalSender", "value": "to-a::bench" },
                { "name": "finalRecipient", "value": "to-b::bench" },
            ],
            "parts": [self.part.job()],
        })
    }

    fn asx_process(&self, binary: &Path) -> Result<Process> {
        let mut command = Command::new(std::path::absolute(binary)?);
        let [party, partner] = PARTIES;
        for (option, file) in [
            ("--certificate", self.file(party, "pem")),
            ("--key", self.file(party, "key")),
            ("--partner-certificate", self.file(party, "pem")),
            ("--trust", self.world.root.join("ca/ap.pem")),
            ("--tls-trust", self.world.root.join("ca/tls.pem")),
        ] {
            command.arg(option).arg(file);
        }
        command.args(["--party", party, "--party-type", PARTY_TYPE, "--partner", partner]);
        // asx-rs takes no other address; nothing is ever asked there.
        command.args(["--partner-url", "https://127.0.0.1/as4", "--load", "yes"]);
        Process::spawn("asx-rs", command, &self.world.root.join("others/asx.log"))
    }
}

impl Pair {
    /// Gives the sender a load, and reads what the system counts when it is warm and when it is done.
    async fn run(&mut self, connections: usize, mut job: Value) -> Result<Other> {
        let name = connections.to_string();
        job["job"] = name.as_str().into();
        self.sender.tell(&job).await?;
        self.sender.line(LONGEST, |line| line["event"] == "warm" && line["job"] == name.as_str()).await?;
        let before = self.usage()?;
        let said =
            self.sender.line(LONGEST, |line| line["event"] == "load" && line["job"] == name.as_str()).await?;
        let after = self.usage()?;
        if !said["example"].is_null() {
            println!("{} failed, for example: {}", self.name, said["example"]);
        }
        self.judged(connections, &said, before, after)
    }

    fn judged(&self, connections: usize, said: &Value, before: Both, after: Both) -> Result<Other> {
        let number = |name: &str| said[name].as_f64().with_context(|| format!("no {name} in {said}"));
        Ok(Other {
            name: self.name.clone(),
            octets: OCTETS,
            connections,
            messages: number("messages")? as usize,
            seconds: number("seconds")?,
            sender: after.0.seconds() - before.0.seconds(),
            receiver: after.1.zip(before.1).map(|(after, before)| after.seconds() - before.seconds()),
            sender_peak: after.0.peak,
            receiver_peak: after.1.map(|usage| usage.peak),
            p50_ms: number("p50_ms")?,
            p99_ms: number("p99_ms")?,
            failures: number("failures")? as usize,
            start_ms: self.start_ms,
        })
    }

    fn usage(&self) -> Result<Both> {
        let of = |process: &Process| Usage::of(process.pid().context("a peer has ended")?);
        Ok((of(&self.sender)?, self.receiver.as_ref().map(of).transpose()?))
    }
}

/// Sender, and receiver where there is one.
type Both = (Usage, Option<Usage>);
