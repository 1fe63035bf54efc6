//! Who carries out the statements of a SQLite database.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;

/// Who carries out the statements of a SQLite database, and when a commit stands.
#[derive(Clone, Default)]
pub enum Hands {
    /// Threads of the store's own; a commit stands when it is on the disk.
    #[default]
    Threads,
    /// The threads of the runtime, and somebody who knows of each commit; nothing is forced onto the disk. For a node inside of another
    /// program that must know what happens in which order and is not to outlive the machine.
    Caller(Arc<dyn Commits>),
}

/// Knows of each commit, and of what is on the disk. It may unwind: the node is to be thrown away then.
pub trait Commits: Send + Sync {
    /// Comes before each commit, which waits for it.
    ///
    /// # Errors
    /// What the disk might have said: nothing of the transaction is kept.
    fn begin(&self) -> BoxFuture<'_, io::Result<()>>;

    /// Comes after each that stands, before anybody hears of it.
    fn committed(&self);

    /// The octets of a file, or the names in a folder, are on the disk.
    fn synced(&self, what: &Path);
}

impl Hands {
    /// Waits until a file or folder is on the disk.
    pub(super) fn sync(&self, file: &File, path: &Path) -> io::Result<()> {
        file.sync_all()?;
        if let Some(commits) = self.commits() {
            commits.synced(path);
        }
        Ok(())
    }

    /// Whoever knows of commits.
    pub(super) fn commits(&self) -> Option<&dyn Commits> {
        match self {
            Self::Threads => None,
            Self::Caller(commits) => Some(&**commits),
        }
    }
}

impl std::fmt::Debug for Hands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Threads => "Threads",
            Self::Caller(_) => "Caller",
        })
    }
}
