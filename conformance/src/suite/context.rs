//! What every case is given: the endpoint, the suite's keys, and the questions that cases ask again and again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use openssl::x509::X509;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::backend::{Desk, Submission};
use super::capture::{Capture, Opened, Payload};
use super::endpoint::{Endpoint, PMode};
use super::forge::Forge;
use super::receiver::{Receiver, Script, receipt};
use super::registry::{self, Discovery, Registry};
use super::verdict::skip;
use crate::as4::{Message, Part, Request};
use crate::ca::Identity;
use crate::http;
use crate::node::Node;
use crate::wire::{self, Reply};
use crate::world::PARTY_TYPE;

/// A case's view of the world; cheap to clone.
pub type Ctx = Arc<Context>;

/// What every case is given.
pub struct Context {
    /// The endpoint under test.
    pub endpoint: Endpoint,
    /// Its certificate.
    pub certificate: X509,
    /// The suite's own key.
    pub suite: Arc<Identity>,
    /// Keys of both sides by name; under the empty name those of `certificate` and `suite`.
    pub keys: BTreeMap<String, Set>,
    /// Other keys, by what they are.
    pub identities: BTreeMap<String, Identity>,
    /// The backend.
    pub desk: Desk,
    /// The suite's receiver.
    pub receiver: Option<Receiver>,
    /// The suite's receiver without TLS.
    pub plain: Option<Receiver>,
    /// Whom the endpoint can look up.
    pub registry: Option<Registry>,
    /// The endpoint in a network like Peppol.
    pub peppol: Option<Ctx>,
    /// The endpoint's process, where the suite may restart it.
    pub node: Option<Mutex<Node>>,
    /// The tilts binary, whose `inspect` is a second judge.
    pub tilts: PathBuf,
    /// A folder for captures.
    pub folder: PathBuf,
}

/// Keys of both sides.
#[derive(Clone)]
pub struct Set {
    /// The endpoint's certificate that signs.
    pub signer: X509,
    /// The endpoint's certificate that is encrypted for.
    pub certificate: X509,
    /// What the suite signs with.
    pub sign: Arc<Identity>,
    /// What the suite decrypts with.
    pub decrypt: Arc<Identity>,
}

/// A message that the endpoint was made to send, and what came.
pub struct Sent {
    /// Its id at the backend.
    pub id: String,
    /// The word by which it is told.
    pub key: String,
}

const STACK: [&str; 5] = ["\tat ", "panicked at", "Exception:", "stack trace", "src/"];

impl Context {
    /// An agreement by name.
    pub fn pmode(&self, name: &str) -> Result<&PMode> {
        match self.endpoint.pmode.get(name) {
            Some(pmode) => Ok(pmode),
            None => skip(format!("the endpoint's file has no [pmode.{name}]")),
        }
    }

    /// A key by what it is.
    pub fn identity(&self, name: &str) -> Result<&Identity> {
        match self.identities.get(name) {
            Some(identity) => Ok(identity),
            None => skip(format!("the endpoint's file has no [identity.{name}]")),
        }
    }

    /// The keys under which messages of an agreement go.
    pub fn keys(&self, pmode: &str) -> Result<&Set> {
        let name = self.pmode(pmode)?.keys.as_deref().unwrap_or_default();
        self.keys.get(name).with_context(|| format!("the endpoint's file has no [keys.{name}]"))
    }

    /// The endpoint in a network like Peppol.
    pub fn peppol(&self) -> Result<&Ctx> {
        match &self.peppol {
            Some(peppol) => Ok(peppol),
            None => skip("the endpoint's file names no other one in a network like Peppol (peppol)"),
        }
    }

    /// Where the endpoint looks participants up.
    pub fn discovery(&self) -> Result<&Discovery> {
        match (&self.endpoint.discovery, &self.registry) {
            (Some(discovery), Some(_)) => Ok(discovery),
            _ => skip("the endpoint's file has no [discovery], an SML and SMP of the suite"),
        }
    }

    /// The receiver, where the endpoint can reach one.
    pub fn receiver(&self) -> Result<&Receiver> {
        match &self.receiver {
            Some(receiver) => Ok(receiver),
            None => skip("the endpoint's file gives no address for the suite to listen on (suite.listen)"),
        }
    }

    /// A message under an agreement, with one part of octets that nobody canonicalises.
    pub fn message(&self, pmode: &str) -> Result<Message> {
        let agreed = self.pmode(pmode)?;
        let id = uuid::Uuid::new_v4();
        Ok(Message {
            id: format!("{id}@suite.example"),
            from: agreed.party_id.as_ref().unwrap_or(&self.endpoint.suite.party_id).clone(),
            to: self.endpoint.party_id.clone(),
            service: (agreed.service_type.clone(), agreed.service.clone()),
            action: agreed.action.clone(),
            sender: self.endpoint.suite.original_sender.clone(),
            recipient: self.endpoint.suite.final_recipient.clone(),
            properties: Vec::new(),
            parts: vec![Part::new(&format!("{id}-1@suite.example"), format!("plain octets {id}").as_bytes())],
        })
    }

    /// A message that breaks no rule, in pieces.
    pub fn forge(&self, pmode: &str) -> Result<Forge<'_>> {
        self.forge_of(pmode, &self.message(pmode)?)
    }

    /// A message in pieces, under the rules of an agreement.
    pub fn forge_of(&self, pmode: &str, message: &Message) -> Result<Forge<'_>> {
        let agreed = self.pmode(pmode)?;
        let keys = self.keys(pmode)?;
        let recipient = agreed.encrypt.then(|| keys.certificate.clone());
        let mut forge = Forge::new(message, &keys.sign, recipient, keys.signer.clone());
        let wanted = match self.endpoint.party_type.as_str() {
            "" => String::new(),
            kind => format!(" type=\"{kind}\""),
        };
        forge.messaging = forge.messaging.replace(&format!(" type=\"{PARTY_TYPE}\""), &wanted);
        if let Some(kind) = &agreed.party_type {
            let from = |kind: &str| format!("<eb:From><eb:PartyId type=\"{kind}\"");
            forge = forge.header(&from(&self.endpoint.party_type), &from(kind));
        }
        if let Some(agreement) = &agreed.agreement_ref {
            let with = format!("<eb:CollaborationInfo><eb:AgreementRef>{agreement}</eb:AgreementRef>");
            forge = forge.header("<eb:CollaborationInfo>", &with);
        }
        Ok(forge)
    }

    /// Sends a request to the endpoint.
    pub async fn send(&self, request: &Request) -> Result<Reply> {
        let request = match request.path == "/as4" {
            true => Request { path: self.endpoint.path.clone(), ..request.clone() },
            false => request.clone(),
        };
        match self.endpoint.plain {
            true => wire::send_plain(self.endpoint.address, &request).await,
            false => wire::send(self.endpoint.address, &request).await,
        }
    }

    /// Sends a message that must be receipted: synchronously, signed by the endpoint, about this message, with the very
    /// references of its signature.
    pub async fn receipted(&self, forge: &Forge<'_>) -> Result<Reply> {
        let request = forge.request()?;
        self.receipt_by(&forge.answers, &forge.id, &request).await
    }

    /// The same for a request that was made otherwise.
    pub async fn receipt_of(&self, id: &str, request: &Request) -> Result<Reply> {
        self.receipt_by(&self.certificate, id, request).await
    }

    async fn receipt_by(&self, signer: &X509, id: &str, request: &Request) -> Result<Reply> {
        let reply = self.send(request).await?;
        ensure!((200..300).contains(&reply.status), "HTTP {}: {}", reply.status, reply.body);
        ensure!(reply.codes().is_empty(), "refused: {}", short(&reply));
        let opened = reply_opened(&reply)?;
        let about = opened.envelope.first("SignalMessage")?.first("RefToMessageId")?.text();
        ensure!(about == id, "the receipt is about {about}");
        opened.envelope.first("Receipt")?;
        opened.verify(signer, &[]).context("the receipt's signature")?;
        let sent = sent_references(request)?;
        let mut said: Vec<String> = opened
            .envelope
            .first("NonRepudiationInformation")?
            .all("Reference")
            .into_iter()
            .map(|r| r.first("DigestValue").map(|d| format!("{:?} {}", r.attribute("URI"), d.text())))
            .collect::<Result<_>>()?;
        said.sort();
        ensure!(said == sent, "NonRepudiationInformation says {said:?}, sent was {sent:?}");
        Ok(reply)
    }

    /// Sends a message that must be receipted and delivered, once; gives the delivery, where a backend can see it.
    pub async fn delivered(&self, forge: &Forge<'_>) -> Result<Option<Value>> {
        self.receipted(forge).await?;
        match self.desk.sees() {
            true => self.desk.delivered(&forge.id).await.map(Some),
            false => Ok(None),
        }
    }

    /// Sends a message that must be delivered with exactly these payloads, in this order.
    pub async fn delivers(&self, forge: &Forge<'_>, payloads: &[&[u8]]) -> Result<Value> {
        let delivery = self.delivered(forge).await?;
        let Some(delivery) = delivery else { return skip("there is no backend at which a delivery is seen") };
        let parts = delivery["parts"].as_array().context("no parts")?;
        ensure!(parts.len() == payloads.len(), "{} parts were delivered: {delivery}", parts.len());
        for (index, (part, wanted)) in parts.iter().zip(payloads).enumerate() {
            let digest = crate::peers::job::sha256(wanted);
            ensure!(part["sha256"] == digest.as_str(), "part {index} is not what was sent: {part}");
        }
        Ok(delivery)
    }

    /// Sends a request that must be refused with an error of one of these codes, and not be delivered. `4xx` among the
    /// codes allows an HTTP status in the place of an error.
    pub async fn refused(&self, id: &str, request: &Request, codes: &[&str]) -> Result<Reply> {
        let reply = self.send(request).await?;
        for word in STACK {
            ensure!(!reply.body.contains(word), "the answer shows its inside: {}", reply.body);
        }
        ensure!(!reply.body.contains(":Receipt>"), "a receipt came");
        match reply.codes().first() {
            Some(code) => {
                ensure!(codes.contains(code), "{code} instead of {codes:?}: {}", short(&reply));
                ensure!(reply.body.contains("severity=\"failure\""), "not a failure: {}", reply.body);
            }
            None => {
                let turned = (400..500).contains(&reply.status) && codes.contains(&"4xx");
                ensure!(turned, "HTTP {} without an error: {}", reply.status, reply.body);
            }
        }
        self.undelivered(id).await?;
        Ok(reply)
    }

    /// The same for a message in pieces.
    pub async fn refuses(&self, forge: &Forge<'_>, codes: &[&str]) -> Result<Reply> {
        self.refused(&forge.id, &forge.request()?, codes).await
    }

    /// No delivery of a message, where a backend would show it.
    pub async fn undelivered(&self, id: &str) -> Result<()> {
        if !self.desk.sees() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        ensure!(self.desk.deliveries(id).await?.is_empty(), "it was delivered");
        Ok(())
    }

    /// Makes the endpoint send parts under an agreement; the suite answers by `script`, or with the right receipt.
    pub async fn submit(
        &self,
        pmode: &str,
        parts: Vec<http::Part>,
        script: Option<Script>,
        fields: Value,
    ) -> Result<Sent> {
        let script = match script {
            Some(script) => script,
            None => receipt(&self.keys(pmode)?.sign),
        };
        self.submit_to(self.receiver()?, pmode, parts, script, fields).await
    }

    /// The same towards one of the suite's receivers.
    pub async fn submit_to(
        &self,
        receiver: &Receiver,
        pmode: &str,
        parts: Vec<http::Part>,
        script: Script,
        fields: Value,
    ) -> Result<Sent> {
        let agreed = self.pmode(pmode)?;
        let key = expected(receiver, script);
        let process = match agreed.service_type.as_str() {
            "" => agreed.service.clone(),
            kind => format!("{kind}::{}", agreed.service),
        };
        let mut all = json!({
            "original_sender": self.endpoint.suite.final_recipient,
            "recipients": [{ "participant": format!("tilts-suite::{key}") }],
            "process": process,
            "document_type": agreed.action,
        });
        if let Some(partner) = &agreed.party_id {
            all["domain"] = json!(partner);
        }
        self.hand_in(key, all, fields, parts).await
    }

    /// Makes the endpoint look a participant up and send parts to it; the suite answers by `script`.
    pub async fn submit_found(
        &self,
        name: &str,
        parts: Vec<http::Part>,
        script: Script,
        fields: Value,
    ) -> Result<Sent> {
        let discovery = self.discovery()?;
        let key = expected(self.receiver()?, script);
        let all = json!({
            "domain": discovery.domain,
            "original_sender": self.endpoint.suite.original_sender,
            "recipients": [{ "participant": registry::participant(name) }],
            "process": discovery.process,
            "document_type": discovery.document_type,
            "conversation_id": key,
        });
        self.hand_in(key, all, fields, parts).await
    }

    async fn hand_in(
        &self,
        key: String,
        mut all: Value,
        fields: Value,
        parts: Vec<http::Part>,
    ) -> Result<Sent> {
        if let (Some(all), Some(fields)) = (all.as_object_mut(), fields.as_object()) {
            all.extend(fields.clone());
        }
        let id = self.desk.submit(Submission { fields: all, parts }).await?;
        Ok(Sent { id, key })
    }

    /// The first message that came for a submission.
    pub async fn captured(&self, sent: &Sent) -> Result<Capture> {
        let mut all = self.receiver()?.wait(&sent.key, 1, Duration::from_secs(15)).await?;
        Ok(all.swap_remove(0))
    }

    /// Submits, captures, decrypts and verifies: the usual message of an endpoint.
    pub async fn sends(&self, pmode: &str, parts: Vec<http::Part>) -> Result<(Opened, Vec<Payload>)> {
        let sent = self.submit(pmode, parts, None, json!({})).await?;
        self.opened(pmode, &self.captured(&sent).await?)
    }

    /// Decrypts and verifies a capture by the keys of an agreement.
    pub fn opened(&self, pmode: &str, capture: &Capture) -> Result<(Opened, Vec<Payload>)> {
        let (opened, keys) = (capture.open()?, self.keys(pmode)?);
        let payloads = opened.payloads(&keys.decrypt)?;
        opened.verify(&keys.signer, &payloads)?;
        Ok((opened, payloads))
    }

    /// Asks `tilts inspect` for a second opinion on a capture, under the rules of eDelivery AS4 1.15.
    pub async fn inspected(&self, capture: &Capture) -> Result<()> {
        let file = self.folder.join(format!("{}.mime", uuid::Uuid::new_v4()));
        std::fs::write(&file, &capture.body)?;
        let path = |path: &std::path::Path| self.endpoint.path_of(path);
        let mut command = tokio::process::Command::new(&self.tilts);
        command.arg("inspect").arg(&file).args(["--json", "--profile", "edelivery-1.15"]);
        command.args(["--content-type", capture.header("content-type")]);
        command.arg("--keystore").arg(path(&self.endpoint.suite.key));
        command.arg("--keystore").arg(path(&self.endpoint.suite.certificate));
        command.arg("--trust").arg(path(&self.endpoint.certificate));
        let output = command.output().await?;
        let said: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        ensure!(said["verdict"] == "accepted", "tilts inspect says {}", said["errors"]);
        Ok(())
    }

    /// Waits until the backend knows that a message was receipted.
    pub async fn settled(&self, sent: &Sent) -> Result<Value> {
        self.desk.until(&sent.id, Duration::from_secs(20), receipted).await
    }
}

/// Opens a lane of a receiver; gives the word by which its messages are told.
fn expected(receiver: &Receiver, script: Script) -> String {
    let key = format!("suite-{}", uuid::Uuid::new_v4().simple());
    receiver.expect(&key, script);
    key
}

/// Whether a status says that the receipt is verified.
pub fn receipted(status: &Value) -> bool {
    ["at-remote-gateway", "available", "delivered"].iter().any(|state| status["state"] == *state)
}

/// An answer taken apart.
pub fn reply_opened(reply: &Reply) -> Result<Opened> {
    let headers = vec![("content-type".into(), reply.header("content-type").unwrap_or_default().to_owned())];
    let body = reply.body.clone().into_bytes();
    Capture { headers, body }.open()
}

fn short(reply: &Reply) -> String {
    let from = reply.body.find(":Error ").unwrap_or_default();
    reply.body.chars().skip(from).take(400).collect()
}

fn sent_references(request: &Request) -> Result<Vec<String>> {
    let text = String::from_utf8_lossy(&request.body).into_owned();
    let mut all = Vec::new();
    for reference in text.split("<ds:Reference URI=\"").skip(1) {
        let uri = reference.split('"').next().unwrap_or_default();
        let digest = reference.split("<ds:DigestValue>").nth(1).and_then(|d| d.split('<').next());
        all.push(format!("{:?} {}", Some(uri), digest.context("no digest")?));
    }
    all.sort();
    Ok(all)
}

/// A part to hand in.
pub fn part(id: &str, content_type: &str, body: impl Into<Vec<u8>>) -> http::Part {
    http::Part::new(id, content_type, body)
}

/// An XML document that shrinks.
pub fn xml(word: &str) -> Vec<u8> {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<letter xmlns=\"urn:suite\">{}</letter>\n",
        word.repeat(60)
    )
    .into_bytes()
}
