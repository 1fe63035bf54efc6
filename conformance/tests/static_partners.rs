//! Partners known by name: one by its very certificate, one by its authority and subject. Only they may speak for themselves.

use std::path::Path;

use anyhow::{Result, ensure};
use conformance::as4::{Message, Part, seal};
use conformance::ca::{Authority, Identity, Purpose, Validity};
use conformance::probe::{Probe, message};
use conformance::world::{PARTY_TYPE, party_id};

const SERVICE: &str = "urn:suite:service";
const ACTION: &str = "urn:suite:action";
const SUBJECT: &str = "CN=Anchored Gateway,O=tilts test,C=LV";

/// Appends both partners, each with an agreement, to the configuration of the node.
fn configure(config: &Path, pinned: &Identity, anchor: &Authority, subject: &str) -> Result<()> {
    let folder = config.parent().unwrap_or(Path::new("."));
    pinned.write_certificate(&folder.join("pinned.pem"))?;
    anchor.write_pem(&folder.join("anchor.pem"))?;
    let mut text = std::fs::read_to_string(config)?;
    for (name, how) in [
        ("AP-PINNED", "certificate = \"pinned.pem\"".to_owned()),
        ("AP-ANCHORED", format!("anchor = \"anchor.pem\"\nsubject = \"{subject}\"")),
    ] {
        text += &format!(
            "\n[[partner]]\nparty_id = \"{name}\"\nparty_type = \"{PARTY_TYPE}\"\n{how}\n\n[[agreement]]\nid = \"{name}\"\n\
             partner = \"{name}\"\nprofile = \"edelivery-1.15\"\nservice = \"{SERVICE}\"\naction = \"{ACTION}\"\n\
             overrides = {{ encryption = \"forbidden\" }}\n"
        );
    }
    Ok(std::fs::write(config, text)?)
}

fn from(party: &str) -> Message {
    Message {
        service: (String::new(), SERVICE.into()),
        action: ACTION.into(),
        parts: vec![Part::new("part@suite", b"plain octets")],
        ..message(party, &party_id("node"))
    }
}

async fn believed(probe: &Probe, case: &str, party: &str, signer: &Identity) -> Result<()> {
    let reply = probe.send(&seal(&from(party), signer)?.request()).await?;
    ensure!(reply.is_receipt(), "{case}: {}", reply.body);
    Ok(())
}

async fn disbelieved(probe: &Probe, case: &str, party: &str, signer: &Identity, word: &str) -> Result<()> {
    probe.refused(case, &seal(&from(party), signer)?.request(), "EBMS:0101", word).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_registered_certificate_or_subject_may_sign_for_a_partner() -> Result<()> {
    let (ours, strangers) = (Authority::new("partners")?, Authority::new("strangers")?);
    let issue = |ca: &Authority, name: &str| ca.issue(name, 2048, Purpose::Message);
    let pinned = issue(&ours, "AP-PINNED")?;
    let anchored = issue(&ours, "Anchored Gateway")?;
    let probe = Probe::with(|config| configure(config, &pinned, &ours, SUBJECT)).await?;
    let expired = Validity { from: -30, to: -1 };
    let past = ours.issue_for("Anchored Gateway", 2048, Purpose::Message, expired)?;
    for (case, party, signer, word) in [
        ("another certificate of the same name", "AP-PINNED", &issue(&ours, "AP-PINNED")?, "registered"),
        ("the other partner's certificate", "AP-PINNED", &anchored, "registered"),
        ("a stranger of the same name", "AP-PINNED", &issue(&strangers, "AP-PINNED")?, "registered"),
        ("another subject under the anchor", "AP-ANCHORED", &pinned, "does not belong"),
        (
            "the subject under another anchor",
            "AP-ANCHORED",
            &issue(&strangers, "Anchored Gateway")?,
            "untrusted",
        ),
        ("an expired certificate of the subject", "AP-ANCHORED", &past, "expired"),
        ("a member of the domain", "AP-PINNED", &probe.sender, "registered"),
    ] {
        disbelieved(&probe, case, party, signer, word).await?;
    }
    believed(&probe, "the registered certificate", "AP-PINNED", &pinned).await?;
    believed(&probe, "the subject under the anchor", "AP-ANCHORED", &anchored).await?;
    // A renewed certificate needs no change on our side where the subject is what counts.
    believed(&probe, "a renewed certificate", "AP-ANCHORED", &issue(&ours, "Anchored Gateway")?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_certificate_that_expired_signs_no_more() -> Result<()> {
    let ca = Authority::new("partners")?;
    let expired = Validity { from: -30, to: -1 };
    let pinned = ca.issue_for("AP-PINNED", 2048, Purpose::Message, expired)?;
    let probe = Probe::with(|config| configure(config, &pinned, &ca, SUBJECT)).await?;
    disbelieved(&probe, "expired", "AP-PINNED", &pinned, "expired").await
}
