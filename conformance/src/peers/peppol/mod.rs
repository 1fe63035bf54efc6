//! Peppol AS4 with business envelopes (SBDH): a network with SML and SMP, tilts nodes in it, and stacks of other people, each in
//! both directions.

pub mod as4;
mod inbound;
mod outbound;
pub mod phase4;

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::gateway::{Gateway, PASSWORD};
use super::process::Process;
use super::relay::Relay;
use super::report::Report;
use crate::ca::{Authority, Identity, Purpose, Validity};
use crate::node::free;
use crate::peppol::{self, DOCUMENT_TYPE};
use crate::world::{AccessPoint, Publication, Registry, TRANSPORT_PEPPOL, World, party_id};

/// Whom the nodes serve.
const SERVED: &str = "iso6523-actorid-upis::0218:90000000001";
const NODE: &str = "peppol";
const STRANGER: &str = "peppol-stranger";

/// Which stack a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    /// as4, in Python.
    As4,
    /// phase4, in Java.
    Phase4,
}

impl Stack {
    /// As the table calls it.
    fn name(self) -> &'static str {
        match self {
            Self::As4 => "as4",
            Self::Phase4 => "phase4",
        }
    }

    /// PartyId, and common name of its certificates.
    fn party(self) -> String {
        format!("POP-{}", self.name().to_uppercase())
    }

    /// Name of the pair in which it sends.
    fn inbound_pair(self) -> String {
        format!("{} -> tilts Peppol", self.name())
    }

    /// Name of the pair in which it receives.
    fn outbound_pair(self) -> String {
        format!("tilts -> {} Peppol", self.name())
    }
}

/// PartyIds of the nodes.
pub fn nodes() -> Vec<String> {
    [NODE, STRANGER].map(party_id).to_vec()
}

/// How a participant behind a peer is reached, and so what the peer does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It takes it.
    Good,
    /// It takes it and does not sign the receipt.
    UnsignedReceipt,
    /// It takes it, and another party signs the receipt.
    ForeignReceipt,
    /// The SMP publishes another certificate of the peer than the one whose key it has.
    WrongKey,
    /// The SMP publishes the peer, which does not know the participant.
    NotServed,
    /// Its first answer is lost on the way.
    Lossy,
}

const WAYS: [Way; 6] =
    [Way::Good, Way::UnsignedReceipt, Way::ForeignReceipt, Way::WrongKey, Way::NotServed, Way::Lossy];

impl Way {
    /// The participant that a stack has for it.
    fn participant(self, stack: Stack) -> String {
        format!("iso6523-actorid-upis::0191:{}000000{}", stack as u8 + 1, self as u8)
    }

    fn path(self) -> &'static str {
        match self {
            Self::UnsignedReceipt => "/as4/unsigned-receipt",
            Self::ForeignReceipt => "/as4/foreign-receipt",
            _ => "/as4",
        }
    }
}

/// A stack of other people while it runs.
pub struct Peer {
    stack: Stack,
    /// Its keys, and what it was sent.
    folder: PathBuf,
    receiver: Process,
    /// Where another process sends.
    sender: Option<Process>,
    port: u16,
    /// Loses the first answer of the peer.
    relay: Relay,
}

impl Peer {
    fn new(
        stack: Stack,
        folder: PathBuf,
        processes: (Process, Option<Process>),
        port: u16,
        relay: Relay,
    ) -> Self {
        let (receiver, sender) = processes;
        Self { stack, folder, receiver, sender, port, relay }
    }

    fn sender(&mut self) -> &mut Process {
        self.sender.as_mut().unwrap_or(&mut self.receiver)
    }

    fn publications<'p>(&self, participants: &'p [String]) -> Vec<Publication<'p>> {
        let publication = |(way, participant): (&Way, &'p String)| Publication {
            participant,
            document_type: DOCUMENT_TYPE,
            url: match way {
                Way::Lossy => format!("http://{}/as4", self.relay.address),
                _ => format!("https://127.0.0.1:{}{}", self.port, way.path()),
            },
            certificate: self.folder.join(if *way == Way::WrongKey { "renewed.pem" } else { "key.pem" }),
            transport: TRANSPORT_PEPPOL,
        };
        WAYS.iter().zip(participants).map(publication).collect()
    }
}

/// Keys of a peer: its own, one that it has been given since, another party's, an expired one, a stranger's; and for TLS.
fn keys(world: &World, stack: Stack) -> Result<PathBuf> {
    let folder = world.root.join(format!("peppol-{}", stack.name()));
    std::fs::create_dir_all(folder.join("inbox"))?;
    let (ca, foreign) = (&world.ap_ca, Authority::new("somebody else's authority")?);
    let party = stack.party();
    let past = Validity { from: -400, to: -30 };
    for (file, ca, identity) in [
        ("key", ca, ca.issue(&party, 2048, Purpose::Message)?),
        ("renewed", ca, ca.issue(&party, 2048, Purpose::Message)?),
        ("other", ca, ca.issue("POP-OTHER", 2048, Purpose::Message)?),
        ("expired", ca, ca.issue_for(&party, 2048, Purpose::Message, past)?),
        ("untrusted", &foreign, foreign.issue(&party, 2048, Purpose::Message)?),
    ] {
        ca.write_p12(&identity, &folder.join(format!("{file}.p12")), PASSWORD)?;
        identity.write_certificate(&folder.join(format!("{file}.pem")))?;
    }
    let tls = world.tls_ca.issue("peer TLS", 2048, Purpose::Tls)?;
    world.tls_ca.write_p12(&tls, &folder.join("tls.p12"), PASSWORD)?;
    tls.write_pair(&folder.join("tls.pem"), &folder.join("tls.key"))?;
    Ok(folder)
}

/// Nodes and registry.
struct Network<'w> {
    world: &'w World,
    node: Gateway,
    /// A node whose certificate is under an authority that nobody here knows.
    stranger: Gateway,
    _registry: Registry,
}

/// Runs all cases of all peers.
pub async fn run(world: &World, peers: &mut [Peer], report: &mut Report) -> Result<()> {
    if peers.is_empty() {
        return Ok(());
    }
    let mut network = start(world, peers).await?;
    for peer in peers {
        inbound::run(&network, peer, report).await?;
        outbound::run(&network, peer, report).await?;
    }
    network.node.node.stop().await?;
    network.stranger.node.stop().await
}

async fn start<'w>(world: &'w World, peers: &[Peer]) -> Result<Network<'w>> {
    let resolver = free()?;
    let foreign = Authority::new("nobody's authority")?;
    let stranger = foreign.issue(&party_id(STRANGER), 2048, Purpose::Message)?;
    let (mut node, mut stranger) = (
        access_point(world, NODE, resolver, None)?,
        access_point(world, STRANGER, resolver, Some((&foreign, &stranger)))?,
    );
    let names: Vec<Vec<String>> =
        peers.iter().map(|peer| WAYS.map(|way| way.participant(peer.stack)).to_vec()).collect();
    let published: Vec<_> =
        peers.iter().zip(&names).flat_map(|(peer, names)| peer.publications(names)).collect();
    let registry = world.registry_of(&published, resolver).await?;
    node.node.start().await?;
    stranger.node.start().await?;
    let [node, stranger] = [Gateway::of(node)?, Gateway::of(stranger)?];
    Ok(Network { world, node, stranger, _registry: registry })
}

fn access_point(
    world: &World,
    name: &str,
    resolver: std::net::SocketAddr,
    key: Option<(&Authority, &Identity)>,
) -> Result<AccessPoint> {
    let serves = format!("serves = {{ participants = [\"{SERVED}\"] }}");
    let more = format!(
        "allow_http = true\n\n[[backend]]\nid = \"office\"\nadapter = \"rest\"\n{serves}\n\n[limits]\n\
         rejected_per_minute = 100000\n"
    );
    let point = world.access_point(name, 2048, resolver, &more)?;
    let config = world.root.join(name).join("tilts.toml");
    peppol::configure(&config)?;
    let text = std::fs::read_to_string(&config)?;
    let soon = text.replacen("factor = 2, longest_seconds = 4, within_seconds = 3600", SOON, 1);
    std::fs::write(&config, soon)?;
    if let Some((authority, identity)) = key {
        authority.write_p12(identity, &world.root.join(name).join("key.p12"), PASSWORD)?;
        identity.write_certificate(&point.certificate)?;
    }
    Ok(point)
}

/// Long enough for the first message that a Java process gets.
const SOON: &str = "factor = 1, longest_seconds = 1, within_seconds = 8";

/// What a peer is started with, whatever it is written in.
fn files(folder: &Path, world: &World) -> Vec<(&'static str, PathBuf)> {
    vec![
        ("keystore", folder.join("key.p12")),
        ("other-keystore", folder.join("other.p12")),
        ("trust", world.root.join("ca/ap.pem")),
        ("tls-trust", world.root.join("ca/tls.pem")),
        ("inbox", folder.join("inbox")),
    ]
}

/// The participants that a peer takes messages for, without their scheme.
fn served(stack: Stack) -> Vec<String> {
    let all = WAYS.into_iter().filter(|way| *way != Way::NotServed).map(|way| way.participant(stack));
    all.filter_map(|participant| participant.split_once("::").map(|(_, value)| value.to_owned())).collect()
}
