//! The report: a table for people, JSON for machines, charts as SVG.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::{Bound, Run};

/// Cores that both sides share.
pub const CORES: f64 = 2.0;

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Profile and keys.
    pub profile: String,
    /// What was measured.
    pub run: Run,
    /// What the cryptography costs alone.
    pub bound: Bound,
    /// Processor milliseconds of one exchange's cryptography.
    pub crypto_ms: f64,
    /// Processor time of the exchange in times of its cryptography.
    pub times_crypto: f64,
    /// Rate in parts of what two cores could do if there were only the cryptography.
    pub of_bound: f64,
}

impl Row {
    /// Compares a run with its bound.
    pub fn new(profile: &str, run: Run, bound: Bound) -> Self {
        let crypto = bound.exchange(run.octets);
        Self {
            profile: profile.to_owned(),
            run,
            bound,
            crypto_ms: crypto * 1e3,
            times_crypto: run.cpu_ms() / (crypto * 1e3),
            of_bound: run.rate() / (CORES / crypto),
        }
    }
}

/// All rows, and what an idle node needs.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The rows in the order of measurement.
    pub rows: Vec<Row>,
    /// Resident memory of a node without work, in octets.
    pub idle: u64,
}

impl Report {
    /// The table.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{:<22} {:>9} {:>4} {:>8} {:>9} {:>7} {:>8} {:>8} {:>8} {:>7} {:>8} {:>11} {:>8}",
            "profile",
            "octets",
            "con",
            "msg/s",
            "of bound",
            "crypto",
            "CPU",
            "A",
            "B",
            "x",
            "submit",
            "p50/p99 ms",
            "peak MB"
        );
        for row in &self.rows {
            let run = &row.run;
            let each = |seconds: f64| seconds * 1e3 / run.messages as f64;
            let _ = writeln!(
                out,
                "{:<22} {:>9} {:>4} {:>8.1} {:>8.0}% {:>7.2} {:>8.2} {:>8.2} {:>8.2} {:>7.2} {:>8.2} {:>11} {:>8}",
                row.profile,
                run.octets,
                run.connections,
                run.rate(),
                row.of_bound * 100.0,
                row.crypto_ms,
                run.cpu_ms(),
                each(run.sender),
                each(run.receiver),
                row.times_crypto,
                each(run.submission),
                format!("{:.0}/{:.0}", run.median_ms, run.p99_ms),
                format!("{}/{}", run.sender_peak >> 20, run.receiver_peak >> 20),
            );
        }
        let _ = writeln!(
            out,
            "\ncrypto, CPU, A, B, submit: processor milliseconds a message. x: CPU in times of crypto. of bound: rate in parts of\n\
             what {CORES} cores could do with the cryptography alone. Idle: {} MB.",
            self.idle >> 20
        );
        out
    }

    /// Writes `report.txt`, `report.json` and `processor.svg` into a folder.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("report.txt"), self.text())?;
        fs::write(folder.join("report.json"), serde_json::to_vec_pretty(self)?)?;
        Ok(fs::write(folder.join("processor.svg"), self.chart())?)
    }

    /// Processor time of each row: what the cryptography needs, and what the whole exchange needs.
    fn chart(&self) -> String {
        let longest = self.rows.iter().map(|row| row.run.cpu_ms()).fold(1.0, f64::max);
        let mut bars = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            let y = 30 + index * 44;
            let width = |ms: f64| 560.0 * ms / longest;
            let label =
                format!("{}, {} octets, {} connections", row.profile, row.run.octets, row.run.connections);
            let _ = write!(
                bars,
                "<text x=\"10\" y=\"{}\">{label}</text>\
                 <rect x=\"10\" y=\"{}\" width=\"{:.1}\" height=\"16\" fill=\"#9db7d5\"/>\
                 <rect x=\"10\" y=\"{}\" width=\"{:.1}\" height=\"16\" fill=\"#1f4e79\"/>\
                 <text x=\"{:.1}\" y=\"{}\">{:.2} ms, {:.2} ms of it cryptography</text>",
                y,
                y + 5,
                width(row.run.cpu_ms()),
                y + 5,
                width(row.crypto_ms.min(row.run.cpu_ms())),
                width(row.run.cpu_ms()) + 18.0,
                y + 18,
                row.run.cpu_ms(),
                row.crypto_ms,
            );
        }
        let height = 40 + self.rows.len() * 44;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"860\" height=\"{height}\" font-family=\"sans-serif\" \
             font-size=\"12\"><rect width=\"860\" height=\"{height}\" fill=\"#fff\"/>{bars}</svg>\n"
        )
    }
}
