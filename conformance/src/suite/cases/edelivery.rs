//! C: eDelivery AS4 1.15 beyond the assertions of the European Commission; E and F where the same outside shows them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::super::context::{Ctx, part, xml};
use super::super::forge::Form;
use super::super::receiver::{Answer, Script, receipt};
use super::super::signal::{self, envelope_of};
use super::super::verdict::skip;
use super::{Case, case};
use crate::as4::{self, EB, Request};
use crate::http;

/// The cases of this file.
pub fn cases() -> Vec<Case> {
    vec![
        case("E115-01", bom),
        case("E115-02", agreement_ref),
        case("E115-03", every_field_chooses),
        case("E115-04", ids_delivered),
        case("E115-05", content_ids),
        case("E115-06", body_payload),
        case("E115-07", back_channel),
        case("E115-08", oaep),
        case("E115-09", tokens_in),
        case("E115-10", tokens_out),
        case("E115-11", username),
        case("E115-12", compression_type),
        case("E115-14", delivery_failure),
        case("E115-15", test_service),
        case("E115-19", second_leg),
        case("SEC-30", forged_signals),
        case("SEC-31", third_party_receipt),
    ]
}

fn letter() -> Vec<http::Part> {
    vec![part("letter@suite", "application/xml", xml("letter"))]
}

async fn bom(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("oneway")?.enveloped("<?xml ", "\u{feff}<?xml ");
    ctx.receipted(&forge).await.map(drop)
}

/// Service and Action are the same: only AgreementRef says whether parts are encrypted.
async fn agreement_ref(ctx: Ctx) -> Result<()> {
    let (one, two) = (ctx.pmode("agreement-1")?, ctx.pmode("agreement-2")?);
    ensure!(
        one.service == two.service && one.action == two.action && one.encrypt != two.encrypt,
        "the file's P-Modes"
    );
    ctx.receipted(&ctx.forge("agreement-1")?).await.context("the first")?;
    ctx.receipted(&ctx.forge("agreement-2")?).await.context("the second")?;
    let clear = ctx.forge("agreement-1")?;
    let second = two.agreement_ref.as_deref().context("no AgreementRef")?;
    let crossed = clear.header(one.agreement_ref.as_deref().unwrap_or_default(), second);
    ctx.refuses(&crossed, &["EBMS:0103"]).await.context("in the clear under the second").map(drop)
}

async fn every_field_chooses(ctx: Ctx) -> Result<()> {
    let (kind, agreed) = (&ctx.endpoint.party_type, ctx.pmode("oneway")?);
    let mut changes = vec![
        (format!(">{}</eb:PartyId>", ctx.endpoint.suite.party_id), ">UNHEARD-OF</eb:PartyId>".to_owned()),
        (format!(">{}</eb:PartyId>", ctx.endpoint.party_id), ">UNHEARD-OF</eb:PartyId>".to_owned()),
        (format!(">{}</eb:Service>", agreed.service), ">unheard-of</eb:Service>".to_owned()),
        (format!(">{}</eb:Action>", agreed.action), ">unheard-of</eb:Action>".to_owned()),
        (format!(">{EB}initiator<"), ">urn:suite:unheard-of-role<".to_owned()),
        (format!(">{EB}responder<"), ">urn:suite:unheard-of-role<".to_owned()),
    ];
    for (of, value) in [("From", &ctx.endpoint.suite.party_id), ("To", &ctx.endpoint.party_id)] {
        let element = format!("<eb:{of}><eb:PartyId type=\"{kind}\">{value}");
        changes.push((element.clone(), element.replace(kind, "urn:suite:unheard-of-type")));
    }
    if !agreed.service_type.is_empty() {
        changes.push((format!("type=\"{}\">", agreed.service_type), "type=\"unheard-of\">".into()));
    }
    for (from, to) in changes {
        let forge = ctx.forge("oneway")?;
        ensure!(forge.messaging.contains(&from), "the header has no {from}");
        let changed = forge.header(&from, &to);
        ctx.refuses(&changed, &["EBMS:0001", "EBMS:0010"])
            .await
            .with_context(|| format!("{from} -> {to}"))?;
    }
    Ok(())
}

async fn ids_delivered(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("oneway")?;
    let info = format!("</eb:MessageId><eb:RefToMessageId>before-{}</eb:RefToMessageId>", forge.id);
    let forge = forge.header("</eb:MessageId>", &info);
    ctx.receipted(&forge).await?;
    let delivery = ctx.desk.delivered(&forge.id).await?;
    if delivery["conversation_id"].is_null() {
        return skip("this backend does not say it");
    }
    let about = format!("before-{}", forge.id);
    let said = [&delivery["message_id"], &delivery["conversation_id"], &delivery["ref_to_message_id"]];
    ensure!(said == [&json!(forge.id), &json!(forge.id), &json!(about)], "delivered with {said:?}");
    Ok(())
}

async fn content_ids(ctx: Ctx) -> Result<()> {
    let ids = ["first@producer.example", "second@producer.example"];
    let parts = ids.iter().map(|id| part(id, "application/octet-stream", id.repeat(20))).collect();
    let (_, payloads) = ctx.sends("oneway", parts).await?;
    let sent: Vec<_> = payloads.iter().map(|p| p.cid.as_str()).collect();
    ensure!(sent == ids, "Content-IDs on the wire are {sent:?}");
    let forge = ctx.forge("oneway")?;
    ctx.receipted(&forge).await?;
    let delivery = ctx.desk.delivered(&forge.id).await?;
    let said = &delivery["parts"][0]["content_id"];
    if said.is_null() {
        return skip("this backend does not say it");
    }
    ensure!(*said == forge.parts[0].cid.as_str(), "delivered as {said}");
    Ok(())
}

async fn body_payload(ctx: Ctx) -> Result<()> {
    let mut forge = ctx.forge("signonly")?;
    forge.body = as4::body_with("body", "<x:Letter xmlns:x=\"urn:suite\">in the Body</x:Letter>");
    let cid = format!("href=\"cid:{}\"", forge.parts[0].cid);
    let mut forge = forge.header(&cid, "href=\"#body\"");
    forge.parts.clear();
    ctx.refuses(&forge, &["EBMS:0003", "EBMS:0009", "EBMS:0010", "EBMS:0011", "EBMS:0103"]).await.map(drop)
}

async fn back_channel(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("signonly")?;
    let receiver = ctx.receiver()?;
    receiver.expect(&forge.id, receipt(&ctx.suite));
    ctx.refused(&forge.id, &forge.unsigned(), &["EBMS:0103"]).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    ensure!(
        receiver.captures(&forge.id).is_empty(),
        "a second connection brought something about the message"
    );
    Ok(())
}

async fn oaep(ctx: Ctx) -> Result<()> {
    // That the key opens by RSA-OAEP with SHA-256 and MGF1-SHA256 shows more than the names; they must be there too.
    let (opened, _) = ctx.sends("oneway", letter()).await?;
    let method = opened.envelope.first("EncryptedKey")?.first("EncryptionMethod")?;
    let algorithm = |e: &super::super::xml::Element| e.attribute("Algorithm").unwrap_or_default().to_owned();
    let said = [algorithm(method), algorithm(method.first("DigestMethod")?), algorithm(method.first("MGF")?)];
    let wanted = [
        crate::encryption::RSA_OAEP,
        "http://www.w3.org/2001/04/xmlenc#sha256",
        "http://www.w3.org/2009/xmlenc11#mgf1sha256",
    ];
    ensure!(said == wanted, "EncryptionMethod says {said:?}");
    Ok(())
}

async fn tokens_in(ctx: Ctx) -> Result<()> {
    for form in [Form::Token, Form::Ski, Form::IssuerSerial] {
        for which in ["signature", "encryption"] {
            let mut forge = ctx.forge("oneway")?;
            match which {
                "signature" => forge.forms.0 = form,
                _ => forge.forms.1 = form,
            }
            ctx.receipted(&forge).await.with_context(|| format!("{which} by {form:?}"))?;
        }
    }
    Ok(())
}

async fn tokens_out(ctx: Ctx) -> Result<()> {
    for (pmode, signing, encryption) in [
        ("oneway", "Reference", "KeyIdentifier"),
        ("tokens-ski", "KeyIdentifier", "Reference"),
        ("tokens-issuer", "X509Data", "X509Data"),
    ] {
        let (opened, _) = ctx.sends(pmode, letter()).await?;
        let form = |of: &str| -> Result<String> {
            let info = opened.envelope.first(of)?.first("SecurityTokenReference")?;
            Ok(info.children().next().map(|e| e.local().to_owned()).unwrap_or_default())
        };
        let said = (form("Signature")?, form("EncryptedKey")?);
        ensure!(said == (signing.to_owned(), encryption.to_owned()), "{pmode}: {said:?}");
    }
    Ok(())
}

async fn username(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("signonly")?;
    let token = "<wsse:UsernameToken><wsse:Username>suite</wsse:Username><wsse:Password>secret</wsse:Password></wsse:UsernameToken>";
    let security = as4::security_around(token);
    let envelope = as4::envelope(&[&forge.messaging, &security], &forge.body);
    let request = Request::multipart(&envelope, &forge.parts);
    ctx.refused(&forge.id, &request, &["EBMS:0101", "EBMS:0103"]).await.map(drop)
}

async fn compression_type(ctx: Ctx) -> Result<()> {
    let octets = super::super::capture::gzip(&b"compressed".repeat(20))?;
    let mut message = ctx.message("oneway")?;
    message.parts = vec![as4::Part::compressed(&message.parts[0].cid, octets)];
    let forge = ctx.forge_of("oneway", &message)?;
    ctx.receipted(&forge).await?;
    let delivery = ctx.desk.delivered(&forge.id).await?;
    ensure!(
        !delivery["parts"].to_string().contains("CompressionType"),
        "the consumer sees it: {}",
        delivery["parts"]
    );
    if !ctx.desk.submits() {
        return Ok(());
    }
    let fields = json!({ "parts": [{ "id": "letter@suite", "properties": { "CompressionType": "application/zip" } }] });
    match ctx.submit("oneway", letter(), None, fields).await {
        Err(error) => ensure!(
            error.to_string().contains("CompressionType") || error.to_string().contains("POST"),
            "{error:#}"
        ),
        Ok(sent) => {
            let (_, payloads) = ctx.opened("oneway", &ctx.captured(&sent).await?)?;
            let said = payloads[0].properties.get("CompressionType").map(String::as_str);
            ensure!(said.is_none_or(|s| s == "application/gzip"), "CompressionType is {said:?}");
        }
    }
    Ok(())
}

/// EBMS:0202 once tells the sender; its loss too, at the end of the retries.
async fn delivery_failure(ctx: Ctx) -> Result<()> {
    let never: Script = Arc::new(|_, _| Ok(Answer::Empty(202)));
    let sent = ctx.submit("retry", letter(), Some(never), json!({})).await?;
    let told = |status: &Value| status["evidence"].to_string().contains("EBMS:0301");
    ctx.desk.until(&sent.id, Duration::from_secs(45), told).await.map(drop)
}

async fn test_service(ctx: Ctx) -> Result<()> {
    let sent = ctx.submit("oneway", Vec::new(), None, json!({ "test": true })).await?;
    let opened = ctx.captured(&sent).await?.open()?;
    opened.verify(&ctx.certificate, &[]).context("the ping's signature")?;
    ctx.settled(&sent).await?;
    let message = super::common::test_message(&ctx, "oneway")?;
    let forge = ctx.forge_of("oneway", &message)?;
    ctx.receipted(&forge).await?;
    let mut unsigned = message.clone();
    unsigned.id = format!("2-{}", unsigned.id);
    let forge = ctx.forge_of("oneway", &unsigned)?;
    ctx.refused(&forge.id, &forge.unsigned(), &["EBMS:0103"]).await.map(drop)
}

async fn second_leg(ctx: Ctx) -> Result<()> {
    let request = ctx.forge("twoway")?;
    ctx.receipted(&request).await?;
    let delivery = ctx.desk.delivered(&request.id).await?;
    let fields = json!({
        "ref_to_message_id": delivery["message_id"], "conversation_id": delivery["conversation_id"],
        "original_sender": delivery["final_recipient"],
    });
    let sent = ctx.submit("twoway", letter(), None, fields).await?;
    let answer = ctx.captured(&sent).await?.open()?;
    let party = |of: &str| answer.user_message()?.first(of)?.first("PartyId").map(|e| e.text());
    let said = (party("From")?, party("To")?);
    ensure!(said == (ctx.endpoint.party_id.clone(), ctx.endpoint.suite.party_id.clone()), "parties {said:?}");
    let role = |of: &str| answer.user_message()?.first(of)?.first("Role").map(|e| e.text());
    let said = (role("From")?, role("To")?);
    ensure!(said == (format!("{EB}responder"), format!("{EB}initiator")), "roles {said:?}");
    let properties = answer.properties();
    let recipient = ctx.endpoint.suite.final_recipient.rsplit("::").next().unwrap_or_default();
    ensure!(properties.get("originalSender").is_some_and(|s| s.ends_with(recipient)), "{properties:?}");
    Ok(())
}

/// Signals that nobody signed settle nothing where TLS does not vouch for them either.
async fn forged_signals(ctx: Ctx) -> Result<()> {
    let (Some(plain), Some(settings)) = (&ctx.plain, &ctx.endpoint.suite.plain) else {
        return skip(
            "the endpoint's file has no [suite.plain]: over TLS an unsigned error is the endpoint's own word",
        );
    };
    let good = receipt(&ctx.suite);
    let script: Script = Arc::new(move |message, before| {
        let about = message.value("MessageId");
        match before {
            0 => {
                let forged = signal::error(&about, "EBMS:0004", "failure", "Other");
                Ok(Answer::Soap(200, envelope_of(&forged, None)?))
            }
            1 => Ok(Answer::Soap(
                200,
                envelope_of(&super::super::signal::Receipt::to(message)?.signal(), None)?,
            )),
            _ => good(message, before),
        }
    });
    let fields = json!({ "domain": settings.party_id });
    let sent = ctx.submit_to(plain, "retry", letter(), script, fields).await?;
    plain.wait(&sent.key, 3, Duration::from_secs(20)).await?;
    ctx.settled(&sent).await.map(drop)
}

async fn third_party_receipt(ctx: Ctx) -> Result<()> {
    let (good, other) = (receipt(&ctx.suite), ctx.identity("other")?.clone());
    let bad = receipt(&Arc::new(other));
    let script: Script = Arc::new(
        move |message, before| if before == 0 { bad(message, before) } else { good(message, before) },
    );
    let sent = ctx.submit("retry", letter(), Some(script), json!({})).await?;
    ctx.receiver()?.wait(&sent.key, 2, Duration::from_secs(20)).await?;
    let status = ctx.settled(&sent).await?;
    ensure!(status["messages"].to_string().contains("EBMS:0302"), "EBMS:0302 was not noted");
    Ok(())
}
