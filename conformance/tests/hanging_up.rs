//! Whoever hangs up while a message is worked on, peer or producer, leaves nothing on the disk that no row names.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use conformance::as4::{Message, Part, seal};
use conformance::demo::list;
use conformance::hostile::target::plain;
use conformance::http::{self, multipart};
use conformance::probe::{Probe, RECIPIENT, SENDER, clear_parts};
use conformance::random::Random;
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

/// Too large for a row: it becomes a file before the row is there.
fn noise(seed: u64) -> Vec<u8> {
    let mut octets = vec![0; 200_000];
    Random::new(seed).fill(&mut octets);
    octets
}

/// Sends a request and is gone at that moment after its last octet.
async fn hang_up(to: SocketAddr, request: &[u8], moment: u64) -> Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(request).await?;
    // The timer of the runtime knows milliseconds only.
    tokio::task::block_in_place(|| std::thread::sleep(STEP * u32::try_from(moment).unwrap_or_default()));
    Ok(())
}

/// Every payload file has its row.
async fn no_orphan(probe: &Probe) -> Result<()> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    let found = http::post(probe.node.node.ports.admin, "/api/recompute", &json!({})).await?;
    let (files, orphans) = (&found["payload_files"], list(&found["orphans"]).count());
    println!("{MOMENTS} messages, {files} of them taken");
    ensure!(orphans == 0, "{orphans} files that no row names, beside {files} that rows name");
    ensure!(files.as_u64().is_some_and(|files| files > 0), "all hung up too early: that proves nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_hangs_up_leaves_no_orphan() -> Result<()> {
    let probe = Probe::with(configure).await?;
    for moment in 0..MOMENTS {
        let part = Part::new(&format!("{moment}@suite"), &noise(moment));
        let message = Message { parts: vec![part], ..probe.message() };
        let request = seal(&message, &probe.sender)?.request().octets("localhost");
        hang_up(probe.node.node.ports.as4, &request, moment).await?;
    }
    no_orphan(&probe).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_hangs_up_leaves_no_orphan() -> Result<()> {
    let probe = Probe::with(configure).await?;
    for moment in 0..MOMENTS {
        let description = json!({
            "client_id": format!("hang-up-{moment}"), "original_sender": SENDER,
            "recipients": [{ "participant": RECIPIENT }],
        });
        let (kind, body) = multipart(&[
            http::Part::new("description", "application/json", description.to_string()),
            http::Part::new("payload", "application/octet-stream", noise(moment)),
        ]);
        let head = format!(
            "POST /v1/submissions HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let request = [head.as_bytes(), &body].concat();
        hang_up(probe.node.node.ports.backend, &request, moment).await?;
    }
    no_orphan(&probe).await
}
