//! What the charts of a report show.

use std::collections::BTreeMap;

use super::chart::{Axis, Bars, COLOURS, Group, Plot, Scale, Series, stacked};
use super::others::OCTETS;
use super::report::Report;
use super::row::size;
use super::stages::STAGES;
use super::{Content, Row, Soak};

/// Every chart, by the name of its file.
pub(super) fn all(report: &Report) -> Vec<(&'static str, String)> {
    let mut charts = vec![
        ("processor", processor(report).svg()),
        ("stages", stages(report).svg()),
        ("connections", stacked(&connections(report))),
        ("sizes", stacked(&sizes(report))),
    ];
    if let Some(soak) = &report.soak {
        charts.push(("memory", stacked(&[memory(soak)])));
    }
    charts
}

/// Processor time of each row: what it needs at the least, and what the whole exchange needs; then other people's.
fn processor(report: &Report) -> Bars {
    let mut groups: BTreeMap<u64, Vec<(String, Vec<f64>)>> = BTreeMap::new();
    for row in &report.rows {
        let least = row.costs.sending().min(row.cpu_ms);
        let bar = (row.label(), vec![least, row.cpu_ms - least]);
        groups.entry(row.run.octets).or_default().push(bar);
    }
    for other in report.others.iter().map(|compared| &compared.other) {
        let label = format!("{}, {} at once", other.name, other.connections);
        groups.entry(other.octets).or_default().push((label, vec![0.0, 0.0, other.cpu_ms()]));
    }
    Bars {
        title: "Processor time of a message, both sides together".into(),
        unit: "ms",
        parts: vec![
            ("cryptography, compression", COLOURS[0]),
            ("the rest of tilts", COLOURS[5]),
            ("software of others", COLOURS[4]),
        ],
        groups: by_size(groups),
    }
}

/// Where the processor time went, in each node.
fn stages(report: &Report) -> Bars {
    let mut groups: BTreeMap<u64, Vec<(String, Vec<f64>)>> = BTreeMap::new();
    for row in &report.rows {
        for (side, stages) in row.spent.sides() {
            let side = match side {
                "in" => "A takes it over",
                "A" => "A sends it",
                _ => "B receives it",
            };
            let bar = (format!("{}: {side}", row.label()), stages.parts().to_vec());
            groups.entry(row.run.octets).or_default().push(bar);
        }
    }
    Bars {
        title: "Processor time of a message, by stage".into(),
        unit: "ms",
        parts: STAGES.into_iter().map(|(_, name)| name).zip(COLOURS).collect(),
        groups: by_size(groups),
    }
}

fn by_size(groups: BTreeMap<u64, Vec<(String, Vec<f64>)>>) -> Vec<Group> {
    let group = |(octets, bars)| Group { name: format!("{}, ms a message", size(octets)), bars };
    groups.into_iter().map(group).collect()
}

/// Rate and times by how much is sent at once.
fn connections(report: &Report) -> [Plot; 2] {
    let of = |row: &&Row| {
        row.run.octets == OCTETS && row.run.content == Content::Noise && !row.profile.ends_with('*')
    };
    let rows: Vec<&Row> = report.rows.iter().filter(of).collect();
    let (mut rate, mut times) = (Vec::new(), Vec::new());
    for (index, (profile, rows)) in by_profile(&rows).into_iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let line = |of: &dyn Fn(&Row) -> f64| -> Vec<(f64, f64)> {
            rows.iter().map(|row| (row.run.connections as f64, of(row))).collect()
        };
        rate.push(series(format!("tilts, {profile}"), colour, false, line(&|row| row.rate)));
        let bound = line(&|row| row.bound_rate(report.cores));
        rate.push(series(format!("bound, {profile}"), colour, true, bound));
        times.push(series(format!("p50 tilts, {profile}"), colour, false, line(&|row| row.run.median_ms)));
        times.push(series(format!("p99 tilts, {profile}"), colour, true, line(&|row| row.run.p99_ms)));
    }
    others(report, |other| other.connections as f64, &mut rate, &mut times);
    let counts: Vec<u64> = rows.iter().map(|row| row.run.connections as u64).collect();
    let theirs = report.others.iter().map(|compared| compared.other.connections as u64);
    let x = marked("messages sent at once", counts.into_iter().chain(theirs), |count| count.to_string());
    pair(&format!("{} of noise", size(OCTETS)), x, rate, times)
}

/// Rate and times by size, under the first profile: the best rate of each size, and the times with the fewest at once.
fn sizes(report: &Report) -> [Plot; 2] {
    let first = report.rows.first().map_or("", |row| &row.profile);
    let (mut rate, mut times, mut marks) = (Vec::new(), Vec::new(), Vec::new());
    for (content, colour) in [Content::Noise, Content::Text].into_iter().zip(COLOURS) {
        let rows = report.rows.iter().filter(|row| row.profile == first && row.run.content == content);
        let mut sizes = Sizes::new();
        rows.for_each(|row| sizes.entry(row.run.octets).or_default().push(row));
        marks.extend(sizes.keys());
        if !sizes.is_empty() {
            rate.extend(rates(&sizes, report.cores, content.name(), colour));
            times.extend(fewest(&sizes, content.name(), colour));
        }
    }
    others(report, |other| other.octets as f64, &mut rate, &mut times);
    let theirs = report.others.iter().map(|compared| compared.other.octets);
    let x = marked("size of the payload", marks.into_iter().chain(theirs), size);
    pair(first, x, rate, times)
}

type Sizes<'r> = BTreeMap<u64, Vec<&'r Row>>;

/// The best rate of each size, and what the bound allows.
fn rates(sizes: &Sizes<'_>, cores: f64, name: &str, colour: &'static str) -> [Series; 2] {
    let best = |of: &dyn Fn(&Row) -> f64| {
        let best = |rows: &[&Row]| rows.iter().map(|row| of(row)).fold(0.0, f64::max);
        sizes.iter().map(|(octets, rows)| (*octets as f64, best(rows))).collect()
    };
    [
        series(format!("tilts, {name}"), colour, false, best(&|row| row.rate)),
        series(format!("bound, {name}"), colour, true, best(&|row| row.bound_rate(cores))),
    ]
}

/// The times of each size with the fewest at once.
fn fewest(sizes: &Sizes<'_>, name: &str, colour: &'static str) -> [Series; 2] {
    let line = |of: fn(&Row) -> f64| {
        let row = |rows: &[&Row]| rows.iter().min_by_key(|row| row.run.connections).map(|row| of(row));
        sizes.iter().filter_map(|(octets, rows)| Some((*octets as f64, row(rows)?))).collect()
    };
    [
        series(format!("p50 tilts, {name}"), colour, false, line(|row| row.run.median_ms)),
        series(format!("p99 tilts, {name}"), colour, true, line(|row| row.run.p99_ms)),
    ]
}

/// Memory of both nodes over a long load.
fn memory(soak: &Soak) -> Plot {
    let line = |of: fn(&super::soak::Sample) -> u64| {
        soak.samples.iter().map(|s| (s.seconds / 60.0, of(s) as f64 / 1048576.0)).collect()
    };
    let plain =
        |name: &str, colour, points| Series { dots: false, ..series(name.into(), colour, false, points) };
    Plot {
        title: "Resident memory under load without pause".into(),
        x: Axis::new("minutes", Scale::Linear),
        y: Axis::new("resident memory, MB", Scale::Linear),
        series: vec![
            plain("A, which sends", COLOURS[0], line(|s| s.sender)),
            plain("B, which receives", COLOURS[1], line(|s| s.receiver)),
        ],
    }
}

fn by_profile<'r>(rows: &[&'r Row]) -> Vec<(&'r str, Vec<&'r Row>)> {
    let mut profiles: Vec<(&str, Vec<&Row>)> = Vec::new();
    for row in rows {
        match profiles.iter_mut().find(|(profile, _)| *profile == row.profile) {
            Some((_, rows)) => rows.push(row),
            None => profiles.push((&row.profile, vec![row])),
        }
    }
    profiles
}

/// Software of others, each a line of its own.
fn others(report: &Report, x: fn(&super::Other) -> f64, rate: &mut Vec<Series>, times: &mut Vec<Series>) {
    let mut names: Vec<&str> = report.others.iter().map(|compared| &*compared.other.name).collect();
    names.dedup();
    for (name, colour) in names.into_iter().zip([COLOURS[4], COLOURS[8]]) {
        let runs = || report.others.iter().map(|compared| &compared.other).filter(|o| o.name == name);
        rate.push(series(name.into(), colour, false, runs().map(|o| (x(o), o.rate())).collect()));
        times.push(series(format!("p50 {name}"), colour, false, runs().map(|o| (x(o), o.p50_ms)).collect()));
        times.push(series(format!("p99 {name}"), colour, true, runs().map(|o| (x(o), o.p99_ms)).collect()));
    }
}

fn series(name: String, colour: &'static str, dashed: bool, points: Vec<(f64, f64)>) -> Series {
    Series { name, colour, dashed, dots: true, points }
}

fn marked(label: &str, at: impl Iterator<Item = u64>, words: impl Fn(u64) -> String) -> Axis {
    let mut at: Vec<u64> = at.collect();
    at.sort_unstable();
    at.dedup();
    Axis::marked(label, Scale::Log, at.into_iter().map(|at| (at as f64, words(at))).collect())
}

fn pair(what: &str, x: Axis, rate: Vec<Series>, times: Vec<Series>) -> [Plot; 2] {
    let plot = |title: &str, y: &str, series| Plot {
        title: format!("{title}: {what}"),
        x: x.clone(),
        y: Axis::new(y, Scale::Log),
        series,
    };
    [
        plot("Rate, beside the bound", "messages a second", rate),
        plot("Time of one attempt", "milliseconds", times),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::other;
    use super::super::row::tests::row;
    use super::super::soak::Sample;
    use super::*;

    fn report() -> Report {
        let mut report = Report::new(2.0);
        report.rows = vec![row(1), row(8), Row { profile: "another".into(), ..row(8) }, row(64)];
        (report.rows[1].rate, report.rows[1].run.p99_ms) = (30.0, 7.0);
        let mut large = row(2);
        large.run.octets = 100 << 20;
        report.rows.push(Row { cpu_ms: 400.0, rate: 2.0, ..large });
        report.compare("a profile", other(8));
        report.compare("a profile", other(32));
        let sample = |n: u64| Sample { seconds: n as f64, messages: 1, sender: n << 20, receiver: 40 << 20 };
        report.soak = Some(Soak::new((0..100).map(sample).collect()));
        report
    }

    fn chart(name: &str) -> String {
        all(&report()).into_iter().find(|(file, _)| *file == name).unwrap().1
    }

    #[test]
    fn every_profile_and_everybody_else_has_a_line_and_a_name() {
        let svg = chart("connections");
        for name in ["tilts, a profile", "bound, a profile", "tilts, another", "somebody", "p99 somebody"] {
            assert!(svg.contains(&format!(">{name}</text>")), "{name} in {svg}");
        }
        for label in ["messages a second", "milliseconds", "messages sent at once"] {
            assert!(svg.contains(&format!(">{label}</text>")), "{label} in {svg}");
        }
    }

    #[test]
    fn a_size_has_one_point_of_its_best_rate() {
        let [rate, times] = sizes(&report());
        assert_eq!(rate.series[0].points, [(10240.0, 30.0), (104_857_600.0, 2.0)]);
        // The times are those of one message at once: its p99 is 2 ms.
        assert_eq!(times.series[1].points[0], (10240.0, 2.0));
    }

    #[test]
    fn bars_are_compared_within_a_size() {
        let groups: Vec<_> =
            processor(&report()).groups.into_iter().map(|g| (g.name, g.bars.len())).collect();
        assert_eq!(groups, [("10 KB, ms a message".to_owned(), 6), ("100 MB, ms a message".to_owned(), 1)]);
        assert!(chart("stages").contains(">store in the kernel</text>"));
    }

    #[test]
    fn memory_is_shown_where_there_was_a_soak() {
        assert!(chart("memory").contains(">resident memory, MB</text>"));
        let without = Report { soak: None, ..report() };
        assert!(all(&without).iter().all(|(name, _)| *name != "memory"));
    }
}
