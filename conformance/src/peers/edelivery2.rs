//! eDelivery AS4 2.0 with phase4, under Ed25519 and X25519 and under EC keys, in both directions.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use serde_json::{Value, json};

use super::gateway::{Gateway, PASSWORD, Place};
use super::inbound::{TEST_ACTION, TEST_SERVICE, ask, believed, delivered, deliveries, job, new_id};
use super::job::{Content, Part};
use super::outbound::{self, Expected, case, many};
use super::process::Process;
use super::report::Report;
use super::setting::{SCHEME, Setting};
use crate::ca::{Authority, Identity, Purpose, Validity};
use crate::node::Ports;
use crate::world::PARTY_TYPE;

const PARTY: &str = "PHASE4";
const NODE: &str = "AP-LV-2";

/// A kind of keys, as each side calls the profile.
struct Kind {
    name: &'static str,
    phase4: &'static str,
    tilts: &'static str,
    pairs: [&'static str; 2],
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "eddsa",
        phase4: "edelivery-2.0-eddsa",
        tilts: "edelivery-2.0",
        pairs: ["phase4 -> tilts EdDSA", "tilts -> phase4 EdDSA"],
    },
    Kind {
        name: "ec",
        phase4: "edelivery-2.0-ec",
        tilts: "edelivery-2.0-ec",
        pairs: ["phase4 -> tilts EC", "tilts -> phase4 EC"],
    },
];

/// A key that signs and one that decrypts.
struct Keys {
    sign: Identity,
    decrypt: Identity,
}

/// A node and phase4 under one kind of keys.
struct Side {
    node: Gateway,
    receiver: Process,
    sender: Process,
    folder: PathBuf,
}

/// Runs all cases of both kinds.
pub async fn run(setting: &Setting<'_>, report: &mut Report) -> Result<()> {
    for kind in &KINDS {
        let mut side = start(setting, kind).await?;
        to_tilts(&mut side, kind, report).await?;
        from_tilts(&mut side, kind, report).await?;
        side.node.node.stop().await?;
    }
    Ok(())
}

async fn start(setting: &Setting<'_>, kind: &Kind) -> Result<Side> {
    let world = setting.world;
    let folder = world.root.join(format!("phase4-{}", kind.name));
    let (own, peer) = (keys(&world.ap_ca, kind, NODE)?, keys(&world.ap_ca, kind, PARTY)?);
    for (name, identity) in [("key", &peer.sign), ("decrypt", &peer.decrypt)] {
        world.ap_ca.write_p12(identity, &folder.join(format!("{name}.p12")), PASSWORD)?;
        identity.write_certificate(&folder.join(format!("{name}.pem")))?;
    }
    let (signer, receiver) = (folder.join("node-sign.pem"), folder.join("node-decrypt.pem"));
    own.sign.write_certificate(&signer)?;
    own.decrypt.write_certificate(&receiver)?;
    let keystores = [folder.join("key.p12"), folder.join("decrypt.p12")];
    let (anchor, tls, tls_ca) =
        (world.root.join("ca/ap.pem"), setting.phase4_file("tls.p12"), world.root.join("ca/tls.pem"));
    let common: [(&str, &Path); 4] = [
        ("keystore", &keystores[0]),
        ("decrypt-keystore", &keystores[1]),
        ("trust", &anchor),
        ("trust", &signer),
    ];
    let words = [("profile", kind.phase4), ("password", PASSWORD), ("expect", NODE), ("party", PARTY)];
    let start = |mode: &str, more: &[(&str, &Path)]| {
        let options = [&common[..], more].concat();
        setting.phase4.start(&format!("{mode}-{}", kind.name), mode, &options, &words)
    };
    let mut receiving = start("receive", &[("tls-keystore", &tls)])?;
    let sending = start("send", &[("tls-trust", &tls_ca), ("receiver", &receiver)])?;
    let partners = partner(kind, receiving.port().await?);
    let name = format!("lv-{}", kind.name);
    let place =
        Place { world, name: &name, identity: &own.sign, decrypt: Some(&own.decrypt), ca: &world.ap_ca };
    let node = place.start(Ports::free()?, &partners).await?;
    Ok(Side { node, receiver: receiving, sender: sending, folder: folder.join("parts") })
}

/// EC keys could do both; two of them show that each side takes the right one.
fn keys(ca: &Authority, kind: &Kind, party: &str) -> Result<Keys> {
    let issue = |key: PKey<Private>| ca.issue_key(key, party, Purpose::Message, Validity::default());
    let curve = || -> Result<PKey<Private>> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        Ok(PKey::from_ec_key(EcKey::generate(&group)?)?)
    };
    Ok(match kind.name {
        "ec" => Keys { sign: issue(curve()?)?, decrypt: issue(curve()?)? },
        _ => Keys { sign: issue(PKey::generate_ed25519()?)?, decrypt: issue(PKey::generate_x25519()?)? },
    })
}

fn partner(kind: &Kind, port: u16) -> String {
    let (folder, profile) = (kind.name, kind.tilts);
    let retry = "retry = { first_seconds = 1, factor = 1, longest_seconds = 1, within_seconds = 2 }";
    format!(
        "\n[[partner]]\nparty_id = \"{PARTY}\"\nparty_type = \"{PARTY_TYPE}\"\n\
             url = \"https://127.0.0.1:{port}/as4\"\ncertificate = \"../phase4-{folder}/decrypt.pem\"\n\
             signer = \"../phase4-{folder}/key.pem\"\ntls_trust = \"../ca/tls.pem\"\n\
             egress_allow = [\"127.0.0.0/8\"]\nports = []\nparticipants = [\"{SCHEME}::{PARTY}\"]\n\n\
             [[agreement]]\npartner = \"{PARTY}\"\nprofile = \"{profile}\"\noverrides = {{ {retry} }}\n"
    )
}

fn contents(folder: &Path) -> Result<Vec<(&'static str, Vec<Part>)>> {
    let xml = Part::new(folder, "letter.xml", Content::Xml, true)?;
    let noise = Part::new(folder, "noise", Content::Noise(70_000), true)?;
    Ok(vec![
        ("no part", Vec::new()),
        ("one part, XML, gzip", vec![xml.clone()]),
        ("three parts", vec![xml.clone(), noise, xml]),
    ])
}

async fn to_tilts(side: &mut Side, kind: &Kind, report: &mut Report) -> Result<()> {
    let pair = kind.pairs[0];
    let all = contents(&side.folder)?;
    for (name, parts) in &all {
        let outcome = send(side, parts, json!({})).await;
        report.add_delivery(pair, name, outcome);
    }
    let letter = &all[1].1;
    for (name, token, recipient) in [
        ("signature by PKIPath, recipient by BST", "pkipath", "bst"),
        ("signature by PKIPath, recipient by SKI", "pkipath", "ski"),
        ("signature by SKI, recipient by SKI", "ski", "ski"),
    ] {
        let outcome = send(side, letter, json!({ "token": token, "recipient_token": recipient })).await;
        report.add_delivery(pair, name, outcome);
    }
    report.add_delivery(pair, "test service", ping(side).await);
    let wrong = json!({ "receiver": side.folder.with_file_name("decrypt.pem") });
    report.add(pair, "encrypted for another key", refused(side, letter, wrong).await);
    Ok(())
}

async fn ask_for(side: &mut Side, parts: &[Part], other: &Value) -> Result<(String, Value)> {
    let (id, url) = (new_id(), side.node.url());
    let sent = ask(&mut side.sender, job(&id, &url, NODE, parts), other).await?;
    Ok((id, sent))
}

async fn send(side: &mut Side, parts: &[Part], other: Value) -> Result<String> {
    let (id, sent) = ask_for(side, parts, &other).await?;
    believed(&sent, &side.node)?;
    delivered(&side.node, &id, parts).await?;
    Ok("receipt signed by tilts, NRI valid".into())
}

async fn ping(side: &mut Side) -> Result<String> {
    let other = json!({ "service": TEST_SERVICE, "service_type": null, "action": TEST_ACTION });
    let (id, sent) = ask_for(side, &[], &other).await?;
    believed(&sent, &side.node)?;
    ensure!(deliveries(&side.node, &id).await?.is_empty(), "a test message was delivered");
    Ok("receipted, not delivered".into())
}

async fn refused(side: &mut Side, parts: &[Part], other: Value) -> Result<String> {
    let (id, sent) = ask_for(side, parts, &other).await?;
    ensure!(sent["codes"] == json!(["EBMS:0102"]), "EBMS:0102 was expected: {sent}");
    ensure!(deliveries(&side.node, &id).await?.is_empty(), "refused and delivered");
    Ok("EBMS:0102".into())
}

async fn from_tilts(side: &mut Side, kind: &Kind, report: &mut Report) -> Result<()> {
    let receipted = |(name, parts)| case(name, PARTY, parts, Expected::Receipted);
    let mut cases: Vec<_> = contents(&side.folder)?.into_iter().map(receipted).collect();
    let ping = case("test service", PARTY, Vec::new(), Expected::Pinged);
    cases.push(outbound::Case { test: true, ..ping });
    many(kind.pairs[1], &side.node, &mut side.receiver, report, cases).await;
    Ok(())
}
