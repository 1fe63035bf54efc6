//! XML that is no message: one signature, or one encryption, for itself.

use crate::ebms::Code;
use crate::xml::{Document, Element};
use crate::xmlsec::names::{DS, XENC};

use super::Judge;
use super::encryption::Encryption;
use super::report::{PartRow, Report};
use super::signature::{self, Places};

/// Examines a document and fills the report.
pub(super) fn examine(
    document: &Document,
    judge: &mut Judge<'_>,
    report: &mut Report,
    payloads: &mut Vec<(Option<String>, Vec<u8>)>,
) {
    report.form = if report.form == "multipart" { "multipart" } else { "xml" };
    let all = |namespace: &str, local: &str| -> Vec<Element<'_>> {
        std::iter::once(document.root())
            .chain(document.root().descendants())
            .filter(|element| element.is(namespace, local))
            .collect()
    };
    let (signatures, keys, data) =
        (all(DS, "Signature"), all(XENC, "EncryptedKey"), all(XENC, "EncryptedData"));
    if let Some(id) = document.duplicate_ids().first() {
        judge.add(Code::InvalidHeader, format!("more than one element has the id `{id}`"));
    }
    if signatures.is_empty() && keys.is_empty() && data.is_empty() {
        judge.add(Code::InvalidHeader, "neither a message, nor a signature, nor an encryption");
    }
    if signatures.len() > 1 || data.len() > 1 {
        judge.add(Code::InvalidHeader, "there is more than one signature or encryption");
    }
    decrypt(&keys, &data, judge, report, payloads);
    if let Some(element) = signatures.first() {
        report.signature = signature::examine(*element, &Places::default(), &[], judge).row;
    }
    if judge.options.profile.is_some() {
        judge.add(Code::PolicyNoncompliance, "it is no message, and the profile is about messages");
    }
}

fn decrypt(
    keys: &[Element<'_>],
    data: &[Element<'_>],
    judge: &mut Judge<'_>,
    report: &mut Report,
    payloads: &mut Vec<(Option<String>, Vec<u8>)>,
) {
    let mut encryption = Encryption::examine(keys, data, judge);
    let mut opened = 0;
    for one in &encryption.data {
        let Some(plain) = one.cipher_value().ok().and_then(|sealed| encryption.open(one, &sealed)) else {
            continue;
        };
        opened += 1;
        report.parts.push(PartRow {
            cid: None,
            media_type: one.mime_type.map(str::to_owned),
            sha256: Some(hex::encode(openssl::sha::sha256(&plain))),
            size: Some(plain.len() as u64),
            uncompressed_sha256: None,
            uncompressed_size: None,
        });
        payloads.push((None, plain));
    }
    encryption.settle(opened, judge);
    report.encryption = encryption.row;
}
