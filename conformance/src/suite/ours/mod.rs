//! A tilts process under test, with the file that describes it: the suite then treats it as any other endpoint.

mod edelivery2;
mod peppol;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::ca::{Authority, Identity, List, Pointers, Purpose, Validity};
use crate::node::{Node, free};
use crate::revocation::{ListServer, Says};
use crate::world::{PARTY_TYPE, World, party_id};

const TYPE: &str = "tilts-suite";
const DYNAMIC_TYPE: &str = "urn:oasis:names:tc:ebcore:partyid-type:unregistered:tilts-suite-dynamic";
const RETRY: &str = "retry = { first_seconds = 1, factor = 1, longest_seconds = 1, within_seconds = 12 }";

const EGRESS: &str = "tls_trust = \"../ca/tls.pem\"\negress_allow = [\"127.0.0.0/8\"]\nports = []\n";

/// Tries again for longer than any case waits.
fn patient() -> String {
    RETRY.replace("within_seconds = 12", "within_seconds = 60")
}

/// Files of the certificates that are revoked.
const REVOKED: [&str; 3] = ["revoked", "suite-revoked", "found-revoked"];

/// A `[[partner]]` of the node.
fn partner(id: &str, how: &str) -> String {
    format!("\n[[partner]]\nparty_id = \"{id}\"\nparty_type = \"{PARTY_TYPE}\"\n{how}")
}

/// An agreement of the suite with the node.
struct Agreed {
    name: &'static str,
    service: &'static str,
    overrides: &'static str,
    encrypt: bool,
    agreement_ref: &'static str,
}

const fn agreed(name: &'static str, service: &'static str, overrides: &'static str) -> Agreed {
    Agreed { name, service, overrides, encrypt: true, agreement_ref: "" }
}

const AGREED: &[Agreed] = &[
    agreed("oneway", "SRV_SIMPLE_ONEWAY", ""),
    Agreed { encrypt: false, ..agreed("signonly", "SRV_ONEWAY_SIGNONLY", "encryption = \"forbidden\"") },
    agreed("twoway", "SRV_SIMPLE_TWOWAY", "mep = \"two-way\""),
    agreed("retry", "SRV_ONEWAY_RETRY", RETRY),
    agreed(
        "tokens-ski",
        "SRV_SKI",
        "signing_token = \"subject-key-identifier\", encryption_token = \"x509v3\"",
    ),
    agreed(
        "tokens-issuer",
        "SRV_ISSUER",
        "signing_token = \"issuer-serial\", encryption_token = \"issuer-serial\"",
    ),
    Agreed {
        encrypt: false,
        agreement_ref: "urn:suite:agreement:1",
        ..agreed("agreement-1", "SRV_AGREEMENT", "encryption = \"forbidden\"")
    },
    Agreed { agreement_ref: "urn:suite:agreement:2", ..agreed("agreement-2", "SRV_AGREEMENT", "") },
];

/// A running node and its file.
pub struct Ours {
    /// The process.
    pub node: Node,
    /// The endpoint file.
    pub file: PathBuf,
    _peppol: Node,
    _world: World,
    _lists: ListServer,
}

/// Makes keys, configuration and endpoint file below `root`, and starts the node.
pub async fn start(root: &Path, tilts: &Path) -> Result<Ours> {
    let (mut world, lists) = (World::new(root, tilts)?, ListServer::start().await?);
    world.ap_ca = world.ap_ca.publishing(Pointers { list: Some(lists.url()), responder: None });
    let folder = world.root.join("suite");
    std::fs::create_dir_all(&folder)?;
    let names = identities(&world, &folder)?;
    let (listen, plain) = (free()?, free()?);
    let new = edelivery2::prepare(&world, &folder, listen)?;
    peppol::keys(&world, &folder)?;
    let revoked = REVOKED.map(|name| Identity::read_pair(&folder, name));
    let revoked: Vec<Identity> = revoked.into_iter().collect::<Result<_>>()?;
    let revoked: Vec<&Identity> = revoked.iter().collect();
    lists.say(Says::List(world.ap_ca.revocation_list(&revoked, List::default())?));
    let (resolver, configuration) = (free()?, configuration(listen, plain) + &new.configuration);
    let mut point = world.access_point("sut", 2048, resolver, &configuration)?;
    own_type_of_domain(&world.root.join("sut/tilts.toml"))?;
    point.node.start().await?;
    let file = folder.join("tilts.toml");
    let discovery = peppol::discovery_of_the_first(resolver);
    std::fs::write(&file, endpoint(&point.node, &names, listen, plain) + &new.endpoint + &discovery)?;
    let peppol = peppol::start(&world, &folder).await?;
    Ok(Ours { node: point.node, file, _peppol: peppol, _world: world, _lists: lists })
}

/// The domain's parties get a type of their own: else a party of which nobody has heard is taken for a member of the domain
/// and refused for its certificate (EBMS:0101), not for its name (EBMS:0010).
fn own_type_of_domain(config: &Path) -> Result<()> {
    let text = std::fs::read_to_string(config)?;
    let (before, domain) = text.split_once("[[domain]]").context("no [[domain]]")?;
    let domain = domain.replacen(PARTY_TYPE, DYNAMIC_TYPE, 1);
    Ok(std::fs::write(config, format!("{before}[[domain]]{domain}"))?)
}

/// Keys of the suite; gives the names of those besides its own.
fn identities(world: &World, folder: &Path) -> Result<Vec<&'static str>> {
    let suite = party_id("suite");
    let ours = |name: &str, valid| world.ap_ca.issue_for(name, 2048, Purpose::Message, valid);
    let expired = Validity { from: -30, to: -1 };
    let all = [
        ("suite", ours(&suite, Validity::default())?),
        ("other", ours(&party_id("other"), Validity::default())?),
        ("anchored", ours(&party_id("anchored"), Validity::default())?),
        ("expired", ours(&party_id("anchored"), expired)?),
        ("revoked", ours(&party_id("anchored"), Validity::default())?),
        ("weak", world.ap_ca.issue(&party_id("anchored"), 1024, Purpose::Message)?),
        ("wrong-usage", world.ap_ca.issue(&party_id("anchored"), 2048, Purpose::KeyAgreement)?),
        ("stranger", Authority::new("strangers")?.issue(&party_id("anchored"), 2048, Purpose::Message)?),
        ("dynamic", ours(&party_id("dynamic"), Validity::default())?),
        (
            "dynamic-stranger",
            Authority::new("strangers")?.issue(&party_id("dynamic"), 2048, Purpose::Message)?,
        ),
        ("tls", world.tls_ca.issue("suite TLS", 2048, Purpose::Tls)?),
    ];
    for (name, identity) in &all {
        Identity::write_pair(
            identity,
            &folder.join(format!("{name}.pem")),
            &folder.join(format!("{name}.key")),
        )?;
    }
    Ok(all.iter().map(|(name, _)| *name).filter(|name| !["suite", "tls"].contains(name)).collect())
}

/// What stands in the node's configuration about the suite.
fn configuration(listen: SocketAddr, plain: SocketAddr) -> String {
    let ours = |url: &str| {
        let certificate = "[\"../suite/suite.pem\", \"../suite/eddsa-decrypt.pem\"]";
        let signer = "[\"../suite/suite.pem\", \"../suite/eddsa-sign.pem\"]";
        format!("certificate = {certificate}\nsigner = {signer}\nurl = \"{url}\"\n{EGRESS}")
    };
    let (suite, anchored) = (party_id("suite"), party_id("anchored"));
    let mut text = partner(&suite, &ours(&format!("https://{listen}/as4")));
    text += &partner(&party_id("plain"), &(ours(&format!("http://{plain}/as4")) + "allow_http = true\n"));
    let _ = write!(
        text,
        "\n[[agreement]]\nid = \"plain\"\npartner = \"{}\"\nprofile = \"edelivery-1.15\"\noverrides = {{ {} }}\n\
         service = \"SRV_ONEWAY_RETRY\"\nservice_type = \"{TYPE}\"\naction = \"ACT_ONEWAY_RETRY\"\n",
        party_id("plain"),
        patient()
    );
    let subject =
        format!("anchor = \"../ca/ap.pem\"\nsubject = \"CN={anchored},O=tilts test,C=LV\"\n{EGRESS}");
    text += &partner(&anchored, &subject);
    for agreement in AGREED {
        let mut overrides = vec![agreement.overrides.to_owned()];
        if !agreement.agreement_ref.is_empty() {
            overrides
                .push(format!("agreement_ref = {{ fixed = {{ value = \"{}\" }} }}", agreement.agreement_ref));
        }
        if agreement.name != "retry" {
            overrides.push(patient());
        }
        overrides.retain(|o| !o.is_empty());
        let _ = write!(
            text,
            "\n[[agreement]]\nid = \"{}\"\npartner = \"{suite}\"\nprofile = \"edelivery-1.15\"\nservice = \"{}\"\n\
             service_type = \"{TYPE}\"\naction = \"{}\"\noverrides = {{ {} }}\n",
            agreement.name,
            agreement.service,
            action(agreement),
            overrides.join(", ")
        );
    }
    let _ = write!(
        text,
        "\n[[agreement]]\nid = \"anchored\"\npartner = \"{anchored}\"\nprofile = \"edelivery-1.15\"\n\
         overrides = {{ encryption = \"forbidden\" }}\n"
    );
    text + "\n[[backend]]\nid = \"all\"\nadapter = \"rest\"\n\n[limits]\nrejected_per_minute = 100000\nidle_seconds = 5\n"
}

fn action(agreement: &Agreed) -> String {
    agreement.service.replacen("SRV_", "ACT_", 1)
}

fn endpoint(node: &Node, identities: &[&str], listen: SocketAddr, plain: SocketAddr) -> String {
    let (suite, sut) = (party_id("suite"), party_id("sut"));
    let mut text = format!(
        "name = \"tilts\"\npeppol = \"{}\"\naddress = \"{}\"\nparty_id = \"{sut}\"\nparty_type = \"{PARTY_TYPE}\"\n\
         certificate = \"../sut/certificate.pem\"\n\n[suite]\nparty_id = \"{suite}\"\ncertificate = \"suite.pem\"\n\
         key = \"suite.key\"\nlisten = \"{listen}\"\ntls = {{ certificate = \"tls.pem\", key = \"tls.key\" }}\n\
         plain = {{ party_id = \"{}\", listen = \"{plain}\" }}\n\n\
         [backend]\nkind = \"tilts-rest\"\naddress = \"{}\"\npartner = \"{suite}\"\n",
        peppol::FILE,
        node.ports.as4,
        party_id("plain"),
        node.ports.backend
    );
    for name in identities {
        let _ = write!(text, "\n[identity.{name}]\ncertificate = \"{name}.pem\"\nkey = \"{name}.key\"\n");
    }
    let _ = write!(
        text,
        "\n[pmode.dynamic]\nservice = \"bdx:noprocess\"\nservice_type = \"bdx-procid-transport\"\n\
         action = \"urn:suite:letter\"\nparty_type = \"{DYNAMIC_TYPE}\"\n"
    );
    for agreement in AGREED {
        let Agreed { name, service, encrypt, agreement_ref, .. } = agreement;
        let _ = write!(
            text,
            "\n[pmode.{name}]\nservice = \"{service}\"\nservice_type = \"{TYPE}\"\naction = \"{}\"\nencrypt = {encrypt}\n",
            action(agreement)
        );
        if !agreement_ref.is_empty() {
            let _ = writeln!(text, "agreement_ref = \"{agreement_ref}\"");
        }
    }
    text
}
