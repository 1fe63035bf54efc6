//! What the system says of a process.

use std::fs;

use anyhow::{Context, Result};

/// Processor time and memory of a process.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Usage {
    /// Processor seconds so far, in user and system mode.
    pub seconds: f64,
    /// Resident memory now, in octets.
    pub resident: u64,
    /// Highest resident memory so far, in octets.
    pub peak: u64,
}

impl Usage {
    /// Of a running process.
    pub fn of(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in parentheses may hold anything; 12 and 13 of what follows are utime and stime in ticks of 1/100 s.
        let (_, behind) = stat.rsplit_once(") ").context("no name in stat")?;
        let fields: Vec<&str> = behind.split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|t| t.parse::<u64>().ok()).context("stat is short");
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kilobytes = |name: &str| -> Result<u64> {
            let line = status.lines().find(|line| line.starts_with(name)).with_context(|| name.to_owned())?;
            line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).with_context(|| name.to_owned())
        };
        Ok(Self {
            seconds: (ticks(11)? + ticks(12)?) as f64 / 100.0,
            resident: kilobytes("VmRSS:")? * 1024,
            peak: kilobytes("VmHWM:")? * 1024,
        })
    }
}
