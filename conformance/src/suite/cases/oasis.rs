//! B: clauses of ebMS 3.0 and AS4 that no assertion of the European Commission covers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::super::context::{Ctx, part, receipted, reply_opened, xml};
use super::super::receiver::{Answer, Script, receipt};
use super::super::signal::{self, Receipt, envelope_of};
use super::super::verdict::skip;
use super::{Case, case};
use crate::as4::{self, EB, Part, Request, reference};
use crate::http;

const SOAP: &str = "application/soap+xml; charset=UTF-8";

/// The cases of this file.
pub fn cases() -> Vec<Case> {
    vec![
        case("OAS-01", oas01),
        case("OAS-02", oas02),
        case("OAS-03", oas03),
        case("OAS-04", oas04),
        case("OAS-05", oas05),
        case("OAS-06", oas06),
        case("OAS-07", oas07),
        case("OAS-08", oas08),
        case("OAS-09", oas09),
        case("OAS-10", oas10),
        case("OAS-11", oas11),
        case("OAS-13", oas13),
        case("OAS-14", oas14),
        case("OAS-15", oas15),
        case("OAS-16", oas16),
        case("OAS-17", oas17),
        case("OAS-18", oas18),
        case("OAS-19", oas19),
        case("OAS-20", oas20),
        case("OAS-21", oas21),
        case("OAS-23", oas23),
        case("OAS-24", oas24),
        Case { alone: true, ..case("OAS-25", oas25) },
        case("OAS-26", oas26),
        case("OAS-27", oas27),
        case("OAS-28", oas28),
        case("OAS-30", oas30),
        case("OAS-32", oas32),
    ]
}

fn letter() -> Vec<http::Part> {
    vec![part("letter@suite", "application/xml", xml("letter"))]
}

async fn oas01(ctx: Ctx) -> Result<()> {
    let mut message = ctx.message("oneway")?;
    message.parts.clear();
    let forge = ctx.forge_of("oneway", &message)?;
    let (envelope, _) = forge.pieces(&forge.references())?;
    ctx.receipt_of(&forge.id, &Request::post(SOAP, envelope)).await.map(drop)
}

async fn oas02(ctx: Ctx) -> Result<()> {
    let mut message = ctx.message("oneway")?;
    message.parts.clear();
    ctx.receipted(&ctx.forge_of("oneway", &message)?).await.map(drop)
}

async fn oas03(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("oneway")?;
    let mut request = forge.request()?;
    request.headers[0].1 = request.headers[0].1.replace("; start=\"<root@suite>\"", "");
    let id = b"Content-ID: <root@suite>\r\n";
    let at = request.body.windows(id.len()).position(|w| w == id).context("no Content-ID of the root")?;
    request.body.drain(at..at + id.len());
    ctx.receipt_of(&forge.id, &request).await.map(drop)
}

async fn oas04(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("oneway")?;
    let mut request = forge.request()?;
    request.headers[0].1 = request.headers[0].1.replace("type=\"application/soap+xml\"", "type=\"text/xml\"");
    ctx.refused(&forge.id, &request, &["EBMS:0007", "EBMS:0009", "4xx"]).await.map(drop)
}

async fn oas05(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("signonly")?;
    let (envelope, mut parts) = forge.pieces(&forge.references())?;
    parts.push(Part::new("stowaway@suite", b"nobody named me"));
    let request = Request::multipart(&envelope, &parts);
    let reply = ctx.send(&request).await?;
    if reply.is_receipt() {
        let delivery = ctx.desk.delivered(&forge.id).await?;
        ensure!(delivery["parts"].as_array().map(Vec::len) == Some(1), "it was delivered: {delivery}");
        return Ok(());
    }
    ctx.refused(&forge.id, &request, &["EBMS:0007", "EBMS:0009", "EBMS:0011", "EBMS:0101"]).await.map(drop)
}

async fn oas06(ctx: Ctx) -> Result<()> {
    ctx.receipted(&ctx.forge("oneway")?.header("00.000Z</eb:Timestamp>", "00.000</eb:Timestamp>"))
        .await
        .map(drop)
}

async fn oas07(ctx: Ctx) -> Result<()> {
    let from = format!(">{}</eb:PartyId>", ctx.endpoint.suite.party_id);
    let kind = format!(" type=\"{}\"{from}", ctx.endpoint.party_type);
    let forge = ctx.forge("oneway")?.header(&kind, ">abc</eb:PartyId>");
    ensure!(forge.messaging.contains("<eb:PartyId>abc<"), "the endpoint's parties have no type");
    ctx.refuses(&forge, &["EBMS:0003"]).await.map(drop)
}

async fn oas08(ctx: Ctx) -> Result<()> {
    let known =
        ctx.pmode("agreement-1")?.agreement_ref.clone().context("agreement-1 has no agreement_ref")?;
    let forge = ctx.forge("agreement-1")?.header(&known, "urn:suite:unknown:agreement");
    ctx.refuses(&forge, &["EBMS:0001", "EBMS:0010"]).await.map(drop)
}

async fn oas09(ctx: Ctx) -> Result<()> {
    let agreed = ctx.pmode("oneway")?;
    for value in [&agreed.service, &agreed.action] {
        let forge = ctx.forge("oneway")?.header(&format!(">{value}<"), ">unheard-of<");
        ctx.refuses(&forge, &["EBMS:0001", "EBMS:0010"]).await.with_context(|| value.clone())?;
    }
    Ok(())
}

async fn oas10(ctx: Ctx) -> Result<()> {
    let action = ctx.pmode("oneway")?.action.clone();
    let forge = ctx.forge("oneway")?.header(&format!(">{action}<"), &format!(">{EB}test<"));
    ctx.refuses(&forge, &["EBMS:0003"]).await.map(drop)
}

async fn oas11(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("signonly")?;
    let user = ctx.message("signonly")?.user_message();
    let forge = forge.header("</eb:Messaging>", &format!("{user}</eb:Messaging>"));
    ctx.refuses(&forge, &["EBMS:0003", "EBMS:0009"]).await.map(drop)
}

async fn oas13(ctx: Ctx) -> Result<()> {
    let mut forge = ctx.forge("signonly")?;
    forge.signed = Some(vec![b"other octets than travel".to_vec()]);
    let reply = ctx.refuses(&forge, &["EBMS:0101"]).await?;
    let opened = reply_opened(&reply)?;
    let about = opened.envelope.first("SignalMessage")?.first("RefToMessageId")?.text();
    let error = opened.envelope.first("Error")?;
    ensure!(about == forge.id, "RefToMessageId is {about}");
    let in_error = error.attribute("refToMessageInError");
    ensure!(in_error.is_none_or(|id| id == forge.id), "refToMessageInError is {in_error:?}");
    Ok(())
}

/// What the schema demands of an error: severity, errorCode, and a language with every Description.
async fn oas14(ctx: Ctx) -> Result<()> {
    let unsigned = ctx.forge("signonly")?;
    let stranger = ctx.forge("signonly")?.header(&ctx.endpoint.suite.party_id, "UNHEARD-OF");
    for (forge, request) in [(&unsigned, unsigned.unsigned()), (&stranger, stranger.request()?)] {
        let opened = reply_opened(&ctx.send(&request).await?)?;
        let error = opened.envelope.first("Error").with_context(|| forge.id.clone())?;
        ensure!(error.attribute("errorCode").is_some() && error.attribute("severity").is_some());
        for description in error.all("Description") {
            ensure!(description.attribute("lang").is_some_and(|l| !l.is_empty()), "no xml:lang");
        }
        let info = opened.envelope.first("MessageInfo")?;
        let names: Vec<_> = info.children().map(|e| e.local().to_owned()).collect();
        let order = ["Timestamp", "MessageId", "RefToMessageId"];
        ensure!(names.iter().map(String::as_str).eq(order.iter().copied().take(names.len())), "{names:?}");
    }
    Ok(())
}

fn errors(ctx: &Ctx, code: &'static str, severity: &'static str, with_receipt: bool) -> Script {
    let suite = ctx.suite.clone();
    Arc::new(move |message, _| {
        let mut signals = signal::error(&message.value("MessageId"), code, severity, "Suite");
        if with_receipt {
            signals += &Receipt::to(message)?.signal();
        }
        Ok(Answer::Soap(200, envelope_of(&signals, Some(&suite))?))
    })
}

async fn oas15(ctx: Ctx) -> Result<()> {
    let sent =
        ctx.submit("retry", letter(), Some(errors(&ctx, "EBMS:4999", "failure", false)), json!({})).await?;
    let told = |status: &Value| status["state"] == "failed" && status.to_string().contains("EBMS:4999");
    ctx.desk.until(&sent.id, Duration::from_secs(20), told).await.map(drop)
}

/// A warning and the receipt in one answer.
async fn oas16(ctx: Ctx) -> Result<()> {
    let warning = errors(&ctx, "EBMS:0006", "warning", true);
    let sent = ctx.submit("retry", letter(), Some(warning), json!({})).await?;
    ctx.settled(&sent).await.map(drop)
}

async fn oas17(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("signonly")?;
    let mut references = forge.references();
    let enveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
    references[0] = reference("#messaging", &[enveloped, as4::C14N], forge.messaging.as_bytes());
    ctx.refused(&forge.id, &forge.signed_over(&references)?, &["EBMS:0101", "EBMS:0103"]).await.map(drop)
}

async fn oas18(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("signonly")?;
    let complete = as4::ATTACHMENT.replace("Content", "Complete");
    let mut references = forge.references();
    let uri = format!("cid:{}", forge.parts[0].cid);
    references[2] = reference(&uri, &[&complete], &forge.parts[0].octets);
    ctx.refused(&forge.id, &forge.signed_over(&references)?, &["EBMS:0103"]).await.map(drop)
}

async fn oas19(ctx: Ctx) -> Result<()> {
    if ctx.desk.submits() {
        let sent = ctx.submit("oneway", letter(), None, json!({})).await?;
        ensure!(
            ctx.captured(&sent).await?.open()?.messaging()?.child("UserMessage").is_some(),
            "Messaging is encrypted"
        );
    }
    let forge = ctx.forge("oneway")?;
    let from = forge.messaging.find("<eb:UserMessage>").context("no UserMessage")?;
    let inside = forge.messaging[from..].replace("</eb:Messaging>", "");
    let data = format!(
        "<xenc:EncryptedData xmlns:xenc=\"{}\" Id=\"ED-M\" Type=\"{0}Content\"><xenc:CipherData><xenc:CipherValue>AAAA\
         </xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>",
        crate::encryption::XENC
    );
    let bent = forge.enveloped(&inside, &data);
    ctx.refuses(&bent, &["EBMS:0009", "EBMS:0101", "EBMS:0103"]).await.map(drop)
}

async fn oas20(ctx: Ctx) -> Result<()> {
    let mut message = ctx.message("oneway")?;
    message.parts.push(Part::new("clear@suite", b"left in the clear"));
    let forge = ctx.forge_of("oneway", &message)?;
    let (envelope, mut parts) = forge.pieces(&forge.references())?;
    let from = envelope.rfind("<xenc:EncryptedData ").context("no EncryptedData")?;
    let to = envelope.rfind("</xenc:EncryptedData>").context("no end")? + "</xenc:EncryptedData>".len();
    let envelope = envelope[..from].to_owned() + &envelope[to..];
    let envelope = envelope.replace("<xenc:DataReference URI=\"#ED-1\"/>", "");
    parts[1] = message.parts[1].clone();
    ctx.refused(&forge.id, &Request::multipart(&envelope, &parts), &["EBMS:0103"]).await.map(drop)
}

async fn oas21(ctx: Ctx) -> Result<()> {
    // `receipted` compares the references and verifies the signature; the form is looked at here.
    let reply = ctx.receipted(&ctx.forge("oneway")?).await?;
    let opened = reply_opened(&reply)?;
    ensure!(opened.envelope.all("MessagePartIdentifier").is_empty(), "a MessagePartIdentifier");
    let receipt = opened.envelope.first("Receipt")?;
    let non_repudiation =
        receipt.child("NonRepudiationInformation").context("no NonRepudiationInformation")?;
    ensure!(non_repudiation.namespace() == "http://docs.oasis-open.org/ebxml-bp/ebbp-signals-2.0");
    for part in non_repudiation.children() {
        let inside: Vec<_> = part.children().map(|e| e.local().to_owned()).collect();
        ensure!(part.local() == "MessagePartNRInformation" && inside == ["Reference"], "{inside:?}");
    }
    let signed = opened.verify(&ctx.certificate, &[])?;
    let id = opened.messaging()?.attribute("Id").map(|id| format!("#{id}")).context("Messaging has no Id")?;
    ensure!(signed.contains(&id), "the receipt is not in its own signature: {signed:?}");
    Ok(())
}

fn dropping(ctx: &Ctx, without: usize) -> Script {
    let good = receipt(&ctx.suite);
    Arc::new(
        move |message, before| if before < without { Ok(Answer::Empty(202)) } else { good(message, before) },
    )
}

async fn oas23(ctx: Ctx) -> Result<()> {
    let sent = ctx.submit("retry", letter(), Some(dropping(&ctx, 2)), json!({})).await?;
    let all = ctx.receiver()?.wait(&sent.key, 3, Duration::from_secs(20)).await?;
    let mut seen = Vec::new();
    for capture in &all {
        let (opened, _) = ctx.opened("retry", capture)?;
        let references: Vec<_> = opened.references()?.iter().map(|r| r.canonical("")).collect();
        seen.push((opened.value("MessageId"), references));
    }
    ensure!(seen.windows(2).all(|pair| pair[0] == pair[1]), "the attempts differ: {seen:?}");
    ctx.settled(&sent).await.map(drop)
}

async fn oas24(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("oneway")?;
    let request = forge.request()?;
    for _ in 0..2 {
        ctx.receipt_of(&forge.id, &request).await?;
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    ctx.desk.delivered(&forge.id).await.map(drop)
}

async fn oas25(ctx: Ctx) -> Result<()> {
    let Some(node) = &ctx.node else { return skip("the suite cannot restart this endpoint") };
    let forge = ctx.forge("oneway")?;
    let request = forge.request()?;
    ctx.receipt_of(&forge.id, &request).await?;
    ctx.desk.delivered(&forge.id).await?;
    let mut node = node.lock().await;
    node.kill().await?;
    node.start().await?;
    ctx.receipt_of(&forge.id, &request).await?;
    tokio::time::sleep(Duration::from_millis(700)).await;
    ctx.desk.delivered(&forge.id).await.map(drop)
}

/// The first receipt is not right, the second is: the first must not settle the message, and sending goes on.
async fn disbelieved(
    ctx: &Ctx,
    bend: impl Fn(Receipt) -> (Receipt, bool) + Send + Sync + 'static,
) -> Result<()> {
    let (suite, good) = (ctx.suite.clone(), receipt(&ctx.suite));
    let script: Script = Arc::new(move |message, before| {
        if before > 0 {
            return good(message, before);
        }
        let (bent, signed) = bend(Receipt::to(message)?);
        Ok(Answer::Soap(200, envelope_of(&bent.signal(), signed.then_some(&*suite))?))
    });
    let sent = ctx.submit("retry", letter(), Some(script), json!({})).await?;
    ctx.receiver()?.wait(&sent.key, 2, Duration::from_secs(20)).await.context("no second attempt")?;
    let status = ctx.desk.until(&sent.id, Duration::from_secs(10), receipted).await?;
    ensure!(status["messages"].to_string().contains("EBMS:0302"), "EBMS:0302 was not noted");
    Ok(())
}

async fn oas26(ctx: Ctx) -> Result<()> {
    disbelieved(&ctx, |mut receipt| {
        for reference in &mut receipt.references {
            *reference = reference.replacen("DigestValue>", "DigestValue>AAAA", 1);
        }
        (receipt, true)
    })
    .await
}

async fn oas27(ctx: Ctx) -> Result<()> {
    disbelieved(&ctx, |mut receipt| {
        receipt.references.pop();
        (receipt, true)
    })
    .await
}

async fn oas28(ctx: Ctx) -> Result<()> {
    disbelieved(&ctx, |receipt| (receipt, false)).await
}

/// The rules of the Basic Security Profile that eDelivery AS4 names, over what the endpoint writes.
async fn oas30(ctx: Ctx) -> Result<()> {
    let (opened, _) = ctx.sends("oneway", letter()).await?;
    let security = opened.envelope.all("Security");
    ensure!(security.len() == 1, "{} Security headers", security.len());
    for reference in security[0].all("SecurityTokenReference") {
        ensure!(
            reference.children().count() == 1,
            "a SecurityTokenReference with {} children",
            reference.children().count()
        );
        for inside in reference.children() {
            ensure!(
                ["Reference", "KeyIdentifier", "X509Data"].contains(&inside.local()),
                "{}",
                inside.local()
            );
            let kind = inside.attribute("ValueType");
            ensure!(
                inside.local() == "X509Data"
                    || kind.is_some()
                    || inside.attribute("URI").is_some_and(|u| u.starts_with('#'))
            );
        }
    }
    for token in security[0].all("BinarySecurityToken") {
        ensure!(
            token.attribute("EncodingType").is_some_and(|e| e.ends_with("#Base64Binary")),
            "EncodingType"
        );
        ensure!(token.attribute("ValueType").is_some(), "a token without ValueType");
    }
    let signature = opened.envelope.first("Signature")?;
    ensure!(signature.first("KeyInfo")?.children().count() == 1, "KeyInfo of the signature");
    ensure!(signature.all("Manifest").is_empty() && signature.all("Object").is_empty(), "Manifest or Object");
    for transforms in signature.all("Transforms") {
        ensure!(transforms.children().count() > 0, "empty Transforms");
    }
    Ok(())
}

async fn oas32(ctx: Ctx) -> Result<()> {
    let (opened, _) = ctx.sends("oneway", letter()).await?;
    let role = |name: &str| opened.user_message()?.first(name)?.first("Role").map(|r| r.text());
    let said = (role("From")?, role("To")?);
    ensure!(said == (format!("{EB}initiator"), format!("{EB}responder")), "the roles are {said:?}");
    let mpc = opened.user_message()?.attribute("mpc").unwrap_or_default().to_owned();
    ensure!(mpc.is_empty() || mpc == format!("{EB}defaultMPC"), "mpc is {mpc}");
    Ok(())
}
