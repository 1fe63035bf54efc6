//! `tilts lookup` against the registry.

use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use super::{
    ALIASED, BAD_REGEXP, Busy, Dialect, Ended, Entry, Expired, Good, Misdirected, NOBODY, OTHER_SERVICE,
    Redirected, Registry, Stranger, Swapped, TEXT_ONLY, Tampered, Unknown, nobody,
};
use crate::peers::registry::dns::ZONE;
use crate::peers::report::Report;
use crate::peppol::DOCUMENT_TYPE;
use crate::world::{PROCESS_PEPPOL, TRANSPORT};

/// What a lookup must come to.
#[derive(Clone, Copy)]
enum Expected {
    /// The receiver's endpoint.
    Found,
    /// That error, with that word in its detail.
    Not(&'static str, &'static str),
}

use Expected::{Found, Not};

/// Runs all cases; the DNS ones once, in the dialect of Peppol.
pub(super) async fn run(registry: &Registry<'_>, report: &mut Report) {
    for phoss in &registry.phoss {
        of_smp(registry, phoss.dialect, report).await;
    }
    of_dns(registry, report).await;
}

async fn of_smp(registry: &Registry<'_>, dialect: Dialect, report: &mut Report) {
    let pair = format!("phoss {}", dialect.name());
    let validating = registry.validating.address;
    let cases: [(&str, Entry, Expected); 10] = [
        ("metadata, signed by the SMP", Good, Found),
        ("a redirect to another SMP", Redirected, Found),
        (
            "a redirect; another SMP signs there than it names",
            Misdirected,
            Not("refused", "another certificate"),
        ),
        ("the answer is changed on the way", Tampered, Not("refused", "signature")),
        ("the answer is about somebody else", Swapped, Not("refused", "mismatch")),
        ("the endpoint's time is over", Ended, Not("not-supported", "no usable endpoint")),
        ("the access point's certificate has expired", Expired, Not("refused", "certificate")),
        ("the access point is of an unknown authority", Stranger, Not("refused", "certificate")),
        ("the SMP answers HTTP 503", Busy, Not("outage", "503")),
        ("the SMP does not know the participant", Unknown, Not("not-supported", "receives no")),
    ];
    for (name, entry, expected) in cases {
        if dialect == Dialect::Bdxr2 && matches!(entry, Redirected | Misdirected) {
            report.leave_out(&pair, name, "phoss fails when a redirect is published in this dialect");
            continue;
        }
        let asked = Asked { dialect, participant: &entry.participant(dialect), resolver: validating };
        let outcome = asked.judged(registry, &["--dnssec"], expected).await;
        report.add(&pair, name, outcome);
    }
    let participant = Good.participant(dialect);
    let good = Asked { dialect, participant: &participant, resolver: validating };
    report.add(&pair, "the participant's document types", good.services(registry).await);
    let other = ["--document-type", "busdox-docid-qns::urn:x::Y##z::2.1"];
    let unsupported = good.judged(registry, &other, Not("not-supported", "receives no")).await;
    report.add(&pair, "a document type that is not published", unsupported);
    let process = ["--process", "cenbii-procid-ubl::other"];
    let process = good.judged(registry, &process, Not("not-supported", "no usable endpoint")).await;
    report.add(&pair, "a process that is not published", process);
    let untrusted = good.with_anchors(registry, &["ap"], &[], Not("refused", "untrusted")).await;
    report.add(&pair, "an SMP of an unknown authority", untrusted);
}

async fn of_dns(registry: &Registry<'_>, report: &mut Report) {
    let good = Good.participant(Dialect::Peppol);
    let (validating, trusting, attacked) =
        (registry.validating.address, registry.trusting.address, registry.attacked.address);
    let (yes, no): (&[&str], &[&str]) = (&["--dnssec"], &[]);
    let cases: [(&str, &str, SocketAddr, &[&str], Expected); 11] = [
        ("a validated answer, demanded", &good, validating, yes, Found),
        ("an answer that is not validated", &good, trusting, no, Found),
        ("the same, where validation is demanded", &good, trusting, yes, Not("outage", "not validated")),
        ("a changed record under the old signature", &good, attacked, yes, Not("outage", "Server Failure")),
        ("the same, where validation is not demanded", &good, attacked, no, Not("outage", "Server Failure")),
        ("an alias", ALIASED, validating, yes, Not("not-supported", "receives no")),
        ("no such name, validated", NOBODY, validating, yes, Not("not-registered", "NXDOMAIN")),
        ("no such name, not validated", NOBODY, trusting, yes, Not("outage", "not validated")),
        ("a name without NAPTR", TEXT_ONLY, validating, yes, Not("not-registered", "no such records")),
        ("a NAPTR for another service", OTHER_SERVICE, validating, yes, Not("not-supported", "no service")),
        ("a NAPTR that is no address", BAD_REGEXP, validating, yes, Not("refused", "wrong")),
    ];
    for (name, participant, resolver, more, expected) in cases {
        let asked = Asked { dialect: Dialect::Peppol, participant, resolver };
        report.add("Knot, unbound", name, asked.judged(registry, more, expected).await);
    }
    let outcome = match nobody() {
        Ok(resolver) => {
            let asked = Asked { dialect: Dialect::Peppol, participant: &good, resolver };
            asked.judged(registry, no, Not("outage", "")).await
        }
        Err(error) => Err(error),
    };
    report.add("Knot, unbound", "no resolver answers", outcome);
}

/// A question.
struct Asked<'a> {
    dialect: Dialect,
    participant: &'a str,
    resolver: SocketAddr,
}

impl Asked<'_> {
    async fn judged(&self, registry: &Registry<'_>, more: &[&str], expected: Expected) -> Result<String> {
        self.with_anchors(registry, &["ap", "smp"], more, expected).await
    }

    async fn with_anchors(
        &self,
        registry: &Registry<'_>,
        anchors: &[&str],
        more: &[&str],
        expected: Expected,
    ) -> Result<String> {
        let mut arguments = more.to_vec();
        for (option, usual) in [("--document-type", DOCUMENT_TYPE), ("--process", PROCESS_PEPPOL)] {
            if !more.contains(&option) {
                arguments.extend([option, usual]);
            }
        }
        let answer = self.lookup(registry, anchors, &arguments).await?;
        match expected {
            Found => {
                let url = format!("https://{}/as4", registry.receiver.node.ports.as4);
                ensure!(answer["endpoint"]["url"] == url.as_str(), "{answer}");
                Ok(format!("the receiver's endpoint, from {}", answer["endpoint"]["smp"]))
            }
            Not(code, word) => {
                let error = &answer["errors"][0];
                ensure!(error["code"] == code, "{code} was expected: {answer}");
                let detail = error["detail"].as_str().unwrap_or_default();
                ensure!(
                    detail.to_lowercase().contains(&word.to_lowercase()),
                    "{word} was expected: {detail}"
                );
                Ok(format!("{code}: {}", crate::peers::outbound::short(detail)))
            }
        }
    }

    async fn services(&self, registry: &Registry<'_>) -> Result<String> {
        let answer = self.lookup(registry, &["ap", "smp"], &["--dnssec"]).await?;
        ensure!(answer["services"].to_string().contains(DOCUMENT_TYPE), "{answer}");
        Ok("the document type is listed".into())
    }

    async fn lookup(&self, registry: &Registry<'_>, anchors: &[&str], more: &[&str]) -> Result<Value> {
        let mut command = Command::new(&registry.world.tilts);
        command.args(["lookup", self.participant, "--zone", ZONE, "--json", "--port", "0"]);
        command.args(["--resolver", &self.resolver.to_string(), "--dialect", self.dialect.name()]);
        command.args(["--transport-profile", TRANSPORT, "--egress-allow", "127.0.0.0/8"]).args(more);
        command.arg("--smp-tls-trust").arg(registry.world.root.join("ca/tls.pem"));
        for anchor in anchors {
            command.arg("--trust").arg(registry.world.root.join(format!("ca/{anchor}.pem")));
        }
        let output = command.stdin(Stdio::null()).output().await?;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice(&output.stdout).with_context(|| format!("{}: {error}", output.status))
    }
}
