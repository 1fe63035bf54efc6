//! Producer and consumer that have a folder at their node instead of its interface (docs/backend.md). Their disk does what they want.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use conformance::lab::{Book, Ledger, Letter, consumer};
use conformance::peers::job::sha256;
use conformance::world::{ENVELOPE, PROCESS};
use serde_json::{Value, json};
use tokio::time::Instant;

/// How often the producer looks what became of its letter.
const LOOK: Duration = Duration::from_millis(250);
/// How long the producer waits for that.
const PATIENCE: Duration = Duration::from_secs(300);
/// Every letter whose number is a multiple of this is put into the outbox twice.
const TWICE: u64 = 3;

/// The folders in which a node leaves messages, and finds them.
pub const FOLDERS: [&str; 2] = ["in", "out"];

/// Puts a letter into the outbox and waits until the node says that it has it.
///
/// # Errors
/// The node does not take it, or not in all that time.
pub async fn insist(mail: &Path, letter: &Letter, ledger: &Ledger) -> Result<()> {
    ledger.handed_in(letter);
    let outbox = mail.join("out");
    let id = hand_in(&outbox, letter).await?;
    ledger.acknowledged(letter, &id);
    if letter.number.is_multiple_of(TWICE) {
        let again = hand_in(&outbox, letter).await?;
        ensure!(again == id, "it was taken as submission {id}, and again as {again}");
    }
    Ok(())
}

async fn hand_in(outbox: &Path, letter: &Letter) -> Result<String> {
    put(outbox, letter)?;
    let until = Instant::now() + PATIENCE;
    let ended = |end: &str| outbox.join(format!("{}.{end}", letter.client_id()));
    while ended("ready").exists() {
        ensure!(Instant::now() < until, "not taken in {PATIENCE:?}");
        tokio::time::sleep(LOOK).await;
    }
    let status = ended("done").join("status.json");
    let status = fs::read(&status).with_context(|| format!("no {}", status.display()))?;
    let status: Value = serde_json::from_slice(&status)?;
    Ok(status["submission"].as_str().context("no submission")?.to_owned())
}

/// What became of the letter before is taken away, or nobody could tell it from what becomes of it now.
fn put(outbox: &Path, letter: &Letter) -> Result<()> {
    let name = letter.client_id();
    for end in ["done", "failed"].map(|end| outbox.join(format!("{name}.{end}"))) {
        if end.exists() {
            fs::remove_dir_all(end)?;
        }
    }
    let hidden = outbox.join(format!(".{name}"));
    fs::create_dir(&hidden)?;
    let recipients: Vec<_> = letter.addresses().map(|address| json!({ "participant": address })).collect();
    let metadata = json!({
        "original_sender": "to-a::lab", "document_type": ENVELOPE, "process": PROCESS, "recipients": recipients,
    });
    fs::write(hidden.join("metadata.json"), metadata.to_string())?;
    let file = if letter.media_type == "text/plain" { "letter.txt" } else { "letter.bin" };
    fs::write(hidden.join(file), &letter.content)?;
    Ok(fs::rename(hidden, outbox.join(format!("{name}.ready")))?)
}

/// Looks into the inbox: notes which of the consumer's answers are gone, and answers what lies there.
///
/// # Errors
/// What lies there cannot be read.
pub fn round(mail: &Path, ledger: &Ledger) -> Result<()> {
    let inbox = mail.join("in");
    let mut names = Vec::new();
    for entry in fs::read_dir(&inbox)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    heard(&names, &mut ledger.book());
    let shown = names.iter().filter(|name| !name.contains('.'));
    shown.into_iter().try_for_each(|name| answer(&inbox, name, ledger))
}

/// The node takes an answer away when it has it.
fn heard(names: &[String], book: &mut Book) {
    let lies = |(id, word): &(String, String)| names.contains(&format!("{id}.{word}"));
    let (unheard, gone) = std::mem::take(&mut book.unheard).into_iter().partition(lies);
    book.unheard = unheard;
    book.settled.extend::<Vec<String>>(gone.into_keys().collect());
}

fn answer(inbox: &Path, id: &str, ledger: &Ledger) -> Result<()> {
    let folder = inbox.join(id);
    let message: Value = serde_json::from_slice(&fs::read(folder.join("metadata.json"))?)?;
    let recipient = message["final_recipient"].as_str().context("no recipient")?;
    let file = message["parts"][0]["file"].as_str().context("no part")?;
    let digest = sha256(&fs::read(folder.join(file))?);
    if ledger.book().unheard.contains_key(id) {
        ledger.wrong(format!("{id} for {recipient}: it lies there again beside its answer"));
    }
    consumer::compare(&message, (id, recipient), &digest, ledger);
    let word = if Letter::is_refused(recipient, &digest) { "refused" } else { "accepted" };
    if word == "refused" {
        fs::write(folder.join("reason.txt"), "Not for us")?;
    }
    fs::rename(&folder, inbox.join(format!("{id}.{word}")))?;
    ledger.book().unheard.insert(id.to_owned(), word.to_owned());
    Ok(())
}

/// Where the backend of a side has its folder, when it has one.
pub fn mail(own: &Path) -> PathBuf {
    own.join("mail")
}
