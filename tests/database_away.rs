//! A database that does not answer any more holds up the end of a node for seconds, not minutes: whoever stops a node would kill it.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use conformance::lab::Strait;
use conformance::postgres::{Postgres, skipped_without_postgres};
use conformance::stage::{Kind, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_ends_although_its_database_does_not_answer() -> Result<()> {
    if skipped_without_postgres() {
        return Ok(());
    }
    let stage = Stage::with(env!("CARGO_BIN_EXE_tilts").as_ref(), 2048)?;
    let server = Postgres::start(&stage.world.root.join("postgres.log")).await?;
    server.database("one").await?;
    let mut point = stage.node("one", &[Kind::Rsa], false)?;
    let strait = Strait::to(server.address).await?;
    let config = stage.world.root.join("one/tilts.toml");
    let url = Postgres::url_by(strait.address, "one");
    let (own, text) = ("path = \"data\"\n", fs::read_to_string(&config)?);
    ensure!(text.contains(own), "no {own:?}");
    let shared = format!("{own}[store.postgres]\nurl = \"{url}?sslmode=disable\"\n");
    fs::write(&config, text.replace(own, &shared) + "\n[limits]\nshutdown_seconds = 1\n")?;
    point.node.start().await?;
    // Nobody waits for it: the strait stays closed.
    drop(strait.hold(Duration::MAX));
    let begun = Instant::now();
    point.node.stop().await?;
    let taken = begun.elapsed();
    ensure!(taken < Duration::from_secs(20), "ended after {taken:?}");
    let log = fs::read_to_string(point.node.log())?;
    ensure!(log.contains("the store could not be closed"), "{log}");
    server.stop().await
}
