//! What the threads of a process have done, by their names.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::usage::{Stat, Usage};

/// What the counts of the process have and no thread that was seen: threads that began and ended between two looks.
pub const OTHER: &str = "other";
/// What a process seems to have besides its threads because its counts end with a tick, user and system each.
const ROUNDING: f64 = 0.02;

/// Processor time of all threads of one name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Thread {
    /// The name, as the system keeps it (15 octets).
    pub name: String,
    /// Seconds in user mode.
    pub user: f64,
    /// Seconds in the kernel.
    pub system: f64,
}

/// What the system counts of a thread. The scheduler counts exactly, but not by mode: that division is by ticks.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    seconds: f64,
    user_ticks: f64,
    system_ticks: f64,
}

/// Watches a process. A thread that ends keeps what was last seen of it.
#[derive(Debug)]
pub struct Watch {
    pid: u32,
    before: Usage,
    now: Usage,
    /// By id and time of the start, as ids come again.
    threads: BTreeMap<(u32, u64), Seen>,
}

#[derive(Debug)]
struct Seen {
    name: String,
    before: Count,
    now: Count,
}

impl Watch {
    /// Of a running process, from now on.
    pub fn begin(pid: u32) -> Result<Self> {
        let mut watch = Self::since_start(pid)?;
        watch.before = watch.now;
        watch.threads.values_mut().for_each(|thread| thread.before = thread.now);
        Ok(watch)
    }

    /// Of a process that has just been started, with what it has done since.
    pub fn since_start(pid: u32) -> Result<Self> {
        let mut watch =
            Self { pid, before: Usage::default(), now: Usage::default(), threads: BTreeMap::new() };
        watch.look()?;
        Ok(watch)
    }

    /// Reads all counts again.
    pub fn look(&mut self) -> Result<()> {
        for entry in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let entry = entry?;
            let Some(id) = entry.file_name().to_str().and_then(|id| id.parse::<u32>().ok()) else { continue };
            // One that ends meanwhile has no files any more.
            let Ok((began, name, now)) = thread(&entry.path()) else { continue };
            let seen = self.threads.entry((id, began)).or_insert_with(|| Seen {
                name: String::new(),
                before: Count::default(),
                now,
            });
            (seen.name, seen.now) = (name, now);
        }
        self.now = Usage::of(self.pid)?;
        Ok(())
    }

    /// What the system said of the process at the last look.
    pub fn usage(&self) -> Usage {
        self.now
    }

    /// Processor seconds of the process from the beginning to the last look.
    pub fn seconds(&self) -> f64 {
        self.now.seconds() - self.before.seconds()
    }

    /// The threads from the beginning to the last look by name, those that did nothing left out, and [`OTHER`] at the end.
    pub fn spent(&self) -> Vec<Thread> {
        let mut names: BTreeMap<&str, Count> = BTreeMap::new();
        for Seen { name, before, now } in self.threads.values() {
            let sum = names.entry(name).or_default();
            sum.seconds += now.seconds - before.seconds;
            sum.user_ticks += now.user_ticks - before.user_ticks;
            sum.system_ticks += now.system_ticks - before.system_ticks;
        }
        let mut threads: Vec<Thread> = names
            .into_iter()
            .filter(|(_, count)| count.seconds > 0.0)
            .map(|(name, count)| count.of(name.to_owned()))
            .collect();
        threads.push(self.other(&threads));
        threads
    }

    fn other(&self, threads: &[Thread]) -> Thread {
        let sum = |of: fn(&Thread) -> f64| threads.iter().map(of).sum::<f64>();
        let user = self.now.user - self.before.user - sum(|thread| thread.user);
        let system = self.now.system - self.before.system - sum(|thread| thread.system);
        let (user, system) = match user + system {
            rest if rest.abs() <= ROUNDING => (0.0, 0.0),
            rest => (user.clamp(0.0, rest.max(0.0)), rest - user.clamp(0.0, rest.max(0.0))),
        };
        Thread { name: OTHER.to_owned(), user, system }
    }
}

impl Count {
    fn of(self, name: String) -> Thread {
        let ticks = self.user_ticks + self.system_ticks;
        let system = if ticks > 0.0 { self.seconds * self.system_ticks / ticks } else { 0.0 };
        Thread { name, user: (self.seconds - system).max(0.0), system }
    }
}

/// When a thread began, its name, and what it has done.
fn thread(folder: &Path) -> Result<(u64, String, Count)> {
    let stat = Stat::read(&folder.join("stat").to_string_lossy())?;
    let name = fs::read_to_string(folder.join("comm"))?.trim_end().to_owned();
    let nanoseconds = fs::read_to_string(folder.join("schedstat"))?;
    let nanoseconds: u64 = nanoseconds.split(' ').next().unwrap_or_default().parse()?;
    let count = Count { seconds: nanoseconds as f64 / 1e9, user_ticks: stat.user, system_ticks: stat.system };
    Ok((stat.began, name, count))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn busy(name: &str, time: Duration) -> std::thread::JoinHandle<()> {
        let work = move || {
            let until = Instant::now() + time;
            while Instant::now() < until {
                std::hint::black_box(openssl::sha::sha256(&[0; 4096]));
            }
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(work).unwrap()
    }

    #[test]
    fn work_is_found_under_the_name_of_its_thread_even_when_that_has_ended() {
        let mut watch = Watch::begin(std::process::id()).unwrap();
        let worker = busy("worker-under-test", Duration::from_millis(300));
        std::thread::sleep(Duration::from_millis(250));
        watch.look().unwrap();
        worker.join().unwrap();
        watch.look().unwrap();
        let spent = watch.spent();
        let seconds = spent.iter().find(|thread| thread.name == "worker-under-te").unwrap();
        // How much it got depends on what else runs; the rest after the last look counts as other.
        assert!((0.01..0.31).contains(&(seconds.user + seconds.system)), "{spent:?}");
        assert_eq!(spent.last().unwrap().name, OTHER);
    }

    #[test]
    fn threads_that_nobody_saw_are_not_lost() {
        let mut watch = Watch::begin(std::process::id()).unwrap();
        busy("unseen", Duration::from_millis(300)).join().unwrap();
        watch.look().unwrap();
        let spent = watch.spent();
        assert!(spent.iter().all(|thread| thread.name != "unseen"), "{spent:?}");
        let sum: f64 = spent.iter().map(|thread| thread.user + thread.system).sum();
        assert!((sum - watch.seconds()).abs() <= ROUNDING, "{spent:?}, {} s", watch.seconds());
        let other = spent.last().unwrap();
        assert!(other.name == OTHER && other.user + other.system > 0.02, "{spent:?}");
    }
}
