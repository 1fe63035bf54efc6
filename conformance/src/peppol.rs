//! A network like Peppol on loopback: a node's configuration, an invoice, its business envelope (SBDH), and how it is handed in.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Result, ensure};
use hyper::Method;
use serde_json::{Value, json};

use crate::http::{self, multipart};
use crate::world::{PARTY_TYPE, PROCESS_PEPPOL, TRANSPORT, TRANSPORT_PEPPOL};

/// Namespace of UBL invoices.
pub const UBL: &str = "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2";
/// Document type of Peppol BIS Billing 3.0 invoices.
pub const DOCUMENT_TYPE: &str = "busdox-docid-qns::urn:oasis:names:specification:ubl:schema:xsd:Invoice-2::Invoice##urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0::2.1";
/// AgreementRef of every message.
pub const AGREEMENT: &str = "urn:fdc:peppol.eu:2017:agreements:tia:ap_provider";
/// PartyId type of every access point.
pub const AP_TYPE: &str = "urn:fdc:peppol.eu:2017:identifiers:ap";
/// Namespace of business envelopes.
pub const SBDH: &str = "http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader";

/// Turns the configuration of a demonstration node into one in a network like Peppol.
pub fn configure(config: &Path) -> Result<()> {
    let mut text = fs::read_to_string(config)?.replace(PARTY_TYPE, AP_TYPE);
    for (from, to) in [
        ("profile = \"edelivery-1.15\"", "profile = \"peppol\"\ndialects = [\"peppol\"]"),
        ("evidence = \"rem\"\n", ""),
        (TRANSPORT, TRANSPORT_PEPPOL),
    ] {
        ensure!(text.contains(from), "the configuration no longer says {from:?}");
        text = text.replacen(from, to, 1);
    }
    Ok(fs::write(config, text)?)
}

/// An invoice with letters outside ASCII.
pub fn invoice() -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<u:Invoice xmlns:u=\"{UBL}\"><u:ID>r\u{113}\u{137}ins 1</u:ID></u:Invoice>"
    )
}

/// A business envelope around a bare invoice.
pub fn enveloped(sender: &str, receiver: &str) -> String {
    let scope = |kind: &str, value: &str| {
        let (scheme, value) = value.split_once("::").unwrap_or(("", value));
        let scheme =
            if scheme.is_empty() { String::new() } else { format!("<Identifier>{scheme}</Identifier>") };
        format!("<Scope><Type>{kind}</Type><InstanceIdentifier>{value}</InstanceIdentifier>{scheme}</Scope>")
    };
    let party = |name: &str, id: &str| {
        let (scheme, value) = id.split_once("::").unwrap_or_default();
        format!("<{name}><Identifier Authority=\"{scheme}\">{value}</Identifier></{name}>")
    };
    format!(
        "<StandardBusinessDocument xmlns=\"{SBDH}\"><StandardBusinessDocumentHeader><HeaderVersion>1.0</HeaderVersion>\
         {}{}<DocumentIdentification><Standard>{UBL}</Standard><TypeVersion>2.1</TypeVersion><InstanceIdentifier>i-1\
         </InstanceIdentifier><Type>Invoice</Type><CreationDateAndTime>2026-01-01T00:00:00Z</CreationDateAndTime>\
         </DocumentIdentification><BusinessScope>{}{}{}</BusinessScope></StandardBusinessDocumentHeader>\
         <u:Invoice xmlns:u=\"{UBL}\"><u:ID>1</u:ID></u:Invoice></StandardBusinessDocument>",
        party("Sender", sender),
        party("Receiver", receiver),
        scope("DOCUMENTID", DOCUMENT_TYPE),
        scope("PROCESSID", PROCESS_PEPPOL),
        scope("COUNTRY_C1", "LV"),
    )
}

/// Hands in XML documents from one participant for another; `description` replaces what the usual description says.
pub async fn submit(
    backend: SocketAddr,
    id: &str,
    [sender, recipient]: [&str; 2],
    description: Value,
    documents: &[&[u8]],
) -> Result<http::Answer> {
    let mut all = json!({
        "original_sender": sender, "document_type": DOCUMENT_TYPE, "process": PROCESS_PEPPOL,
        "recipients": [{ "participant": recipient }],
    });
    for (key, value) in description.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    let mut request = vec![http::Part::new("description", "application/json", all.to_string())];
    request.extend(documents.iter().enumerate().map(|(n, octets)| http::Part {
        name: Some("invoice.xml".to_owned()),
        ..http::Part::new(&n.to_string(), "application/xml", octets.to_vec())
    }));
    let (kind, body) = multipart(&request);
    http::request(backend, Method::POST, &format!("/v1/submissions?backend={id}"), &kind, body).await
}
