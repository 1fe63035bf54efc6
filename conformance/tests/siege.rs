//! Honest senders are served, and memory stays bounded, while a hundred hostile ones do their worst; connections that say
//! nothing cost little and end by themselves.
//!
//! `TILTS_SIEGE_SECONDS` says how long the siege lasts, `TILTS_IDLE` how many silent connections there are.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use conformance::as4::seal;
use conformance::hostile::line::Line;
use conformance::hostile::siege::Siege;
use conformance::hostile::target::{clean, plain};
use conformance::node::peak_memory;
use conformance::probe::{Probe, clear_parts};
use conformance::random::setting;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Most resident memory under siege, in octets.
const MOST_MEMORY: u64 = 200 << 20;

/// Most resident memory that a silent connection may cost, in octets.
const EACH: u64 = 40 << 10;

fn configure(config: &Path) -> Result<()> {
    plain(config)?;
    clear_parts(config)
}

fn limited(config: &Path, limits: &str) -> Result<()> {
    configure(config)?;
    let text = std::fs::read_to_string(config)?;
    Ok(std::fs::write(config, text.replacen("[limits]\n", &format!("[limits]\n{limits}\n"), 1))?)
}

fn memory(probe: &Probe) -> Result<u64> {
    peak_memory(probe.node.node.pid().context("the node is gone")?)
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_messages_pass_while_a_hundred_attack() -> Result<()> {
    let probe = Probe::with(configure).await?;
    let siege = Siege::lay(&probe, 100)?;
    let until = Instant::now() + Duration::from_secs(setting("TILTS_SIEGE_SECONDS", 10));
    let (mut passed, mut slowest) = (0, Duration::ZERO);
    while Instant::now() < until {
        let begun = Instant::now();
        let request = seal(&probe.message(), &probe.sender)?.request();
        let reply = Line::new(probe.node.node.ports.as4).send(&request).await?;
        ensure!(reply.is_receipt(), "an honest message was refused: HTTP {} {}", reply.status, reply.body);
        slowest = slowest.max(begun.elapsed());
        passed += 1;
    }
    let attacks = siege.lift().await;
    let peak = memory(&probe)?;
    println!(
        "{attacks} attacks; {passed} honest messages, the slowest in {slowest:?}; peak {} MB",
        peak >> 20
    );
    ensure!(passed > 0 && attacks > 100, "{passed} honest messages, {attacks} attacks");
    ensure!(peak < MOST_MEMORY, "peak memory {} MB", peak >> 20);
    tokio::time::sleep(Duration::from_secs(1)).await;
    clean(&probe.node)
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_cost_little_and_end_by_themselves() -> Result<()> {
    let count = usize::try_from(setting("TILTS_IDLE", 500))?;
    let limits = format!("connections = {}\nheader_seconds = 5", count + 10);
    let probe = Probe::with(|config| limited(config, &limits)).await?;
    let before = memory(&probe)?;
    let mut silent = Vec::with_capacity(count);
    for number in 0..count {
        let stream = TcpStream::connect(probe.node.node.ports.as4).await;
        silent.push(stream.with_context(|| format!("connection {number}: raise `ulimit -n`"))?);
    }
    let request = seal(&probe.message(), &probe.sender)?.request();
    let reply = Line::new(probe.node.node.ports.as4).send(&request).await?;
    ensure!(reply.is_receipt(), "HTTP {} {}", reply.status, reply.body);
    let peak = memory(&probe)?;
    let each = (peak - before) / count.max(1) as u64;
    println!("{count} silent connections: {} KB each", each / 1024);
    ensure!(each < EACH, "a silent connection costs {} KB", each / 1024);
    let mut octet = [0];
    for stream in &mut silent {
        // Closed without a word, or after telling that the time is over; in no case left open.
        let ended = async { while stream.read(&mut octet).await.is_ok_and(|count| count > 0) {} };
        tokio::time::timeout(Duration::from_secs(15), ended)
            .await
            .context("a silent connection stays open")?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_of_one_octet_a_second_does_not_stay_for_ever() -> Result<()> {
    let probe = Probe::with(|config| limited(config, "header_seconds = 3\nidle_seconds = 3")).await?;
    let request = seal(&probe.message(), &probe.sender)?.request().octets("localhost");
    let head = request.windows(4).position(|w| w == b"\r\n\r\n").context("no head")?;
    // In the head a trickle is too slow; in the body silence is.
    for (name, fast, trickles) in [("head", 20, true), ("body", head + 100, false)] {
        let mut stream = TcpStream::connect(probe.node.node.ports.as4).await?;
        stream.write_all(&request[..fast]).await?;
        let begun = Instant::now();
        let mut at = fast;
        let mut octet = [0; 4096];
        loop {
            let wait = Duration::from_millis(500);
            match tokio::time::timeout(wait, stream.read(&mut octet)).await {
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(_)) => {}
                Err(_) if trickles => {
                    let _ = stream.write_all(&request[at..=at]).await;
                    at += 1;
                }
                Err(_) => {}
            }
            ensure!(
                begun.elapsed() < Duration::from_secs(12),
                "{name}: still open after {:?}",
                begun.elapsed()
            );
        }
    }
    let reply =
        Line::new(probe.node.node.ports.as4).send(&seal(&probe.message(), &probe.sender)?.request()).await?;
    ensure!(reply.is_receipt());
    clean(&probe.node)
}
