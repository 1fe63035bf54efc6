//! The named points (docs/decisions/crash-points.md): which side passes them, and what leads there.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::process::Command;

use super::schedule::Side;
use Act::{Stop, Traffic};
use Side::{Receiver, Sender};

/// What makes a node pass a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Messages cross.
    Traffic,
    /// It is told to end.
    Stop,
}

/// A point on a side.
#[derive(Debug, Clone, Copy)]
pub struct Trap {
    /// Its name.
    pub point: &'static str,
    /// Who passes it.
    pub side: Side,
    /// When.
    pub act: Act,
}

const fn trap(point: &'static str, side: Side, act: Act) -> Trap {
    Trap { point, side, act }
}

/// Every point on every side that passes it. The receiver sends too: evidence; and the sender receives that.
pub const TRAPS: &[Trap] = &[
    trap("submit-begun", Sender, Traffic),
    trap("submit-committed", Sender, Traffic),
    trap("payload-renamed", Sender, Traffic),
    trap("payload-renamed", Receiver, Traffic),
    trap("attempt-begun", Sender, Traffic),
    trap("attempt-begun", Receiver, Traffic),
    trap("attempt-committed", Sender, Traffic),
    trap("attempt-committed", Receiver, Traffic),
    trap("request-sent", Sender, Traffic),
    trap("request-sent", Receiver, Traffic),
    trap("response-read", Sender, Traffic),
    trap("response-read", Receiver, Traffic),
    trap("settle-begun", Sender, Traffic),
    trap("settle-begun", Receiver, Traffic),
    trap("settle-committed", Sender, Traffic),
    trap("settle-committed", Receiver, Traffic),
    trap("accept-begun", Receiver, Traffic),
    trap("accept-begun", Sender, Traffic),
    trap("accept-committed", Receiver, Traffic),
    trap("accept-committed", Sender, Traffic),
    trap("receipt-ready", Receiver, Traffic),
    trap("receipt-ready", Sender, Traffic),
    trap("disposal-begun", Receiver, Traffic),
    trap("disposal-committed", Receiver, Traffic),
    trap("delivery-begun", Receiver, Traffic),
    trap("delivery-committed", Receiver, Traffic),
    trap("checkpoint-begun", Sender, Stop),
    trap("checkpoint-committed", Sender, Stop),
];

/// Points that only nodes on PostgreSQL pass, whether messages cross or not: what becomes of a defect there is tried by `tests/panics.rs` of tilts.
pub const OF_CLUSTERS: &[&str] = &["command-taken", "word-heard", "sign-due"];

/// Names of the points that a side passes while messages cross.
pub fn in_traffic(side: Side) -> Vec<&'static str> {
    let fitting = TRAPS.iter().filter(|trap| trap.side == side && trap.act == Traffic);
    fitting.map(|trap| trap.point).collect()
}

/// The points that a binary knows, by its own words: it refuses a name that is none and lists those that are.
pub async fn known_to(tilts: &Path) -> Result<Vec<String>> {
    let mut command = Command::new(tilts);
    command.args(["serve", "--config", "/dev/null"]).env("TILTS_CRASH", "?").stdin(Stdio::null());
    let said = String::from_utf8(command.output().await?.stderr)?;
    let (_, points) =
        said.trim().split_once("the points are ").with_context(|| format!("it says {said:?}"))?;
    Ok(points.split_whitespace().map(str::to_owned).collect())
}
