//! What each case came to: a line as soon as it is known, and the sums at the end.

use std::time::Instant;

use anyhow::Result;

/// The cases so far.
pub struct Report {
    begun: Instant,
    rows: Vec<Row>,
}

struct Row {
    pair: String,
    case: String,
    verdict: Verdict,
    /// Whether a message was delivered, so that its receipt must be believed.
    delivers: bool,
}

/// What a case came to.
enum Verdict {
    Pass,
    Fail(String),
    LeftOut(String),
}

impl Default for Report {
    #[allow(clippy::disallowed_methods, reason = "the duration of the run itself")]
    fn default() -> Self {
        Self { begun: Instant::now(), rows: Vec::new() }
    }
}

impl Report {
    /// Notes a case: what was seen, or what was wrong.
    pub fn add(&mut self, pair: &str, case: &str, outcome: Result<String>) {
        self.judge(pair, case, outcome, false);
    }

    /// Notes a case in which a message is delivered and its receipt believed: the form of a receipt must never be why not.
    pub fn add_delivery(&mut self, pair: &str, case: &str, outcome: Result<String>) {
        self.judge(pair, case, outcome, true);
    }

    fn judge(&mut self, pair: &str, case: &str, outcome: Result<String>, delivers: bool) {
        match outcome {
            Ok(seen) => self.note(pair, case, Verdict::Pass, &seen),
            Err(wrong) => {
                let wrong = format!("{wrong:#}");
                self.note(pair, case, Verdict::Fail(wrong.clone()), &wrong);
            }
        }
        if let Some(row) = self.rows.last_mut() {
            row.delivers = delivers;
        }
    }

    /// Notes a case that cannot run here, and why.
    pub fn leave_out(&mut self, pair: &str, case: &str, why: &str) {
        self.note(pair, case, Verdict::LeftOut(why.into()), why);
    }

    fn note(&mut self, pair: &str, case: &str, verdict: Verdict, text: &str) {
        let word = match verdict {
            Verdict::Pass => "pass",
            Verdict::Fail(_) => "FAIL",
            Verdict::LeftOut(_) => "left out",
        };
        println!("{pair:<23} {case:<58} {word:<9} {text}");
        self.rows.push(Row { pair: pair.into(), case: case.into(), verdict, delivers: false });
    }

    /// Prints the table of pairs and cases, and once more what failed or was left out; true when nothing failed.
    pub fn finish(&self) -> bool {
        let pairs = first_of(self.rows.iter().map(|row| row.pair.as_str()));
        println!("\n+ passed, ! failed, o left out, . not a case of that pair\n");
        for (column, pair) in pairs.iter().enumerate() {
            println!("{} {}", letter(column), self.sum(pair));
        }
        let head: String = (0..pairs.len()).map(|column| format!(" {}", letter(column))).collect();
        println!("\n{:<62}{head}", "case");
        for case in first_of(self.rows.iter().map(|row| row.case.as_str())) {
            let cells: String = pairs.iter().map(|pair| format!(" {}", self.cell(pair, case))).collect();
            println!("{case:<62}{cells}");
        }
        println!();
        for row in &self.rows {
            match &row.verdict {
                Verdict::Pass => {}
                Verdict::Fail(why) => println!("failed:   {} | {}: {why}", row.pair, row.case),
                Verdict::LeftOut(why) => println!("left out: {} | {}: {why}", row.pair, row.case),
            }
        }
        let [passed, failed, left] = count(self.rows.iter());
        println!("\n{:.0} s", self.begun.elapsed().as_secs_f32());
        println!("{passed} passed, {failed} failed, {left} skipped");
        failed == 0 && passed > 0
    }

    fn sum(&self, pair: &str) -> String {
        let [passed, failed, left] = count(self.rows.iter().filter(|row| row.pair == pair));
        let mut delivered = self.rows.iter().filter(|row| row.pair == pair && row.delivers).peekable();
        let text = format!("{pair:<23} {passed:>3} passed {failed:>3} failed {left:>3} left out");
        if delivered.peek().is_none() {
            return text;
        }
        let [believed, not, _] = count(delivered);
        format!("{text}; {believed} of {} deliveries acknowledged and believed", believed + not)
    }

    /// The worst that the case came to.
    fn cell(&self, pair: &str, case: &str) -> char {
        let [passed, failed, left] =
            count(self.rows.iter().filter(|row| row.pair == pair && row.case == case));
        match (passed, failed, left) {
            (0, 0, 0) => '.',
            (_, 0, 0) => '+',
            (_, 0, _) => 'o',
            _ => '!',
        }
    }
}

/// How many passed, failed and were left out.
fn count<'r>(rows: impl Iterator<Item = &'r Row>) -> [usize; 3] {
    let mut sums = [0; 3];
    for row in rows {
        let place = match row.verdict {
            Verdict::Pass => 0,
            Verdict::Fail(_) => 1,
            Verdict::LeftOut(_) => 2,
        };
        sums[place] += 1;
    }
    sums
}

/// Each text once, in the order in which they first came.
fn first_of<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<&'t str> {
    let mut seen = Vec::new();
    for text in texts {
        if !seen.contains(&text) {
            seen.push(text);
        }
    }
    seen
}

/// The letter of a column.
fn letter(column: usize) -> char {
    ('A'..='Z').chain('a'..='z').nth(column).unwrap_or('?')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_the_worst_of_a_case_and_counts_deliveries() {
        let mut report = Report::default();
        report.add_delivery("a", "one", Ok(String::new()));
        report.add("a", "refused", Ok(String::new()));
        report.leave_out("b", "one", "no reason");
        assert!(report.finish(), "what is left out is no failure");
        report.add_delivery("a", "one", Err(anyhow::anyhow!("lost")));
        assert_eq!([report.cell("a", "one"), report.cell("a", "refused")], ['!', '+']);
        assert_eq!([report.cell("b", "one"), report.cell("b", "refused")], ['o', '.']);
        assert!(
            report.sum("a").ends_with("1 of 2 deliveries acknowledged and believed"),
            "{}",
            report.sum("a")
        );
        assert!(!report.sum("b").contains("deliveries"));
        assert!(!report.finish());
    }
}
