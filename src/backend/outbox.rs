//! What a folder's owner submits: `out/<name>.ready/` becomes `.done` or `.failed`, with `status.json` (model.md 6).

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde_json::{Value, json};

use super::delivery::Error;
use super::document::{Document, Part};
use super::folder::{entries, folder};
use super::submission::{self, submit};
use super::{Backend, Office, said};
use crate::store::{self, Keep, StagedPayload, Submitted};
use crate::{id, thread};

/// Folder of what is submitted.
pub const OUT: &str = "out";
/// What became of a folder that was submitted.
pub(super) const STATUS: &str = "status.json";
/// Octets read at a time.
const BUFFER: usize = 64 * 1024;

/// Submits every folder that is ready.
///
/// # Errors
/// The folder's, or the store's: then what is ready stays so until the next look.
pub async fn collect(office: &Office, backend: &Backend, root: &Path) -> Result<(), Error> {
    let outbox = root.join(OUT);
    let mut held = None;
    for (from, stem) in ready(office, &outbox)? {
        if held.is_some() && has_large(&from) {
            continue;
        }
        let taken = take(office, backend, &from, &stem).await;
        if let Err(error) = finish(&outbox, &from, &stem, taken) {
            held = Some(of_large(error)?);
        }
    }
    held.map_or(Ok(()), Err)
}

/// Says, now and then, that nothing can be taken from a backend's folder; to the operator too, where the folder is not there.
pub async fn complain(office: &Office, backend: &str, error: &Error) {
    if !said::is_due(&format!("{backend}: {error}")) {
        return;
    }
    tracing::error!(backend, %error, "the folder cannot be read");
    if let Error::Folder { path, source } = error {
        let text =
            format!("{} of backend {backend:?} cannot be used ({source}): is it away?", path.display());
        if let Err(error) = office.store.raise_once("folder-away", backend, &text).await {
            tracing::error!(backend, %error, "a notice could not be raised");
        }
    }
}

/// Where there is no room for a payload, or its place is away, folders without large ones go on.
///
/// # Errors
/// What holds up all of them.
pub(super) fn of_large(error: Error) -> Result<Error, Error> {
    match &error {
        Error::Store(said) if said.is_full() || said.is_passing() => Ok(error),
        _ => Err(error),
    }
}

/// Whether anything in a folder would not lie in the database.
pub(super) fn has_large(from: &Path) -> bool {
    thread::apart(|| {
        let Ok(all) = fs::read_dir(from) else { return false };
        let size = |entry: fs::DirEntry| entry.metadata().map_or(0, |found| found.len());
        all.filter_map(Result::ok).any(|entry| size(entry) > store::INLINE as u64)
    })
}

/// What is ready, with its name, where there is room for more. Whether we may write there is tried first: what could not be renamed would
/// be taken anew with every look.
///
/// # Errors
/// The folder's, or the store's when it has no room.
pub(super) fn ready(office: &Office, outbox: &Path) -> Result<Vec<(PathBuf, String)>, Error> {
    let ready = thread::apart(|| writable(outbox))?;
    if !ready.is_empty() {
        office.store.check_taking()?;
    }
    Ok(ready)
}

fn writable(outbox: &Path) -> Result<Vec<(PathBuf, String)>, Error> {
    if !outbox.is_dir() {
        fs::create_dir(outbox).map_err(folder(outbox))?;
    }
    let mut ready = Vec::new();
    for name in entries(outbox)? {
        let Some(stem) = name.strip_suffix(".ready") else { continue };
        let from = outbox.join(&name);
        match write_status(&from, "{}".as_bytes()) {
            Ok(()) => ready.push((from, stem.to_owned())),
            Err(error) if said::is_due(&format!("{}: {error}", from.display())) => {
                tracing::warn!(%error, folder = %from.display(), "tilts cannot write there; it is left alone");
            }
            Err(_) => {}
        }
    }
    Ok(ready)
}

async fn take(
    office: &Office,
    backend: &Backend,
    from: &Path,
    stem: &str,
) -> Result<Submitted, submission::Error> {
    let octets = described(&from.join("metadata.json")).map_err(|e| unreadable("metadata.json", &e))?;
    let document = Document::read(&octets)?;
    let mut parts = Vec::new();
    for name in
        thread::apart(|| payloads(from)).map_err(|e| submission::Error::invalid("folder", e.to_string()))?
    {
        parts.push(part(office, from, &name)?);
    }
    let draft = document.draft(office, backend, octets, parts, Some(stem.to_owned()))?;
    submit(office, draft).await
}

fn part(office: &Office, from: &Path, name: &str) -> Result<Part, submission::Error> {
    let staged = stage(office, &from.join(name))?;
    let media_type = media_type(name).to_owned();
    Ok(Part { id: name.to_owned(), media_type, name: Some(name.to_owned()), content_id: None, staged })
}

/// The files to be sent. `status.json` is ours: a process that died before the last rename left it, and as a part it would make
/// the same folder another message.
fn payloads(from: &Path) -> Result<Vec<String>, Error> {
    let mut names = entries(from)?;
    names.retain(|name| name != "metadata.json" && name != STATUS);
    Ok(names)
}

/// The whole of a description or envelope.
///
/// # Errors
/// As [`regular`]; [`io::ErrorKind::FileTooLarge`].
pub(super) fn described(path: &Path) -> io::Result<Vec<u8>> {
    let most = submission::DESCRIPTION;
    thread::apart(|| {
        let mut octets = Vec::new();
        regular(path)?.take(most + 1).read_to_end(&mut octets)?;
        match octets.len() as u64 > most {
            true => {
                Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {most} octets")))
            }
            false => Ok(octets),
        }
    })
}

/// Opens a file. A link could name any that this process may read, and a pipe would be waited for: only what lies in the folder itself
/// is read.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for what is no regular file; the system's.
pub(super) fn regular(path: &Path) -> io::Result<fs::File> {
    let other =
        || io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no regular file", path.display()));
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(other());
    }
    // Somebody may put something else there meanwhile.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(other()),
    }
}

/// Takes a file into the spool. What cannot be read is the producer's to mend; what we cannot write waits until we can.
///
/// # Errors
/// [`submission::Error::Invalid`] of the file, [`submission::Error::Store`] of the spool.
pub(super) fn stage(office: &Office, path: &Path) -> Result<StagedPayload, submission::Error> {
    let read = |error: io::Error| unreadable("file", &error);
    thread::apart(|| {
        let mut file = regular(path).map_err(read)?;
        let (size, most) = (file.metadata().map_err(read)?.len(), office.payload_octets);
        if size > most {
            let problem = format!(
                "{} has {size} octets; at most {most} are taken ([limits] payload_octets)",
                path.display()
            );
            return Err(submission::Error::invalid("file", problem));
        }
        // It may still grow.
        let mut file = (&mut file).take(most.saturating_add(1));
        let mut writer = office.store.spool().writer_keeping(Keep::Compressed);
        let mut buffer = vec![0; BUFFER];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(writer.finish()?),
                Ok(_) if file.limit() == 0 => {
                    let problem =
                        format!("{} grew beyond {most} octets ([limits] payload_octets)", path.display());
                    return Err(submission::Error::invalid("file", problem));
                }
                Ok(count) => {
                    writer.write_all(&buffer[..count]).map_err(|error| store::Error::of_writing(&error))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(read(error)),
            }
        }
    })
}

pub(super) fn unreadable(what: &'static str, error: &io::Error) -> submission::Error {
    submission::Error::invalid(what, format!("cannot be read: {error}"))
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).as_deref() {
        Some("xml") => "application/xml",
        Some("pdf") => "application/pdf",
        Some("txt") => "text/plain",
        Some("json") => "application/json",
        Some("edoc" | "asice") => "application/vnd.etsi.asic-e+zip",
        Some("zip") => "application/zip",
        _ => "application/octet-stream",
    }
}

/// Ends what was taken: `.done` with the submission's id, `.failed` with the reason. A folder that cannot be renamed is logged and keeps
/// nothing waiting behind it.
///
/// # Errors
/// The store's: it takes nothing at this moment, and what is ready stays so until the next look.
pub(super) fn finish(
    outbox: &Path,
    from: &Path,
    stem: &str,
    taken: Result<Submitted, submission::Error>,
) -> Result<(), Error> {
    let (end, status) = match taken {
        Ok(Submitted::Created(id) | Submitted::Existing(id)) => ("done", json!({ "submission": id })),
        Ok(Submitted::Conflict(id)) => {
            let text = "this client_id was submitted before with other content";
            ("failed", json!({ "error": text, "submission": id }))
        }
        Err(submission::Error::Store(error)) => return Err(Error::Store(error)),
        Err(error) => ("failed", json!({ "error": error.to_string() })),
    };
    if let Err(error) = thread::apart(|| rename(outbox, from, stem, (end, &status))) {
        tracing::error!(%error, folder = %from.display(), end, "a folder that was taken cannot be renamed: let tilts write there");
    }
    Ok(())
}

/// By a new file and a rename: what the folder's owner has put in its place, such as a link to a file of ours, is replaced and not followed.
fn write_status(folder: &Path, octets: &[u8]) -> io::Result<()> {
    let hidden = folder.join(format!(".{STATUS}.{}", id::row_id()));
    let mut file = fs::File::create_new(&hidden)?;
    let written = file.write_all(octets).and_then(|()| fs::rename(&hidden, folder.join(STATUS)));
    written.inspect_err(|_| drop(fs::remove_file(&hidden)))
}

fn rename(outbox: &Path, from: &Path, stem: &str, (end, status): (&str, &Value)) -> Result<(), Error> {
    let to = outbox.join(format!("{stem}.{end}"));
    write_status(from, &serde_json::to_vec_pretty(status).unwrap_or_default()).map_err(folder(from))?;
    if to.exists() {
        fs::remove_dir_all(&to).map_err(folder(&to))?;
    }
    fs::rename(from, &to).map_err(folder(&to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_left_by_a_process_that_died_is_no_payload() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["metadata.json", "letter.pdf", STATUS, ".hidden"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        assert_eq!(payloads(folder.path()).unwrap(), ["letter.pdf"]);
    }

    #[test]
    fn a_status_replaces_a_link_and_does_not_follow_it() {
        let folder = tempfile::tempdir().unwrap();
        let ours = folder.path().join("ours");
        fs::write(&ours, "a file of ours").unwrap();
        let ready = folder.path().join("a.ready");
        fs::create_dir(&ready).unwrap();
        std::os::unix::fs::symlink(&ours, ready.join(STATUS)).unwrap();
        write_status(&ready, b"{}").unwrap();
        assert_eq!(fs::read_to_string(&ours).unwrap(), "a file of ours");
        assert_eq!(fs::read_to_string(ready.join(STATUS)).unwrap(), "{}");
        assert_eq!(fs::read_dir(&ready).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(regular(&file).is_ok());
        assert!(regular(&link).unwrap_err().to_string().contains("no regular file"));
        assert!(regular(folder.path()).is_err());
    }

    #[test]
    fn a_description_without_end_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.json");
        fs::File::create(&path).unwrap().set_len(submission::DESCRIPTION).unwrap();
        assert_eq!(described(&path).unwrap().len() as u64, submission::DESCRIPTION);
        fs::File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(described(&path).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn only_what_large_payloads_wait_for_lets_small_ones_pass() {
        let full = || store::Error::NoRoom { path: "/full".into(), free: 1, wanted: 2 };
        let folder = tempfile::tempdir().unwrap();
        assert!(of_large(Error::Store(store::Error::Closed)).is_err());
        let file = fs::File::create(folder.path().join("letter.pdf")).unwrap();
        file.set_len(store::INLINE as u64).unwrap();
        assert!(!has_large(folder.path()));
        file.set_len(store::INLINE as u64 + 1).unwrap();
        assert!(has_large(folder.path()));
        assert!(of_large(Error::Store(full())).is_ok());
    }
}
