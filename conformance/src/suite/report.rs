//! What came of a run: a table, JUnit XML, and one HTML page with a column for each endpoint.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::catalogue::Assertion;
use super::verdict::Verdict;

/// Names of the groups.
const GROUPS: [(&str, &str); 6] = [
    ("A", "EC test assertions"),
    ("B", "OASIS AS4 and ebMS3"),
    ("C", "eDelivery AS4 1.15"),
    ("D", "eDelivery AS4 2.0"),
    ("E", "Peppol"),
    ("F", "Security"),
];

/// One endpoint's verdicts by the assertion's number, with the time that each took.
pub struct Column {
    /// Name of the endpoint.
    pub name: String,
    /// Whether its failures are failures of the run: those of another implementation, shown for comparison, are not.
    pub counts: bool,
    /// Verdicts.
    pub verdicts: BTreeMap<String, (Verdict, Duration)>,
}

/// A run over all endpoints.
pub struct Report {
    /// The assertions that were asked for.
    pub assertions: Vec<Assertion>,
    /// The endpoints.
    pub columns: Vec<Column>,
}

/// Passed, failed, skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// It holds.
    pub passed: usize,
    /// It does not.
    pub failed: usize,
    /// It was not run.
    pub skipped: usize,
}

impl Count {
    fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Failed(_) => self.failed += 1,
            Verdict::Skipped(_) => self.skipped += 1,
        }
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

impl Report {
    /// The counts of a column; of a group alone where one is named.
    pub fn count(&self, column: &Column, group: Option<&str>) -> Count {
        let mut count = Count::default();
        for assertion in self.assertions.iter().filter(|a| group.is_none_or(|g| a.group == g)) {
            if let Some((verdict, _)) = column.verdicts.get(&assertion.id) {
                count.add(verdict);
            }
        }
        count
    }

    /// The counts of all columns together whose failures are the run's.
    pub fn total(&self) -> Count {
        let columns = self.columns.iter().filter(|column| column.counts);
        columns.map(|column| self.count(column, None)).fold(Count::default(), |a, b| Count {
            passed: a.passed + b.passed,
            failed: a.failed + b.failed,
            skipped: a.skipped + b.skipped,
        })
    }

    /// The counts of each column, a line each.
    pub fn totals(&self) -> Vec<String> {
        self.columns.iter().map(|column| format!("{}: {}", column.name, self.count(column, None))).collect()
    }

    /// The table by group, then every failure.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for column in &self.columns {
            let _ = writeln!(
                text,
                "\n{:<34}{:>8}{:>8}{:>8}{:>8}",
                column.name, "run", "passed", "failed", "skipped"
            );
            for (group, name) in GROUPS {
                let Count { passed, failed, skipped } = self.count(column, Some(group));
                if passed + failed + skipped > 0 {
                    let title = format!("  {group}  {name}");
                    let _ =
                        writeln!(text, "{title:<34}{:>8}{passed:>8}{failed:>8}{skipped:>8}", passed + failed);
                }
            }
            for (assertion, verdict) in self.rows(column) {
                if let Verdict::Failed(why) = verdict {
                    let _ = writeln!(
                        text,
                        "  FAILED {} ({}): {}\n         {why}",
                        assertion.id, assertion.level, assertion.text
                    );
                }
            }
        }
        text
    }

    fn rows<'r>(&'r self, column: &'r Column) -> impl Iterator<Item = (&'r Assertion, &'r Verdict)> {
        self.assertions.iter().filter_map(|a| column.verdicts.get(&a.id).map(|(verdict, _)| (a, verdict)))
    }

    /// Writes `assertions.xml` and `report.html` into a folder.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let put = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        put("assertions.xml", self.junit())?;
        put("report.html", self.html())
    }

    /// JUnit XML: a suite for each endpoint, a case for each assertion.
    pub fn junit(&self) -> String {
        let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
        for column in &self.columns {
            let count = self.count(column, None);
            let _ = writeln!(
                text,
                "<testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">",
                escaped(&column.name),
                count.passed + count.failed + count.skipped,
                count.failed,
                count.skipped
            );
            for assertion in &self.assertions {
                let Some((verdict, took)) = column.verdicts.get(&assertion.id) else { continue };
                let inside = match verdict {
                    Verdict::Passed => String::new(),
                    Verdict::Failed(why) => format!("<failure message=\"{}\"/>", escaped(why)),
                    Verdict::Skipped(why) => format!("<skipped message=\"{}\"/>", escaped(why)),
                };
                let _ = writeln!(
                    text,
                    "<testcase classname=\"{}.{}\" name=\"{}\" time=\"{:.3}\">{inside}</testcase>",
                    escaped(&column.name),
                    assertion.group,
                    assertion.id,
                    took.as_secs_f32()
                );
            }
            text += "</testsuite>\n";
        }
        text + "</testsuites>\n"
    }

    /// One page that needs nothing else.
    pub fn html(&self) -> String {
        let heads: String = self.columns.iter().map(|c| format!("<th>{}</th>", escaped(&c.name))).collect();
        let mut rows = String::new();
        for (group, name) in GROUPS {
            let all: Vec<_> = self.assertions.iter().filter(|a| a.group == group).collect();
            if all.is_empty() {
                continue;
            }
            let counts: String =
                self.columns.iter().map(|c| format!("<td>{}</td>", self.count(c, Some(group)))).collect();
            let _ = writeln!(rows, "<tr class=\"group\"><th colspan=\"3\">{group} {name}</th>{counts}</tr>");
            for assertion in all {
                let cells: String = self.columns.iter().map(|c| cell(c, assertion)).collect();
                let Assertion { id, level, text, .. } = assertion;
                let _ =
                    writeln!(rows, "<tr><th>{id}</th><td>{level}</td><td>{}</td>{cells}</tr>", escaped(text));
            }
        }
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>AS4 assertions</title>\n<style>{STYLE}</style>\
             </head>\n<body><h1>AS4 assertions</h1>\n<p>{}</p>\n<table><thead><tr><th>Number</th><th>Level</th>\
             <th>What must hold</th>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table>\n</body></html>\n",
            escaped(&self.totals().join("; "))
        )
    }
}

const STYLE: &str = "body{font:14px/1.4 system-ui,sans-serif;margin:2rem;color:#222;background:#fff}\
table{border-collapse:collapse}th,td{border:1px solid #ccc;padding:.3rem .5rem;text-align:left;vertical-align:top}\
thead th{position:sticky;top:0;background:#eee}.group th,.group td{background:#dde6f0}\
.passed{background:#dff0d8}.failed{background:#f6c8c8}.skipped{color:#777}td small{display:block;max-width:34rem;overflow-wrap:anywhere}";

fn cell(column: &Column, assertion: &Assertion) -> String {
    let Some((verdict, _)) = column.verdicts.get(&assertion.id) else { return "<td></td>".into() };
    let word = verdict.word();
    let why = match verdict.reason() {
        "" => String::new(),
        why => format!("<small>{}</small>", escaped(why)),
    };
    format!("<td class=\"{}\">{word}{why}</td>", word.to_lowercase())
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    text.chars().filter(|c| !c.is_control() || *c == '\n').collect()
}
