//! The configuration of one domain: a community with its zone, dialects and trust (model 7).

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::{Dialect, NameRules};
use crate::pki::{RevocationRule, TrustStore};
use crate::transport::Cidr;

/// How participants of one domain are found. Every field that loosens a rule is strict by default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Domain {
    /// The DNS zone of its SML.
    pub zone: String,
    /// How names are looked up, tried in order.
    pub lookup: Vec<LookupMode>,
    /// The SMP dialects that are understood, in the order in which they are asked for.
    pub dialects: Vec<Dialect>,
    /// The NAPTR service that leads to an SMP.
    pub naptr_service: String,
    /// Accept SMP signatures with SHA-1 (discovery 2.4: old Peppol SMPs).
    pub allow_sha1: bool,
    /// Accept metadata without signature. Only for tests: anybody on the way could then redirect messages.
    pub allow_unsigned: bool,
    /// Transport profiles that we speak, the one we like best first.
    pub transport_profiles: Vec<String>,
    /// The scheme of participants given without one.
    pub default_scheme: Option<String>,
    /// The document type where none is given.
    pub default_document_type: Option<String>,
    /// The process where none is given.
    pub default_process: Option<String>,
    /// Networks that may be spoken to although they are not public.
    pub egress_allow: Vec<Cidr>,
    /// Ports of SMPs and access points; empty means any.
    pub ports: Vec<u16>,
    /// Accept `http:` addresses of SMPs and access points.
    pub plain_http: bool,
    /// The DNS resolver to ask; those of /etc/resolv.conf when absent.
    pub resolver: Option<SocketAddr>,
    /// Whether DNS answers must be validated.
    pub dnssec: Dnssec,
    /// What is demanded of revocation data about SMPs and access points.
    pub revocation: RevocationRule,
    /// Where revocation data is kept for the next start; in memory alone when absent.
    pub revocation_folder: Option<PathBuf>,
    /// Schemes whose values are hashed as written.
    pub case_sensitive_schemes: Vec<String>,
    /// Hash `scheme::value` instead of writing the scheme as a label.
    pub scheme_in_hash: bool,
    /// How long a good answer is used, in seconds.
    pub cache_seconds: u32,
    /// How long an old answer is used when there is an outage, in seconds.
    pub stale_seconds: u32,
    /// For one request to an SMP, in seconds.
    pub timeout_seconds: u32,
}

/// Which record leads to the SMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LookupMode {
    /// U-NAPTR (BDXL; Peppol since 2025).
    Naptr,
    /// CNAME of the older Peppol SML: the SMP is `http://<name>/`.
    Cname,
}

/// DNSSEC policy: the AD bit of a trusted resolver (model 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dnssec {
    /// Answers need not be validated.
    #[default]
    Off,
    /// An answer without the AD bit counts as an outage. Configure a resolver that validates, over a path you trust.
    Require,
}

/// The anchors of a domain. Those of SMPs and of access points are never mixed (discovery 5.2).
#[derive(Debug, Clone)]
pub struct Trusts {
    /// Who may sign metadata. An empty store trusts nobody; `None` asks nobody and is for diagnosis only.
    pub smp: Option<TrustStore>,
    /// Whose certificates endpoints may have; when absent the SMP's signature vouches for them, and only their dates
    /// are checked.
    pub ap: Option<TrustStore>,
    /// Who vouches for SMPs in TLS; the system's roots when absent.
    pub smp_tls: Option<TrustStore>,
}

impl Default for Trusts {
    /// Trusts nobody.
    fn default() -> Self {
        Self { smp: Some(TrustStore::default()), ap: Some(TrustStore::default()), smp_tls: None }
    }
}

impl Default for Domain {
    fn default() -> Self {
        Self {
            zone: String::new(),
            lookup: vec![LookupMode::Naptr],
            dialects: vec![Dialect::Peppol],
            naptr_service: "Meta:SMP".to_owned(),
            allow_sha1: false,
            allow_unsigned: false,
            transport_profiles: vec!["peppol-transport-as4-v2_0".to_owned()],
            default_scheme: None,
            default_document_type: None,
            default_process: None,
            egress_allow: Vec::new(),
            ports: vec![443],
            plain_http: false,
            resolver: None,
            dnssec: Dnssec::Off,
            revocation: RevocationRule::Soft,
            revocation_folder: None,
            case_sensitive_schemes: Vec::new(),
            scheme_in_hash: false,
            cache_seconds: 900,
            stale_seconds: 86_400,
            timeout_seconds: 10,
        }
    }
}

impl Domain {
    /// How this domain builds names.
    pub fn name_rules(&self) -> NameRules {
        NameRules {
            case_sensitive_schemes: self.case_sensitive_schemes.clone(),
            scheme_in_hash: self.scheme_in_hash,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_errors_and_defaults_are_strict() {
        let domain: Domain =
            toml::from_str("zone = 'z'\ndialects = ['bdxr2', 'bdxr1']\negress_allow = ['10.0.0.0/8']")
                .unwrap();
        assert_eq!(domain.dialects, [Dialect::Bdxr2, Dialect::Bdxr1]);
        assert!(!domain.allow_sha1 && !domain.allow_unsigned && !domain.plain_http && domain.ports == [443]);
        assert!(toml::from_str::<Domain>("zone = 'z'\nallow_sha2 = true").is_err());
    }
}
