//! Where the processor time of a message goes in each node: what it must do at the least, and what it does besides.

use serde::Serialize;

use super::Run;
use super::bound::Costs;
use super::threads::Thread;

/// Processor milliseconds a message in one node, by who spends them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Stages {
    /// Cryptography and compression of the bound, which the protocol's threads do in user mode.
    pub bound: f64,
    /// The rest of what these threads do in user mode: HTTP, MIME, XML, checks, the copying of octets.
    pub protocol: f64,
    /// What they do in the kernel: network, files, waking each other.
    pub network: f64,
    /// The thread that writes the store, in user mode.
    pub store: f64,
    /// The same in the kernel: the log and waiting for the disk.
    pub store_kernel: f64,
    /// The threads that read the store, in user mode.
    pub reader: f64,
    /// The same in the kernel.
    pub reader_kernel: f64,
    /// The main thread, which starts everything and then waits.
    pub main: f64,
    /// Threads of other names, and what no thread was seen to do.
    pub other: f64,
}

/// The names of [`Stages`] for tables and for charts, in the order of [`Stages::parts`].
pub const STAGES: [(&str, &str); 9] = [
    ("bound", "bound"),
    ("protocol", "protocol"),
    ("network", "network, files"),
    ("store", "store"),
    ("store k.", "store in the kernel"),
    ("reader", "reader"),
    ("reader k.", "reader in the kernel"),
    ("main", "main thread"),
    ("other", "other"),
];

/// Who a thread works for.
enum Role {
    /// The runtime and its threads for blocking work.
    Protocol,
    Store,
    Reader,
    Main,
    Other,
}

fn role(name: &str) -> Role {
    match name {
        "store" => Role::Store,
        "store-reader" => Role::Reader,
        "tilts" => Role::Main,
        _ if name.starts_with("tokio-") => Role::Protocol,
        _ => Role::Other,
    }
}

impl Stages {
    /// Of threads in `messages`, each of which needs `bound` milliseconds at the least.
    fn of(threads: &[Thread], messages: usize, bound: f64) -> Self {
        let mut stages = Self::default();
        for thread in threads {
            let ms = |seconds: f64| seconds * 1e3 / messages as f64;
            let (user, system) = (ms(thread.user), ms(thread.system));
            let (in_user, in_kernel) = match role(&thread.name) {
                Role::Protocol => (&mut stages.protocol, &mut stages.network),
                Role::Store => (&mut stages.store, &mut stages.store_kernel),
                Role::Reader => (&mut stages.reader, &mut stages.reader_kernel),
                Role::Main => {
                    stages.main += user + system;
                    continue;
                }
                Role::Other => {
                    stages.other += user + system;
                    continue;
                }
            };
            *in_user += user;
            *in_kernel += system;
        }
        stages.bound = bound.min(stages.protocol);
        stages.protocol -= stages.bound;
        stages
    }

    /// All parts, in the order of [`STAGES`].
    pub fn parts(&self) -> [f64; 9] {
        [
            self.bound,
            self.protocol,
            self.network,
            self.store,
            self.store_kernel,
            self.reader,
            self.reader_kernel,
            self.main,
            self.other,
        ]
    }

    /// All of it.
    pub fn sum(&self) -> f64 {
        self.parts().iter().sum()
    }
}

/// What both nodes spent on a message.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Spent {
    /// A, while it takes a submission over.
    pub handing_in: Stages,
    /// A, while it sends.
    pub sender: Stages,
    /// B, while A sends.
    pub receiver: Stages,
}

impl Spent {
    /// Takes a run apart by what its messages need at the least.
    pub fn new(run: &Run, costs: &Costs) -> Self {
        let of = |threads: &[Thread], bound| Stages::of(threads, run.messages, bound);
        Self {
            handing_in: of(&run.threads.handing_in, costs.handing_in()),
            sender: of(&run.threads.sender, costs.sender()),
            receiver: of(&run.threads.receiver, costs.receiver()),
        }
    }

    /// Each side by a short name.
    pub fn sides(&self) -> [(&'static str, Stages); 3] {
        [("in", self.handing_in), ("A", self.sender), ("B", self.receiver)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(name: &str, user: f64, system: f64) -> Thread {
        Thread { name: name.to_owned(), user, system }
    }

    #[test]
    fn every_second_has_its_place() {
        let threads = [
            thread("other", 0.5, 0.25),
            thread("store", 2.0, 3.0),
            thread("store-reader", 0.125, 0.375),
            thread("tilts", 1.0, 0.5),
            thread("tokio-rt-worker", 4.0, 1.5),
        ];
        let stages = Stages::of(&threads, 1000, 3.0);
        assert_eq!(stages.parts(), [3.0, 1.0, 1.5, 2.0, 3.0, 0.125, 0.375, 1.5, 0.75]);
        assert_eq!(stages.sum(), threads.iter().map(|t| t.user + t.system).sum::<f64>());
    }

    #[test]
    fn the_bound_takes_no_more_than_there_is() {
        let stages = Stages::of(&[thread("tokio-rt-worker", 2.0, 0.0)], 1000, 3.0);
        assert_eq!((stages.bound, stages.protocol), (2.0, 0.0));
    }
}
