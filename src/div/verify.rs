//! The signatures of an envelope (national-div 4): who signed, and whether the right sections are covered.

use super::Error;
use super::envelope::find;
use super::names::{DIV, SENDER_SECTION, SENDER_SIGNATURE, SERVER_SECTION, SERVER_SIGNATURE};
use crate::clock::Timestamp;
use crate::pki::{Certificate, Trust, TrustStore};
use crate::xml::{Document, Element, Limits};
use crate::xmlsec::names::DS;
use crate::xmlsec::xades;

/// Whose signature it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The sender's.
    Sender,
    /// The DIV server's.
    Server,
    /// The recipient's with this confirmation name.
    Recipient(String),
    /// Another's, with this id.
    Other(String),
}

/// What one signature amounts to.
#[derive(Debug, Clone)]
pub struct SignatureCheck {
    /// Whose it is.
    pub role: Role,
    /// `Ok` when it holds and covers the sections of its role; else why not.
    pub state: Result<(), String>,
    /// Its signer, when it names one.
    pub signer: Option<Certificate>,
    /// Further certificates it carries.
    pub chain: Vec<Certificate>,
    /// SigningTime as written.
    pub signing_time: Option<String>,
}

/// All signatures of an envelope, in order.
#[derive(Debug, Clone)]
pub struct Signatures(pub Vec<SignatureCheck>);

impl Signatures {
    /// The sender's certificate, when its signature holds and `trust` has it at the time `at`.
    ///
    /// # Errors
    /// [`Error::Signature`], for the submitter to read (422, model 5).
    pub fn trusted_sender(&self, trust: &TrustStore, at: Timestamp) -> Result<Certificate, Error> {
        let check = self.sender()?;
        let signer =
            check.signer.as_ref().ok_or_else(|| Error::Signature("names no certificate".to_owned()))?;
        match trust.judge(signer, &check.chain, at) {
            Trust::Trusted => Ok(signer.clone()),
            other => {
                Err(Error::Signature(format!("is by {}, which is {}", signer.subject(), other.as_str())))
            }
        }
    }

    /// The sender's signature, which must hold.
    ///
    /// # Errors
    /// [`Error::Signature`].
    pub fn sender(&self) -> Result<&SignatureCheck, Error> {
        let mut of_sender = self.0.iter().filter(|check| check.role == Role::Sender);
        let (Some(check), None) = (of_sender.next(), of_sender.next()) else {
            return Err(Error::Signature("is not there exactly once".to_owned()));
        };
        check.state.clone().map_err(Error::Signature)?;
        Ok(check)
    }
}

/// Checks every signature of a stand-alone envelope ([`super::cut_out`]). Ids that occur twice hurt only the signatures that
/// refer to them (div-recorded 1).
///
/// # Errors
/// [`Error::Xml`], [`Error::NoEnvelope`]; what is wrong with a signature is in its check.
pub fn verify(octets: &[u8]) -> Result<Signatures, Error> {
    let document = Document::parse(octets, &Limits::default())?;
    let root = document.root();
    let envelope = find(&document).filter(|e| *e == root).ok_or_else(|| Error::NoEnvelope {
        namespace: root.namespace().to_owned(),
        local: root.local().to_owned(),
    })?;
    let signatures = envelope.child(DIV, "Signatures");
    let elements = signatures.into_iter().flat_map(|s| s.children_named(DS, "Signature"));
    Ok(Signatures(elements.map(|element| check(envelope, element)).collect()))
}

/// Checks one signature, whose sections are children of `root`.
pub(super) fn check(root: Element<'_>, element: Element<'_>) -> SignatureCheck {
    let role = role(element.attribute("Id").unwrap_or_default());
    let judged = match xades::check(element, &[]) {
        Ok(judged) => judged,
        Err(error) => {
            let state = Err(format!("cannot be checked: {error}"));
            return SignatureCheck { role, state, signer: None, chain: Vec::new(), signing_time: None };
        }
    };
    SignatureCheck {
        state: state(root, &role, &judged),
        role,
        signing_time: judged.properties.as_ref().and_then(|p| p.signing_time.clone()),
        signer: judged.key.certificate,
        chain: judged.key.chain,
    }
}

fn role(id: &str) -> Role {
    match id {
        SENDER_SIGNATURE => Role::Sender,
        SERVER_SIGNATURE => Role::Server,
        other => match other.strip_suffix("RecipientSignature") {
            Some(name) => Role::Recipient(name.to_owned()),
            None => Role::Other(other.to_owned()),
        },
    }
}

fn state(root: Element<'_>, role: &Role, judged: &xades::Checked) -> Result<(), String> {
    if !judged.value_ok {
        return Err("does not hold: SignatureValue is not this key's".to_owned());
    }
    if let Some((uri, _, _)) = judged.references.iter().find(|(_, ok, _)| !ok) {
        return Err(format!("does not hold: the digest of `{uri}` differs"));
    }
    if judged.is_weak() {
        return Err("rests on SHA-1".to_owned());
    }
    for (id, section) in sections(root, role) {
        if !section
            .is_some_and(|section| section.attribute("Id") == Some(id.as_str()) && judged.covers(section))
        {
            return Err(format!("does not cover `#{id}`"));
        }
    }
    let (signer, named) = (judged.signer(), judged.properties.as_ref());
    if signer.zip(named).and_then(|(signer, named)| named.names(signer)) == Some(false) {
        return Err("names another certificate in SigningCertificate".to_owned());
    }
    Ok(())
}

/// The sections that a role must cover: by their place in the tree, not only by their id.
fn sections<'d>(root: Element<'d>, role: &Role) -> Vec<(String, Option<Element<'d>>)> {
    let sender = (SENDER_SECTION.to_owned(), root.child(DIV, "SenderDocument"));
    let server = (SERVER_SECTION.to_owned(), root.child(DIV, "ServerTransportMetadata"));
    match role {
        Role::Sender | Role::Other(_) => vec![sender],
        Role::Server => vec![sender, server],
        Role::Recipient(name) => {
            let id = format!("{name}RecipientSection");
            let entries = root.child(DIV, "RecipientConfirmations").into_iter();
            let own = entries
                .flat_map(|all| all.children_named(DIV, "ConfirmationEntry"))
                .find(|entry| entry.attribute("Id") == Some(id.as_str()));
            vec![sender, server, (id, own)]
        }
    }
}
