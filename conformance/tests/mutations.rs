//! Thousands of bent copies of valid messages: whatever is taken says exactly what the original said.
//!
//! `TILTS_MUTATIONS` says how many of each message, `TILTS_SEED` where they begin.

use anyhow::{Context, Result, ensure};
use conformance::as4::{Message, Part, Request};
use conformance::ca::Identity;
use conformance::encryption::encrypt;
use conformance::hostile::target::{clean, delivered, plain, throw};
use conformance::hostile::{mutation, wrapping};
use conformance::probe::Probe;
use conformance::random::{Random, setting};
use openssl::pkey::PKey;
use openssl::x509::X509;

/// A valid message of profile 1.15 for the node: two parts, signed and encrypted.
fn original(probe: &Probe) -> Result<Request> {
    let parts = vec![Part::new("one@suite", b"the first part"), Part::new("two@suite", &[7; 200])];
    let message = Message { parts, ..probe.message() };
    let certificate = X509::from_pem(&std::fs::read(&probe.node.certificate)?)?;
    // Only the certificate is used to encrypt.
    let node = Identity { certificate, key: PKey::from_rsa(openssl::rsa::Rsa::generate(2048)?)? };
    Ok(encrypt(&message, &probe.sender, &node)?.request())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bent_message_is_refused_or_says_what_the_original_said() -> Result<()> {
    let (count, seed) = (setting("TILTS_MUTATIONS", 5000), setting("TILTS_SEED", 1));
    let bent = Probe::with(plain).await?;
    let request = original(&bent)?;
    let mut random = Random::new(seed);
    let mutants = (0..count).map(|number| {
        let mutant = match number % 2 {
            0 => mutation::octet(&request, &mut random),
            _ => mutation::structure(&request, &mut random),
        };
        (format!("seed {seed}, mutant {number}: {}", mutant.what), mutant.request)
    });
    let (figures, receipted) = throw(&bent, mutants).await?;
    println!("{figures:?}");
    prove(&bent, &request, &receipted).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_wrapped_signature_is_taken() -> Result<()> {
    let probe = Probe::with(plain).await?;
    let request = original(&probe)?;
    let forge = |messaging: &str| messaging.replace("10000001", "66666666");
    let all = wrapping::wrapped(&request, &forge);
    ensure!(all.len() >= 500, "only {} wrapped messages", all.len());
    let (figures, receipted) = throw(&probe, all.into_iter().map(|w| (w.what, w.request))).await?;
    println!("{figures:?}");
    ensure!(receipted.is_empty(), "taken: {receipted:#?}");
    ensure!(delivered(&probe).await?.is_empty());
    prove(&probe, &request, &receipted).await
}

/// Sends the original; then one message is there, whatever of the bent ones was taken, and it is the original.
async fn prove(probe: &Probe, request: &Request, receipted: &[String]) -> Result<()> {
    let before = delivered(probe).await?;
    ensure!(before.len() <= 1, "{} messages were taken: {receipted:#?}", before.len());
    let (figures, _) = throw(probe, std::iter::once(("the original".to_owned(), request.clone()))).await?;
    ensure!(figures.receipted == 1, "the original is not taken after {receipted:#?}");
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    let after = delivered(probe).await?;
    let [(message, contents)] = &after[..] else { anyhow::bail!("{} messages", after.len()) };
    ensure!(contents == &[b"the first part".to_vec(), vec![7; 200]], "other contents after {receipted:#?}");
    let recipient = message["final_recipient"].as_str().context("no recipient")?;
    ensure!(recipient == conformance::probe::RECIPIENT, "{recipient} after {receipted:#?}");
    if let [(first, _)] = &before[..] {
        ensure!(first == message, "{first} is not {message}");
    }
    clean(probe)
}
