//! A registry that does not answer is the matter of those who are to be found there: others are sent to meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use conformance::demo::{SENT, status_of};
use conformance::http;
use conformance::probe::SENDER;
use conformance::stage::{Kind, Stage, agree, submit, url};
use conformance::world::{ENVELOPE, PROCESS};
use serde_json::json;
use tokio::net::UdpSocket;

/// Messages at once.
const LIMITS: &str = "\n[limits]\nsending = 4\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_silent_holds_up_nobody_else() -> Result<()> {
    let stage = Stage::set()?;
    let mut sender = stage.node("one", &[Kind::Rsa], true)?;
    let mut receiver = stage.node("two", &[Kind::Rsa], true)?;
    stage.append("one", &(agree(&receiver, Kind::Rsa, "", &url(&receiver)) + LIMITS))?;
    stage.append("two", &agree(&sender, Kind::Rsa, "", &url(&sender)))?;
    let silent = UdpSocket::bind(stage.resolver).await?;
    receiver.node.start().await?;
    sender.node.start().await?;
    let abroad = (0..12).map(|n| json!({ "participant": format!("iso6523-actorid-upis::0191:1000{n:04}") }));
    let description = json!({
        "client_id": "to many", "original_sender": SENDER, "document_type": ENVELOPE, "process": PROCESS,
        "recipients": abroad.collect::<Vec<_>>(),
    });
    http::post(sender.node.ports.backend, "/v1/submissions?backend=all", &description).await?;
    let mut question = [0; 512];
    silent.recv_from(&mut question).await?;
    let id = submit(&sender, SENDER, "to-two::1").await?;
    let begun = Instant::now();
    loop {
        let shown = http::get(sender.node.ports.admin, &format!("/api/submissions/{id}")).await?;
        if status_of(&shown["submission"]["recipients"][0]).send == SENT {
            break;
        }
        ensure!(begun.elapsed() < Duration::from_secs(15), "not sent for {:?}: {shown:#}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("sent after {:?}", begun.elapsed());
    sender.node.stop().await?;
    receiver.node.stop().await
}
