//! Writes metadata and groups of the three dialects, namespaces on the root only and no blanks inside what is signed
//! (discovery 4.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Dialect, one, two};
use crate::clock::Timestamp;
use crate::discovery::Identifier;
use crate::pki::Certificate;
use crate::xml::Writer;

/// What one metadata document says: endpoints of one kind for some processes.
#[derive(Debug, Clone)]
pub struct Unsigned {
    /// Whose it is.
    pub participant: Identifier,
    /// What it takes.
    pub document_type: Identifier,
    /// For which processes.
    pub processes: Vec<Identifier>,
    /// How the endpoint is spoken to.
    pub transport_profile: String,
    /// Its address.
    pub url: String,
    /// Its certificate.
    pub certificate: Certificate,
    /// Active from.
    pub from: Option<Timestamp>,
    /// Active until.
    pub until: Option<Timestamp>,
}

/// The metadata, without a signature: `SignedServiceMetadata` in SMP 1, `ServiceMetadata` in SMP 2.0.
pub fn metadata(dialect: Dialect, what: &Unsigned) -> String {
    match dialect {
        Dialect::Peppol => metadata_one(what, "ids:", one::PEPPOL),
        Dialect::Bdxr1 => metadata_one(what, "", one::BDXR_2016),
        Dialect::Bdxr2 => metadata_two(what),
    }
}

/// A group of document types; `base` is the SMP's address, without a slash at its end.
pub fn group(dialect: Dialect, base: &str, participant: &Identifier, services: &[Identifier]) -> String {
    match dialect {
        Dialect::Peppol => group_one(dialect, "ids:", one::PEPPOL, (base, participant, services)),
        Dialect::Bdxr1 => group_one(dialect, "", one::BDXR_2016, (base, participant, services)),
        Dialect::Bdxr2 => group_two(participant, services),
    }
}

fn root_one(xml: &mut Writer, name: &str, namespace: &str) {
    xml.start(name).attr("xmlns", namespace);
    if namespace == one::PEPPOL {
        xml.attr("xmlns:ids", one::PEPPOL_IDS).attr("xmlns:wsa", one::ADDRESSING);
    }
}

fn identifier(xml: &mut Writer, name: &str, scheme: &str, id: &Identifier) {
    xml.start(name).attr_opt(scheme, id.scheme.as_deref()).text(&id.value).end();
}

fn metadata_one(what: &Unsigned, ids: &str, namespace: &str) -> String {
    let mut xml = Writer::new();
    root_one(&mut xml, "SignedServiceMetadata", namespace);
    xml.start("ServiceMetadata").start("ServiceInformation");
    identifier(&mut xml, &format!("{ids}ParticipantIdentifier"), "scheme", &what.participant);
    identifier(&mut xml, &format!("{ids}DocumentIdentifier"), "scheme", &what.document_type);
    xml.start("ProcessList");
    for process in &what.processes {
        xml.start("Process");
        identifier(&mut xml, &format!("{ids}ProcessIdentifier"), "scheme", process);
        xml.start("ServiceEndpointList").start("Endpoint").attr("transportProfile", &what.transport_profile);
        match namespace == one::PEPPOL {
            true => xml.start("wsa:EndpointReference").leaf("wsa:Address", &what.url).end(),
            false => xml.leaf("EndpointURI", &what.url),
        };
        xml.leaf("RequireBusinessLevelSignature", "false");
        for (name, date) in [("ServiceActivationDate", what.from), ("ServiceExpirationDate", what.until)] {
            if let Some(date) = date {
                xml.leaf(name, &date.to_string());
            }
        }
        xml.leaf("Certificate", &STANDARD.encode(what.certificate.der()));
        xml.leaf("ServiceDescription", "AS4").leaf("TechnicalContactUrl", &what.url);
        xml.end().end().end();
    }
    xml.end().end().end().end();
    xml.into_string()
}

fn metadata_two(what: &Unsigned) -> String {
    let mut xml = Writer::new();
    xml.start("ServiceMetadata").attr("xmlns", two::METADATA);
    xml.attr("xmlns:sma", two::AGGREGATE).attr("xmlns:smb", two::BASIC);
    xml.leaf("smb:SMPVersionID", "2.0");
    identifier(&mut xml, "smb:ID", "schemeID", &what.document_type);
    identifier(&mut xml, "smb:ParticipantID", "schemeID", &what.participant);
    xml.start("sma:ProcessMetadata");
    for process in &what.processes {
        xml.start("sma:Process");
        identifier(&mut xml, "smb:ID", "schemeID", process);
        xml.end();
    }
    xml.start("sma:Endpoint")
        .leaf("smb:TransportProfileID", &what.transport_profile)
        .leaf("smb:AddressURI", &what.url);
    for (name, date) in [("smb:ActivationDate", what.from), ("smb:ExpirationDate", what.until)] {
        if let Some(date) = date {
            xml.leaf(name, &date.strftime("%Y-%m-%dZ").to_string());
        }
    }
    xml.start("sma:Certificate").start("smb:ContentBinaryObject").attr("mimeCode", "application/base64");
    xml.text(&STANDARD.encode(what.certificate.der())).end().end();
    xml.end().end().end();
    xml.into_string()
}

fn group_one(
    dialect: Dialect,
    ids: &str,
    namespace: &str,
    (base, participant, services): (&str, &Identifier, &[Identifier]),
) -> String {
    let mut xml = Writer::new();
    root_one(&mut xml, "ServiceGroup", namespace);
    identifier(&mut xml, &format!("{ids}ParticipantIdentifier"), "scheme", participant);
    xml.start("ServiceMetadataReferenceCollection");
    for service in services {
        let href = format!("{base}{}", dialect.metadata_path(participant, service));
        xml.start("ServiceMetadataReference").attr("href", &href).end();
    }
    xml.end().end();
    xml.into_string()
}

fn group_two(participant: &Identifier, services: &[Identifier]) -> String {
    let mut xml = Writer::new();
    xml.start("ServiceGroup").attr("xmlns", two::GROUP);
    xml.attr("xmlns:sma", two::AGGREGATE).attr("xmlns:smb", two::BASIC);
    xml.leaf("smb:SMPVersionID", "2.0");
    identifier(&mut xml, "smb:ParticipantID", "schemeID", participant);
    for service in services {
        xml.start("sma:ServiceReference");
        identifier(&mut xml, "smb:ID", "schemeID", service);
        xml.end();
    }
    xml.end();
    xml.into_string()
}
