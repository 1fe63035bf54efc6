//! The benchmark runs, its report has every column, machines can read it, and the charts are documents.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use conformance::bench::stages::STAGES;
use conformance::node::tilts_binary;
use serde_json::Value;

const KB: &str = "1024";
const MB: &str = "1048576";
/// Runs of these sizes under the first profile: three of a kilobyte, two of a megabyte of noise, one of text.
const RUNS: usize = 6;

#[test]
fn a_small_run_of_the_benchmark_gives_the_whole_report() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("report");
    let tilts = tilts_binary()?;
    let mut bench = Command::new(env!("CARGO_BIN_EXE_tilts-bench"));
    bench.arg("--tilts").arg(&tilts).arg("--out").arg(&out);
    bench.args([
        "--only",
        "RSA-2048",
        "--messages",
        "8",
        "--waiting",
        "0",
        "--partners",
        "0",
        "--soak",
        "0.1",
    ]);
    let output = bench.args(["--octets", KB, "--octets", MB]).output()?;
    ensure!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(out.join("report.txt"))?;
    tables(&text)?;
    let report: Value = serde_json::from_slice(&std::fs::read(out.join("report.json"))?)?;
    let rows = report["rows"].as_array().context("no rows")?;
    ensure!(rows.len() == RUNS, "{} rows:\n{text}", rows.len());
    for row in rows {
        numbers(row).with_context(|| format!("{row:#}"))?;
    }
    ensure!(
        report["soak"]["samples"].as_array().is_some_and(|samples| samples.len() > 10),
        "{}",
        report["soak"]
    );
    ensure!(text.contains("Load without pause, "), "{text}");
    for field in ["cores", "disk", "idle", "own_peak"] {
        ensure!(report[field].as_f64() > Some(0.0), "{field}: {}", report[field]);
    }
    for chart in ["processor", "stages", "connections", "sizes", "memory"] {
        document(&out.join(chart).with_extension("svg"))?;
    }
    Ok(())
}

#[test]
fn a_size_that_no_run_has_is_refused_with_those_that_there_are() -> Result<()> {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_tilts-bench"));
    let output = bench.args(["--tilts", "tilts", "--octets", "10000"]).output()?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(!output.status.success() && said.contains("no run fits"), "{said}");
    let run = "--only '1.15 RSA-2048' --octets 10240 --content noise --connections 8\n";
    ensure!(said.contains(run), "{said}");
    Ok(())
}

/// Each table has its columns, and a line for each run, or three for each: a number under every heading.
fn tables(text: &str) -> Result<()> {
    let stages: Vec<&str> = STAGES.iter().flat_map(|(name, _)| name.split(' ')).collect();
    let own = [
        "msg/s", "of", "bound", "whole", "bound", "CPU", "A", "B", "x", "submit", "p50/p99", "ms", "peak",
        "MB",
    ];
    let costs = ["sign", "verify", "wrap", "unwrap", "hash", "cipher", "TLS", "gzip", "gunzip", "bound"];
    table(text, "profile ", &own, RUNS)?;
    table(text, "bound by stage, ms ", &costs, RUNS)?;
    table(text, "nodes by stage, ms ", &stages, 3 * RUNS)
}

fn table(text: &str, begin: &str, columns: &[&str], lines: usize) -> Result<()> {
    let mut rest = text.lines().skip_while(|line| !line.starts_with(begin));
    let heading = rest.next().with_context(|| format!("no table {begin:?}:\n{text}"))?;
    let words: Vec<&str> = heading.split_whitespace().collect();
    ensure!(words.windows(columns.len()).any(|window| window == columns), "{columns:?} in {heading}");
    let body: Vec<&str> =
        rest.take_while(|line| !line.is_empty()).filter(|l| l.starts_with("1.15")).collect();
    ensure!(body.len() == lines, "{} lines of {lines} under {heading}", body.len());
    let longest = body.iter().map(|line| line.split_whitespace().count()).max();
    ensure!(body.iter().all(|line| Some(line.split_whitespace().count()) == longest), "gaps:\n{body:#?}");
    ensure!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    Ok(())
}

/// What must be there and above nought in every row.
fn numbers(row: &Value) -> Result<()> {
    let text = row["run"]["content"] == "text";
    let above = |path: &str| {
        let found = row.pointer(path).and_then(Value::as_f64);
        ensure!(found.is_some_and(|number| number > 0.0), "{path}: {found:?}");
        Ok(())
    };
    for field in ["rate", "whole_rate", "cpu_ms", "bound_ms", "times_bound", "of_bound", "whole_of_bound"] {
        above(&format!("/{field}"))?;
    }
    for stage in ["sign", "verify", "wrap", "unwrap", "hash", "cipher", "tls"] {
        above(&format!("/costs/{stage}"))?;
    }
    for field in
        ["seconds", "handing_in_seconds", "median_ms", "p99_ms", "sender_peak", "receiver_peak", "start_ms"]
    {
        above(&format!("/run/{field}"))?;
    }
    for side in ["handing_in", "sender", "receiver"] {
        // Of so short a run the system may say that all of it was in the kernel: what each part has is not certain, but the sum is.
        let stages = row["spent"][side].as_object().context("no stages")?;
        ensure!(stages.len() == STAGES.len(), "{side}: {stages:?}");
        ensure!(stages.values().filter_map(Value::as_f64).sum::<f64>() > 0.0, "{side}: {stages:?}");
        let threads = row["run"]["threads"][side].as_array().context("no threads")?;
        let named = |name: &str| threads.iter().any(|thread| thread["name"] == name);
        ensure!(named("store") && named("other") && named("tokio-rt-worker"), "{side}: {threads:?}");
    }
    ensure!((row["costs"]["gzip"].as_f64() > Some(0.0)) == text, "gzip: {}", row["costs"]);
    ensure!((row["costs"]["gunzip"].as_f64() > Some(0.0)) == text, "gunzip: {}", row["costs"]);
    Ok(())
}

fn document(svg: &Path) -> Result<()> {
    let output = Command::new("xmllint").args(["--noout", "--nonet"]).arg(svg).output()?;
    ensure!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(svg)?;
    ensure!(text.starts_with("<svg ") && !text.contains("NaN") && !text.contains("inf\""), "{text}");
    Ok(())
}
