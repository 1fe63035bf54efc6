//! Reading: from a located header to what can be believed (as4-wire 2.7, steps 7 to 10).

use openssl::pkey::{Id, PKey, PKeyRef, Private, Public};

use crate::clock::{SignedDuration, Timestamp};
use crate::mime::cid_of_href;
use crate::pki::{Certificate, Entry};
use crate::xml::{C14n, Document, Element, NodeId, canonicalize, canonicalize_to_vec};
use crate::xmlsec::{
    ContentKey, DigestAlgorithm, EncryptedData, EncryptedKey, KeyHint, Reference, Signature, SignedReference,
    Target, TokenKind, Transform, names as x, resolve,
};

use super::attachment::AttachmentVerifier;
use super::error::Error;
use super::header::{Block, Header};
use super::names::{WSSE, WSU};
use super::policy::SecurityPolicy;
use super::token::key_hints;

/// A signed header whose algorithms the policy allows. Not verified yet.
#[derive(Debug)]
pub struct Signed<'d> {
    document: &'d Document,
    header: Header,
    signature: Signature<'d>,
    encrypted_key: Option<EncryptedKey<'d>>,
    encrypted_data: Vec<EncryptedData<'d>>,
    encrypt: bool,
    strict: bool,
}

/// Whose signature it claims to be. The certificate is the caller's to judge.
#[derive(Clone)]
pub struct Signer {
    /// The certificate that the signature names.
    pub certificate: Certificate,
    /// Further certificates from the message.
    pub chain: Vec<Certificate>,
    /// How the message names it.
    pub kind: TokenKind,
}

/// Ways of naming the signer that are tried: an unverified message must not make us look for thousands.
const MOST_HINTS: usize = 8;
/// Clock difference that is forgiven in a Timestamp.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

impl Header {
    /// Takes the Security header apart and holds every algorithm in it against the policy, before any of them is used.
    ///
    /// # Errors
    /// [`Error::Policy`] when it is not signed or not by allowed algorithms, or a part is not encrypted as demanded;
    /// [`Error::Structure`] when there is not one signature and one content key; [`Error::Timestamp`].
    pub fn judge_policy<'d>(
        &self,
        document: &'d Document,
        policy: &SecurityPolicy,
        now: Timestamp,
    ) -> Result<Signed<'d>, Error> {
        let security = self.security().ok_or_else(|| Error::policy("there is no Security header"))?;
        let block = Block::of(document.element(security));
        if !block.username_tokens.is_empty() && policy.allowed.is_some() {
            return Err(Error::policy("a UsernameToken is not allowed"));
        }
        block.timestamps.iter().try_for_each(|timestamp| judge_timestamp(*timestamp, now))?;
        let signature = match block.signatures.as_slice() {
            [one] => Signature::parse_within(*one, policy.most_references)?,
            [] => return Err(Error::policy("the message is not signed")),
            _ => return Err(Error::structure("there is more than one Signature")),
        };
        policy.judge_signature(&signature)?;
        let encrypted_key = match block.encrypted_keys.as_slice() {
            [] => None,
            [one] => Some(EncryptedKey::parse(*one)?),
            _ => return Err(Error::structure("there is more than one EncryptedKey")),
        };
        encrypted_key.iter().try_for_each(|key| policy.judge_key(key))?;
        let encrypted_data: Vec<_> = block.encrypted_data.into_iter().map(EncryptedData::parse).collect();
        encrypted_data.iter().try_for_each(|data| policy.judge_content(data))?;
        Ok(Signed {
            document,
            header: self.clone(),
            signature,
            encrypted_key,
            encrypted_data,
            encrypt: policy.encrypt,
            strict: policy.allowed.is_some(),
        })
    }
}

impl<'d> Signed<'d> {
    /// The signature as written.
    pub fn signature(&self) -> &Signature<'d> {
        &self.signature
    }

    /// As [`Signed::signer_among`], where few certificates are known.
    ///
    /// # Errors
    /// [`Error::Signer`].
    pub fn signer(&self, known: &[Certificate]) -> Result<Signer, Error> {
        self.signer_among(&|_| known.to_vec())
    }

    /// The certificate that the signature names: in the message, or among those that `known` gives for a hint, which are few: an
    /// unverified message decides what is looked for. Only that one, and in KeyInfo only the
    /// first token that can be resolved.
    ///
    /// # Errors
    /// [`Error::Signer`].
    pub fn signer_among(&self, known: &dyn Fn(&KeyHint) -> Vec<Certificate>) -> Result<Signer, Error> {
        let key_info =
            self.signature.key_info.ok_or_else(|| Error::Signer("the Signature has no KeyInfo".into()))?;
        let hints = key_hints(key_info);
        let found = hints.iter().take(MOST_HINTS).find_map(|hint| resolve(hint, &known(hint)));
        let unknown = || {
            let how = hints.first().map_or("nothing that is known here", |hint| hint.kind().as_str());
            Error::Signer(format!("no certificate is known for its reference by {how}"))
        };
        let found = found.ok_or_else(unknown)?;
        let certificate = found.certificate.ok_or_else(|| {
            Error::Signer(format!("{} is a bare key without a certificate", found.kind.as_str()))
        })?;
        Ok(Signer { certificate, chain: found.chain, kind: found.kind })
    }

    /// Verifies SignatureValue and the digests of Messaging and Body, sees what else is covered, and unwraps the content
    /// key. Each part is verified as it comes: [`Verified::attachment`].
    ///
    /// # Errors
    /// [`Error::Signature`] when it does not hold or does not cover Messaging, Body and only what belongs to them;
    /// [`Error::Policy`] when a part is not encrypted as demanded, or the signer's key is too short; [`Error::Decryption`]
    /// when it is encrypted for none of our keys. A content key that cannot be unwrapped is an error only of the parts.
    pub fn verify(&self, signer: Signer, decryption: &[Entry]) -> Result<Verified, Error> {
        let key = signer.certificate.public_key().map_err(|error| Error::Signer(error.to_string()))?;
        if self.strict {
            judge_strength(&key)?;
        }
        if !self.signature.verify_value(&key)? {
            return Err(Error::signature("SignatureValue does not fit SignedInfo and the certificate"));
        }
        let messaging = self.verify_same_document()?;
        let attachments = self.attachments()?;
        let content_key = match (&self.encrypted_key, attachments.iter().any(|a| a.encrypted.is_some())) {
            (Some(wrapped), true) => Some(self.content_key(wrapped, decryption)?),
            (None, true) => return Err(Error::structure("EncryptedData without an EncryptedKey")),
            (_, false) => None,
        };
        Ok(Verified {
            signer,
            references: self.signature.signed_references(),
            reference_nodes: self.signature.references.iter().map(|r| r.element.id()).collect(),
            messaging: self.header.messaging(),
            messaging_c14n: messaging,
            attachments,
            content_key,
        })
    }

    /// Checks every `#id` reference against the very nodes that will be read. Besides Messaging and Body only children of
    /// the Security header may be signed (peers sign Timestamps and tokens). Gives how Messaging was canonicalised.
    fn verify_same_document(&self) -> Result<C14n, Error> {
        let mut covered: Vec<NodeId> = Vec::new();
        let mut messaging = None;
        let in_document = |reference: &&Reference<'_>| !reference.uri.is_some_and(|u| u.starts_with("cid:"));
        for reference in self.signature.references.iter().filter(in_document) {
            let uri = reference.uri.unwrap_or_default();
            let node = self.node(reference)?;
            let c14n = match reference.transforms.as_slice() {
                [Transform::C14n(how)] => how,
                _ => return Err(Error::signature(format!("`{uri}` is not signed as it stands"))),
            };
            if covered.contains(&node) || !self.may_be_signed(node) {
                return Err(Error::signature(format!(
                    "`{uri}` is not one of the things that are signed once"
                )));
            }
            if !self.signature.verify_reference(reference, Target::Element(node))? {
                return Err(Error::signature(format!("the digest of `{uri}` is not the one signed")));
            }
            if node == self.header.messaging() {
                messaging = Some(c14n.clone());
            }
            covered.push(node);
        }
        if !covered.contains(&self.header.body()) {
            return Err(Error::signature("it does not cover the Body"));
        }
        messaging.ok_or_else(|| Error::signature("it does not cover the Messaging header"))
    }

    fn node(&self, reference: &Reference<'_>) -> Result<NodeId, Error> {
        let id = reference.fragment().ok_or_else(|| {
            Error::signature(format!("`{}` is no reference to an element", reference.uri.unwrap_or_default()))
        })?;
        match self.document.by_id(id).as_slice() {
            [one] => Ok(*one),
            _ => Err(Error::signature(format!("`#{id}` does not name exactly one element"))),
        }
    }

    fn may_be_signed(&self, node: NodeId) -> bool {
        let beside = self.document.element(node);
        let token = beside.is(WSSE, "BinarySecurityToken") || beside.is(WSU, "Timestamp");
        node == self.header.messaging()
            || node == self.header.body()
            || (token && beside.parent().map(|parent| parent.id()) == self.header.security())
    }

    fn attachments(&self) -> Result<Vec<Attachment>, Error> {
        let mut all: Vec<Attachment> = Vec::new();
        for reference in &self.signature.references {
            let Some(uri) = reference.uri.filter(|uri| uri.starts_with("cid:")) else { continue };
            let cid = cid_of_href(uri)
                .filter(|cid| !all.iter().any(|known| known.cid == *cid))
                .ok_or_else(|| Error::signature(format!("`{uri}` is no Content-ID or is signed twice")))?;
            if !reference.is_attachment_content() {
                return Err(Error::signature(format!("`{uri}` is not signed by its content")));
            }
            all.push(Attachment {
                encrypted: None,
                digest: (reference.digest_algorithm()?, reference.digest_value.clone()),
                cid,
            });
        }
        for data in &self.encrypted_data {
            let cid = encrypted_cid(data)?;
            let part = all
                .iter_mut()
                .find(|part| part.cid == cid && part.encrypted.is_none())
                .ok_or_else(|| Error::signature(format!("the encrypted part `{cid}` is not signed once")))?;
            let media_type = data.mime_type.unwrap_or("application/octet-stream").to_owned();
            part.encrypted = Some(media_type);
        }
        match all.iter().find(|part| self.encrypt && part.encrypted.is_none()) {
            Some(clear) => Err(Error::policy(format!("the part `{}` is not encrypted", clear.cid))),
            None => Ok(all),
        }
    }

    fn content_key(&self, wrapped: &EncryptedKey<'d>, decryption: &[Entry]) -> Result<ContentKey, Error> {
        let mut algorithms = self.encrypted_data.iter().map(EncryptedData::content_algorithm);
        let first = algorithms.next().ok_or(Error::Decryption)??;
        for other in algorithms {
            if other? != first {
                return Err(Error::structure("parts are encrypted by different algorithms"));
            }
        }
        wrapped.check_supported()?;
        let keys = recipient_keys(wrapped, decryption);
        if keys.is_empty() {
            return Err(Error::Decryption);
        }
        // What unwraps to no key is decrypted with one that nobody knows: it fails where a wrong key fails, at the tag of the
        // first part and after the same work, so that neither text nor time tells the two apart (as4-wire 6).
        let nobodys = ContentKey::random(first)?;
        let unwrapped = keys.iter().find_map(|key| wrapped.unwrap(key, &[]).ok());
        let ours = unwrapped.and_then(|octets| ContentKey::from_octets(first, octets).ok());
        Ok(ours.unwrap_or(nobodys))
    }
}

/// A signature is worth no more than its key: 112 bits of security (NIST SP 800-131A).
fn judge_strength(key: &PKeyRef<Public>) -> Result<(), Error> {
    let least = match key.id() {
        Id::RSA => 2048,
        Id::EC => 224,
        _ => return Ok(()),
    };
    match key.bits() {
        bits if bits < least => {
            Err(Error::policy(format!("the signer's key has {bits} bits; {least} are needed")))
        }
        _ => Ok(()),
    }
}

/// The Content-ID whose content an EncryptedData stands for (as4-wire 2.4).
fn encrypted_cid(data: &EncryptedData<'_>) -> Result<String, Error> {
    let content_only = data.data_type.is_none_or(|kind| kind == x::ATTACHMENT_CONTENT_ONLY);
    let ciphertext = data.transforms.iter().all(|transform| *transform == x::ATTACHMENT_CIPHERTEXT);
    data.cipher_reference
        .filter(|_| content_only && ciphertext)
        .and_then(cid_of_href)
        .ok_or_else(|| Error::structure("an EncryptedData is not the content of an attachment"))
}

/// Our private keys that an EncryptedKey may be for: the one that its token names; all when it names none.
pub fn recipient_keys(wrapped: &EncryptedKey<'_>, ours: &[Entry]) -> Vec<PKey<Private>> {
    let named = wrapped.agreement.as_ref().map_or(wrapped.key_info, |agreement| agreement.recipient);
    let hints = named.map(key_hints).unwrap_or_default();
    let telling: Vec<&KeyHint> = hints.iter().filter(|hint| !matches!(hint, KeyHint::Name(_))).collect();
    let with_key = ours.iter().filter_map(|entry| Some((entry, entry.private_key.clone()?)));
    if telling.is_empty() {
        return with_key.map(|(_, key)| key).collect();
    }
    let certificates: Vec<Certificate> = ours.iter().filter_map(|entry| entry.certificate.clone()).collect();
    let Some(found) = telling.iter().find_map(|hint| resolve(hint, &certificates)) else { return Vec::new() };
    with_key.filter(|(_, key)| key.public_eq(&found.key)).map(|(_, key)| key).collect()
}

/// The octets of a content key, by the key of ours that its token names.
///
/// # Errors
/// [`Error::Policy`] for an algorithm that is not known, [`Error::Decryption`] for everything else.
pub fn unwrap_key(
    wrapped: &EncryptedKey<'_>,
    ours: &[Entry],
    originators: &[PKey<Public>],
) -> Result<Vec<u8>, Error> {
    wrapped.check_supported()?;
    recipient_keys(wrapped, ours)
        .iter()
        .find_map(|key| wrapped.unwrap(key, originators).ok())
        .ok_or(Error::Decryption)
}

/// Created not in the future, Expires not past, both with some forgiveness (as4-wire 1.2).
fn judge_timestamp(timestamp: Element<'_>, now: Timestamp) -> Result<(), Error> {
    let time = |local: &str| -> Result<Option<Timestamp>, Error> {
        let Some(element) = timestamp.child(WSU, local) else { return Ok(None) };
        let text = element.text();
        let parsed = text.trim().parse();
        parsed.map(Some).map_err(|_| Error::Timestamp(format!("{local} `{}` is no time", text.trim())))
    };
    match (time("Created")?, time("Expires")?) {
        (Some(created), _) if created.duration_since(now) > SKEW => {
            Err(Error::Timestamp(format!("it was created at {created}, which is yet to come")))
        }
        (_, Some(expires)) if now.duration_since(expires) > SKEW => {
            Err(Error::Timestamp(format!("it expired at {expires}")))
        }
        _ => Ok(()),
    }
}

/// A part as far as the header tells.
#[derive(Debug, Clone)]
struct Attachment {
    cid: String,
    digest: (DigestAlgorithm, Vec<u8>),
    /// Media type before encryption, when it is encrypted.
    encrypted: Option<String>,
}

/// A header whose signature holds. What is read of the message from here on is what this names.
pub struct Verified {
    signer: Signer,
    references: Vec<SignedReference>,
    reference_nodes: Vec<NodeId>,
    messaging: NodeId,
    messaging_c14n: C14n,
    attachments: Vec<Attachment>,
    content_key: Option<ContentKey>,
}

impl Verified {
    /// The certificate that signed.
    pub fn signer(&self) -> &Certificate {
        &self.signer.certificate
    }

    /// The references of SignedInfo, in order.
    pub fn references(&self) -> &[SignedReference] {
        &self.references
    }

    /// The ds:Reference elements as self-contained XML, for the receipt (as4-wire 3.1).
    pub fn reference_elements(&self, document: &Document) -> Vec<String> {
        self.reference_nodes
            .iter()
            .map(|node| canonicalize_to_vec(document.element(*node), &C14n::exclusive(), None))
            .map(|octets| String::from_utf8_lossy(&octets).into_owned())
            .collect()
    }

    /// The Messaging element that is covered.
    pub fn messaging(&self) -> NodeId {
        self.messaging
    }

    /// The octets of the Messaging element as they were signed.
    pub fn messaging_octets(&self, document: &Document) -> Vec<u8> {
        let mut octets = Vec::new();
        canonicalize(document.element(self.messaging), &self.messaging_c14n, None, &mut |piece| {
            octets.extend_from_slice(piece);
        });
        octets
    }

    /// Content-IDs of the parts that the signature covers, in its order.
    pub fn cids(&self) -> impl Iterator<Item = &str> {
        self.attachments.iter().map(|part| part.cid.as_str())
    }

    /// Begins to verify the part `cid` (decoded, without brackets). `media_type` is what its MIME header says; for an
    /// encrypted part the type before encryption counts. A part that the signed header calls `compressed` is digested
    /// as it is, whatever the unsigned types say (as4-wire 2.3).
    ///
    /// # Errors
    /// [`Error::Signature`] when the signature does not cover such a part.
    pub fn attachment(
        &self,
        cid: &str,
        media_type: &str,
        compressed: bool,
    ) -> Result<AttachmentVerifier, Error> {
        let part = self
            .attachments
            .iter()
            .find(|part| part.cid == cid)
            .ok_or_else(|| Error::signature(format!("it does not cover the part `{cid}`")))?;
        let media_type = part.encrypted.as_deref().unwrap_or(media_type);
        let key = self.content_key.as_ref().filter(|_| part.encrypted.is_some());
        AttachmentVerifier::new(media_type, compressed, key, Some(part.digest.clone()))
    }

    /// Whether the parts that are covered are exactly the ones that the header names (`eb:PartInfo/@href`).
    ///
    /// # Errors
    /// [`Error::Signature`].
    pub fn complete<'h>(&self, hrefs: impl IntoIterator<Item = &'h str>) -> Result<(), Error> {
        let mut named = Vec::new();
        for href in hrefs {
            let cid =
                cid_of_href(href).ok_or_else(|| Error::signature(format!("`{href}` is no Content-ID")))?;
            if !self.cids().any(|known| known == cid) {
                return Err(Error::signature(format!("it does not cover the part `{cid}`")));
            }
            named.push(cid);
        }
        match self.cids().find(|cid| !named.iter().any(|known| known == cid)) {
            Some(extra) => {
                Err(Error::signature(format!("it covers `{extra}`, which the header does not name")))
            }
            None => Ok(()),
        }
    }
}
