//! The tables of tilts' own runs.

use std::fmt::Write as _;

use super::Report;
use crate::bench::Row;
use crate::bench::stages::STAGES;

/// What a row is of: the first columns of every table.
fn of(row: &Row) -> String {
    let run = &row.run;
    format!("{:<20} {:>10} {:<5} {:>3}", row.profile, run.octets, run.content.name(), run.connections)
}

fn heading(title: &str) -> String {
    format!("{title:<20} {:>10} {:<5} {:>3}", "octets", "of", "con")
}

/// What tilts does.
pub(super) fn own(report: &Report) -> String {
    let mut out = heading("profile");
    let _ = writeln!(
        out,
        " {:>8} {:>8} {:>6} {:>8} {:>8} {:>8} {:>8} {:>7} {:>8} {:>13} {:>8} {:>8}",
        "msg/s",
        "of bound",
        "whole",
        "bound",
        "CPU",
        "A",
        "B",
        "x",
        "submit",
        "p50/p99 ms",
        "peak MB",
        "start ms"
    );
    for row in &report.rows {
        let run = &row.run;
        let each = |seconds: f64| seconds * 1e3 / run.messages as f64;
        let _ = writeln!(
            out,
            "{} {:>8.1} {:>7.0}% {:>5.0}% {:>8.2} {:>8.2} {:>8.2} {:>8.2} {:>7.2} {:>8.2} {:>13} {:>8} {:>8.0}",
            of(row),
            row.rate,
            row.of_bound * 100.0,
            row.whole_of_bound * 100.0,
            row.bound_ms,
            row.cpu_ms,
            each(run.sender),
            each(run.receiver),
            row.times_bound,
            each(run.submission),
            format!("{:.0}/{:.0}", run.median_ms, run.p99_ms),
            format!("{}/{}", run.sender_peak >> 20, run.receiver_peak >> 20),
            run.start_ms,
        );
    }
    legend(report, &mut out);
    out
}

/// What the columns mean, and what was found besides.
fn legend(report: &Report, out: &mut String) {
    let cores = report.cores;
    let _ = writeln!(
        out,
        "\nbound, CPU, A, B, submit: processor milliseconds a message. bound: what its cryptography and compression cost by\n\
         themselves. A, B, CPU: sending, once it is handed in (submit). of bound: rate of sending in parts of what {cores} cores\n\
         could do if there were only the bound; whole: the same from the first octet that is handed in, compression among it.\n\
         x: CPU in times of the bound of sending. noise: does not shrink. text: does, and is compressed when it is handed in.\n\
         start: to ready, with the queue full. Idle: {} MB. The benchmark itself: {} MB at most.\n\
         The disk takes {:.0} MB/s of one file, written and synced: no rate of large payloads is above that.",
        report.idle >> 20,
        report.own_peak >> 20,
        report.disk / 1048576.0
    );
    if let Some((waiting, partners)) = report.crowd {
        let _ = writeln!(
            out,
            "W: with {waiting} messages that wait at A. P: with {partners} partners more on both sides."
        );
    }
    if let Some(soak) = &report.soak {
        let _ = writeln!(out, "{}", soak.text());
    }
}

/// The bound by stage.
pub(super) fn costs(rows: &[Row]) -> String {
    let mut out = String::from("\n") + &heading("bound by stage, ms");
    for (name, _) in rows[0].costs.stages() {
        let _ = write!(out, " {name:>9}");
    }
    let _ = writeln!(out, " {:>9}", "bound");
    for row in rows {
        out += &of(row);
        for (_, ms) in row.costs.stages() {
            let _ = write!(out, " {ms:>9.3}");
        }
        let _ = writeln!(out, " {:>9.3}", row.bound_ms);
    }
    out + "\nBoth sides together: signatures of message and receipt, and their verifications; the content key wrapped and\n\
           unwrapped; SHA-256, AES-GCM of WS-Security and TLS of the octets on the wire; compression and decompression.\n"
}

/// The nodes by stage.
pub(super) fn spent(rows: &[Row]) -> String {
    let mut out = String::from("\n") + &heading("nodes by stage, ms") + &format!(" {:<4}", "side");
    for (name, _) in STAGES {
        let _ = write!(out, " {name:>9}");
    }
    let _ = writeln!(out, " {:>9}", "all");
    for row in rows {
        for (side, stages) in row.spent.sides() {
            let _ = write!(out, "{} {side:<4}", of(row));
            for ms in stages.parts() {
                let _ = write!(out, " {ms:>9.3}");
            }
            let _ = writeln!(out, " {:>9.3}", stages.sum());
        }
    }
    out + "\nin: A, when it takes a submission over. bound: what the bound says of that side. protocol: the rest of what the\n\
           runtime's threads do in user mode. network: what they do in the kernel (network, files, wake-ups). store, store k.: the\n\
           thread that writes the store, in user mode and in the kernel (log, waiting for the disk). reader: those that read it.\n\
           main: the thread that starts everything. other: further threads, and what no thread was seen to do.\n"
}

#[cfg(test)]
mod tests {
    use super::super::Report;
    use super::*;
    use crate::bench::row::tests::row;

    #[test]
    fn headings_stand_over_their_columns() {
        let mut report = Report::new(2.0);
        report.rows = vec![row(8)];
        for table in [own(&report), costs(&report.rows), spent(&report.rows)] {
            let lines: Vec<&str> = table.lines().filter(|line| !line.is_empty()).collect();
            assert_eq!(lines[0].chars().count(), lines[1].chars().count(), "{table}");
        }
    }
}
