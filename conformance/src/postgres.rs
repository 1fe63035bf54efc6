//! A PostgreSQL cluster of our own, in a temporary folder.

use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::node::free;
use crate::service::Service;
use crate::world::said;

/// The user that owns everything in the cluster; nobody asks for a password.
pub const USER: &str = "owner";

/// A cluster while it runs.
pub struct Postgres {
    service: Mutex<Service>,
    /// Where it listens.
    pub address: SocketAddr,
    folder: PathBuf,
    log: PathBuf,
    user: Option<(u32, u32)>,
    _temporary: Option<tempfile::TempDir>,
}

impl Postgres {
    /// Whether this machine has PostgreSQL.
    pub fn is_installed() -> bool {
        program("postgres", None).is_ok()
    }

    /// Makes the cluster in a temporary folder and starts it.
    pub async fn start(log: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = Self::start_in(folder.path(), log).await?;
        Ok(Self { _temporary: Some(folder), ..server })
    }

    /// Makes the cluster in a folder and starts it. PostgreSQL refuses to be root: then it is the user `postgres`.
    pub async fn start_in(folder: &Path, log: &Path) -> Result<Self> {
        let user = match id(&["-u"]).await? {
            0 => Some((id(&["-u", "postgres"]).await?, id(&["-g", "postgres"]).await?)),
            _ => None,
        };
        if let Some((user, group)) = user {
            chown(folder, Some(user), Some(group))?;
        }
        let mut make = program("initdb", user)?;
        make.current_dir(folder).arg("--pgdata").arg(folder.join("data"));
        said({
            make.args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "--username", USER]);
            make
        })
        .await?;
        let address = free()?;
        let service = run(folder, log, (address, user)).await?;
        let (folder, log) = (folder.to_owned(), log.to_owned());
        Ok(Self { service: Mutex::new(service), address, folder, log, user, _temporary: None })
    }

    /// Starts it again where it has ended by itself; true if so.
    pub async fn revive(&self) -> Result<bool> {
        let mut service = self.service.lock().await;
        if !service.has_ended() {
            return Ok(false);
        }
        *service = run(&self.folder, &self.log, (self.address, self.user)).await?;
        Ok(true)
    }

    /// Makes an empty database.
    pub async fn database(&self, name: &str) -> Result<()> {
        said(self.client("postgres", &[&format!("CREATE DATABASE {name}")])).await.map(drop)
    }

    /// URL of a database.
    pub fn url(&self, database: &str) -> String {
        Self::url_by(self.address, database)
    }

    /// The same by another way to the server.
    pub fn url_by(way: SocketAddr, database: &str) -> String {
        format!("postgres://{USER}@{way}/{database}")
    }

    /// Ends all connections to a database, as a server that is started anew does.
    pub async fn disconnect(&self, database: &str) -> Result<()> {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        said(self.client(database, &[end])).await.map(drop)
    }

    /// A client that runs statements one after the other.
    pub fn client(&self, database: &str, statements: &[&str]) -> Command {
        let mut command = Command::new("psql");
        command.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"]);
        command.args(["--host", "127.0.0.1", "--port", &self.address.port().to_string(), "--username", USER]);
        command.args(["--dbname", database]);
        for statement in statements {
            command.args(["--command", statement]);
        }
        command
    }

    /// Ends it at once, with nothing of it left in shared memory.
    pub async fn stop(self) -> Result<()> {
        self.service.into_inner().stop("INT").await
    }
}

/// Whether a test that needs a server is to be skipped; then says so.
pub fn skipped_without_postgres() -> bool {
    let missing = !Postgres::is_installed();
    if missing {
        eprintln!("SKIPPED: PostgreSQL (Debian package postgresql) is missing");
    }
    missing
}

/// The server on the cluster in a folder, by whom it belongs to.
async fn run(
    folder: &Path,
    log: &Path,
    (address, user): (SocketAddr, Option<(u32, u32)>),
) -> Result<Service> {
    let mut run = program("postgres", user)?;
    run.current_dir(folder).arg("-D").arg(folder.join("data"));
    for setting in [
        "listen_addresses=127.0.0.1",
        &format!("port={}", address.port()),
        "unix_socket_directories=",
        "fsync=off",
        "max_connections=300",
    ] {
        run.args(["-c", setting]);
    }
    Service::start(run, log, address).await.context("PostgreSQL")
}

/// A program of the newest PostgreSQL, as that user and group.
fn program(name: &str, user: Option<(u32, u32)>) -> Result<Command> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").context("no /usr/lib/postgresql")?;
    let found = versions.filter_map(Result::ok).map(|entry| entry.path().join("bin").join(name));
    let mut found: Vec<PathBuf> = found.filter(|file| file.is_file()).collect();
    found.sort();
    let mut command = Command::new(found.pop().with_context(|| format!("PostgreSQL has no {name}"))?);
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    Ok(command)
}

async fn id(arguments: &[&str]) -> Result<u32> {
    let mut command = Command::new("id");
    command.args(arguments);
    Ok(said(command).await?.trim().parse()?)
}
