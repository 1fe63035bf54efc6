//! Registries of other people, asked by `tilts lookup` and by nodes that send: phoss SMP in all three dialects, and a signed zone
//! on Knot behind unbound.

mod delivery;
mod dns;
mod front;
mod lookups;
mod phoss;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use openssl::x509::X509;
use tokio::process::Command;

use super::gateway::PASSWORD;
use super::java::Java;
use super::report::Report;
use crate::ca::{Authority, Identity, Purpose, Validity};
use crate::node::free;
use crate::peppol::DOCUMENT_TYPE;
use crate::postgres::Postgres;
use crate::sml;
use crate::smp::Smp;
use crate::world::{AccessPoint, PROCESS_PEPPOL, TRANSPORT, World, said};
use dns::{Knot, Unbound, ZONE};
use front::{Front, Manner};
use phoss::{DIALECTS, Dialect, Endpoint, Phoss, metadata_path};

/// What a participant is published as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    /// An access point that takes messages.
    Good,
    /// Somebody on the way changes the answer.
    Tampered,
    /// Somebody on the way gives another participant's answer.
    Swapped,
    /// The SMP is not available now.
    Busy,
    /// The endpoint's time is over.
    Ended,
    /// The endpoint's certificate has expired.
    Expired,
    /// The endpoint's certificate is under an authority that nobody knows.
    Stranger,
    /// Another SMP has it.
    Redirected,
    /// Another SMP has it, and another than the one named signs there.
    Misdirected,
    /// In the zone, and unknown to the SMP.
    Unknown,
}

use Entry::{Busy, Ended, Expired, Good, Misdirected, Redirected, Stranger, Swapped, Tampered, Unknown};

const ENTRIES: [Entry; 10] =
    [Good, Tampered, Swapped, Busy, Ended, Expired, Stranger, Redirected, Misdirected, Unknown];

/// Participants with a name in the zone that leads to no SMP.
const TEXT_ONLY: &str = "iso6523-actorid-upis::0191:50000001";
const OTHER_SERVICE: &str = "iso6523-actorid-upis::0191:50000002";
const ALIASED: &str = "iso6523-actorid-upis::0191:50000003";
const BAD_REGEXP: &str = "iso6523-actorid-upis::0191:50000004";
/// Whom a node asks an attacked resolver for.
const ATTACKED: &str = "iso6523-actorid-upis::0191:60000001";
/// One without a name.
const NOBODY: &str = "iso6523-actorid-upis::0191:50000005";

impl Entry {
    /// The participant that a dialect has for it.
    fn participant(self, dialect: Dialect) -> String {
        format!("iso6523-actorid-upis::0191:4{}0000{:02}", dialect as u8 + 1, self as u8)
    }

    fn manner(self) -> Manner {
        match self {
            Tampered => Manner::Tampering,
            Swapped => Manner::Swapping,
            Busy => Manner::Busy,
            _ => Manner::Honest,
        }
    }
}

/// Everything that runs.
struct Registry<'w> {
    world: &'w World,
    phoss: Vec<Phoss>,
    _fronts: Vec<Front>,
    /// The validating resolver.
    validating: Unbound,
    /// One that knows no anchor.
    trusting: Unbound,
    /// One that validates, and is told changed records under the old signatures.
    attacked: Unbound,
    _servers: [Knot; 2],
    receiver: AccessPoint,
    _elsewhere: tokio::task::JoinHandle<Result<()>>,
}

/// Runs all cases.
pub async fn run(world: &World, jar: &Path, report: &mut Report) -> Result<()> {
    let folder = world.root.join("registry");
    std::fs::create_dir_all(&folder)?;
    let database = Postgres::start(&folder.join("postgres.log")).await?;
    let registry = start(world, &folder, jar, &database).await;
    let outcome = match registry {
        Ok(mut registry) => cases(&mut registry, report).await,
        Err(error) => Err(error),
    };
    database.stop().await?;
    outcome
}

async fn cases(registry: &mut Registry<'_>, report: &mut Report) -> Result<()> {
    lookups::run(registry, report).await;
    delivery::run(registry, report).await
}

async fn start<'w>(world: &'w World, folder: &Path, jar: &Path, database: &Postgres) -> Result<Registry<'w>> {
    let java = Java::newest()?;
    let signer = world.smp_ca.issue("phoss", 2048, Purpose::Message)?;
    world.smp_ca.write_p12(&signer, &folder.join("smp.p12"), PASSWORD)?;
    let tls = world.tls_ca.issue("SMP TLS", 2048, Purpose::Tls)?;
    let (mut phoss, mut fronts) = (Vec::new(), Vec::new());
    for dialect in DIALECTS {
        let swap = (Swapped.participant(dialect), Good.participant(dialect));
        let front = Front::start(&tls, swap).await?;
        phoss.push(Phoss::start(dialect, (&java, jar), folder, database, front.address)?);
        fronts.push(front);
    }
    let receiver = delivery::receiver(world)?;
    let elsewhere = Smp::bind("127.0.0.1:0".parse()?, &tls, &folder.join("elsewhere")).await?;
    let base = format!("https://{}", elsewhere.address()?);
    for (one, front) in phoss.iter_mut().zip(&fronts) {
        front.stand_before(one.ready().await?)?;
        publish(world, one, &receiver, folder, &base).await?;
    }
    let zone = zone(world, &fronts).await?;
    let knot = Knot::signing(&folder.join("knot"), &zone).await?;
    let changed = knot.signed().await?.replace("!.*!https://127.0.0.1", "!.*!https://127.0.0.2");
    let ds = knot.ds().await?;
    let attacker = Knot::as_it_is(&folder.join("attacker"), &changed).await?;
    Ok(Registry {
        world,
        phoss,
        _fronts: fronts,
        validating: Unbound::start(&folder.join("validating"), &knot, Some(&ds)).await?,
        trusting: Unbound::start(&folder.join("trusting"), &knot, None).await?,
        attacked: Unbound::start(&folder.join("attacked"), &attacker, Some(&ds)).await?,
        _servers: [knot, attacker],
        receiver,
        _elsewhere: tokio::spawn(elsewhere.run()),
    })
}

/// Publishes the entries of one dialect.
async fn publish(
    world: &World,
    phoss: &Phoss,
    receiver: &AccessPoint,
    folder: &Path,
    elsewhere: &str,
) -> Result<()> {
    let url = format!("https://{}/as4", receiver.node.ports.as4);
    let own = X509::from_pem(&std::fs::read(&receiver.certificate)?)?.to_der()?;
    let past = Validity { from: -400, to: -30 };
    let issue = |ca: &Authority, valid| -> Result<Vec<u8>> {
        Ok(ca.issue_for("AP-ELSEWHERE", 2048, Purpose::Message, valid)?.certificate.to_der()?)
    };
    let expired = issue(&world.ap_ca, past)?;
    let stranger = issue(&Authority::new("strangers")?, Validity::default())?;
    for entry in [Good, Tampered, Swapped, Busy, Ended, Expired, Stranger] {
        let certificate = match entry {
            Expired => expired.clone(),
            Stranger => stranger.clone(),
            _ => own.clone(),
        };
        let until = if entry == Ended { "2021-01-01" } else { "2099-01-01" };
        phoss.publish(&entry.participant(phoss.dialect), &Endpoint { url: &url, until, certificate }).await?;
    }
    // OASIS SMP 2.0: phoss fails on the redirect of a publisher, and the participant with it.
    if phoss.dialect == Dialect::Bdxr2 {
        return Ok(());
    }
    let signer = world.smp_ca.issue("elsewhere", 2048, Purpose::Message)?;
    for (entry, uid) in [(Redirected, "C=LV,O=tilts test,CN=elsewhere"), (Misdirected, "CN=somebody else")] {
        let participant = entry.participant(phoss.dialect);
        place(world, phoss.dialect, &participant, receiver, (&signer, folder, elsewhere)).await?;
        let target = format!("{elsewhere}/{}", metadata_path(&participant));
        phoss.redirect(&participant, &target, uid).await?;
    }
    Ok(())
}

/// Metadata at the other SMP.
async fn place(
    world: &World,
    dialect: Dialect,
    participant: &str,
    receiver: &AccessPoint,
    (signer, folder, base): (&Identity, &Path, &str),
) -> Result<()> {
    let key = folder.join("elsewhere.p12");
    world.smp_ca.write_p12(signer, &key, PASSWORD)?;
    let url = format!("https://{}/as4", receiver.node.ports.as4);
    let mut command = Command::new(&world.tilts);
    command.args(["smp", "sign", "--dialect", dialect.name(), "--participant", participant]);
    command.args(["--document-type", DOCUMENT_TYPE, "--process", PROCESS_PEPPOL]);
    command.args(["--transport-profile", TRANSPORT, "--url", &url, "--base-url", base]);
    command.arg("--certificate").arg(&receiver.certificate);
    command.arg("--keystore").arg(key).args(["--password", PASSWORD]);
    command.arg("--out").arg(folder.join("elsewhere"));
    said(command).await.map(drop)
}

/// The zone: every entry under its front, and names that lead nowhere.
async fn zone(world: &World, fronts: &[Front]) -> Result<String> {
    let mut names = Vec::new();
    for (dialect, front) in DIALECTS.into_iter().zip(fronts) {
        for entry in ENTRIES {
            let base = format!("https://{}{}", front.address, entry.manner().prefix());
            names.push((world.dns_name(&entry.participant(dialect), ZONE).await?, base));
        }
    }
    names.push((world.dns_name(ATTACKED, ZONE).await?, format!("https://{}", fronts[0].address)));
    let name = async |participant: &str| world.dns_name(participant, ZONE).await;
    let good = names.first().context("no names")?.0.clone();
    let other = "100 10 \"U\" \"Meta:CPPA3\" \"!.*!https://127.0.0.1!\" .";
    let bad = "100 10 \"U\" \"Meta:SMP\" \"!.*!no address!\" .";
    Ok(sml::zone_file(ZONE, &names)
        + &format!("ns.{ZONE}. 30 IN A 127.0.0.1\n")
        + &format!("{}. 30 IN TXT \"nothing else\"\n", name(TEXT_ONLY).await?)
        + &format!("{}. 30 IN NAPTR {other}\n", name(OTHER_SERVICE).await?)
        + &format!("{}. 30 IN CNAME {good}.\n", name(ALIASED).await?)
        + &format!("{}. 30 IN NAPTR {bad}\n", name(BAD_REGEXP).await?))
}

/// A resolver that nobody runs.
fn nobody() -> Result<SocketAddr> {
    free()
}
