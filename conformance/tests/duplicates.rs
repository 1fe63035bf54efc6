//! A message that comes again: the same receipt, one delivery, across restarts; another message under its id is refused.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use conformance::as4::{Message, Part, Request, seal};
use conformance::http;
use conformance::probe::Probe;
use serde_json::json;

/// What is at the backend's disposal, once nothing more is on its way there.
async fn deliveries(probe: &Probe) -> Result<Vec<String>> {
    tokio::time::sleep(Duration::from_millis(700)).await;
    let listed = http::get(probe.node.node.ports.backend, "/v1/messages").await?;
    let all = listed["messages"].as_array().context("no list")?;
    Ok(all.iter().filter_map(|message| message["id"].as_str().map(str::to_owned)).collect())
}

/// The same message in a request of its own: another signature, another boundary would do as well.
fn request(probe: &Probe, message: &Message) -> Result<Request> {
    Ok(seal(message, &probe.sender)?.request())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_again_gets_its_receipt_again_and_is_delivered_once() -> Result<()> {
    let mut probe = Probe::start().await?;
    let message = probe.message();
    let first = probe.send(&request(&probe, &message)?).await?;
    ensure!(first.is_receipt(), "{}", first.body);
    let again = probe.send(&request(&probe, &message)?).await?;
    ensure!(again.body == first.body, "another receipt: {}", again.body);
    let ids = deliveries(&probe).await?;
    ensure!(ids.len() == 1, "delivered {} times", ids.len());

    probe.node.node.kill().await?;
    probe.node.node.start().await?;
    let after_restart = probe.send(&request(&probe, &message)?).await?;
    ensure!(after_restart.body == first.body, "another receipt after a restart: {}", after_restart.body);
    ensure!(deliveries(&probe).await? == ids);

    let path = format!("/v1/messages/{}/acknowledge", ids[0]);
    http::post(probe.node.node.ports.backend, &path, &json!({ "outcome": "accepted" })).await?;
    let after_taking = probe.send(&request(&probe, &message)?).await?;
    ensure!(after_taking.body == first.body, "another receipt after it was taken: {}", after_taking.body);
    ensure!(deliveries(&probe).await?.is_empty(), "offered again after it was taken");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_message_under_the_same_id_is_refused_and_never_delivered() -> Result<()> {
    let probe = Probe::start().await?;
    let message = probe.message();
    let first = probe.send(&request(&probe, &message)?).await?;
    ensure!(first.is_receipt(), "{}", first.body);
    let part = Part::new(&message.parts[0].cid, b"other octets");
    for (case, other) in [
        ("another payload", Message { parts: vec![part], ..message.clone() }),
        ("another header", Message { recipient: "iso6523-actorid-upis::0191:7".into(), ..message.clone() }),
    ] {
        let reply = probe.send(&request(&probe, &other)?).await?;
        ensure!(reply.codes() == ["EBMS:0003"], "{case}: {}", reply.body);
        let rejected = probe.rejected().await?;
        ensure!(rejected[0]["rejected"]["message_id"] == message.id.as_str(), "{case}: {rejected:?}");
    }
    ensure!(deliveries(&probe).await?.len() == 1);
    let again = probe.send(&request(&probe, &message)?).await?;
    ensure!(again.body == first.body, "the right one no longer gets its receipt: {}", again.body);
    Ok(())
}

/// A sender that builds its message anew for a retry gives it another time and another Content-ID.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_message_built_anew_gets_a_receipt_and_no_second_delivery() -> Result<()> {
    let probe = Probe::start().await?;
    let message = probe.message();
    let first = probe.send(&request(&probe, &message)?).await?;
    let part = Part { cid: "rebuilt@suite".into(), ..message.parts[0].clone() };
    let rebuilt = probe.send(&request(&probe, &Message { parts: vec![part], ..message.clone() })?).await?;
    ensure!(rebuilt.is_receipt() && rebuilt.body.contains("rebuilt@suite"), "{}", rebuilt.body);
    ensure!(rebuilt.body != first.body, "the receipt is about the first one");
    ensure!(deliveries(&probe).await?.len() == 1);
    Ok(())
}

/// A sender that lost its patience sends while the first request is still being read.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_message_at_the_same_time_is_delivered_once() -> Result<()> {
    let probe = Probe::start().await?;
    let parts = vec![Part::new("big@suite", &vec![7; 3_000_000])];
    let message = Message { parts, ..probe.message() };
    let request = request(&probe, &message)?;
    let replies = futures_util::future::join_all((0..8).map(|_| probe.send(&request))).await;
    let bodies = replies.into_iter().map(|reply| Ok(reply?.body)).collect::<Result<Vec<_>>>()?;
    ensure!(bodies[0].contains(":Receipt"), "{}", bodies[0]);
    ensure!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "the receipts differ");
    ensure!(deliveries(&probe).await?.len() == 1);
    Ok(())
}

/// What was refused once is looked at anew: only success is remembered.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_refused_may_come_again() -> Result<()> {
    let probe = Probe::start().await?;
    let message = probe.message();
    let mut damaged = request(&probe, &message)?;
    let at = damaged.body.windows(5).position(|octets| octets == b"plain").context("no payload")?;
    damaged.body[at] ^= 1;
    probe.refused("a damaged part", &damaged, "EBMS:0101", "digest").await?;
    let reply = probe.send(&request(&probe, &message)?).await?;
    ensure!(reply.is_receipt(), "{}", reply.body);
    ensure!(deliveries(&probe).await?.len() == 1);
    Ok(())
}
