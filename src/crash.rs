//! Named points at which a process can be told to die, for the crash laboratory (docs/decisions/crash-points.md).
//!
//! `TILTS_CRASH=<point>` or `TILTS_CRASH=<point>:<n>` aborts the process when the point is passed the first or the n-th time, as
//! if the power had gone there. [`watch`] is for whoever runs nodes inside a process that is not to die with them. Without either,
//! a point costs two loads.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The environment variable.
pub const VARIABLE: &str = "TILTS_CRASH";
/// After this an octet that was handed to the system has left it.
const MOMENT: Duration = Duration::from_millis(5);

macro_rules! points {
    ($($(#[$doc:meta])* $name:ident => $word:literal,)*) => {
        /// A place between two things that must hold together.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Point {
            $($(#[$doc])* $name,)*
        }

        impl Point {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

points! {
    /// A backend's message is staged, and nothing of it is committed.
    SubmitBegun => "submit-begun",
    /// It is committed, and the backend does not know yet.
    SubmitCommitted => "submit-committed",
    /// A payload file or object has its name, and no row names it.
    PayloadRenamed => "payload-renamed",
    /// A message is sealed, and its header, way and attempt are not committed.
    AttemptBegun => "attempt-begun",
    /// They are, and no octet has left.
    AttemptCommitted => "attempt-committed",
    /// The last octet of a request has left.
    RequestSent => "request-sent",
    /// The answer was read, and not judged.
    ResponseRead => "response-read",
    /// It was judged, and the verdict is not committed.
    SettleBegun => "settle-begun",
    /// The verdict is committed.
    SettleCommitted => "settle-committed",
    /// A received message passed every check, and nothing of it is committed.
    AcceptBegun => "accept-begun",
    /// It is committed.
    AcceptCommitted => "accept-committed",
    /// Its receipt is about to be written.
    ReceiptReady => "receipt-ready",
    /// A message is in the backend's hands, and that is not committed.
    DisposalBegun => "disposal-begun",
    /// That is committed, with the evidence about it.
    DisposalCommitted => "disposal-committed",
    /// The backend has said its word, and that is not committed.
    DeliveryBegun => "delivery-begun",
    /// That is committed, with the evidence about it, and the backend does not know yet.
    DeliveryCommitted => "delivery-committed",
    /// The chains are about to be sealed.
    CheckpointBegun => "checkpoint-begun",
    /// They are.
    CheckpointCommitted => "checkpoint-committed",
    /// Whoever writes to a PostgreSQL database has taken a command, and begun nothing.
    CommandTaken => "command-taken",
    /// Something was heard from a node that shares the database, and nobody here knows yet.
    WordHeard => "word-heard",
    /// A sign of life is due to the nodes that share the database, and not given.
    SignDue => "sign-due",
}

static PLAN: OnceLock<Plan> = OnceLock::new();

/// Whoever is told of each point that is passed. It may unwind from there: the node that passed it is to be thrown away.
pub type Watcher = Rc<dyn Fn(Point)>;

thread_local! {
    static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
}

/// What passes a point on this thread from now on tells `watcher`: for whoever runs nodes inside a process of its own, which is not to
/// die with them. Gives the watcher before.
pub fn watch(watcher: Option<Watcher>) -> Option<Watcher> {
    WATCHER.replace(watcher)
}

fn tell(point: Point) {
    // Not held while it is told: it may unwind, and it may look for another one.
    if let Some(watcher) = WATCHER.with_borrow(Clone::clone) {
        watcher(point);
    }
}

struct Plan {
    point: Point,
    left: AtomicU64,
}

/// Reads the environment, once, before anything else is done.
///
/// # Errors
/// The variable names no point: a trap that cannot spring would prove nothing. The text lists the points there are.
pub fn arm() -> Result<(), String> {
    #[allow(
        clippy::disallowed_methods,
        reason = "no setting of a node: never to be found in its configuration"
    )]
    let Ok(text) = std::env::var(VARIABLE) else { return Ok(()) };
    let plan = Plan::read(&text)?;
    let Plan { point, left } = PLAN.get_or_init(|| plan);
    eprintln!(
        "tilts: {VARIABLE} is set: this process dies at {} on passage {}",
        point.as_str(),
        left.load(Ordering::Relaxed)
    );
    Ok(())
}

/// A point is passed here.
pub fn at(point: Point) {
    if PLAN.get().is_some_and(|plan| plan.springs(point)) {
        die(point);
    }
    tell(point);
}

/// What was handed to the system here makes the point, once it has left: a moment later.
pub fn soon(point: Point) {
    if PLAN.get().is_some_and(|plan| plan.springs(point)) {
        std::thread::spawn(move || {
            std::thread::sleep(MOMENT);
            die(point);
        });
    }
    tell(point);
}

fn die(point: Point) -> ! {
    eprintln!("tilts: {VARIABLE}: dies at {}", point.as_str());
    std::process::abort()
}

impl Plan {
    fn read(text: &str) -> Result<Self, String> {
        let (name, times) = text.split_once(':').unwrap_or((text, "1"));
        let point = Point::ALL.iter().find(|point| point.as_str() == name);
        match (point, times.parse()) {
            (Some(point), Ok(times @ 1..)) => Ok(Self { point: *point, left: AtomicU64::new(times) }),
            _ => {
                let known: Vec<&str> = Point::ALL.iter().map(|point| point.as_str()).collect();
                Err(format!("{VARIABLE}={text}: <point> or <point>:<n>, the points are {}", known.join(" ")))
            }
        }
    }

    /// True on the passage that was meant, and on no other.
    fn springs(&self, point: Point) -> bool {
        point == self.point && self.left.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trap_springs_once_at_its_point_and_nowhere_else() {
        let plan = Plan::read("settle-begun:3").unwrap();
        let springs: Vec<bool> = (0..5).map(|_| plan.springs(Point::SettleBegun)).collect();
        assert_eq!(springs, [false, false, true, false, false]);
        assert!(!Plan::read("settle-begun").unwrap().springs(Point::SettleCommitted));
        assert!(Plan::read("settle-begun").unwrap().springs(Point::SettleBegun));
    }

    #[test]
    fn a_watcher_is_told_of_what_is_passed_on_its_thread_and_may_unwind() {
        let told = Rc::new(RefCell::new(Vec::new()));
        let book = Rc::clone(&told);
        watch(Some(Rc::new(move |point| {
            book.borrow_mut().push(point);
            assert_ne!(point, Point::ReceiptReady, "unwinds");
        })));
        at(Point::SubmitBegun);
        soon(Point::RequestSent);
        std::thread::spawn(|| at(Point::SubmitCommitted)).join().unwrap();
        assert!(std::panic::catch_unwind(|| at(Point::ReceiptReady)).is_err());
        assert!(watch(None).is_some());
        at(Point::SubmitBegun);
        assert_eq!(*told.borrow(), [Point::SubmitBegun, Point::RequestSent, Point::ReceiptReady]);
    }

    #[test]
    fn what_names_no_point_is_refused_and_the_points_are_listed() {
        for text in ["", "settle", "settle-begun:0", "settle-begun:-1", "settle-begun:x"] {
            let problem = Plan::read(text).err().unwrap();
            assert!(Point::ALL.iter().all(|point| problem.contains(point.as_str())), "{problem}");
        }
    }
}
