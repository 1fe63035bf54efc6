//! The suite as SML and SMP: participants that an endpoint can look up, each published for one case.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::endpoint::{Endpoint, Keys};
use crate::sml::{Sml, zone_file};
use crate::smp::Smp;
use crate::world::said;

/// Where an endpoint looks participants up, and who is published there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    /// The resolver that the endpoint asks; the suite answers there, over UDP and TCP.
    pub resolver: SocketAddr,
    /// Its DNS zone.
    pub zone: String,
    /// Name of the domain, for a backend that is told one.
    #[serde(default)]
    pub domain: String,
    /// PKCS#12 store with which metadata is signed.
    pub smp: PathBuf,
    /// Its password.
    pub password: String,
    /// TLS of the SMP.
    pub tls: Keys,
    /// `peppol` or `bdxr1`.
    pub dialect: String,
    /// Document type of all that is published, `scheme::value`.
    pub document_type: String,
    /// Its process.
    pub process: String,
    /// Transport profile.
    pub transport_profile: String,
    /// Certificates of the access points published, by what they are: `found`, `mismatch`, ...
    pub published: BTreeMap<String, PathBuf>,
}

/// SML and SMP while they run.
pub struct Registry {
    tasks: Vec<JoinHandle<Result<()>>>,
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The participant that is published for a case; of one that is not published too.
pub fn participant(name: &str) -> String {
    let digits: u32 = name.bytes().fold(0, |sum, octet| (sum * 31 + u32::from(octet)) % 90_000_000);
    format!("iso6523-actorid-upis::0191:{}", 10_000_000 + digits)
}

/// A participant whose SMP does not answer.
pub const DEAD: &str = "dead";
/// A participant with a second endpoint, for another transport, in front of the right one.
pub const SEVERAL: &str = "several";

/// Publishes everybody at `url` and starts; `tilts` signs the metadata.
pub async fn start(endpoint: &Endpoint, url: &str, tilts: &Path, folder: &Path) -> Result<Option<Registry>> {
    let Some(discovery) = &endpoint.discovery else { return Ok(None) };
    let www = folder.join("smp");
    let smp = Smp::bind("127.0.0.1:0".parse()?, &endpoint.keys(&discovery.tls)?, &www).await?;
    let base = format!("https://127.0.0.1:{}", smp.address()?.port());
    let press = Press { endpoint, discovery, tilts, folder, base: &base };
    let mut names = vec![(press.dns_name(DEAD).await?, "https://127.0.0.1:1".to_owned())];
    for (name, certificate) in &discovery.published {
        press.publish(name, &endpoint.path_of(certificate), url).await?;
        names.push((press.dns_name(name).await?, base.clone()));
    }
    let sml = Sml::start(discovery.resolver, &discovery.zone, zone_file(&discovery.zone, &names)).await?;
    Ok(Some(Registry { tasks: vec![tokio::spawn(smp.run()), tokio::spawn(sml.run())] }))
}

struct Press<'p> {
    endpoint: &'p Endpoint,
    discovery: &'p Discovery,
    tilts: &'p Path,
    folder: &'p Path,
    base: &'p str,
}

impl Press<'_> {
    async fn dns_name(&self, name: &str) -> Result<String> {
        let mut command = Command::new(self.tilts);
        command.args(["lookup", &participant(name), "--names", "--zone", &self.discovery.zone, "--json"]);
        let answer: serde_json::Value = serde_json::from_str(&said(command).await?)?;
        Ok(answer["names"]["naptr"].as_str().context("no NAPTR name")?.to_owned())
    }

    async fn publish(&self, name: &str, certificate: &Path, url: &str) -> Result<()> {
        let Discovery { dialect, document_type, process, transport_profile, .. } = self.discovery;
        let mut command = Command::new(self.tilts);
        command.args(["smp", "sign", "--base-url", self.base, "--out"]).arg(self.folder.join("smp"));
        command.arg("--keystore").arg(self.endpoint.path_of(&self.discovery.smp));
        command.args(["--password", &self.discovery.password]);
        if name == SEVERAL {
            let file = self.folder.join("several.xml");
            std::fs::write(&file, several(self.discovery, &participant(name), certificate, url)?)?;
            command.arg("--file").arg(&file);
        } else {
            command.args(["--dialect", dialect, "--participant", &participant(name)]);
            command.args(["--document-type", document_type, "--process", process]);
            command.args(["--transport-profile", transport_profile, "--url", url, "--certificate"]);
            command.arg(certificate);
        }
        said(command).await.map(drop)
    }
}

/// Metadata in Peppol's dialect with two endpoints.
fn several(discovery: &Discovery, participant: &str, certificate: &Path, url: &str) -> Result<String> {
    let certificate = openssl::x509::X509::from_pem(&std::fs::read(certificate)?)?;
    let certificate = STANDARD.encode(certificate.to_der()?);
    let identifier = |name: &str, id: &str| {
        let (scheme, value) = id.split_once("::").unwrap_or_default();
        format!("<ids:{name} scheme=\"{scheme}\">{value}</ids:{name}>")
    };
    let endpoint = |profile: &str, url: &str| {
        format!(
            "<Endpoint transportProfile=\"{profile}\"><wsa:EndpointReference><wsa:Address>{url}</wsa:Address>\
             </wsa:EndpointReference><RequireBusinessLevelSignature>false</RequireBusinessLevelSignature><Certificate>\
             {certificate}</Certificate><ServiceDescription>x</ServiceDescription><TechnicalContactUrl>{url}\
             </TechnicalContactUrl></Endpoint>"
        )
    };
    Ok(format!(
        "<SignedServiceMetadata xmlns=\"http://busdox.org/serviceMetadata/publishing/1.0/\" \
         xmlns:ids=\"http://busdox.org/transport/identifiers/1.0/\" xmlns:wsa=\"http://www.w3.org/2005/08/addressing\">\
         <ServiceMetadata><ServiceInformation>{}{}<ProcessList><Process>{}<ServiceEndpointList>{}{}</ServiceEndpointList>\
         </Process></ProcessList></ServiceInformation></ServiceMetadata></SignedServiceMetadata>",
        identifier("ParticipantIdentifier", participant),
        identifier("DocumentIdentifier", &discovery.document_type),
        identifier("ProcessIdentifier", &discovery.process),
        endpoint("busdox-transport-as2-ver2p0", "https://127.0.0.1:1/as2"),
        endpoint(&discovery.transport_profile, url),
    ))
}
