//! A signed zone on Knot, and resolvers (unbound) in front of it: one that validates, one that does not.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::node::free;
use crate::service::Service;
use crate::world::said;

/// The zone. Below `.test`, where unbound must be told that there is anything at all.
pub(super) const ZONE: &str = "registry.tilts.test";

/// Knot with one zone.
pub(super) struct Knot {
    _service: Service,
    address: SocketAddr,
    folder: PathBuf,
}

impl Knot {
    /// Serves the zone and signs it.
    pub(super) async fn signing(folder: &Path, zone: &str) -> Result<Self> {
        Self::start(folder, zone, "    dnssec-signing: on\n    dnssec-policy: one\n    zonefile-sync: 0\n")
            .await
    }

    /// Serves the zone as it is.
    pub(super) async fn as_it_is(folder: &Path, zone: &str) -> Result<Self> {
        Self::start(folder, zone, "    semantic-checks: off\n").await
    }

    async fn start(folder: &Path, zone: &str, more: &str) -> Result<Self> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("zone"), zone)?;
        let (address, place) = (free()?, folder.display());
        let text = format!(
            "server:\n    rundir: \"{place}\"\n    listen: 127.0.0.1@{}\ndatabase:\n    storage: \"{place}\"\n\
             log:\n  - target: stderr\n    any: warning\n\
             policy:\n  - id: one\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n\
             zone:\n  - domain: {ZONE}\n    storage: \"{place}\"\n    file: \"zone\"\n{more}",
            address.port()
        );
        fs::write(folder.join("knot.conf"), text)?;
        let mut command = Command::new("knotd");
        command.arg("-c").arg(folder.join("knot.conf"));
        let service = Service::start(command, &folder.join("knot.log"), address).await.context("Knot")?;
        Ok(Self { _service: service, address, folder: folder.into() })
    }

    /// The zone with its signatures.
    pub(super) async fn signed(&self) -> Result<String> {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let zone = fs::read_to_string(self.folder.join("zone"))?;
            if zone.contains("RRSIG") && zone.contains("NAPTR") {
                return Ok(zone);
            }
            ensure!(Instant::now() < until, "Knot has not signed the zone");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The DS record of the zone's key: what a resolver trusts.
    pub(super) async fn ds(&self) -> Result<String> {
        let mut command = Command::new("keymgr");
        command.arg("-c").arg(self.folder.join("knot.conf")).args([ZONE, "ds"]);
        let all = said(command).await?;
        // One line for each kind of digest: 2 is SHA-256.
        let line = all.lines().find(|line| line.split_whitespace().nth(4) == Some("2"));
        Ok(line.with_context(|| format!("no DS: {all}"))?.to_owned())
    }
}

/// A resolver.
pub(super) struct Unbound {
    _service: Service,
    /// Where it listens.
    pub(super) address: SocketAddr,
}

impl Unbound {
    /// Asks that Knot for the zone; validates where there is a DS record to trust.
    pub(super) async fn start(folder: &Path, knot: &Knot, ds: Option<&str>) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let (address, place) = (free()?, folder.display());
        let trust = ds.map(|ds| format!("  trust-anchor: \"{ds}\"\n")).unwrap_or_default();
        let text = format!(
            "server:\n  interface: 127.0.0.1\n  port: {}\n  do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n\
             \x20 directory: \"{place}\"\n  pidfile: \"\"\n  use-syslog: no\n  do-ip6: no\n  do-not-query-localhost: no\n\
             \x20 module-config: \"validator iterator\"\n  local-zone: \"test.\" nodefault\n{trust}\
             remote-control:\n  control-enable: no\n\
             stub-zone:\n  name: \"{ZONE}\"\n  stub-addr: 127.0.0.1@{}\n",
            address.port(),
            knot.address.port()
        );
        fs::write(folder.join("unbound.conf"), text)?;
        let mut command = Command::new("unbound");
        command.arg("-c").arg(folder.join("unbound.conf"));
        let service =
            Service::start(command, &folder.join("unbound.log"), address).await.context("unbound")?;
        Ok(Self { _service: service, address })
    }
}
