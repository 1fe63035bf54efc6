//! The configuration file as written: one TOML document, unknown keys refused (model.md 8).
//!
//! Paths are relative to the folder of the file. Secrets come by file path only.

mod limits;
mod listen;
mod s3;
mod text;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use crate::clock::SignedDuration;
use crate::discovery::{Dialect, LookupMode};
use crate::pki::RevocationRule;
use crate::transport::Cidr;

pub use limits::{Limits, Log, LogFormat};
pub use listen::{As4Listener, Listen, Listener, Role, Tls, Token};
pub use s3::S3;
pub use text::{Paths, Text};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Who we are.
    pub node: Node,
    /// Where we listen.
    pub listen: Listen,
    /// Where we keep things.
    #[serde(default)]
    pub store: Store,
    /// Key stores.
    #[serde(default, rename = "key")]
    pub keys: Vec<Key>,
    /// Communities whose access points are found by discovery.
    #[serde(default, rename = "domain")]
    pub domains: Vec<Domain>,
    /// Access points known by name.
    #[serde(default, rename = "partner")]
    pub partners: Vec<Partner>,
    /// What was agreed with partners.
    #[serde(default, rename = "agreement")]
    pub agreements: Vec<Agreement>,
    /// Who submits and who is delivered to.
    #[serde(default, rename = "backend")]
    pub backends: Vec<Backend>,
    /// E-addresses that follow no rule.
    #[serde(default, rename = "address")]
    pub addresses: Vec<Address>,
    /// The national side.
    #[serde(default)]
    pub div: Option<Div>,
    /// Policy where a domain or agreement has none of its own.
    #[serde(default)]
    pub status: StatusPolicy,
    /// Bounds on what comes from outside.
    #[serde(default)]
    pub limits: Limits,
    /// What is logged.
    #[serde(default)]
    pub log: Log,
}

/// `[node]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Our PartyId.
    pub party_id: String,
    /// Its type; leave out only where the id is a URI.
    pub party_type: Option<String>,
    /// Right-hand side of the MessageIds that we give out.
    pub domain: String,
}

/// `[store]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// Folder of this node alone: the database and the payloads, unless they are elsewhere.
    pub path: PathBuf,
    /// `[store.postgres]`: the database of one node or of several, instead of SQLite.
    pub postgres: Option<Postgres>,
    /// Folder of the payloads where several nodes share one.
    pub payloads: Option<PathBuf>,
    /// `[store.s3]`: a bucket of payloads, instead of a folder.
    pub s3: Option<S3>,
    /// How long the octets of payloads are kept; rows, digests and evidence stay.
    pub keep_payloads: Text<SignedDuration>,
    /// Octets that stay free on the disks of the store, at most a twentieth of each.
    pub keep_free: u64,
    /// Files of keys under which payloads are encrypted at rest; the first encrypts.
    pub payload_keys: Vec<PathBuf>,
}

/// What the national side asks for (model.md; five years, the leap day among them).
const FIVE_YEARS: SignedDuration = SignedDuration::from_hours((5 * 365 + 1) * 24);

impl Default for Store {
    fn default() -> Self {
        let keep_payloads = Text(FIVE_YEARS);
        Self {
            path: "data".into(),
            postgres: None,
            payloads: None,
            s3: None,
            keep_payloads,
            keep_free: 256 << 20,
            payload_keys: Vec::new(),
        }
    }
}

/// `[store.postgres]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// `postgres://user@host:port/database?sslmode=verify-full`, without a password.
    pub url: String,
    /// File whose only line is the password.
    pub password_file: Option<PathBuf>,
    /// Connections of this node.
    #[serde(default = "twelve")]
    pub connections: u32,
    /// Seconds without a sign of life after which the other nodes take over a node's work.
    #[serde(default = "half_a_minute")]
    pub takeover_seconds: u32,
    /// Seconds after which a server that does not answer counts as gone.
    #[serde(default = "three_minutes")]
    pub answer_seconds: u32,
}

const fn half_a_minute() -> u32 {
    30
}

const fn three_minutes() -> u32 {
    180
}

const fn twelve() -> u32 {
    12
}

/// `[[key]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// PKCS#12, JKS or PEM.
    pub file: PathBuf,
    /// File whose only line is the password.
    pub password_file: Option<PathBuf>,
    /// Where the key's password is not its store's.
    pub key_password_file: Option<PathBuf>,
    /// Which entry, where the store holds several.
    pub alias: Option<String>,
    /// What it is for.
    pub r#use: Vec<KeyUse>,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyUse {
    /// Signing AS4 messages and signals.
    Sign,
    /// Decrypting what comes in.
    Decrypt,
    /// Signing delivery evidence; the signing key when no key has this use.
    Evidence,
    /// Signing DIV envelopes.
    Div,
}

/// `[[domain]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// Name of the domain in logs and statuses.
    pub name: String,
    /// DNS zone of the SML.
    pub zone: String,
    /// Resolver; the system's when absent.
    pub resolver: Option<SocketAddr>,
    /// `naptr`, `cname`, in the order tried.
    #[serde(default = "naptr")]
    pub lookup: Vec<LookupMode>,
    /// `peppol`, `bdxr1`, `bdxr2`.
    #[serde(default = "all_dialects")]
    pub dialects: Vec<Dialect>,
    /// PEM anchors of SMP signatures.
    pub smp_trust: PathBuf,
    /// PEM anchors of access points.
    pub ap_trust: PathBuf,
    /// PEM anchors of evidence signers besides the party itself.
    pub evidence_trust: Option<PathBuf>,
    /// PEM anchors of the SMP's TLS; the system's when absent.
    pub smp_tls_trust: Option<PathBuf>,
    /// PEM anchors of the access points' TLS; the system's when absent.
    pub ap_tls_trust: Option<PathBuf>,
    /// Accept SHA-1 in SMP signatures.
    #[serde(default)]
    pub allow_sha1: bool,
    /// Network profile.
    pub profile: String,
    /// Network profile by transport profile, for those that mean another one than `profile`.
    #[serde(default)]
    pub profiles: BTreeMap<String, String>,
    /// Fields of the profiles that differ here.
    #[serde(default)]
    pub overrides: serde_json::Map<String, serde_json::Value>,
    /// What counts as proof of delivery.
    #[serde(default)]
    pub evidence: crate::pmode::EvidenceRule,
    /// PartyId type of the access points.
    pub party_type: Option<String>,
    /// Transport profiles, best first.
    pub transport_profiles: Vec<String>,
    /// Participant identifier scheme of `<icd>.<value>@<gateway>` addresses.
    #[serde(default = "scheme")]
    pub scheme: String,
    /// Codes after the `@` of an e-address that mean this domain.
    #[serde(default)]
    pub gateway_codes: Vec<String>,
    /// Participants of this domain, `scheme::value`, a trailing `*` for all that begin so.
    #[serde(default)]
    pub participants: Vec<String>,
    /// Document type asked for when the submission names none, `scheme::value`.
    #[serde(default = "document_type")]
    pub document_type: String,
    /// Process asked for when the submission names none, `scheme::value`.
    #[serde(default = "process")]
    pub process: String,
    /// Form in which DIV messages travel: `div` or `plain`.
    #[serde(default)]
    pub form: DivForm,
    /// Document type under which senders are found again, for evidence.
    #[serde(default = "evidence_document_type")]
    pub evidence_document_type: String,
    /// Networks that lookups and sending may reach besides public addresses.
    #[serde(default)]
    pub egress_allow: Vec<Cidr>,
    /// Ports that may be reached; an empty list means any.
    #[serde(default = "ports")]
    pub ports: Vec<u16>,
    /// Plain `http` addresses are followed.
    #[serde(default)]
    pub allow_http: bool,
    /// Whether the resolver must vouch for its answers (AD bit).
    #[serde(default)]
    pub dnssec: bool,
    /// What is demanded of revocation data: `require`, `soft` or `off`.
    #[serde(default)]
    pub revocation: RevocationRule,
    /// How long payloads of this domain are kept, where it is not as `[store]` says.
    pub keep_payloads: Option<Text<SignedDuration>>,
    /// Until when a message may be sent, from its submission; as `retry.within_seconds` says when absent.
    pub send_within: Option<Text<SignedDuration>>,
    /// How long the sender waits for the recipient to take a message, sent along as the property `deadline`.
    pub take_within: Option<Text<SignedDuration>>,
    /// Policy of this domain.
    #[serde(default)]
    pub status: StatusPolicy,
}

/// Form in which DIV messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum DivForm {
    /// The envelope, then the files.
    #[default]
    Div,
    /// The files alone.
    Plain,
}

/// `[[partner]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partner {
    /// The partner's PartyId.
    pub party_id: String,
    /// Its type.
    pub party_type: Option<String>,
    /// Where it receives.
    pub url: Option<String>,
    /// PEM or DER: its certificate, or several of different kinds; pinned, and encrypted for.
    #[serde(default)]
    pub certificate: Paths,
    /// PEM: anchors of its certificate, together with `subject`.
    pub anchor: Option<PathBuf>,
    /// Subject that its certificate must have.
    pub subject: Option<String>,
    /// What is demanded of revocation data where it is known by anchor and subject: `require`, `soft` or `off`.
    #[serde(default)]
    pub revocation: RevocationRule,
    /// PEM or DER: the certificate that signs, where it is not `certificate`; or several.
    #[serde(default)]
    pub signer: Paths,
    /// PEM anchors of its TLS; the system's when absent.
    pub tls_trust: Option<PathBuf>,
    /// Networks that may be reached besides public addresses.
    #[serde(default)]
    pub egress_allow: Vec<Cidr>,
    /// Ports that may be reached; an empty list means any.
    #[serde(default = "ports")]
    pub ports: Vec<u16>,
    /// Plain `http` is allowed.
    #[serde(default)]
    pub allow_http: bool,
    /// Participants reached through it, as in a domain.
    #[serde(default)]
    pub participants: Vec<String>,
    /// How long payloads of this partner are kept, where it is not as `[store]` says.
    pub keep_payloads: Option<Text<SignedDuration>>,
}

/// `[[agreement]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// Name in logs; `<partner>/<n>` when absent.
    pub id: Option<String>,
    /// PartyId of the partner.
    pub partner: String,
    /// Network profile.
    pub profile: String,
    /// Only this service.
    pub service: Option<String>,
    /// Its type.
    pub service_type: Option<String>,
    /// Only this action.
    pub action: Option<String>,
    /// What counts as proof of delivery.
    #[serde(default)]
    pub evidence: crate::pmode::EvidenceRule,
    /// Fields of the profile that differ here.
    #[serde(default)]
    pub overrides: serde_json::Map<String, serde_json::Value>,
    /// Policy of this agreement.
    #[serde(default)]
    pub status: StatusPolicy,
}

/// `[[backend]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// Name.
    pub id: String,
    /// How it is reached.
    pub adapter: Adapter,
    /// Folder of the folder and DIV adapters.
    pub path: Option<PathBuf>,
    /// What it takes; everything when absent.
    #[serde(default)]
    pub serves: Serves,
    /// How long a recipient has to take a message when the message itself does not say.
    pub take_within: Option<Text<SignedDuration>>,
    /// Domain of what it submits, where a submission does not say.
    pub domain: Option<String>,
}

/// How a backend is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Adapter {
    /// It calls our REST interface.
    Rest,
    /// It watches a folder.
    Folder,
    /// The national e-address system.
    Div,
}

/// What a backend takes. Empty lists mean everything; a trailing `*` means all that begin so.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Serves {
    /// finalRecipient, `scheme::value`.
    pub participants: Vec<String>,
    /// Action, `scheme::value`.
    pub document_types: Vec<String>,
    /// Service.
    pub processes: Vec<String>,
}

/// `[[address]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// The e-address.
    pub eaddress: String,
    /// The participant, `scheme::value`.
    pub participant: String,
}

/// `[div]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Div {
    /// PEM anchors of envelope signers.
    pub trust: PathBuf,
    /// E-address of the unit in whose name messages from abroad are handed in.
    pub sender: String,
}

/// `[status]`, also below a domain or agreement.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatusPolicy {
    /// `consignment`, `relay` or `receipt`.
    pub sent_on: Option<String>,
    /// `retrieval`, `consignment` or `receipt`.
    pub delivered_on: Option<String>,
    /// `evidence` or `deadline`.
    pub missed_on: Option<String>,
    /// `keep` or `failed`.
    pub uncertain_after_deadline: Option<String>,
}

fn naptr() -> Vec<LookupMode> {
    vec![LookupMode::Naptr]
}

fn all_dialects() -> Vec<Dialect> {
    vec![Dialect::Bdxr1, Dialect::Bdxr2, Dialect::Peppol]
}

/// REM evidence as a document type: no network has one of its own, so this is ours (docs/decisions).
fn evidence_document_type() -> String {
    "bdx-docid-qns::http://uri.etsi.org/02640/v2#::REMEvidence##tilts:1::2.1.1".into()
}

fn scheme() -> String {
    "iso6523-actorid-upis".into()
}

/// The DIV envelope as a document type (model.md 5).
fn document_type() -> String {
    "bdx-docid-qns::http://ivis.eps.gov.lv/XMLSchemas/100001/DIV/v1-0::Envelope##lv-eaddress:1::1.0".into()
}

fn process() -> String {
    "bdx-procid-transport::bdx:noprocess".into()
}

fn ports() -> Vec<u16> {
    vec![443]
}
