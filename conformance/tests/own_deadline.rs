//! A message property `deadline` is the sender's word only where evidence is agreed (model 4): else the message would be taken away from its
//! recipient, and nobody would hear of it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use conformance::demo::list;
use conformance::hostile::target::delivered;
use conformance::http;
use conformance::node::tilts_binary;
use conformance::probe::SENDER;
use conformance::stage::{Kind, Stage, agree, url};
use conformance::world::{ENVELOPE, PROCESS};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn where_no_evidence_is_agreed_a_deadline_takes_nothing_away() -> Result<()> {
    let stage = Stage::with(tilts_binary()?.as_ref(), 2048)?;
    let mut sender = stage.node("one", &[Kind::Rsa], true)?;
    let mut receiver = stage.node("two", &[Kind::Rsa], true)?;
    stage.append("one", &agree(&receiver, Kind::Rsa, "", &url(&receiver)))?;
    let agreed = agree(&sender, Kind::Rsa, "", &url(&sender));
    let only_receipts = agreed.replace("evidence = \"rem\"", "evidence = \"receipt-only\"");
    ensure!(only_receipts != agreed, "no evidence in {agreed}");
    stage.append("two", &only_receipts)?;
    receiver.node.start().await?;
    sender.node.start().await?;
    let soon = std::time::SystemTime::now() + Duration::from_secs(2);
    let deadline = jiff::Timestamp::try_from(soon)?.to_string();
    let description = json!({
        "client_id": "1", "original_sender": SENDER, "document_type": ENVELOPE, "process": PROCESS,
        "recipients": [{ "participant": "to-two::1", "deadline": deadline }],
    });
    http::post(sender.node.ports.backend, "/v1/submissions?backend=all", &description).await?;
    let mut arrived = Vec::new();
    for _ in 0..100 {
        arrived = delivered(&receiver).await?;
        if !arrived.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (metadata, _) = arrived.first().context("nothing arrived")?;
    let named = |property: &serde_json::Value| property["name"] == "deadline";
    ensure!(list(&metadata["properties"]).any(named), "the deadline was not sent along: {metadata:#}");
    tokio::time::sleep(Duration::from_secs(4)).await;
    ensure!(delivered(&receiver).await?.len() == 1, "it was taken away from its recipient");
    sender.node.stop().await?;
    receiver.node.stop().await
}
