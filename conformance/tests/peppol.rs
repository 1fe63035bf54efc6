//! Peppol AS4 with SBDH: two nodes in a network of our own, and every message that must not be taken (as4-conformance E).

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use conformance::as4::{Message, Part, Request, Sealed, body, of_element, of_part, security};
use conformance::ca::{Authority, Identity, Purpose, Validity};
use conformance::http;
use conformance::node::{free, tilts_binary};
use conformance::peppol::{self, AGREEMENT, AP_TYPE, DOCUMENT_TYPE, SBDH, UBL, invoice};
use conformance::probe::{Probe, RECIPIENT, SENDER, clear_parts, message};
use conformance::world::{AccessPoint, PARTY_TYPE, PROCESS_PEPPOL, TRANSPORT_PEPPOL, World, party_id};
use hyper::Method;
use serde_json::{Value, json};

/// Another participant, behind the same access point as [`RECIPIENT`].
const SECOND: &str = "iso6523-actorid-upis::0191:10000002";
/// Hands in XML documents for [`RECIPIENT`].
async fn submit(from: &AccessPoint, description: Value, parts: &[&[u8]]) -> Result<http::Answer> {
    peppol::submit(from.node.ports.backend, "all", [SENDER, RECIPIENT], description, parts).await
}

/// Waits until the receipt was verified; gives what the operator reads of the submission.
async fn receipted(from: &AccessPoint, to: &AccessPoint, answer: http::Answer) -> Result<Value> {
    let answer = answer.json()?;
    ensure!(answer["created"] == true, "{answer}");
    let path = format!("/api/submissions/{}", answer["id"].as_str().context("no id")?);
    let until = Instant::now() + Duration::from_secs(40);
    let mut detail = Value::Null;
    while Instant::now() < until {
        detail = http::get(from.node.ports.admin, &path).await?;
        let record = detail["submission"]["recipients"][0]["record"].to_string();
        if record.contains("at-remote-gateway") {
            return Ok(detail);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let logs = [from, to].map(|point| fs::read_to_string(point.node.log()).unwrap_or_default());
    bail!("no receipt: {detail}\n{}", logs.join("\n----\n"))
}

/// Takes the first message that is there as the backend does; gives its description and the octets of its only part.
async fn take(at: &AccessPoint) -> Result<(Value, Vec<u8>)> {
    let backend = at.node.ports.backend;
    let listed = http::get(backend, "/v1/messages?backend=all").await?;
    let messages = listed["messages"].as_array().context("no messages")?;
    let first = messages.first().with_context(|| format!("no message: {listed}"))?;
    let id = first["id"].as_str().context("no id")?;
    let part = http::request(backend, Method::GET, &format!("/v1/messages/{id}/parts/0"), "", "").await?;
    http::post(backend, &format!("/v1/messages/{id}/acknowledge"), &json!({ "outcome": "accepted" })).await?;
    Ok((first.clone(), part.body.to_vec()))
}

#[tokio::test(flavor = "multi_thread")]
async fn invoices_cross_with_and_without_an_envelope_of_their_own() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let world = World::new(&folder.path().join("world"), &tilts_binary()?)?;
    let resolver = free()?;
    let point = |name: &str| -> Result<AccessPoint> {
        let backend = "\n[[backend]]\nid = \"all\"\nadapter = \"rest\"\n";
        let mut point = world.access_point(name, 2048, resolver, backend)?;
        peppol::configure(&world.root.join(name).join("tilts.toml"))?;
        point.transport = TRANSPORT_PEPPOL;
        Ok(point)
    };
    let (mut a, mut b) = (point("a")?, point("b")?);
    let entries = [(RECIPIENT, &b, DOCUMENT_TYPE), (SECOND, &b, DOCUMENT_TYPE)];
    let _registry = world.registry(&entries, resolver).await?;
    a.node.start().await?;
    b.node.start().await?;

    let bare = invoice();
    let description =
        json!({ "client_id": "bare", "sbdh": { "country_c1": "LV", "mls_type": "FAILURE_ONLY" } });
    let detail = receipted(&a, &b, submit(&a, description.clone(), &[bare.as_bytes()]).await?).await?;
    let attempts = detail["recipients"][0]["messages"][0]["attempts"].as_array().map(Vec::len);
    ensure!(attempts == Some(1), "{attempts:?} attempts: {detail}");
    let (told, octets) = take(&b).await?;
    let text = String::from_utf8(octets.clone())?;
    ensure!(text.contains(&bare[bare.find("<u:").context("no root")?..]), "the invoice was changed: {text}");
    for word in ["COUNTRY_C1", ">LV<", "FAILURE_ONLY", ">0191:10000001<", ">0218:90000000001<", ">2.1<"] {
        ensure!(text.contains(word), "no {word} in {text}");
    }
    ensure!(!told.to_string().contains("invoice.xml"), "a file name travelled: {told}");
    ensure!(told["action"] == DOCUMENT_TYPE, "{told}");

    // The same again is known, although its envelope would have another time and another name.
    let again = submit(&a, description, &[bare.as_bytes()]).await?.json()?;
    ensure!(again["created"] == false, "{again}");

    let ready = json!({ "client_id": "ready", "document_type": null, "process": null });
    receipted(&a, &b, submit(&a, ready, &[&octets]).await?).await?;
    let (_, same) = take(&b).await?;
    ensure!(same == octets, "a ready envelope was changed");

    two_recipients(&a, &b).await?;
    refused_at_submission(&a, &bare, &text).await
}

/// One large document for two participants: each gets an envelope of its own around the same octets.
async fn two_recipients(a: &AccessPoint, b: &AccessPoint) -> Result<()> {
    let lines: String =
        (0..400_000).map(|n: u64| format!("<l>{:x}</l>", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let large = format!("<Invoice xmlns=\"{UBL}\">{lines}</Invoice>");
    let recipients = json!([{ "participant": RECIPIENT }, { "participant": SECOND }]);
    let description = json!({ "client_id": "two", "sbdh": { "country_c1": "LV" }, "recipients": recipients });
    receipted(a, b, submit(a, description, &[large.as_bytes()]).await?).await?;
    let mut seen = Vec::new();
    let until = Instant::now() + Duration::from_secs(40);
    while seen.len() < 2 {
        ensure!(Instant::now() < until, "{} of two messages came", seen.len());
        let listed = http::get(b.node.ports.backend, "/v1/messages?backend=all").await?;
        if listed["messages"].as_array().is_some_and(|all| !all.is_empty()) {
            let (told, octets) = take(b).await?;
            let text = String::from_utf8(octets)?;
            ensure!(text.contains(&large), "the document was changed");
            let instance = text.split("<sbdh:InstanceIdentifier>").nth(1).context("no instance")?;
            let instance = instance.split('<').next().unwrap_or_default().to_owned();
            let recipient = told["final_recipient"].as_str().unwrap_or_default().to_owned();
            ensure!(
                text.contains(recipient.split_once("::").context("no scheme")?.1),
                "{recipient} is not named"
            );
            seen.push((recipient, instance));
        } else {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    seen.sort();
    ensure!(seen[0].0 == RECIPIENT && seen[1].0 == SECOND, "{seen:?}");
    ensure!(seen[0].1 != seen[1].1, "one name for two envelopes: {seen:?}");
    Ok(())
}

async fn refused_at_submission(a: &AccessPoint, bare: &str, ready: &str) -> Result<()> {
    let country = json!({ "country_c1": "LV" });
    let other = ready.replace("0191:10000001", "0191:10000002");
    let no_country = ready.replace("COUNTRY_C1", "COUNTRY");
    let cases: [(&str, Value, Vec<&[u8]>, &str); 10] = [
        ("no country", json!({}), vec![bare.as_bytes()], "country_c1"),
        (
            "a country in small letters",
            json!({ "sbdh": { "country_c1": "lv" } }),
            vec![bare.as_bytes()],
            "COUNTRY_C1",
        ),
        ("two documents", json!({ "sbdh": country }), vec![bare.as_bytes(), bare.as_bytes()], "parts"),
        ("no document", json!({ "sbdh": country }), vec![], "parts"),
        (
            "an answer",
            json!({ "sbdh": country, "ref_to_message_id": "1@x" }),
            vec![bare.as_bytes()],
            "ref_to",
        ),
        ("another document", json!({ "sbdh": country }), vec![b"<Order/>"], "document_type"),
        ("no XML", json!({ "sbdh": country }), vec![b"%PDF-1.7"], "XML"),
        (
            "an envelope for an envelope",
            json!({ "sbdh": country }),
            vec![ready.as_bytes()],
            "envelope of its own",
        ),
        ("an envelope to somebody else", json!({}), vec![other.as_bytes()], "finalRecipient"),
        ("an envelope without its country", json!({}), vec![no_country.as_bytes()], "COUNTRY_C1"),
    ];
    for (case, mut description, parts, word) in cases {
        description["client_id"] = case.into();
        let answer = submit(a, description, &parts).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        ensure!(answer.status == 400, "{case}: HTTP {}: {text}", answer.status);
        ensure!(text.contains(word), "{case}: the answer does not say {word:?}: {text}");
    }
    Ok(())
}

/// An envelope that [`like_peppol`] fits.
fn enveloped() -> String {
    peppol::enveloped(SENDER, RECIPIENT)
}

/// A message around that payload.
fn like_peppol(payload: &str) -> Message {
    let (scheme, process) = PROCESS_PEPPOL.split_once("::").unwrap_or_default();
    let cid = format!("{}@suite", uuid::Uuid::new_v4());
    Message {
        service: (scheme.into(), process.into()),
        action: DOCUMENT_TYPE.into(),
        parts: vec![Part::new(&cid, payload.as_bytes())],
        ..message(&party_id("peer"), &party_id("node"))
    }
}

/// Signs the message with the network's PartyId type and agreement, after `bend` has changed the header.
fn sealed(message: &Message, signer: &Identity, bend: impl Fn(String) -> String) -> Result<Request> {
    let named = format!("<eb:CollaborationInfo><eb:AgreementRef>{AGREEMENT}</eb:AgreementRef>");
    let header = message.messaging("messaging").replace(PARTY_TYPE, AP_TYPE);
    let (messaging, body) = (bend(header.replacen("<eb:CollaborationInfo>", &named, 1)), body("body"));
    let mut references = vec![of_element("messaging", &messaging), of_element("body", &body)];
    references.extend(message.parts.iter().map(of_part));
    let security = security(signer, &references)?;
    Ok(Sealed { id: message.id.clone(), messaging, body, security, parts: message.parts.clone() }.request())
}

/// A node that serves the scheme 0191 and takes parts that are not encrypted.
async fn node() -> Result<Probe> {
    Probe::with(|config| {
        peppol::configure(config)?;
        clear_parts(config)?;
        let serves = "adapter = \"rest\"\nserves = { participants = [\"iso6523-actorid-upis::0191:*\"] }\n";
        let text = fs::read_to_string(config)?.replacen("adapter = \"rest\"\n", serves, 1);
        Ok(fs::write(config, text)?)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_envelope_that_says_what_the_header_says_is_taken() -> Result<()> {
    let probe = node().await?;
    let good = enveloped();
    let (head, _) = good.split_once("<u:Invoice").context("no invoice")?;
    let (_, behind) = good.split_once("</StandardBusinessDocumentHeader>").context("no header")?;
    let root = format!("<StandardBusinessDocument xmlns=\"{SBDH}\">");
    let without = |text: &str| good.replacen(text, "", 1);
    let cases = [
        (
            "PEP-N1: an SBDH without payload",
            format!("{head}</StandardBusinessDocument>"),
            "no business document",
        ),
        (
            "PEP-N2: neither",
            format!("{root}</StandardBusinessDocument>"),
            "no StandardBusinessDocumentHeader",
        ),
        ("PEP-N3: no SBDH", format!("{root}{behind}"), "no StandardBusinessDocumentHeader"),
        ("PEP-08: the bare document", invoice(), "no StandardBusinessDocument"),
        (
            "PEP-08: the header alone",
            head[root.len()..].replacen('>', &format!(" xmlns=\"{SBDH}\">"), 1),
            "no StandardBusinessDocument",
        ),
        ("PEP-N4: an XML syntax error", good.replacen("</Sender>", "</Sendr>", 1), "not well-formed"),
        ("PEP-N5: no HeaderVersion", without("<HeaderVersion>1.0</HeaderVersion>"), "HeaderVersion"),
        (
            "PEP-N5: no instance",
            without("<InstanceIdentifier>i-1</InstanceIdentifier>"),
            "InstanceIdentifier",
        ),
        ("PEP-N5: no country", good.replacen("COUNTRY_C1", "COUNTRY", 1), "COUNTRY_C1"),
        ("a DOCTYPE", format!("<!DOCTYPE x>{good}"), "DOCTYPE"),
        ("no XML", "%PDF-1.7".into(), "XML"),
        ("nothing", String::new(), "XML"),
        ("another sender", good.replacen("0218:90000000001", "0218:90000000002", 1), "originalSender"),
        ("another receiver", good.replacen("0191:10000001", "0191:10000002", 1), "finalRecipient"),
        ("another process", good.replacen("billing:01:1.0<", "billing:02:1.0<", 1), "process"),
        ("another document type", good.replacen("billing:3.0::", "billing:4.0::", 1), "document type"),
        ("a header of a megabyte", good.replacen(">i-1<", &format!(">{}<", "i".repeat(1 << 20)), 1), "SBDH"),
    ];
    for (case, payload, word) in cases {
        let request = sealed(&like_peppol(&payload), &probe.sender, |header| header)?;
        let reply = probe.refused(case, &request, "EBMS:0004", word).await?;
        ensure!(reply.is_signed(), "{case}: the error is not signed");
        ensure!(!reply.body.contains("NOT_SERVICED"), "{case}: {}", reply.body);
    }
    let none = Message { parts: Vec::new(), ..like_peppol("") };
    let none = sealed(&none, &probe.sender, |header| header)?;
    probe.refused("PEP-N2: no part", &none, "EBMS:0004", "no payload part").await?;
    let mut two = like_peppol(&good);
    two.parts.push(Part::new("second@suite", b"more"));
    let two = sealed(&two, &probe.sender, |header| header)?;
    probe.refused("PEP-08: two parts", &two, "EBMS:0003", "2 parts").await?;
    taken(&probe, &good).await
}

/// The control: what is not bent is taken.
async fn taken(probe: &Probe, payload: &str) -> Result<()> {
    let reply = probe.send(&sealed(&like_peppol(payload), &probe.sender, |header| header)?).await?;
    ensure!(reply.is_receipt(), "the good message was not taken: {}", reply.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_keeps_the_rules_of_the_network() -> Result<()> {
    let probe = node().await?;
    let good = enveloped();
    let agreement = format!("<eb:AgreementRef>{AGREEMENT}</eb:AgreementRef>");
    let typed = format!("<eb:AgreementRef type=\"urn:t\">{AGREEMENT}</eb:AgreementRef>");
    let answer = "</eb:MessageId><eb:RefToMessageId>0@x</eb:RefToMessageId>";
    let cases: [(&str, &str, &str, &str); 5] = [
        ("PEP-01: no agreement", &agreement, "", "AgreementRef"),
        ("PEP-01: another agreement", AGREEMENT, "urn:other", "AgreementRef"),
        ("PEP-01: an agreement with a type", &agreement, &typed, "AgreementRef"),
        ("PEP-12: an answer", "</eb:MessageId>", answer, "RefToMessageId"),
        ("PEP-02: another type of party", AP_TYPE, "urn:other", "agreement"),
    ];
    for (case, from, to, word) in cases {
        let request = sealed(&like_peppol(&good), &probe.sender, |header| header.replacen(from, to, 1))?;
        probe.refused(case, &request, "EBMS:0010", word).await?;
    }
    let issue = |ca: &Authority, name: &str, valid| ca.issue_for(name, 2048, Purpose::Message, valid);
    let (ca, now) = (&probe.world.ap_ca, Validity::default());
    let signers = [
        ("PEP-02: another party's certificate", issue(ca, "AP-OTHER", now)?, "AP-OTHER"),
        ("PEP-N6: expired", issue(ca, &party_id("peer"), Validity { from: -30, to: -1 })?, "expired"),
        (
            "PEP-N8: not of the network",
            issue(&Authority::new("strangers")?, &party_id("peer"), now)?,
            "untrusted",
        ),
        ("PEP-N9: of an SMP", issue(&probe.world.smp_ca, &party_id("peer"), now)?, "untrusted"),
    ];
    for (case, signer, word) in signers {
        let request = sealed(&like_peppol(&good), &signer, |header| header)?;
        probe.refused(case, &request, "EBMS:0101", word).await?;
    }
    let elsewhere = Message {
        recipient: "iso6523-actorid-upis::0088:1".into(),
        ..like_peppol(&good.replace("0191:10000001", "0088:1"))
    };
    let request = sealed(&elsewhere, &probe.sender, |header| header)?;
    let reply = probe.refused("PEP-11: not served", &request, "EBMS:0004", "0088:1").await?;
    ensure!(reply.body.contains("PEPPOL:NOT_SERVICED"), "{}", reply.body);
    ensure!(reply.body.contains("severity=\"failure\""), "{}", reply.body);
    taken(&probe, &good).await
}
