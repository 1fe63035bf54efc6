//! A and C: the endpoint looks its partner up; the suite is SML, SMP and access point.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use openssl::nid::Nid;
use serde_json::{Value, json};

use super::super::context::{Ctx, part, xml};
use super::super::receiver::receipt;
use super::super::registry::DEAD;
use super::{Case, case};
use crate::ca::Identity;
use crate::http;

/// The cases of this file.
pub fn cases() -> Vec<Case> {
    vec![case("AS4_DS_TA01", found), case("AS4_DS_TA03", another_key), case("E115-18", not_found)]
}

fn letter() -> Vec<http::Part> {
    vec![part("letter@suite", "application/xml", xml("letter"))]
}

/// CN of a certificate.
pub(super) fn common_name(identity: &Identity) -> Result<String> {
    let name = identity.certificate.subject_name();
    Ok(name.entries_by_nid(Nid::COMMONNAME).next().context("no CN")?.data().to_string()?)
}

async fn found(ctx: Ctx) -> Result<()> {
    let owner = ctx.identity("found")?;
    let script = receipt(&Arc::new(owner.clone()));
    let sent = ctx.submit_found("found", letter(), script, json!({})).await?;
    let opened = ctx.captured(&sent).await?.open()?;
    let payloads = opened.payloads(owner).context("by the key of the published certificate")?;
    opened.verify(&ctx.certificate, &payloads)?;
    let to = opened.user_message()?.first("To")?.first("PartyId")?.text();
    ensure!(to == common_name(owner)?, "To/PartyId is {to}");
    ctx.settled(&sent).await.map(drop)
}

/// The access point signs by another key than the one that is published for it.
async fn another_key(ctx: Ctx) -> Result<()> {
    let script = receipt(&Arc::new(ctx.identity("other")?.clone()));
    let sent = ctx.submit_found("found", letter(), script, json!({})).await?;
    ctx.captured(&sent).await?;
    let told = |status: &Value| status["messages"].to_string().contains("EBMS:0302");
    let status = ctx.desk.until(&sent.id, Duration::from_secs(20), told).await?;
    ensure!(!super::super::context::receipted(&status), "it counts as receipted: {status}");
    Ok(())
}

/// Nobody of that name, and an SMP that is away: the producer is told why, and nothing is sent.
async fn not_found(ctx: Ctx) -> Result<()> {
    for (name, failed) in [("nobody", true), (DEAD, false)] {
        let sent = ctx.submit_found(name, letter(), receipt(&ctx.suite), json!({})).await?;
        let told = |status: &Value| {
            let why = status["messages"][0]["detail"].as_str().or(status["evidence"][0]["reason"].as_str());
            (status["state"] == "failed" || !failed) && why.is_some_and(|why| !why.is_empty())
        };
        ctx.desk.until(&sent.id, Duration::from_secs(30), told).await.with_context(|| name.to_owned())?;
        let came = ctx.receiver()?.captures(&sent.key).len();
        ensure!(came == 0, "{came} messages of {name} were sent");
    }
    Ok(())
}
