//! The folder adapter (model.md 6).
//!
//! ```text
//! in/<delivery id>/            appears by rename: metadata.json and the parts
//! in/<delivery id>.accepted    the consumer's answer, by rename
//! in/<delivery id>.refused     the same, with reason.txt
//! ```
//!
//! What is submitted: [`super::outbox`].

use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::delivery::{self, Error};
use super::{Adapter, Office, outbox, said};
use crate::store::{DeliveryId, DeliveryOutcome, DeliveryState, DeliveryView, Form, PartView, PayloadReader};
use crate::{id, thread};

/// Folder of what is delivered.
pub const IN: &str = "in";
/// Answer of a consumer that took a message.
const ACCEPTED: &str = "accepted";
/// Answer of a consumer that refused a message.
const REFUSED: &str = "refused";
/// Longest reason that is read, in octets.
const REASON: u64 = 4096;
/// What the name of a folder ends with that is being written.
const PART: &str = "part";
/// And one that is being removed.
const GONE: &str = "gone";
/// A folder that was not touched for so long is no longer being written.
const LEFT_OVER: Duration = Duration::from_secs(3600);

/// Puts a message at the disposal of a folder's consumer.
pub(super) async fn put(office: &Office, root: &Path, delivery: &DeliveryView) -> Result<(), Error> {
    let mut files = Vec::with_capacity(delivery.message.parts.len());
    for (index, part) in delivery.message.parts.iter().enumerate() {
        let reader = office.store.open_payload(part.payload, Form::Original).await?;
        files.push((file_name(index, part), Content::Payload(reader)));
    }
    let metadata = metadata(delivery, &files);
    files.push(("metadata.json".into(), Content::Octets(metadata)));
    place(&root.join(IN), &delivery.id.to_string(), files, waits(office, delivery)).await
}

/// Whether nobody has put it at the consumer's disposal meanwhile: another node may take over from one that stood still.
///
/// # Errors
/// The store's: nobody knows then.
pub(super) async fn waits(office: &Office, delivery: &DeliveryView) -> Result<bool, Error> {
    let now = office.store.delivery(delivery.id).await?;
    Ok(now.state == DeliveryState::Waiting)
}

/// What a file is made of.
pub(super) enum Content {
    /// Octets at hand.
    Octets(Vec<u8>),
    /// A payload of the store.
    Payload(PayloadReader),
}

/// Writes a folder of files and makes it appear at once, by rename. One that exists, under whatever answer, is left alone:
/// after a crash between the rename and the commit the consumer may already have taken it.
/// `still` says at the last moment whether it should; it is asked when everything is on the disk.
pub(super) async fn place(
    inbox: &Path,
    name: &str,
    files: Vec<(String, Content)>,
    still: impl Future<Output = Result<bool, Error>>,
) -> Result<(), Error> {
    let Some(hidden) = thread::apart(|| prepared(inbox, name, files))? else { return Ok(()) };
    let still = still.await;
    thread::apart(|| {
        // An error here says that nobody knows, and not that it was taken: it is tried again, and nothing is shown.
        let wanted = still.and_then(|still| Ok(still && !exists(inbox, name)?));
        if !matches!(wanted, Ok(true)) {
            fs::remove_dir_all(&hidden).map_err(folder(&hidden))?;
            return wanted.map(drop);
        }
        let shown = inbox.join(name);
        fs::rename(&hidden, &shown).map_err(folder(&shown)).inspect_err(|_| forget(&hidden))?;
        sync(inbox)
    })
}

/// The folder whole and on the disk, under a name that nobody looks at; nothing where there is one already.
fn prepared(inbox: &Path, name: &str, files: Vec<(String, Content)>) -> Result<Option<PathBuf>, Error> {
    // Only this one: where the folder above is away (a share that is not mounted), a new one would be nobody's.
    if !inbox.is_dir() {
        fs::create_dir(inbox).map_err(folder(inbox))?;
    }
    if exists(inbox, name)? {
        return Ok(None);
    }
    tidy(inbox);
    // A name of its own: of two nodes that write the same folder none disturbs the other.
    let hidden = inbox.join(format!(".{name}.{}.{PART}", id::row_id()));
    fs::create_dir(&hidden).map_err(folder(&hidden))?;
    filled(&hidden, files).inspect_err(|_| forget(&hidden))?;
    Ok(Some(hidden))
}

fn filled(hidden: &Path, files: Vec<(String, Content)>) -> Result<(), Error> {
    for (file, content) in files {
        let path = hidden.join(file);
        write(&path, content).map_err(folder(&path))?;
    }
    sync(hidden)
}

/// It is tried again and again: a copy that stayed each time would fill the disk. One that cannot be removed now is removed with what
/// processes that died have left.
fn forget(hidden: &Path) {
    let _ = fs::remove_dir_all(hidden);
}

/// Removes what processes that died left half written or half removed, of whatever message. What is younger another node may be writing;
/// what is not ours, or cannot be removed, is in nobody's way.
fn tidy(inbox: &Path) {
    let Ok(all) = fs::read_dir(inbox) else { return };
    for entry in all.filter_map(Result::ok) {
        let (path, name) = (entry.path(), entry.file_name());
        let left = match left_behind(&name.to_string_lossy()) {
            Some(PART) => last_written(&path).is_ok_and(|age| age > LEFT_OVER),
            // Answered, and settled: nobody will look at it again.
            Some(_) => true,
            None => false,
        };
        if left
            && let Err(error) = fs::remove_dir_all(&path)
            // Somebody else tidies too.
            && error.kind() != io::ErrorKind::NotFound
            && said::is_due(&format!("left: {}", path.display()))
        {
            tracing::warn!(folder = %path.display(), %error, "what was left cannot be removed; remove it by hand");
        }
    }
}

/// What is left of a delivery: `.<delivery>.<row id>.part`, or `.<delivery>.<answer>.<row id>.gone`.
fn left_behind(name: &str) -> Option<&'static str> {
    let (between, end) = name.strip_prefix('.')?.rsplit_once('.')?;
    let end = [PART, GONE].into_iter().find(|known| *known == end)?;
    between.split_once('.')?.0.parse::<DeliveryId>().is_ok().then_some(end)
}

/// How long ago anything in a folder was written: that of the folder itself stands still while a long file grows.
fn last_written(folder: &Path) -> io::Result<Duration> {
    let mut last = fs::metadata(folder)?.modified()?;
    for file in fs::read_dir(folder)? {
        last = last.max(file?.metadata()?.modified()?);
    }
    Ok(last.elapsed().unwrap_or_default())
}

fn exists(inbox: &Path, name: &str) -> Result<bool, Error> {
    Ok(entries(inbox)?
        .iter()
        .any(|found| found == name || found.strip_prefix(name).is_some_and(|r| r.starts_with('.'))))
}

fn write(path: &Path, content: Content) -> io::Result<()> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    match content {
        Content::Octets(octets) => file.write_all(&octets)?,
        Content::Payload(mut reader) => {
            io::copy(&mut reader, &mut file)?;
        }
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn sync(path: &Path) -> Result<(), Error> {
    fs::File::open(path).and_then(|f| f.sync_all()).map_err(folder(path))
}

fn metadata(delivery: &DeliveryView, files: &[(String, Content)]) -> Vec<u8> {
    let message = &delivery.message;
    let parts: Vec<_> =
        message.parts.iter().zip(files).map(|(part, (file, _))| part_json(part, file)).collect();
    let value = json!({
        "delivery": delivery.id,
        "message_id": message.message_id,
        "conversation_id": message.conversation,
        "ref_to_message_id": message.ref_to,
        "from": message.from.0,
        "to": message.to.0,
        "original_sender": message.original_sender,
        "final_recipient": message.final_recipient,
        "service": message.service,
        "action": message.action,
        "properties": message.properties,
        "deadline": delivery.deadline,
        "received": message.received,
        "parts": parts,
    });
    serde_json::to_vec_pretty(&value).unwrap_or_default()
}

/// One part for `metadata.json` and REST.
pub(super) fn part_json(part: &PartView, file: &str) -> serde_json::Value {
    json!({
        "file": file,
        "content_id": part.cid,
        "media_type": part.media_type,
        "size": part.original.size,
        "sha256": hex::encode(part.original.sha256),
        "properties": part.properties.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
    })
}

/// Unique, and free of anything that a file system or a shell could mistake: the sender chose the name.
pub(super) fn file_name(index: usize, part: &PartView) -> String {
    let given = part.properties.iter().find(|(name, _)| name == "name" || name == "PayloadName");
    let given = given.map(|(_, value)| value.as_str()).unwrap_or_default();
    let keep = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let safe: String = given.chars().map(keep).skip_while(|c| *c == '.').take(100).collect();
    match safe.is_empty() {
        true => format!("{}-part", index + 1),
        false => format!("{}-{safe}", index + 1),
    }
}

/// Settles what the consumer answered, then removes it.
pub(super) async fn gather(office: &Office, backend: &str, inbox: &Path) -> Result<(), Error> {
    for Answer { name, id, outcome } in thread::apart(|| answers(inbox))? {
        if let Err(error) = answered(office, backend, id, outcome).await {
            tracing::warn!(delivery.id = %id, %error, "the answer in the folder cannot be taken; it is left there");
            continue;
        }
        thread::apart(|| take_away(inbox, &name));
    }
    Ok(())
}

/// What a consumer has answered, and the folder that says so.
struct Answer {
    name: String,
    id: DeliveryId,
    outcome: DeliveryOutcome,
}

fn answers(inbox: &Path) -> Result<Vec<Answer>, Error> {
    if !inbox.is_dir() {
        return Ok(Vec::new());
    }
    let mut answers = Vec::new();
    for name in entries(inbox)? {
        let Some((id, answer)) = name.rsplit_once('.') else { continue };
        let Ok(id) = id.parse::<DeliveryId>() else { continue };
        let outcome = match answer {
            ACCEPTED => DeliveryOutcome::Accepted,
            REFUSED => DeliveryOutcome::Refused { code: None, reason: reason(&inbox.join(&name)) },
            _ => continue,
        };
        answers.push(Answer { name, id, outcome });
    }
    Ok(answers)
}

/// Removes a folder that should not be there, unless the consumer has answered already.
pub(super) fn take_back(inbox: &Path, id: DeliveryId) {
    let name = id.to_string();
    if inbox.join(&name).exists() {
        take_away(inbox, &name);
    }
}

/// Removes an answered folder. It is out of the way first: what cannot be removed (of another owner, or still open on another machine) must
/// not be found again and again, nor keep the answers behind it waiting.
fn take_away(inbox: &Path, name: &str) {
    let hidden = inbox.join(format!(".{name}.{}.{GONE}", id::row_id()));
    let gone = fs::rename(inbox.join(name), &hidden).and_then(|()| fs::remove_dir_all(&hidden));
    if let Err(error) = gone {
        tracing::warn!(folder = %inbox.join(name).display(), %error, "a folder that is of no more use cannot be removed; remove it by hand");
    }
}

/// Makes the folders of a backend, once, at the start: what is away later is not to be replaced by a new one.
pub fn prepare(adapter: &Adapter) {
    let Some(inbox) = adapter.inbox() else { return };
    thread::apart(|| match fs::create_dir_all(&inbox) {
        Ok(()) => tidy(&inbox),
        Err(error) => {
            tracing::error!(folder = %inbox.display(), %error, "the folder of a backend cannot be made");
        }
    });
}

/// What can be seen of a message in a consumer's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It lies there, without an answer.
    Unanswered,
    /// The consumer has answered, and nobody has looked yet.
    Answered,
    /// Neither, or the folder cannot be read: nobody can say.
    Nothing,
}

/// Looks for a message and for the answer to it.
pub(super) fn see(inbox: &Path, id: DeliveryId) -> Seen {
    let there = |name: String| inbox.join(name).try_exists().unwrap_or(false);
    if [ACCEPTED, REFUSED].iter().any(|answer| there(format!("{id}.{answer}"))) {
        return Seen::Answered;
    }
    match there(id.to_string()) {
        true => Seen::Unanswered,
        false => Seen::Nothing,
    }
}

async fn answered(
    office: &Office,
    backend: &str,
    id: DeliveryId,
    outcome: DeliveryOutcome,
) -> Result<(), Error> {
    let view = office.store.delivery(id).await?;
    if view.backend != backend {
        return Err(Error::Form(format!("it belongs to backend {:?}", view.backend)));
    }
    match delivery::settle(office, id, outcome).await {
        // Another word was final before, such as the deadline's: the folder goes all the same, the first word stands.
        Err(Error::Store(crate::store::Error::Conflict { problem, .. })) => {
            tracing::warn!(delivery.id = %id, problem, "the answer came too late");
            Ok(())
        }
        other => other.map(drop),
    }
}

fn reason(path: &Path) -> String {
    let mut text = Vec::new();
    // What cannot be read is no reason.
    let _ =
        outbox::regular(&path.join("reason.txt")).and_then(|file| file.take(REASON).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    if text.is_empty() { "no reason was given".into() } else { text }
}

/// Names in a folder, sorted, without hidden ones.
pub(super) fn entries(path: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(folder(path))? {
        let name = entry.map_err(folder(path))?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

pub(super) fn folder(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path: PathBuf = path.to_owned();
    move |source| Error::Folder { path, source }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    #[test]
    fn a_folder_appears_whole_and_only_once() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let inbox = folder.path().join("in");
        let put = |text: &str| {
            let files = vec![("a.txt".to_owned(), Content::Octets(text.into()))];
            runtime.block_on(place(&inbox, "id", files, ready(Ok(true)))).unwrap();
        };
        put("first");
        fs::rename(inbox.join("id"), inbox.join("id.accepted")).unwrap();
        put("second");
        // Nobody knows whether it waits: that is no delivery.
        let unknown = ready(Err(Error::Store(crate::store::Error::Closed)));
        runtime.block_on(place(&inbox, "other", Vec::new(), unknown)).unwrap_err();
        runtime.block_on(place(&inbox, "taken", Vec::new(), ready(Ok(false)))).unwrap();
        assert_eq!(entries(&inbox).unwrap(), ["id.accepted"]);
        assert_eq!(fs::read_to_string(inbox.join("id.accepted/a.txt")).unwrap(), "first");
    }

    #[test]
    fn only_what_is_ours_and_old_is_tidied_away_and_nothing_stops_it() {
        let inbox = tempfile::tempdir().unwrap();
        let id = "019c0000-0000-7000-8000-000000000001";
        let [old, young] = ["1", "2"].map(|row| inbox.path().join(format!(".{id}.{row}.part")));
        let theirs = inbox.path().join(".download.part");
        let answered = inbox.path().join(format!(".{id}.accepted.4.gone"));
        let file = inbox.path().join(format!(".{id}.3.part"));
        for folder in [&old, &young, &theirs, &answered] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(young.join("grows"), "still").unwrap();
        fs::write(&file, "no folder").unwrap();
        let long_ago = std::time::SystemTime::now() - 2 * LEFT_OVER;
        for path in [&old, &young, &theirs, &file] {
            fs::File::open(path).unwrap().set_modified(long_ago).unwrap();
        }
        tidy(inbox.path());
        assert_eq!([&old, &young, &theirs, &file].map(|path| path.exists()), [false, true, true, true]);
        assert!(!answered.exists());
    }

    /// What it says goes abroad, signed.
    #[test]
    fn a_reason_is_short_and_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, text) = (folder.path().join("ours"), folder.path().join("reason.txt"));
        assert_eq!(reason(folder.path()), "no reason was given");
        fs::write(&text, "n".repeat(1 << 20)).unwrap();
        assert_eq!(reason(folder.path()).len() as u64, REASON);
        fs::remove_file(&text).unwrap();
        fs::write(&ours, "a secret").unwrap();
        std::os::unix::fs::symlink(&ours, &text).unwrap();
        assert_eq!(reason(folder.path()), "no reason was given");
        fs::remove_file(&text).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &text, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
            .unwrap();
        assert_eq!(reason(folder.path()), "no reason was given");
    }

    /// It is tried every few seconds, for days: copies that stayed would fill the disk.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_written_whole_leaves_nothing() {
        let inbox = tempfile::tempdir().unwrap();
        let octets = |name: &str| (name.to_owned(), Content::Octets("text".into()));
        let files = vec![octets("a.txt"), octets("no/such/folder.txt")];
        place(inbox.path(), "id", files, ready(Ok(true))).await.unwrap_err();
        assert_eq!(fs::read_dir(inbox.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn it_is_asked_at_the_last_moment_whether_a_folder_should_appear() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = folder.path().join("in");
        let files = vec![("a.txt".to_owned(), Content::Octets("whole".into()))];
        let asked = async {
            tokio::task::yield_now().await;
            assert!(entries(&inbox).unwrap().is_empty(), "it is shown already");
            let hidden = fs::read_dir(&inbox).unwrap().next().unwrap().unwrap().path();
            assert_eq!(fs::read_to_string(hidden.join("a.txt")).unwrap(), "whole");
            // Another node, meanwhile.
            fs::create_dir(inbox.join("id.accepted")).unwrap();
            Ok(true)
        };
        place(&inbox, "id", files, asked).await.unwrap();
        assert_eq!(fs::read_dir(&inbox).unwrap().count(), 1, "the other's stays alone");
        assert_eq!(entries(&inbox).unwrap(), ["id.accepted"]);
    }
}
