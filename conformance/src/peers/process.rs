//! A peer as a process: JSON lines in, JSON lines out.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How long a peer may take to say that it is ready.
const READY: Duration = Duration::from_secs(60);

/// A peer's process. It is killed when dropped.
pub struct Process {
    name: String,
    child: Child,
    input: ChildStdin,
    lines: UnboundedReceiver<Value>,
    seen: Vec<Value>,
    log: PathBuf,
}

impl Process {
    /// Starts a process that speaks JSON lines.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let errors = std::fs::File::create(log)?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.as_std()))?;
        let input = child.stdin.take().context("no standard input")?;
        let output = child.stdout.take().context("no standard output")?;
        let (sender, lines) = unbounded_channel();
        tokio::spawn(async move {
            let mut output = BufReader::new(output).lines();
            while let Ok(Some(line)) = output.next_line().await {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        Ok(Self { name: name.into(), child, input, lines, seen: Vec::new(), log: log.into() })
    }

    /// Its number in the system, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// What it says when it is ready.
    pub async fn ready(&mut self) -> Result<Value> {
        self.line(READY, |line| line["event"] == "ready").await
    }

    /// The port that it says it listens on.
    pub async fn port(&mut self) -> Result<u16> {
        let line = self.ready().await?;
        line["port"].as_u64().and_then(|port| port.try_into().ok()).context("no port")
    }

    /// Writes one job.
    pub async fn tell(&mut self, job: &Value) -> Result<()> {
        self.input.write_all(format!("{job}\n").as_bytes()).await?;
        Ok(self.input.flush().await?)
    }

    /// The first line that `wanted` holds of, seen already or still to come within that time.
    pub async fn line(&mut self, within: Duration, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        if let Some(found) = self.seen.iter().find(|line| wanted(line)) {
            return Ok(found.clone());
        }
        let search = async {
            while let Some(line) = self.lines.recv().await {
                self.seen.push(line.clone());
                if wanted(&line) {
                    return Some(line);
                }
            }
            None
        };
        match tokio::time::timeout(within, search).await {
            Ok(Some(line)) => Ok(line),
            Ok(None) => bail!("{} ended{}; see {}", self.name, self.complaint(), self.log.display()),
            Err(_) => bail!("{} says nothing of it within {within:?}; see {}", self.name, self.log.display()),
        }
    }

    /// The first line of its log that names an error: a log may be gone before anybody looks.
    fn complaint(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let line = log.lines().find(|line| line.contains("rror") || line.contains("xception"));
        line.map_or(String::new(), |line| format!(": {}", line.trim()))
    }

    /// All lines so far that `wanted` holds of.
    pub fn lines(&mut self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        while let Ok(line) = self.lines.try_recv() {
            self.seen.push(line);
        }
        self.seen.iter().filter(|line| wanted(line)).cloned().collect()
    }
}
