//! A: the endpoint as sending handler (TAD12, common profile and four corners).

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::super::capture::{Opened, gzip, inflated};
use super::super::context::{Ctx, part, reply_opened, xml};
use super::super::forge::Forge;
use super::super::receiver::{Answer, Script, receipt};
use super::{Case, case};
use crate::as4::{self, Message, Part};
use crate::http;

const TEST_SERVICE: &str = "http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/service";
const TEST_ACTION: &str = "http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/test";

/// The cases of this file.
pub fn cases() -> Vec<Case> {
    vec![
        case("AS4_CP_TA01", ta01),
        case("AS4_CP_TA02", ta02),
        case("AS4_CP_TA03", ta03),
        case("AS4_CP_TA04", ta04),
        case("AS4_CP_TA05", ta05),
        case("AS4_CP_TA06", ta06),
        case("AS4_CP_TA07", ta07),
        case("AS4_CP_TA08", ta08),
        case("AS4_CP_TA09", ta09),
        case("AS4_CP_TA10", ta10),
        case("AS4_CP_TA12", ta12),
        case("AS4_CP_TA13", ta13),
        case("AS4_CP_TA14", ta14),
        case("AS4_CP_TA15", ta15),
        case("AS4_CP_TA16", ta16),
        case("AS4_CP_TA17", ta17),
        case("AS4_CP_TA18", ta18),
        case("AS4_CP_TA19", ta19),
        case("AS4_CP_TA20", ta20),
        case("AS4_CP_TA21", ta21),
        case("AS4_CP_TA22", ta22),
        case("AS4_CP_TA23", ta23),
        case("AS4_CP_TA24", ta24),
        case("AS4_CP_TA25", ta25),
        case("AS4_CP_TA26", ta26),
        case("AS4_CP_TA27", ta27),
        case("AS4_CP_TA28", ta28),
        case("AS4_CP_TA29", ta29),
        case("AS4_CP_TA30", ta30),
        case("AS4_CP_TA32", ta32),
        case("AS4_CP_TA33", ta33),
        case("AS4_CP_TA34", ta34),
        case("AS4_CP_TA35", ta35),
        case("AS4_CP_TA36", ta36),
        case("AS4_CP_TA37", ta37),
        case("AS4_CP_TA38", ta38),
        case("AS4_CP_TA44", ta44),
        case("AS4_CP_TA45", ta45),
        case("AS4_SBDH_TA01", sbdh_first),
        case("AS4_SBDH_TA02", sbdh_manifest),
        case("AS4_DR_TA01", unknown_sender),
        case("AS4_DR_TA02", foreign_anchor),
        case("AS4_DR_TA04", another_subject),
        case("AS4_4CT_TA01", corners),
        case("AS4_4CT_TA02", tracking),
        case("AS4_4CT_TA03", inner_corners),
    ]
}

fn letter() -> Vec<http::Part> {
    vec![part("letter@suite", "application/xml", xml("letter"))]
}

fn three() -> Vec<http::Part> {
    vec![
        part("one@suite", "application/xml", xml("one")),
        part("two@suite", "application/xml", xml("two")),
        part("three@suite", "application/octet-stream", b"three octets".repeat(30)),
    ]
}

async fn ta01(ctx: Ctx) -> Result<()> {
    ctx.receipted(&ctx.forge("oneway")?).await?;
    if !ctx.desk.submits() {
        return Ok(());
    }
    let sent = ctx.submit("oneway", letter(), None, json!({})).await?;
    ctx.opened("oneway", &ctx.captured(&sent).await?)?;
    ctx.settled(&sent).await.map(drop)
}

/// Both legs: we ask and the producer answers; the answer is a message of its own that names ours.
async fn two_way(ctx: &Ctx) -> Result<(Forge<'_>, Opened, Opened)> {
    let mut request = ctx.forge("twoway")?;
    request.messaging = request.messaging.replace(
        &format!("<eb:ConversationId>{}<", request.id),
        "<eb:ConversationId>conversation-of-the-suite<",
    );
    let reply = reply_opened(&ctx.receipted(&request).await?)?;
    let delivery = ctx.desk.delivered(&request.id).await?;
    let fields = json!({
        "ref_to_message_id": delivery["message_id"],
        "conversation_id": delivery["conversation_id"],
    });
    let sent = ctx.submit("twoway", letter(), None, fields).await?;
    let (answer, _) = ctx.opened("twoway", &ctx.captured(&sent).await?)?;
    ctx.settled(&sent).await?;
    Ok((request, reply, answer))
}

async fn ta02(ctx: Ctx) -> Result<()> {
    let (request, _, answer) = two_way(&ctx).await?;
    let about = answer.value("RefToMessageId");
    ensure!(about == request.id, "the second leg is about {about:?}");
    Ok(())
}

async fn ta03(ctx: Ctx) -> Result<()> {
    let (opened, _) = ctx.sends("oneway", letter()).await?;
    let user = opened.user_message()?;
    for name in ["From", "To"] {
        let all = user.all(name);
        ensure!(all.len() == 1, "{} {name} elements", all.len());
        ensure!(all[0].all("PartyId").len() == 1, "{} PartyIds in {name}", all[0].all("PartyId").len());
    }
    Ok(())
}

async fn ta04(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("oneway")?;
    ctx.delivers(&forge, &[&forge.parts[0].octets]).await.map(drop)
}

async fn ta05(ctx: Ctx) -> Result<()> {
    let (opened, payloads) = ctx.sends("oneway", letter()).await?;
    ensure!(opened.envelope.first("Body")?.is_empty(), "the Body is not empty");
    ensure!(opened.parts.len() == 1, "{} parts", opened.parts.len());
    ensure!(payloads[0].octets == xml("letter"), "the part is not the payload");
    Ok(())
}

async fn ta06(ctx: Ctx) -> Result<()> {
    let (opened, payloads) = ctx.sends("oneway", three()).await?;
    ensure!(opened.parts.len() == 3 && payloads.len() == 3, "{} parts", opened.parts.len());
    ensure!(payloads[0].octets == xml("one"), "the first PartInfo is not the leading document");
    Ok(())
}

async fn ta07(ctx: Ctx) -> Result<()> {
    let octets = [b"<a>1</a>".repeat(9), b"<b>2</b>".repeat(9), b"three".to_vec()];
    let forge = with_parts(&ctx, "oneway", &octets)?;
    let octets: Vec<&[u8]> = octets.iter().map(Vec::as_slice).collect();
    ctx.delivers(&forge, &octets).await.map(drop)
}

/// Compressed parts of those octets; the header calls each application/octet-stream.
pub(super) fn with_parts<'c>(ctx: &'c Ctx, pmode: &str, octets: &[Vec<u8>]) -> Result<Forge<'c>> {
    let mut message = ctx.message(pmode)?;
    message.parts.clear();
    for (n, octets) in octets.iter().enumerate() {
        message.parts.push(Part::compressed(&format!("{n}-{}", message.id), gzip(octets)?));
    }
    ctx.forge_of(pmode, &message)
}

async fn ta08(ctx: Ctx) -> Result<()> {
    let bait = std::net::TcpListener::bind("127.0.0.1:0")?;
    bait.set_nonblocking(true)?;
    let mut message = ctx.message("signonly")?;
    let cid = std::mem::take(&mut message.parts[0].cid);
    let forge = ctx.forge_of("signonly", &message)?;
    let mut forge = forge.header("href=\"cid:\"", &format!("href=\"http://{}/part\"", bait.local_addr()?));
    forge.parts.clear();
    ctx.refuses(&forge, &["EBMS:0011"]).await.with_context(|| cid)?;
    ensure!(bait.accept().is_err(), "the endpoint connected to the URL");
    Ok(())
}

/// Answers nothing at first, then the right receipt.
fn late(ctx: &Ctx, without: usize) -> Script {
    let good = receipt(&ctx.suite);
    Arc::new(move |message, before| if before < without { Ok(Answer::Drop) } else { good(message, before) })
}

async fn ta09(ctx: Ctx) -> Result<()> {
    let sent = ctx.submit("retry", letter(), Some(late(&ctx, 1)), json!({})).await?;
    let all = ctx.receiver()?.wait(&sent.key, 2, Duration::from_secs(20)).await?;
    let (first, second) = (all[0].open()?.value("MessageId"), all[1].open()?.value("MessageId"));
    ensure!(first == second && !first.is_empty(), "sent as {first:?} and again as {second:?}");
    Ok(())
}

async fn ta10(ctx: Ctx) -> Result<()> {
    let sent = ctx.submit("retry", letter(), Some(late(&ctx, 2)), json!({})).await?;
    ctx.settled(&sent).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let count = ctx.receiver()?.captures(&sent.key).len();
    ensure!(count == 3, "sent {count} times; the third was receipted");
    Ok(())
}

async fn ta12(ctx: Ctx) -> Result<()> {
    let sent = ctx.submit("oneway", three(), None, json!({})).await?;
    let capture = ctx.captured(&sent).await?;
    ctx.inspected(&capture).await?;
    let (opened, payloads) = ctx.opened("oneway", &capture)?;
    let messaging = opened.messaging()?;
    let id = messaging.attribute("Id").or(messaging.attribute("id")).context("Messaging has no Id")?;
    let body = opened.envelope.first("Body")?.attribute("Id").context("Body has no Id")?;
    let mut wanted = vec![format!("#{id}"), format!("#{body}")];
    wanted.extend(payloads.iter().map(|p| format!("cid:{}", p.cid)));
    let mut signed = opened.verify(&ctx.certificate, &payloads)?;
    wanted.sort();
    signed.sort();
    ensure!(signed == wanted, "signed is {signed:?}, sent was {wanted:?}");
    Ok(())
}

async fn ta13(ctx: Ctx) -> Result<()> {
    let (opened, payloads) = ctx.sends("oneway", three()).await?;
    let all = opened.envelope.all("EncryptedData");
    ensure!(all.len() == payloads.len(), "{} EncryptedData for {} parts", all.len(), payloads.len());
    for data in all {
        let method = data.first("EncryptionMethod")?.attribute("Algorithm").unwrap_or_default();
        ensure!(method == crate::encryption::AES128_GCM, "encrypted by {method}");
    }
    Ok(())
}

async fn ta14(ctx: Ctx) -> Result<()> {
    // `receipted` looks at the answer of the same connection; so does the endpoint with ours, or it would not settle.
    if ctx.desk.submits() {
        return two_way(&ctx).await.map(drop);
    }
    ctx.receipted(&ctx.forge("oneway")?).await.map(drop)
}

async fn ta15(ctx: Ctx) -> Result<()> {
    let never: Script = Arc::new(|_, _| Ok(Answer::Drop));
    let sent = ctx.submit("retry", letter(), Some(never), json!({})).await?;
    let told = |status: &serde_json::Value| status["evidence"].to_string().contains("EBMS:0301");
    ctx.desk.until(&sent.id, Duration::from_secs(45), told).await.map(drop)
}

async fn ta16(ctx: Ctx) -> Result<()> {
    let sent = ctx.submit("oneway", Vec::new(), None, json!({ "test": true })).await?;
    let opened = ctx.captured(&sent).await?.open()?;
    let (service, action) = (opened.value("Service"), opened.value("Action"));
    ensure!(service == TEST_SERVICE && action == TEST_ACTION, "sent was {service} {action}");
    ctx.settled(&sent).await.map(drop)
}

/// A message to the test service.
pub(super) fn test_message(ctx: &Ctx, pmode: &str) -> Result<Message> {
    let mut message = ctx.message(pmode)?;
    message.service = (String::new(), TEST_SERVICE.into());
    message.action = TEST_ACTION.into();
    Ok(message)
}

async fn ta17(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge_of("oneway", &test_message(&ctx, "oneway")?)?;
    ctx.receipted(&forge).await?;
    ctx.undelivered(&forge.id).await
}

async fn ta18(ctx: Ctx) -> Result<()> {
    let (opened, _) = ctx.sends("oneway", letter()).await?;
    ensure!(!opened.value("ConversationId").is_empty(), "no ConversationId");
    Ok(())
}

async fn ta19(ctx: Ctx) -> Result<()> {
    let (_, _, answer) = two_way(&ctx).await?;
    let conversation = answer.value("ConversationId");
    ensure!(conversation == "conversation-of-the-suite", "the second leg is of {conversation:?}");
    Ok(())
}

async fn ta20(ctx: Ctx) -> Result<()> {
    let with = "<eb:Property name=\"plain\">value 1</eb:Property><eb:Property name=\"typed\" type=\"urn:kind\">value 2\
                </eb:Property></eb:MessageProperties>";
    let forge = ctx.forge("oneway")?.header("</eb:MessageProperties>", with);
    let Some(delivery) = ctx.delivered(&forge).await? else { return Ok(()) };
    let said = delivery["properties"].to_string();
    ensure!(said.is_empty() || said.contains("value 1") && said.contains("value 2"), "delivered: {said}");
    Ok(())
}

async fn ta21(ctx: Ctx) -> Result<()> {
    ctx.delivered(&ctx.forge("oneway")?).await.map(drop)
}

async fn ta22(ctx: Ctx) -> Result<()> {
    // The suite's receipts are plain SOAP.
    let sent = ctx.submit("oneway", letter(), None, json!({})).await?;
    ctx.settled(&sent).await.map(drop)
}

async fn ta23(ctx: Ctx) -> Result<()> {
    let (_, payloads) = ctx.sends("oneway", letter()).await?;
    ensure!(payloads[0].signed.starts_with(&[0x1f, 0x8b]), "not gzip");
    ensure!(inflated(&payloads[0].signed)? == xml("letter"), "inflates to something else");
    Ok(())
}

async fn ta24(ctx: Ctx) -> Result<()> {
    let (_, payloads) = ctx.sends("oneway", letter()).await?;
    let said = payloads[0].properties.get("CompressionType").map(String::as_str);
    ensure!(said == Some("application/gzip"), "CompressionType is {said:?}");
    Ok(())
}

async fn ta25(ctx: Ctx) -> Result<()> {
    let (_, payloads) = ctx.sends("oneway", letter()).await?;
    let said = payloads[0].properties.get("MimeType").map(String::as_str);
    ensure!(said == Some("application/xml"), "MimeType is {said:?}");
    Ok(())
}

async fn ta26(ctx: Ctx) -> Result<()> {
    let forge = with_parts(&ctx, "oneway", &[b"some text".repeat(20)])?;
    let mime = "<eb:Property name=\"MimeType\">application/octet-stream</eb:Property>";
    let any = ["EBMS:0001", "EBMS:0003", "EBMS:0007", "EBMS:0009", "EBMS:0010", "EBMS:0103", "EBMS:0303"];
    ctx.refuses(&forge.header(mime, ""), &any).await.map(drop)
}

fn with_character_set<'c>(ctx: &'c Ctx, name: &str, octets: &[u8]) -> Result<Forge<'c>> {
    let property = format!("<eb:Property name=\"CharacterSet\">{name}</eb:Property></eb:PartProperties>");
    let forge = with_parts(ctx, "oneway", &[octets.to_vec()])?;
    Ok(forge
        .header("application/octet-stream</eb:Property>", "application/xml</eb:Property>")
        .header("</eb:PartProperties>", &property))
}

/// Both directions: what the producer says stands on the wire, what stands on the wire comes to the consumer.
async fn character_set(ctx: &Ctx, name: &str, octets: Vec<u8>) -> Result<()> {
    let forge = with_character_set(ctx, name, &octets)?;
    let delivery = ctx.delivered(&forge).await?;
    if let Some(delivery) = delivery.filter(|d| d["parts"][0]["properties"].is_object()) {
        let said = &delivery["parts"][0]["properties"]["CharacterSet"];
        ensure!(said == name, "delivered with CharacterSet {said}");
    }
    if !ctx.desk.submits() {
        return Ok(());
    }
    let fields = json!({ "parts": [{ "id": "text@suite", "properties": { "CharacterSet": name } }] });
    let sent = ctx
        .submit("oneway", vec![part("text@suite", "application/xml", octets.clone())], None, fields)
        .await?;
    let (_, payloads) = ctx.opened("oneway", &ctx.captured(&sent).await?)?;
    let said = payloads[0].properties.get("CharacterSet").map(String::as_str);
    ensure!(said == Some(name), "sent with CharacterSet {said:?}");
    ensure!(payloads[0].octets == octets, "other octets were sent");
    Ok(())
}

async fn ta27(ctx: Ctx) -> Result<()> {
    let text = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><letter>ā</letter>";
    let octets = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    character_set(&ctx, "UTF-16", octets).await
}

async fn ta28(ctx: Ctx) -> Result<()> {
    character_set(&ctx, "UTF-8", "<?xml version=\"1.0\" encoding=\"UTF-8\"?><letter>ā</letter>".into()).await
}

async fn ta29(ctx: Ctx) -> Result<()> {
    let forge = with_character_set(&ctx, "!utf*", b"<letter/>")?;
    let any = ["EBMS:0001", "EBMS:0003", "EBMS:0007", "EBMS:0009", "EBMS:0010", "EBMS:0103"];
    ctx.refuses(&forge, &any).await.map(drop)
}

/// A compressed part whose gzip is damaged before it is signed and encrypted.
fn damaged<'c>(ctx: &'c Ctx, pmode: &str) -> Result<Forge<'c>> {
    let mut octets = gzip(&b"to be damaged ".repeat(20))?;
    let middle = octets.len() / 2;
    octets[middle] ^= 0xff;
    let mut message = ctx.message(pmode)?;
    message.parts = vec![Part::compressed(&message.parts[0].cid, octets)];
    ctx.forge_of(pmode, &message)
}

async fn ta30(ctx: Ctx) -> Result<()> {
    let reply = ctx.refuses(&damaged(&ctx, "oneway")?, &["EBMS:0303"]).await?;
    let opened = reply_opened(&reply)?;
    let error = opened.envelope.first("Error")?;
    let wanted = [
        ("errorCode", "EBMS:0303"),
        ("severity", "failure"),
        ("category", "Communication"),
        ("shortDescription", "DecompressionFailure"),
    ];
    for (name, value) in wanted {
        ensure!(error.attribute(name) == Some(value), "{name} is {:?}", error.attribute(name));
    }
    Ok(())
}

async fn ta32(ctx: Ctx) -> Result<()> {
    let octets = b"decompressed by the receiver ".repeat(20);
    let forge = with_parts(&ctx, "oneway", std::slice::from_ref(&octets))?;
    let delivery = ctx.delivers(&forge, &[&octets]).await?;
    ensure!(ctx.desk.part(&delivery, 0).await? == octets, "the delivered octets differ");
    Ok(())
}

async fn ta33(ctx: Ctx) -> Result<()> {
    let octets = [b"<letter/>".repeat(30), crate::encryption::random::<500>()?.to_vec()];
    let forge = with_parts(&ctx, "oneway", &octets)?;
    ctx.delivers(&forge, &[&octets[0], &octets[1]]).await.map(drop)
}

async fn ta34(ctx: Ctx) -> Result<()> {
    ctx.delivered(&with_parts(&ctx, "signonly", &[b"compressed, then signed".repeat(9)])?).await.map(drop)
}

async fn ta35(ctx: Ctx) -> Result<()> {
    let octets = b"signed, then compressed".repeat(9);
    let mut forge = with_parts(&ctx, "signonly", std::slice::from_ref(&octets))?;
    forge.signed = Some(vec![octets]);
    ctx.refuses(&forge, &["EBMS:0101"]).await.map(drop)
}

async fn ta36(ctx: Ctx) -> Result<()> {
    let forge = with_parts(&ctx, "oneway", &[b"compressed, then encrypted".repeat(9)])?;
    ctx.delivered(&forge).await.map(drop)
}

/// The signature is over the compressed octets, but what travels was encrypted first and compressed then.
async fn ta37(ctx: Ctx) -> Result<()> {
    let octets = b"encrypted, then compressed".repeat(9);
    let forge = with_parts(&ctx, "oneway", std::slice::from_ref(&octets))?;
    let mut plain = forge.clone();
    plain.parts[0].octets = octets;
    let (envelope, mut parts) = plain.pieces(&forge.references())?;
    parts[0].octets = gzip(&parts[0].octets)?;
    let request = as4::Request::multipart(&envelope, &parts);
    ctx.refused(&forge.id, &request, &["EBMS:0101", "EBMS:0102", "EBMS:0303"]).await.map(drop)
}

async fn ta38(ctx: Ctx) -> Result<()> {
    let octets = b"compressed, signed and encrypted".repeat(9);
    let forge = with_parts(&ctx, "oneway", std::slice::from_ref(&octets))?;
    ctx.delivers(&forge, &[&octets]).await.map(drop)
}

async fn ta44(ctx: Ctx) -> Result<()> {
    let with = "<eb:Property name=\"plain\">value 1</eb:Property><eb:Property name=\"typed\" type=\"urn:kind\">value 2\
                </eb:Property></eb:PartProperties>";
    let forge = ctx.forge("oneway")?.header("</eb:PartProperties>", with);
    let Some(delivery) = ctx.delivered(&forge).await? else { return Ok(()) };
    let said = &delivery["parts"][0]["properties"];
    let right = said["plain"] == "value 1" && said["typed"] == "value 2";
    ensure!(said.is_null() || right, "delivered: {said}");
    Ok(())
}

async fn ta45(ctx: Ctx) -> Result<()> {
    let (_, payloads) = ctx.sends("oneway", three()).await?;
    let order: Vec<_> = payloads.into_iter().map(|p| p.octets).collect();
    ensure!(order == three().into_iter().map(|p| p.body).collect::<Vec<_>>(), "in another order");
    Ok(())
}

async fn corners(ctx: Ctx) -> Result<()> {
    let sent = ctx.submit("oneway", letter(), None, json!({})).await?;
    let properties = ctx.captured(&sent).await?.open()?.properties();
    let sender = ctx.endpoint.suite.final_recipient.rsplit("::").next().unwrap_or_default();
    let said = (properties.get("originalSender"), properties.get("finalRecipient"));
    let right = said.0.is_some_and(|s| s.ends_with(sender)) && said.1.is_some_and(|r| r.ends_with(&sent.key));
    ensure!(right, "originalSender and finalRecipient are {said:?}");
    Ok(())
}

async fn tracking(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("oneway")?.header(
        "</eb:MessageProperties>",
        "<eb:Property name=\"trackingIdentifier\">track-1</eb:Property></eb:MessageProperties>",
    );
    if let Some(delivery) = ctx.delivered(&forge).await? {
        let said = delivery["properties"].to_string();
        ensure!(said.is_empty() || said.contains("track-1"), "delivered: {said}");
    }
    if !ctx.desk.submits() {
        return Ok(());
    }
    let fields = json!({ "properties": [{ "name": "trackingIdentifier", "value": "track-2" }] });
    let sent = ctx.submit("oneway", letter(), None, fields).await?;
    let properties = ctx.captured(&sent).await?.open()?.properties();
    ensure!(properties.get("trackingIdentifier").is_some_and(|v| v == "track-2"), "{properties:?}");
    Ok(())
}

async fn inner_corners(ctx: Ctx) -> Result<()> {
    let (opened, _) = ctx.sends("oneway", letter()).await?;
    let user = opened.user_message()?;
    let party = |name: &str| user.first(name).and_then(|e| e.first("PartyId")).map(|e| e.text());
    let said = (party("From")?, party("To")?);
    let wanted = (ctx.endpoint.party_id.clone(), ctx.endpoint.suite.party_id.clone());
    ensure!(said == wanted, "From and To are {said:?}");
    Ok(())
}

const SBDH: &str = "<StandardBusinessDocumentHeader \
    xmlns=\"http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader\"><HeaderVersion>1.0</HeaderVersion>\
    <Manifest><NumberOfItems>2</NumberOfItems></Manifest></StandardBusinessDocumentHeader>";

async fn sbdh_first(ctx: Ctx) -> Result<()> {
    let mut parts = vec![part("sbdh@suite", "application/xml", SBDH)];
    parts.extend(three().into_iter().skip(2));
    let (opened, payloads) = ctx.sends("oneway", parts).await?;
    let first = opened.part_infos().first().and_then(|info| info.attribute("href")).map(str::to_owned);
    ensure!(
        first == Some(format!("cid:{}", payloads[0].cid)) && payloads[0].octets == SBDH.as_bytes(),
        "first is {first:?}"
    );
    Ok(())
}

/// SBDH and binaries as parts: the endpoint takes them all, and changes no octet of the manifest.
async fn sbdh_manifest(ctx: Ctx) -> Result<()> {
    let octets = [SBDH.as_bytes().to_vec(), b"first".to_vec(), b"second".to_vec()];
    let forge = with_parts(&ctx, "oneway", &octets)?;
    ctx.delivers(&forge, &[&octets[0], &octets[1], &octets[2]]).await.map(drop)
}

/// A message of a party that no file of the endpoint names.
fn of_stranger<'c>(ctx: &'c Ctx, identity: &str) -> Result<Forge<'c>> {
    let name = ctx.identity("dynamic")?.certificate.subject_name();
    let name =
        name.entries_by_nid(openssl::nid::Nid::COMMONNAME).next().context("no CN")?.data().to_string()?;
    let from = format!(">{}</eb:PartyId>", ctx.endpoint.suite.party_id);
    let mut forge = ctx.forge("dynamic")?.header(&from, &format!(">{name}</eb:PartyId>"));
    forge.signer = ctx.identity(identity)?;
    Ok(forge)
}

async fn unknown_sender(ctx: Ctx) -> Result<()> {
    ctx.delivered(&of_stranger(&ctx, "dynamic")?).await.map(drop)
}

async fn foreign_anchor(ctx: Ctx) -> Result<()> {
    ctx.refuses(&of_stranger(&ctx, "dynamic-stranger")?, &["EBMS:0101"]).await.map(drop)
}

async fn another_subject(ctx: Ctx) -> Result<()> {
    ctx.refuses(&of_stranger(&ctx, "other")?, &["EBMS:0101"]).await.map(drop)
}
