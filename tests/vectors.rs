//! The acceptance cases for the commands that take things apart, run against the real binary.
//!
//! Cases and their runner belong to the interoperability vectors, which are not part of this repository: found by
//! `TILTS_VECTORS`, else in `../shared/vectors`; without them the test says so and passes.

use std::path::PathBuf;
use std::process::Command;

#[test]
fn the_acceptance_cases_pass() {
    let Some(vectors) = vectors() else {
        println!("skipped: no vectors");
        return;
    };
    let runner = vectors.join("../tools/check-vectors");
    if !runner.is_file() {
        println!("skipped: no {}", runner.display());
        return;
    }
    let output = Command::new("python3")
        .arg(runner)
        .args(["--tilts", env!("CARGO_BIN_EXE_tilts"), "--timeout", "60", "--skip", "pmode"])
        .arg("--root")
        .arg(&vectors)
        .arg("--cases")
        .arg(vectors.join("inspect.jsonl"))
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: python3 cannot be run: {error}");
            return;
        }
    };
    let table = String::from_utf8_lossy(&output.stdout);
    println!("{table}");
    assert!(output.status.success(), "{table}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn vectors() -> Option<PathBuf> {
    let folder = match std::env::var_os("TILTS_VECTORS") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"),
    };
    folder.is_dir().then(|| folder.canonicalize().unwrap_or(folder))
}
