//! Backends that are folders, when something is wrong with a folder: nothing is lost, and no recipient is said to have missed what it
//! answered or never had.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use conformance::demo::{DELIVERED, MISSED, list, status_of};
use conformance::http;
use conformance::node::{free, tilts_binary};
use conformance::world::{AccessPoint, ENVELOPE, EVIDENCE, PROCESS, Registry, World};
use serde_json::{Value, json};

const SENDER: &str = "iso6523-actorid-upis::0218:90000000001";
const RECIPIENT: &str = "iso6523-actorid-upis::0191:10000001";
/// Octets of the largest payload there.
const MOST: usize = 20_000;
/// Seconds that the recipient has to take a message.
const TAKE_WITHIN: u64 = 4;

struct Scene {
    home: AccessPoint,
    away: AccessPoint,
    mail: PathBuf,
    _registry: Registry,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// A node of ours, and another one whose backend is a folder.
    async fn set() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let root = folder.path().join("world");
        let world = World::new(&root, &tilts_binary()?)?;
        let resolver = free()?;
        let rest = "\n[[backend]]\nid = \"office\"\nadapter = \"rest\"\n";
        let files = format!(
            "\n[[backend]]\nid = \"files\"\nadapter = \"folder\"\npath = \"mail\"\ntake_within = \"{TAKE_WITHIN}s\"\n\
             \n[limits]\npayload_octets = {MOST}\n"
        );
        let mut home = world.access_point("home", 2048, resolver, rest)?;
        let mut away = world.access_point("away", 2048, resolver, &files)?;
        let entries = [(SENDER, &home, ENVELOPE), (SENDER, &home, EVIDENCE), (RECIPIENT, &away, ENVELOPE)];
        let registry = world.registry(&entries, resolver).await?;
        home.node.start().await?;
        away.node.start().await?;
        Ok(Self { home, away, mail: root.join("away/mail"), _registry: registry, _folder: folder })
    }

    async fn submit(&self, client_id: &str) -> Result<String> {
        self.home.submit(client_id, SENDER, RECIPIENT).await
    }

    async fn shown(&self, id: &str) -> Result<String> {
        let detail: Value = http::get(self.home.node.ports.admin, &format!("/api/submissions/{id}")).await?;
        let status = status_of(&detail["submission"]["recipients"][0]);
        Ok(format!("{} / {}", status.send, status.delivery))
    }

    async fn becomes(&self, id: &str, word: &str) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(30);
        while !self.shown(id).await?.contains(word) {
            ensure!(Instant::now() < until, "it is not {word} but {}", self.shown(id).await?);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Puts a folder into the outbox.
    fn hand_in(&self, name: &str, client_id: &str, letter: &[u8]) -> Result<()> {
        let folder = self.mail.join(name);
        fs::create_dir(&folder)?;
        let description = json!({
            "client_id": client_id, "original_sender": RECIPIENT, "recipients": [{ "participant": SENDER }],
            "document_type": ENVELOPE, "process": PROCESS,
        });
        fs::write(folder.join("metadata.json"), description.to_string())?;
        fs::write(folder.join("letter.txt"), letter)?;
        Ok(fs::rename(&folder, self.mail.join("out").join(format!("{name}.ready")))?)
    }

    async fn noticed(&self, kind: &str) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let notices: Value = http::get(self.away.node.ports.admin, "/api/notices").await?;
            if list(&notices).any(|notice| notice["kind"] == kind) {
                return Ok(());
            }
            ensure!(Instant::now() < until, "no notice {kind}: {notices}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The first name in a folder that `wanted` likes.
async fn appears(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<String> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let names = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        let found =
            names.map(|entry| entry.file_name().to_string_lossy().into_owned()).find(|name| wanted(name));
        if let Some(found) = found {
            return Ok(found);
        }
        ensure!(Instant::now() < until, "nothing of that kind in {}", folder.display());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_given_in_time_stands_though_the_folder_was_away_at_the_deadline() -> Result<()> {
    let scene = Scene::set().await?;
    let id = scene.submit("answered").await?;
    let delivery = appears(&scene.mail.join("in"), |name| !name.starts_with('.')).await?;
    let aside = scene.mail.with_extension("aside");
    fs::rename(&scene.mail, &aside)?;
    fs::rename(aside.join("in").join(&delivery), aside.join("in").join(format!("{delivery}.accepted")))?;
    // Another one comes meanwhile: it is not left where nobody looks.
    let other = scene.submit("meanwhile").await?;
    scene.noticed("folder-away").await?;
    ensure!(!scene.shown(&id).await?.contains(MISSED), "it was missed, though nobody could look");
    ensure!(!scene.mail.exists(), "a new folder stands where the other one was");
    fs::rename(&aside, &scene.mail)?;
    scene.becomes(&id, DELIVERED).await?;
    ensure!(!scene.shown(&other).await?.contains(MISSED), "it was never there to be missed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_away_is_told_of_and_fills_no_log() -> Result<()> {
    let scene = Scene::set().await?;
    appears(&scene.mail, |name| name == "out").await?;
    fs::rename(&scene.mail, scene.mail.with_extension("aside"))?;
    scene.noticed("folder-away").await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let log = fs::read_to_string(scene.away.node.log())?;
    let said = log.matches("the folder cannot be read").count();
    ensure!(said == 1, "said {said} times: {log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_put_into_the_folder_was_not_missed_by_the_recipient() -> Result<()> {
    let scene = Scene::set().await?;
    appears(&scene.mail, |name| name == "in").await?;
    // A file stands where the folder should be.
    fs::remove_dir(scene.mail.join("in"))?;
    fs::write(scene.mail.join("in"), "in the way")?;
    let id = scene.submit("in the way").await?;
    scene.noticed("undeliverable").await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let shown = scene.shown(&id).await?;
    ensure!(!shown.contains(MISSED) && !shown.contains(DELIVERED), "{shown}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_taken_holds_up_no_other() -> Result<()> {
    let scene = Scene::set().await?;
    let out = scene.mail.join("out");
    appears(&scene.mail, |name| name == "out").await?;
    // It sorts first, and is none.
    fs::write(out.join("a.ready"), "no folder")?;
    scene.hand_in("b", "b", b"a letter")?;
    appears(&out, |name| name == "b.done").await?;
    ensure!(out.join("a.ready").is_file(), "it is left alone");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_be_sent_is_told_in_its_folder() -> Result<()> {
    let scene = Scene::set().await?;
    let out = scene.mail.join("out");
    appears(&scene.mail, |name| name == "out").await?;
    scene.hand_in("a", "a\0", b"a letter")?;
    scene.hand_in("b", "b", &[b'x'; MOST + 1])?;
    scene.hand_in("c", "c", &[b'x'; MOST])?;
    appears(&out, |name| name == "c.done").await?;
    for (name, words) in [("a", "U+0000"), ("b", "[limits] payload_octets")] {
        let told = fs::read_to_string(out.join(format!("{name}.failed/status.json")))?;
        ensure!(told.contains(words), "{told}");
    }
    Ok(())
}
