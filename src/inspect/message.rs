//! A SOAP envelope: structure, header, security and parts.

use crate::ebms::{Code, Messaging, Unit, UserMessage, names::EB, overview};
use crate::soap::{Envelope, SOAP11, SOAP12, Version};
use crate::wssec::{Block, Header, names::WSSE};
use crate::xml::{Document, Element};

use super::capture::Captured;
use super::encryption::Encryption;
use super::parts::{self, Opened};
use super::report::{Report, UnitRow};
use super::signature::{self, Examined, PartOctets, Places};
use super::{Judge, matching};

pub(super) fn is_envelope(document: &Document) -> bool {
    let root = document.root();
    root.is(SOAP12, "Envelope") || root.is(SOAP11, "Envelope")
}

/// Examines a message and fills the report.
pub(super) fn examine(
    document: &Document,
    captured: &Captured,
    judge: &mut Judge<'_>,
    report: &mut Report,
    payloads: &mut Vec<(Option<String>, Vec<u8>)>,
) {
    let view = View::of(document);
    report.soap = Some(view.version.number());
    if !captured.multipart {
        report.form = "soap";
    }
    report.units = view.messaging.iter().flat_map(|m| overview(*m)).map(UnitRow::from).collect();
    judge_structure(document, &view, judge);
    let read = view.messaging.first().and_then(|messaging| judge_units(*messaging, judge));
    let user = read.as_ref().and_then(Messaging::user_message);
    let block = view.security.first().map(|security| Block::of(*security));
    let (keys, data) =
        block.as_ref().map(|b| (b.encrypted_keys.clone(), b.encrypted_data.clone())).unwrap_or_default();
    let mut encryption = Encryption::examine(&keys, &data, judge);
    let opened = parts::open(&captured.parts, user, &mut encryption, judge);
    if let Some(user) = user {
        parts::compare(&opened, user, judge);
    }
    let examined = block.as_ref().and_then(|block| judge_signature(block, &view, &opened, judge));
    if let Some(examined) = &examined {
        judge_coverage(examined, &view, user, judge);
        report.signature = examined.row.clone();
    }
    judge_profile(&view, user, &encryption, examined.as_ref(), judge);
    if let (Some(block), Some(_)) = (&block, judge.options.profile)
        && !block.username_tokens.is_empty()
    {
        judge.add(Code::PolicyNoncompliance, "a UsernameToken is not allowed");
    }
    report.receipt_matches = matching::judge(read.as_ref(), judge);
    report.encryption = encryption.row;
    for part in opened {
        report.parts.push(part.row);
        payloads.extend(part.inflated.or(part.octets).map(|octets| (part.cid, octets)));
    }
}

/// What can be found, right or wrong.
struct View<'d> {
    version: Version,
    body: Option<Element<'d>>,
    messaging: Vec<Element<'d>>,
    security: Vec<Element<'d>>,
}

impl<'d> View<'d> {
    fn of(document: &'d Document) -> Self {
        let root = document.root();
        let header = root.child(root.namespace(), "Header");
        let blocks = |namespace: &str, local: &str| {
            header.into_iter().flat_map(|h| h.children()).filter(|b| b.is(namespace, local)).collect()
        };
        // The Security header that receiving takes, else the first: a header that is refused is shown all the same.
        let security: Vec<Element<'d>> = match Header::locate(document).ok().and_then(|h| h.security()) {
            Some(ours) => vec![document.element(ours)],
            None => blocks(WSSE, "Security"),
        };
        Self {
            version: if root.namespace() == SOAP11 { Version::V11 } else { Version::V12 },
            body: root.child(root.namespace(), "Body"),
            messaging: blocks(EB, "Messaging"),
            security,
        }
    }

    fn places(&self) -> Places {
        Places { messaging: self.messaging.first().map(Element::id), body: self.body.map(|body| body.id()) }
    }
}

fn judge_structure(document: &Document, view: &View<'_>, judge: &mut Judge<'_>) {
    if let Err(error) = Envelope::locate(document) {
        judge.add(Code::InvalidHeader, error.to_string());
    } else if let Err(error) = Header::locate(document) {
        judge.add_security(&error);
    }
    if judge.options.profile.is_some() && view.version == Version::V11 {
        judge.add(Code::PolicyNoncompliance, "the profile demands SOAP 1.2");
    }
}

fn judge_units(messaging: Element<'_>, judge: &mut Judge<'_>) -> Option<Messaging> {
    let read = match Messaging::read(messaging) {
        Ok(read) => read,
        Err(error) => {
            judge.add(error.code(), error.to_string());
            return None;
        }
    };
    if read.units.is_empty() {
        judge.add(Code::InvalidHeader, "the Messaging header holds no message unit");
    }
    if read.units.iter().filter(|unit| matches!(unit, Unit::User(_))).count() > 1 {
        judge.add(Code::ValueInconsistent, "there is more than one UserMessage");
    }
    Some(read)
}

fn judge_signature(
    block: &Block<'_>,
    view: &View<'_>,
    opened: &[Opened],
    judge: &mut Judge<'_>,
) -> Option<Examined> {
    let octets: Vec<PartOctets<'_>> = opened.iter().filter_map(Opened::octets_for_signature).collect();
    if block.signatures.len() > 1 {
        judge.add(Code::InvalidHeader, "there is more than one Signature");
    }
    block.signatures.first().map(|element| signature::examine(*element, &view.places(), &octets, judge))
}

/// By node identity: the Messaging that was read, every part that it names, and a Body that is not empty.
fn judge_coverage(examined: &Examined, view: &View<'_>, user: Option<&UserMessage>, judge: &mut Judge<'_>) {
    let covers = |element: Option<&Element<'_>>| element.is_none_or(|e| examined.covered.contains(&e.id()));
    if !covers(view.messaging.first()) {
        judge.add(Code::FailedAuthentication, "the signature does not cover the Messaging header");
    }
    let must_cover_body = judge.options.profile.is_some() || view.body.is_some_and(|body| !body.is_empty());
    if must_cover_body && !covers(view.body.as_ref()) {
        let code = match judge.options.profile {
            Some(_) => Code::PolicyNoncompliance,
            None => Code::FailedAuthentication,
        };
        judge.add(code, "the signature does not cover the Body");
    }
    let hrefs = user.into_iter().flat_map(|user| &user.parts).filter_map(|part| part.href.as_deref());
    for cid in hrefs.filter_map(crate::mime::cid_of_href) {
        if !examined.cids.contains(&cid) {
            judge.add(Code::FailedAuthentication, format!("the signature does not cover the part `{cid}`"));
        }
    }
}

fn judge_profile(
    view: &View<'_>,
    user: Option<&UserMessage>,
    encryption: &Encryption<'_>,
    examined: Option<&Examined>,
    judge: &mut Judge<'_>,
) {
    if judge.options.profile.is_none() || view.messaging.is_empty() {
        return;
    }
    if examined.is_none() {
        judge.add(Code::PolicyNoncompliance, "the message is not signed");
    }
    let hrefs = user.into_iter().flat_map(|user| &user.parts).filter_map(|part| part.href.as_deref());
    for cid in hrefs.filter_map(crate::mime::cid_of_href) {
        if encryption.of_part(&cid).is_none() {
            judge.add(Code::PolicyNoncompliance, format!("the part `{cid}` is not encrypted"));
        }
    }
}
