//! Reading any peer's REM evidence: lenient in form, strict in signature (envelopes-evidence 3, "Wire quirks").

use crate::clock::{Timestamp, read_wire_time};
use crate::pki::Certificate;
use crate::status::Signal;
use crate::xml::{Document, Element, Limits};
use crate::xmlsec::names::DS;
use crate::xmlsec::{DigestAlgorithm, decode_base64, xades};

use super::Error;
use super::names::{Event, NAMESPACE, Root, signal};

/// Where a peer departs from the standard without harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quirk {
    /// A code that does not begin with the standard's address; only the part after `#` was read.
    CodeSpelling(String),
    /// The message digest uses an algorithm that proves nothing, or none that we know: it is informative only.
    WeakDigest(String),
    /// A required element is missing.
    Missing(&'static str),
}

/// A reason as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The code.
    pub code: String,
    /// Its words, if any.
    pub details: Option<String>,
}

impl Reason {
    /// The part of the code after `#`, with peers' spellings put right.
    pub fn word(&self) -> &str {
        match fragment(&self.code) {
            "R_REMMD_NotIdenified" => "R_REMMD_NotIdentified",
            "R-REMMD_Malfunction" => "R_REMMD_Malfunction",
            word => word,
        }
    }
}

/// What the signature of evidence amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureState {
    /// It holds and covers the whole evidence.
    Valid,
    /// It does not hold, or covers something else.
    Invalid(String),
    /// It cannot be checked, or rests on algorithms that prove nothing.
    Unsupported(String),
    /// There is none.
    Absent,
}

/// What a piece of evidence says, and who signed it.
#[derive(Debug, Clone)]
pub struct Testimony {
    /// Its kind.
    pub root: Root,
    /// What happened.
    pub event: Option<Event>,
    /// The event code as written.
    pub event_code: Option<String>,
    /// The same, normalised.
    pub signal: Signal,
    /// When it happened, by its issuer.
    pub event_time: Timestamp,
    /// EvidenceIdentifier.
    pub identifier: String,
    /// MessageIdentifierByREMMD: the MessageId it speaks of.
    pub message_id: Option<String>,
    /// UAMessageIdentifier.
    pub ua_message_id: Option<String>,
    /// EvidenceRefersToRecipient, from 1.
    pub refers_to_recipient: Option<u32>,
    /// Reasons.
    pub reasons: Vec<Reason>,
    /// The issuer's name or address.
    pub issuer: Option<String>,
    /// Addresses of sender and recipients as written.
    pub sender: Option<String>,
    /// Addresses of the recipients as written.
    pub recipients: Vec<String>,
    /// (DigestMethod, DigestValue) of the message.
    pub digest: Option<(String, Vec<u8>)>,
    /// What the signature amounts to.
    pub signature: SignatureState,
    /// The signer, when the signature names one.
    pub signer: Option<Certificate>,
    /// Further certificates in the signature.
    pub certificates: Vec<Certificate>,
    /// Departures from the standard.
    pub quirks: Vec<Quirk>,
}

/// Reads a piece of evidence and checks its signature. Whether the signer may testify is for [`super::weigh()`] to say.
///
/// # Errors
/// [`Error::Xml`], [`Error::UnknownRoot`], or [`Error::Malformed`] when identifier or time are missing.
pub fn read(octets: &[u8]) -> Result<Testimony, Error> {
    let document = Document::parse(octets, &Limits::default())?;
    let element = document.root();
    let root = Root::from_name(element.local()).filter(|_| element.namespace() == NAMESPACE);
    let root = root.ok_or_else(|| Error::UnknownRoot {
        namespace: element.namespace().to_owned(),
        local: element.local().to_owned(),
    })?;
    let mut quirks = Vec::new();
    let event_code = text(element, "EventCode");
    let event = event_code.as_deref().map(|code| event_of(code, &mut quirks));
    let reasons = reasons(element);
    let words: Vec<&str> = reasons.iter().map(Reason::word).collect();
    let signal = signal(root, event.as_ref(), &words);
    let message = message_details(element, &mut quirks);
    let (signature, signer, certificates) = judge_signature(element);
    Ok(Testimony {
        root,
        event,
        event_code,
        signal,
        event_time: event_time(element)?,
        identifier: required(element, "EvidenceIdentifier")?,
        message_id: message.and_then(|m| text(m, "MessageIdentifierByREMMD")),
        ua_message_id: message.and_then(|m| text(m, "UAMessageIdentifier")),
        refers_to_recipient: text(element, "EvidenceRefersToRecipient").and_then(|t| t.parse().ok()),
        reasons,
        issuer: element.child(NAMESPACE, "EvidenceIssuerDetails").and_then(entity),
        sender: element.child(NAMESPACE, "SenderDetails").and_then(entity),
        recipients: recipients(element),
        digest: message.and_then(|m| digest(m, &mut quirks)),
        signature,
        signer,
        certificates,
        quirks,
    })
}

fn text(element: Element<'_>, name: &str) -> Option<String> {
    let text = element.child(NAMESPACE, name)?.text().trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn required(element: Element<'_>, name: &'static str) -> Result<String, Error> {
    text(element, name).ok_or(Error::Malformed { element: name, value: String::new() })
}

fn event_time(element: Element<'_>) -> Result<Timestamp, Error> {
    let written = required(element, "EventTime")?;
    read_wire_time(&written).ok_or(Error::Malformed { element: "EventTime", value: written })
}

fn fragment(code: &str) -> &str {
    code.rsplit_once('#').map_or(code, |(_, word)| word)
}

fn event_of(code: &str, quirks: &mut Vec<Quirk>) -> Event {
    if !code.starts_with("http://uri.etsi.org/02640/Event#") {
        quirks.push(Quirk::CodeSpelling(code.to_owned()));
    }
    Event::from_fragment(fragment(code))
}

fn reasons(element: Element<'_>) -> Vec<Reason> {
    let Some(all) = element.child(NAMESPACE, "EventReasons") else { return Vec::new() };
    all.children_named(NAMESPACE, "EventReason")
        .filter_map(|reason| Some(Reason { code: text(reason, "Code")?, details: text(reason, "Details") }))
        .collect()
}

/// Real e-CODEX samples leave out MessageSubject and MessageIdentifierByREMMD although the schema wants them.
fn message_details<'d>(element: Element<'d>, quirks: &mut Vec<Quirk>) -> Option<Element<'d>> {
    let details = element.child(NAMESPACE, "SenderMessageDetails");
    let Some(details) = details else {
        quirks.push(Quirk::Missing("SenderMessageDetails"));
        return None;
    };
    for name in ["MessageSubject", "MessageIdentifierByREMMD"] {
        if details.child(NAMESPACE, name).is_none() {
            quirks.push(Quirk::Missing(name));
        }
    }
    Some(details)
}

fn digest(message: Element<'_>, quirks: &mut Vec<Quirk>) -> Option<(String, Vec<u8>)> {
    let method = message.child(DS, "DigestMethod")?.attribute("Algorithm")?.to_owned();
    if matches!(DigestAlgorithm::from_uri(&method), None | Some(DigestAlgorithm::Sha1)) {
        quirks.push(Quirk::WeakDigest(method.clone()));
    }
    let value = decode_base64(&message.child(DS, "DigestValue")?.text())?;
    Some((method, value))
}

/// The electronic address of an entity as `scheme::value`, else its name.
fn entity(element: Element<'_>) -> Option<String> {
    let address = element.descendants().find(|e| e.is(NAMESPACE, "AttributedElectronicAddress"));
    if let Some(address) = address.filter(|a| !a.text().trim().is_empty()) {
        let value = address.text().trim().to_owned();
        return Some(match address.attribute("scheme") {
            None | Some("mailto" | "") => value,
            Some(scheme) if value.starts_with(&format!("{scheme}::")) => value,
            Some(scheme) => format!("{scheme}::{value}"),
        });
    }
    let name = element.descendants().find(|e| e.is(NAMESPACE, "Name"))?;
    Some(name.text().trim().to_owned())
}

fn recipients(element: Element<'_>) -> Vec<String> {
    let Some(all) = element.child(NAMESPACE, "RecipientsDetails") else { return Vec::new() };
    all.children_named(NAMESPACE, "EntityDetails").filter_map(entity).collect()
}

/// State, signer, further certificates.
type Judged = (SignatureState, Option<Certificate>, Vec<Certificate>);

fn judge_signature(root: Element<'_>) -> Judged {
    let signatures: Vec<Element<'_>> = root.children_named(DS, "Signature").collect();
    let nothing = |state| (state, None, Vec::new());
    let signature = match signatures.as_slice() {
        [] => return nothing(SignatureState::Absent),
        [only] => *only,
        _ => return nothing(SignatureState::Invalid("more than one signature".to_owned())),
    };
    let checked = match xades::check(signature, &[]) {
        Ok(checked) => checked,
        Err(error) => return nothing(SignatureState::Unsupported(error.to_string())),
    };
    let state = state_of(root, &checked);
    (state, checked.key.certificate, checked.key.chain)
}

fn state_of(root: Element<'_>, checked: &xades::Checked) -> SignatureState {
    let whole = checked.references.iter().any(|(_, ok, covered)| *ok && covers_root(root, *covered));
    if !checked.value_ok {
        return SignatureState::Invalid("SignatureValue is not this key's".to_owned());
    }
    if let Some((uri, _, _)) = checked.references.iter().find(|(_, ok, _)| !ok) {
        return SignatureState::Invalid(format!("the digest of `{uri}` differs"));
    }
    if !whole {
        return SignatureState::Invalid("it does not cover the evidence".to_owned());
    }
    let signer = checked.signer();
    let other = signer.zip(checked.properties.as_ref()).and_then(|(signer, named)| named.names(signer));
    match (checked.is_weak(), other) {
        (true, _) => SignatureState::Unsupported("it rests on SHA-1".to_owned()),
        (_, Some(false)) => {
            SignatureState::Invalid("SigningCertificate names another certificate".to_owned())
        }
        _ => SignatureState::Valid,
    }
}

fn covers_root(root: Element<'_>, covered: Option<xades::Covered>) -> bool {
    match covered {
        Some(xades::Covered::Document) => true,
        Some(xades::Covered::Element(id)) => id == root.id(),
        Some(xades::Covered::Properties(_)) | None => false,
    }
}
