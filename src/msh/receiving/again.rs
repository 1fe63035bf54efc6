//! A MessageId that came before: is it the same message?
//!
//! Peers that retry by building the message anew give it another `eb:Timestamp`, other ids and other Content-IDs, so that its
//! digests differ although it says the same. Whoever gets a receipt believes that what it sent was taken: therefore everything
//! else, the header and the digest of each payload, must be what was stored (docs/decisions/what-a-duplicate-is.md).

use crate::clock::Timestamp;
use crate::ebms::{Messaging, SignedReference, UserMessage};
use crate::mime::cid_of_href;
use crate::wssec::{Document, XmlLimits};

/// What a message under a known MessageId is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// The same references: the stored receipt answers it.
    Same,
    /// The same message, built anew: a receipt of its own answers it.
    Rebuilt,
    /// Another message: a contradiction.
    Other,
}

/// A message as far as it matters here.
pub(super) struct Copy<'m> {
    /// What its header says.
    pub message: &'m UserMessage,
    /// The references of its SignedInfo.
    pub references: &'m [SignedReference],
}

/// Compares what came with what is stored: the octets of `eb:Messaging` and the references of then.
pub(super) fn compare(came: &Copy<'_>, messaging: &[u8], references: &[SignedReference]) -> Again {
    if sorted(came.references) == sorted(references) {
        return Again::Same;
    }
    let Some(known) = read(messaging) else { return Again::Other };
    match (essence(came), essence(&Copy { message: &known, references })) {
        (Some(came), Some(known)) if came == known => Again::Rebuilt,
        _ => Again::Other,
    }
}

fn sorted(references: &[SignedReference]) -> Vec<(&str, &[u8], &[String])> {
    let mut all: Vec<(&str, &[u8], &[String])> =
        references.iter().map(|r| (r.uri.as_str(), &r.digest_value[..], &r.transforms[..])).collect();
    all.sort();
    all
}

fn read(messaging: &[u8]) -> Option<UserMessage> {
    let document = Document::parse(messaging, &XmlLimits::default()).ok()?;
    Messaging::read(document.root()).ok()?.user_message().cloned()
}

/// The message without what a second building changes: in place of its Content-ID stands each part's digest. `None` when a part
/// has no digest: then nothing can be said to be the same.
fn essence(copy: &Copy<'_>) -> Option<UserMessage> {
    let mut message = copy.message.clone();
    message.info.timestamp = Timestamp::UNIX_EPOCH;
    for part in &mut message.parts {
        let cid = cid_of_href(part.href.as_deref()?)?;
        let reference = copy.references.iter().find(|r| cid_of_href(&r.uri).as_ref() == Some(&cid))?;
        part.href = Some(hex::encode(&reference.digest_value));
    }
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(uri: &str, digest: u8) -> SignedReference {
        SignedReference {
            uri: uri.into(),
            transforms: vec!["t".into()],
            digest_method: "d".into(),
            digest_value: vec![digest],
        }
    }

    fn messaging(timestamp: &str, cid: &str, recipient: &str) -> String {
        format!(
            "<eb:Messaging xmlns:eb=\"http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/\"><eb:UserMessage>\
             <eb:MessageInfo><eb:Timestamp>{timestamp}</eb:Timestamp><eb:MessageId>1@a</eb:MessageId></eb:MessageInfo>\
             <eb:PartyInfo><eb:From><eb:PartyId type=\"t\">A</eb:PartyId><eb:Role>r</eb:Role></eb:From><eb:To><eb:PartyId \
             type=\"t\">B</eb:PartyId><eb:Role>r</eb:Role></eb:To></eb:PartyInfo><eb:CollaborationInfo><eb:Service \
             type=\"t\">s</eb:Service><eb:Action>a</eb:Action><eb:ConversationId>c</eb:ConversationId></eb:CollaborationInfo>\
             <eb:MessageProperties><eb:Property name=\"finalRecipient\">{recipient}</eb:Property></eb:MessageProperties>\
             <eb:PayloadInfo><eb:PartInfo href=\"{cid}\"/></eb:PayloadInfo></eb:UserMessage></eb:Messaging>"
        )
    }

    fn judged(stored: &str, came: &str, references: [&[SignedReference]; 2]) -> Again {
        let message = read(came.as_bytes()).expect("a header");
        compare(&Copy { message: &message, references: references[1] }, stored.as_bytes(), references[0])
    }

    #[test]
    fn only_time_and_ids_may_differ() {
        let first = messaging("2026-01-01T00:00:00Z", "cid:1", "x");
        let stored = [reference("#m", 1), reference("cid:1", 2)];
        let turned = [reference("cid:1", 2), reference("#m", 1)];
        assert_eq!(judged(&first, &first, [&stored, &turned]), Again::Same);
        let later = messaging("2026-01-01T00:09:00Z", "cid:9", "x");
        assert_eq!(
            judged(&first, &later, [&stored, &[reference("#n", 7), reference("cid:9", 2)]]),
            Again::Rebuilt
        );
        let payload = [reference("#n", 7), reference("cid:9", 3)];
        assert_eq!(judged(&first, &later, [&stored, &payload]), Again::Other);
        let elsewhere = messaging("2026-01-01T00:00:00Z", "cid:1", "y");
        assert_eq!(
            judged(&first, &elsewhere, [&stored, &[reference("#m", 8), reference("cid:1", 2)]]),
            Again::Other
        );
    }

    #[test]
    fn a_header_that_cannot_be_read_is_another_one() {
        let came = messaging("2026-01-01T00:00:00Z", "cid:1", "x");
        let references = [&[reference("#m", 1)][..], &[reference("#m", 2)][..]];
        assert_eq!(judged("", &came, references), Again::Other);
    }
}
