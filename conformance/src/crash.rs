//! Promise 4 on trial: processes die by SIGKILL while messages cross the border; nothing acknowledged is lost, nothing doubled.
//!
//! Latvia takes DIV envelopes, A has a REST backend, B a folder backend. Two consumers act as the backends all the time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hyper::Method;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::ca::Purpose;
use crate::demo::{self, LATVIAN_PART, Status, list, status_of};
use crate::http::{self, Part};
use crate::node::{Node, free};
use crate::peers::job::sha256;
use crate::random::Random;
use crate::world::{AccessPoint, ENVELOPE, EVIDENCE, Registry, World, said};

const LATVIA: &str = "iso6523-actorid-upis::0218:90000000001";
const SENDER: &str = "_DEFAULT@90000000001";
/// Recipients of every message: 1 and 2 at A, 3 and 4 at B. The odd ones take, the even ones refuse.
const RECIPIENTS: usize = 4;
/// How long everything may take to settle after the last kill.
const SETTLE: Duration = Duration::from_secs(180);

/// What the consumers saw: (finalRecipient, MessageId) to the delivery ids under which it came.
#[derive(Default)]
struct Seen {
    deliveries: BTreeMap<(String, String), BTreeSet<String>>,
    wrong: Vec<String>,
    settled: BTreeSet<String>,
}

/// The trial.
pub struct Trial {
    world: World,
    nodes: Vec<AccessPoint>,
    _registry: Registry,
    random: Random,
    seen: Arc<Mutex<Seen>>,
    consumers: Vec<JoinHandle<()>>,
    /// Digests of the parts of each message, by the digest of its envelope.
    contents: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
    submissions: Vec<JoinHandle<Result<String>>>,
}

impl Drop for Trial {
    fn drop(&mut self) {
        self.consumers.iter().for_each(JoinHandle::abort);
        self.submissions.iter().for_each(JoinHandle::abort);
    }
}

impl Trial {
    /// Makes the world, starts its three nodes and both consumers.
    pub async fn set_up(root: &Path, tilts: &Path, seed: u64) -> Result<Self> {
        let world = World::new(root, tilts)?;
        let resolver = free()?;
        let signer = world.div_ca.issue("tilts crash e-address connection", 2048, Purpose::Message)?;
        world.div_ca.write_p12(&signer, &world.root.join("lv/div.p12"), "changeit")?;
        let latvia = world.access_point("lv", 2048, resolver, LATVIAN_PART)?;
        let a = world.access_point("a", 2048, resolver, A_PART)?;
        let b = world.access_point("b", 2048, resolver, B_PART)?;
        let people: Vec<String> = (1..=RECIPIENTS).map(participant).collect();
        let mut entries = vec![(LATVIA, &latvia, EVIDENCE)];
        entries.extend(people[..2].iter().map(|p| (p.as_str(), &a, ENVELOPE)));
        entries.extend(people[2..].iter().map(|p| (p.as_str(), &b, ENVELOPE)));
        let registry = world.registry(&entries, resolver).await?;
        let mut nodes = vec![latvia, a, b];
        for point in &mut nodes {
            point.node.start().await?;
        }
        let (seen, contents) = (Arc::default(), Arc::default());
        let mut trial = Self {
            world,
            nodes,
            _registry: registry,
            random: Random::new(seed),
            seen,
            consumers: Vec::new(),
            contents,
            submissions: Vec::new(),
        };
        trial.consume();
        Ok(trial)
    }

    fn consume(&mut self) {
        let rest = Consumer { seen: self.seen.clone(), contents: self.contents.clone() };
        let folder = Consumer { seen: self.seen.clone(), contents: self.contents.clone() };
        let backend = self.nodes[1].node.ports.backend;
        let inbox = self.world.root.join("b/mail/in");
        self.consumers.push(tokio::spawn(async move {
            loop {
                // The node is down now and then: whatever fails is done again.
                let _ = rest.take_listed(backend).await;
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        }));
        self.consumers.push(tokio::spawn(async move {
            loop {
                let _ = folder.take_folders(&inbox);
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        }));
    }

    /// Submits a message and kills one node at a random moment after it, `kills` times; each comes back on its ports.
    pub async fn run(&mut self, kills: u64) -> Result<()> {
        for round in 0..kills {
            self.submit(round).await?;
            let wait = self.random.below(700);
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let victim = usize::try_from(self.random.below(3))?;
            let down = self.random.below(200);
            let node: &mut Node = &mut self.nodes[victim].node;
            node.kill().await?;
            tokio::time::sleep(Duration::from_millis(down)).await;
            node.start().await.with_context(|| format!("after kill {round}"))?;
            println!("kill {round}: {} after {wait} ms, down for {down} ms", self.nodes[victim].name);
        }
        Ok(())
    }

    async fn submit(&mut self, number: u64) -> Result<()> {
        let folder = self.world.root.join(format!("letters/{number}"));
        fs::create_dir_all(&folder)?;
        let files = [folder.join("text.txt"), folder.join("noise.bin")];
        fs::write(&files[0], format!("Vēstule {number}\n").repeat(20_000))?;
        let mut noise = vec![0; 200_000 + usize::try_from(self.random.below(800_000))?];
        self.random.fill(&mut noise);
        fs::write(&files[1], noise)?;
        let envelope = folder.join("envelope.xml");
        let mut command = Command::new(&self.world.tilts);
        command.args(["div", "seal", "--sender", SENDER, "--title", "Kill"]);
        command.arg("--reference").arg(format!("crash-{number}"));
        for n in 1..=RECIPIENTS {
            command.args(["--to", &format!("0191.2000000{n}@ee")]);
        }
        command.arg("--keystore").arg(self.world.root.join("lv/div.p12")).args(["--password", "changeit"]);
        command.arg("--out").arg(&envelope).args(&files);
        said(command).await?;
        let mut parts = vec![Part::file("envelope", "application/xml", &envelope)?];
        for (index, file) in files.iter().enumerate() {
            parts.push(Part::file(&index.to_string(), "application/octet-stream", file)?);
        }
        let digests: Vec<String> = parts.iter().map(|p| sha256(&p.body)).collect();
        lock(&self.contents).insert(digests[0].clone(), digests);
        let to = self.nodes[0].node.ports.backend;
        self.submissions.push(tokio::spawn(insist(to, parts)));
        Ok(())
    }

    /// Waits until every recipient of every message has the status it must have.
    pub async fn settled(&mut self) -> Result<()> {
        let until = Instant::now() + SETTLE;
        let mut ids = Vec::new();
        for task in std::mem::take(&mut self.submissions) {
            ids.push(task.await??);
        }
        let distinct: BTreeSet<&String> = ids.iter().collect();
        ensure!(distinct.len() == ids.len(), "two messages became one submission");
        let mut open: BTreeSet<String> = ids.into_iter().collect();
        while !open.is_empty() {
            let mut still = BTreeSet::new();
            for id in open {
                if !self.is_settled(&id).await? {
                    still.insert(id);
                }
            }
            open = still;
            if Instant::now() > until {
                bail!("not settled after {SETTLE:?}: {}", self.story(&open).await);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    async fn is_settled(&self, id: &str) -> Result<bool> {
        let detail = self.detail(id).await?;
        let statuses: Vec<Status> = list(&detail["submission"]["recipients"]).map(status_of).collect();
        let wanted = |n: usize| if n.is_multiple_of(2) { demo::DELIVERED } else { demo::REFUSED };
        ensure!(statuses.len() == RECIPIENTS, "{id} has {} recipients", statuses.len());
        Ok(statuses.iter().enumerate().all(|(n, s)| s.send == demo::SENT && s.delivery == wanted(n)))
    }

    async fn detail(&self, id: &str) -> Result<Value> {
        http::get(self.nodes[0].node.ports.admin, &format!("/api/submissions/{id}")).await
    }

    async fn story(&self, open: &BTreeSet<String>) -> String {
        let mut text = String::new();
        for id in open {
            if let Ok(detail) = self.detail(id).await {
                for recipient in list(&detail["recipients"]) {
                    let signals: Vec<&str> = list(&recipient["evidence"]).filter_map(signal).collect();
                    let state = status_of(&recipient["recipient"]);
                    text.push_str(&format!("\n  {id} {} / {} {signals:?}", state.send, state.delivery));
                }
            }
        }
        text + &format!(
            "\n  wrong: {:?}\n  everything lies in {}",
            lock(&self.seen).wrong,
            self.world.root.display()
        )
    }

    /// Everything that must hold in the end; gives a line of figures.
    pub async fn prove(&mut self) -> Result<String> {
        // Word of the last delivery reaches Latvia before the receipt of it reaches the sender: let that settle too.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let rows = self.prove_statuses().await?;
        let deliveries = self.prove_deliveries()?;
        for point in &mut self.nodes {
            point.node.stop().await?;
        }
        for point in &self.nodes {
            self.prove_store(point).await?;
        }
        Ok(format!("{} messages, {deliveries} deliveries, {rows} evidence rows", lock(&self.contents).len()))
    }

    /// Every submission is there once, and nobody said anything twice about any recipient.
    async fn prove_statuses(&self) -> Result<usize> {
        let messages = lock(&self.contents).len();
        let found = http::get(self.nodes[0].node.ports.admin, "/api/submissions?limit=200").await?;
        ensure!(
            list(&found).count() == messages,
            "{} submissions of {messages} messages",
            list(&found).count()
        );
        let mut rows = 0;
        for submission in list(&found) {
            let id = submission["id"].as_str().context("no id")?;
            let detail = self.detail(id).await?;
            for recipient in list(&detail["recipients"]) {
                let mut signals: Vec<&str> = list(&recipient["evidence"]).filter_map(signal).collect();
                rows += signals.len();
                signals.sort_unstable();
                let twice = signals.windows(2).any(|pair| pair[0] == pair[1]);
                ensure!(!twice, "{id}: said twice: {signals:?}");
                ensure!(list(&recipient["messages"]).count() == 1, "{id}: a recipient has several messages");
            }
        }
        Ok(rows)
    }

    fn prove_deliveries(&self) -> Result<usize> {
        let seen = lock(&self.seen);
        ensure!(seen.wrong.is_empty(), "{:?}", seen.wrong);
        for (message, deliveries) in &seen.deliveries {
            ensure!(deliveries.len() == 1, "{message:?} was delivered as {deliveries:?}");
        }
        let expected = lock(&self.contents).len() * RECIPIENTS;
        ensure!(seen.deliveries.len() == expected, "{} deliveries of {expected}", seen.deliveries.len());
        Ok(expected)
    }

    async fn prove_store(&self, point: &AccessPoint) -> Result<()> {
        let folder = self.world.root.join(&point.name);
        let mut command = Command::new(&self.world.tilts);
        command.args(["status", "--recompute", "--config"]).arg(folder.join("tilts.toml"));
        let found: Value = serde_json::from_str(&said(command).await?)?;
        ensure!(list(&found["differences"]).count() == 0, "{}: {}", point.name, found["differences"]);
        ensure!(list(&found["orphans"]).count() == 0, "{}: nobody names {}", point.name, found["orphans"]);
        let spooled: Vec<_> = fs::read_dir(folder.join("data/spool"))?.collect();
        ensure!(spooled.is_empty(), "{}: left in the spool: {spooled:?}", point.name);
        Ok(())
    }
}

struct Consumer {
    seen: Arc<Mutex<Seen>>,
    contents: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
}

impl Consumer {
    /// The REST backend: fetches what is listed, compares it, acknowledges it.
    async fn take_listed(&self, backend: SocketAddr) -> Result<()> {
        let listed = http::get(backend, "/v1/messages").await?;
        for message in list(&listed["messages"]) {
            let id = message["id"].as_str().context("no id")?;
            let mut digests = Vec::new();
            for index in 0..list(&message["parts"]).count() {
                let path = format!("/v1/messages/{id}/parts/{index}");
                let answer = http::request(backend, Method::GET, &path, "", "").await?;
                ensure!(answer.status.is_success(), "HTTP {}", answer.status);
                digests.push(sha256(&answer.body));
            }
            let refuses = self.saw(message, id, &digests);
            let outcome = if refuses { "refused" } else { "accepted" };
            let path = format!("/v1/messages/{id}/acknowledge");
            let word = json!({ "outcome": outcome });
            let answer =
                http::request(backend, Method::POST, &path, "application/json", word.to_string()).await?;
            if answer.status.is_success() {
                lock(&self.seen).settled.insert(id.into());
            } else {
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                lock(&self.seen).wrong.push(format!("{id}: HTTP {}: {text}", answer.status));
            }
        }
        Ok(())
    }

    /// The folder backend: compares what lies in `in/` and renames it.
    fn take_folders(&self, inbox: &Path) -> Result<()> {
        for entry in fs::read_dir(inbox)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.contains('.') {
                continue;
            }
            let metadata: Value = serde_json::from_slice(&fs::read(path.join("metadata.json"))?)?;
            let files = list(&metadata["parts"]).map(|p| path.join(p["file"].as_str().unwrap_or_default()));
            let digests = files.map(|f| Ok(sha256(&fs::read(f)?))).collect::<Result<Vec<_>>>()?;
            let answer = if self.saw(&metadata, &name, &digests) {
                fs::write(path.join("reason.txt"), "Not for us\n")?;
                "refused"
            } else {
                "accepted"
            };
            fs::rename(&path, inbox.join(format!("{name}.{answer}")))?;
            lock(&self.seen).settled.insert(name);
        }
        Ok(())
    }

    /// Keeps and judges what came; true where the recipient refuses.
    fn saw(&self, message: &Value, delivery: &str, digests: &[String]) -> bool {
        let text = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
        let key = (text("final_recipient"), text("message_id"));
        let refuses = [2, 4].into_iter().any(|n| key.0 == participant(n));
        let known = digests.first().and_then(|first| lock(&self.contents).get(first).cloned());
        let mut seen = lock(&self.seen);
        if known.as_deref() != Some(digests) {
            seen.wrong.push(format!("{delivery}: other content than submitted"));
        }
        if seen.settled.contains(delivery) {
            seen.wrong.push(format!("{delivery}: offered again after it was settled"));
        }
        seen.deliveries.entry(key).or_default().insert(delivery.into());
        refuses
    }
}

/// Posts until the node says that it has the message.
async fn insist(to: SocketAddr, parts: Vec<Part>) -> Result<String> {
    let (content_type, body) = http::multipart(&parts);
    let body = bytes::Bytes::from(body);
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = http::request(to, Method::POST, "/div/messages", &content_type, body.clone()).await;
        match answer {
            Ok(answer) if answer.status.is_success() => {
                return Ok(answer.json()?["id"].as_str().context("no id")?.to_owned());
            }
            Ok(answer) if answer.status.is_client_error() => bail!("{:?}", answer.json()),
            _ if Instant::now() > until => bail!("the message was not taken in 60 s"),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

fn signal(evidence: &Value) -> Option<&str> {
    evidence["row"]["signal"].as_str()
}

fn participant(n: usize) -> String {
    format!("iso6523-actorid-upis::0191:2000000{n}")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

const A_PART: &str = "\n[[backend]]\nid = \"people\"\nadapter = \"rest\"\n";
const B_PART: &str = "\n[[backend]]\nid = \"files\"\nadapter = \"folder\"\npath = \"mail\"\n";
