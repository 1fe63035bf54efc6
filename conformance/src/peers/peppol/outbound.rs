//! tilts sends, a Peppol stack receives: whether what tilts says of a message is true, whatever the stack answers.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Network, Peer, SERVED, Stack, Way};
use crate::peers::gateway::Gateway;
use crate::peers::outbound::{End, end, short};
use crate::peers::report::Report;
use crate::peppol::{self, DOCUMENT_TYPE, enveloped, invoice};
use crate::world::PROCESS_PEPPOL;

/// What must come of a message.
#[derive(Clone, Copy)]
enum Expected {
    /// Izsūtīts after so many attempts; the peer has it as often.
    Receipted(usize),
    /// Neizdevās izsūtīt, with that in the reason; the peer has nothing.
    Failed(&'static str),
    /// Apstrādē, with that in a reason; the peer has it.
    Uncertain(&'static str),
    /// A message to the test service: Izsūtīts; the peer's backend was not asked.
    Pinged,
}

use Expected::{Failed, Pinged, Receipted, Uncertain};

struct Case {
    name: &'static str,
    way: Way,
    /// Whether the submission brings its business envelope.
    ready: bool,
    /// Whether the node sends whose certificate nobody knows.
    stranger: bool,
    expected: Expected,
}

/// Runs all cases: submits all, then waits for the end of each.
pub(super) async fn run(network: &Network<'_>, peer: &mut Peer, report: &mut Report) -> Result<()> {
    let pair = peer.stack.outbound_pair();
    let mut submitted = Vec::new();
    for case in cases(peer.stack) {
        let from = if case.stranger { &network.stranger } else { &network.node };
        let id = submit(from, peer.stack, &case).await;
        submitted.push((case, from, id));
    }
    for (case, from, id) in submitted {
        let outcome = match id {
            Ok(id) => judged(from, peer, &case, &id).await,
            Err(error) => Err(error),
        };
        match case.expected {
            Receipted(_) | Pinged => report.add_delivery(&pair, case.name, outcome),
            _ => report.add(&pair, case.name, outcome),
        }
    }
    let (case, why) = match peer.stack {
        Stack::As4 => ("test service", "as4 takes nothing without an SBDH"),
        Stack::Phase4 => ("the receipt is not signed", "phase4's own profile refuses an agreement like that"),
    };
    report.leave_out(&pair, case, why);
    Ok(())
}

fn cases(stack: Stack) -> Vec<Case> {
    let case = |name, way, expected| Case { name, way, ready: false, stranger: false, expected };
    let untrusted = match stack {
        Stack::As4 => Failed("EBMS:0101"),
        // phase4 says so of every failure of signature or decryption.
        Stack::Phase4 => Failed("EBMS:0102"),
    };
    let lossy = match stack {
        // as4 eliminates no duplicates: whoever uses it must.
        Stack::As4 => case("receipt lost; the same message again", Way::Lossy, Receipted(2)),
        Stack::Phase4 => {
            case("receipt lost; phase4 refuses the duplicate", Way::Lossy, Uncertain("has it already"))
        }
    };
    let unsigned = case("the receipt is not signed", Way::UnsignedReceipt, Uncertain("EBMS:0302"));
    let ping = case("test service", Way::Good, Pinged);
    let own = match stack {
        Stack::As4 => unsigned,
        Stack::Phase4 => ping,
    };
    vec![
        own,
        case("invoice; tilts makes the SBDH", Way::Good, Receipted(1)),
        Case { ready: true, ..case("invoice with its SBDH", Way::Good, Receipted(1)) },
        case("the peer does not serve the receiver", Way::NotServed, Failed("NOT_SERVICED")),
        case("encrypted for another key", Way::WrongKey, Failed("EBMS:0102")),
        Case {
            stranger: true,
            ..case("the node's certificate is of an unknown authority", Way::Good, untrusted)
        },
        case("another party signed the receipt", Way::ForeignReceipt, Uncertain("EBMS:0302")),
        lossy,
    ]
}

async fn submit(from: &Gateway, stack: Stack, case: &Case) -> Result<String> {
    let recipient = case.way.participant(stack);
    let mut description = json!({ "client_id": uuid::Uuid::new_v4().to_string() });
    let ready = enveloped(SERVED, &recipient);
    let bare = invoice();
    let documents = match case.expected {
        Pinged => vec![],
        _ if case.ready => vec![ready.as_bytes()],
        _ => vec![bare.as_bytes()],
    };
    match case.expected {
        Pinged => description["test"] = json!(true),
        _ if case.ready => {}
        _ => description["sbdh"] = json!({ "country_c1": "LV" }),
    }
    let corners = [SERVED, &recipient];
    let to = from.node.ports.backend;
    let answer = peppol::submit(to, "office", corners, description, &documents).await?.json()?;
    Ok(answer["id"].as_str().context("no id")?.to_owned())
}

async fn judged(from: &Gateway, peer: &mut Peer, case: &Case, id: &str) -> Result<String> {
    let end = end(from, id).await?;
    let taken = peer
        .receiver
        .lines(|line| line["event"] == "received" && line["message_id"] == end.message_id.as_str());
    ensure!(end.delivery == "-" || end.delivery == "none" || end.delivery.is_empty(), "{end:?}");
    match case.expected {
        Receipted(attempts) => {
            ensure!(end.state == "at-remote-gateway" && end.send == "sent", "{end:?}");
            ensure!(end.attempts.len() == attempts, "{} attempts: {end:?}", end.attempts.len());
            arrived(&taken, from, peer.stack, case, attempts)?;
            Ok(format!("Izsūtīts after {attempts}; the peer has the same invoice"))
        }
        Failed(word) => {
            ensure!(end.state == "failed" && end.send == "failed" && taken.is_empty(), "{end:?}, {taken:?}");
            ensure!(end.last().contains(word), "{word} was expected: {end:?}");
            Ok(format!("Neizdevās izsūtīt: {}", short(end.last())))
        }
        Pinged => {
            ensure!(end.state == "at-remote-gateway" && taken.is_empty(), "{end:?}, {taken:?}");
            Ok("receipted, not delivered".into())
        }
        Uncertain(word) => {
            ensure!(end.state == "uncertain" && end.send == "processing", "{end:?}");
            ensure!(says(&end, word), "{word:?} was expected: {end:?}");
            ensure!(!taken.is_empty(), "the peer has nothing");
            Ok(format!("Apstrādē, operator told: {}", short(end.last())))
        }
    }
}

fn says(end: &End, word: &str) -> bool {
    end.attempts.iter().any(|attempt| attempt.contains(word))
}

/// The peer got it that often, each time signed by the node, with that invoice, in an envelope that says what it must.
fn arrived(taken: &[Value], from: &Gateway, stack: Stack, case: &Case, times: usize) -> Result<()> {
    ensure!(taken.len() == times, "the peer has it {} times", taken.len());
    let recipient = case.way.participant(stack);
    let value = |id: &'static str| id.split_once("::").map_or(id, |(_, value)| value);
    for line in taken {
        ensure!(line["signer"] == from.fingerprint.as_str(), "signed by {}", line["signer"]);
        ensure!(
            line["sender"] == value(SERVED) && recipient.ends_with(line["recipient"].as_str().unwrap_or("?")),
            "{line}"
        );
        ensure!(
            line["document_type"] == value(DOCUMENT_TYPE) && line["process"] == value(PROCESS_PEPPOL),
            "{line}"
        );
        let content = std::fs::read_to_string(line["file"].as_str().context("no file")?)?;
        let bare = invoice();
        match case.ready {
            true => {
                ensure!(content == enveloped(SERVED, &recipient), "a ready envelope was changed: {content}")
            }
            false => ensure!(
                content.contains(&bare[bare.find("<u:").unwrap_or(0)..]),
                "the invoice was changed: {content}"
            ),
        }
    }
    Ok(())
}
