//! Stage 5: one attempt's answer, or silence, becomes a verdict. The only place where an EBMS code or a network failure
//! is judged transient, permanent, or uncertain (model.md 2).

use super::super::Node;
use super::response::{self, Content, Signal};
use super::seal::Sealed;
use super::transmit::Unsent;
use crate::clock::Timestamp;
use crate::ebms::{ErrorEntry, Receipt, ReceiptMatch, Severity, match_receipt};
use crate::status::{Row, Signal as Said};
use crate::store::{NewEvidence, OutMessage};
use crate::transport::{self, Response, Sent};

/// What became of an attempt.
pub(super) enum Verdict {
    /// The receipt is verified: the row that proves it.
    Receipted { evidence: Box<NewEvidence>, signal: Vec<u8> },
    /// The other side refused for good; with its error signal.
    Refused { reason: String, signal: Vec<u8>, evidence: Box<NewEvidence> },
    /// The other side certainly does not have it: nothing was sent completely, or it said "not now".
    NotTaken { reason: String, signal: Option<Vec<u8>> },
    /// The other side may have it.
    Unknown { reason: String, signal: Option<Vec<u8>> },
}

/// Codes after which the same message may be taken later: ConnectionFailure, DeliveryFailure.
const TRANSIENT: [&str; 2] = ["EBMS:0005", "EBMS:0202"];
/// Codes that a peer can only give before it knows who speaks, and therefore cannot sign.
const BEFORE_IDENTITY: [&str; 3] = ["EBMS:0003", "EBMS:0009", "EBMS:0010"];

/// Judges the answer to an attempt.
pub(super) async fn judge(
    node: &Node,
    message: &OutMessage,
    sealed: &Sealed<'_>,
    sent: Result<Response, Unsent>,
) -> Verdict {
    let answer = match sent {
        Ok(answer) => answer,
        Err(unsent) => return silence(&unsent),
    };
    match response::read(node, sealed, &answer).await {
        Ok(signal) => heard(node, message, sealed, signal, &answer),
        Err(reason) if answer.sent == Sent::Nothing => Verdict::NotTaken { reason, signal: None },
        Err(reason) => Verdict::Unknown { reason, signal: None },
    }
}

/// The receiver's words that our metadata may be stale: it does not serve the recipient (Peppol AS4 2.0.3), or cannot open
/// what was encrypted for the certificate that was looked up.
const STALE: [&str; 2] = ["PEPPOL:NOT_SERVICED", "EBMS:0102"];

/// HTTP statuses of a server that has no such access point (any more): Not Found, Gone, Misdirected Request.
const GONE: [u16; 3] = [404, 410, 421];

/// Whether the server says that it has no such access point: what was looked up may be stale. Whether it took the message is another
/// question (model.md 2), and others on the same host may well be there.
pub(super) fn is_gone(sent: &Result<Response, Unsent>) -> bool {
    sent.as_ref().is_ok_and(|answer| GONE.contains(&answer.status.as_u16()))
}

/// Whether nobody listens where the metadata points, or somebody else does (discovery 2.8).
pub(super) fn was_not_reached(sent: &Result<Response, Unsent>) -> bool {
    use transport::Error;
    match sent {
        Err(Unsent::Transport(Error::Resolve { .. } | Error::Connect { .. } | Error::Tls { .. })) => true,
        Err(Unsent::Transport(Error::TimedOut { sent, .. })) => *sent == Sent::Nothing,
        _ => false,
    }
}

impl Verdict {
    /// Whether the receiver says so (discovery 2.8). Whoever forges this makes us look up once more, and nothing else.
    pub(super) fn says_stale(&self) -> bool {
        match self {
            Self::Receipted { .. } => false,
            Self::Refused { reason, .. } | Self::NotTaken { reason, .. } | Self::Unknown { reason, .. } => {
                STALE.iter().any(|word| reason.contains(word))
            }
        }
    }
}

fn silence(unsent: &Unsent) -> Verdict {
    let reason = unsent.to_string();
    let sent = match unsent {
        Unsent::Transport(error) => error.sent(),
        Unsent::Payload(_) | Unsent::NoClient(_) => Sent::Nothing,
    };
    match sent {
        Sent::Nothing => Verdict::NotTaken { reason, signal: None },
        Sent::Maybe => Verdict::Unknown { reason, signal: None },
    }
}

fn heard(
    node: &Node,
    message: &OutMessage,
    sealed: &Sealed<'_>,
    signal: Signal,
    answer: &Response,
) -> Verdict {
    let now = node.clock.now();
    match &signal.content {
        Content::Receipt(receipt) => match receipt_holds(message, sealed, receipt, &signal) {
            Ok(()) => receipted(signal, now),
            Err(why) => Verdict::Unknown {
                reason: format!("EBMS:0302 InvalidReceipt: {why}"),
                signal: Some(signal.octets),
            },
        },
        Content::Errors(errors) => errors_say(message, errors, &signal, answer, now),
    }
}

/// Sender verification of a receipt (as4-wire 3.1).
fn receipt_holds(
    message: &OutMessage,
    sealed: &Sealed<'_>,
    receipt: &Receipt,
    signal: &Signal,
) -> Result<(), String> {
    if let Some(why) = &signal.disbelief {
        return Err(why.clone());
    }
    if signal.signer.is_none() {
        return Err("it is not signed".into());
    }
    if signal.info.ref_to_message_id.as_deref() != Some(message.message_id.as_str()) {
        return Err(format!("it is about {:?}", signal.info.ref_to_message_id));
    }
    match match_receipt(&sealed.references, receipt.references.as_deref()) {
        ReceiptMatch::Matches => Ok(()),
        ReceiptMatch::WithoutReferences => Err("it has no NonRepudiationInformation".into()),
        ReceiptMatch::Differs(uri) => Err(format!("its reference to {uri} is not the one that was sent")),
    }
}

fn receipted(signal: Signal, now: Timestamp) -> Verdict {
    let row = Row::remote(Said::Receipted, signal.info.timestamp, now, signal.info.message_id.clone());
    let evidence = Box::new(issued(NewEvidence::new(row, "as4-receipt", signal.octets.clone()), &signal));
    Verdict::Receipted { evidence, signal: signal.octets }
}

fn issued(evidence: NewEvidence, signal: &Signal) -> NewEvidence {
    match &signal.signer {
        Some(signer) => evidence.issued_by(signer.sha256()),
        None => evidence,
    }
}

fn errors_say(
    message: &OutMessage,
    errors: &[ErrorEntry],
    signal: &Signal,
    answer: &Response,
    now: Timestamp,
) -> Verdict {
    let reason = errors.iter().map(told).collect::<Vec<_>>().join("; ");
    let octets = signal.octets.clone();
    let unknown = |reason: String| Verdict::Unknown { reason, signal: Some(octets.clone()) };
    let Some(error) = errors.iter().find(|e| e.severity() == Severity::Failure) else {
        return unknown(format!("only warnings came: {reason}"));
    };
    if let Some(other) = about_another(message, signal, error) {
        return unknown(format!("an error about {other} came: {reason}"));
    }
    if !settles(error, signal, answer) {
        return unknown(format!("an error that nobody vouches for: {reason}"));
    }
    if says_duplicate(error) {
        return unknown(format!("the other side has it already and sent no receipt: {reason}"));
    }
    if TRANSIENT.contains(&error.code.as_str()) {
        return Verdict::NotTaken { reason, signal: Some(octets) };
    }
    let row = Row::remote(Said::SendFailed, signal.info.timestamp, now, signal.info.message_id.clone());
    let mut row = row.because(reason.clone());
    row.signed = signal.signer.is_some();
    let evidence = Box::new(issued(NewEvidence::new(row, "as4-error", octets.clone()), signal));
    Verdict::Refused { reason, signal: octets, evidence }
}

fn about_another(message: &OutMessage, signal: &Signal, error: &ErrorEntry) -> Option<String> {
    let named = [signal.info.ref_to_message_id.as_ref(), error.ref_to_message_in_error.as_ref()];
    named.into_iter().flatten().find(|id| **id != message.message_id).cloned()
}

/// An unsigned error settles an attempt only if TLS authenticated the peer, or if it can only be unsigned (model.md 2).
/// A signature that does not hold is worth less than none.
fn settles(error: &ErrorEntry, signal: &Signal, answer: &Response) -> bool {
    if signal.disbelief.is_some() {
        return false;
    }
    signal.signer.is_some() || answer.peer.authenticated || BEFORE_IDENTITY.contains(&error.code.as_str())
}

/// phase4: EBMS:4001, in older versions EBMS:0004 "duplicate" (model.md 2).
fn says_duplicate(error: &ErrorEntry) -> bool {
    let texts = [&error.short_description, &error.description, &error.detail];
    let says =
        |text: &&Option<String>| text.as_ref().is_some_and(|t| t.to_ascii_lowercase().contains("duplicate"));
    error.code == "EBMS:4001" || (error.code == "EBMS:0004" && texts.iter().any(says))
}

fn told(error: &ErrorEntry) -> String {
    let more = [error.short_description.as_deref(), error.detail.as_deref().or(error.description.as_deref())];
    let more: Vec<&str> = more.into_iter().flatten().collect();
    format!("{} {}", error.code, more.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect() -> transport::Error {
        transport::Error::Connect { host: "ap.example".into(), detail: "refused".into() }
    }

    fn timed_out(sent: Sent) -> transport::Error {
        let limit = std::time::Duration::from_secs(1);
        transport::Error::TimedOut { host: "ap.example".into(), phase: "answer", limit, sent }
    }

    #[test]
    fn only_failures_of_the_endpoint_itself_make_its_metadata_stale() {
        let stale = |error| was_not_reached(&Err(Unsent::Transport(error)));
        assert!(stale(connect()) && stale(timed_out(Sent::Nothing)));
        assert!(!stale(timed_out(Sent::Maybe)), "it was there and read");
        assert!(!stale(transport::Error::Body { detail: "disk".into() }), "our own fault");
        assert!(!was_not_reached(&Err(Unsent::NoClient("demo".into()))));
        for (status, expected) in
            [(404, true), (410, true), (421, true), (200, false), (500, false), (503, false)]
        {
            let answer = Response {
                status: hyper::StatusCode::from_u16(status).unwrap(),
                headers: hyper::HeaderMap::new(),
                body: bytes::Bytes::new(),
                peer: transport::PeerTls::default(),
                sent: Sent::Maybe,
            };
            assert!(!was_not_reached(&Ok(answer.clone())));
            assert_eq!(is_gone(&Ok(answer)), expected, "{status}");
        }
    }

    #[test]
    fn a_receiver_that_does_not_serve_the_recipient_makes_the_metadata_stale() {
        let says = |reason: &str| Verdict::Unknown { reason: reason.into(), signal: None }.says_stale();
        assert!(says("EBMS:0004 Other: PEPPOL:NOT_SERVICED"));
        assert!(says("EBMS:0102 FailedDecryption: cannot be decrypted"));
        assert!(!says("EBMS:0004 Other: The recipient is not served here."));
        assert!(!says("EBMS:0202 DeliveryFailure: later"));
    }
}
