//! The file that describes an endpoint under test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use openssl::pkey::PKey;
use openssl::x509::X509;
use serde::Deserialize;

use super::registry::Discovery;
use crate::ca::Identity;

/// An endpoint under test, as its file says. Paths start from the file's own folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Head of its column.
    pub name: String,
    /// Where it receives: IP address and port. HTTPS unless `plain`.
    pub address: SocketAddr,
    /// Path of its AS4 endpoint.
    #[serde(default = "as4")]
    pub path: String,
    /// Plain HTTP.
    #[serde(default)]
    pub plain: bool,
    /// Its PartyId.
    pub party_id: String,
    /// Type of all PartyIds; not written when empty.
    #[serde(default)]
    pub party_type: String,
    /// Its certificate, which signs and is encrypted for.
    pub certificate: PathBuf,
    /// Who the suite is.
    pub suite: Suite,
    /// Other keys that the suite may speak with, by what they are: `other`, `stranger`, `expired`, ...
    #[serde(default)]
    pub identity: BTreeMap<String, Keys>,
    /// The file of another endpoint of this product, in a network like Peppol.
    #[serde(default)]
    pub peppol: Option<PathBuf>,
    /// Whom it can look up.
    #[serde(default)]
    pub discovery: Option<Discovery>,
    /// More keys of both sides, by name: those of eDelivery AS4 2.0.
    #[serde(default)]
    pub keys: BTreeMap<String, KeySet>,
    /// What was agreed, by name: `oneway`, `signonly`, `retry`, ...
    pub pmode: BTreeMap<String, PMode>,
    /// How messages are handed in and looked at.
    #[serde(default)]
    pub backend: Backend,
    #[serde(skip)]
    folder: PathBuf,
}

fn as4() -> String {
    "/as4".into()
}

/// Who the suite is to the endpoint.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Its PartyId.
    pub party_id: String,
    /// Its certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Where the suite receives what the endpoint sends; nothing is received without it.
    pub listen: Option<SocketAddr>,
    /// Certificate and key of the suite's listener; plain HTTP without them.
    pub tls: Option<Keys>,
    /// The suite once more, reached without TLS: nothing but a signature vouches for what it answers there.
    pub plain: Option<Plain>,
    /// originalSender and finalRecipient of messages to the endpoint, `scheme::value`.
    #[serde(default = "sender")]
    pub original_sender: String,
    /// See there.
    #[serde(default = "recipient")]
    pub final_recipient: String,
}

/// A second listener, without TLS, under a PartyId of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plain {
    /// Its PartyId.
    pub party_id: String,
    /// Where it listens.
    pub listen: SocketAddr,
}

fn sender() -> String {
    crate::probe::SENDER.into()
}

fn recipient() -> String {
    crate::probe::RECIPIENT.into()
}

/// A certificate and its key, both PEM.
#[derive(Debug, Clone, Deserialize)]
pub struct Keys {
    /// Certificate.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Keys of both sides for processing modes that need others than `certificate` and `suite.key`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySet {
    /// The endpoint's certificate that signs.
    pub signer: PathBuf,
    /// The endpoint's certificate that is encrypted for.
    pub certificate: PathBuf,
    /// What the suite signs with.
    pub sign: Keys,
    /// What the suite decrypts with.
    pub decrypt: Keys,
}

/// A processing mode on which suite and endpoint agree, in both directions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PMode {
    /// Service.
    pub service: String,
    /// Its type; not written when empty.
    #[serde(default)]
    pub service_type: String,
    /// Action.
    pub action: String,
    /// The suite's PartyId here, where it is another.
    #[serde(default)]
    pub party_id: Option<String>,
    /// Name of the `[keys]` under which messages go.
    #[serde(default)]
    pub keys: Option<String>,
    /// Type of the suite's PartyId here, where it is not that of the endpoint.
    #[serde(default)]
    pub party_type: Option<String>,
    /// Whether payloads are encrypted.
    #[serde(default = "yes")]
    pub encrypt: bool,
    /// AgreementRef, where one is agreed.
    #[serde(default)]
    pub agreement_ref: Option<String>,
}

fn yes() -> bool {
    true
}

/// How messages are handed in and looked at.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Backend {
    /// Not at all: only what an answer on the wire shows is checked.
    #[default]
    None,
    /// The REST interface of tilts.
    TiltsRest {
        /// Where it listens.
        address: SocketAddr,
        /// PartyId of the `[[partner]]` that the suite is.
        partner: String,
    },
    /// The endpoint is a process that the suite starts. It says one JSON object a line on its standard output: first
    /// `{"event":"ready","port":1}`, whose port takes the place of port 0 in `address`, then
    /// `{"event":"received","message_id":"…","parts":[{"sha256":"…"}]}` for each message that it took. Nothing can be handed in.
    JsonLines {
        /// Program and arguments; `{folder}` in them is the folder of the file.
        command: Vec<String>,
    },
}

impl Suite {
    /// Certificate and key together.
    pub fn keys(&self) -> Keys {
        Keys { certificate: self.certificate.clone(), key: self.key.clone() }
    }
}

impl Endpoint {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or says something unknown.
    pub fn read(file: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut endpoint: Self = toml::from_str(&text).with_context(|| file.display().to_string())?;
        endpoint.folder = file.parent().unwrap_or(Path::new(".")).to_owned();
        Ok(endpoint)
    }

    /// A path of the file.
    pub fn path_of(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// A certificate of the file.
    pub fn read_certificate(&self, path: &Path) -> Result<X509> {
        let path = self.path_of(path);
        let pem = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        X509::from_pem(&pem).with_context(|| format!("no certificate in {}", path.display()))
    }

    /// A certificate with its key.
    pub fn keys(&self, keys: &Keys) -> Result<Identity> {
        let path = self.path_of(&keys.key);
        let pem = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let key =
            PKey::private_key_from_pem(&pem).with_context(|| format!("no key in {}", path.display()))?;
        Ok(Identity { certificate: self.read_certificate(&keys.certificate)?, key })
    }
}
