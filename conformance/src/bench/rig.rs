//! Two nodes, a queue, and the clock.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hyper::Method;

use super::hand_in::hand_in;
use super::run::{Run, Threads};
use super::scale::{let_wait, strangers};
use super::soak::{Sample, Soak, interval};
use super::threads::Watch;
use super::usage::Usage;
use super::{Content, Shape};
use crate::demo::list;
use crate::http;
use crate::node::Node;
use crate::stage::{Kind, Stage, agree, url};
use crate::world::AccessPoint;

/// Between two looks at the threads of the nodes: the runtime keeps threads that have no work for ten seconds.
const LOOK: Duration = Duration::from_millis(500);
/// Fewer messages than that are few.
const FEW: usize = 100;
/// How long a run may take.
const LONGEST: Duration = Duration::from_secs(1800);

/// A to B, under one profile.
pub struct Rig {
    stage: Stage,
    a: AccessPoint,
    b: AccessPoint,
    handed_in: AtomicUsize,
    crowded: bool,
}

/// What was seen while A sent.
struct Sending {
    start_ms: f64,
    seconds: f64,
    sender: Watch,
    receiver: Watch,
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
        let others = strangers(partners, &stage.world, kind)?;
        stage.append("a", &(others.clone() + &plain(agree(&b, kind, "", &url(&b)))))?;
        let more = "\n[limits]\nconnections = 4000\n";
        stage.append("b", &(others + &plain(agree(&a, kind, "", &url(&a))) + more))?;
        b.node.start().await?;
        Ok(Self { stage, a, b, handed_in: AtomicUsize::new(0), crowded: false })
    }

    /// Hands in as many payloads as the shape has for `small`, while A holds them; then lets A send them.
    pub async fn run_shape(&mut self, shape: &Shape, small: usize) -> Result<Run> {
        self.run(shape.messages(small), (shape.content, shape.octets), shape.connections).await
    }

    /// Hands in `messages` payloads while A holds them, then lets A send them over `connections`.
    pub async fn run(
        &mut self,
        messages: usize,
        (content, octets): (Content, u64),
        connections: usize,
    ) -> Result<Run> {
        let (handing_in_seconds, filling) = self.fill(messages, (content, octets)).await?;
        let Sending { start_ms, seconds, sender, receiver } = self.send(messages, connections).await?;
        let times = self.attempt_times(messages).await?;
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        Ok(Run {
            messages,
            content,
            octets,
            connections,
            handing_in_seconds,
            seconds,
            sender: sender.seconds(),
            receiver: receiver.seconds(),
            submission: filling.seconds(),
            threads: Threads {
                handing_in: filling.spent(),
                sender: sender.spent(),
                receiver: receiver.spent(),
            },
            median_ms: at(0.5),
            p99_ms: at(0.99),
            sender_peak: sender.usage().peak,
            receiver_peak: receiver.usage().peak,
            start_ms,
        })
    }

    /// Hands in payloads while A holds them; the seconds that it takes, and what A did in them.
    async fn fill(&mut self, messages: usize, payload: (Content, u64)) -> Result<(f64, Watch)> {
        self.restart(0).await?;
        let mut watch = Watch::begin(pid(&self.a)?)?;
        let begun = Instant::now();
        let work = hand_in(self.a.node.ports.backend, messages, payload, &self.handed_in);
        watched(work, &mut [&mut watch]).await?;
        Ok((begun.elapsed().as_secs_f64(), watch))
    }

    /// Lets A send what it holds. A counts from its start, which is part of what it does; the clock from when it is ready.
    async fn send(&mut self, messages: usize, connections: usize) -> Result<Sending> {
        let mut receiver = Watch::begin(pid(&self.b)?)?;
        let begun = Instant::now();
        let start_ms = self.restart(connections).await?;
        let mut sender = Watch::since_start(pid(&self.a)?)?;
        let work = self.sent(messages);
        watched(work, &mut [&mut sender, &mut receiver]).await?;
        let seconds = begun.elapsed().as_secs_f64() - start_ms / 1e3;
        Ok(Sending { start_ms, seconds, sender, receiver })
    }

    /// Messages handed in so far.
    pub fn submitted(&self) -> usize {
        self.handed_in.load(Ordering::Relaxed)
    }

    /// Hands in messages for so long while A sends them, `batch` at a time, and looks at the memory of both.
    pub async fn soak(
        &mut self,
        time: Duration,
        batch: usize,
        octets: u64,
        connections: usize,
    ) -> Result<Soak> {
        self.restart(connections).await?;
        let begun = Instant::now();
        let mut samples = Vec::new();
        let mut load = pin!(self.load(begun + time, batch, octets));
        let mut ticks = tokio::time::interval(interval(time));
        loop {
            tokio::select! {
                done = &mut load => break done?,
                _ = ticks.tick() => {
                    let sample = self.sample(begun)?;
                    println!("{:6.0} s, {} messages, {}/{} MB", sample.seconds, sample.messages,
                        sample.sender >> 20, sample.receiver >> 20);
                    samples.push(sample);
                }
            }
        }
        Ok(Soak::new(samples))
    }

    /// Keeps one batch or two in A's queue until that moment, then lets A send the rest.
    async fn load(&self, until: Instant, batch: usize, octets: u64) -> Result<()> {
        while Instant::now() < until {
            let payload = (Content::Noise, octets);
            hand_in(self.a.node.ports.backend, batch, payload, &self.handed_in).await?;
            self.receipted(self.submitted().saturating_sub(batch), batch).await?;
        }
        self.receipted(self.submitted(), batch).await
    }

    fn sample(&self, begun: Instant) -> Result<Sample> {
        let (a, b) = (Usage::of(pid(&self.a)?)?, Usage::of(pid(&self.b)?)?);
        Ok(Sample {
            seconds: begun.elapsed().as_secs_f64(),
            messages: self.submitted(),
            sender: a.resident,
            receiver: b.resident,
        })
    }

    /// Lets so many messages wait at A, for years, once it has sent some.
    pub async fn let_wait(&mut self, count: u64) -> Result<()> {
        self.a.node.stop().await?;
        self.crowded = true;
        let_wait(&self.stage.world.root.join("a/data"), count).await?;
        self.a.node.start().await
    }

    /// Resident memory of a node that has nothing to do.
    pub fn idle(&self) -> Result<u64> {
        Ok(Usage::of(pid(&self.b)?)?.resident)
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

    /// Waits until everything that was handed in is sent and receipted. Where a million messages wait at A, to count there is a work
    /// of its own: B says when it has all, and A is asked only then.
    async fn sent(&self, messages: usize) -> Result<()> {
        if self.crowded {
            let accepted = "tilts_messages_accepted_total{class=\"business\"}";
            reached(&self.b.node, accepted, self.submitted(), pause(messages)).await?;
        }
        self.receipted(self.submitted(), messages).await
    }

    /// Waits until so many recipients are receipted, the last of a run of `messages`.
    async fn receipted(&self, count: usize, messages: usize) -> Result<()> {
        let at_gateway = "tilts_recipients{state=\"at-remote-gateway\"}";
        reached(&self.a.node, at_gateway, count, pause(messages)).await
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

/// Between two looks at what has been sent. To count is work for the node too, and would be measured with the rest; few large
/// messages are soon counted, and not to see the end of the last would be an error that counts.
fn pause(messages: usize) -> Duration {
    Duration::from_millis(if messages <= FEW { 20 } else { 200 })
}

/// Waits until a metric of a node has come to `count`.
async fn reached(node: &Node, metric: &str, count: usize, pause: Duration) -> Result<()> {
    let until = Instant::now() + LONGEST;
    loop {
        let text = metrics(node).await?;
        let line = text.lines().find(|line| line.split(' ').next() == Some(metric));
        let now = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0);
        if now as usize >= count {
            return Ok(());
        }
        ensure!(Instant::now() < until, "{metric} is {now}, not {count}");
        tokio::time::sleep(pause).await;
    }
}

fn pid(of: &AccessPoint) -> Result<u32> {
    of.node.pid().context("it does not run")
}

/// Does work while the threads of the nodes are looked at now and then, and once more when it is done.
async fn watched(work: impl Future<Output = Result<()>>, watches: &mut [&mut Watch]) -> Result<()> {
    let mut work = pin!(work);
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        let done = tokio::select! {
            done = &mut work => Some(done),
            _ = ticks.tick() => None,
        };
        for watch in watches.iter_mut() {
            watch.look()?;
        }
        if let Some(done) = done {
            return done;
        }
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
