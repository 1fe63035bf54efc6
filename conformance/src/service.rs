//! A server of other people that says nothing on standard output: it runs until it is dropped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

const READY: Duration = Duration::from_secs(60);

/// A server's process. It is killed when dropped.
pub struct Service {
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts it and waits until it listens.
    pub async fn start(mut command: Command, log: &Path, address: SocketAddr) -> Result<Self> {
        let errors = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(errors.try_clone()?)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.as_std()))?;
        let mut service = Self { child, log: log.into() };
        service.listening(address).await?;
        Ok(service)
    }

    async fn listening(&mut self, address: SocketAddr) -> Result<()> {
        let until = Instant::now() + READY;
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}; see {}", self.log.display());
            }
            if Instant::now() > until {
                bail!("it does not listen after {READY:?}; see {}", self.log.display());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Asks it to end by a signal and waits.
    pub async fn stop(mut self, signal: &str) -> Result<()> {
        if let Some(pid) = self.child.id() {
            crate::node::signal(pid, signal).await?;
        }
        tokio::time::timeout(Duration::from_secs(20), self.child.wait())
            .await
            .context("it does not end")??;
        Ok(())
    }
}
