//! A network like Peppol on loopback: configuration, documents and their envelopes (SBDH).

use std::path::Path;

use anyhow::{Result, ensure};

use crate::probe::{RECIPIENT, SENDER};
use crate::world::{PARTY_TYPE, PROCESS_PEPPOL, TRANSPORT, TRANSPORT_PEPPOL};

/// Namespace of the business document.
pub const UBL: &str = "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2";
/// Its document type.
pub const DOCUMENT_TYPE: &str = "busdox-docid-qns::urn:oasis:names:specification:ubl:schema:xsd:Invoice-2::Invoice##urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0::2.1";
/// The agreement of all access points.
pub const AGREEMENT: &str = "urn:fdc:peppol.eu:2017:agreements:tia:ap_provider";
/// Type of their PartyIds.
pub const AP_TYPE: &str = "urn:fdc:peppol.eu:2017:identifiers:ap";
/// Namespace of the envelope.
pub const SBDH: &str = "http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader";

/// Turns the configuration of a demonstration node into one in a network like Peppol.
pub fn configure(config: &Path) -> Result<()> {
    let mut text = std::fs::read_to_string(config)?.replace(PARTY_TYPE, AP_TYPE);
    for (from, to) in [
        ("profile = \"edelivery-1.15\"", "profile = \"peppol\"\ndialects = [\"peppol\"]"),
        ("evidence = \"rem\"\n", ""),
        (TRANSPORT, TRANSPORT_PEPPOL),
    ] {
        ensure!(text.contains(from), "the configuration no longer says {from:?}");
        text = text.replacen(from, to, 1);
    }
    Ok(std::fs::write(config, text)?)
}

/// A business document.
pub fn invoice() -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<u:Invoice xmlns:u=\"{UBL}\"><u:ID>r\u{113}\u{137}ins 1</u:ID></u:Invoice>"
    )
}

/// An envelope from [`SENDER`] to [`RECIPIENT`] that keeps every rule.
pub fn enveloped() -> String {
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
        party("Sender", SENDER),
        party("Receiver", RECIPIENT),
        scope("DOCUMENTID", DOCUMENT_TYPE),
        scope("PROCESSID", PROCESS_PEPPOL),
        scope("COUNTRY_C1", "LV"),
    )
}
