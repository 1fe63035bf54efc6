//! A partner that takes a message and never says so holds up the end of a node no longer than it is told; nothing is lost by that, and
//! nothing arrives twice.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use conformance::demo::list;
use conformance::hostile::target::{delivered, plain};
use conformance::http;
use conformance::node::free;
use conformance::probe::SENDER;
use conformance::stage::{Kind, Stage, agree, submit};
use conformance::world::AccessPoint;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

const RETRY: &str =
    "overrides = { retry = { first_seconds = 1, factor = 1, longest_seconds = 1, within_seconds = 3600 } }\n";
const LIMITS: &str = "\n[limits]\nshutdown_seconds = 2\n";

/// The text between two marks.
fn between<'t>(text: &'t str, before: &str, after: &str) -> Result<&'t str> {
    let (_, rest) = text.split_once(before).with_context(|| format!("no {before}"))?;
    Ok(rest.split_once(after).with_context(|| format!("no {after}"))?.0)
}

/// Leads one request to the receiver and keeps what it answers; gives the MessageId, and the connection, which stays open.
async fn swallowed(listener: &TcpListener, receiver: &AccessPoint) -> Result<(String, TcpStream)> {
    let (mut from, _) = listener.accept().await?;
    let mut to = TcpStream::connect(receiver.node.ports.as4).await?;
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    let (mut some, mut others) = (vec![0; 65536], vec![0; 65536]);
    while !String::from_utf8_lossy(&answered).contains(":Receipt") {
        tokio::select! {
            read = from.read(&mut some) => {
                let octets = &some[..read?];
                ensure!(!octets.is_empty(), "the sender hung up");
                asked.extend_from_slice(octets);
                to.write_all(octets).await?;
            }
            read = to.read(&mut others) => {
                let octets = &others[..read?];
                ensure!(!octets.is_empty(), "{}", String::from_utf8_lossy(&answered));
                answered.extend_from_slice(octets);
            }
        }
    }
    let asked = String::from_utf8_lossy(&asked);
    Ok((between(&asked, ":MessageId>", "</")?.to_owned(), from))
}

/// Leads everything there and back.
async fn lead(listener: TcpListener, receiver: std::net::SocketAddr) -> Result<()> {
    loop {
        let (mut from, _) = listener.accept().await?;
        let mut to = TcpStream::connect(receiver).await?;
        tokio::spawn(async move { copy_bidirectional(&mut from, &mut to).await });
    }
}

/// The one message of a submission, once it has so many attempts that have ended.
async fn attempted(sender: &AccessPoint, id: &str, count: usize) -> Result<Value> {
    let path = format!("/api/submissions/{id}");
    for _ in 0..200 {
        let shown = http::get(sender.node.ports.admin, &path).await?;
        let message = shown["recipients"][0]["messages"][0].clone();
        if list(&message["attempts"]).filter(|attempt| !attempt["outcome"].is_null()).count() >= count {
            return Ok(message);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("no {count} attempts of {id}")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_does_not_end_is_cut_off_and_done_again() -> Result<()> {
    let stage = Stage::with(env!("CARGO_BIN_EXE_tilts").as_ref(), 2048)?;
    let mut sender = stage.node("one", &[Kind::Rsa], true)?;
    let mut receiver = stage.node("two", &[Kind::Rsa], true)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/as4", listener.local_addr()?);
    stage.append("one", &(agree(&receiver, Kind::Rsa, "", &url) + RETRY + LIMITS))?;
    stage.append("two", &agree(&sender, Kind::Rsa, "", &format!("http://{}/as4", free()?)))?;
    plain(&stage.world.root.join("two/tilts.toml"))?;
    receiver.node.start().await?;
    sender.node.start().await?;
    let id = submit(&sender, SENDER, "to-two::1").await?;
    let (first, _open) = swallowed(&listener, &receiver).await?;
    let begun = Instant::now();
    sender.node.stop().await?;
    let taken = begun.elapsed();
    ensure!(taken > Duration::from_secs(1) && taken < Duration::from_secs(10), "ended after {taken:?}");
    tokio::spawn(lead(listener, receiver.node.ports.as4));
    sender.node.start().await?;
    let message = attempted(&sender, &id, 2).await?;
    let outcomes: Vec<_> = list(&message["attempts"]).map(|attempt| attempt["outcome"].clone()).collect();
    ensure!(outcomes == ["uncertain", "receipted"], "{message:#}");
    ensure!(message["message_id"] == *first, "{first} was sent, then {}", message["message_id"]);
    let delivered = delivered(&receiver).await?.len();
    ensure!(delivered == 1, "delivered {delivered} times");
    sender.node.stop().await?;
    receiver.node.stop().await
}
