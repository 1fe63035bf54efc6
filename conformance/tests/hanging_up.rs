//! A peer that hangs up while its message is worked on leaves nothing on the disk that no row names.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use conformance::as4::{Message, Part, seal};
use conformance::demo::list;
use conformance::hostile::target::plain;
use conformance::http;
use conformance::probe::{Probe, clear_parts};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Moments after the last octet; a message is worked on for less than all of them.
const MOMENTS: u64 = 100;
/// From one to the next.
const STEP: Duration = Duration::from_micros(200);

fn configure(config: &Path) -> Result<()> {
    plain(config)?;
    clear_parts(config)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_leaves_no_orphan() -> Result<()> {
    let probe = Probe::with(configure).await?;
    // Too large for a row: it becomes a file before the row is there.
    let octets = vec![7; 200_000];
    for moment in 0..MOMENTS {
        let cid = format!("{moment}@suite");
        let message = Message { parts: vec![Part::new(&cid, &octets)], ..probe.message() };
        let request = seal(&message, &probe.sender)?.request().octets("localhost");
        let mut stream = TcpStream::connect(probe.node.node.ports.as4).await?;
        stream.write_all(&request).await?;
        // The timer of the runtime knows milliseconds only.
        tokio::task::block_in_place(|| std::thread::sleep(STEP * u32::try_from(moment).unwrap_or_default()));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let found = http::post(probe.node.node.ports.admin, "/api/recompute", &json!({})).await?;
    let (files, orphans) = (&found["payload_files"], list(&found["orphans"]).count());
    println!("{MOMENTS} messages, {files} of them taken");
    ensure!(orphans == 0, "{orphans} files that no row names, beside {files} that rows name");
    ensure!(files.as_u64().is_some_and(|files| files > 0), "all hung up too early: that proves nothing");
    Ok(())
}
