//! Revocation on live nodes, against a real list server and OpenSSL's responder: revoked, expired, unreachable, tampered and
//! unknown are different things, a restart needs nobody, and no message waits for what could be had earlier.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use conformance::as4::seal;
use conformance::ca::{Authority, Identity, List, Pointers, Purpose};
use conformance::http::{self, multipart};
use conformance::node::{free, tilts_binary};
use conformance::probe::{Probe, SENDER, clear_parts};
use conformance::revocation::{ListServer, Responder, Says};
use conformance::wire::Reply;
use conformance::world::{AccessPoint, ENVELOPE, PARTY_TYPE, PROCESS, World, party_id};
use hyper::Method;
use serde_json::json;

/// A node whose domain has `authority` for access points, under a rule.
async fn probe(authority: &Authority, rule: &str) -> Result<Probe> {
    Probe::with(|config| {
        clear_parts(config)?;
        authority.write_pem(&config.with_file_name("publishing.pem"))?;
        let text = fs::read_to_string(config)?;
        let changed = text.replacen(
            "ap_trust = \"../ca/ap.pem\"",
            &format!("ap_trust = \"publishing.pem\"\nrevocation = \"{rule}\""),
            1,
        );
        ensure!(changed != text, "the configuration has no ap_trust");
        Ok(fs::write(config, changed)?)
    })
    .await
}

async fn publishing(server: &ListServer) -> Result<Authority> {
    let list = Some(server.url());
    Ok(Authority::new("publishing authority")?.publishing(Pointers { list, responder: None }))
}

fn peer(authority: &Authority) -> Result<Identity> {
    authority.issue(&party_id("peer"), 2048, Purpose::Message)
}

async fn send(probe: &Probe, signer: &Identity) -> Result<Reply> {
    probe.send(&seal(&probe.message(), signer)?.request()).await
}

async fn taken(probe: &Probe, case: &str, signer: &Identity) -> Result<()> {
    let reply = send(probe, signer).await.context(case.to_owned())?;
    ensure!(reply.is_receipt(), "{case}: HTTP {} {}", reply.status, reply.body);
    Ok(())
}

/// The peer is asked to come again, learns nothing else, and the operator reads why.
async fn put_off(probe: &Probe, case: &str, signer: &Identity, word: &str) -> Result<()> {
    let reply = send(probe, signer).await.context(case.to_owned())?;
    ensure!(reply.status == 503, "{case}: HTTP {} {}", reply.status, reply.body);
    ensure!(reply.header("retry-after").is_some(), "{case}: without Retry-After");
    ensure!(reply.codes() == ["EBMS:0202"] && reply.is_signed(), "{case}: {}", reply.body);
    ensure!(!reply.body.contains("revocation"), "{case}: {}", reply.body);
    let rejected = probe.rejected().await?;
    let reason = rejected.first().map(ToString::to_string).unwrap_or_default();
    ensure!(reason.contains(word), "{case}: the reason does not say {word:?}: {reason}");
    probe.nothing_left().await.context(case.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_signer_is_refused_and_a_good_one_taken_from_the_first_message_on() -> Result<()> {
    let server = ListServer::start().await?;
    let authority = publishing(&server).await?;
    let (good, bad) = (peer(&authority)?, peer(&authority)?);
    server.say(Says::List(authority.revocation_list(&[&bad], List::default())?));
    for rule in ["require", "soft"] {
        let before = server.asked();
        let probe = probe(&authority, rule).await?;
        probe.refused(rule, &seal(&probe.message(), &bad)?.request(), "EBMS:0101", "revoked since").await?;
        taken(&probe, rule, &good).await?;
        ensure!(server.asked() == before + 1, "{rule}: asked {} times", server.asked() - before);
    }
    let probe = probe(&authority, "off").await?;
    let before = server.asked();
    taken(&probe, "off", &bad).await?;
    ensure!(server.asked() == before, "somebody was asked");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_told_is_put_off_or_noted_by_rule() -> Result<()> {
    let past = List { from: -7200, to: -3600 };
    let strangers = Authority::new("publishing authority")?;
    for case in ["unreachable", "expired", "tampered", "another's", "nonsense"] {
        let server = ListServer::start().await?;
        let authority = publishing(&server).await?;
        let signer = peer(&authority)?;
        let (says, word) = match case {
            "unreachable" => (Says::Nothing, "404"),
            "expired" => (Says::List(authority.revocation_list(&[], past)?), "in force until"),
            "tampered" => {
                let mut list = authority.revocation_list(&[], List::default())?;
                *list.last_mut().context("empty")? ^= 1;
                (Says::List(list), "signature")
            }
            "another's" => (Says::List(strangers.revocation_list(&[], List::default())?), "signature"),
            _ => (Says::List(b"<html>sorry</html>".to_vec()), "CRL"),
        };
        server.say(says);
        put_off(&probe(&authority, "require").await?, case, &signer, word).await?;
        taken(&probe(&authority, "soft").await?, case, &signer).await?;
    }
    let silent = Authority::new("authority that publishes nothing")?;
    let signer = peer(&silent)?;
    put_off(&probe(&silent, "require").await?, "no list", &signer, "names no revocation list").await?;
    taken(&probe(&silent, "soft").await?, "no list", &signer).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_and_a_hanging_list_server_delay_nobody() -> Result<()> {
    let server = ListServer::start().await?;
    let authority = publishing(&server).await?;
    let (good, bad) = (peer(&authority)?, peer(&authority)?);
    server.say(Says::List(authority.revocation_list(&[&bad], List::default())?));
    let mut probe = probe(&authority, "require").await?;
    taken(&probe, "first", &good).await?;
    server.say(Says::Hangs);
    probe.node.node.stop().await?;
    probe.node.node.start().await?;
    let begun = Instant::now();
    taken(&probe, "after a restart", &good).await?;
    let reply = send(&probe, &bad).await?;
    ensure!(reply.codes() == ["EBMS:0101"], "after a restart: {}", reply.body);
    ensure!(begun.elapsed() < Duration::from_secs(4), "it took {:?}", begun.elapsed());
    // What was kept is asked for again in the background; nobody waited for the answer that does not come.
    ensure!(server.asked() == 2, "asked {} times", server.asked());
    // Whatever somebody did to the files in between is not believed.
    probe.node.node.stop().await?;
    let kept = conformance::probe::files(&probe.world.root.join("node/data/revocation"))?;
    ensure!(kept.len() == 1, "{kept:?}");
    let mut octets = fs::read(&kept[0])?;
    *octets.last_mut().context("empty")? ^= 1;
    fs::write(&kept[0], octets)?;
    server.say(Says::Nothing);
    probe.node.node.start().await?;
    let reply = send(&probe, &good).await?;
    ensure!(reply.status == 503 && !reply.is_receipt(), "a bent file was believed: {}", reply.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn openssls_responder_is_asked_where_there_is_no_list() -> Result<()> {
    let address = free()?;
    let responder = Some(format!("http://{address}"));
    let authority = Authority::new("responding authority")?.publishing(Pointers { list: None, responder });
    let (good, bad, unknown) = (peer(&authority)?, peer(&authority)?, peer(&authority)?);
    let probe = probe(&authority, "require").await?;
    let folder = probe.world.root.join("ocsp");
    let _responder = Responder::start(&authority, address, &folder, (&[&good], &[&bad])).await?;
    probe.refused("revoked", &seal(&probe.message(), &bad)?.request(), "EBMS:0101", "revoked since").await?;
    put_off(&probe, "unknown there", &unknown, "does not know").await?;
    taken(&probe, "good", &good).await
}

/// Two nodes that know each other by authority and subject; what `b` signs is revoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_of_a_revoked_signer_proves_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = ListServer::start().await?;
    let mut world = World::new(&folder.path().join("world"), &tilts_binary()?)?;
    let list = Some(server.url());
    world.ap_ca = world.ap_ca.publishing(Pointers { list, responder: None });
    let resolver = free()?;
    let serves = "\n[[backend]]\nid = \"all\"\nadapter = \"rest\"\n";
    let mut a = world.access_point("a", 2048, resolver, "")?;
    let mut b = world.access_point("b", 2048, resolver, serves)?;
    let backend = serves.replace("\"all\"", "\"letters\"") + "serves = { participants = [\"nobody::x\"] }\n";
    agree(&world, "a", &b, "participants = [\"suite-scheme::*\"]", &backend)?;
    agree(&world, "b", &a, "revocation = \"off\"", "")?;
    let certificate = openssl::x509::X509::from_pem(&fs::read(&b.certificate)?)?;
    let key = openssl::pkey::PKey::from_rsa(openssl::rsa::Rsa::generate(2048)?)?;
    let revoked = Identity { certificate, key };
    server.say(Says::List(world.ap_ca.revocation_list(&[&revoked], List::default())?));
    b.node.start().await?;
    a.node.start().await?;
    let id = submit(&a).await?;
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let detail = http::get(a.node.ports.admin, &format!("/api/submissions/{id}")).await?;
        let (record, text) = (&detail["submission"]["recipients"][0]["record"], detail.to_string());
        ensure!(record["send"] == "processing", "a receipt of a revoked signer moved the status: {detail}");
        if text.contains("EBMS:0302") && text.contains("revoked since") {
            return Ok(());
        }
        ensure!(Instant::now() < until, "nothing is said of the receipt: {detail}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A partner known by authority and subject in the configuration of `name`, without encryption.
fn agree(world: &World, name: &str, partner: &AccessPoint, more: &str, behind: &str) -> Result<()> {
    let config = world.root.join(name).join("tilts.toml");
    let (party, url) = (party_id(&partner.name), partner.node.ports.as4);
    let text = format!(
        "{}\n[[partner]]\nparty_id = \"{party}\"\nparty_type = \"{PARTY_TYPE}\"\nurl = \"https://{url}/as4\"\n\
         anchor = \"../ca/ap.pem\"\nsubject = \"CN={party},O=tilts test,C=LV\"\ntls_trust = \"../ca/tls.pem\"\n\
         egress_allow = [\"127.0.0.0/8\"]\nports = []\n{more}\n\n[[agreement]]\npartner = \"{party}\"\n\
         profile = \"edelivery-1.15\"\noverrides = {{ encryption = \"forbidden\" }}\n{behind}",
        fs::read_to_string(&config)?,
    );
    Ok(fs::write(config, text)?)
}

async fn submit(a: &AccessPoint) -> Result<String> {
    let description = json!({
        "client_id": "letter-1", "original_sender": SENDER, "document_type": ENVELOPE, "process": PROCESS,
        "recipients": [{ "participant": "suite-scheme::first" }],
    });
    let (kind, body) = multipart(&[
        http::Part::new("description", "application/json", description.to_string().into_bytes()),
        http::Part::new("letter", "application/octet-stream", b"a letter".to_vec()),
    ]);
    let to = a.node.ports.backend;
    let answer =
        http::request(to, Method::POST, "/v1/submissions?backend=letters", &kind, body).await?.json()?;
    Ok(answer["id"].as_str().context("no id")?.to_owned())
}
