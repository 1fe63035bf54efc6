//! A log that takes nothing, as where it lies on a full disk: messages cross all the same.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use conformance::demo::status_of;
use conformance::http;
use conformance::node::{free, tilts_binary};
use conformance::world::{ENVELOPE, EVIDENCE, World};

const SENDER: &str = "iso6523-actorid-upis::0218:90000000001";
const RECIPIENT: &str = "iso6523-actorid-upis::0191:10000001";
/// A file to which nothing can be written for want of room (full(4)).
const FULL: &str = "/dev/full";

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_log_takes_nothing_goes_on() -> Result<()> {
    if !Path::new(FULL).exists() {
        eprintln!("SKIPPED: there is no {FULL}");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let world = World::new(&folder.path().join("world"), &tilts_binary()?)?;
    let resolver = free()?;
    let backend = "\n[log]\nlevel = \"debug\"\n\n[[backend]]\nid = \"office\"\nadapter = \"rest\"\n";
    let mut home = world.access_point("home", 2048, resolver, backend)?;
    let mut away = world.access_point("away", 2048, resolver, backend)?;
    let entries = [(SENDER, &home, EVIDENCE), (RECIPIENT, &away, ENVELOPE)];
    let _registry = world.registry(&entries, resolver).await?;
    for point in [&mut home, &mut away] {
        symlink(FULL, world.root.join(&point.name).join("tilts.log"))?;
        point.node.start().await?;
    }
    let id = home.submit("unlogged", SENDER, RECIPIENT).await?;
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let detail = http::get(home.node.ports.admin, &format!("/api/submissions/{id}")).await?;
        let shown = status_of(&detail["submission"]["recipients"][0]);
        if shown.send == "Izsūtīts" {
            break;
        }
        ensure!(Instant::now() < until, "{detail}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for point in [&mut home, &mut away] {
        ensure!(!point.node.has_ended(), "{} has ended", point.name);
        point.node.stop().await?;
    }
    Ok(())
}
