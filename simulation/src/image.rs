//! What the system has of a node's store, and of its backend's folder, at one moment. A node that is thrown away tidies up while it goes;
//! one that is killed does not: what it had written by then is put back. Tasks of the dead that were ready go on for a moment, too, and
//! would tell a producer of what nobody has.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::folders::mail;

/// A copy of a store beside it, and of the folder of its node's backend.
pub struct Image {
    store: PathBuf,
    copy: PathBuf,
    mail: PathBuf,
}

/// What a power cut leaves of payloads: files whose octets, and names that, were forced onto the disk.
#[derive(Debug, Default)]
pub struct OnDisk {
    /// By inode.
    octets: BTreeSet<u64>,
    names: BTreeSet<u64>,
}

impl OnDisk {
    /// A file or folder was forced onto the disk.
    ///
    /// # Errors
    /// The system's.
    pub fn sync(&mut self, what: &Path) -> io::Result<()> {
        if !what.is_dir() {
            self.octets.insert(fs::metadata(what)?.ino());
            return Ok(());
        }
        for file in fs::read_dir(what)? {
            self.names.insert(file?.metadata()?.ino());
        }
        Ok(())
    }

    /// What was there when the process began has had its time.
    ///
    /// # Errors
    /// The system's.
    pub fn all(store: &Path) -> io::Result<Self> {
        let mut on_disk = Self::default();
        for file in files(store)? {
            let inode = fs::metadata(file)?.ino();
            on_disk.octets.insert(inode);
            on_disk.names.insert(inode);
        }
        Ok(on_disk)
    }
}

/// Files that are written in place; all others are written once and then named.
const CHANGED: [&str; 2] = ["tilts.db", "tilts.db-wal"];

impl Image {
    /// Copies a store as it is at this moment.
    ///
    /// # Errors
    /// The system's.
    pub fn of(store: &Path) -> io::Result<Self> {
        let copy = store.with_extension("image");
        fs::create_dir_all(copy.join("payloads"))?;
        for name in CHANGED.map(|name| store.join(name)).into_iter().filter(|path| path.exists()) {
            fs::copy(&name, copy.join(name.file_name().unwrap_or_default()))?;
        }
        link(&store.join("spool"), &copy.join("spool"))?;
        for file in files(store)? {
            let to = copy.join(file.strip_prefix(store).map_err(io::Error::other)?);
            fs::create_dir_all(to.parent().unwrap_or(&copy))?;
            fs::hard_link(file, to)?;
        }
        let mail = mail(store.parent().unwrap_or(store));
        if mail.exists() {
            link_all(&mail, &mail.with_extension("image"))?;
        }
        Ok(Self { store: store.to_owned(), copy, mail })
    }

    /// Takes away what was not on the disk: names, and the octets of files; how many.
    ///
    /// # Errors
    /// The system's.
    pub fn without(&self, on_disk: &OnDisk) -> io::Result<u64> {
        let mut lost = 0;
        for file in files(&self.copy)? {
            let inode = fs::metadata(&file)?.ino();
            let (octets, name) = (on_disk.octets.contains(&inode), on_disk.names.contains(&inode));
            if octets && name {
                continue;
            }
            lost += 1;
            // Not emptied in place: the other names of the file are the process' own.
            fs::remove_file(&file)?;
            if name {
                fs::write(&file, "")?;
            }
        }
        Ok(lost)
    }

    /// Puts the store back as it was. Nobody may have it open.
    ///
    /// # Errors
    /// The system's.
    pub fn put_back(self) -> io::Result<()> {
        for name in ["tilts.db-wal", "tilts.db-shm"] {
            let _ = fs::remove_file(self.store.join(name));
        }
        for name in CHANGED.map(|name| self.copy.join(name)).into_iter().filter(|path| path.exists()) {
            fs::rename(&name, self.store.join(name.file_name().unwrap_or_default()))?;
        }
        empty(&self.store.join("spool"))?;
        link(&self.copy.join("spool"), &self.store.join("spool"))?;
        for file in files(&self.store)? {
            fs::remove_file(file)?;
        }
        for file in files(&self.copy)? {
            let to = self.store.join(file.strip_prefix(&self.copy).map_err(io::Error::other)?);
            fs::rename(file, to)?;
        }
        if self.mail.exists() {
            fs::remove_dir_all(&self.mail)?;
            fs::rename(self.mail.with_extension("image"), &self.mail)?;
        }
        fs::remove_dir_all(&self.copy)
    }
}

/// Every payload file of a store that has any.
fn files(store: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    let payloads = store.join("payloads");
    if !payloads.exists() {
        return Ok(all);
    }
    for entry in fs::read_dir(payloads)? {
        let path = entry?.path();
        match path.is_dir() {
            true => {
                for file in fs::read_dir(path)? {
                    all.push(file?.path());
                }
            }
            // Whose the payloads are.
            false => all.push(path),
        }
    }
    Ok(all)
}

/// Names every file of a folder in another one too. A process that is killed before its first step has no folder yet.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    if !from.exists() {
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        fs::hard_link(file.path(), to.join(file.file_name()))?;
    }
    Ok(())
}

/// The same for everything below it.
fn link_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => link_all(&entry.path(), &to)?,
            false => fs::hard_link(entry.path(), to)?,
        }
    }
    Ok(())
}

fn empty(folder: &Path) -> io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for file in fs::read_dir(folder)? {
        fs::remove_file(file?.path())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_is_there_again_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("data");
        for part in ["spool", "payloads/00", "payloads/7f"] {
            fs::create_dir_all(store.join(part)).unwrap();
        }
        let write = |name: &str, text: &str| fs::write(store.join(name), text).unwrap();
        for name in ["tilts.db", "tilts.db-wal", "spool/1", "payloads/7f/a"] {
            write(name, "before");
        }
        let image = Image::of(&store).unwrap();
        write("tilts.db", "after");
        write("payloads/00/b", "after");
        for name in ["tilts.db-wal", "spool/1", "payloads/7f/a"] {
            fs::remove_file(store.join(name)).unwrap();
        }
        image.put_back().unwrap();
        for name in ["tilts.db", "tilts.db-wal", "spool/1", "payloads/7f/a"] {
            assert_eq!(fs::read_to_string(store.join(name)).unwrap(), "before", "{name}");
        }
        assert!(!store.join("payloads/00/b").exists() && !store.with_extension("image").exists());
    }

    #[test]
    fn a_process_that_never_went_leaves_what_it_found() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("data");
        Image::of(&store).unwrap().put_back().unwrap();
        assert!(!store.exists());
        fs::create_dir(&store).unwrap();
        fs::write(store.join("tilts.db"), "fresh").unwrap();
        Image::of(&store).unwrap().put_back().unwrap();
        assert_eq!(fs::read_to_string(store.join("tilts.db")).unwrap(), "fresh");
        assert!(!store.with_extension("image").exists());
    }

    #[test]
    fn what_the_dead_did_to_the_folder_of_a_backend_is_undone() {
        let folder = tempfile::tempdir().unwrap();
        let (store, mail) = (folder.path().join("data"), mail(folder.path()));
        fs::create_dir(&store).unwrap();
        fs::create_dir_all(mail.join("out/a.ready")).unwrap();
        fs::write(mail.join("out/a.ready/status.json"), "before").unwrap();
        let image = Image::of(&store).unwrap();
        fs::write(mail.join("new"), "after").unwrap();
        fs::rename(mail.join("new"), mail.join("out/a.ready/status.json")).unwrap();
        fs::rename(mail.join("out/a.ready"), mail.join("out/a.done")).unwrap();
        fs::create_dir(mail.join("in")).unwrap();
        image.put_back().unwrap();
        assert_eq!(fs::read_to_string(mail.join("out/a.ready/status.json")).unwrap(), "before");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "data and mail");
        assert_eq!(fs::read_dir(&mail).unwrap().count() + fs::read_dir(mail.join("out")).unwrap().count(), 2);
    }

    #[test]
    fn what_was_not_forced_onto_the_disk_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("data");
        for part in ["spool", "payloads/00", "payloads/01"] {
            fs::create_dir_all(store.join(part)).unwrap();
        }
        fs::write(store.join("payloads/00/old"), "old").unwrap();
        let mut on_disk = OnDisk::all(&store).unwrap();
        for name in ["00/good", "00/empty", "01/nameless"] {
            let path = store.join("payloads").join(name);
            fs::write(&path, name).unwrap();
            if !name.ends_with("empty") {
                on_disk.sync(&path).unwrap();
            }
        }
        on_disk.sync(&store.join("payloads/00")).unwrap();
        let image = Image::of(&store).unwrap();
        assert_eq!(image.without(&on_disk).unwrap(), 2);
        image.put_back().unwrap();
        let read = |name: &str| fs::read_to_string(store.join("payloads").join(name)).ok();
        assert_eq!(["00/old", "00/good", "00/empty"].map(|n| read(n).unwrap()), ["old", "00/good", ""]);
        assert_eq!(read("01/nameless"), None);
    }
}
