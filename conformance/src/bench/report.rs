//! The report: a table for people, JSON for machines, charts as SVG.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::others::Ratios;
use super::{Bound, Memory, Other, Run};

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
            dash(self.tilts.map(|run| format!("{:.1}", run.rate()))),
            dash(ratio(|r| r.rate)),
            dash(ratio(|r| r.cpu)),
            dash(ratio(|r| r.memory)),
        )
    }
}

/// All rows, and what an idle node needs.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The rows in the order of measurement.
    pub rows: Vec<Row>,
    /// Software of other people.
    pub others: Vec<Compared>,
    /// Software that could not be measured, and why.
    pub left_out: Vec<(String, String)>,
    /// Resident memory of a node without work, in octets.
    pub idle: u64,
    /// Messages that waited, and partners, in the rows marked with `*`.
    pub crowd: Option<(u64, u64)>,
    /// Memory over a long run.
    pub soak: Vec<Memory>,
}

impl Report {
    /// Puts somebody else's run beside tilts' own under the same profile.
    pub fn compare(&mut self, profile: &str, other: Other) {
        let same = |row: &&Row| {
            row.profile == profile
                && (row.run.octets, row.run.connections) == (other.octets, other.connections)
        };
        let tilts = self.rows.iter().find(same).map(|row| row.run);
        let ratios = tilts.map(|run| other.beside(&run));
        self.others.push(Compared { other, tilts, ratios });
    }

    /// The tables.
    pub fn text(&self) -> String {
        let mut out = self.own();
        if !self.others.is_empty() {
            out += &self.comparison();
        }
        for (name, why) in &self.left_out {
            let _ = writeln!(out, "\nleft out: {name}: {why}");
        }
        out
    }

    /// What tilts does.
    fn own(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{:<22} {:>9} {:>4} {:>8} {:>9} {:>7} {:>8} {:>8} {:>8} {:>7} {:>8} {:>11} {:>8} {:>8}",
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
            "peak MB",
            "start ms"
        );
        for row in &self.rows {
            let run = &row.run;
            let each = |seconds: f64| seconds * 1e3 / run.messages as f64;
            let _ = writeln!(
                out,
                "{:<22} {:>9} {:>4} {:>8.1} {:>8.0}% {:>7.2} {:>8.2} {:>8.2} {:>8.2} {:>7.2} {:>8.2} {:>11} {:>8} {:>8.0}",
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
                run.start_ms,
            );
        }
        self.legend(&mut out);
        out
    }

    /// What the columns mean, and what was found besides.
    fn legend(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "\ncrypto, CPU, A, B, submit: processor milliseconds a message. x: CPU in times of crypto. of bound: rate in parts of\n\
             what {CORES} cores could do with the cryptography alone. start: to ready, with the queue full. Idle: {} MB.",
            self.idle >> 20
        );
        if let Some((waiting, partners)) = self.crowd {
            let _ = writeln!(
                out,
                "*: with {waiting} messages that wait at A, and {partners} partners more on both sides."
            );
        }
        if let (Some(first), Some(last)) = (self.soak.first(), self.soak.last()) {
            let _ = writeln!(
                out,
                "Load without pause: after {} messages {first}, after {} messages {last}.",
                first.messages, last.messages
            );
        }
    }

    /// Other people's software, each line beside tilts' own of the same size with as many messages at once.
    fn comparison(&self) -> String {
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
        for compared in &self.others {
            out += &compared.line();
        }
        out + "\nrate x: tilts' messages a second in times of the other's. CPU x, peak x: the other's processor time a message and\n\
               memory in times of tilts', both sides together. phase4: two processes, TLS with kept connections, keys read\n\
               once, receipts verified; nothing is kept on a disk. asx-rs: one process, tasks for connections, neither\n\
               network nor TLS nor disk. tilts: durable on both sides in every line; what it needs to take over a submission (submit)\n\
               comes besides.\n"
    }

    /// Writes `report.txt`, `report.json` and `processor.svg` into a folder.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("report.txt"), self.text())?;
        fs::write(folder.join("report.json"), serde_json::to_vec_pretty(self)?)?;
        Ok(fs::write(folder.join("processor.svg"), self.chart())?)
    }

    /// A label for each of the others, its processor time a message, and tilts' own.
    fn chart_others(&self, top: usize, longest: f64) -> String {
        let mut bars = String::new();
        for (index, Compared { other, tilts, .. }) in self.others.iter().enumerate() {
            let (y, width) = (top + index * 44, 560.0 * other.cpu_ms() / longest);
            let own = tilts.map_or(String::new(), |run| format!(", tilts {:.2} ms", run.cpu_ms()));
            let _ = write!(
                bars,
                "<text x=\"10\" y=\"{y}\">{}, {} octets, {} connections</text>\
                 <rect x=\"10\" y=\"{}\" width=\"{width:.1}\" height=\"16\" fill=\"#d5b99d\"/>\
                 <text x=\"{:.1}\" y=\"{}\">{:.2} ms{own}</text>",
                other.name,
                other.octets,
                other.connections,
                y + 5,
                width + 18.0,
                y + 18,
                other.cpu_ms(),
            );
        }
        bars
    }

    /// Processor time of each row: what the cryptography needs, and what the whole exchange needs.
    fn chart(&self) -> String {
        let all = self.rows.iter().map(|row| row.run.cpu_ms());
        let longest = all.chain(self.others.iter().map(|each| each.other.cpu_ms())).fold(1.0, f64::max);
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
        bars += &self.chart_others(30 + self.rows.len() * 44, longest);
        let height = 40 + (self.rows.len() + self.others.len()) * 44;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"860\" height=\"{height}\" font-family=\"sans-serif\" \
             font-size=\"12\"><rect width=\"860\" height=\"{height}\" fill=\"#fff\"/>{bars}</svg>\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(connections: usize) -> Other {
        Other {
            name: "somebody".into(),
            octets: 10,
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

    fn own(connections: usize) -> Row {
        let run = Run {
            messages: 100,
            octets: 10,
            connections,
            seconds: 5.0,
            sender: 0.5,
            receiver: 0.5,
            submission: 0.1,
            median_ms: 1.0,
            p99_ms: 2.0,
            sender_peak: 60 << 20,
            receiver_peak: 40 << 20,
            start_ms: 50.0,
        };
        let bound = Bound { sign: 1.0, verify: 1.0, wrap: 1.0, unwrap: 1.0, hash: 0.0, cipher: 0.0 };
        Row::new("a profile", run, bound)
    }

    #[test]
    fn another_is_put_beside_the_run_with_as_much_at_once() {
        let mut report = Report { rows: vec![own(1), own(8)], ..Report::default() };
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
        let report = Report { left_out: vec![("phase4".into(), "no Java".into())], ..Report::default() };
        assert!(report.text().ends_with("\nleft out: phase4: no Java\n"));
    }
}
