//! A small world on loopback: certificate authorities, an SML zone, an SMP, and tilts nodes with their configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::ca::{Authority, Identity, Purpose};
use crate::http;
use crate::node::{Node, Ports};
use crate::sml::{self, Sml};
use crate::smp::Smp;

/// DNS zone of the world.
pub const ZONE: &str = "sml.tilts.example";
/// PartyId type of its access points.
pub const PARTY_TYPE: &str = "urn:oasis:names:tc:ebcore:partyid-type:unregistered:tilts-demo";
/// Document type of DIV envelopes.
pub const ENVELOPE: &str =
    "bdx-docid-qns::http://ivis.eps.gov.lv/XMLSchemas/100001/DIV/v1-0::Envelope##lv-eaddress:1::1.0";
/// Document type of delivery evidence.
pub const EVIDENCE: &str = "bdx-docid-qns::http://uri.etsi.org/02640/v2#::REMEvidence##tilts:1::2.1.1";
/// Process of both.
pub const PROCESS: &str = "bdx-procid-transport::bdx:noprocess";
/// Transport profile of eDelivery AS4 1.x.
pub const TRANSPORT: &str = "bdxr-transport-ebms3-as4-v1p0";

/// Transport profile of eDelivery AS4 2.0.
pub const TRANSPORT_2: &str = "bdxr-transport-ebms3-as4-v2p0";

/// Transport profile of Peppol AS4.
pub const TRANSPORT_PEPPOL: &str = "peppol-transport-as4-v2_0";
/// Process of what is published under it.
pub const PROCESS_PEPPOL: &str = "cenbii-procid-ubl::urn:fdc:peppol.eu:2017:poacc:billing:01:1.0";

/// The world: folders and authorities.
pub struct World {
    /// Everything lies below.
    pub root: PathBuf,
    /// The tilts binary.
    pub tilts: PathBuf,
    /// Signs access points.
    pub ap_ca: Authority,
    /// Signs the SMP.
    pub smp_ca: Authority,
    /// Signs TLS certificates.
    pub tls_ca: Authority,
    /// Signs whoever signs DIV envelopes.
    pub div_ca: Authority,
}

/// One access point of the world.
pub struct AccessPoint {
    /// Folder name, and CN of the certificate.
    pub name: String,
    /// Its process.
    pub node: Node,
    /// Its message certificate as PEM.
    pub certificate: PathBuf,
    /// Transport profile under which it is published.
    pub transport: &'static str,
}

/// What the SMP says of a participant: which access point takes documents of a type for it.
pub struct Publication<'p> {
    /// The participant.
    pub participant: &'p str,
    /// The type.
    pub document_type: &'p str,
    /// Where the access point receives.
    pub url: String,
    /// What is encrypted for.
    pub certificate: PathBuf,
    /// Transport profile.
    pub transport: &'p str,
}

impl AccessPoint {
    /// How it is published as taking `document_type` for `participant`.
    pub fn publication<'p>(&self, participant: &'p str, document_type: &'p str) -> Publication<'p> {
        let url = format!("https://{}/as4", self.node.ports.as4);
        let certificate = self.certificate.clone();
        Publication { participant, document_type, url, certificate, transport: self.transport }
    }

    /// Hands in a description without payloads, from one participant to another; gives the submission's id.
    pub async fn submit(&self, client_id: &str, sender: &str, recipient: &str) -> Result<String> {
        let description = json!({
            "client_id": client_id, "original_sender": sender, "recipients": [{ "participant": recipient }],
            "document_type": ENVELOPE, "process": PROCESS,
        });
        let answer = http::post(self.node.ports.backend, "/v1/submissions", &description).await?;
        Ok(answer["id"].as_str().with_context(|| format!("no id in {answer}"))?.to_owned())
    }
}

/// The SML and the SMP while they run.
pub struct Registry {
    /// Address of the DNS server.
    pub resolver: std::net::SocketAddr,
    tasks: Vec<JoinHandle<Result<()>>>,
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl World {
    /// Makes the authorities below `root`, which is emptied first.
    pub fn new(root: &Path, tilts: &Path) -> Result<Self> {
        if root.exists() {
            fs::remove_dir_all(root).with_context(|| format!("cannot empty {}", root.display()))?;
        }
        fs::create_dir_all(root.join("ca"))?;
        let world = Self {
            root: root.canonicalize()?,
            tilts: tilts.canonicalize().with_context(|| format!("no binary at {}", tilts.display()))?,
            ap_ca: Authority::new("tilts demo access points")?,
            smp_ca: Authority::new("tilts demo SMP")?,
            tls_ca: Authority::new("tilts demo TLS")?,
            div_ca: Authority::new("tilts demo e-address")?,
        };
        for (name, ca) in world.authorities() {
            ca.write_pem(&world.root.join(format!("ca/{name}.pem")))?;
        }
        Ok(world)
    }

    fn authorities(&self) -> [(&'static str, &Authority); 4] {
        [("ap", &self.ap_ca), ("smp", &self.smp_ca), ("tls", &self.tls_ca), ("div", &self.div_ca)]
    }

    /// Makes keys, TLS certificate and configuration of an access point. `extra` is TOML behind the common part.
    pub fn access_point(
        &self,
        name: &str,
        bits: u32,
        resolver: std::net::SocketAddr,
        extra: &str,
    ) -> Result<AccessPoint> {
        let folder = self.root.join(name);
        fs::create_dir_all(&folder)?;
        let identity = self.ap_ca.issue(&party_id(name), bits, Purpose::Message)?;
        self.ap_ca.write_p12(&identity, &folder.join("key.p12"), "changeit")?;
        fs::write(folder.join("password"), "changeit\n")?;
        let certificate = folder.join("certificate.pem");
        identity.write_certificate(&certificate)?;
        let tls = self.tls_ca.issue(&format!("{name} TLS"), 2048, Purpose::Tls)?;
        tls.write_pair(&folder.join("tls.pem"), &folder.join("tls.key"))?;
        let ports = Ports::free()?;
        let config = folder.join("tilts.toml");
        fs::write(&config, self.config(name, &ports, resolver) + extra)?;
        let node = Node::new(&self.tilts, &config, ports);
        Ok(AccessPoint { name: name.into(), node, certificate, transport: TRANSPORT })
    }

    fn config(&self, name: &str, ports: &Ports, resolver: std::net::SocketAddr) -> String {
        let party = party_id(name);
        let Ports { as4, backend, admin } = ports;
        format!(
            r#"# Generated for the demonstration: everything on loopback, so loopback and its ports are allowed openly.
[node]
party_id = "{party}"
party_type = "{PARTY_TYPE}"
domain = "{name}.tilts.example"

[listen.as4]
address = "{as4}"
tls = {{ certificate = "tls.pem", key = "tls.key" }}

[listen.backend]
address = "{backend}"

[listen.admin]
address = "{admin}"

[store]
path = "data"

[[key]]
file = "key.p12"
password_file = "password"
use = ["sign", "decrypt", "evidence"]

[[domain]]
name = "demo"
zone = "{ZONE}"
resolver = "{resolver}"
smp_trust = "../ca/smp.pem"
ap_trust = "../ca/ap.pem"
smp_tls_trust = "../ca/tls.pem"
ap_tls_trust = "../ca/tls.pem"
profile = "edelivery-1.15"
overrides = {{ retry = {{ first_seconds = 1, factor = 2, longest_seconds = 4, within_seconds = 3600 }} }}
evidence = "rem"
party_type = "{PARTY_TYPE}"
transport_profiles = ["{TRANSPORT}"]
gateway_codes = ["ee"]
participants = ["iso6523-actorid-upis::*"]
egress_allow = ["127.0.0.0/8"]
ports = []
"#
        )
    }

    /// Writes signed metadata for each (participant, access point, document type), starts SML and SMP.
    pub async fn registry(
        &self,
        entries: &[(&str, &AccessPoint, &str)],
        resolver: std::net::SocketAddr,
    ) -> Result<Registry> {
        let published = entries.iter().map(|(participant, point, kind)| point.publication(participant, kind));
        self.registry_of(&published.collect::<Vec<_>>(), resolver).await
    }

    /// Writes signed metadata, starts SML and SMP.
    pub async fn registry_of(
        &self,
        publications: &[Publication<'_>],
        resolver: std::net::SocketAddr,
    ) -> Result<Registry> {
        let folder = self.root.join("smp");
        let key = self.smp_ca.issue("tilts demo SMP 1", 2048, Purpose::Message)?;
        self.smp_ca.write_p12(&key, &folder.join("key.p12"), "changeit")?;
        let tls: Identity = self.tls_ca.issue("SMP TLS", 2048, Purpose::Tls)?;
        let smp = Smp::bind("127.0.0.1:0".parse()?, &tls, &folder.join("www")).await?;
        let base = format!("https://127.0.0.1:{}", smp.address()?.port());
        let mut names = Vec::new();
        for publication in publications {
            self.publish(publication, &base).await?;
            names.push((self.dns_name(publication.participant, ZONE).await?, base.clone()));
        }
        names.sort();
        names.dedup();
        let zone = sml::zone_file(ZONE, &names);
        fs::write(self.root.join("sml.zone"), &zone)?;
        let sml = Sml::start(resolver, ZONE, zone).await?;
        let tasks = vec![tokio::spawn(smp.run()), tokio::spawn(sml.run())];
        Ok(Registry { resolver, tasks })
    }

    /// One signed ServiceMetadata in the SMP's folder, made with `tilts smp sign`.
    async fn publish(&self, publication: &Publication<'_>, base: &str) -> Result<()> {
        let Publication { participant, document_type, url, certificate, transport } = publication;
        let folder = self.root.join("smp");
        let (dialect, process) = match *transport {
            TRANSPORT_PEPPOL => ("peppol", PROCESS_PEPPOL),
            _ => ("bdxr1", PROCESS),
        };
        let mut command = Command::new(&self.tilts);
        command.args(["smp", "sign", "--dialect", dialect, "--participant", participant]);
        command.args(["--document-type", document_type, "--process", process]);
        command.args(["--transport-profile", transport, "--url", url, "--base-url", base]);
        command.arg("--certificate").arg(certificate);
        command.arg("--keystore").arg(folder.join("key.p12")).args(["--password", "changeit"]);
        command.arg("--out").arg(folder.join("www"));
        said(command).await.map(drop)
    }

    /// The NAPTR name of a participant in a zone.
    pub async fn dns_name(&self, participant: &str, zone: &str) -> Result<String> {
        let mut command = Command::new(&self.tilts);
        command.args(["lookup", participant, "--names", "--zone", zone, "--json"]);
        let answer: serde_json::Value = serde_json::from_str(&said(command).await?)?;
        Ok(answer["names"]["naptr"].as_str().context("no NAPTR name")?.to_owned())
    }
}

/// What a command prints; an error when it fails.
pub async fn said(mut command: Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().await?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{:?} ended with {}: {}", command.as_std(), output.status, error.trim());
    Ok(String::from_utf8(output.stdout)?)
}

/// PartyId of the access point in a folder.
pub fn party_id(name: &str) -> String {
    format!("AP-{}", name.to_uppercase())
}
