//! The keys and agreements of eDelivery AS4 2.0 between suite and node.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};

use super::{EGRESS, TYPE, partner, patient};
use crate::ca::{Authority, Identity, Purpose, Validity};
use crate::world::{World, party_id};

/// The alternative curves, each with a party of its own.
const CURVES: [(&str, Nid); 4] = [
    ("ec-p256", Nid::X9_62_PRIME256V1),
    ("ec-p384", Nid::SECP384R1),
    ("ec-p521", Nid::SECP521R1),
    ("ec-brainpool-p256", Nid::BRAINPOOL_P256R1),
];

/// What stands in the two files.
#[derive(Default)]
pub struct Texts {
    /// In the node's configuration.
    pub configuration: String,
    /// In the endpoint's file.
    pub endpoint: String,
}

/// Makes the keys of both sides, the suite's in `folder`.
pub fn prepare(world: &World, folder: &Path, listen: SocketAddr) -> Result<Texts> {
    let (mut texts, node) = (Texts::default(), world.root.join("sut"));
    std::fs::create_dir_all(&node)?;
    let keys = Keys { world, node: &node, folder };
    texts.configuration += &keys.of_node("ed25519", PKey::generate_ed25519()?, "sign")?;
    texts.configuration += &keys.of_node("x25519", PKey::generate_x25519()?, "decrypt")?;
    texts.configuration += &keys.of_node("ec-sign", curve(CURVES[0].1)?, "sign")?;
    let suite = party_id("suite");
    keys.of_suite("eddsa", &suite, [PKey::generate_ed25519()?, PKey::generate_x25519()?])?;
    texts.agree("eddsa", &suite, "edelivery-2.0", "");
    texts.keys("eddsa", "ed25519", "x25519");
    for (name, nid) in CURVES {
        let party = party_id(name);
        texts.configuration += &keys.of_node(name, curve(nid)?, "decrypt")?;
        keys.of_suite(name, &party, [curve(nid)?, curve(nid)?])?;
        let how = format!(
            "certificate = \"../suite/{name}-decrypt.pem\"\nsigner = \"../suite/{name}-sign.pem\"\n\
             url = \"https://{listen}/as4\"\n{EGRESS}"
        );
        texts.configuration += &partner(&party, &how);
        texts.agree(name, &party, "edelivery-2.0-ec", "");
        texts.keys(name, "ec-sign", name);
    }
    chains(&mut texts, world, folder)?;
    Ok(texts)
}

fn curve(nid: Nid) -> Result<PKey<Private>> {
    Ok(PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(nid)?)?)?)
}

/// One party whose Ed25519 certificate may come from any of three authorities of different kinds.
fn chains(texts: &mut Texts, world: &World, folder: &Path) -> Result<()> {
    let party = party_id("chains");
    let mut anchors = world.ap_ca.certificate().to_pem()?;
    let others = [
        ("eddsa-by-ecdsa", Authority::with_key("suite ECDSA", curve(Nid::SECP384R1)?)?),
        ("eddsa-by-eddsa", Authority::with_key("suite Ed25519", PKey::generate_ed25519()?)?),
    ];
    anchors.extend(
        others.iter().map(|(_, ca)| ca.certificate().to_pem()).collect::<Result<Vec<_>, _>>()?.concat(),
    );
    std::fs::write(world.root.join("ca/chains.pem"), anchors)?;
    let all = others.iter().map(|(name, ca)| (*name, ca)).chain([("eddsa-by-rsa", &world.ap_ca)]);
    for (name, ca) in all {
        let identity =
            ca.issue_key(PKey::generate_ed25519()?, &party, Purpose::Message, Validity::default())?;
        write(&identity, folder, name)?;
        let _ = write!(
            texts.endpoint,
            "\n[identity.{name}]\ncertificate = \"{name}.pem\"\nkey = \"{name}.key\"\n"
        );
    }
    let how = format!("anchor = \"../ca/chains.pem\"\nsubject = \"CN={party},O=tilts test,C=LV\"\n");
    texts.configuration += &partner(&party, &how);
    texts.agree("eddsa-chains", &party, "edelivery-2.0", "encryption = \"forbidden\", ");
    texts.endpoint += "encrypt = false\n";
    Ok(())
}

fn write(identity: &Identity, folder: &Path, name: &str) -> Result<()> {
    identity.write_pair(&folder.join(format!("{name}.pem")), &folder.join(format!("{name}.key")))
}

struct Keys<'w> {
    world: &'w World,
    node: &'w Path,
    folder: &'w Path,
}

impl Keys<'_> {
    fn issue(&self, key: PKey<Private>, party: &str) -> Result<Identity> {
        self.world.ap_ca.issue_key(key, party, Purpose::Message, Validity::default())
    }

    /// A `[[key]]` of the node.
    fn of_node(&self, name: &str, key: PKey<Private>, purpose: &str) -> Result<String> {
        let identity = self.issue(key, &party_id("sut"))?;
        self.world.ap_ca.write_p12(&identity, &self.node.join(format!("{name}.p12")), "changeit")?;
        identity.write_certificate(&self.node.join(format!("{name}.pem")))?;
        Ok(format!("\n[[key]]\nfile = \"{name}.p12\"\npassword_file = \"password\"\nuse = [\"{purpose}\"]\n"))
    }

    /// What the suite signs and decrypts with.
    fn of_suite(&self, name: &str, party: &str, [sign, decrypt]: [PKey<Private>; 2]) -> Result<()> {
        write(&self.issue(sign, party)?, self.folder, &format!("{name}-sign"))?;
        write(&self.issue(decrypt, party)?, self.folder, &format!("{name}-decrypt"))
    }
}

impl Texts {
    /// An agreement in both files; the endpoint's `[pmode]` stands at the end and can be gone on with.
    fn agree(&mut self, name: &str, party: &str, profile: &str, overrides: &str) {
        let word = if profile == "edelivery-2.0" { "EDDSA" } else { "EC" };
        let _ = write!(
            self.configuration,
            "\n[[agreement]]\nid = \"{name}\"\npartner = \"{party}\"\nprofile = \"{profile}\"\n\
             service = \"SRV_{word}\"\nservice_type = \"{TYPE}\"\naction = \"ACT_{word}\"\n\
             overrides = {{ {overrides}{} }}\n",
            patient()
        );
        let keys = name.strip_suffix("-chains").unwrap_or(name);
        let _ = write!(
            self.endpoint,
            "\n[pmode.{name}]\nservice = \"SRV_{word}\"\nservice_type = \"{TYPE}\"\naction = \"ACT_{word}\"\n\
             party_id = \"{party}\"\nkeys = \"{keys}\"\n"
        );
    }

    fn keys(&mut self, name: &str, signer: &str, certificate: &str) {
        let pair = |of: &str| format!("{{ certificate = \"{name}-{of}.pem\", key = \"{name}-{of}.key\" }}");
        let _ = write!(
            self.endpoint,
            "\n[keys.{name}]\nsigner = \"../sut/{signer}.pem\"\ncertificate = \"../sut/{certificate}.pem\"\n\
             sign = {}\ndecrypt = {}\n",
            pair("sign"),
            pair("decrypt")
        );
    }
}
