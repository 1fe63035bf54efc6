//! The report: tables for people, JSON for machines, charts as SVG.

mod compared;
mod tables;

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

pub use compared::Compared;

use super::{Other, Row, Soak, charts};
use crate::bench::Content;

/// All that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Cores that everything shares.
    pub cores: f64,
    /// The rows in the order of measurement.
    pub rows: Vec<Row>,
    /// Software of other people.
    pub others: Vec<Compared>,
    /// What could not be measured, and why.
    pub left_out: Vec<(String, String)>,
    /// Resident memory of a node without work, in octets.
    pub idle: u64,
    /// Highest resident memory of the benchmark itself, in octets.
    pub own_peak: u64,
    /// Octets a second that the disk takes, on which all folders of the nodes lie.
    pub disk: f64,
    /// Messages that waited in the rows marked with `W`, and partners in those with `P`.
    pub crowd: Option<(u64, u64)>,
    /// Memory over a long run.
    pub soak: Option<Soak>,
}

impl Report {
    /// An empty one of a run on so many cores.
    pub fn new(cores: f64) -> Self {
        Self {
            cores,
            rows: Vec::new(),
            others: Vec::new(),
            left_out: Vec::new(),
            idle: 0,
            own_peak: 0,
            disk: 0.0,
            crowd: None,
            soak: None,
        }
    }

    /// Puts somebody else's run beside tilts' own under the same profile.
    pub fn compare(&mut self, profile: &str, other: Other) {
        let same = |row: &&Row| {
            let run = &row.run;
            row.profile == profile
                && run.content == Content::Noise
                && (run.octets, run.connections) == (other.octets, other.connections)
        };
        let tilts = self.rows.iter().find(same).map(|row| row.run.clone());
        let ratios = tilts.as_ref().map(|run| other.beside(run));
        self.others.push(Compared { other, tilts, ratios });
    }

    /// The tables.
    pub fn text(&self) -> String {
        let mut out = tables::own(self);
        if !self.rows.is_empty() {
            out += &tables::costs(&self.rows);
            out += &tables::spent(&self.rows);
        }
        if !self.others.is_empty() {
            out += &compared::table(&self.others);
        }
        for (name, why) in &self.left_out {
            out += &format!("\nleft out: {name}: {why}\n");
        }
        out
    }

    /// Writes `report.txt`, `report.json` and the charts into a folder.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("report.txt"), self.text())?;
        fs::write(folder.join("report.json"), serde_json::to_vec_pretty(self)?)?;
        for (name, svg) in charts::all(self) {
            fs::write(folder.join(name).with_extension("svg"), svg)?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::row::tests::row;
    use super::*;

    pub(in crate::bench) fn other(connections: usize) -> Other {
        Other {
            name: "somebody".into(),
            octets: 10 << 10,
            connections,
            messages: 100,
            seconds: 10.0,
            sender: 2.0,
            receiver: Some(1.0),
            sender_peak: 300 << 20,
            receiver_peak: Some(100 << 20),
            p50_ms: 1.0,
            p99_ms: 2.0,
            failures: 20,
            start_ms: 3.0,
        }
    }

    #[test]
    fn another_is_put_beside_the_run_with_as_much_at_once() {
        let mut report = Report::new(2.0);
        report.rows = vec![row(1), row(8)];
        report.compare("a profile", other(8));
        report.compare("a profile", other(2));
        report.compare("another profile", other(8));
        // 80 of 100 messages are proven: 8 a second.
        let ratios = report.others[0].ratios.unwrap();
        assert!((ratios.rate - 2.5).abs() < 1e-9);
        assert!((ratios.cpu - 3.0).abs() < 1e-9);
        assert!((ratios.memory - 4.0).abs() < 1e-9);
        assert!(report.others[1].ratios.is_none());
        assert!(report.others[2].ratios.is_none());
    }

    #[test]
    fn what_is_left_out_is_said_and_why() {
        let mut report = Report::new(2.0);
        report.left_out.push(("phase4".into(), "no Java".into()));
        assert!(report.text().ends_with("\nleft out: phase4: no Java\n"));
    }
}
