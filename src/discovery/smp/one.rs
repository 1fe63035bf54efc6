//! Peppol SMP 1.x and OASIS BDXR SMP 1.0: one structure in three namespaces (discovery 2.2).

use crate::discovery::Identifier;
use crate::discovery::ident::percent_decode;
use crate::xml::Element;

use super::read::{certificate, identifier};
use super::{Content, Process, PublishedEndpoint, Redirect, Service, ServiceGroup, ServiceMetadata, times};

pub(super) const PEPPOL: &str = "http://busdox.org/serviceMetadata/publishing/1.0/";
pub(super) const BDXR_2016: &str = "http://docs.oasis-open.org/bdxr/ns/SMP/2016/05";
pub(super) const BDXR_2014: &str = "http://docs.oasis-open.org/bdxr/ns/SMP/2014/07";
pub(super) const PEPPOL_IDS: &str = "http://busdox.org/transport/identifiers/1.0/";
pub(super) const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";

pub(super) fn read(root: Element<'_>) -> Result<Content, String> {
    let ns = root.namespace();
    match root.local() {
        "ServiceGroup" => group(root).map(Content::Group),
        "SignedServiceMetadata" => {
            let mut metadata = root.children_named(ns, "ServiceMetadata");
            match (metadata.next(), metadata.next()) {
                (Some(one), None) => read_metadata(one),
                (None, _) => Err("SignedServiceMetadata without ServiceMetadata".to_owned()),
                _ => Err("more than one ServiceMetadata".to_owned()),
            }
        }
        "ServiceMetadata" => read_metadata(root),
        other => Err(format!("unexpected root element {other}")),
    }
}

fn ids(ns: &str) -> &str {
    if ns == PEPPOL { PEPPOL_IDS } else { ns }
}

fn group(root: Element<'_>) -> Result<ServiceGroup, String> {
    let ns = root.namespace();
    let participant =
        identifier(root.child(ids(ns), "ParticipantIdentifier"), "ParticipantIdentifier", "scheme")?;
    let references = root.child(ns, "ServiceMetadataReferenceCollection").into_iter();
    let services = references
        .flat_map(|collection| collection.children_named(ns, "ServiceMetadataReference"))
        .map(|reference| service(reference.attribute("href").unwrap_or_default(), &participant))
        .collect();
    Ok(ServiceGroup { participant, services })
}

/// The document type behind `/{participant}/services/` in an href, encoded or not, below any base path (discovery 2.1).
fn service(href: &str, participant: &Identifier) -> Service {
    let found = percent_decode(href).and_then(|plain| {
        let marker = format!("/{}::{}/services/", participant.scheme(), participant.value).to_lowercase();
        let at = plain.to_lowercase().find(&marker)? + marker.len();
        plain.get(at..).filter(|rest| !rest.is_empty()).map(Identifier::parse)
    });
    found.map_or_else(|| Service::Unreadable(href.to_owned()), Service::DocumentType)
}

fn read_metadata(metadata: Element<'_>) -> Result<Content, String> {
    let ns = metadata.namespace();
    match (metadata.child(ns, "ServiceInformation"), metadata.child(ns, "Redirect")) {
        (Some(information), None) => information_of(information).map(Content::Metadata),
        (None, Some(redirect)) => redirect_of(redirect).map(Content::Redirect),
        (Some(_), Some(_)) => Err("both ServiceInformation and Redirect".to_owned()),
        (None, None) => Err("neither ServiceInformation nor Redirect".to_owned()),
    }
}

fn redirect_of(redirect: Element<'_>) -> Result<Redirect, String> {
    let uid = redirect.child(redirect.namespace(), "CertificateUID").map(|uid| uid.text().trim().to_owned());
    let url = redirect.attribute("href").unwrap_or_default().trim().to_owned();
    match (url.is_empty(), uid.filter(|uid| !uid.is_empty())) {
        (false, Some(uid)) => Ok(Redirect { url, certificate_uid: Some(uid), certificate: None }),
        _ => Err("Redirect without href or CertificateUID".to_owned()),
    }
}

fn information_of(information: Element<'_>) -> Result<ServiceMetadata, String> {
    let ns = information.namespace();
    let field = |name: &str| identifier(information.child(ids(ns), name), name, "scheme");
    let (participant, document_type) = (field("ParticipantIdentifier")?, field("DocumentIdentifier")?);
    let list = information.child(ns, "ProcessList").ok_or("no ProcessList")?;
    let processes = list.children_named(ns, "Process").map(process).collect::<Result<Vec<_>, _>>()?;
    Ok(ServiceMetadata { participant, document_type, processes })
}

fn process(process: Element<'_>) -> Result<Process, String> {
    let ns = process.namespace();
    let id = identifier(process.child(ids(ns), "ProcessIdentifier"), "ProcessIdentifier", "scheme")?;
    let list = process.child(ns, "ServiceEndpointList").ok_or("no ServiceEndpointList")?;
    let endpoints = list.children_named(ns, "Endpoint").map(endpoint).collect::<Result<Vec<_>, _>>()?;
    Ok(Process { ids: vec![id], endpoints, redirect: None })
}

fn endpoint(endpoint: Element<'_>) -> Result<PublishedEndpoint, String> {
    let ns = endpoint.namespace();
    let text = |name: &str| endpoint.child(ns, name).map(|child| child.text().trim().to_owned());
    let url = match ns {
        PEPPOL => endpoint
            .child(ADDRESSING, "EndpointReference")
            .and_then(|reference| reference.child(ADDRESSING, "Address"))
            .map(|address| address.text().trim().to_owned()),
        _ => text("EndpointURI"),
    };
    let date = |name: &str| match text(name).filter(|text| !text.is_empty()) {
        Some(text) => times::read(&text).map(Some).ok_or_else(|| format!("{name} {text:?} is no date")),
        None => Ok(None),
    };
    let certificate = text("Certificate").and_then(|text| certificate(&text));
    Ok(PublishedEndpoint {
        transport_profile: endpoint.attribute("transportProfile").unwrap_or_default().trim().to_owned(),
        url: url.ok_or("an Endpoint without address")?,
        certificates: certificate.into_iter().map(|certificate| (None, certificate)).collect(),
        from: date("ServiceActivationDate")?,
        until: date("ServiceExpirationDate")?,
    })
}
