//! What is kept of revocation data, in memory and on the disk, so that a restart and an outage find it there.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::source::{Proof, Source};
use crate::clock::{SignedDuration, Timestamp};

/// What nobody asked after for so long is let go.
const FORGET: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The most sources that are kept; those asked after longest ago go first.
const MOST: usize = 1000;
/// What is kept is fetched again when half of its time is over, within these bounds.
const SOONEST: SignedDuration = SignedDuration::from_mins(1);
const LATEST: SignedDuration = SignedDuration::from_hours(1);

/// All sources of one domain or partner.
pub(super) struct Shelf {
    folder: Option<PathBuf>,
    kept: Mutex<HashMap<String, Kept>>,
}

/// One source and what is at hand of it.
#[derive(Clone)]
pub(super) struct Kept {
    /// Where it comes from.
    pub source: Source,
    /// The last good one.
    pub proof: Option<Arc<Proof>>,
    /// Why the last fetch failed.
    pub failure: Option<String>,
    /// Not fetched before.
    pub again: Timestamp,
    /// Held while it is fetched, so that a second caller waits for the first one's.
    pub flight: Arc<tokio::sync::Mutex<()>>,
    failures: u32,
    used: Timestamp,
}

impl Shelf {
    /// A shelf in memory alone, or one that also reads and writes `folder`.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, kept: Mutex::default() }
    }

    /// Reads what the folder holds. What is there and cannot be used is removed.
    pub fn load(&self, now: Timestamp) {
        let Some(folder) = &self.folder else { return };
        for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            match load(&path, now) {
                Some((source, proof)) => self.settle(&source, Ok(proof), now),
                None => remove(&path),
            }
        }
    }

    /// What is at hand of a source; it is noted that somebody asked.
    pub fn take(&self, source: &Source, now: Timestamp) -> Kept {
        let mut all = self.lock();
        let kept = all.entry(source.key()).or_insert_with(|| Kept::new(source, now));
        kept.used = now;
        kept.clone()
    }

    /// What is at hand of a source, where nobody asks for its own sake.
    pub fn peek(&self, source: &Source) -> Option<Kept> {
        self.lock().get(&source.key()).cloned()
    }

    /// The sources to be fetched at `now`.
    pub fn due(&self, now: Timestamp) -> Vec<Source> {
        self.lock().values().filter(|kept| kept.again <= now).map(|kept| kept.source.clone()).collect()
    }

    /// When the next source is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.lock().values().map(|kept| kept.again).min()
    }

    /// How many sources hold nothing that is in force.
    pub fn overdue(&self, now: Timestamp) -> usize {
        let overdue = |kept: &&Kept| kept.proof.as_ref().is_none_or(|proof| proof.next_update() < now);
        self.lock().values().filter(overdue).count()
    }

    /// Notes the outcome of a fetch. The old proof stays when it failed.
    pub fn settle(&self, source: &Source, outcome: Result<Proof, String>, now: Timestamp) {
        let mut all = self.lock();
        let kept = all.entry(source.key()).or_insert_with(|| Kept::new(source, now));
        match outcome {
            Ok(proof) if proof.next_update() > now => {
                kept.again = later(now, half(proof.next_update().duration_since(now)));
                (kept.failures, kept.failure) = (0, None);
                kept.proof = Some(Arc::new(proof));
            }
            Ok(stale) => {
                kept.fail(format!("what came was in force until {}", stale.next_update()), now);
                kept.proof = Some(Arc::new(stale));
            }
            Err(why) => kept.fail(why, now),
        }
    }

    /// Writes what came to the disk, whole or not at all.
    pub fn write(&self, source: &Source, octets: &[u8]) {
        let Some(folder) = &self.folder else { return };
        let path = folder.join(source.key());
        let beside = path.with_extension("new");
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::write(&beside, source.to_file(octets)))
            .and_then(|()| fs::rename(&beside, &path));
        if let Err(error) = written {
            tracing::warn!(file = %path.display(), %error, "revocation data will not outlive a restart");
        }
    }

    /// Lets go what nobody has asked after for long.
    pub fn forget_unused(&self, now: Timestamp) {
        let mut all = self.lock();
        let mut by_use: Vec<(Timestamp, String)> =
            all.iter().map(|(key, kept)| (kept.used, key.clone())).collect();
        by_use.sort();
        let too_many = by_use.len().saturating_sub(MOST);
        let old = |used: &Timestamp| now.duration_since(*used) > FORGET;
        for (index, (used, key)) in by_use.iter().enumerate() {
            if index < too_many || old(used) {
                all.remove(key);
                self.folder.iter().for_each(|folder| remove(&folder.join(key)));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn new(source: &Source, now: Timestamp) -> Self {
        Self {
            source: source.clone(),
            proof: None,
            failure: None,
            again: now,
            flight: Arc::default(),
            failures: 0,
            used: now,
        }
    }

    /// A minute, two, four ... at most an hour until the next try.
    fn fail(&mut self, why: String, now: Timestamp) {
        let wait = SOONEST * (1 << self.failures.min(6));
        self.again = later(now, wait.min(LATEST));
        self.failures += 1;
        self.failure = Some(why);
    }
}

fn half(left: SignedDuration) -> SignedDuration {
    (left / 2).clamp(SOONEST, LATEST)
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn load(path: &Path, now: Timestamp) -> Option<(Source, Proof)> {
    let file = fs::read(path).ok()?;
    let (source, octets) = Source::from_file(&file)?;
    let named = path.file_name().is_some_and(|name| *name == *source.key());
    let proof = source.read(octets, now).ok().filter(|_| named)?;
    Some((source, proof))
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!(file = %path.display(), %error, "not removed");
    }
}
