//! Reads the signal on a response and says how far it can be believed.

use super::super::Node;
use super::seal::Sealed;
use crate::ebms::{ErrorEntry, MessageInfo, Messaging, Receipt, Severity, SignalContent, Unit};
use crate::mime::{ContentType, Event, Limits, PushParser};
use crate::pki::Certificate;
use crate::thread;
use crate::transport::Response;
use crate::wssec::{Document, Header, XmlLimits};

/// A signal as it came.
pub(super) struct Signal {
    /// Ids and time.
    pub info: MessageInfo,
    /// What it says.
    pub content: Content,
    /// Who signed it, where the signature is valid, covers the header, and is the responder's.
    pub signer: Option<Certificate>,
    /// Why the signature is not believed, where there is one.
    pub disbelief: Option<String>,
    /// The SOAP envelope as it came: the evidence.
    pub octets: Vec<u8>,
}

/// What a signal says.
pub(super) enum Content {
    /// A receipt.
    Receipt(Receipt),
    /// Errors.
    Errors(Vec<ErrorEntry>),
}

/// The signal on a response; whatever the HTTP status (as4-wire 3.2), or why there is none.
pub(super) async fn read(node: &Node, sealed: &Sealed<'_>, response: &Response) -> Result<Signal, String> {
    if response.body.is_empty() {
        return Err(format!("HTTP {} without a signal", response.status.as_u16()));
    }
    let octets = envelope(response)?;
    let size = octets.len();
    let (mut signal, path) = thread::work(size, || taken_apart(node, sealed, response, octets))?;
    let pmode = &sealed.packaged.planned.pmode;
    if let Err(unusable) = node.judge_revocation(pmode, &path).await {
        (signal.signer, signal.disbelief) = (None, Some(unusable.to_string()));
    }
    Ok(signal)
}

/// The signal, and the path from its signer to an anchor; empty where it is not signed, or not believed.
fn taken_apart(
    node: &Node,
    sealed: &Sealed<'_>,
    response: &Response,
    octets: Vec<u8>,
) -> Result<(Signal, Vec<Certificate>), String> {
    let document = Document::parse(&octets, &XmlLimits::default())
        .map_err(|e| format!("HTTP {} with something that is no signal: {e}", response.status.as_u16()))?;
    let header = Header::locate(&document).map_err(|e| format!("no usable signal: {e}"))?;
    let messaging = Messaging::read(document.element(header.messaging()))
        .map_err(|e| format!("no usable signal: {e}"))?;
    let (info, content) = only_signal(messaging)?;
    let (signer, path, disbelief) = match signer(node, sealed, &document, &header) {
        Ok(None) => (None, Vec::new(), None),
        Ok(Some((signer, path))) => (Some(signer), path, None),
        Err(reason) => (None, Vec::new(), Some(reason)),
    };
    Ok((Signal { info, content, signer, disbelief, octets }, path))
}

/// The signal that counts: the only one, or a receipt beside errors of which none is a failure (EBMS3 5.2.4, 6.2.5).
fn only_signal(messaging: Messaging) -> Result<(MessageInfo, Content), String> {
    let (mut receipts, mut others) = (Vec::new(), Vec::new());
    for unit in messaging.units {
        match unit {
            Unit::Signal(signal) => match signal.content {
                SignalContent::Receipt(receipt) => receipts.push((signal.info, Content::Receipt(receipt))),
                SignalContent::Errors(errors) => others.push((signal.info, errors)),
                SignalContent::Pull(_) => return Err("the answer is a pull request".into()),
            },
            Unit::User(_) => return Err("the answer holds a user message".into()),
        }
    }
    let warnings = |errors: &[ErrorEntry]| errors.iter().all(|e| e.severity() == Severity::Warning);
    match (receipts.pop(), others.pop()) {
        (Some(receipt), None) if receipts.is_empty() => Ok(receipt),
        (Some(receipt), Some((_, errors)))
            if receipts.is_empty() && others.is_empty() && warnings(&errors) =>
        {
            // The texts are the peer's and may name persons: only the codes are logged (design 2, promise 8).
            let codes: Vec<&str> = errors.iter().map(|error| error.code.as_str()).collect();
            tracing::warn!(?codes, "a warning came beside the receipt");
            Ok(receipt)
        }
        (None, Some((info, errors))) if others.is_empty() => Ok((info, Content::Errors(errors))),
        _ => Err("the answer does not hold exactly one signal that counts".into()),
    }
}

/// The signer and its path to an anchor, `None` for an unsigned signal; why it is not believed otherwise.
fn signer(
    node: &Node,
    sealed: &Sealed<'_>,
    document: &Document,
    header: &Header,
) -> Result<Option<(Certificate, Vec<Certificate>)>, String> {
    if !header.is_signed(document) {
        return Ok(None);
    }
    let pmode = &sealed.packaged.planned.pmode;
    let policy = pmode.security_policy().for_signals();
    let now = node.clock.now();
    let signed = header.judge_policy(document, &policy, now).map_err(|e| e.to_string())?;
    // The certificate that a lookup gave is known to nobody else.
    let given = sealed.packaged.planned.endpoint.certificate.as_slice();
    let signer = signed.signer(given).or_else(|_| signed.signer_among(&|hint| node.peers.named_by(hint)));
    let signer = signer.map_err(|e| e.to_string())?;
    let believed = node.peers.believe(pmode, &signer.certificate, &signer.chain, now);
    let path = believed.map_err(|e| e.to_string())?;
    let verified = signed.verify(signer, &[]).map_err(|e| e.to_string())?;
    Ok(Some((verified.signer().clone(), path)))
}

/// The envelope of a plain or multipart answer.
fn envelope(response: &Response) -> Result<Vec<u8>, String> {
    let kind = response.headers.get(hyper::header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let Some(kind) = kind.and_then(|k| ContentType::parse(k).ok()) else { return Ok(response.body.to_vec()) };
    if kind.media_type != "multipart/related" {
        return Ok(response.body.to_vec());
    }
    let mut parser = PushParser::new(&kind, Limits::default()).map_err(|e| e.to_string())?;
    let (mut root, mut part) = (Vec::new(), 0);
    let mut take = |event: Event<'_>| -> Result<(), crate::mime::Error> {
        match event {
            Event::PartStart(_) => part += 1,
            Event::Data(octets) if part == 1 => root.extend_from_slice(octets),
            Event::Data(_) | Event::PartEnd | Event::End => {}
        }
        Ok(())
    };
    parser.push(&response.body, &mut take).map_err(|e| e.to_string())?;
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ebms::{Code, SignalMessage};

    fn signal(content: SignalContent) -> Unit {
        let info = MessageInfo {
            timestamp: "2026-11-22T12:00:00Z".parse().unwrap(),
            message_id: "s@x".into(),
            ref_to_message_id: Some("1@x".into()),
        };
        Unit::Signal(SignalMessage { info, content })
    }

    fn error(severity: &str) -> Unit {
        let entry = ErrorEntry {
            severity: severity.into(),
            ..ErrorEntry::of(Code::EmptyMessagePartitionChannel, None)
        };
        signal(SignalContent::Errors(vec![entry]))
    }

    #[test]
    fn a_warning_beside_a_receipt_does_not_hide_it_and_a_failure_does() {
        let receipt = || signal(SignalContent::Receipt(Receipt { references: None }));
        let counts = |units| only_signal(Messaging { units }).map(|(_, content)| content);
        assert!(matches!(counts(vec![receipt()]), Ok(Content::Receipt(_))));
        assert!(matches!(counts(vec![error("warning"), receipt()]), Ok(Content::Receipt(_))));
        assert!(matches!(counts(vec![error("failure")]), Ok(Content::Errors(_))));
        assert!(counts(vec![error("failure"), receipt()]).is_err());
        assert!(counts(vec![receipt(), receipt()]).is_err());
        assert!(counts(vec![error("warning"), error("warning")]).is_err());
        assert!(counts(Vec::new()).is_err());
    }
}
