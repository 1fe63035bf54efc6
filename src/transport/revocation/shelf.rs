//! What is kept of revocation data, in memory and on the disk, so that a restart and an outage find it there.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::source::{Proof, Source};
use crate::clock::{SignedDuration, Timestamp};

/// What nobody asked after for so long is let go.
const FORGET: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The most sources that are kept.
const MOST: usize = 200;
/// No file of ours is larger.
const LARGEST_FILE: u64 = 17 << 20;
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
                // It may be days old: it serves, and is asked for again at once.
                Some((source, proof)) => {
                    self.settle(&source, Ok(proof), now);
                    self.lock().entry(source.key()).and_modify(|kept| kept.again = now);
                }
                None => remove(&path),
            }
        }
    }

    /// What is at hand of a source; it is noted that somebody asked.
    pub fn take(&self, source: &Source, now: Timestamp) -> Kept {
        self.make_room(now);
        let mut all = self.lock();
        let kept = all.entry(source.key()).or_insert_with(|| Kept::new(source, now));
        kept.used = now;
        kept.clone()
    }

    /// What is at hand of a source that was asked before; it is noted that somebody asked again.
    pub fn used(&self, source: &Source, now: Timestamp) -> Option<Kept> {
        let mut all = self.lock();
        let kept = all.get_mut(&source.key())?;
        kept.used = now;
        Some(kept.clone())
    }

    /// What is at hand of a source, where nobody asks for its own sake.
    pub fn peek(&self, source: &Source) -> Option<Kept> {
        self.lock().get(&source.key()).cloned()
    }

    /// The sources to be fetched at `now`.
    pub fn due(&self, now: Timestamp) -> Vec<Source> {
        let all = self.lock();
        let mut due: Vec<&Kept> = all.values().filter(|kept| kept.is_due(now)).collect();
        // What ends first is fetched first; what was never had comes last.
        due.sort_by_key(|kept| kept.proof.as_ref().map_or(Timestamp::MAX, |proof| proof.next_update()));
        due.into_iter().map(|kept| kept.source.clone()).collect()
    }

    /// When the next source is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.lock().values().map(|kept| kept.again).min()
    }

    /// How many sources hold nothing that is in force.
    pub fn overdue(&self, now: Timestamp) -> usize {
        self.lock().values().filter(|kept| !kept.in_force(now)).count()
    }

    /// Notes the outcome of a fetch. The old proof stays when it failed.
    pub fn settle(&self, source: &Source, outcome: Result<Proof, String>, now: Timestamp) {
        let mut all = self.lock();
        let kept = all.entry(source.key()).or_insert_with(|| Kept::new(source, now));
        let old = match outcome {
            Ok(proof) if proof.next_update() > now => {
                kept.again = later(now, half(proof.next_update().duration_since(now)));
                (kept.failures, kept.failure) = (0, None);
                kept.proof.replace(Arc::new(proof))
            }
            Ok(stale) => {
                kept.fail(format!("what came was in force until {}", stale.next_update()), now);
                match kept.in_force(now) {
                    true => None,
                    false => kept.proof.replace(Arc::new(stale)),
                }
            }
            Err(why) => {
                kept.fail(why, now);
                None
            }
        };
        // A large list is let go only after the others can look again.
        drop(all);
        drop(old);
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
        let old = |kept: &Kept| now.duration_since(kept.used) > FORGET;
        let keys: Vec<String> =
            self.lock().iter().filter(|(_, kept)| old(kept)).map(|(key, _)| key.clone()).collect();
        self.let_go(keys);
    }

    /// Keeps the number of sources bounded: first goes what holds nothing in force, then what was asked after longest ago.
    fn make_room(&self, now: Timestamp) {
        let victim = {
            let all = self.lock();
            let least = all.iter().min_by_key(|(_, kept)| (kept.in_force(now), kept.used));
            least.filter(|_| all.len() >= MOST).map(|(key, _)| key.clone())
        };
        self.let_go(victim.into_iter().collect());
    }

    fn let_go(&self, keys: Vec<String>) {
        for key in keys {
            let gone = self.lock().remove(&key);
            drop(gone);
            self.folder.iter().for_each(|folder| remove(&folder.join(&key)));
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

    /// Whether it may be fetched. A time far ahead was written by a clock that has been set back.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.again <= now || self.again.duration_since(now) > LATEST
    }

    fn in_force(&self, now: Timestamp) -> bool {
        self.proof.as_ref().is_some_and(|proof| proof.next_update() > now)
    }

    /// A minute, two, four ... at most an hour until the next try; where nothing in force is at hand, at most two minutes, for
    /// then messages wait for it.
    fn fail(&mut self, why: String, now: Timestamp) {
        let longest = if self.in_force(now) { LATEST } else { SOONEST * 2 };
        self.again = later(now, (SOONEST * (1 << self.failures.min(6))).min(longest));
        self.failures = self.failures.saturating_add(1);
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
    if fs::metadata(path).ok()?.len() > LARGEST_FILE {
        return None;
    }
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
