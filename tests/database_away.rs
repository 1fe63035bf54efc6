//! A database that does not answer any more holds up the end of a node for seconds, not minutes: whoever stops a node would kill it.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use conformance::postgres::{Postgres, skipped_without_postgres};
use conformance::stage::{Kind, Stage};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Leads to the server until there is silence; then connections stay open, and nothing comes back.
async fn way(listener: TcpListener, server: SocketAddr, silence: watch::Receiver<bool>) -> Result<()> {
    loop {
        let (mut client, _) = listener.accept().await?;
        let mut silence = silence.clone();
        tokio::spawn(async move {
            let mut server = TcpStream::connect(server).await?;
            tokio::select! {
                biased;
                silent = async { silence.wait_for(|silent| *silent).await.is_ok() } => ensure!(silent, "no test"),
                _ = copy_bidirectional(&mut client, &mut server) => return Ok(()),
            }
            std::future::pending().await
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_ends_although_its_database_does_not_answer() -> Result<()> {
    if skipped_without_postgres() {
        return Ok(());
    }
    let stage = Stage::with(env!("CARGO_BIN_EXE_tilts").as_ref(), 2048)?;
    let server = Postgres::start(&stage.world.root.join("postgres.log")).await?;
    server.database("one").await?;
    let mut point = stage.node("one", &[Kind::Rsa], false)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let config = stage.world.root.join("one/tilts.toml");
    let url = server.url("one").replace(&server.address.to_string(), &listener.local_addr()?.to_string());
    let (own, text) = ("path = \"data\"\n", fs::read_to_string(&config)?);
    ensure!(text.contains(own), "no {own:?}");
    let shared = format!("{own}[store.postgres]\nurl = \"{url}?sslmode=disable\"\n");
    fs::write(&config, text.replace(own, &shared) + "\n[limits]\nshutdown_seconds = 1\n")?;
    let (silent, silence) = watch::channel(false);
    tokio::spawn(way(listener, server.address, silence));
    point.node.start().await?;
    silent.send(true)?;
    let begun = Instant::now();
    point.node.stop().await?;
    let taken = begun.elapsed();
    ensure!(taken < Duration::from_secs(20), "ended after {taken:?}");
    let log = fs::read_to_string(point.node.log())?;
    ensure!(log.contains("the store could not be closed"), "{log}");
    server.stop().await
}
