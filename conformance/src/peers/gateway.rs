//! tilts nodes as the peers know them.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use openssl::x509::X509;
use serde_json::Value;

use super::job::sha256;
use crate::ca::{Authority, Identity, Purpose};
use crate::http;
use crate::node::{Node, Ports};
use crate::world::{AccessPoint, PARTY_TYPE, World};

/// Password of every key store here.
pub const PASSWORD: &str = "changeit";

/// A tilts process with what others know of it.
pub struct Gateway {
    /// The process.
    pub node: Node,
    /// PartyId.
    pub party: String,
    /// Its certificate as PEM.
    pub certificate: PathBuf,
    /// SHA-256 of that certificate.
    pub fingerprint: String,
}

impl Gateway {
    /// An access point of a world.
    pub fn of(point: AccessPoint) -> Result<Self> {
        let certificate = X509::from_pem(&fs::read(&point.certificate)?)?;
        let fingerprint = sha256(&certificate.to_der()?);
        let party = common_name(&certificate);
        Ok(Self { node: point.node, party, certificate: point.certificate, fingerprint })
    }

    /// GET of the administration interface.
    pub async fn admin(&self, path: &str) -> Result<Value> {
        http::get(self.node.ports.admin, path).await
    }

    /// Its AS4 endpoint.
    pub fn url(&self) -> String {
        format!("https://{}/as4", self.node.ports.as4)
    }
}

/// Where a node is made, and whose it is.
pub struct Place<'w> {
    /// Folders and authorities.
    pub world: &'w World,
    /// Name of its folder.
    pub name: &'w str,
    /// Its key; the common name is its PartyId.
    pub identity: &'w Identity,
    /// The key that decrypts, where it is another.
    pub decrypt: Option<&'w Identity>,
    /// Who signed that.
    pub ca: &'w Authority,
}

impl Place<'_> {
    /// Writes keys and configuration, with `partners` as TOML at its end, and starts it.
    pub async fn start(&self, ports: Ports, partners: &str) -> Result<Gateway> {
        let folder = self.world.root.join(self.name);
        fs::create_dir_all(&folder)?;
        self.ca.write_p12(self.identity, &folder.join("key.p12"), PASSWORD)?;
        fs::write(folder.join("password"), PASSWORD)?;
        let certificate = folder.join("certificate.pem");
        self.identity.write_certificate(&certificate)?;
        if let Some(decrypt) = self.decrypt {
            self.ca.write_p12(decrypt, &folder.join("decrypt.p12"), PASSWORD)?;
            decrypt.write_certificate(&folder.join("decrypt.pem"))?;
        }
        let tls = self.world.tls_ca.issue(&format!("{} TLS", self.name), 2048, Purpose::Tls)?;
        tls.write_pair(&folder.join("tls.pem"), &folder.join("tls.key"))?;
        let config = folder.join("tilts.toml");
        let party = common_name(&self.identity.certificate);
        fs::write(&config, head(&party, &ports) + &self.keys() + partners)?;
        let mut node = Node::new(&self.world.tilts, &config, ports);
        node.start().await?;
        let fingerprint = sha256(&self.identity.certificate.to_der()?);
        Ok(Gateway { node, party, certificate, fingerprint })
    }

    fn keys(&self) -> String {
        let key = |file: &str, uses: &str| {
            format!("\n[[key]]\nfile = \"{file}.p12\"\npassword_file = \"password\"\nuse = [{uses}]\n")
        };
        match self.decrypt {
            Some(_) => key("key", "\"sign\"") + &key("decrypt", "\"decrypt\""),
            None => key("key", "\"sign\", \"decrypt\""),
        }
    }
}

/// The configuration without keys and partners.
fn head(party: &str, ports: &Ports) -> String {
    let Ports { as4, backend, admin } = ports;
    format!(
        "# Generated for make conformance: everything on loopback, so loopback and its ports are allowed openly.\n\
         [node]\nparty_id = \"{party}\"\nparty_type = \"{PARTY_TYPE}\"\ndomain = \"{}.example\"\n\n\
         [listen.as4]\naddress = \"{as4}\"\ntls = {{ certificate = \"tls.pem\", key = \"tls.key\" }}\n\n\
         [listen.backend]\naddress = \"{backend}\"\n\n[listen.admin]\naddress = \"{admin}\"\n\n\
         [store]\npath = \"data\"\n\n\
         [[backend]]\nid = \"office\"\nadapter = \"rest\"\n\n\
         [limits]\nrejected_per_minute = 100000\n",
        party.to_lowercase()
    )
}

/// Common name of a certificate's subject.
pub fn common_name(certificate: &X509) -> String {
    let entry = certificate.subject_name().entries_by_nid(openssl::nid::Nid::COMMONNAME).next();
    entry.and_then(|e| e.data().to_string().ok()).unwrap_or_default()
}
