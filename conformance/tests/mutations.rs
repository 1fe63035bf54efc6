//! Thousands of bent copies of valid messages: whatever is taken says exactly what the original said.
//!
//! `TILTS_MUTATIONS` says how many of each message, `TILTS_SEED` where they begin.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use conformance::as4::Request;
use conformance::hostile::target::{clean, delivered, plain, throw};
use conformance::hostile::{mutation, wrapping};
use conformance::probe::SENDER;
use conformance::random::{Random, setting};
use conformance::stage::Kind::{self, Ec, Eddsa, Rsa};
use conformance::stage::{Stage, agree, captured, submit};
use conformance::world::AccessPoint;
use tokio::net::TcpListener;

/// A node, and a message that another one made for it under keys of one kind.
struct Scene {
    node: AccessPoint,
    request: Request,
    _stage: Stage,
}

impl Scene {
    async fn set(kind: Kind) -> Result<Self> {
        let stage = Stage::set()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (mut from, mut node) = (stage.node("from", &[kind], false)?, stage.node("node", &[kind], false)?);
        let caught = format!("http://{}/as4", listener.local_addr()?);
        stage.append("from", &agree(&node, kind, "", &caught))?;
        stage.append(
            "node",
            &(agree(&from, kind, "", &caught) + "\n[limits]\nrejected_per_minute = 100000\n"),
        )?;
        plain(&stage.world.root.join("node/tilts.toml"))?;
        from.node.start().await?;
        node.node.start().await?;
        submit(&from, SENDER, "to-node::1").await?;
        let octets = tokio::time::timeout(Duration::from_secs(30), captured(listener)).await??;
        from.node.stop().await?;
        Ok(Self { node, request: request(&octets)?, _stage: stage })
    }
}

fn request(octets: &[u8]) -> Result<Request> {
    let end = octets.windows(4).position(|w| w == b"\r\n\r\n").context("no end of the head")?;
    let head = std::str::from_utf8(&octets[..end])?;
    let content_type = head.lines().filter_map(|line| line.split_once(':'));
    let content_type = content_type
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        .map(|(_, v)| v.trim())
        .next();
    Ok(Request::post(content_type.context("no Content-Type")?, &octets[end + 4..]))
}

async fn bent(kind: Kind) -> Result<()> {
    let (count, seed) = (setting("TILTS_MUTATIONS", 1700), setting("TILTS_SEED", 1));
    let scene = Scene::set(kind).await?;
    let mut random = Random::new(seed);
    let mutants = (0..count).map(|number| {
        let mutant = match number % 2 {
            0 => mutation::octet(&scene.request, &mut random),
            _ => mutation::structure(&scene.request, &mut random),
        };
        (format!("seed {seed}, mutant {number}: {}", mutant.what), mutant.request)
    });
    let (figures, receipted) = throw(&scene.node, mutants).await?;
    println!("{kind:?}: {figures:?}");
    prove(&scene, &receipted).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bent_message_of_1_15_is_refused_or_says_what_the_original_said() -> Result<()> {
    bent(Rsa).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bent_message_of_2_0_is_refused_or_says_what_the_original_said() -> Result<()> {
    bent(Eddsa).await?;
    bent(Ec).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_wrapped_signature_is_taken() -> Result<()> {
    for kind in [Rsa, Eddsa] {
        let scene = Scene::set(kind).await?;
        let forge = |messaging: &str| messaging.replace(">1<", ">66666666<");
        let all = wrapping::wrapped(&scene.request, &forge);
        ensure!(all.len() >= 500, "only {} wrapped messages", all.len());
        let (figures, receipted) = throw(&scene.node, all.into_iter().map(|w| (w.what, w.request))).await?;
        println!("{kind:?}: {figures:?}");
        ensure!(receipted.is_empty(), "taken: {receipted:#?}");
        ensure!(delivered(&scene.node).await?.is_empty());
        prove(&scene, &receipted).await?;
    }
    Ok(())
}

/// Sends the original; then one message is there, whatever of the bent ones was taken, and it is the original.
async fn prove(scene: &Scene, receipted: &[String]) -> Result<()> {
    let before = delivered(&scene.node).await?;
    ensure!(before.len() <= 1, "{} messages were taken: {receipted:#?}", before.len());
    let original = std::iter::once(("the original".to_owned(), scene.request.clone()));
    let (figures, _) = throw(&scene.node, original).await?;
    ensure!(figures.receipted == 1, "the original is not taken after {receipted:#?}");
    tokio::time::sleep(Duration::from_millis(700)).await;
    let after = delivered(&scene.node).await?;
    let [(message, contents)] = &after[..] else { anyhow::bail!("{} messages", after.len()) };
    let letter = format!("<letter>{}</letter>", "text ".repeat(400)).into_bytes();
    ensure!(contents == &[letter, (0..=255).collect()], "other contents after {receipted:#?}");
    ensure!(message["final_recipient"] == "to-node::1", "{message} after {receipted:#?}");
    if let [(first, _)] = &before[..] {
        ensure!(first == message, "{first} is not {message}");
    }
    clean(&scene.node)
}
