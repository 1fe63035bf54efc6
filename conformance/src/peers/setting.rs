//! Everything that the cases run on: keys, tilts nodes with a partner per agreement, phase4 in both directions.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::gateway::{Gateway, PASSWORD, Place, common_name};
use super::java::Java;
use super::phase4::Phase4;
use super::process::Process;
use super::relay::Relay;
use crate::ca::{Authority, Purpose, Validity};
use crate::node::Ports;
use crate::world::{PARTY_TYPE, World};

/// Scheme of the participants that partners are reached by.
pub const SCHEME: &str = "tilts-peer";

/// Two nodes that phase4 knows, one that it does not trust, and phase4 itself.
pub struct Setting<'w> {
    /// Folders and authorities.
    pub world: &'w World,
    /// The node under test: RSA-2048.
    pub node: Gateway,
    /// Another one with RSA-3072.
    pub large_key: Gateway,
    /// One whose certificate is under an authority that phase4 does not know.
    pub stranger: Gateway,
    /// How phase4 is started.
    pub phase4: Phase4,
    /// phase4 that receives.
    pub receiver: Process,
    /// phase4 that sends.
    pub sender: Process,
    /// The Java that runs both.
    pub java: Java,
    /// Loses the first answer on the way from the node to phase4.
    pub from_phase4: Relay,
    /// Where `from_phase4` stands for phase4, `to_node` stands for the node.
    pub to_node: Relay,
}

/// A partner as a tilts node has it configured. Each is an agreement of its own with the same phase4.
struct Partner {
    name: &'static str,
    path: &'static str,
    /// Which certificate parts are encrypted for, where it is not phase4's.
    encrypt_for: Option<&'static str>,
    overrides: &'static str,
    more: &'static str,
}

const SOON: &str = "retry = { first_seconds = 1, factor = 1, longest_seconds = 1, within_seconds = 2 }";

const fn partner(name: &'static str, path: &'static str) -> Partner {
    Partner { name, path, encrypt_for: None, overrides: "", more: "" }
}

const fn under(name: &'static str, overrides: &'static str) -> Partner {
    Partner { name, path: "/as4", encrypt_for: None, overrides, more: "" }
}

/// Name, path at phase4, what is agreed otherwise.
const PARTNERS: &[Partner] = &[
    partner("PHASE4", "/as4"),
    partner("PHASE4-PKIPATH", "/as4/pkipath"),
    partner("PHASE4-SKI", "/as4/ski"),
    partner("PHASE4-ISSUER", "/as4/issuer-serial"),
    partner("PHASE4-BROKEN", "/as4/broken"),
    partner("PHASE4-BUSY", "/as4/busy"),
    partner("PHASE4-UNSIGNED", "/as4/unsigned-receipt"),
    partner("PHASE4-FOREIGN", "/as4/foreign-receipt"),
    partner("PHASE4-NOT-ITS-NAME", "/as4"),
    under("PHASE4-PLAIN", "compression = \"off\""),
    under("PHASE4-GZIP", "compression = \"required\""),
    under("PHASE4-NO-CORNERS", "four_corners = \"off\""),
    under("PHASE4-TOKEN-BST", "signing_token = \"x509v3\", encryption_token = \"x509v3\""),
    under("PHASE4-TOKEN-PKIPATH", "signing_token = \"x509-pki-path\""),
    under(
        "PHASE4-TOKEN-SKI",
        "signing_token = \"subject-key-identifier\", encryption_token = \"subject-key-identifier\"",
    ),
    under("PHASE4-TOKEN-ISSUER", "signing_token = \"issuer-serial\", encryption_token = \"issuer-serial\""),
    Partner {
        name: "PHASE4-WRONG-KEY",
        path: "/as4",
        encrypt_for: Some("other.pem"),
        overrides: "",
        more: "signer = \"../phase4/key.pem\"\n",
    },
    Partner {
        name: "PHASE4-3072",
        path: "/as4/other-key",
        encrypt_for: Some("other.pem"),
        overrides: "",
        more: "",
    },
];

/// Partners of which nothing but the name is special.
const KNOWN_OTHERWISE: [&str; 1] = ["PHASE4-NOT-ITS-NAME"];

impl<'w> Setting<'w> {
    /// Makes keys and configurations in the world, starts everything.
    pub async fn start(world: &'w World, jar: &Path) -> Result<Self> {
        let foreign = Authority::new("somebody else's authority")?;
        let java = Java::newest()?;
        let folder = world.root.join("phase4");
        phase4_keys(world, &foreign, &folder)?;
        let ports = [Ports::free()?, Ports::free()?, Ports::free()?];
        let identities = [
            world.ap_ca.issue("AP-LV", 2048, Purpose::Message)?,
            world.ap_ca.issue("AP-LV-3072", 3072, Purpose::Message)?,
            foreign.issue("AP-STRANGER", 2048, Purpose::Message)?,
        ];
        let mut trust = vec![world.root.join("ca/ap.pem")];
        for identity in &identities {
            // SKI and issuer/serial references are resolved by phase4 only among certificates that it has.
            let file = folder.join(format!("{}.pem", common_name(&identity.certificate)));
            identity.write_certificate(&file)?;
            if common_name(&identity.certificate) != "AP-STRANGER" {
                trust.push(file);
            }
        }
        let phase4 = Phase4 { java: java.clone(), jar: jar.to_owned(), folder: folder.clone() };
        let mut receiver = phase4_receiver(&phase4, world, &trust)?;
        let sender = phase4_sender(&phase4, world, &trust)?;
        let port = receiver.port().await?;
        let from_phase4 = Relay::start(format!("127.0.0.1:{port}").parse()?, 1).await?;
        let to_node = Relay::start(ports[0].as4, 1).await?;
        let [node, large_key, stranger] = identities;
        let partners = partners(port, from_phase4.address.port());
        let own = |name, identity| Place { world, name, identity, decrypt: None, ca: &world.ap_ca };
        let elsewhere = Place { world, name: "stranger", identity: &stranger, decrypt: None, ca: &foreign };
        Ok(Self {
            node: own("lv", &node).start(ports[0], &partners).await?,
            large_key: own("lv-3072", &large_key).start(ports[1], &partners).await?,
            stranger: elsewhere.start(ports[2], &partners).await?,
            phase4,
            receiver,
            sender,
            java,
            from_phase4,
            to_node,
            world,
        })
    }

    /// Asks every node to end.
    pub async fn stop(&mut self) -> Result<()> {
        for gateway in [&mut self.node, &mut self.large_key, &mut self.stranger] {
            gateway.node.stop().await?;
        }
        Ok(())
    }

    /// A file of phase4's folder.
    pub fn phase4_file(&self, name: &str) -> PathBuf {
        self.world.root.join("phase4").join(name)
    }
}

/// The agreements of a node with phase4, as TOML; `port` is phase4's, `relay` that of the relay in front of it.
fn partners(port: u16, relay: u16) -> String {
    let direct = |partner: &Partner| block(partner, &format!("https://127.0.0.1:{port}{}", partner.path), "");
    let mut text: String = PARTNERS.iter().map(direct).collect();
    // The answer to its first request is lost on the way back.
    text +=
        &block(&partner("PHASE4-LOSSY", ""), &format!("http://127.0.0.1:{relay}/as4"), "allow_http = true\n");
    // Known by its authority and subject instead of its certificate, and for one service only.
    text += &format!(
        "\n[[partner]]\nparty_id = \"PHASE4-ANCHORED\"\nparty_type = \"{PARTY_TYPE}\"\nanchor = \"../ca/ap.pem\"\n\
         subject = \"C=LV,O=tilts test,CN=PHASE4-ANCHORED\"\n\n\
         [[agreement]]\npartner = \"PHASE4-ANCHORED\"\nprofile = \"edelivery-1.15\"\nservice = \"bdx:noprocess\"\n\
         service_type = \"bdx-procid-transport\"\n"
    );
    text
}

fn block(partner: &Partner, url: &str, more: &str) -> String {
    let Partner { name, encrypt_for, overrides, more: own, .. } = partner;
    let certificate = encrypt_for.unwrap_or("key.pem");
    let retry = if overrides.is_empty() { SOON.to_owned() } else { format!("{overrides}, {SOON}") };
    format!(
        "\n[[partner]]\nparty_id = \"{name}\"\nparty_type = \"{PARTY_TYPE}\"\nurl = \"{url}\"\n\
         certificate = \"../phase4/{certificate}\"\ntls_trust = \"../ca/tls.pem\"\negress_allow = [\"127.0.0.0/8\"]\n\
         ports = []\nparticipants = [\"{SCHEME}::{name}\"]\n{own}{more}\n\
         [[agreement]]\npartner = \"{name}\"\nprofile = \"edelivery-1.15\"\noverrides = {{ {retry} }}\n"
    )
}

/// phase4's own key, another party's of the same authority (RSA-3072), one that has expired, and a stranger's.
fn phase4_keys(world: &World, foreign: &Authority, folder: &Path) -> Result<()> {
    let past = Validity { from: -400, to: -30 };
    for (file, ca, identity) in [
        ("key", &world.ap_ca, world.ap_ca.issue("PHASE4", 2048, Purpose::Message)?),
        ("other", &world.ap_ca, world.ap_ca.issue("PHASE4-3072", 3072, Purpose::Message)?),
        ("anchored", &world.ap_ca, world.ap_ca.issue("PHASE4-ANCHORED", 2048, Purpose::Message)?),
        ("expired", &world.ap_ca, world.ap_ca.issue_for("PHASE4-ANCHORED", 2048, Purpose::Message, past)?),
        ("untrusted", foreign, foreign.issue("PHASE4-ANCHORED", 2048, Purpose::Message)?),
    ] {
        ca.write_p12(&identity, &folder.join(format!("{file}.p12")), PASSWORD)?;
        identity.write_certificate(&folder.join(format!("{file}.pem")))?;
    }
    let tls = world.tls_ca.issue("phase4 TLS", 2048, Purpose::Tls)?;
    world.tls_ca.write_p12(&tls, &folder.join("tls.p12"), PASSWORD)
}

fn phase4_receiver(phase4: &Phase4, world: &World, trust: &[PathBuf]) -> Result<Process> {
    let folder = world.root.join("phase4");
    let files = [folder.join("key.p12"), folder.join("other.p12"), folder.join("tls.p12")];
    let mut options: Vec<(&str, &Path)> =
        vec![("keystore", &files[0]), ("other-keystore", &files[1]), ("tls-keystore", &files[2])];
    options.extend(trust.iter().map(|file| ("trust", file.as_path())));
    let mut more = vec![("profile", "edelivery-1.15"), ("password", PASSWORD)];
    more.extend(["AP-LV", "AP-LV-3072", "AP-STRANGER"].map(|party| ("expect", party)));
    let names = PARTNERS.iter().map(|p| p.name).chain(["PHASE4-LOSSY"]);
    more.extend(names.filter(|name| !KNOWN_OTHERWISE.contains(name)).map(|name| ("party", name)));
    phase4.start("receiver", "receive", &options, &more)
}

fn phase4_sender(phase4: &Phase4, world: &World, trust: &[PathBuf]) -> Result<Process> {
    let folder = world.root.join("phase4");
    let (key, tls, receiver) =
        (folder.join("key.p12"), world.root.join("ca/tls.pem"), folder.join("AP-LV.pem"));
    let mut options: Vec<(&str, &Path)> =
        vec![("keystore", &key), ("tls-trust", &tls), ("receiver", &receiver)];
    options.extend(trust.iter().map(|file| ("trust", file.as_path())));
    phase4.start("sender", "send", &options, &[("profile", "edelivery-1.15"), ("password", PASSWORD)])
}
