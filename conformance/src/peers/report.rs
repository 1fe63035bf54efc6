//! What each case came to: a line as soon as it is known, and the sums at the end.

use std::collections::BTreeMap;
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
        match outcome {
            Ok(seen) => self.note(pair, case, Verdict::Pass, &seen),
            Err(wrong) => {
                let wrong = format!("{wrong:#}");
                self.note(pair, case, Verdict::Fail(wrong.clone()), &wrong);
            }
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
        println!("{pair:<18} {case:<58} {word:<9} {text}");
        self.rows.push(Row { pair: pair.into(), case: case.into(), verdict });
    }

    /// Prints the sums, and once more what failed or was left out; true when nothing failed.
    pub fn finish(&self) -> bool {
        let mut sums: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for row in &self.rows {
            let place = match row.verdict {
                Verdict::Pass => 0,
                Verdict::Fail(_) => 1,
                Verdict::LeftOut(_) => 2,
            };
            sums.entry(&row.pair).or_default()[place] += 1;
        }
        println!("\n{:<18} {:>6} {:>6} {:>9}", "pair", "passed", "failed", "left out");
        for (pair, [passed, failed, left]) in &sums {
            println!("{pair:<18} {passed:>6} {failed:>6} {left:>9}");
        }
        for row in &self.rows {
            match &row.verdict {
                Verdict::Pass => {}
                Verdict::Fail(why) => println!("failed:   {} | {}: {why}", row.pair, row.case),
                Verdict::LeftOut(why) => println!("left out: {} | {}: {why}", row.pair, row.case),
            }
        }
        let [passed, failed, left] =
            sums.values().fold([0; 3], |a, b| [a[0] + b[0], a[1] + b[1], a[2] + b[2]]);
        println!("\n{:.0} s", self.begun.elapsed().as_secs_f32());
        println!("{passed} passed, {failed} failed, {left} skipped");
        failed == 0 && passed > 0
    }
}
