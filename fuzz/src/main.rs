//! One program for all targets: `TILTS_FUZZ` names the parser, everything else is libFuzzer's own command line.
//!
//! `fuzz/run` builds it with coverage counters, writes the seeds and runs each target for a bounded time. No target reaches
//! a public-key operation: those would be a thousand times slower than the parsers and hide them.

#![no_main]

mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("TILTS_FUZZ").unwrap_or_default();
    let found = targets::ALL.iter().find(|(known, _)| *known == name);
    let Some((_, target)) = found else {
        let names: Vec<&str> = targets::ALL.iter().map(|(name, _)| *name).collect();
        eprintln!("TILTS_FUZZ={name:?} is no target; there are: {}", names.join(" "));
        std::process::exit(2);
    };
    *target
});

fuzz_target!(|octets: &[u8]| TARGET(octets));
