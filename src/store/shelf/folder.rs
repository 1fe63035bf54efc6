//! Payloads in a folder: synced and renamed into it, in up to 256 shards.

use std::collections::HashSet;
use std::fs::{self, File, FileType};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use tempfile::NamedTempFile;

use super::super::Error;
use super::super::direct::DirectReader;
use super::super::hands::Hands;
use super::super::payload_reader::Octets;
use super::{Kept, is_payload};
use crate::crash;

/// A folder of payloads.
#[derive(Debug, Clone)]
pub(in crate::store) struct Folder {
    path: Arc<Path>,
    hands: Hands,
    /// Shards whose names this process has seen on the disk.
    lasting: Arc<Mutex<HashSet<PathBuf>>>,
}

impl Folder {
    pub fn new(path: PathBuf, hands: Hands) -> Self {
        Self { path: path.into(), hands, lasting: Arc::default() }
    }

    /// The file of a name.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn prepare(&self) -> Result<(), Error> {
        fs::create_dir_all(&self.path).map_err(Error::io(&self.path))?;
        self.sync(&self.path)
    }

    pub fn publish(&self, file: NamedTempFile, name: &str) -> Result<(), Error> {
        let path = self.path(name);
        self.hands.sync(file.as_file(), file.path()).map_err(Error::io(file.path()))?;
        let shard = path.parent().unwrap_or(&self.path);
        self.shard(shard)?;
        file.persist(&path).map_err(|e| Error::io(&path)(e.error))?;
        crash::at(crash::Point::PayloadRenamed);
        self.sync(shard)
    }

    /// A shard is made when its first payload comes. Where it is there already, another process may have made it a moment ago and have
    /// died before its name was on the disk.
    fn shard(&self, shard: &Path) -> Result<(), Error> {
        let lasting = || self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        if lasting().contains(shard) {
            return Ok(());
        }
        match fs::create_dir(shard) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io(shard)(error));
            }
            _ => self.sync(&self.path)?,
        }
        lasting().insert(shard.to_owned());
        Ok(())
    }

    /// Waits until the names in a folder are on the disk.
    fn sync(&self, folder: &Path) -> Result<(), Error> {
        File::open(folder).and_then(|open| self.hands.sync(&open, folder)).map_err(Error::io(folder))
    }

    /// Whose the payloads are.
    pub fn owner(&self) -> Result<Option<String>, Error> {
        let path = self.path("owner");
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => Ok(Some(read.map_err(Error::io(&path))?.trim().to_owned())),
        }
    }

    /// Makes them ours, unless somebody else is faster.
    pub fn take(&self, id: &str) -> Result<(), Error> {
        let path = self.path("owner");
        let mut file = NamedTempFile::new_in(&self.path).map_err(Error::io(&self.path))?;
        file.write_all(id.as_bytes()).map_err(Error::io(&path))?;
        self.hands.sync(file.as_file(), file.path()).map_err(Error::io(&path))?;
        match file.persist_noclobber(&path) {
            Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => {
                Err(Error::io(&path)(failed.error))
            }
            _ => self.sync(&self.path),
        }
    }

    pub fn open(&self, name: &str) -> Result<Octets, Error> {
        let path = self.path(name);
        DirectReader::open(&path).map_err(Error::io(&path))
    }

    pub fn list(&self) -> Result<Vec<Kept>, Error> {
        let mut found = Vec::new();
        // A folder that nodes share holds their spools too.
        // And other things may lie there: a file server's, or those of a backup.
        for shard in entries(&self.path, FileType::is_dir)? {
            if shard.file_name().is_none_or(|name| name.len() != 2) {
                continue;
            }
            found.extend(self.list_in(&shard)?);
        }
        Ok(found)
    }

    pub fn list_shard(&self, shard: &str) -> Result<Vec<Kept>, Error> {
        let shard = self.path.join(shard);
        match fs::symlink_metadata(&shard) {
            Ok(found) if found.is_dir() => self.list_in(&shard),
            // Somebody else's.
            Ok(_) => Ok(Vec::new()),
            // It is made with its first payload. Where all of them are away, nobody can say what lies there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::read_dir(&self.path).map_err(Error::io(&self.path))?;
                Ok(Vec::new())
            }
            Err(error) => Err(Error::io(&shard)(error)),
        }
    }

    fn list_in(&self, shard: &Path) -> Result<Vec<Kept>, Error> {
        let mut found = Vec::new();
        for file in entries(shard, FileType::is_file)? {
            let name = file.strip_prefix(&self.path).map(|name| name.to_string_lossy().into_owned());
            found.extend(name.ok().filter(|name| is_payload(name)).map(|name| Kept { name, size: None }));
        }
        Ok(found)
    }

    pub fn size(&self, name: &str) -> Result<u64, String> {
        fs::metadata(self.path(name)).map(|file| file.len()).map_err(|error| error.to_string())
    }

    pub fn older(&self, name: &str, time: Duration) -> bool {
        // A rename changes the node and not the octets: a part of a long message may have been written hours before it was published.
        let age = fs::metadata(self.path(name)).and_then(|file| {
            let renamed = UNIX_EPOCH + Duration::from_secs(file.ctime().unsigned_abs());
            Ok(file.modified()?.max(renamed).elapsed().unwrap_or_default())
        });
        age.is_ok_and(|age| age >= time)
    }

    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(&path)(error)),
            _ => Ok(()),
        }
    }
}

/// What of a kind lies in a folder; a link is none.
fn entries(folder: &Path, kind: fn(&FileType) -> bool) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let entry = entry.map_err(Error::io(folder))?;
        if kind(&entry.file_type().map_err(Error::io(&entry.path()))?) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// What lies in a folder.
///
/// # Errors
/// The disk's.
pub(in crate::store) fn read_dir(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    entries(folder, |_| true)
}
