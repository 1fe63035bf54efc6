//! Nodes that know each other by name, with the keys of one profile or of several at once.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use hyper::Method;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::ca::{Purpose, Validity};
use crate::http::{self, Part, multipart};
use crate::node::{free, tilts_binary};
use crate::world::{AccessPoint, ENVELOPE, PARTY_TYPE, PROCESS, TRANSPORT, TRANSPORT_2, World, party_id};

/// Keys of one profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RSA for everything: eDelivery 1.15.
    Rsa,
    /// Ed25519 and X25519: eDelivery 2.0.
    Eddsa,
    /// P-256 for both: eDelivery 2.0.
    Ec,
}

use Kind::{Ec, Eddsa, Rsa};

impl Kind {
    /// Its profile.
    pub fn profile(self) -> &'static str {
        match self {
            Rsa => "edelivery-1.15",
            Eddsa => "edelivery-2.0",
            Ec => "edelivery-2.0-ec",
        }
    }

    /// Its transport profile in an SMP.
    pub fn transport(self) -> &'static str {
        if self == Rsa { TRANSPORT } else { TRANSPORT_2 }
    }

    /// Names of the certificates that sign and that are encrypted for.
    pub fn certificates(self) -> (&'static str, &'static str) {
        match self {
            Rsa => ("certificate", "certificate"),
            Eddsa => ("ed25519", "x25519"),
            Ec => ("ec", "ec"),
        }
    }

    /// A name for a node with such keys.
    pub fn scheme(self) -> &'static str {
        match self {
            Rsa => "old",
            Eddsa => "new",
            Ec => "curve",
        }
    }
}

/// A world with nodes of chosen keys.
pub struct Stage {
    /// The world.
    pub world: World,
    /// Where its DNS is, or will be.
    pub resolver: SocketAddr,
    /// Length of RSA keys.
    bits: u32,
    folder: tempfile::TempDir,
}

impl Stage {
    /// Makes the world; no node yet.
    pub fn set() -> Result<Self> {
        Self::with(&tilts_binary()?, 2048)
    }

    /// The same for a binary and RSA keys of that length.
    pub fn with(tilts: &Path, bits: u32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let world = World::new(&folder.path().join("world"), tilts)?;
        Ok(Self { world, resolver: free()?, bits, folder })
    }

    /// Leaves everything where it lies, for whoever looks for what went wrong.
    pub fn keep(&mut self) {
        self.folder.disable_cleanup(true);
    }

    /// A node with keys of these kinds only, in a domain of the first one's profile. `evidence` adds an RSA key for evidence.
    pub fn node(&self, name: &str, kinds: &[Kind], evidence: bool) -> Result<AccessPoint> {
        let mut point = self.world.access_point(name, self.bits, self.resolver, "")?;
        let folder = self.world.root.join(name);
        let config = folder.join("tilts.toml");
        let text = fs::read_to_string(&config)?;
        let (head, rest) = text.split_once("[[key]]").context("no [[key]]")?;
        let (_, domain) = rest.split_once("[[domain]]").context("no [[domain]]")?;
        let mut keys = String::new();
        for kind in kinds {
            keys += &self.keys(&folder, name, *kind)?;
        }
        if evidence {
            keys += &key("key", "\"evidence\"");
        }
        let domain = domain.replace("\"edelivery-1.15\"", &format!("{:?}", kinds[0].profile()));
        let domain = domain.replace(TRANSPORT, kinds[0].transport());
        fs::write(&config, format!("{head}{keys}[[domain]]{domain}{BACKEND}"))?;
        point.certificate = folder.join(kinds[0].certificates().1).with_extension("pem");
        point.transport = kinds[0].transport();
        Ok(point)
    }

    fn keys(&self, folder: &Path, name: &str, kind: Kind) -> Result<String> {
        Ok(match kind {
            Rsa => key("key", "\"sign\", \"decrypt\""),
            Eddsa => {
                self.issue(folder, name, "ed25519", PKey::generate_ed25519()?)?;
                self.issue(folder, name, "x25519", PKey::generate_x25519()?)?;
                key("ed25519", "\"sign\"") + &key("x25519", "\"decrypt\"")
            }
            Ec => {
                let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
                self.issue(folder, name, "ec", PKey::from_ec_key(EcKey::generate(&group)?)?)?;
                key("ec", "\"sign\", \"decrypt\"")
            }
        })
    }

    fn issue(&self, folder: &Path, name: &str, file: &str, key: PKey<Private>) -> Result<()> {
        let ca = &self.world.ap_ca;
        let identity = ca.issue_key(key, &party_id(name), Purpose::Message, Validity::default())?;
        ca.write_p12(&identity, &folder.join(file).with_extension("p12"), "changeit")?;
        identity.write_certificate(&folder.join(file).with_extension("pem"))
    }

    /// Appends to the configuration of a node.
    pub fn append(&self, name: &str, more: &str) -> Result<()> {
        let config = self.world.root.join(name).join("tilts.toml");
        let text = fs::read_to_string(&config)?;
        Ok(fs::write(config, text + more)?)
    }
}

const BACKEND: &str = "\n[[backend]]\nid = \"all\"\nadapter = \"rest\"\n";

fn key(file: &str, uses: &str) -> String {
    format!("[[key]]\nfile = \"{file}.p12\"\npassword_file = \"password\"\nuse = [{uses}]\n\n")
}

/// `[[partner]]` and `[[agreement]]` with a node, under the keys of one kind. `signers` may sign besides.
pub fn agree(partner: &AccessPoint, kind: Kind, signers: &str, url: &str) -> String {
    let (name, party) = (&partner.name, party_id(&partner.name));
    let (sign, decrypt) = kind.certificates();
    format!(
        "\n[[partner]]\nparty_id = \"{party}\"\nparty_type = \"{PARTY_TYPE}\"\nurl = \"{url}\"\nallow_http = true\n\
         certificate = \"../{name}/{decrypt}.pem\"\nsigner = [\"../{name}/{sign}.pem\"{signers}]\n\
         tls_trust = \"../ca/tls.pem\"\negress_allow = [\"127.0.0.0/8\"]\nports = []\n\
         participants = [\"to-{name}::*\"]\n\
         [[agreement]]\npartner = \"{party}\"\nprofile = \"{}\"\nevidence = \"rem\"\n",
        kind.profile()
    )
}

/// Where a node receives.
pub fn url(point: &AccessPoint) -> String {
    format!("https://{}/as4", point.node.ports.as4)
}

/// Hands in two parts, one of them XML, for a participant.
pub async fn submit(from: &AccessPoint, sender: &str, participant: &str) -> Result<String> {
    let description = json!({
        "client_id": format!("letter to {participant}"), "original_sender": sender, "document_type": ENVELOPE,
        "process": PROCESS, "recipients": [{ "participant": participant }],
    });
    let (kind, body) = multipart(&[
        Part::new("description", "application/json", description.to_string().into_bytes()),
        Part::new(
            "letter",
            "application/xml",
            format!("<letter>{}</letter>", "text ".repeat(400)).into_bytes(),
        ),
        Part::new("picture", "application/octet-stream", (0..=255).collect::<Vec<u8>>()),
    ]);
    let to = from.node.ports.backend;
    let answer = http::request(to, Method::POST, "/v1/submissions?backend=all", &kind, body).await?.json()?;
    Ok(answer["id"].as_str().with_context(|| format!("no id in {answer}"))?.to_owned())
}

/// Takes one request as it comes, and gives no answer that means anything.
pub async fn captured(listener: TcpListener) -> Result<Vec<u8>> {
    let (mut stream, _) = listener.accept().await?;
    let mut octets = Vec::new();
    let mut chunk = vec![0; 65536];
    loop {
        let read = stream.read(&mut chunk).await?;
        octets.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&octets);
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.context("no Content-Length")?.trim().parse()?;
        if read == 0 || octets.len() >= head.len() + 4 + length {
            stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await?;
            return Ok(octets);
        }
    }
}
