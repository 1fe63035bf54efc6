//! The black-box suite on a node of this build: everything that has a case holds, and nothing is passed over but what is
//! listed. The list itself fits the assertions: each is run or skipped, and none is both.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use conformance::node::tilts_binary;
use conformance::suite::{Options, Verdict, assertions, run, run_ids, skipped};

#[tokio::test(flavor = "multi_thread")]
async fn every_assertion_holds_that_is_not_listed_as_skipped() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = Options {
        tilts: tilts_binary()?,
        ours: true,
        phase4: None,
        endpoints: Vec::new(),
        only: Vec::new(),
        out: folder.path().join("suite"),
    };
    let report = run(&options).await?;
    let text = report.text();
    let column = &report.columns[0];
    ensure!(report.total().failed == 0, "{text}");
    let passed_over = column.verdicts.iter().filter_map(|(id, (verdict, _))| match verdict {
        Verdict::Skipped(why) => Some((id.clone(), why.clone())),
        _ => None,
    });
    let (passed_over, listed): (BTreeMap<_, _>, _) = (passed_over.collect(), skipped()?);
    ensure!(passed_over == listed, "skipped: {passed_over:#?}\nlisted: {listed:#?}");
    let judged: Vec<_> = report.assertions.iter().filter(|a| !column.verdicts.contains_key(&a.id)).collect();
    ensure!(judged.is_empty(), "without a verdict: {judged:?}");
    Ok(())
}

#[test]
fn each_assertion_is_either_run_or_skipped() -> Result<()> {
    let run = run_ids();
    let once: BTreeSet<_> = run.iter().copied().collect();
    ensure!(once.len() == run.len(), "a case stands twice");
    let (all, skipped) = (assertions()?, skipped()?);
    for assertion in &all {
        let (run, skipped) = (once.contains(&*assertion.id), skipped.contains_key(&assertion.id));
        ensure!(run != skipped, "{}: run {run}, skipped {skipped}", assertion.id);
    }
    ensure!(all.len() == once.len() + skipped.len(), "a case or reason of no assertion");
    Ok(())
}
