//! What the system says of a process.

use std::fs;

use anyhow::{Context, Result};

/// Processor time and memory of a process.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Usage {
    /// Processor seconds so far in user mode, those of threads that have ended among them.
    pub user: f64,
    /// The same in the kernel.
    pub system: f64,
    /// Resident memory now, in octets.
    pub resident: u64,
    /// Highest resident memory so far, in octets.
    pub peak: u64,
}

impl Usage {
    /// Of a running process.
    pub fn of(pid: u32) -> Result<Self> {
        let stat = Stat::read(&format!("/proc/{pid}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kilobytes = |name: &str| -> Result<u64> {
            let line = status.lines().find(|line| line.starts_with(name)).with_context(|| name.to_owned())?;
            line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).with_context(|| name.to_owned())
        };
        Ok(Self {
            user: stat.user,
            system: stat.system,
            resident: kilobytes("VmRSS:")? * 1024,
            peak: kilobytes("VmHWM:")? * 1024,
        })
    }
}

impl Usage {
    /// Processor seconds so far.
    pub fn seconds(&self) -> f64 {
        self.user + self.system
    }
}

/// The file `stat` of a process or of a thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stat {
    /// Processor seconds in user mode.
    pub user: f64,
    /// Processor seconds in the kernel.
    pub system: f64,
    /// When it began, in ticks since the machine did.
    pub began: u64,
}

impl Stat {
    pub(super) fn read(file: &str) -> Result<Self> {
        Self::of(&fs::read_to_string(file)?)
    }

    fn of(text: &str) -> Result<Self> {
        // The name in parentheses may hold anything. Behind it: 12 and 13 are utime and stime in ticks of 1/100 s, 20 is the start.
        let (_, behind) = text.rsplit_once(") ").context("no name in stat")?;
        let fields: Vec<&str> = behind.split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|t| t.parse::<u64>().ok()).context("stat is short");
        Ok(Self { user: ticks(11)? as f64 / 100.0, system: ticks(12)? as f64 / 100.0, began: ticks(19)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_behind_whatever_the_name_holds() {
        let line = "7 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 250 75 0 0 20 0 1 0 4711 9 9";
        let stat = Stat::of(line).unwrap();
        assert_eq!((stat.user, stat.system, stat.began), (2.5, 0.75, 4711));
        assert!(Stat::of("7 (short) S 1 2").is_err());
    }

    #[test]
    fn of_this_process_something_is_known() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident > 1 << 20 && usage.peak >= usage.resident, "{usage:?}");
    }
}
