//! OASIS SMP 2.0 (discovery 2.2).

use crate::xml::Element;

use super::read::{certificate, identifier};
use super::{Content, Process, PublishedEndpoint, Redirect, Service, ServiceGroup, ServiceMetadata, times};

pub(super) const GROUP: &str = "http://docs.oasis-open.org/bdxr/ns/SMP/2/ServiceGroup";
pub(super) const METADATA: &str = "http://docs.oasis-open.org/bdxr/ns/SMP/2/ServiceMetadata";
pub(super) const AGGREGATE: &str = "http://docs.oasis-open.org/bdxr/ns/SMP/2/AggregateComponents";
pub(super) const BASIC: &str = "http://docs.oasis-open.org/bdxr/ns/SMP/2/BasicComponents";

pub(super) fn read(root: Element<'_>) -> Result<Content, String> {
    match (root.namespace(), root.local()) {
        (GROUP, "ServiceGroup") => group(root).map(Content::Group),
        (METADATA, "ServiceMetadata") => metadata(root),
        (_, other) => Err(format!("unexpected root element {other}")),
    }
}

fn group(root: Element<'_>) -> Result<ServiceGroup, String> {
    let participant = identifier(root.child(BASIC, "ParticipantID"), "ParticipantID", "schemeID")?;
    let services = root
        .children_named(AGGREGATE, "ServiceReference")
        .map(|reference| {
            identifier(reference.child(BASIC, "ID"), "ID", "schemeID").map(Service::DocumentType)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(ServiceGroup { participant, services })
}

fn metadata(root: Element<'_>) -> Result<Content, String> {
    let participant = identifier(root.child(BASIC, "ParticipantID"), "ParticipantID", "schemeID")?;
    let document_type = identifier(root.child(BASIC, "ID"), "ID", "schemeID")?;
    let processes =
        root.children_named(AGGREGATE, "ProcessMetadata").map(process).collect::<Result<Vec<_>, _>>()?;
    if processes.is_empty() {
        return Err("no ProcessMetadata".to_owned());
    }
    // One redirect for all processes is what the other dialects call a redirect.
    match processes.as_slice() {
        [Process { redirect: Some(redirect), ids, .. }] if ids.is_empty() => {
            Ok(Content::Redirect(redirect.clone()))
        }
        _ => Ok(Content::Metadata(ServiceMetadata { participant, document_type, processes })),
    }
}

fn process(process: Element<'_>) -> Result<Process, String> {
    let ids = process
        .children_named(AGGREGATE, "Process")
        .map(|one| identifier(one.child(BASIC, "ID"), "ID of a process", "schemeID"))
        .collect::<Result<Vec<_>, _>>()?;
    let endpoints =
        process.children_named(AGGREGATE, "Endpoint").map(endpoint).collect::<Result<Vec<_>, _>>()?;
    let redirect = process.child(AGGREGATE, "Redirect").map(redirect).transpose()?;
    match redirect.is_some() && !endpoints.is_empty() {
        true => Err("both Endpoint and Redirect in one ProcessMetadata".to_owned()),
        false => Ok(Process { ids, endpoints, redirect }),
    }
}

fn redirect(redirect: Element<'_>) -> Result<Redirect, String> {
    let url = redirect.child(BASIC, "PublisherURI").map(|uri| uri.text().trim().to_owned());
    let content = redirect
        .child(AGGREGATE, "Certificate")
        .and_then(|certificate| certificate.child(BASIC, "ContentBinaryObject"))
        .and_then(|object| certificate(&object.text()));
    match url.filter(|url| !url.is_empty()) {
        Some(url) => Ok(Redirect { url, certificate_uid: None, certificate: content }),
        None => Err("Redirect without PublisherURI".to_owned()),
    }
}

fn endpoint(endpoint: Element<'_>) -> Result<PublishedEndpoint, String> {
    let text = |name: &str| endpoint.child(BASIC, name).map(|child| child.text().trim().to_owned());
    let date = |name: &str| match text(name).filter(|text| !text.is_empty()) {
        Some(text) => times::read(&text).map(Some).ok_or_else(|| format!("{name} {text:?} is no date")),
        None => Ok(None),
    };
    let certificates = endpoint.children_named(AGGREGATE, "Certificate").filter_map(|one| {
        let code = one.child(BASIC, "TypeCode").map(|code| code.text().trim().to_owned());
        let object = one.child(BASIC, "ContentBinaryObject")?;
        certificate(&object.text()).map(|certificate| (code, certificate))
    });
    Ok(PublishedEndpoint {
        transport_profile: text("TransportProfileID").ok_or("an Endpoint without TransportProfileID")?,
        url: text("AddressURI").unwrap_or_default(),
        certificates: certificates.collect(),
        from: date("ActivationDate")?,
        until: date("ExpirationDate")?,
    })
}
