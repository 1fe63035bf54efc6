//! A recipient's confirmation: signed over the sender's and the server's section and its own (national-div 4).

use openssl::pkey::{PKey, Private};

use super::Error;
use super::build::style;
use super::envelope::{Confirmation, confirmation, cut_out};
use super::names::{DIV, SENDER_SECTION, SERVER_SECTION};
use super::verify::{SignatureCheck, check};
use crate::clock::Timestamp;
use crate::pki::Certificate;
use crate::xml::{Document, Element, Limits, Writer};
use crate::xmlsec::names::DS;
use crate::xmlsec::xades::{self, Signing};

/// What our connection says about a message it was given.
#[derive(Debug, Clone)]
pub struct NewConfirmation {
    /// ConfirmationName from GetMessage: the connection's code.
    pub name: String,
    /// The recipients that GetMessage named, all of them.
    pub recipients: Vec<String>,
    /// `None` accepts; else code (at most 50 characters) and reason (at most 250).
    pub rejection: Option<(String, String)>,
    /// When.
    pub at: Timestamp,
}

/// Builds a RecipientConfirmationPart for the envelope that DIV gave us.
///
/// # Errors
/// [`Error::Malformed`] when the envelope has no server section; [`Error::Signing`].
pub fn confirm(
    envelope: &[u8],
    new: &NewConfirmation,
    certificate: &Certificate,
    key: &PKey<Private>,
) -> Result<Vec<u8>, Error> {
    let document = Document::parse(envelope, &Limits::default())?;
    let section = section(new);
    let combined = combine(document.root(), &section, "<Signatures></Signatures>")?;
    let at = combined.rfind("</Signatures>").unwrap_or(combined.len());
    let id = format!("{}RecipientSignature", new.name);
    let targets = [
        format!("#{SENDER_SECTION}"),
        format!("#{SERVER_SECTION}"),
        format!("#{}RecipientSection", new.name),
    ];
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let signing = Signing { certificate, key, at: new.at, id: &id, targets: &targets };
    let signed = xades::sign(&combined, at, &style(), &signing)?;
    let document = Document::parse(signed.as_bytes(), &Limits::default())?;
    let signatures = document.root().child(DIV, "Signatures").map(slice).unwrap_or_default();
    Ok(format!(
        "<RecipientConfirmationPart xmlns=\"{DIV}\">{section}{signatures}</RecipientConfirmationPart>"
    )
    .into_bytes())
}

/// Checks a RecipientConfirmationPart against the envelope that it confirms.
///
/// # Errors
/// [`Error::Xml`], [`Error::Malformed`]; what is wrong with the signature is in its check.
pub fn check_confirmation(envelope: &[u8], part: &[u8]) -> Result<(Confirmation, SignatureCheck), Error> {
    let envelope = Document::parse(envelope, &Limits::default())?;
    let part = Document::parse(part, &Limits::default())?;
    let missing = |element| Error::Malformed { element, value: String::new() };
    let own = part.root().child(DIV, "RecipientConfirmations").ok_or(missing("RecipientConfirmations"))?;
    let signatures = part.root().child(DIV, "Signatures").ok_or(missing("Signatures"))?;
    let combined = combine(envelope.root(), &cut_out(own), &cut_out(signatures))?;
    let combined = Document::parse(combined.as_bytes(), &Limits::default())?;
    let root = combined.root();
    let find = |list: &str, namespace: &str, name: &str| {
        let list = root.child(DIV, list)?;
        let mut found = list.children_named(namespace, name);
        found.next().filter(|_| found.next().is_none()).map(|only| only.id())
    };
    let entry =
        find("RecipientConfirmations", DIV, "ConfirmationEntry").ok_or(missing("ConfirmationEntry"))?;
    let signature = find("Signatures", DS, "Signature").ok_or(missing("Signature"))?;
    Ok((confirmation(combined.element(entry)), check(root, combined.element(signature))))
}

/// The document that is signed: both sections of the envelope, our own, and signatures. That the cut-out sections declare the
/// default namespace once more says nothing new and does not show in their canonical form.
fn combine(envelope: Element<'_>, confirmations: &str, signatures: &str) -> Result<String, Error> {
    let of = |name: &'static str| {
        let section =
            envelope.child(DIV, name).ok_or(Error::Malformed { element: name, value: String::new() })?;
        Ok::<_, Error>(cut_out(section))
    };
    let (sender, server) = (of("SenderDocument")?, of("ServerTransportMetadata")?);
    Ok(format!(
        "<RecipientConfirmationPart xmlns=\"{DIV}\">{sender}{server}{confirmations}{signatures}</RecipientConfirmationPart>"
    ))
}

fn slice(element: Element<'_>) -> String {
    element.document().source().get(element.source_range()).unwrap_or_default().to_owned()
}

fn section(new: &NewConfirmation) -> String {
    let mut xml = Writer::new();
    xml.start("RecipientConfirmations").start("ConfirmationEntry");
    xml.attr("Id", &format!("{}RecipientSection", new.name)).start("RelatedRecipients");
    for recipient in &new.recipients {
        xml.leaf("E-Address", recipient);
    }
    xml.end();
    match &new.rejection {
        None => {
            xml.leaf("Status", "RecipientAccepted");
        }
        Some((code, reason)) => {
            let cut = |text: &str, most: usize| text.chars().take(most).collect::<String>();
            xml.leaf("Status", "RecipientRejected").leaf("StatusCode", &cut(code, 50));
            xml.leaf("StatusReason", &cut(reason, 250));
        }
    }
    xml.into_string()
}
