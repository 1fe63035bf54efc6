//! F: messages that somebody bent. Each must be refused, by code, and leave no delivery.

use anyhow::{Context as _, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::time::{Duration, Instant};

use super::super::capture::gzip;
use super::super::context::Ctx;
use super::super::forge::{Forge, Form, named};
use super::{Case, case};
use crate::as4::{self, Part, Request, of_element, of_part, reference};
use crate::ca::Identity;
use crate::encryption::{AES128_GCM, RSA_OAEP};
use crate::wire;

const AUTH: &[&str] = &["EBMS:0101", "EBMS:0103"];
const HEADER: &[&str] = &["EBMS:0009", "EBMS:0101", "EBMS:0103"];
const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";

/// The cases of this file.
pub fn cases() -> Vec<Case> {
    vec![
        case("SEC-01", sec01),
        case("SEC-02", sec02),
        case("SEC-03", sec03),
        case("SEC-04", sec04),
        case("SEC-05", sec05),
        case("SEC-06", sec06),
        case("SEC-07", sec07),
        case("SEC-08", sec08),
        case("SEC-09", sec09),
        case("SEC-10", sec10),
        case("SEC-11", sec11),
        case("SEC-12", sec12),
        case("SEC-13", sec13),
        case("SEC-14", sec14),
        case("SEC-15", sec15),
        case("SEC-16", sec16),
        case("SEC-17", sec17),
        case("SEC-18", sec18),
        case("SEC-19", sec19),
        case("SEC-20", sec20),
        case("SEC-21", sec21),
        case("SEC-22", sec22),
        case("SEC-23", sec23),
        case("SEC-24", sec24),
        case("SEC-25", sec25),
        case("SEC-26", sec26),
        case("SEC-27", sec27),
        case("SEC-28", sec28),
        case("SEC-29", sec29),
        case("SEC-32", sec32),
        case("SEC-33", sec33),
        case("SEC-34", sec34),
        case("SEC-35", sec35),
    ]
}

async fn sec01(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("signonly")?;
    ctx.refused(&forge.id, &forge.unsigned(), &["EBMS:0103"]).await.map(drop)
}

/// An honest signature without the reference of that number.
async fn without(ctx: &Ctx, number: usize) -> Result<()> {
    let forge = ctx.forge("signonly")?;
    let mut references = forge.references();
    references.remove(number);
    ctx.refused(&forge.id, &forge.signed_over(&references)?, AUTH).await.map(drop)
}

async fn sec02(ctx: Ctx) -> Result<()> {
    without(&ctx, 0).await
}

async fn sec03(ctx: Ctx) -> Result<()> {
    without(&ctx, 2).await
}

async fn sec04(ctx: Ctx) -> Result<()> {
    without(&ctx, 1).await
}

/// The same header with another recipient.
fn forged(forge: &Forge<'_>, ctx: &Ctx, id: &str) -> String {
    let recipient = ctx.endpoint.suite.final_recipient.rsplit("::").next().unwrap_or_default();
    let evil = forge.messaging.replace(recipient, "forged-recipient");
    evil.replace("wsu:Id=\"messaging\"", &format!("wsu:Id=\"{id}\""))
}

async fn sec05(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("signonly")?;
    let aside = format!("<x:Aside xmlns:x=\"urn:suite:aside\">{}</x:Aside>", forge.messaging);
    for id in ["evil", "messaging"] {
        let blocks = forged(&forge, &ctx, id) + &aside;
        let moved = forge.clone().enveloped(&forge.messaging, &blocks);
        ctx.refuses(&moved, HEADER).await?;
    }
    let object = format!("<ds:Object>{}</ds:Object></ds:Signature>", forge.messaging);
    let hidden = forge.clone().bent("</ds:Signature>", &object);
    let hidden = hidden.enveloped(&forge.messaging, &forged(&forge, &ctx, "evil"));
    ctx.refuses(&hidden, HEADER).await.map(drop)
}

async fn sec06(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("signonly")?;
    let twice = forge.messaging.clone() + &forged(&forge, &ctx, "second");
    ctx.refuses(&forge.clone().enveloped(&forge.messaging, &twice), &["EBMS:0009"]).await.map(drop)
}

async fn sec07(ctx: Ctx) -> Result<()> {
    for id in ["wsu:Id=\"messaging\"", "Id=\"messaging\""] {
        let forge = ctx.forge("signonly")?;
        let block =
            format!("<x:Other xmlns:x=\"urn:suite:other\" xmlns:wsu=\"{}\" {id}></x:Other>", as4::WSU);
        let doubled = forge.messaging.clone() + &block;
        ctx.refuses(&forge.clone().enveloped(&forge.messaging, &doubled), HEADER).await?;
    }
    Ok(())
}

/// An honest signature with one more reference.
async fn with_more(ctx: &Ctx, more: String, codes: &[&str]) -> Result<()> {
    let forge = ctx.forge("signonly")?;
    let mut references = forge.references();
    references.push(more);
    ctx.refused(&forge.id, &forge.signed_over(&references)?, codes).await.map(drop)
}

async fn sec08(ctx: Ctx) -> Result<()> {
    for uri in ["", "#xpointer(/)", "#xpointer(id('messaging'))", "http://127.0.0.1:9/x"] {
        with_more(&ctx, reference(uri, &[as4::C14N], b""), AUTH).await.with_context(|| uri.to_owned())?;
    }
    Ok(())
}

async fn sec09(ctx: Ctx) -> Result<()> {
    let transforms = [
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/2000/09/xmldsig#base64",
        "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
    ];
    for transform in transforms {
        let forge = ctx.forge("signonly")?;
        let mut references = forge.references();
        references[0] = reference("#messaging", &[transform, as4::C14N], forge.messaging.as_bytes());
        let request = forge.signed_over(&references)?;
        ctx.refused(&forge.id, &request, &["EBMS:0103"]).await.with_context(|| transform.to_owned())?;
    }
    Ok(())
}

async fn sec10(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("signonly")?;
    let mut references = forge.references();
    while references.len() < 31 {
        references.push(references[0].clone());
    }
    ctx.refused(&forge.id, &forge.signed_over(&references)?, HEADER).await.context("31 references")?;
    let forge = ctx.forge("signonly")?;
    let mut references = forge.references();
    references[0] = reference("#messaging", &[as4::C14N; 6], forge.messaging.as_bytes());
    ctx.refused(&forge.id, &forge.signed_over(&references)?, HEADER).await.context("6 transforms").map(drop)
}

/// The usual message in the name of a party that is known by authority and subject.
fn by<'c>(ctx: &'c Ctx, signer: &'c Identity) -> Result<Forge<'c>> {
    let forge = ctx.forge("signonly")?;
    let anchored = ctx.identity("anchored")?.certificate.subject_name();
    let name = anchored.entries_by_nid(openssl::nid::Nid::COMMONNAME).next().context("no CN")?;
    let name = name.data().to_string()?;
    let mut forge = forge
        .header(&format!(">{}</eb:PartyId>", ctx.endpoint.suite.party_id), &format!(">{name}</eb:PartyId>"));
    forge.signer = signer;
    Ok(forge)
}

async fn sec11(ctx: Ctx) -> Result<()> {
    let mut forge = ctx.forge("signonly")?;
    forge.signer = ctx.identity("other")?;
    ctx.refuses(&forge, &["EBMS:0101"]).await.context("for a pinned partner")?;
    ctx.refuses(&by(&ctx, ctx.identity("other")?)?, &["EBMS:0101"]).await.context("for an anchored one")?;
    // The measure: the right certificate is taken.
    ctx.receipted(&by(&ctx, ctx.identity("anchored")?)?).await.map(drop)
}

async fn sec12(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("signonly")?;
    let (right, _) = named(&ctx.suite.certificate, Form::Token, "X509-1")?;
    let (wrong, _) = named(&ctx.identity("other")?.certificate, Form::Token, "X509-1")?;
    ctx.refuses(&forge.bent(&right, &wrong), &["EBMS:0101"]).await.context("another token")?;
    let mut forge = ctx.forge("signonly")?;
    forge.signer = ctx.identity("other")?;
    let (token, info) = named(&ctx.identity("other")?.certificate, Form::Token, "X509-1")?;
    let (_, ski) = named(&ctx.suite.certificate, Form::Ski, "")?;
    let dressed = forge.bent(&info, &ski).bent(&token, &token);
    ctx.refuses(&dressed, &["EBMS:0101"]).await.context("another's signature under our SKI").map(drop)
}

async fn sec13(ctx: Ctx) -> Result<()> {
    ctx.refuses(&by(&ctx, ctx.identity("stranger")?)?, &["EBMS:0101"]).await.map(drop)
}

async fn sec14(ctx: Ctx) -> Result<()> {
    ctx.refuses(&by(&ctx, ctx.identity("expired")?)?, &["EBMS:0101"]).await.context("expired")?;
    ctx.refuses(&by(&ctx, ctx.identity("wrong-usage")?)?, &["EBMS:0101"]).await.context("wrong key usage")?;
    match ctx.identities.get("revoked") {
        Some(revoked) => ctx.refuses(&by(&ctx, revoked)?, &["EBMS:0101"]).await.context("revoked").map(drop),
        None => Ok(()),
    }
}

async fn sec15(ctx: Ctx) -> Result<()> {
    let bends = [
        (as4::RSA_SHA256.to_owned(), format!("{DSIG}rsa-sha1")),
        (format!("{XENC}sha256"), format!("{DSIG}sha1")),
    ];
    for (from, to) in bends {
        let forge = ctx.forge("signonly")?.bent(&from, &to);
        ctx.refuses(&forge, &["EBMS:0103"]).await.with_context(|| to.clone())?;
    }
    ctx.refuses(&by(&ctx, ctx.identity("weak")?)?, &["EBMS:0103"]).await.context("RSA of 1024 bits").map(drop)
}

async fn sec16(ctx: Ctx) -> Result<()> {
    let bends = [
        (AES128_GCM, format!("{XENC}aes128-cbc")),
        (AES128_GCM, format!("{XENC}tripledes-cbc")),
        (RSA_OAEP, format!("{XENC}rsa-1_5")),
        (RSA_OAEP, format!("{XENC}rsa-oaep-mgf1p")),
    ];
    for (from, to) in bends {
        let forge = ctx.forge("oneway")?.bent(from, &to);
        ctx.refuses(&forge, &["EBMS:0103"]).await.with_context(|| to.clone())?;
    }
    Ok(())
}

async fn sec17(ctx: Ctx) -> Result<()> {
    let mut words = Vec::new();
    for case in ["ciphertext", "tag", "wrapped key"] {
        let forge = ctx.forge("oneway")?;
        let (envelope, mut parts) = forge.pieces(&forge.references())?;
        let octets = &mut parts[0].octets;
        let (middle, last) = (octets.len() / 2, octets.len() - 1);
        let mut text = envelope;
        match case {
            "ciphertext" => octets[middle] ^= 1,
            "tag" => octets[last] ^= 1,
            _ => text = flipped(&text)?,
        }
        let reply = ctx.refused(&forge.id, &Request::multipart(&text, &parts), &["EBMS:0102"]).await;
        let reply = reply.with_context(|| case.to_owned())?;
        let error =
            reply.body.split(":Error ").nth(1).and_then(|e| e.split(":Error>").next()).unwrap_or_default();
        words.push(error.replace(&forge.id, ""));
    }
    ensure!(words.windows(2).all(|pair| pair[0] == pair[1]), "the failures can be told apart: {words:?}");
    Ok(())
}

/// Another octet in the middle of the wrapped key.
fn flipped(envelope: &str) -> Result<String> {
    let at = envelope.find("<xenc:CipherValue>").context("no wrapped key")? + "<xenc:CipherValue>".len() + 40;
    let other = if &envelope[at..=at] == "A" { "B" } else { "A" };
    Ok(format!("{}{other}{}", &envelope[..at], &envelope[at + 1..]))
}

async fn sec18(ctx: Ctx) -> Result<()> {
    let mut message = ctx.message("oneway")?;
    message.parts = vec![Part::compressed(&message.parts[0].cid, gzip(&b"octets".repeat(50))?)];
    let forge = ctx.forge_of("oneway", &message)?;
    // A handler that believes the attribute canonicalises a gzip as XML; one that does not takes the message as it is.
    let bent = forge.bent("MimeType=\"application/octet-stream\"", "MimeType=\"text/xml\"");
    let reply = ctx.send(&bent.request()?).await?;
    let safe = reply.is_receipt() || reply.codes().iter().any(|code| AUTH.contains(code));
    ensure!(safe && reply.status < 500, "HTTP {}: {}", reply.status, reply.body);
    Ok(())
}

/// A message of two parts.
fn pair<'c>(ctx: &'c Ctx, pmode: &str) -> Result<Forge<'c>> {
    let mut message = ctx.message(pmode)?;
    let second = Part::new(&message.parts[0].cid.replacen("-1@", "-2@", 1), b"the other part");
    message.parts.push(second);
    ctx.forge_of(pmode, &message)
}

async fn sec19(ctx: Ctx) -> Result<()> {
    let forge = pair(&ctx, "oneway")?;
    let (envelope, mut parts) = forge.pieces(&forge.references())?;
    let (first, second) = (parts[0].octets.clone(), parts[1].octets.clone());
    (parts[0].octets, parts[1].octets) = (second, first);
    let swapped = Request::multipart(&envelope, &parts);
    ctx.refused(&forge.id, &swapped, &["EBMS:0101", "EBMS:0102"]).await.context("swapped parts")?;
    let forge = pair(&ctx, "oneway")?;
    let uri = |n: usize| format!("<xenc:CipherReference URI=\"cid:{}\">", forge.parts[n].cid);
    let (one, two) = (uri(0), uri(1));
    ctx.refuses(&forge.clone().bent(&one, &two), &["EBMS:0009", "EBMS:0101", "EBMS:0102"])
        .await
        .context("CipherReference")
        .map(drop)
}

async fn sec20(ctx: Ctx) -> Result<()> {
    for encoded in [false, true] {
        let forge = ctx.forge("signonly")?;
        let (envelope, mut parts) = forge.pieces(&forge.references())?;
        let mut again = parts[0].clone();
        if encoded {
            again.cid = again.cid.replace('@', "%40");
        }
        parts.push(again);
        let request = Request::multipart(&envelope, &parts);
        ctx.refused(&forge.id, &request, &["EBMS:0007", "EBMS:0011"])
            .await
            .with_context(|| format!("encoded: {encoded}"))?;
    }
    Ok(())
}

async fn sec21(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("signonly")?;
    let (envelope, _) = forge.pieces(&forge.references())?;
    let missing = Request::multipart(&envelope, &[]);
    ctx.refused(&forge.id, &missing, &["EBMS:0011"]).await.context("no such part")?;
    let info = |m: &str| {
        m.split("<eb:PartInfo")
            .nth(1)
            .and_then(|i| i.split("</eb:PayloadInfo>").next())
            .map(|i| format!("<eb:PartInfo{i}"))
    };
    let forge = ctx.forge("signonly")?;
    let info = info(&forge.messaging).context("no PartInfo")?;
    let twice = forge.header("</eb:PayloadInfo>", &format!("{info}</eb:PayloadInfo>"));
    ctx.refuses(&twice, &["EBMS:0003", "EBMS:0009", "EBMS:0011"]).await.context("listed twice").map(drop)
}

async fn sec22(ctx: Ctx) -> Result<()> {
    let bait = std::net::TcpListener::bind("127.0.0.1:0")?;
    bait.set_nonblocking(true)?;
    let url = format!("http://{}/x", bait.local_addr()?);
    let nested = "<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\">";
    let types = [
        "<!DOCTYPE x>".to_owned(),
        format!("<!DOCTYPE x SYSTEM \"{url}\">"),
        format!("<!DOCTYPE x [<!ENTITY e SYSTEM \"{url}\">]>"),
        format!("<!DOCTYPE x [{nested}]>"),
    ];
    for dtd in types {
        let forge = ctx.forge("signonly")?.enveloped("?>\n", &format!("?>\n{dtd}\n"));
        ctx.refuses(&forge, &["EBMS:0009", "4xx"]).await.with_context(|| dtd.clone())?;
    }
    ensure!(bait.accept().is_err(), "the endpoint connected to the URL");
    Ok(())
}

/// An XML payload that is digested in its canonical form must be parsed, so it must not be believed.
async fn sec23(ctx: Ctx) -> Result<()> {
    let bait = std::net::TcpListener::bind("127.0.0.1:0")?;
    bait.set_nonblocking(true)?;
    let url = format!("http://{}/x", bait.local_addr()?);
    for dtd in
        [format!("<!DOCTYPE a SYSTEM \"{url}\">"), format!("<!DOCTYPE a [<!ENTITY e SYSTEM \"{url}\">]>")]
    {
        let mut message = ctx.message("signonly")?;
        message.parts[0].octets = format!("{dtd}<a>&e;</a>").into_bytes();
        message.parts[0].media_type = "text/xml".into();
        let forge = ctx.forge_of("signonly", &message)?;
        ctx.refuses(&forge, &["EBMS:0009", "EBMS:0101", "EBMS:0103"]).await?;
    }
    ensure!(bait.accept().is_err(), "the endpoint connected to the URL");
    Ok(())
}

async fn sec24(ctx: Ctx) -> Result<()> {
    let small = gzip(b"small")?;
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let megabyte = vec![0; 1 << 20];
    for _ in 0..200 {
        bomb.write_all(&megabyte)?;
    }
    let cases = [
        ("a bomb", bomb.finish()?),
        ("several members", [&small[..], &small[..]].concat()),
        ("trailing garbage", [&small[..], b"garbage"].concat()),
    ];
    for (name, octets) in cases {
        let mut message = ctx.message("signonly")?;
        message.parts = vec![Part::compressed(&message.parts[0].cid, octets)];
        let forge = ctx.forge_of("signonly", &message)?;
        ctx.refuses(&forge, &["EBMS:0303"]).await.with_context(|| name.to_owned())?;
    }
    Ok(())
}

async fn sec25(ctx: Ctx) -> Result<()> {
    let codes = &["EBMS:0007", "EBMS:0011", "4xx"];
    let forge = ctx.forge("signonly")?;
    let (envelope, parts) = forge.pieces(&forge.references())?;
    let many: Vec<_> =
        (0..10_000).map(|n| Part::new(&format!("{n}@suite"), b"x")).chain(parts.clone()).collect();
    ctx.refused(&forge.id, &Request::multipart(&envelope, &many), codes).await.context("10 000 parts")?;
    let mut long = parts.clone();
    long[0].media_type = format!("application/octet-stream; x=\"{}\"", "x".repeat(1 << 20));
    ctx.refused(&forge.id, &Request::multipart(&envelope, &long), codes).await.context("a header of 1 MB")?;
    let mut open = Request::multipart(&envelope, &parts);
    open.body.truncate(open.body.len() - 6);
    ctx.refused(&forge.id, &open, codes).await.context("no closing boundary").map(drop)
}

async fn sec26(ctx: Ctx) -> Result<()> {
    let deep = format!("{}{}", "<a>".repeat(10_000), "</a>".repeat(10_000));
    let many: String = (0..100_000).map(|n| format!(" a{n}=\"\"")).collect();
    for (name, block) in [("depth", deep), ("attributes", format!("<a{many}></a>"))] {
        let forge = ctx.forge("signonly")?;
        let blocks = forge.messaging.clone() + &format!("<x:X xmlns:x=\"urn:suite:x\">{block}</x:X>");
        let forge = forge.clone().enveloped(&forge.messaging, &blocks);
        ctx.refuses(&forge, &["EBMS:0009", "4xx"]).await.with_context(|| name.to_owned())?;
    }
    Ok(())
}

async fn sec27(ctx: Ctx) -> Result<()> {
    let (to, plain) = (ctx.endpoint.address, ctx.endpoint.plain);
    let forge = ctx.forge("signonly")?;
    let octets = forge.request()?.octets(&to.to_string());
    let begun = Instant::now();
    // The head and the beginning of the body, then one octet a second: whoever waits for ever holds a connection for ever.
    let silent = octets[..octets.len() / 2].to_vec();
    let limit = Duration::from_secs(45);
    let ended = tokio::task::spawn_blocking(move || wire::until_closed(to, plain, &silent, limit)).await??;
    ensure!(ended, "still open after {:?}", begun.elapsed());
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: suite\r\nContent-Type: application/soap+xml\r\nTransfer-Encoding: chunked\r\n\r\n\
         ffffffffffffffff\r\n<a/>\r\n",
        ctx.endpoint.path
    );
    let ended =
        tokio::task::spawn_blocking(move || wire::until_closed(to, plain, head.as_bytes(), limit)).await??;
    ensure!(ended, "still open after a huge chunk size");
    ctx.undelivered(&forge.id).await
}

async fn sec28(ctx: Ctx) -> Result<()> {
    let bait = std::net::TcpListener::bind("127.0.0.1:0")?;
    bait.set_nonblocking(true)?;
    let url = format!("http://{}/internal", bait.local_addr()?);
    let forge = ctx.forge("signonly")?;
    let reply_to = format!(
        "<wsa:ReplyTo xmlns:wsa=\"http://www.w3.org/2005/08/addressing\"><wsa:Address>{url}</wsa:Address></wsa:ReplyTo>"
    );
    let blocks = forge.messaging.clone() + &reply_to;
    let _ = ctx.send(&forge.clone().enveloped(&forge.messaging, &blocks).request()?).await?;
    let forge = ctx.forge("signonly")?;
    let cid = format!("href=\"cid:{}\"", forge.parts[0].cid);
    let mut forge = forge.header(&cid, &format!("href=\"{url}\""));
    forge.parts.clear();
    ctx.refuses(&forge, &["EBMS:0011"]).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    ensure!(bait.accept().is_err(), "the endpoint connected to an address that a message named");
    Ok(())
}

async fn sec29(ctx: Ctx) -> Result<()> {
    let mut forge = ctx.forge("signonly")?;
    forge.timestamp = Some(("2020-01-01T00:00:00Z".into(), "2020-01-01T00:05:00Z".into()));
    ctx.refuses(&forge, AUTH).await.map(drop)
}

async fn sec32(ctx: Ctx) -> Result<()> {
    let other = ctx.forge("signonly")?.bent(
        "<wsse:Security ",
        &format!("<wsse:Security xmlns:env=\"{}\" env:role=\"urn:suite:another-node\" ", as4::ENV),
    );
    ctx.refuses(&other, HEADER).await.context("another node's")?;
    let second = as4::security_around("");
    let two = ctx.forge("signonly")?.enveloped("</wsse:Security>", &format!("</wsse:Security>{second}"));
    ctx.refuses(&two, HEADER).await.context("two of them").map(drop)
}

async fn sec33(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("signonly")?;
    let block = "<x:Must xmlns:x=\"urn:suite:must\" env:mustUnderstand=\"true\"></x:Must>";
    let blocks = forge.messaging.clone() + block;
    let request = forge.clone().enveloped(&forge.messaging, &blocks).request()?;
    let reply = ctx.send(&request).await?;
    let fault = reply.body.contains("MustUnderstand");
    ensure!(fault || reply.codes() == ["EBMS:0009"], "HTTP {}: {}", reply.status, reply.body);
    ctx.undelivered(&forge.id).await
}

async fn sec34(ctx: Ctx) -> Result<()> {
    let eleven = "http://schemas.xmlsoap.org/soap/envelope/";
    let forge = ctx.forge("signonly")?;
    let (envelope, parts) = forge.pieces(&forge.references())?;
    let request = Request::multipart(&envelope.replace(as4::ENV, eleven), &parts);
    ctx.refused(&forge.id, &request, &["EBMS:0009", "EBMS:0007", "4xx"])
        .await
        .context("under the type of 1.2")?;
    let body = String::from_utf8_lossy(&request.body).replace("application/soap+xml", "text/xml");
    let kind = request.headers[0].1.replace("application/soap+xml", "text/xml");
    let request = Request::post(&kind, body);
    ctx.refused(&forge.id, &request, &["EBMS:0009", "EBMS:0007", "4xx"])
        .await
        .context("as text/xml")
        .map(drop)
}

async fn sec35(ctx: Ctx) -> Result<()> {
    let forge = ctx.forge("signonly")?;
    let (_, info) = named(&forge.signer.certificate, Form::Token, "X509-1")?;
    let references = [of_element("messaging", &forge.messaging), of_part(&forge.parts[0])];
    let second = as4::signature(forge.signer, &references, &info)?;
    let twice = forge.bent("</wsse:Security>", &format!("{second}</wsse:Security>"));
    ctx.refuses(&twice, HEADER).await.context("a second Signature")?;
    let forge = ctx.forge("oneway")?;
    let (envelope, parts) = forge.pieces(&forge.references())?;
    let key =
        envelope.split("<xenc:EncryptedKey ").nth(1).and_then(|k| k.split("</xenc:EncryptedKey>").next());
    let key = key.context("no EncryptedKey")?.replace("EK-1", "EK-2");
    let twice = envelope.replacen(
        "<xenc:EncryptedKey ",
        &format!("<xenc:EncryptedKey {key}</xenc:EncryptedKey><xenc:EncryptedKey "),
        1,
    );
    let request = Request::multipart(&twice, &parts);
    ctx.refused(&forge.id, &request, &["EBMS:0009", "EBMS:0101", "EBMS:0102", "EBMS:0103"])
        .await
        .context("a second EncryptedKey")
        .map(drop)
}
