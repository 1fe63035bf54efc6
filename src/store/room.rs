//! Whether there is room for more: what is taken over must be sent, evidenced and answered after, and that needs the disk too. So
//! peers and producers are asked to come again before it is full, not when it is.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Error;

/// The disk is asked no more often than this.
const OFTEN: Duration = Duration::from_secs(1);
/// Of a small disk no more is kept free than this part.
const PART: u64 = 20;

/// What the disks said.
#[derive(Debug)]
struct Found {
    /// Octets that are free on the disk of each folder that could be asked.
    free: Vec<(PathBuf, u64)>,
    /// Whether they are enough.
    verdict: Result<(), Error>,
}

/// The free octets that are to be kept on the disks of a store.
#[derive(Debug)]
pub(super) struct Room {
    folders: Vec<PathBuf>,
    keep: u64,
    last: Mutex<Option<(Instant, Arc<Found>)>>,
    /// Somebody asks at this moment.
    asking: AtomicBool,
}

impl Room {
    /// Of the disks of these folders so many octets are kept free, and at most a twentieth of each.
    pub fn new(folders: Vec<PathBuf>, keep: u64) -> Self {
        Self { folders, keep, last: Mutex::new(None), asking: AtomicBool::new(false) }
    }

    /// Whether more can be taken; what was found a moment ago is still right.
    ///
    /// # Errors
    /// [`Error::NoRoom`]; the system's, when it cannot say.
    pub fn check(&self) -> Result<(), Error> {
        self.found().verdict.clone()
    }

    /// The octets that are free on the disk of each folder; what was found a moment ago is still right.
    pub fn free(&self) -> Vec<(PathBuf, u64)> {
        self.found().free.clone()
    }

    fn found(&self) -> Arc<Found> {
        let known = self.known();
        if let Some((at, found)) = &known
            && (at.elapsed() < OFTEN || self.asking.swap(true, Ordering::AcqRel))
        {
            return Arc::clone(found);
        }
        // A folder on a network may not answer: that holds up one thread and not all.
        let found = Arc::new(Found::ask(&self.folders, self.keep));
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), Arc::clone(&found)));
        self.asking.store(false, Ordering::Release);
        found
    }

    /// One that has none, for a second.
    #[cfg(test)]
    pub fn none() -> Self {
        let full = Error::NoRoom { path: "/full".into(), free: 1, wanted: 2 };
        let found = Found { free: Vec::new(), verdict: Err(full) };
        let room = Self::new(Vec::new(), 0);
        *room.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::new(found)));
        room
    }

    fn known(&self) -> Option<(Instant, Arc<Found>)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Found {
    fn ask(folders: &[PathBuf], keep: u64) -> Self {
        let mut found = Self { free: Vec::new(), verdict: Ok(()) };
        for folder in folders {
            match of_disk(folder) {
                Ok((free, all)) => {
                    found.free.push((folder.clone(), free));
                    found.verdict = found.verdict.and_then(|()| enough(folder, (free, all), keep));
                }
                Err(error) => found.verdict = found.verdict.and(Err(error)),
            }
        }
        found
    }
}

/// The octets that are free on the disk of a folder, and all that it has.
fn of_disk(folder: &Path) -> Result<(u64, u64), Error> {
    let disk = rustix::fs::statvfs(folder).map_err(|error| Error::io(folder)(io::Error::from(error)))?;
    Ok((disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize))
}

fn enough(folder: &Path, (free, all): (u64, u64), keep: u64) -> Result<(), Error> {
    let wanted = keep.min(all / PART);
    match free < wanted {
        true => Err(Error::NoRoom { path: folder.to_owned(), free, wanted }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_free_is_never_more_than_a_part_of_the_disk() {
        let folder = Path::new("/data");
        assert!(enough(folder, (0, 2000), 0).is_ok());
        assert!(enough(folder, (100, 2000), u64::MAX).is_ok());
        let full = enough(folder, (99, 2000), u64::MAX).unwrap_err();
        assert!(matches!(full, Error::NoRoom { free: 99, wanted: 100, .. }), "{full}");
    }

    #[test]
    fn what_is_free_is_told_of_each_folder_that_can_be_asked() {
        let folder = tempfile::tempdir().unwrap();
        let room = Room::new(vec![PathBuf::from("/nowhere/at/all"), folder.path().to_owned()], 0);
        let free = room.free();
        assert_eq!(free.len(), 1, "{free:?}");
        assert_eq!(free[0].0, folder.path());
        assert!(room.check().is_err());
    }

    #[test]
    fn what_was_found_is_not_asked_again_in_the_same_moment_and_what_cannot_be_asked_is_told() {
        let room = Room::new(vec![PathBuf::from("/nowhere/at/all")], 1);
        let first = room.check().unwrap_err();
        assert!(matches!(&first, Error::Io { path, .. } if path.ends_with("all")), "{first}");
        assert!(Room::none().check().unwrap_err().is_full());
    }
}
