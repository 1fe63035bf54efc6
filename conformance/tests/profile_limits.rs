//! What a profile allows of a message counts on both sides: what breaks it is not sent, or refused; and is told so.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use conformance::demo::{FAILED, PROCESSING, SENT, list, status_of};
use conformance::hostile::target::delivered;
use conformance::http::{self, Part, multipart};
use conformance::probe::SENDER;
use conformance::stage::{Kind, Stage, agree, url};
use conformance::world::{AccessPoint, ENVELOPE, PROCESS};
use hyper::Method;
use serde_json::{Value, json};

/// Two nodes whose agreements differ by what stands here.
struct Case {
    what: &'static str,
    ours: &'static str,
    theirs: &'static str,
    /// Fields of the submission.
    says: Value,
    send: &'static str,
    /// In the reason of a failure; else the ConversationId that arrives.
    words: &'static str,
    attempts: usize,
}

fn cases() -> [Case; 7] {
    let (named, none) = (|| json!({ "conversation_id": "case-7" }), || json!({}));
    let case = |what, (ours, theirs), says, send, (words, attempts)| Case {
        what,
        ours,
        theirs,
        says,
        send,
        words,
        attempts,
    };
    let (small, uuid, empty) =
        ("max_payload_octets = 1000", "conversation_id = \"uuid\"", "conversation_id = \"empty\"");
    let (forbidden, reply) = ("ref_to_message_id = \"forbidden\"", json!({ "ref_to_message_id": "1@away" }));
    [
        case("too large for us", (small, ""), none(), FAILED, ("2000 octets; the profile allows 1000", 0)),
        case("too large for them", ("", small), none(), FAILED, ("EBMS:", 1)),
        case("no UUID for us", (uuid, ""), named(), FAILED, ("\"case-7\"", 0)),
        case("no UUID for them", ("", uuid), named(), FAILED, ("EBMS:", 1)),
        case("empty on the wire", (empty, empty), named(), SENT, ("", 1)),
        case("as it was said", ("", ""), named(), SENT, ("case-7", 1)),
        case("a reply where there are none", (forbidden, ""), reply, FAILED, ("1@away", 0)),
    ]
}

/// Hands in 2,000 octets.
async fn submit(from: &AccessPoint, case: &Case) -> Result<String> {
    let mut description = json!({
        "client_id": case.what, "original_sender": SENDER, "document_type": ENVELOPE, "process": PROCESS,
        "recipients": [{ "participant": "to-two::1" }],
    });
    let fields = case.says.as_object().context("no fields")?.clone();
    description.as_object_mut().context("no fields")?.extend(fields);
    let (kind, body) = multipart(&[
        Part::new("description", "application/json", description.to_string().into_bytes()),
        Part::new("letter", "application/octet-stream", vec![b'x'; 2000]),
    ]);
    let path = "/v1/submissions?backend=all";
    let answer = http::request(from.node.ports.backend, Method::POST, path, &kind, body).await?.json()?;
    Ok(answer["id"].as_str().with_context(|| format!("no id in {answer}"))?.to_owned())
}

/// The recipient, once something is known of it.
async fn settled(node: &AccessPoint, id: &str) -> Result<Value> {
    for _ in 0..200 {
        let shown = http::get(node.node.ports.admin, &format!("/api/submissions/{id}")).await?;
        if status_of(&shown["submission"]["recipients"][0]).send != PROCESSING {
            return Ok(shown);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("nothing became of {id}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_profile_allows_counts_on_both_sides() -> Result<()> {
    for case in cases() {
        played(&case).await.with_context(|| case.what)?;
    }
    Ok(())
}

async fn played(case: &Case) -> Result<()> {
    let stage = Stage::with(conformance::node::tilts_binary()?.as_ref(), 2048)?;
    let mut sender = stage.node("one", &[Kind::Rsa], true)?;
    let mut receiver = stage.node("two", &[Kind::Rsa], true)?;
    for (node, partner, rules) in [("one", &receiver, case.ours), ("two", &sender, case.theirs)] {
        let overrides = format!("overrides = {{ {rules} }}\n");
        stage.append(node, &(agree(partner, Kind::Rsa, "", &url(partner)) + &overrides))?;
    }
    receiver.node.start().await?;
    sender.node.start().await?;
    let id = submit(&sender, case).await?;
    let shown = settled(&sender, &id).await?;
    let message = &shown["recipients"][0]["messages"][0];
    let status = status_of(&shown["submission"]["recipients"][0]);
    ensure!(status.send == case.send, "{} {message:#}", status.send);
    let attempts = list(&message["attempts"]).count();
    ensure!(attempts == case.attempts, "{attempts} attempts: {message:#}");
    let arrived = delivered(&receiver).await?;
    if case.send == FAILED {
        let detail = message["detail"].as_str().unwrap_or_default();
        ensure!(detail.contains(case.words) && arrived.is_empty(), "{detail:?}, {} arrived", arrived.len());
    } else {
        let [(metadata, _)] = arrived.as_slice() else { anyhow::bail!("{} arrived", arrived.len()) };
        ensure!(metadata["conversation_id"] == case.words, "{metadata:#}");
    }
    sender.node.stop().await?;
    receiver.node.stop().await
}
