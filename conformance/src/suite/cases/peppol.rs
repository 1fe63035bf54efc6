//! E: Peppol AS4. The endpoint's file names another file, of the same product in a network like Peppol.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::super::capture::{Opened, Payload, gzip};
use super::super::context::{Context, Ctx, part};
use super::super::forge::{Forge, TOKENS};
use super::super::receiver::receipt;
use super::super::registry::SEVERAL;
use super::discovery::common_name;
use super::{Case, case};
use crate::as4::{EB, Part, Request, body, envelope};
use crate::http;
use crate::peppol::{AGREEMENT, AP_TYPE, SBDH, enveloped as envelope_between, invoice};
use crate::probe::{RECIPIENT, SENDER};

const HEADER: &[&str] = &["EBMS:0001", "EBMS:0010"];
/// What a receiver says of an envelope that it does not take.
const ENVELOPE: &[&str] = &["EBMS:0003", "EBMS:0004", "EBMS:0009"];

/// The cases of this file.
pub fn cases() -> Vec<Case> {
    vec![
        case("PEP-01", agreement),
        case("PEP-02", parties),
        case("PEP-03", roles),
        case("PEP-04", service),
        case("PEP-05", token),
        case("PEP-06", certificates_of_others),
        case("PEP-07", channel),
        case("PEP-08", one_envelope),
        case("PEP-09", file_name),
        case("PEP-10", chunked),
        case("PEP-11", not_serviced),
        case("PEP-12", one_way),
        case("PEP-13", tracking),
        case("PEP-15", several_endpoints),
        case("PEP-N1", |ctx| refused(ctx, n1)),
        case("PEP-N2", no_payload),
        case("PEP-N3", |ctx| refused(ctx, n3)),
        case("PEP-N4", |ctx| refused(ctx, |good| good.replacen("</Sender>", "</Sendr>", 1))),
        case("PEP-N5", missing_fields),
        case("PEP-N6", |ctx| by(ctx, "expired")),
        case("PEP-N7", |ctx| by(ctx, "revoked")),
        case("PEP-N8", |ctx| by(ctx, "stranger")),
        case("PEP-N9", |ctx| by(ctx, "smp")),
    ]
}

/// An envelope that the messages of this group fit.
fn enveloped() -> String {
    envelope_between(SENDER, RECIPIENT)
}

/// A message around that payload.
fn forge<'c>(ctx: &'c Context, payload: &str) -> Result<Forge<'c>> {
    let mut message = ctx.message("peppol")?;
    message.parts = vec![Part::compressed(&message.parts[0].cid, gzip(payload.as_bytes())?)];
    ctx.forge_of("peppol", &message)
}

/// What the endpoint sends for one invoice to a participant that is published as `name`; the answer is a receipt.
async fn sent(ctx: &Context, name: &str, fields: Value) -> Result<(Opened, Vec<Payload>)> {
    let owner = Arc::new(ctx.identity("found")?.clone());
    let mut all = json!({ "sbdh": { "country_c1": "LV" } });
    if let (Some(all), Some(fields)) = (all.as_object_mut(), fields.as_object()) {
        all.extend(fields.clone());
    }
    let parts = vec![http::Part {
        name: Some("invoice.xml".into()),
        ..part("invoice", "application/xml", invoice())
    }];
    let sent = ctx.submit_found(name, parts, receipt(&owner), all).await?;
    let opened = ctx.captured(&sent).await?.open()?;
    let payloads = opened.payloads(&owner)?;
    opened.verify(&ctx.certificate, &payloads)?;
    ctx.settled(&sent).await?;
    Ok((opened, payloads))
}

async fn usual(ctx: &Context) -> Result<Opened> {
    Ok(sent(ctx, "found", json!({})).await?.0)
}

/// The measure of every refusal: what is not bent is taken.
async fn taken(ctx: &Context) -> Result<()> {
    ctx.delivered(&forge(ctx, &enveloped())?).await.context("what keeps every rule").map(drop)
}

async fn agreement(ctx: Ctx) -> Result<()> {
    let ctx = ctx.peppol()?;
    if ctx.desk.submits() {
        let opened = usual(ctx).await?;
        let said = opened.user_message()?.first("AgreementRef")?;
        let bare = said.attribute("type").is_none() && said.attribute("pmode").is_none();
        ensure!(said.text() == AGREEMENT && bare, "AgreementRef is {}", said.canonical(""));
    }
    let written = format!("<eb:AgreementRef>{AGREEMENT}</eb:AgreementRef>");
    for other in ["", "<eb:AgreementRef>urn:other</eb:AgreementRef>"] {
        let bent = forge(ctx, &enveloped())?.header(&written, other);
        ctx.refuses(&bent, HEADER).await.with_context(|| format!("{other:?}"))?;
    }
    taken(ctx).await
}

async fn parties(ctx: Ctx) -> Result<()> {
    let ctx = ctx.peppol()?;
    if ctx.desk.submits() {
        let opened = usual(ctx).await?;
        for (of, owner) in [("From", None), ("To", Some(ctx.identity("found")?))] {
            let id = opened.user_message()?.first(of)?.first("PartyId")?;
            let wanted = match owner {
                Some(owner) => common_name(owner)?,
                None => ctx.endpoint.party_id.clone(),
            };
            ensure!(id.text() == wanted && id.attribute("type") == Some(AP_TYPE), "{}", id.canonical(""));
        }
    }
    let from = format!(">{}</eb:PartyId>", ctx.endpoint.suite.party_id);
    let other = forge(ctx, &enveloped())?.header(&from, ">POP999999</eb:PartyId>");
    ctx.refuses(&other, &["EBMS:0101", "EBMS:0010"]).await.context("another party than the certificate's")?;
    let other = forge(ctx, &enveloped())?.header(AP_TYPE, "urn:other");
    ctx.refuses(&other, HEADER).await.context("another type")?;
    taken(ctx).await
}

async fn roles(ctx: Ctx) -> Result<()> {
    let opened = usual(ctx.peppol()?).await?;
    let role = |of: &str| opened.user_message()?.first(of)?.first("Role").map(|e| e.text());
    let said = (role("From")?, role("To")?);
    ensure!(said == (format!("{EB}initiator"), format!("{EB}responder")), "{said:?}");
    Ok(())
}

async fn service(ctx: Ctx) -> Result<()> {
    let ctx = ctx.peppol()?;
    let (opened, discovery) = (usual(ctx).await?, ctx.discovery()?);
    let service = opened.user_message()?.first("Service")?;
    let said = format!("{}::{}", service.attribute("type").unwrap_or_default(), service.text());
    ensure!(said == discovery.process, "Service is {said}");
    ensure!(opened.value("Action") == discovery.document_type, "Action is {}", opened.value("Action"));
    Ok(())
}

async fn token(ctx: Ctx) -> Result<()> {
    let opened = usual(ctx.peppol()?).await?;
    let reference =
        opened.envelope.first("Signature")?.first("SecurityTokenReference")?.first("Reference")?;
    let uri = reference.attribute("URI").unwrap_or_default().trim_start_matches('#');
    let kind = opened.envelope.by_id(uri).context("no token")?.attribute("ValueType");
    ensure!(kind == Some(&format!("{TOKENS}#X509v3")), "the token is {kind:?}");
    Ok(())
}

/// Whoever is published with a certificate that is not the network's is not sent anything; `revoked` where the file has one.
async fn certificates_of_others(ctx: Ctx) -> Result<()> {
    let ctx = ctx.peppol()?;
    let published = &ctx.discovery()?.published;
    for name in ["foreign", "smp", "expired", "revoked"] {
        if name == "revoked" && !published.contains_key(name) {
            continue;
        }
        let parts = vec![part("invoice", "application/xml", invoice())];
        let fields = json!({ "sbdh": { "country_c1": "LV" } });
        let sent = ctx.submit_found(name, parts, receipt(&ctx.suite), fields).await?;
        let failed = |status: &Value| status["state"] == "failed";
        ctx.desk.until(&sent.id, Duration::from_secs(20), failed).await.with_context(|| name.to_owned())?;
        ensure!(ctx.receiver()?.captures(&sent.key).is_empty(), "{name}: it was sent");
    }
    Ok(())
}

async fn channel(ctx: Ctx) -> Result<()> {
    let opened = usual(ctx.peppol()?).await?;
    let mpc = opened.user_message()?.attribute("mpc");
    ensure!(mpc.is_none_or(|mpc| mpc == format!("{EB}defaultMPC")), "mpc is {mpc:?}");
    Ok(())
}

async fn one_envelope(ctx: Ctx) -> Result<()> {
    let ctx = ctx.peppol()?;
    if ctx.desk.submits() {
        let (_, payloads) = sent(ctx, "found", json!({})).await?;
        ensure!(payloads.len() == 1, "{} parts", payloads.len());
        let text = String::from_utf8(payloads[0].octets.clone())?;
        let root = super::super::xml::parse(&text)?;
        ensure!(root.local() == "StandardBusinessDocument" && root.namespace() == SBDH, "{}", root.local());
        let inside: Vec<_> = root.children().map(|e| e.local().to_owned()).collect();
        ensure!(inside == ["StandardBusinessDocumentHeader", "Invoice"], "{inside:?}");
    }
    let good = enveloped();
    let from = good.find("<StandardBusinessDocumentHeader>").context("no header")?;
    let to = good.find("<u:Invoice").context("no invoice")?;
    let alone = good[from..to].replacen('>', &format!(" xmlns=\"{SBDH}\">"), 1);
    for (name, payload) in [("the document alone", invoice()), ("the header alone", alone)] {
        ctx.refuses(&forge(ctx, &payload)?, ENVELOPE).await.with_context(|| name.to_owned())?;
    }
    taken(ctx).await
}

async fn file_name(ctx: Ctx) -> Result<()> {
    let (opened, payloads) = sent(ctx.peppol()?, "found", json!({})).await?;
    for part in &opened.parts {
        let said = part.headers.get("content-disposition").map_or("", String::as_str);
        ensure!(!said.contains("filename") || said.contains("payload.xml"), "Content-Disposition: {said}");
    }
    let said = payloads[0].properties.values().any(|value| value.contains("invoice.xml"));
    ensure!(!said, "the file's name is in {:?}", payloads[0].properties);
    Ok(())
}

async fn chunked(ctx: Ctx) -> Result<()> {
    // Without a Peppol endpoint any other shows it.
    let forge = match ctx.peppol() {
        Ok(peppol) => forge(peppol, &enveloped())?,
        Err(_) => ctx.forge("oneway")?,
    };
    let to = ctx.peppol().unwrap_or(&ctx);
    let mut request = forge.request()?;
    request.chunked = true;
    to.receipt_of(&forge.id, &request).await.map(drop)
}

async fn not_serviced(ctx: Ctx) -> Result<()> {
    let ctx = ctx.peppol()?;
    let value = |id: &str| id.rsplit("::").next().unwrap_or_default().to_owned();
    let known = value(&ctx.endpoint.suite.final_recipient);
    let unknown = "0088:7300010000001";
    let bent = forge(ctx, &enveloped().replace(&known, unknown))?.header(&known, unknown);
    let reply = ctx.refuses(&bent, &["EBMS:0004"]).await?;
    ensure!(reply.body.contains("PEPPOL:NOT_SERVICED"), "{}", reply.body);
    taken(ctx).await
}

async fn one_way(ctx: Ctx) -> Result<()> {
    let ctx = ctx.peppol()?;
    let answer = "</eb:MessageId><eb:RefToMessageId>0@suite</eb:RefToMessageId>";
    let bent = forge(ctx, &enveloped())?.header("</eb:MessageId>", answer);
    ctx.refuses(&bent, HEADER).await.context("an answer")?;
    let id = format!("{}@suite.example", uuid::Uuid::new_v4());
    let pull = format!(
        "<eb:Messaging xmlns:eb=\"{EB}\"><eb:SignalMessage><eb:MessageInfo><eb:Timestamp>2026-01-01T00:00:00Z\
         </eb:Timestamp><eb:MessageId>{id}</eb:MessageId></eb:MessageInfo><eb:PullRequest/></eb:SignalMessage>\
         </eb:Messaging>"
    );
    let request = Request::post("application/soap+xml; charset=UTF-8", envelope(&[&pull], &body("body")));
    let codes = &["EBMS:0001", "EBMS:0003", "EBMS:0010", "EBMS:0103", "4xx"];
    ctx.refused(&id, &request, codes).await.context("a pull request")?;
    if ctx.desk.submits() {
        let answers = sent(ctx, "found", json!({ "ref_to_message_id": "0@suite" })).await;
        ensure!(answers.is_err(), "an answer was sent");
    }
    Ok(())
}

async fn tracking(ctx: Ctx) -> Result<()> {
    let properties = usual(ctx.peppol()?).await?.properties();
    ensure!(!properties.contains_key("trackingIdentifier"), "{properties:?}");
    Ok(())
}

async fn several_endpoints(ctx: Ctx) -> Result<()> {
    sent(ctx.peppol()?, SEVERAL, json!({})).await.map(drop)
}

async fn refused(ctx: Ctx, bend: impl Fn(String) -> String) -> Result<()> {
    let ctx = ctx.peppol()?;
    let bent = bend(enveloped());
    ensure!(bent != enveloped(), "nothing was bent");
    ctx.refuses(&forge(ctx, &bent)?, ENVELOPE).await?;
    taken(ctx).await
}

/// A valid SBDH without payload.
fn n1(good: String) -> String {
    let at = good.find("<u:Invoice").unwrap_or_default();
    good[..at].to_owned() + "</StandardBusinessDocument>"
}

/// No SBDH.
fn n3(good: String) -> String {
    let from = good.find("<StandardBusinessDocumentHeader>").unwrap_or_default();
    let to = good.find("<u:Invoice").unwrap_or_default();
    good[..from].to_owned() + &good[to..]
}

/// Neither SBDH nor payload: an empty document, and no part at all.
async fn no_payload(ctx: Ctx) -> Result<()> {
    let ctx = ctx.peppol()?;
    let empty = format!("<StandardBusinessDocument xmlns=\"{SBDH}\"></StandardBusinessDocument>");
    ctx.refuses(&forge(ctx, &empty)?, ENVELOPE).await.context("an empty document")?;
    let mut message = ctx.message("peppol")?;
    message.parts.clear();
    ctx.refuses(&ctx.forge_of("peppol", &message)?, ENVELOPE).await.context("no part")?;
    taken(ctx).await
}

async fn missing_fields(ctx: Ctx) -> Result<()> {
    let ctx = ctx.peppol()?;
    for field in [
        "<HeaderVersion>1.0</HeaderVersion>",
        "<InstanceIdentifier>i-1</InstanceIdentifier>",
        "<Type>Invoice</Type>",
        "<CreationDateAndTime>2026-01-01T00:00:00Z</CreationDateAndTime>",
    ] {
        let bent = enveloped().replacen(field, "", 1);
        ensure!(bent != enveloped(), "no {field}");
        ctx.refuses(&forge(ctx, &bent)?, ENVELOPE).await.with_context(|| field.to_owned())?;
    }
    let bent = enveloped().replacen("COUNTRY_C1", "COUNTRY", 1);
    ctx.refuses(&forge(ctx, &bent)?, ENVELOPE).await.context("COUNTRY_C1")?;
    taken(ctx).await
}

/// In the suite's name, by another certificate.
async fn by(ctx: Ctx, identity: &str) -> Result<()> {
    let ctx = ctx.peppol()?;
    let mut bent = forge(ctx, &enveloped())?;
    bent.signer = ctx.identity(identity)?;
    ctx.refuses(&bent, &["EBMS:0101"]).await?;
    taken(ctx).await
}
