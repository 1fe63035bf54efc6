//! A tilts process: started, watched, killed.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::process::{Child, Command};

use crate::http;

/// A node's three addresses.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// Of other access points.
    pub as4: SocketAddr,
    /// Of backends.
    pub backend: SocketAddr,
    /// Of operators.
    pub admin: SocketAddr,
}

impl Ports {
    /// Three free loopback ports.
    pub fn free() -> Result<Self> {
        Ok(Self { as4: free()?, backend: free()?, admin: free()? })
    }
}

/// Ports that are given out: below those that systems hand to outgoing connections, which would now and then take one between
/// here and the node's start, or while a node is down.
const GIVEN_OUT: Range<u16> = 20_000..32_000;

/// A free loopback address, given out once by this process.
pub fn free() -> Result<SocketAddr> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(GIVEN_OUT.end - GIVEN_OUT.start);
    // Other test processes on the machine begin elsewhere.
    let begin = std::process::id().wrapping_mul(97);
    for _ in 0..count {
        let offset = begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % count;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, GIVEN_OUT.start + u16::try_from(offset)?));
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no free port from {} to {}", GIVEN_OUT.start, GIVEN_OUT.end)
}

/// A tilts process on a configuration file. It is killed when dropped.
pub struct Node {
    binary: PathBuf,
    config: PathBuf,
    /// Where it listens.
    pub ports: Ports,
    /// Where it is to die by itself: `<point>:<n>`, for starts from now on (docs/decisions/crash-points.md).
    pub trap: Option<String>,
    child: Option<Child>,
}

impl Node {
    /// A node that is not running yet.
    pub fn new(binary: &Path, config: &Path, ports: Ports) -> Self {
        Self { binary: binary.into(), config: config.into(), ports, trap: None, child: None }
    }

    /// Starts it and waits until it says that it is ready.
    pub async fn start(&mut self) -> Result<()> {
        self.launch()?;
        self.ready().await
    }

    fn launch(&mut self) -> Result<()> {
        let log = self.config.with_extension("log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&log)?;
        let child = Command::new(&self.binary)
            .args(["serve", "--config"])
            .arg(&self.config)
            .envs(self.trap.iter().map(|trap| ("TILTS_CRASH", trap)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        self.child = Some(child);
        Ok(())
    }

    async fn ready(&mut self) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            if let Some(status) = self.child.as_mut().and_then(|c| c.try_wait().ok().flatten()) {
                bail!("{} ended with {status}; see {}", self.config.display(), self.log().display());
            }
            let answer = http::request(self.ports.admin, hyper::Method::GET, "/ready", "", "").await;
            if answer.is_ok_and(|a| a.status.is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        bail!("{} is not ready after 30 s; see {}", self.config.display(), self.log().display())
    }

    /// Kills it at once (SIGKILL), as a power cut would.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits: longer than a node takes whose exchanges and whose database do not answer (36 s).
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            signal(child.id().context("it has ended")?, "TERM").await?;
            tokio::time::timeout(Duration::from_secs(45), child.wait())
                .await
                .context("no end after SIGTERM")??;
        }
        Ok(())
    }

    /// Whether the process that was started has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_some()))
    }

    /// The program that it runs.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Its log file.
    pub fn log(&self) -> PathBuf {
        self.config.with_extension("log")
    }
}

/// Sends a signal, by its name, to a process.
pub async fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status().await?;
    ensure!(status.success(), "process {pid} cannot be told {name}");
    Ok(())
}

/// The tilts binary that was built with the test that runs: it lies beside the folder of the test's own binary.
pub fn tilts_binary() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let profile = own.parent().and_then(Path::parent).context("the test lies in no target folder")?;
    let tilts = profile.join("tilts");
    ensure!(
        tilts.is_file(),
        "{} is missing: `cargo test --workspace` or `cargo build --workspace --bins` makes it",
        tilts.display()
    );
    Ok(tilts)
}

/// Highest resident memory of a process so far, in octets.
pub fn peak_memory(pid: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find(|l| l.starts_with("VmHWM:")).context("no VmHWM")?;
    let kilobytes: u64 = line.split_whitespace().nth(1).context("VmHWM")?.parse()?;
    Ok(kilobytes * 1024)
}
