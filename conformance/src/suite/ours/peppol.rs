//! A second node, in a network like Peppol, and what both nodes can look up.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;

use crate::ca::{Authority, Identity, Purpose, Validity};
use crate::node::{Node, free};
use crate::peppol::{AGREEMENT, AP_TYPE, DOCUMENT_TYPE, configure};
use crate::world::{ENVELOPE, PROCESS, PROCESS_PEPPOL, TRANSPORT, TRANSPORT_PEPPOL, World, ZONE, party_id};

/// Its file, beside the first node's.
pub const FILE: &str = "peppol.toml";

/// Keys of access points that are published, and of those who speak in the suite's name.
pub fn keys(world: &World, folder: &Path) -> Result<()> {
    let strangers = Authority::new("strangers")?;
    let (now, past) = (Validity::default(), Validity { from: -30, to: -1 });
    for party in ["found", "suite"] {
        for (name, authority, valid) in [
            (party.to_owned(), &world.ap_ca, now),
            (format!("{party}-foreign"), &strangers, now),
            (format!("{party}-smp"), &world.smp_ca, now),
            (format!("{party}-expired"), &world.ap_ca, past),
            (format!("{party}-revoked"), &world.ap_ca, now),
        ] {
            if name == "suite" {
                continue; // it has its key already
            }
            let identity: Identity = authority.issue_for(&party_id(party), 2048, Purpose::Message, valid)?;
            let path = |kind: &str| folder.join(format!("{name}.{kind}"));
            identity.write_pair(&path("pem"), &path("key"))?;
        }
    }
    let smp = world.smp_ca.issue("suite SMP", 2048, Purpose::Message)?;
    world.smp_ca.write_p12(&smp, &folder.join("smp.p12"), "changeit")
}

/// `[discovery]` of an endpoint's file.
fn discovery(resolver: SocketAddr, words: [&str; 4], published: &[(&str, &str)]) -> String {
    let [dialect, transport, document_type, process] = words;
    let mut text = format!(
        "\n[discovery]\nresolver = \"{resolver}\"\nzone = \"{ZONE}\"\ndomain = \"demo\"\nsmp = \"smp.p12\"\n\
         password = \"changeit\"\ntls = {{ certificate = \"tls.pem\", key = \"tls.key\" }}\ndialect = \"{dialect}\"\n\
         transport_profile = \"{transport}\"\ndocument_type = \"{document_type}\"\nprocess = \"{process}\"\n\n\
         [discovery.published]\n"
    );
    for (name, file) in published {
        let _ = writeln!(text, "{name} = \"{file}.pem\"");
    }
    text
}

/// What the first node can look up.
pub fn discovery_of_the_first(resolver: SocketAddr) -> String {
    let found = "\n[identity.found]\ncertificate = \"found.pem\"\nkey = \"found.key\"\n";
    discovery(resolver, ["bdxr1", TRANSPORT, ENVELOPE, PROCESS], &[("found", "found")]) + found
}

/// Makes and starts the node, and writes its file.
pub async fn start(world: &World, folder: &Path) -> Result<Node> {
    let (resolver, listen) = (free()?, free()?);
    let extra = "\n[[backend]]\nid = \"all\"\nadapter = \"rest\"\n\
                 serves = { participants = [\"iso6523-actorid-upis::0191:*\"] }\n\n\
                 [limits]\nrejected_per_minute = 100000\n";
    let mut point = world.access_point("peppol", 2048, resolver, extra)?;
    configure(&world.root.join("peppol/tilts.toml"))?;
    point.node.start().await?;
    let published = [
        ("found", "found"),
        ("several", "found"),
        ("foreign", "found-foreign"),
        ("smp", "found-smp"),
        ("expired", "found-expired"),
        ("revoked", "found-revoked"),
    ];
    let words = ["peppol", TRANSPORT_PEPPOL, DOCUMENT_TYPE, PROCESS_PEPPOL];
    let text = endpoint(&point.node, listen) + &discovery(resolver, words, &published);
    std::fs::write(folder.join(FILE), text)?;
    Ok(point.node)
}

fn endpoint(node: &Node, listen: SocketAddr) -> String {
    let (suite, own) = (party_id("suite"), party_id("peppol"));
    let (scheme, process) = PROCESS_PEPPOL.split_once("::").unwrap_or_default();
    let mut text = format!(
        "name = \"tilts-peppol\"\naddress = \"{}\"\nparty_id = \"{own}\"\nparty_type = \"{AP_TYPE}\"\n\
         certificate = \"../peppol/certificate.pem\"\n\n[suite]\nparty_id = \"{suite}\"\ncertificate = \"suite.pem\"\n\
         key = \"suite.key\"\nlisten = \"{listen}\"\ntls = {{ certificate = \"tls.pem\", key = \"tls.key\" }}\n\n\
         [backend]\nkind = \"tilts-rest\"\naddress = \"{}\"\npartner = \"{suite}\"\n\n\
         [pmode.peppol]\nservice = \"{process}\"\nservice_type = \"{scheme}\"\naction = \"{DOCUMENT_TYPE}\"\n\
         agreement_ref = \"{AGREEMENT}\"\n",
        node.ports.as4, node.ports.backend
    );
    for (name, file) in [
        ("found", "found"),
        ("expired", "suite-expired"),
        ("revoked", "suite-revoked"),
        ("stranger", "suite-foreign"),
        ("smp", "suite-smp"),
    ] {
        let _ = write!(text, "\n[identity.{name}]\ncertificate = \"{file}.pem\"\nkey = \"{file}.key\"\n");
    }
    text
}
