//! Evidence of those who may not testify: receipted, kept, without effect, and shown to the operator.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use conformance::as4::{DS, Message, Part, reference, seal, signature};
use conformance::ca::{Identity, Purpose};
use conformance::http::{self, multipart};
use conformance::node::{free, tilts_binary};
use conformance::probe::{SENDER, clear_parts, message};
use conformance::wire;
use conformance::world::{AccessPoint, ENVELOPE, PARTY_TYPE, PROCESS, World, party_id};
use hyper::Method;
use openssl::pkcs12::Pkcs12;
use serde_json::{Value, json};

const REM: &str = "http://uri.etsi.org/02640/v2#";
const FIRST: &str = "suite-scheme::first";
const SECOND: &str = "suite-scheme::second";
const ACTION: &str = "RetrievalNonRetrievalByRecipient";

/// A has sent to two recipients at B; C is an access point of the same domain.
struct Stage {
    world: World,
    a: AccessPoint,
    _b: AccessPoint,
    key_of_b: Identity,
    key_of_c: Identity,
    submission: String,
    first: String,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn set() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let world = World::new(&folder.path().join("world"), &tilts_binary()?)?;
        let resolver = free()?;
        let mut a = world.access_point("a", 2048, resolver, "")?;
        let mut b =
            world.access_point("b", 2048, resolver, "\n[[backend]]\nid = \"all\"\nadapter = \"rest\"\n")?;
        let backend = "\n[[backend]]\nid = \"letters\"\nadapter = \"rest\"\nserves = { participants = [\"nobody::x\"] }\n";
        agree(&world, "a", &b, "participants = [\"suite-scheme::*\"]\n", backend)?;
        agree(&world, "b", &a, "", "")?;
        b.node.start().await?;
        a.node.start().await?;
        let key_of_b = identity(&world, "b")?;
        let key_of_c = world.ap_ca.issue(&party_id("c"), 2048, Purpose::Message)?;
        let submission = submit(&a).await?;
        let mut stage =
            Self { world, a, _b: b, key_of_b, key_of_c, submission, first: String::new(), _folder: folder };
        stage.first = stage.sent().await?;
        Ok(stage)
    }

    async fn detail(&self) -> Result<Value> {
        http::get(self.a.node.ports.admin, &format!("/api/submissions/{}", self.submission)).await
    }

    /// Waits until B has testified that both messages are at its backend's disposal; the first one's MessageId.
    async fn sent(&self) -> Result<String> {
        let until = Instant::now() + Duration::from_secs(40);
        while Instant::now() < until {
            let detail = self.detail().await?;
            if (0..2).all(|n| record(&detail, n).0 == "sent") {
                let id = &detail["recipients"][0]["messages"][0]["message_id"];
                return id.as_str().map(str::to_owned).with_context(|| format!("no MessageId in {detail}"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = fs::read_to_string(self.a.node.log())?;
        anyhow::bail!("not sent: {}\n{log}", self.detail().await?)
    }

    /// Brings evidence to A, which must receipt it and list it, and leave both statuses alone.
    async fn without_effect(&self, case: &str, brought: &Message, by: &Identity, word: &str) -> Result<()> {
        let before = self.detail().await?;
        let known = self.strays().await?.len();
        let reply = wire::send(self.a.node.ports.as4, &seal(brought, by)?.request()).await?;
        ensure!(reply.is_receipt(), "{case}: {:?} instead of a receipt: {}", reply.codes(), reply.body);
        let strays = self.strays().await?;
        let listed = strays.first().map(ToString::to_string).unwrap_or_default();
        ensure!(strays.len() == known + 1, "{case}: {} stray instead of one more than {known}", strays.len());
        ensure!(listed.contains(word), "{case}: the list does not say {word:?}: {listed}");
        let notices = http::get(self.a.node.ports.admin, "/api/notices").await?;
        let notices = notices.as_array().map(Vec::len).unwrap_or_default();
        ensure!(notices > known, "{case}: no notice");
        let after = self.detail().await?;
        ensure!(after["recipients"] == before["recipients"], "{case}: something changed: {after}");
        Ok(())
    }

    async fn strays(&self) -> Result<Vec<Value>> {
        let all = http::get(self.a.node.ports.admin, "/api/stray-evidence").await?;
        Ok(all.as_array().cloned().unwrap_or_default())
    }

    /// An evidence message about the first message.
    fn brought(&self, from: &str, about: &str, evidence: String) -> Message {
        let part = Part::new("evidence@suite", evidence.as_bytes());
        Message {
            action: ACTION.into(),
            sender: FIRST.into(),
            recipient: SENDER.into(),
            properties: vec![("originalMessageId".into(), about.into())],
            parts: vec![part],
            ..message(&party_id(from), &party_id("a"))
        }
    }
}

fn record(detail: &Value, recipient: usize) -> (String, String) {
    let record = &detail["submission"]["recipients"][recipient]["record"];
    let word = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
    (word("send"), word("delivery"))
}

/// A static partner in the configuration of `name`, in clear parts with the domain, evidence with both.
fn agree(world: &World, name: &str, partner: &AccessPoint, more: &str, behind: &str) -> Result<()> {
    let config = world.root.join(name).join("tilts.toml");
    clear_parts(&config)?;
    let (party, url) = (party_id(&partner.name), partner.node.ports.as4);
    let text = format!(
        "{}\n[[partner]]\nparty_id = \"{party}\"\nparty_type = \"{PARTY_TYPE}\"\nurl = \"https://{url}/as4\"\n\
         certificate = \"../{}/certificate.pem\"\ntls_trust = \"../ca/tls.pem\"\negress_allow = [\"127.0.0.0/8\"]\n\
         ports = []\n{more}\n[[agreement]]\npartner = \"{party}\"\nprofile = \"edelivery-1.15\"\nevidence = \"rem\"\n\
         overrides = {{ encryption = \"forbidden\" }}\n{behind}",
        fs::read_to_string(&config)?,
        partner.name
    );
    Ok(fs::write(config, text)?)
}

fn identity(world: &World, name: &str) -> Result<Identity> {
    let store = Pkcs12::from_der(&fs::read(world.root.join(name).join("key.p12"))?)?.parse2("changeit")?;
    let certificate = store.cert.context("no certificate")?;
    Ok(Identity { certificate, key: store.pkey.context("no key")? })
}

async fn submit(a: &AccessPoint) -> Result<String> {
    let description = json!({
        "client_id": "letter-1", "original_sender": SENDER, "document_type": ENVELOPE, "process": PROCESS,
        "recipients": [{ "participant": FIRST }, { "participant": SECOND }],
    });
    let (kind, body) = multipart(&[
        http::Part::new("description", "application/json", description.to_string().into_bytes()),
        http::Part::new("letter", "application/octet-stream", b"a letter".to_vec()),
    ]);
    let to = a.node.ports.backend;
    let path = "/v1/submissions?backend=letters";
    let answer = http::request(to, Method::POST, path, &kind, body).await?.json()?;
    Ok(answer["id"].as_str().context("no id")?.to_owned())
}

/// Evidence that the recipient took the message, in canonical form, signed by `signer`.
fn evidence(about: &str, signer: Option<&Identity>) -> Result<String> {
    let address = |scheme: &str, value: &str| {
        format!(
            "<rem:AttributedElectronicAddress scheme=\"{scheme}\">{value}</rem:AttributedElectronicAddress>"
        )
    };
    let text = format!(
        "<rem:{ACTION} xmlns:rem=\"{REM}\" Id=\"e1\" version=\"2.1.1\"><rem:EventCode>\
         http://uri.etsi.org/02640/Event#Retrieval</rem:EventCode><rem:EvidenceIdentifier>{}</rem:EvidenceIdentifier>\
         <rem:EvidenceIssuerDetails><rem:NamesPostalAddresses><rem:NamePostalAddress><rem:EntityName><rem:Name>AP-B\
         </rem:Name></rem:EntityName></rem:NamePostalAddress></rem:NamesPostalAddresses></rem:EvidenceIssuerDetails>\
         <rem:EventTime>2026-01-01T00:00:00Z</rem:EventTime><rem:SenderDetails>{}</rem:SenderDetails>\
         <rem:RecipientsDetails><rem:EntityDetails>{}</rem:EntityDetails></rem:RecipientsDetails>\
         <rem:SenderMessageDetails isNotification=\"false\"><rem:MessageSubject>-</rem:MessageSubject>\
         <rem:MessageIdentifierByREMMD>{about}</rem:MessageIdentifierByREMMD></rem:SenderMessageDetails></rem:{ACTION}>",
        uuid::Uuid::new_v4(),
        address("iso6523-actorid-upis", "0218:90000000001"),
        address("suite-scheme", "first"),
    );
    let Some(signer) = signer else { return Ok(text) };
    let enveloped =
        ["http://www.w3.org/2000/09/xmldsig#enveloped-signature", "http://www.w3.org/2001/10/xml-exc-c14n#"];
    let whole = reference("", &enveloped, text.as_bytes());
    let certificate = base64::engine::general_purpose::STANDARD.encode(signer.certificate.to_der()?);
    let key_info =
        format!("<ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data>");
    let signed = signature(signer, &[whole], &key_info)?;
    ensure!(signed.contains(DS), "the signature has no namespace");
    Ok(text.replace(&format!("</rem:{ACTION}>"), &format!("{signed}</rem:{ACTION}>")))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_party_that_the_message_went_to_may_testify() -> Result<()> {
    let stage = Stage::set().await?;
    let (b, c, first) = (&stage.key_of_b, &stage.key_of_c, stage.first.as_str());
    ensure!(stage.world.root.exists() && stage.strays().await?.is_empty(), "the stage is not clean");
    let by_b = evidence(first, Some(b))?;
    let by_c = evidence(first, Some(c))?;
    let other = Message { sender: SECOND.into(), ..stage.brought("b", first, by_b.clone()) };
    let not_swapped =
        Message { sender: SENDER.into(), recipient: FIRST.into(), ..stage.brought("b", first, by_b.clone()) };
    let bent = by_b.replace("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let unknown = "nobody@suite.example";
    let cases = [
        ("a third access point", stage.brought("c", first, by_c.clone()), c, "it came from party AP-C"),
        ("a third access point with B's evidence", stage.brought("c", first, by_b.clone()), c, "AP-C"),
        ("another recipient's", other, b, "not those of the message"),
        ("sender and recipient not swapped", not_swapped, b, "not those of the message"),
        ("B with C's evidence", stage.brought("b", first, by_c), b, "neither the party nor"),
        ("not signed", stage.brought("b", first, evidence(first, None)?), b, "not signed"),
        ("changed after signing", stage.brought("b", first, bent), b, "does not hold"),
        (
            "about another message than it says",
            stage.brought("b", first, evidence(unknown, Some(b))?),
            b,
            unknown,
        ),
        ("about nobody's message", stage.brought("b", unknown, evidence(unknown, Some(b))?), b, "not ours"),
        ("no evidence at all", stage.brought("b", first, "hello".into()), b, ""),
    ];
    for (case, brought, by, word) in &cases {
        stage.without_effect(case, brought, by, word).await?;
    }
    ensure!(record(&stage.detail().await?, 0).1 != "delivered", "delivered by forgery");
    // The measure of all the forgeries: the same words of the right party count.
    let true_one = stage.brought("b", first, by_b);
    let reply = wire::send(stage.a.node.ports.as4, &seal(&true_one, b)?.request()).await?;
    ensure!(reply.is_receipt(), "the true evidence was refused: {}", reply.body);
    let detail = stage.detail().await?;
    ensure!(record(&detail, 0).1 == "delivered", "the true evidence has no effect: {detail}");
    ensure!(record(&detail, 1).1 != "delivered", "it moved the other recipient");
    Ok(())
}
