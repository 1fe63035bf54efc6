//! D: eDelivery AS4 2.0, under Ed25519 and X25519 and under the alternative elliptic curves.

use anyhow::{Context as _, Result, ensure};
use openssl::x509::X509;
use serde_json::json;

use super::super::agreement::{X25519_INFO, base64};
use super::super::capture::{Opened, gzip};
use super::super::context::{Ctx, part, xml};
use super::super::forge::{Form, TOKENS};
use super::super::verdict::skip;
use super::common::{test_message, with_parts};
use super::{Case, case};
use crate::as4::{EDDSA, Part};
use crate::http;

/// The P-Modes of the alternative curves.
const CURVES: [&str; 4] = ["ec-p256", "ec-p384", "ec-p521", "ec-brainpool-p256"];

/// The cases of this file.
pub fn cases() -> Vec<Case> {
    vec![
        case("E20-01", signature),
        case("E20-02", other_signatures),
        case("E20-03", encrypted_key),
        case("E20-04", originator_key),
        case("E20-05", fresh_keys),
        case("E20-06", recipient_forms),
        case("E20-07", optional_parameters),
        case("E20-08", small_order),
        case("E20-09", other_function),
        case("E20-10", issuers),
        case("E20-11", path_token),
        case("E20-12", curves),
        case("E20-13", curves_not_agreed),
        case("E20-14", both_generations),
        case("E20-15", super::tls::old_versions),
        case("E20-TC00", super::tls::reachable),
        case("E20-TC01", minimal),
        case("E20-TC02", one_payload),
        case("E20-TC03", two_payloads),
    ]
}

fn letter() -> Vec<http::Part> {
    vec![part("letter@suite", "application/xml", xml("letter"))]
}

/// The usual message of the endpoint, decrypted and verified by the keys of 2.0: `sends` judges SignatureMethod, references,
/// and every name in EncryptedKey.
async fn sent(ctx: &Ctx) -> Result<Opened> {
    Ok(ctx.sends("eddsa", letter()).await?.0)
}

async fn signature(ctx: Ctx) -> Result<()> {
    let signature = sent(&ctx).await?;
    let signature = signature.envelope.first("Signature")?;
    let method = signature.first("SignatureMethod")?.attribute("Algorithm").unwrap_or_default();
    let value = base64(signature.first("SignatureValue")?)?;
    ensure!(method == EDDSA && value.len() == 64, "{method} with {} octets", value.len());
    Ok(())
}

async fn other_signatures(ctx: Ctx) -> Result<()> {
    for signer in [&ctx.suite, &ctx.keys("ec-p256")?.sign] {
        let mut forge = ctx.forge("eddsa")?;
        forge.signer = signer;
        ctx.refuses(&forge, &["EBMS:0103"]).await.with_context(|| format!("{:?}", signer.key.id()))?;
    }
    Ok(())
}

async fn encrypted_key(ctx: Ctx) -> Result<()> {
    let opened = sent(&ctx).await?;
    let method = opened.envelope.first("EncryptedData")?.first("EncryptionMethod")?.attribute("Algorithm");
    ensure!(method == Some(crate::encryption::AES128_GCM), "encrypted by {method:?}");
    ensure!(opened.envelope.all("EncryptedKey").len() == 1, "one EncryptedKey is for all parts");
    ensure!(
        opened.envelope.first("AgreementMethod")?.child("RecipientKeyInfo").is_some(),
        "RecipientKeyInfo"
    );
    Ok(())
}

async fn originator_key(ctx: Ctx) -> Result<()> {
    let opened = sent(&ctx).await?;
    let key = base64(opened.envelope.first("OriginatorKeyInfo")?.first("DEREncodedKeyValue")?)?;
    ensure!(key.len() == 44 && key.starts_with(&X25519_INFO), "the key is {key:02x?}");
    Ok(())
}

async fn fresh_keys(ctx: Ctx) -> Result<()> {
    let (one, two) = (sent(&ctx).await?, sent(&ctx).await?);
    let ephemeral = |of: &Opened| of.envelope.first("OriginatorKeyInfo").map(|info| info.text());
    ensure!(ephemeral(&one)? != ephemeral(&two)?, "the same ephemeral key twice");
    let owner = &ctx.keys("eddsa")?.decrypt;
    ensure!(one.content_key(owner)? != two.content_key(owner)?, "the same content key twice");
    Ok(())
}

async fn recipient_forms(ctx: Ctx) -> Result<()> {
    for form in [Form::Ski, Form::Token] {
        let mut forge = ctx.forge("eddsa")?;
        forge.forms.1 = form;
        ctx.delivered(&forge).await.with_context(|| format!("RecipientKeyInfo by {form:?}"))?;
    }
    Ok(())
}

async fn optional_parameters(ctx: Ctx) -> Result<()> {
    for what in ["Salt", "Info", "KeyLength"] {
        let mut forge = ctx.forge("eddsa")?;
        forge.agreement.info = Some(b"eDelivery AS4 2.0".to_vec());
        match what {
            "Salt" => forge.agreement.salt = None,
            "Info" => forge.agreement.info = None,
            _ => forge.agreement.key_length = None,
        }
        ctx.delivered(&forge).await.with_context(|| format!("without {what}"))?;
    }
    Ok(())
}

async fn small_order(ctx: Ctx) -> Result<()> {
    let mut forge = ctx.forge("eddsa")?;
    forge.agreement.small_order = true;
    ctx.refuses(&forge, &["EBMS:0102"]).await.map(drop)
}

async fn other_function(ctx: Ctx) -> Result<()> {
    let mut forge = ctx.forge("eddsa")?;
    forge.agreement.prf = forge.agreement.prf.replace("sha256", "sha512");
    ctx.refuses(&forge, &["EBMS:0103"]).await.map(drop)
}

async fn issuers(ctx: Ctx) -> Result<()> {
    for name in ["eddsa-by-rsa", "eddsa-by-ecdsa", "eddsa-by-eddsa"] {
        let mut forge = ctx.forge("eddsa-chains")?;
        forge.signer = ctx.identity(name)?;
        ctx.receipted(&forge).await.with_context(|| name.to_owned())?;
    }
    Ok(())
}

async fn path_token(ctx: Ctx) -> Result<()> {
    for form in [Form::Path, Form::Token] {
        let mut forge = ctx.forge("eddsa")?;
        forge.forms.0 = form;
        ctx.receipted(&forge).await.with_context(|| format!("our {form:?}"))?;
    }
    if !ctx.desk.submits() {
        return Ok(());
    }
    let opened = sent(&ctx).await?;
    let reference = opened.envelope.first("Signature")?.first("SecurityTokenReference")?;
    let kind = format!("{TOKENS}#X509PKIPathv1");
    ensure!(reference.attribute("TokenType") == Some(&kind), "{:?}", reference.attribute("TokenType"));
    let uri = reference.first("Reference")?.attribute("URI").unwrap_or_default().trim_start_matches('#');
    let token = opened.envelope.by_id(uri).context("no token")?;
    ensure!(token.attribute("ValueType") == Some(&kind), "the token is {:?}", token.attribute("ValueType"));
    // SEQUENCE OF Certificate, the signer's last.
    let (path, signer) = (base64(token)?, ctx.keys("eddsa")?.signer.to_der()?);
    ensure!(path.first() == Some(&0x30) && path.ends_with(&signer), "the signer does not end the path");
    ensure!(X509::from_der(&path).is_err(), "a certificate in the place of a path");
    Ok(())
}

/// Both directions under each curve; `sends` opens with the suite's key on that curve.
async fn curves(ctx: Ctx) -> Result<()> {
    for pmode in CURVES {
        ctx.delivered(&ctx.forge(pmode)?).await.with_context(|| format!("{pmode}, received"))?;
        if ctx.desk.submits() {
            ctx.sends(pmode, letter()).await.with_context(|| format!("{pmode}, sent"))?;
        }
    }
    Ok(())
}

async fn curves_not_agreed(ctx: Ctx) -> Result<()> {
    let ec = ctx.keys("ec-p256")?;
    let mut signed = ctx.forge("eddsa")?;
    signed.signer = &ec.sign;
    ctx.refuses(&signed, &["EBMS:0103"]).await.context("a signature")?;
    let mut encrypted = ctx.forge("eddsa")?;
    encrypted.recipient = Some(ec.certificate.clone());
    ctx.refuses(&encrypted, &["EBMS:0103"]).await.context("a key agreement").map(drop)
}

async fn both_generations(ctx: Ctx) -> Result<()> {
    let (old, new) = (ctx.forge("oneway")?, ctx.forge("eddsa")?);
    let (old, new) = tokio::join!(ctx.delivered(&old), ctx.delivered(&new));
    old.context("1.15, received")?;
    new.context("2.0, received")?;
    if !ctx.desk.submits() {
        return Ok(());
    }
    let (old, new) = tokio::join!(ctx.sends("oneway", letter()), ctx.sends("eddsa", letter()));
    old.context("1.15, sent")?;
    new.context("2.0, sent").map(drop)
}

async fn minimal(ctx: Ctx) -> Result<()> {
    if !ctx.endpoint.party_type.starts_with("urn:oasis:names:tc:ebcore:partyid-type:unregistered") {
        return skip("the endpoint's parties are of another type than the event's");
    }
    let mut message = test_message(&ctx, "eddsa")?;
    message.parts.clear();
    let forge = ctx.forge_of("eddsa", &message)?;
    ctx.receipted(&forge).await?;
    ctx.undelivered(&forge.id).await
}

async fn one_payload(ctx: Ctx) -> Result<()> {
    let octets = xml("nomination");
    let forge = with_parts(&ctx, "eddsa", std::slice::from_ref(&octets))?;
    ctx.delivers(&forge, &[&octets]).await.map(drop)
}

async fn two_payloads(ctx: Ctx) -> Result<()> {
    let octets = [xml("response"), crate::encryption::random::<5000>()?.to_vec()];
    let mut message = ctx.message("eddsa")?;
    message.parts = vec![
        Part::compressed(&format!("1-{}", message.id), gzip(&octets[0])?),
        Part::new(&format!("2-{}", message.id), &octets[1]),
    ];
    let forge = ctx.forge_of("eddsa", &message)?;
    ctx.delivers(&forge, &[&octets[0], &octets[1]]).await?;
    if !ctx.desk.submits() {
        return Ok(());
    }
    let parts = vec![
        part("1@suite", "application/xml", octets[0].clone()),
        part("2@suite", "application/octet-stream", octets[1].clone()),
    ];
    let sent = ctx.submit("eddsa", parts, None, json!({})).await?;
    let (_, payloads) = ctx.opened("eddsa", &ctx.captured(&sent).await?)?;
    ensure!(payloads.iter().map(|p| &p.octets).eq(&octets), "other octets were sent");
    ctx.settled(&sent).await.map(drop)
}
