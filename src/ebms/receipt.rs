//! NonRepudiationInformation: read, and compared with what was sent (as4-wire 3.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::names::{DS, EBBP};
use super::read::Error;
use crate::xml::Element;
use crate::xmlsec::SignedReference;

/// How a receipt compares with the message that it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptMatch {
    /// Every reference that was sent, and no other.
    Matches,
    /// The receipt carries no references although they were expected.
    WithoutReferences,
    /// A reference is missing, added or different; its URI.
    Differs(String),
}

/// The references below an `eb:Receipt`; `None` when it has no NonRepudiationInformation.
pub(super) fn references(receipt: Element<'_>) -> Result<Option<Vec<SignedReference>>, Error> {
    let Some(information) = receipt.child(EBBP, "NonRepudiationInformation") else { return Ok(None) };
    let parts = information.children_named(EBBP, "MessagePartNRInformation");
    parts.map(|part| reference(need(part, DS, "Reference")?)).collect::<Result<_, _>>().map(Some)
}

/// Compares as sets: URI, transform algorithms, DigestMethod and decoded DigestValue.
pub fn match_receipt(sent: &[SignedReference], received: Option<&[SignedReference]>) -> ReceiptMatch {
    let Some(received) = received else { return ReceiptMatch::WithoutReferences };
    let lacks = |all: &[SignedReference], one: &SignedReference| !all.iter().any(|other| same(one, other));
    let missing = sent.iter().find(|one| lacks(received, one));
    let added = received.iter().find(|one| lacks(sent, one));
    match missing.or(added) {
        Some(odd) => ReceiptMatch::Differs(odd.uri.clone()),
        None => ReceiptMatch::Matches,
    }
}

/// Some peers leave the transforms out of their receipts; the digest pins the octets all the same, so only a
/// list that is there is compared.
fn same(one: &SignedReference, other: &SignedReference) -> bool {
    let transforms =
        one.transforms.is_empty() || other.transforms.is_empty() || one.transforms == other.transforms;
    transforms
        && one.uri == other.uri
        && one.digest_method == other.digest_method
        && one.digest_value == other.digest_value
}

fn reference(element: Element<'_>) -> Result<SignedReference, Error> {
    let transforms = element.child(DS, "Transforms").map(|all| {
        all.children_named(DS, "Transform")
            .filter_map(|t| t.attribute("Algorithm"))
            .map(str::to_owned)
            .collect()
    });
    let method = need(element, DS, "DigestMethod")?;
    let text: String = need(element, DS, "DigestValue")?.text().split_whitespace().collect();
    let digest_value = STANDARD.decode(&text).map_err(|_| Error::Value {
        name: "DigestValue".into(),
        value: text.clone(),
        wanted: "base64",
    })?;
    Ok(SignedReference {
        uri: element.attribute("URI").unwrap_or_default().to_owned(),
        transforms: transforms.unwrap_or_default(),
        digest_method: method.attribute("Algorithm").unwrap_or_default().to_owned(),
        digest_value,
    })
}

fn need<'d>(parent: Element<'d>, namespace: &str, name: &'static str) -> Result<Element<'d>, Error> {
    parent.child(namespace, name).ok_or_else(|| Error::Missing { parent: parent.local().into(), name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(uri: &str, digest: u8) -> SignedReference {
        SignedReference {
            uri: uri.into(),
            transforms: vec!["t".into()],
            digest_method: "sha256".into(),
            digest_value: vec![digest; 32],
        }
    }

    #[test]
    fn references_are_compared_as_sets() {
        let sent = [one("#a", 1), one("cid:b", 2)];
        let swapped = [one("cid:b", 2), one("#a", 1)];
        assert_eq!(match_receipt(&sent, Some(&swapped)), ReceiptMatch::Matches);
        assert_eq!(match_receipt(&sent, None), ReceiptMatch::WithoutReferences);
        assert_eq!(match_receipt(&sent, Some(&sent[..1])), ReceiptMatch::Differs("cid:b".into()));
        let more = [one("#a", 1), one("cid:b", 2), one("cid:c", 3)];
        assert_eq!(match_receipt(&sent, Some(&more)), ReceiptMatch::Differs("cid:c".into()));
        let other = [one("#a", 1), one("cid:b", 9)];
        assert_eq!(match_receipt(&sent, Some(&other)), ReceiptMatch::Differs("cid:b".into()));
    }
}
