//! The producer: hands every letter in again and again until the node says that it has it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hyper::Method;
use serde_json::json;
use tokio::time::Instant;

use super::ledger::{Ledger, Letter};
use crate::http::{self, Answer, Ask, Part, Sockets, multipart};
use crate::world::{ENVELOPE, PROCESS};

/// From so many messages on that are handed in and not yet settled by the consumer, no letter is begun: the queue is never empty,
/// and never so long that a kill meets only waiting rows.
const WINDOW: usize = 60;
/// Letters handed in at once.
const LANES: u64 = 6;
/// How long a letter is insisted on.
const PATIENCE: Duration = Duration::from_secs(300);

/// Hands in the letters `numbers` over several connections, to the nodes in turn.
pub(super) async fn produce(
    to: Vec<SocketAddr>,
    seed: u64,
    numbers: std::ops::Range<u64>,
    ledger: Ledger,
) -> Result<()> {
    let lanes = (0..LANES).map(|lane| {
        let (to, ledger, numbers) = (&to, ledger.clone(), numbers.clone());
        async move {
            for number in (numbers.start + lane..numbers.end).step_by(LANES as usize) {
                hand_in(to, &Letter::new(seed, number), &ledger).await?;
            }
            anyhow::Ok(())
        }
    });
    futures_util::future::try_join_all(lanes).await.map(drop)
}

/// Hands in one letter, once there is room for it.
async fn hand_in(to: &[SocketAddr], letter: &Letter, ledger: &Ledger) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let (acknowledged, settled) = ledger.progress();
        if acknowledged < settled + WINDOW || Instant::now() > until {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    insist(&Sockets, to, letter, ledger).await.with_context(|| letter.client_id())
}

/// Hands a letter in until a node says that it has it.
///
/// # Errors
/// A node refuses it, or none took it in all that time.
pub async fn insist(by: &dyn Ask, to: &[SocketAddr], letter: &Letter, ledger: &Ledger) -> Result<()> {
    ledger.handed_in(letter);
    let id = taken(by, to, letter, ledger).await?;
    ledger.acknowledged(letter, &id);
    Ok(())
}

async fn taken(by: &dyn Ask, to: &[SocketAddr], letter: &Letter, ledger: &Ledger) -> Result<String> {
    let (kind, body) = request(letter);
    let body = Bytes::from(body);
    let until = Instant::now() + PATIENCE;
    // Whoever got no answer asks the next node; the one before may have taken it.
    for node in to.iter().cycle().skip(usize::try_from(letter.number)? % to.len()) {
        match http::request_by(by, *node, Method::POST, "/v1/submissions?backend=all", (&kind, body.clone()))
            .await
        {
            Ok(answer) if answer.status.is_success() => return id(&answer),
            Ok(answer) if answer.status.is_client_error() => bail!("{:?}", answer.json()),
            _ if Instant::now() > until => bail!("not taken in {PATIENCE:?}"),
            // Not able to take it now, or down: whoever insists does no harm.
            Ok(_) => ledger.book().turned_away += 1,
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("there is no node")
}

fn id(answer: &Answer) -> Result<String> {
    Ok(answer.json()?["id"].as_str().context("no id")?.to_owned())
}

/// The same octets every time, the boundary excepted.
fn request(letter: &Letter) -> (String, Vec<u8>) {
    let recipients: Vec<_> = letter.addresses().map(|address| json!({ "participant": address })).collect();
    let description = json!({
        "client_id": letter.client_id(), "original_sender": "to-a::lab", "document_type": ENVELOPE,
        "process": PROCESS, "recipients": recipients,
    });
    multipart(&[
        Part::new("description", "application/json", description.to_string()),
        Part::new("payload", letter.media_type, letter.content.clone()),
    ])
}
