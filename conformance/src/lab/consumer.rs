//! The consumer: fetches what is offered, compares it with what was handed in, says its word until it is heard.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};

use super::ledger::{Ledger, Letter};
use crate::demo::list;
use crate::http::{self, Ask, Sockets};
use crate::peers::job::sha256;

/// Messages taken side by side.
const SIDE_BY_SIDE: usize = 6;

/// Consumes from the nodes in turn until it is aborted.
pub(super) async fn consume(backends: Vec<SocketAddr>, ledger: Ledger) {
    for backend in backends.iter().cycle() {
        // The node is down now and then: whatever fails is done again.
        let _ = round(&Sockets, *backend, &ledger).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// Says what was not heard, then takes all that is offered.
///
/// # Errors
/// The node's, or the way to it: whatever failed is to be done again.
pub async fn round(by: &dyn Ask, backend: SocketAddr, ledger: &Ledger) -> Result<()> {
    let unheard = ledger.book().unheard.clone();
    for (id, word) in unheard {
        say(by, backend, (&id, &word), ledger).await?;
    }
    let listed = http::get_by(by, backend, "/v1/messages?limit=60").await?;
    let messages: Vec<&Value> = list(&listed["messages"]).collect();
    for some in messages.chunks(SIDE_BY_SIDE) {
        futures_util::future::try_join_all(some.iter().map(|message| take(by, backend, message, ledger)))
            .await?;
    }
    Ok(())
}

async fn take(by: &dyn Ask, backend: SocketAddr, message: &Value, ledger: &Ledger) -> Result<()> {
    let id = message["id"].as_str().context("no id")?;
    let path = format!("/v1/messages/{id}");
    let part =
        http::request_by(by, backend, Method::GET, &format!("{path}/parts/0"), ("", Bytes::new())).await?;
    ensure!(part.status.is_success(), "HTTP {}", part.status);
    let digest = sha256(&part.body);
    let recipient = message["final_recipient"].as_str().context("no recipient")?;
    compare(message, (id, recipient), &digest, ledger);
    let word = match Letter::is_refused(recipient, &digest) {
        true => json!({ "outcome": "refused", "reason": "Not for us" }),
        false => json!({ "outcome": "accepted" }),
    };
    say(by, backend, (id, &word.to_string()), ledger).await
}

/// Says the word on a delivery. Whether it was taken may remain unknown; then it is said again, offered or not.
async fn say(by: &dyn Ask, backend: SocketAddr, (id, word): (&str, &str), ledger: &Ledger) -> Result<()> {
    ledger.book().unheard.insert(id.to_owned(), word.to_owned());
    let path = format!("/v1/messages/{id}/acknowledge");
    let said = ("application/json", Bytes::from(word.to_owned()));
    let answer = http::request_by(by, backend, Method::POST, &path, said).await?;
    if answer.status.is_server_error() {
        return Ok(());
    }
    let mut book = ledger.book();
    book.unheard.remove(id);
    book.settled.insert(id.to_owned());
    if !answer.status.is_success() {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        book.wrong.push(format!("{id}: the word is not taken: HTTP {}: {text}", answer.status));
    }
    Ok(())
}

/// Keeps and judges what was offered.
pub fn compare(message: &Value, (delivery, recipient): (&str, &str), digest: &str, ledger: &Ledger) {
    let message_id = message["message_id"].as_str().unwrap_or_default();
    let mut book = ledger.book();
    if book.handed_in.get(recipient).map(String::as_str) != Some(digest) {
        book.wrong.push(format!("{delivery} for {recipient}: other content than was handed in"));
    }
    if book.settled.contains(delivery) {
        book.wrong.push(format!("{delivery} for {recipient}: offered again after it was settled"));
    }
    if list(&message["parts"]).count() != 1 {
        book.wrong.push(format!("{delivery} for {recipient}: {} parts", list(&message["parts"]).count()));
    }
    let offers = book.offered.entry(recipient.to_owned()).or_default();
    offers.insert((delivery.to_owned(), message_id.to_owned()));
}
