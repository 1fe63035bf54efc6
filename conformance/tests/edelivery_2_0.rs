//! eDelivery AS4 2.0 between living nodes: under Ed25519 and X25519, under EC keys, and beside 1.15 on one node.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use conformance::ca::{Purpose, Validity};
use conformance::http::{self, multipart};
use conformance::node::free;
use conformance::probe::{SENDER, tilts};
use conformance::world::{
    AccessPoint, ENVELOPE, EVIDENCE, PARTY_TYPE, PROCESS, TRANSPORT, TRANSPORT_2, World, party_id,
};
use hyper::Method;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;

/// Keys of one profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    Eddsa,
    Ec,
}

use Kind::{Ec, Eddsa, Rsa};

impl Kind {
    fn profile(self) -> &'static str {
        match self {
            Rsa => "edelivery-1.15",
            Eddsa => "edelivery-2.0",
            Ec => "edelivery-2.0-ec",
        }
    }

    fn transport(self) -> &'static str {
        if self == Rsa { TRANSPORT } else { TRANSPORT_2 }
    }

    /// Names of the certificates that sign and that are encrypted for.
    fn certificates(self) -> (&'static str, &'static str) {
        match self {
            Rsa => ("certificate", "certificate"),
            Eddsa => ("ed25519", "x25519"),
            Ec => ("ec", "ec"),
        }
    }

    fn scheme(self) -> &'static str {
        match self {
            Rsa => "old",
            Eddsa => "new",
            Ec => "curve",
        }
    }
}

/// A world with nodes of chosen keys.
struct Stage {
    world: World,
    resolver: std::net::SocketAddr,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn set() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let world = World::new(&folder.path().join("world"), &tilts()?)?;
        Ok(Self { world, resolver: free()?, _folder: folder })
    }

    /// A node with keys of these kinds only, in a domain of the first one's profile. `evidence` adds an RSA key for evidence.
    fn node(&self, name: &str, kinds: &[Kind], evidence: bool) -> Result<AccessPoint> {
        let mut point = self.world.access_point(name, 2048, self.resolver, "")?;
        let folder = self.world.root.join(name);
        let config = folder.join("tilts.toml");
        let text = fs::read_to_string(&config)?;
        let (head, rest) = text.split_once("[[key]]").context("no [[key]]")?;
        let (_, domain) = rest.split_once("[[domain]]").context("no [[domain]]")?;
        let mut keys = String::new();
        for kind in kinds {
            keys += &self.keys(&folder, name, *kind)?;
        }
        if evidence {
            keys += &key("key", "\"evidence\"");
        }
        let domain = domain.replace("\"edelivery-1.15\"", &format!("{:?}", kinds[0].profile()));
        let domain = domain.replace(TRANSPORT, kinds[0].transport());
        fs::write(&config, format!("{head}{keys}[[domain]]{domain}{BACKEND}"))?;
        point.certificate = folder.join(kinds[0].certificates().1).with_extension("pem");
        point.transport = kinds[0].transport();
        Ok(point)
    }

    fn keys(&self, folder: &Path, name: &str, kind: Kind) -> Result<String> {
        Ok(match kind {
            Rsa => key("key", "\"sign\", \"decrypt\""),
            Eddsa => {
                self.issue(folder, name, "ed25519", PKey::generate_ed25519()?)?;
                self.issue(folder, name, "x25519", PKey::generate_x25519()?)?;
                key("ed25519", "\"sign\"") + &key("x25519", "\"decrypt\"")
            }
            Ec => {
                let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
                self.issue(folder, name, "ec", PKey::from_ec_key(EcKey::generate(&group)?)?)?;
                key("ec", "\"sign\", \"decrypt\"")
            }
        })
    }

    fn issue(&self, folder: &Path, name: &str, file: &str, key: PKey<Private>) -> Result<()> {
        let ca = &self.world.ap_ca;
        let identity = ca.issue_key(key, &party_id(name), Purpose::Message, Validity::default())?;
        ca.write_p12(&identity, &folder.join(file).with_extension("p12"), "changeit")?;
        identity.write_certificate(&folder.join(file).with_extension("pem"))
    }

    fn append(&self, name: &str, more: &str) -> Result<()> {
        let config = self.world.root.join(name).join("tilts.toml");
        let text = fs::read_to_string(&config)?;
        Ok(fs::write(config, text + more)?)
    }
}

const BACKEND: &str = "\n[[backend]]\nid = \"all\"\nadapter = \"rest\"\n";

fn key(file: &str, uses: &str) -> String {
    format!("[[key]]\nfile = \"{file}.p12\"\npassword_file = \"password\"\nuse = [{uses}]\n\n")
}

/// `[[partner]]` and `[[agreement]]` with a node, under the keys of one kind. `signers` may sign besides.
fn agree(partner: &AccessPoint, kind: Kind, signers: &str, url: &str) -> String {
    let (name, party) = (&partner.name, party_id(&partner.name));
    let (sign, decrypt) = kind.certificates();
    format!(
        "\n[[partner]]\nparty_id = \"{party}\"\nparty_type = \"{PARTY_TYPE}\"\nurl = \"{url}\"\nallow_http = true\n\
         certificate = \"../{name}/{decrypt}.pem\"\nsigner = [\"../{name}/{sign}.pem\"{signers}]\n\
         tls_trust = \"../ca/tls.pem\"\negress_allow = [\"127.0.0.0/8\"]\nports = []\n\
         participants = [\"to-{name}::*\"]\n\
         [[agreement]]\npartner = \"{party}\"\nprofile = \"{}\"\nevidence = \"rem\"\n",
        kind.profile()
    )
}

fn url(point: &AccessPoint) -> String {
    format!("https://{}/as4", point.node.ports.as4)
}

/// Hands in two parts, one of them XML, for a participant.
async fn submit(from: &AccessPoint, sender: &str, participant: &str) -> Result<String> {
    let description = json!({
        "client_id": format!("letter to {participant}"), "original_sender": sender, "document_type": ENVELOPE,
        "process": PROCESS, "recipients": [{ "participant": participant }],
    });
    let part = |id: &str, kind: &str, body: Vec<u8>| http::Part {
        id: id.into(),
        content_type: kind.into(),
        name: None,
        body,
    };
    let (kind, body) = multipart(&[
        part("description", "application/json", description.to_string().into_bytes()),
        part("letter", "application/xml", format!("<letter>{}</letter>", "text ".repeat(400)).into_bytes()),
        part("picture", "application/octet-stream", (0..=255).collect()),
    ]);
    let to = from.node.ports.backend;
    let answer = http::request(to, Method::POST, "/v1/submissions?backend=all", &kind, body).await?.json()?;
    Ok(answer["id"].as_str().with_context(|| format!("no id in {answer}"))?.to_owned())
}

/// Acts as the backend: takes every message that is there.
async fn take(point: &AccessPoint) -> Result<()> {
    let listed = http::get(point.node.ports.backend, "/v1/messages?backend=all").await?;
    for message in listed["messages"].as_array().into_iter().flatten() {
        let id = message["id"].as_str().context("no id")?;
        let taken = json!({ "outcome": "accepted" });
        http::post(point.node.ports.backend, &format!("/v1/messages/{id}/acknowledge"), &taken).await?;
    }
    Ok(())
}

/// Waits until the evidence of the other side has made the message delivered.
async fn delivered(from: &AccessPoint, to: &AccessPoint, submission: &str) -> Result<()> {
    let path = format!("/api/submissions/{submission}");
    let until = Instant::now() + Duration::from_secs(40);
    let mut detail = Value::Null;
    while Instant::now() < until {
        take(to).await?;
        detail = http::get(from.node.ports.admin, &path).await?;
        if detail["submission"]["recipients"][0]["record"]["delivery"] == "delivered" {
            return receipted_and_proven(&detail);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let logs = [from, to].map(|point| fs::read_to_string(point.node.log()).unwrap_or_default());
    bail!("{} to {} is not delivered: {detail}\n{}", from.name, to.name, logs.join("\n----\n"))
}

/// The first attempt was receipted, and evidence of consignment and of retrieval came.
fn receipted_and_proven(detail: &Value) -> Result<()> {
    let recipient = &detail["recipients"][0];
    let attempts = recipient["messages"][0]["attempts"].as_array().map(Vec::len);
    ensure!(attempts == Some(1), "{attempts:?} attempts: {recipient}");
    let forms = recipient["evidence"].as_array().into_iter().flatten().map(ToString::to_string);
    let forms: Vec<String> = forms.collect();
    let count = |word: &str| forms.iter().filter(|row| row.contains(word)).count();
    ensure!(count("receipt") >= 1 && count("rem") >= 2, "evidence: {forms:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_speaks_1_15_and_both_kinds_of_2_0_at_the_same_time() -> Result<()> {
    let stage = Stage::set()?;
    let kinds = [Rsa, Eddsa, Ec];
    let mut hub = stage.node("hub", &kinds, false)?;
    let mut others = Vec::new();
    for kind in kinds {
        // The one with EC keys signs its evidence by RSA; the hub knows that certificate as one of the party's.
        others.push((kind, stage.node(kind.scheme(), &[kind], kind == Ec)?));
    }
    for (kind, other) in &others {
        let signers = if *kind == Ec { ", \"../curve/certificate.pem\"" } else { "" };
        stage.append("hub", &agree(other, *kind, signers, &url(other)))?;
        stage.append(&other.name, &agree(&hub, *kind, "", &url(&hub)))?;
    }
    hub.node.start().await?;
    for (_, other) in &mut others {
        other.node.start().await?;
    }
    for (_, other) in &others {
        let there = submit(&hub, SENDER, &format!("to-{}::1", other.name)).await?;
        let back = submit(other, &format!("to-{}::1", other.name), "to-hub::1").await?;
        delivered(&hub, other, &there).await?;
        delivered(other, &hub, &back).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn access_points_without_an_rsa_key_find_each_other_by_the_transport_profile_of_2_0() -> Result<()> {
    let stage = Stage::set()?;
    let (mut a, mut b) = (stage.node("a", &[Eddsa], false)?, stage.node("b", &[Eddsa], false)?);
    let (of_a, of_b) = ("iso6523-actorid-upis::0191:1", "iso6523-actorid-upis::0191:2");
    let entries = [(of_a, &a, EVIDENCE), (of_b, &b, ENVELOPE)];
    let registry = stage.world.registry(&entries, stage.resolver).await?;
    a.node.start().await?;
    b.node.start().await?;
    let id = submit(&a, of_a, of_b).await?;
    delivered(&a, &b, &id).await?;
    ensure!(registry.resolver == stage.resolver, "another resolver");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ec_keys_are_refused_where_they_were_not_agreed() -> Result<()> {
    let stage = Stage::set()?;
    let (mut a, mut b) = (stage.node("a", &[Eddsa, Ec], false)?, stage.node("b", &[Eddsa, Ec], false)?);
    stage.append("a", &agree(&b, Ec, "", &url(&b)))?;
    stage.append("b", &agree(&a, Eddsa, ", \"../a/ec.pem\"", &url(&a)))?;
    a.node.start().await?;
    b.node.start().await?;
    submit(&a, SENDER, "to-b::1").await?;
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let rejected = http::get(b.node.ports.admin, "/api/rejected").await?;
        if let Some(row) = rejected.as_array().and_then(|rows| rows.first()) {
            ensure!(row["rejected"]["code"] == "EBMS:0103", "{row}");
            ensure!(
                row.to_string().contains("ecdsa-sha256"),
                "the reason does not name the algorithm: {row}"
            );
            let taken = http::get(b.node.ports.admin, "/api/messages").await?;
            ensure!(taken.as_array().is_some_and(Vec::is_empty), "something was taken: {taken}");
            return Ok(());
        }
        ensure!(Instant::now() < until, "nothing was refused: {}", fs::read_to_string(b.node.log())?);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Takes one request as it comes, and gives no answer that means anything.
async fn captured(listener: TcpListener) -> Result<Vec<u8>> {
    let (mut stream, _) = listener.accept().await?;
    let mut octets = Vec::new();
    let mut chunk = vec![0; 65536];
    loop {
        let read = stream.read(&mut chunk).await?;
        octets.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&octets);
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.context("no Content-Length")?.trim().parse()?;
        if read == 0 || octets.len() >= head.len() + 4 + length {
            stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await?;
            return Ok(octets);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_passes_inspection_under_the_profile() -> Result<()> {
    for (kind, signature, agreement) in [(Eddsa, "eddsa-ed25519", "x25519"), (Ec, "ecdsa-sha256", "ECDH-ES")]
    {
        let stage = Stage::set()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (mut a, b) = (stage.node("a", &[kind], false)?, stage.node("b", &[kind], false)?);
        stage.append("a", &agree(&b, kind, "", &format!("http://{}/as4", listener.local_addr()?)))?;
        a.node.start().await?;
        submit(&a, SENDER, "to-b::1").await?;
        let request = tokio::time::timeout(Duration::from_secs(30), captured(listener)).await??;
        let file = stage.world.root.join("request.http");
        fs::write(&file, request)?;
        let store = stage.world.root.join("b").join(kind.certificates().1).with_extension("p12");
        let report = inspected(&stage, &file, &store).await?;
        ensure!(report["verdict"] == "accepted", "{report}");
        let ends = |value: &Value, word: &str| value.as_str().is_some_and(|uri| uri.ends_with(word));
        ensure!(ends(&report["signature"]["algorithm"], signature), "{report}");
        ensure!(report["signature"]["trust"] == "trusted", "{report}");
        ensure!(ends(&report["encryption"]["agreement"], agreement), "{report}");
        ensure!(ends(&report["encryption"]["kdf"], "hkdf"), "{report}");
        ensure!(report["encryption"]["token_reference"] == "X509SubjectKeyIdentifier", "{report}");
        ensure!(report["parts"].as_array().map(Vec::len) == Some(2), "{report}");
    }
    Ok(())
}

async fn inspected(stage: &Stage, file: &Path, store: &Path) -> Result<Value> {
    let output = Command::new(&stage.world.tilts)
        .arg("inspect")
        .arg(file)
        .args(["--profile", "edelivery-2.0", "--json", "--keystore"])
        .arg(store)
        .args(["--password", "changeit", "--trust"])
        .arg(stage.world.root.join("ca/ap.pem"))
        .output()
        .await?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("no report: {}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_without_its_keys_is_refused_before_anything_starts() -> Result<()> {
    let stage = Stage::set()?;
    stage.node("node", &[Rsa], false)?;
    let config = stage.world.root.join("node/tilts.toml");
    let good = fs::read_to_string(&config)?;
    let said = async |text: String| -> Result<String> {
        fs::write(&config, text)?;
        let output =
            Command::new(&stage.world.tilts).args(["check-config", "--config"]).arg(&config).output().await?;
        ensure!(!output.status.success(), "it was called good");
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let two = good.replace("edelivery-1.15", "edelivery-2.0").replace(TRANSPORT, TRANSPORT_2);
    let text = said(two).await?;
    for word in ["edelivery-2.0", "Ed25519", "X25519", "use = [\"sign\"]", "use = [\"decrypt\"]", "RSA"] {
        ensure!(text.contains(word), "it does not say {word:?}: {text}");
    }
    let text = said(good.replace(TRANSPORT, TRANSPORT_2)).await?;
    ensure!(text.contains(TRANSPORT_2) && text.contains("profiles = {"), "{text}");
    Ok(())
}
