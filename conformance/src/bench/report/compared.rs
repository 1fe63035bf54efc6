//! Other people's software beside tilts.

use serde::Serialize;

use crate::bench::others::Ratios;
use crate::bench::{Other, Run};

/// A run of somebody else's software, and what tilts did with messages of that size and as many at once.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// The other.
    pub other: Other,
    /// tilts' own run, where there was one.
    pub tilts: Option<Run>,
    /// tilts beside it.
    pub ratios: Option<Ratios>,
}

impl Compared {
    fn line(&self) -> String {
        let other = &self.other;
        let each = |seconds: f64| format!("{:.2}", seconds * 1e3 / other.messages as f64);
        let ratio = |of: fn(&Ratios) -> f64| self.ratios.as_ref().map(|r| format!("{:.2}", of(r)));
        let dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let receiver_peak = dash(other.receiver_peak.map(|peak| (peak >> 20).to_string()));
        format!(
            "{:<22} {:>9} {:>4} {:>8.1} {:>8.2} {:>8} {:>8} {:>11} {:>8} {:>6} {:>8.0} | {:>8} {:>6} {:>6} {:>7}\n",
            other.name,
            other.octets,
            other.connections,
            other.rate(),
            other.cpu_ms(),
            each(other.sender),
            dash(other.receiver.map(each)),
            format!("{:.0}/{:.0}", other.p50_ms, other.p99_ms),
            format!("{}/{receiver_peak}", other.sender_peak >> 20),
            other.failures,
            other.start_ms,
            dash(self.tilts.as_ref().map(|run| format!("{:.1}", run.rate()))),
            dash(ratio(|r| r.rate)),
            dash(ratio(|r| r.cpu)),
            dash(ratio(|r| r.memory)),
        )
    }
}

/// Each line beside tilts' own of the same size with as many messages at once.
pub(super) fn table(all: &[Compared]) -> String {
    let mut out = format!(
        "\n{:<22} {:>9} {:>4} {:>8} {:>8} {:>8} {:>8} {:>11} {:>8} {:>6} {:>8} | {:>8} {:>6} {:>6} {:>7}\n",
        "beside tilts",
        "octets",
        "con",
        "msg/s",
        "CPU",
        "sender",
        "receiver",
        "p50/p99 ms",
        "peak MB",
        "failed",
        "start ms",
        "tilts/s",
        "rate x",
        "CPU x",
        "peak x",
    );
    for compared in all {
        out += &compared.line();
    }
    out + "\nrate x: tilts' messages a second in times of the other's. CPU x, peak x: the other's processor time a message and\n\
           memory in times of tilts', both sides together. phase4: two processes, TLS with kept connections, keys read\n\
           once, receipts verified; nothing is kept on a disk. asx-rs: one process, tasks for connections, neither\n\
           network nor TLS nor disk. tilts: durable on both sides in every line; what it needs to take over a submission (submit)\n\
           comes besides.\n"
}
