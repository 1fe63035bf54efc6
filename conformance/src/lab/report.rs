//! What a run did and what the oracle says, for people and as JSON lines.

use std::collections::BTreeMap;

use serde_json::json;

use super::ledger::MOST_RECIPIENTS;
use super::members::Stores;
use super::run::Plan;
use super::truth::Verdict;

/// Commands that a node works on at once on PostgreSQL, by default.
const COMMANDS: u64 = 8;

/// The report of a run.
#[derive(Debug, serde::Serialize)]
pub struct Report {
    /// What was planned.
    pub plan: Plan,
    /// Seconds until everything had settled.
    pub seconds: f64,
    /// Exchanges that reached a node.
    pub exchanges: u64,
    /// Network faults done, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Kills done, by side and place.
    pub kills: BTreeMap<String, u64>,
    /// Times that a database did not answer, by side.
    pub stalls: BTreeMap<String, u64>,
    /// Nodes that stood still for a while.
    pub freezes: BTreeMap<String, u64>,
    /// What the oracle found.
    pub verdict: Verdict,
}

impl Report {
    /// Adds what the run itself found: that it stood still, or did less than planned.
    pub(super) fn complete(&mut self, stopped: Option<anyhow::Error>) {
        self.verdict.findings.extend(stopped.map(|error| format!("the run was given up: {error:#}")));
        // A kill leaves the files of one form at most, which every recipient of a letter was about to make; a connection that is cut
        // leaves one for each command under way on it.
        let cut: u64 =
            self.stalls.iter().filter(|(name, _)| name.ends_with("disconnected")).map(|(_, n)| n).sum();
        let kills = self.kills.values().sum::<u64>();
        let most = kills * MOST_RECIPIENTS + cut * COMMANDS * self.plan.stores.members() as u64;
        if self.verdict.left_over > most {
            let left = self.verdict.left_over;
            self.verdict
                .find(format!("{left} files that no row names: kills and cut connections explain {most}"));
        }
        for (what, done, planned) in [
            ("faults", self.faults.values().sum::<u64>(), self.plan.faults),
            ("kills", self.kills.values().sum::<u64>(), self.plan.kills),
            ("stalls", self.stalls.values().sum::<u64>(), self.plan.stalls),
            ("freezes", self.freezes.values().sum::<u64>(), self.plan.freezes),
        ] {
            if done < planned {
                self.verdict
                    .findings
                    .push(format!("{done} {what} instead of {planned}: the run proves too little"));
            }
        }
    }

    /// Whether the oracle is content.
    pub fn is_good(&self) -> bool {
        self.verdict.is_good()
    }

    /// How to run it again.
    pub fn command(&self) -> String {
        let Plan { messages, kills, faults, stalls, freezes, stores, tls, seed } = self.plan;
        let tls = if tls { " --tls" } else { "" };
        let stores = match stores {
            Stores::Sqlite => String::new(),
            Stores::Postgres(nodes) => format!(" --postgres {nodes}"),
            Stores::Bucket(nodes) => format!(" --postgres {nodes} --s3"),
        };
        format!(
            "tilts-lab --messages {messages} --kills {kills} --faults {faults} --stalls {stalls} --freezes {freezes}{stores}{tls} \
             --seed {seed}"
        )
    }

    /// For people.
    pub fn text(&self) -> String {
        let Verdict { letters, messages, evidence, findings, untold, left_over } = &self.verdict;
        let mut text = format!(
            "{letters} letters to {messages} recipients, {evidence} evidence rows, {} exchanges in {:.0} s\n",
            self.exchanges, self.seconds
        );
        let Self { faults, kills, stalls, freezes, .. } = self;
        for (what, counts) in [("faults", faults), ("kills", kills), ("stalls", stalls), ("freezes", freezes)]
        {
            text += &format!("{} {what}\n", counts.values().sum::<u64>());
            for (kind, count) in counts {
                text += &format!("  {count:>6} {kind}\n");
            }
        }
        if *left_over > 0 {
            text += &format!("{left_over} payload files left to be collected after an hour\n");
        }
        for finding in findings {
            text += &format!("FOUND: {finding}\n");
        }
        if *untold > 0 {
            text += &format!("FOUND: and {untold} more\n");
        }
        let outcome =
            if self.is_good() { "good: zero lost, zero doubled, zero wrong statuses" } else { "NOT GOOD" };
        text + &format!("{outcome}\n{}\n", self.command())
    }

    /// As JSON lines: the run, then each finding.
    pub fn json_lines(&self) -> String {
        let run = json!({
            "plan": self.plan, "seconds": self.seconds, "exchanges": self.exchanges, "faults": self.faults,
            "kills": self.kills, "stalls": self.stalls, "freezes": self.freezes, "letters": self.verdict.letters, "messages": self.verdict.messages,
            "evidence": self.verdict.evidence, "good": self.is_good(), "untold": self.verdict.untold,
        });
        let findings = self.verdict.findings.iter().map(|finding| json!({ "finding": finding }));
        std::iter::once(run).chain(findings).map(|line| format!("{line}\n")).collect()
    }
}
