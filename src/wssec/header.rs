//! Where the blocks stand, and what a Security header holds. Nothing is believed yet.

use crate::soap::Envelope;
use crate::xml::{Document, Element, NodeId};
use crate::xmlsec::names::{DS, XENC};

use super::error::Error;
use super::names::{EB, WSSE, WSU};

/// Header blocks that this node understands: (namespace, local name).
pub const UNDERSTOOD: &[(&str, &str)] = &[(EB, "Messaging"), (WSSE, "Security")];

/// Where Messaging, Body and Security stand in one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    messaging: NodeId,
    body: NodeId,
    security: Option<NodeId>,
}

impl Header {
    /// Finds exactly one Messaging and at most one Security for the ultimate receiver, and sees that no id names two
    /// elements (as4-wire 2.7, steps 4 and 5).
    ///
    /// # Errors
    /// [`Error::Structure`].
    pub fn locate(document: &Document) -> Result<Self, Error> {
        let envelope = Envelope::locate(document).map_err(|error| Error::structure(error.to_string()))?;
        if let Some(id) = document.duplicate_ids().first() {
            return Err(Error::structure(format!("more than one element has the id `{id}`")));
        }
        let messaging: Vec<_> = envelope.blocks().filter(|block| block.is(EB, "Messaging")).collect();
        let security: Vec<_> = securities(&envelope);
        match (messaging.as_slice(), security.as_slice()) {
            ([messaging], [] | [_]) => Ok(Self {
                messaging: messaging.id(),
                body: envelope.body().id(),
                security: security.first().map(Element::id),
            }),
            ([_], more) => Err(Error::structure(format!("there are {} Security headers", more.len()))),
            (other, _) => Err(Error::structure(format!("there are {} Messaging headers", other.len()))),
        }
    }

    /// The Messaging block.
    pub fn messaging(&self) -> NodeId {
        self.messaging
    }

    /// The Body.
    pub fn body(&self) -> NodeId {
        self.body
    }

    /// The Security block for the ultimate receiver.
    pub fn security(&self) -> Option<NodeId> {
        self.security
    }

    /// Whether there is a signature; what it is worth is another question.
    pub fn is_signed(&self, document: &Document) -> bool {
        self.security.is_some_and(|id| document.element(id).child(DS, "Signature").is_some())
    }

    /// SignatureMethod as the message shows it: chooses among agreements, and proves nothing.
    pub fn shown_signature<'d>(&self, document: &'d Document) -> Option<&'d str> {
        let signature = document.element(self.security?).child(DS, "Signature")?;
        signature.child(DS, "SignedInfo")?.child(DS, "SignatureMethod")?.attribute("Algorithm")
    }
}

/// The Security blocks for the ultimate receiver: those for another role or actor are not ours (EBMS3 7.10).
fn securities<'d>(envelope: &Envelope<'d>) -> Vec<Element<'d>> {
    let ours = |block: &Element<'d>| {
        let target = block.attributes().find(|a| matches!(a.local, "role" | "actor"));
        target.is_none_or(|a| a.value.is_empty() || a.value.ends_with("/role/ultimateReceiver"))
    };
    envelope.blocks().filter(|block| block.is(WSSE, "Security")).filter(ours).collect()
}

/// What stands directly in a Security header, whatever the order.
#[derive(Debug, Clone)]
pub struct Block<'d> {
    /// ds:Signature.
    pub signatures: Vec<Element<'d>>,
    /// xenc:EncryptedKey.
    pub encrypted_keys: Vec<Element<'d>>,
    /// xenc:EncryptedData.
    pub encrypted_data: Vec<Element<'d>>,
    /// wsu:Timestamp.
    pub timestamps: Vec<Element<'d>>,
    /// wsse:UsernameToken.
    pub username_tokens: Vec<Element<'d>>,
}

impl<'d> Block<'d> {
    /// Sorts the children of a Security header.
    pub fn of(security: Element<'d>) -> Self {
        let all = |namespace: &str, local: &str| security.children_named(namespace, local).collect();
        Self {
            signatures: all(DS, "Signature"),
            encrypted_keys: all(XENC, "EncryptedKey"),
            encrypted_data: all(XENC, "EncryptedData"),
            timestamps: all(WSU, "Timestamp"),
            username_tokens: all(WSSE, "UsernameToken"),
        }
    }
}
