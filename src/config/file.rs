//! The configuration file as written: one TOML document, unknown keys refused (model.md 8).
//!
//! Paths are relative to the folder of the file. Secrets come by file path only.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use crate::clock::SignedDuration;
use crate::discovery::{Dialect, LookupMode};
use crate::pki::RevocationRule;
use crate::transport::Cidr;

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

/// `[listen]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// For other access points; public.
    pub as4: As4Listener,
    /// For backends.
    pub backend: Option<Listener>,
    /// For operators.
    pub admin: Option<Listener>,
}

/// `[listen.as4]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct As4Listener {
    /// Address and port.
    pub address: SocketAddr,
    /// Path of the endpoint.
    #[serde(default = "as4_path")]
    pub path: String,
    /// TLS; without it set `plain = true`.
    pub tls: Option<Tls>,
    /// Plain HTTP, for use behind a proxy that ends TLS.
    #[serde(default)]
    pub plain: bool,
}

/// `[listen.backend]` or `[listen.admin]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Address and port.
    pub address: SocketAddr,
    /// TLS; without it only loopback addresses are allowed.
    pub tls: Option<Tls>,
    /// Bearer tokens; without any only loopback addresses are allowed.
    #[serde(default)]
    pub tokens: Vec<Token>,
}

/// One bearer token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// File whose only line is the token.
    pub file: PathBuf,
    /// Backend that it speaks for; all of them when absent.
    pub backend: Option<String>,
    /// `backend`, `operator` or `viewer`.
    #[serde(default)]
    pub role: Role,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Submit, list, fetch, acknowledge.
    #[default]
    Backend,
    /// Retry, cancel, close, and read everything.
    Operator,
    /// Read everything.
    Viewer,
}

/// Server side TLS.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM: certificate and chain.
    pub certificate: PathBuf,
    /// PEM: private key.
    pub key: PathBuf,
    /// PEM: anchors of client certificates; a client that shows one must be under them.
    pub client_trust: Option<PathBuf>,
    /// Whether a client certificate is demanded.
    #[serde(default)]
    pub client_required: bool,
}

/// `[store]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// Folder of the database and the payloads.
    pub path: PathBuf,
    /// How long the octets of payloads are kept; rows, digests and evidence stay.
    pub keep_payloads: Text<SignedDuration>,
}

/// What the national side asks for (model.md; five years, the leap day among them).
const FIVE_YEARS: SignedDuration = SignedDuration::from_hours((5 * 365 + 1) * 24);

impl Default for Store {
    fn default() -> Self {
        Self { path: "data".into(), keep_payloads: Text(FIVE_YEARS) }
    }
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
    #[serde(default = "div_form")]
    pub form: String,
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
    /// Until when a message may be sent, from its submission.
    #[serde(default = "send_within")]
    pub send_within: Text<SignedDuration>,
    /// How long the sender waits for the recipient to take a message, sent along as the property `deadline`.
    pub take_within: Option<Text<SignedDuration>>,
    /// Policy of this domain.
    #[serde(default)]
    pub status: StatusPolicy,
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

/// `[limits]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Octets of a SOAP envelope.
    pub envelope_octets: usize,
    /// Octets of a whole message on the wire.
    pub message_octets: u64,
    /// Octets of one payload after decompression.
    pub payload_octets: u64,
    /// Most times that a payload may grow when decompressed, beyond the first 64 MiB.
    pub inflate_ratio: u64,
    /// Payload parts of one message, and the envelope.
    pub parts: usize,
    /// MIME headers of one part.
    pub part_headers: usize,
    /// Octets of the MIME headers of one part.
    pub part_header_octets: usize,
    /// Elements within elements of an envelope.
    pub xml_depth: usize,
    /// Elements, texts, comments and processing instructions of an envelope together.
    pub xml_nodes: usize,
    /// Attributes and namespace declarations of one element.
    pub xml_attributes: usize,
    /// References of one signature: the header, the Body and each part need one.
    pub references: usize,
    /// Connections at once on a listener.
    pub connections: usize,
    /// HTTP headers of a request.
    pub headers: usize,
    /// Octets of a request's head.
    pub header_octets: usize,
    /// Seconds for a TLS handshake.
    pub handshake_seconds: u64,
    /// Seconds for a whole request head, and between two requests.
    pub header_seconds: u64,
    /// Seconds without an octet before a connection is closed.
    pub idle_seconds: u64,
    /// Seconds that one exchange with a partner may take besides the time that its octets need.
    pub exchange_seconds: u64,
    /// Messages sent at once.
    pub sending: usize,
    /// Refused messages per source address and minute that get a row in the rejected list.
    pub rejected_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            envelope_octets: 1 << 20,
            message_octets: 16 << 30,
            payload_octets: 8 << 30,
            inflate_ratio: 200,
            parts: 256,
            part_headers: 64,
            part_header_octets: 16 << 10,
            xml_depth: 100,
            xml_nodes: 200_000,
            xml_attributes: 256,
            references: 64,
            connections: 2000,
            headers: 64,
            header_octets: 32 << 10,
            handshake_seconds: 10,
            header_seconds: 30,
            idle_seconds: 60,
            exchange_seconds: 120,
            sending: 16,
            rejected_per_minute: 60,
        }
    }
}

/// `[log]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, or a filter such as `tilts::msh=debug`.
    pub level: String,
    /// `text` or `json`.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Text }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// A value written as text, such as `"5 minutes"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<T>(pub T);

impl<'de, T> Deserialize<'de> for Text<T>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        text.parse().map(Self).map_err(|e| {
            serde::de::Error::custom(format!(
                "{text:?}: {e}; write a duration such as \"30s\" or \"5 minutes\""
            ))
        })
    }
}

/// One path, or a list of them.
#[derive(Debug, Clone, Default)]
pub struct Paths(pub Vec<PathBuf>);

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a path or a list of paths")]
        enum Written {
            One(PathBuf),
            Several(Vec<PathBuf>),
        }
        Ok(match Written::deserialize(input)? {
            Written::One(path) => Self(vec![path]),
            Written::Several(paths) => Self(paths),
        })
    }
}

fn as4_path() -> String {
    "/as4".into()
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

fn div_form() -> String {
    "div".into()
}

fn ports() -> Vec<u16> {
    vec![443]
}

fn send_within() -> Text<SignedDuration> {
    Text(SignedDuration::from_hours(24))
}
