//! Whether a receipt is one for the request given: what is written is compared, nothing is verified.

use crate::ebms::{
    Code, Messaging, Receipt, ReceiptMatch, SignalContent, SignedReference, Unit, match_receipt,
};
use crate::wssec::names::WSSE;
use crate::xml::Document;
use crate::xmlsec::{Signature, names::DS};

use super::{Judge, capture, message, parse};

/// `None` without a request or without a receipt; `false` is EBMS:0302.
pub(super) fn judge(answer: Option<&Messaging>, judge: &mut Judge<'_>) -> Option<bool> {
    let request = judge.options.request.as_deref()?;
    let (ref_to, receipt) = receipt_of(answer?)?;
    let why = match request_of(request) {
        Ok((message_id, _)) if ref_to != Some(message_id.as_str()) => {
            Err(format!("the receipt is for {}, not for {message_id}", ref_to.unwrap_or("no message")))
        }
        Ok((_, references)) => match match_receipt(&references, receipt.references.as_deref()) {
            ReceiptMatch::Matches => Ok(()),
            ReceiptMatch::WithoutReferences => Err("the receipt repeats no references".to_owned()),
            ReceiptMatch::Differs(uri) => Err(format!("the receipt differs in the reference `{uri}`")),
        },
        Err(reason) => Err(format!("the request: {reason}")),
    };
    if let Err(detail) = &why {
        judge.add(Code::InvalidReceipt, detail.clone());
    }
    Some(why.is_ok())
}

fn receipt_of(answer: &Messaging) -> Option<(Option<&str>, &Receipt)> {
    answer.units.iter().find_map(|unit| match unit {
        Unit::Signal(signal) => match &signal.content {
            SignalContent::Receipt(receipt) => Some((signal.info.ref_to_message_id.as_deref(), receipt)),
            _ => None,
        },
        Unit::User(_) => None,
    })
}

/// MessageId and references of a captured request.
fn request_of(octets: &[u8]) -> Result<(String, Vec<SignedReference>), String> {
    let captured = capture::read(octets, None);
    let document = parse(captured.root.as_deref().ok_or("no XML in it")?)?;
    let id = message_id(&document).ok_or("no UserMessage with a MessageId in it")?;
    let security = document.root().descendants().find(|element| element.is(WSSE, "Security"));
    let signature =
        security.and_then(|security| security.child(DS, "Signature")).ok_or("it is not signed")?;
    let signature = Signature::parse(signature).map_err(|error| error.to_string())?;
    Ok((id, signature.signed_references()))
}

fn message_id(document: &Document) -> Option<String> {
    if !message::is_envelope(document) {
        return None;
    }
    let messaging = document.root().descendants().find(|e| e.is(crate::ebms::names::EB, "Messaging"))?;
    crate::ebms::overview(messaging).into_iter().find(|unit| unit.kind == "UserMessage")?.message_id
}
