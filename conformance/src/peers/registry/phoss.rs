//! phoss SMP: one process per dialect, on a schema of its own in PostgreSQL; and what is published there.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use tokio::process::Command;

use crate::http;
use crate::node::free;
use crate::peers::gateway::PASSWORD;
use crate::peers::java::Java;
use crate::peers::process::Process;
use crate::peppol::DOCUMENT_TYPE;
use crate::postgres::{Postgres, USER};
use crate::world::{PROCESS_PEPPOL, TRANSPORT};

/// A dialect of SMPs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Peppol SMP 1.x.
    Peppol,
    /// OASIS SMP 1.0.
    Bdxr1,
    /// OASIS SMP 2.0.
    Bdxr2,
}

/// All of them.
pub(super) const DIALECTS: [Dialect; 3] = [Dialect::Peppol, Dialect::Bdxr1, Dialect::Bdxr2];

impl Dialect {
    /// As tilts calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Peppol => "peppol",
            Self::Bdxr1 => "bdxr1",
            Self::Bdxr2 => "bdxr2",
        }
    }

    /// As phoss calls it.
    fn rest_type(self) -> &'static str {
        match self {
            Self::Bdxr1 => "bdxr",
            other => other.name(),
        }
    }
}

/// What is the same in every dialect; phoss reads its settings as system properties, too.
const SETTINGS: [(&str, &str); 16] = [
    ("webapp.checkfileaccess", "false"),
    ("global.debug", "false"),
    ("global.production", "true"),
    ("smp.backend", "sql"),
    ("smp.keystore.type", "PKCS12"),
    ("smp.keystore.password", PASSWORD),
    ("smp.keystore.key.alias", "key"),
    ("smp.keystore.key.password", PASSWORD),
    ("smp.forceroot", "true"),
    ("sml.smpid", "TILTS-SMP"),
    // The strict kinds know only the schemes of their own network.
    ("smp.identifiertype", "simple"),
    ("target-database", "PostgreSQL"),
    ("jdbc.driver", "org.postgresql.Driver"),
    ("jdbc.user", USER),
    ("jdbc.password", USER),
    ("jdbc.schema-create", "true"),
];

/// phoss in one dialect, while it runs.
pub(super) struct Phoss {
    /// Which.
    pub(super) dialect: Dialect,
    process: Process,
    address: SocketAddr,
}

/// What a participant's endpoint is published as.
pub(super) struct Endpoint<'e> {
    /// Where it receives.
    pub(super) url: &'e str,
    /// The date on which it ends.
    pub(super) until: &'e str,
    /// Its certificate, DER.
    pub(super) certificate: Vec<u8>,
}

impl Phoss {
    /// Starts it; it signs with `keystore` and believes that it is reached at `public`.
    pub(super) fn start(
        dialect: Dialect,
        (java, jar): (&Java, &Path),
        folder: &Path,
        database: &Postgres,
        public: SocketAddr,
    ) -> Result<Self> {
        let data = folder.join(dialect.name());
        std::fs::create_dir_all(&data)?;
        let (address, kind) = (free()?, dialect.rest_type());
        let mut command = Command::new(&java.binary);
        command.args(["-Xmx384m", "-XX:+UseSerialGC"]);
        for (name, value) in SETTINGS {
            command.arg(format!("-D{name}={value}"));
        }
        for (name, value) in [
            ("peer.port", address.port().to_string()),
            ("webapp.datapath", data.display().to_string()),
            ("smp.keystore.path", folder.join("smp.p12").display().to_string()),
            ("smp.publicurl", format!("https://{public}")),
            ("smp.rest.type", kind.to_owned()),
            ("jdbc.url", format!("jdbc:postgresql://{}/postgres", database.address)),
            ("jdbc.schema", format!("smp_{kind}")),
        ] {
            command.arg(format!("-D{name}={value}"));
        }
        command.arg("-jar").arg(jar);
        let process = Process::spawn("phoss", command, &folder.join(format!("{}.log", dialect.name())))?;
        Ok(Self { dialect, process, address })
    }

    /// Waits until it answers; gives where, in plain HTTP.
    pub(super) async fn ready(&mut self) -> Result<SocketAddr> {
        self.process.port().await?;
        Ok(self.address)
    }

    /// Publishes a participant with one endpoint.
    pub(super) async fn publish(&self, participant: &str, endpoint: &Endpoint<'_>) -> Result<()> {
        self.put(&encoded(participant), self.group(participant)).await?;
        self.put(&metadata_path(participant), self.metadata(participant, endpoint)).await
    }

    /// Publishes that another SMP has a participant's metadata. OASIS SMP 2.0: see the table.
    pub(super) async fn redirect(&self, participant: &str, url: &str, signer: &str) -> Result<()> {
        let namespace = self.namespace();
        let text = format!(
            "<ServiceMetadata xmlns=\"{namespace}\"><Redirect href=\"{url}\"><CertificateUID>{signer}</CertificateUID>\
             </Redirect></ServiceMetadata>"
        );
        self.put(&encoded(participant), self.group(participant)).await?;
        self.put(&metadata_path(participant), text).await
    }

    async fn put(&self, path: &str, body: String) -> Result<()> {
        // The user that phoss makes at its first start.
        let login = format!("Basic {}", STANDARD.encode("admin@helger.com:password"));
        let answer = http::authorized(self.address, Method::PUT, &format!("/{path}"), &login, body).await?;
        let text = String::from_utf8_lossy(&answer.body);
        ensure!(answer.status.is_success(), "PUT {path}: HTTP {}: {text}", answer.status);
        Ok(())
    }

    fn namespace(&self) -> &'static str {
        match self.dialect {
            Dialect::Peppol => "http://busdox.org/serviceMetadata/publishing/1.0/",
            Dialect::Bdxr1 => "http://docs.oasis-open.org/bdxr/ns/SMP/2016/05",
            Dialect::Bdxr2 => "http://docs.oasis-open.org/bdxr/ns/SMP/2/ServiceMetadata",
        }
    }

    fn group(&self, participant: &str) -> String {
        let (scheme, value) = split(participant);
        let namespace = self.namespace();
        match self.dialect {
            Dialect::Peppol => format!(
                "<ServiceGroup xmlns=\"{namespace}\"><i:ParticipantIdentifier xmlns:i=\"{IDENTIFIERS}\" \
                 scheme=\"{scheme}\">{value}</i:ParticipantIdentifier><ServiceMetadataReferenceCollection/></ServiceGroup>"
            ),
            Dialect::Bdxr1 => format!(
                "<ServiceGroup xmlns=\"{namespace}\"><ParticipantIdentifier scheme=\"{scheme}\">{value}\
                 </ParticipantIdentifier><ServiceMetadataReferenceCollection/></ServiceGroup>"
            ),
            Dialect::Bdxr2 => format!(
                "<ServiceGroup xmlns=\"http://docs.oasis-open.org/bdxr/ns/SMP/2/ServiceGroup\" xmlns:b=\"{BASIC}\">\
                 <b:SMPVersionID>2.0</b:SMPVersionID><b:ParticipantID schemeID=\"{scheme}\">{value}</b:ParticipantID>\
                 </ServiceGroup>"
            ),
        }
    }

    fn metadata(&self, participant: &str, endpoint: &Endpoint<'_>) -> String {
        match self.dialect {
            Dialect::Bdxr2 => two(participant, endpoint),
            one => self.one(participant, endpoint, one == Dialect::Peppol),
        }
    }

    /// Peppol and OASIS SMP 1.0 differ in namespaces and in the element of the address.
    fn one(&self, participant: &str, endpoint: &Endpoint<'_>, peppol: bool) -> String {
        let ((scheme, value), (kind, document), (process_kind, process)) =
            (split(participant), split(DOCUMENT_TYPE), split(PROCESS_PEPPOL));
        let (namespace, i) = (self.namespace(), if peppol { "i:" } else { "" });
        let address = match peppol {
            true => format!(
                "<w:EndpointReference xmlns:w=\"http://www.w3.org/2005/08/addressing\"><w:Address>{}</w:Address>\
                 </w:EndpointReference>",
                endpoint.url
            ),
            false => format!("<EndpointURI>{}</EndpointURI>", endpoint.url),
        };
        format!(
            "<ServiceMetadata xmlns=\"{namespace}\" xmlns:i=\"{IDENTIFIERS}\"><ServiceInformation>\
             <{i}ParticipantIdentifier scheme=\"{scheme}\">{value}</{i}ParticipantIdentifier>\
             <{i}DocumentIdentifier scheme=\"{kind}\">{document}</{i}DocumentIdentifier><ProcessList><Process>\
             <{i}ProcessIdentifier scheme=\"{process_kind}\">{process}</{i}ProcessIdentifier><ServiceEndpointList>\
             <Endpoint transportProfile=\"{TRANSPORT}\">{address}\
             <RequireBusinessLevelSignature>false</RequireBusinessLevelSignature>\
             <ServiceActivationDate>2020-01-01T00:00:00Z</ServiceActivationDate>\
             <ServiceExpirationDate>{}T00:00:00Z</ServiceExpirationDate><Certificate>{}</Certificate>\
             <ServiceDescription>a test</ServiceDescription><TechnicalContactUrl>https://example.org</TechnicalContactUrl>\
             </Endpoint></ServiceEndpointList></Process></ProcessList></ServiceInformation></ServiceMetadata>",
            endpoint.until,
            STANDARD.encode(&endpoint.certificate),
        )
    }
}

const IDENTIFIERS: &str = "http://busdox.org/transport/identifiers/1.0/";
const BASIC: &str = "http://docs.oasis-open.org/bdxr/ns/SMP/2/BasicComponents";

fn two(participant: &str, endpoint: &Endpoint<'_>) -> String {
    let ((scheme, value), (kind, document), (process_kind, process)) =
        (split(participant), split(DOCUMENT_TYPE), split(PROCESS_PEPPOL));
    format!(
        "<ServiceMetadata xmlns=\"http://docs.oasis-open.org/bdxr/ns/SMP/2/ServiceMetadata\" xmlns:b=\"{BASIC}\" \
         xmlns:a=\"http://docs.oasis-open.org/bdxr/ns/SMP/2/AggregateComponents\"><b:SMPVersionID>2.0</b:SMPVersionID>\
         <b:ID schemeID=\"{kind}\">{document}</b:ID><b:ParticipantID schemeID=\"{scheme}\">{value}</b:ParticipantID>\
         <a:ProcessMetadata><a:Process><b:ID schemeID=\"{process_kind}\">{process}</b:ID></a:Process><a:Endpoint>\
         <b:TransportProfileID>{TRANSPORT}</b:TransportProfileID><b:Description>a test</b:Description>\
         <b:Contact>https://example.org</b:Contact><b:AddressURI>{}</b:AddressURI>\
         <b:ActivationDate>2020-01-01</b:ActivationDate><b:ExpirationDate>{}</b:ExpirationDate><a:Certificate>\
         <b:TypeCode>x</b:TypeCode><b:ContentBinaryObject mimeCode=\"application/base64\">{}</b:ContentBinaryObject>\
         </a:Certificate></a:Endpoint></a:ProcessMetadata></ServiceMetadata>",
        endpoint.url,
        endpoint.until,
        STANDARD.encode(&endpoint.certificate),
    )
}

/// Scheme and value of an identifier.
pub(super) fn split(identifier: &str) -> (&str, &str) {
    identifier.split_once("::").unwrap_or(("", identifier))
}

/// The path of a participant's metadata.
pub(super) fn metadata_path(participant: &str) -> String {
    format!("{}/services/{}", encoded(participant), encoded(DOCUMENT_TYPE))
}

/// One segment of a path.
pub(super) fn encoded(text: &str) -> String {
    let one = |octet: u8| match octet {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(octet).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(one).collect()
}
