//! What becomes of commits, and where a node dies: at a named point, or before or after any commit.

use std::any::Any;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tilts::crash::Point;
use tilts::store::Commits;
use tokio::sync::Notify;

use crate::engine::{Moment, Zero};
use crate::image::{Image, OnDisk};
use crate::net::{Host, Net};
use crate::trace::Trace;

/// Where a node is to die by itself; numbers count from its start, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    /// On a passage of a named point.
    Point(Point, u64),
    /// Before a commit stands.
    Before(u64),
    /// When a commit stands and nobody has heard of it.
    After(u64),
}

/// A time in which a disk is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// From here ...
    pub from: Moment,
    /// ... to here.
    pub to: Moment,
    /// What is wrong.
    pub kind: Kind,
}

/// What can be wrong with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It takes nothing: each commit fails.
    Full,
    /// It answers when this is over.
    Stalls,
    /// Each commit takes so many milliseconds.
    Slow(u64),
}

/// Life and death of one process. Clones are the same.
#[derive(Clone)]
pub struct Fate(Arc<Inner>);

struct Inner {
    name: &'static str,
    host: Host,
    store: PathBuf,
    net: Net,
    trace: Trace,
    zero: Zero,
    troubles: Vec<Trouble>,
    dying: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    trap: Option<Trap>,
    silent: bool,
    passed: u64,
    commits: u64,
    image: Option<Image>,
    on_disk: OnDisk,
    dead: Option<Trap>,
    failed: Option<String>,
}

/// What a node unwinds with that dies.
struct Died;

impl Fate {
    /// Of a process with that store, which begins now.
    ///
    /// # Errors
    /// The system's.
    pub fn new(
        (name, host): (&'static str, Host),
        store: &Path,
        (net, trace, zero): (&Net, &Trace, Zero),
        troubles: &[Trouble],
    ) -> io::Result<Self> {
        let state = State { on_disk: OnDisk::all(store)?, ..State::default() };
        Ok(Self(Arc::new(Inner {
            name,
            host,
            store: store.to_owned(),
            net: net.clone(),
            trace: trace.clone(),
            zero,
            troubles: troubles.to_owned(),
            dying: Notify::new(),
            state: Mutex::new(state),
        })))
    }

    /// Where it is to die, and whether its peers then hear nothing at all.
    pub fn arm(&self, trap: Option<Trap>, silent: bool) {
        let mut state = self.lock();
        (state.trap, state.silent) = (trap, silent);
    }

    /// Ready when it dies.
    pub async fn dying(&self) {
        self.0.dying.notified().await;
    }

    /// Where it died, and what it left.
    pub fn dead(&self) -> Option<(Trap, Option<Image>)> {
        let mut state = self.lock();
        let trap = state.dead?;
        Some((trap, state.image.take()))
    }

    /// It could not run: why.
    pub fn fail(&self, why: String) {
        self.lock().failed = Some(why);
        self.0.dying.notify_one();
    }

    /// Why it could not run.
    pub fn failed(&self) -> Option<String> {
        self.lock().failed.take()
    }

    /// A process, for as long as it lives: one that is dead notices nothing, not even that a part of it is gone.
    pub async fn while_alive<T>(&self, process: impl Future<Output = T>) -> T {
        let mut process = std::pin::pin!(process);
        std::future::poll_fn(|context| {
            let dead = self.lock().dead.is_some();
            if dead { Poll::Pending } else { process.as_mut().poll(context) }
        })
        .await
    }

    /// A named point is passed.
    pub fn pass(&self, point: Point) {
        let mut state = self.lock();
        if state.dead.is_some() {
            return;
        }
        self.tell(format_args!("point {}", point.as_str()));
        if let Some(Trap::Point(place, times)) = state.trap
            && place == point
        {
            state.passed += 1;
            if state.passed == times {
                drop(state);
                self.die(Trap::Point(place, times));
            }
        }
    }

    fn die(&self, trap: Trap) -> ! {
        self.tell(format_args!("dies at {trap:?}"));
        let image = self.image();
        let mut state = self.lock();
        match image {
            Ok(image) => state.image = Some(image),
            Err(error) => state.failed = Some(format!("no image of the store: {error}")),
        }
        state.dead = Some(trap);
        let silent = state.silent;
        drop(state);
        self.0.net.down(self.0.host, silent);
        self.0.dying.notify_one();
        // Not a panic: nobody is to be told of it.
        std::panic::resume_unwind(Box::new(Died) as Box<dyn Any + Send>)
    }

    /// What a death at this moment leaves: where the power goes, only what is on the disk.
    pub fn image(&self) -> io::Result<Image> {
        let image = Image::of(&self.0.store)?;
        let state = self.lock();
        if state.silent {
            let lost = image.without(&state.on_disk)?;
            if lost > 0 {
                self.tell(format_args!("loses {lost} files that were not on the disk"));
            }
        }
        Ok(image)
    }

    fn trouble(&self, now: Moment) -> Option<Trouble> {
        self.0.troubles.iter().find(|trouble| trouble.from <= now && now < trouble.to).copied()
    }

    fn tell(&self, what: std::fmt::Arguments<'_>) {
        self.0.trace.event(self.0.zero.now(), format_args!("{} {what}", self.0.name));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the commit that begins, and the trap that was set.
    fn next_commit(&self) -> (u64, Option<Trap>) {
        let mut state = self.lock();
        state.commits += 1;
        (state.commits, state.trap.filter(|_| state.dead.is_none()))
    }
}

impl Commits for Fate {
    fn begin(&self) -> BoxFuture<'_, io::Result<()>> {
        async {
            let (number, trap) = self.next_commit();
            let now = self.0.zero.now();
            if trap == Some(Trap::Before(number)) {
                self.die(Trap::Before(number));
            }
            let Some(trouble) = self.trouble(now) else { return Ok(()) };
            self.tell(format_args!("commit {number}: {:?}", trouble.kind));
            match trouble.kind {
                Kind::Full => return Err(io::ErrorKind::StorageFull.into()),
                Kind::Stalls => tokio::time::sleep(trouble.to - now).await,
                Kind::Slow(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            }
            Ok(())
        }
        .boxed()
    }

    fn synced(&self, what: &Path) {
        if let Err(error) = self.lock().on_disk.sync(what) {
            self.fail(format!("{}: {error}", what.display()));
        }
    }

    fn committed(&self) {
        let state = self.lock();
        let (number, trap, dead) = (state.commits, state.trap, state.dead.is_some());
        drop(state);
        if dead {
            return;
        }
        self.tell(format_args!("commit {number} stands"));
        if trap == Some(Trap::After(number)) {
            self.die(Trap::After(number));
        }
    }
}
