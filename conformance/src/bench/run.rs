//! What one run gives.

use serde::Serialize;

use super::Content;
use super::threads::Thread;

/// One run of many messages of one size.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// How many messages.
    pub messages: usize,
    /// What the payloads are made of.
    pub content: Content,
    /// Octets of each payload.
    pub octets: u64,
    /// Messages that A sent at once, each on a connection of its own.
    pub connections: usize,
    /// Seconds in which A took all submissions over, before.
    pub handing_in_seconds: f64,
    /// Seconds from the start of sending to the last verified receipt.
    pub seconds: f64,
    /// Processor seconds of A in that time.
    pub sender: f64,
    /// Processor seconds of B in that time.
    pub receiver: f64,
    /// Processor seconds of A for taking over the submissions, before.
    pub submission: f64,
    /// The same by threads.
    pub threads: Threads,
    /// Time of one attempt, half of them.
    pub median_ms: f64,
    /// Time of one attempt, all but a hundredth of them.
    pub p99_ms: f64,
    /// Highest resident memory of A, in octets.
    pub sender_peak: u64,
    /// Highest resident memory of B, in octets.
    pub receiver_peak: u64,
    /// Milliseconds from A's start to ready, with the queue full.
    pub start_ms: f64,
}

/// Processor seconds by the names of threads.
#[derive(Debug, Clone, Serialize)]
pub struct Threads {
    /// Of A for taking over the submissions.
    pub handing_in: Vec<Thread>,
    /// Of A while it sends, its start among it.
    pub sender: Vec<Thread>,
    /// Of B while A sends.
    pub receiver: Vec<Thread>,
}

impl Run {
    /// Messages a second, once they are handed in.
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.seconds
    }

    /// Messages a second, from the first octet that is handed in.
    pub fn whole_rate(&self) -> f64 {
        self.messages as f64 / (self.handing_in_seconds + self.seconds)
    }

    /// Processor milliseconds of both sides for one exchange.
    pub fn cpu_ms(&self) -> f64 {
        (self.sender + self.receiver) * 1e3 / self.messages as f64
    }
}
