//! Whether there is room for more: what is taken over must be sent, evidenced and answered after, and that needs the disk too. So
//! peers and producers are asked to come again before it is full, not when it is.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Error;

/// The disk is asked no more often than this.
const OFTEN: Duration = Duration::from_secs(1);
/// Of a small disk no more is kept free than this part.
const PART: u64 = 20;

/// The free octets that are to be kept on the disks of a store.
#[derive(Debug)]
pub(super) struct Room {
    folders: Vec<PathBuf>,
    keep: u64,
    last: Mutex<Option<(Instant, Result<(), Error>)>>,
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
        let known = self.known();
        if let Some((at, found)) = &known
            && (at.elapsed() < OFTEN || self.asking.swap(true, Ordering::AcqRel))
        {
            return found.clone();
        }
        // A folder on a network may not answer: that holds up one thread and not all.
        let found = self.folders.iter().try_for_each(|folder| enough(folder, self.keep));
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), found.clone()));
        self.asking.store(false, Ordering::Release);
        found
    }

    /// One that has none, for a second.
    #[cfg(test)]
    pub fn none() -> Self {
        let full = Error::NoRoom { path: "/full".into(), free: 1, wanted: 2 };
        let room = Self::new(Vec::new(), 0);
        *room.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Err(full)));
        room
    }

    fn known(&self) -> Option<(Instant, Result<(), Error>)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn enough(folder: &Path, keep: u64) -> Result<(), Error> {
    let disk = rustix::fs::statvfs(folder).map_err(|error| Error::io(folder)(io::Error::from(error)))?;
    let (free, all) = (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize);
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
        let folder = tempfile::tempdir().unwrap();
        let disk = rustix::fs::statvfs(folder.path()).unwrap();
        assert!(enough(folder.path(), 0).is_ok());
        // Only where more than a twentieth is free does this show that not all of what was asked for is wanted.
        if disk.f_bavail > disk.f_blocks / PART {
            assert!(enough(folder.path(), u64::MAX).is_ok());
        }
    }

    #[test]
    fn what_was_found_is_not_asked_again_in_the_same_moment_and_what_cannot_be_asked_is_told() {
        let room = Room::new(vec![PathBuf::from("/nowhere/at/all")], 1);
        let first = room.check().unwrap_err();
        assert!(matches!(&first, Error::Io { path, .. } if path.ends_with("all")), "{first}");
        assert!(Room::none().check().unwrap_err().is_full());
    }
}
