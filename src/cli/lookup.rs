//! `tilts lookup`: finds a participant's access point, shows only its DNS names, or judges a captured SMP answer.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::stores::Stores;
use crate::clock::{Clock, Timestamp};
use crate::discovery::{
    self, Class, Dialect, Dnssec, Domain, Endpoint, Failure, Found, Identifier, Judgement, LookupMode,
    Policy, Question, Resolver, Step, Trusts, Wanted,
};
use crate::pki::{KeyStore, TrustStore};
use crate::transport::Cidr;

/// Arguments of `tilts lookup`.
#[derive(clap::Args)]
pub struct Args {
    /// The participant, `scheme::value` or the value alone
    participant: Option<String>,
    /// The document type; without it the live lookup lists those published
    #[arg(long)]
    document_type: Option<String>,
    /// The process
    #[arg(long)]
    process: Option<String>,
    /// The transport profile
    #[arg(long)]
    transport_profile: Option<String>,
    /// Only the DNS names; asks nobody
    #[arg(long)]
    names: bool,
    /// Judges a captured answer; asks nobody
    #[arg(long, value_name = "FILE", conflicts_with = "names")]
    response: Option<PathBuf>,
    /// The DNS zone of the SML
    #[arg(long)]
    zone: Option<String>,
    /// The DNS resolver; those of the system when absent
    #[arg(long, value_name = "IP:PORT")]
    resolver: Option<SocketAddr>,
    /// A dialect that is understood; repeatable, in order (peppol, bdxr1, bdxr2)
    #[arg(long)]
    dialect: Vec<Dialect>,
    /// Look up by CNAME, as the older Peppol SML
    #[arg(long)]
    cname: bool,
    /// A network that may be spoken to although it is not public; repeatable
    #[arg(long, value_name = "CIDR")]
    egress_allow: Vec<Cidr>,
    /// A port that may be spoken to; repeatable; 443 when absent, 0 for any
    #[arg(long)]
    port: Vec<u16>,
    /// Accept http: addresses
    #[arg(long)]
    plain_http: bool,
    /// Believe no DNS answer that the resolver has not validated (AD bit)
    #[arg(long)]
    dnssec: bool,
    /// Anchors of the SMP's TLS, PEM or DER; those of the system when absent
    #[arg(long, value_name = "FILE")]
    smp_tls_trust: Option<PathBuf>,
    /// Accept SHA-1 in signatures
    #[arg(long)]
    allow_sha1: bool,
    /// Accept metadata without signature
    #[arg(long)]
    allow_unsigned: bool,
    /// The time at which certificates and dates are judged; now when absent
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    stores: Stores,
}

/// Runs `tilts lookup`.
pub fn run(args: Args) -> ExitCode {
    let (accepted, value) = match answer(&args) {
        Ok(answer) => answer,
        Err(reason) => return super::wrong_call(format!("{reason:#}")),
    };
    match args.json {
        true => super::say(&value),
        false => print_text(&value, 0),
    }
    if accepted { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn answer(args: &Args) -> anyhow::Result<(bool, Value)> {
    if let Some(file) = &args.response {
        return judge(args, file);
    }
    let Some(participant) = &args.participant else { bail!("a participant is needed") };
    let Some(zone) = &args.zone else { bail!("--zone is needed: the DNS zone of the network's SML") };
    let participant = Identifier::parse(participant);
    if args.names {
        let rules = discovery::NameRules::default();
        let naptr = discovery::names::naptr(&participant, zone, &rules);
        let cname = discovery::names::cname(&participant, zone, &rules);
        return Ok((true, json!({ "names": { "naptr": naptr, "cname": cname } })));
    }
    live(args, participant, zone)
}

fn judge(args: &Args, file: &PathBuf) -> anyhow::Result<(bool, Value)> {
    let octets = std::fs::read(file).with_context(|| file.display().to_string())?;
    let stores = args.stores.open()?;
    let wanted = Wanted {
        participant: args.participant.as_deref().map(Identifier::parse),
        document_type: args.document_type.as_deref().map(Identifier::parse),
        process: args.process.as_deref().map(Identifier::parse),
        transport_profile: args.transport_profile.clone(),
    };
    let policy = Policy {
        allow_sha1: args.allow_sha1,
        allow_unsigned: args.allow_unsigned,
        trust: stores.trust,
        known: stores.certificates,
        at: args.at.unwrap_or_else(|| Clock::system().now()),
    };
    let judgement: Judgement = discovery::judge(&octets, &wanted, &policy);
    Ok((judgement.errors.is_empty(), serde_json::to_value(judgement)?))
}

fn live(args: &Args, participant: Identifier, zone: &str) -> anyhow::Result<(bool, Value)> {
    let trust = args.stores.open()?.trust;
    let smp_tls = args.smp_tls_trust.as_deref().map(anchors).transpose()?;
    let trusts = Trusts { smp: trust.clone(), ap: trust, smp_tls };
    let clock = args.at.map_or_else(Clock::system, Clock::manual);
    let resolver = Resolver::new(domain(args, zone), trusts, clock)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let document_type = args.document_type.as_deref().map(Identifier::parse);
    let found = match document_type.is_some() {
        true => {
            let process = args.process.as_deref().map(Identifier::parse);
            let question = Question { participant: participant.clone(), document_type, process };
            runtime
                .block_on(resolver.lookup(&question))
                .map(|Found { endpoint, steps }| (describe(&endpoint), steps))
        }
        false => runtime.block_on(resolver.services(&participant)).map(|(group, steps)| {
            let services: Vec<String> = group.services.iter().map(ToString::to_string).collect();
            (json!({ "services": services }), steps)
        }),
    };
    let report = |verdict: &str, errors: Value, found: Value, steps: &[Step]| {
        let mut report =
            json!({ "verdict": verdict, "errors": errors, "participant": participant.to_string() });
        merge(&mut report, found);
        merge(&mut report, json!({ "steps": steps }));
        report
    };
    Ok(match found {
        Ok((found, steps)) => (true, report("accepted", json!([]), found, &steps)),
        Err(Failure { error, steps }) => {
            let errors = json!([{ "code": error.class(), "detail": error.to_string() }]);
            if error.class() == Class::Configuration {
                bail!("{error}");
            }
            (false, report("rejected", errors, json!({}), &steps))
        }
    })
}

fn anchors(file: &Path) -> anyhow::Result<TrustStore> {
    let octets = std::fs::read(file).with_context(|| file.display().to_string())?;
    let read = KeyStore::read(&octets, None, &[]).with_context(|| file.display().to_string())?;
    Ok(TrustStore::new(read.certificates()))
}

fn domain(args: &Args, zone: &str) -> Domain {
    let or = |given: &Vec<Dialect>| match given.is_empty() {
        true => vec![Dialect::Peppol, Dialect::Bdxr1, Dialect::Bdxr2],
        false => given.clone(),
    };
    let ports = match args.port.as_slice() {
        [] => vec![443],
        ports if ports.contains(&0) => Vec::new(),
        ports => ports.to_vec(),
    };
    let known =
        ["peppol-transport-as4-v2_0", "bdxr-transport-ebms3-as4-v1p0", "bdxr-transport-ebms3-as4-v2p0"];
    let known = known.map(str::to_owned).to_vec();
    Domain {
        zone: zone.to_owned(),
        lookup: vec![if args.cname { LookupMode::Cname } else { LookupMode::Naptr }],
        dialects: or(&args.dialect),
        allow_sha1: args.allow_sha1,
        allow_unsigned: args.allow_unsigned,
        transport_profiles: args.transport_profile.clone().map_or(known, |profile| vec![profile]),
        egress_allow: args.egress_allow.clone(),
        ports,
        plain_http: args.plain_http,
        dnssec: if args.dnssec { Dnssec::Require } else { Dnssec::Off },
        resolver: args.resolver,
        ..Domain::default()
    }
}

fn describe(endpoint: &Endpoint) -> Value {
    json!({
        "document_type": endpoint.document_type.to_string(),
        "endpoint": {
            "process": endpoint.process.as_ref().map(ToString::to_string),
            "transport_profile": endpoint.transport_profile,
            "url": endpoint.url,
            "certificate": { "subject": endpoint.certificate.subject(), "sha256": endpoint.certificate.sha256_hex() },
            "smp": endpoint.smp,
        },
    })
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

/// The same object for people: one line for each scalar, indented.
fn print_text(value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::Object(_) => {
                        super::say(format!("{indent}{name}:"));
                        print_text(value, depth + 1);
                    }
                    Value::Array(items) if !items.is_empty() => {
                        super::say(format!("{indent}{name}:"));
                        items.iter().for_each(|item| print_item(item, depth + 1));
                    }
                    Value::Array(_) | Value::Null => super::say(format!("{indent}{name}: -")),
                    other => super::say(format!("{indent}{name}: {}", plain(other))),
                }
            }
        }
        other => super::say(format!("{indent}{}", plain(other))),
    }
}

fn print_item(item: &Value, depth: usize) {
    match item {
        Value::Object(fields) => {
            let line: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect();
            super::say(format!("{}- {}", "  ".repeat(depth), line.join(", ")));
        }
        other => super::say(format!("{}- {}", "  ".repeat(depth), plain(other))),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}
