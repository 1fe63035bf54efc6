//! Work that takes its time, on a thread that has other things to do.

use std::any::Any;
use std::cell::Cell;
use std::thread::JoinHandle;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinError;

/// Up to so many octets are hashed, ciphered and written sooner than another thread would have begun with something else.
const SOON: usize = 64 << 10;

/// Does work on so many octets: at once where that is little, else so that the other connections of this thread go on meanwhile.
/// A thread that is to be another one must be woken, which costs more than a signature on a small message.
pub fn work<T>(octets: usize, work: impl FnOnce() -> T) -> T {
    match octets > SOON {
        true => apart(work),
        false => work(),
    }
}

/// Does work so that the other tasks of this thread go on meanwhile; where the runtime has no other thread, they wait.
pub fn apart<T>(work: impl FnOnce() -> T) -> T {
    let alone =
        Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::CurrentThread);
    match alone {
        true => work(),
        false => tokio::task::block_in_place(work),
    }
}

/// Does work on one of the threads that the runtime keeps for what blocks, unless everything is to be done on this one.
///
/// # Errors
/// The work panicked, or the runtime ends.
pub async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    match HERE.get() {
        true => Ok(work()),
        false => tokio::task::spawn_blocking(work).await,
    }
}

/// Begins work on a thread of its own, for what takes turns with this one; nothing where everything is to be done on this one, or the
/// system has no thread to give.
pub fn beside<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<JoinHandle<T>> {
    match HERE.get() {
        true => None,
        false => std::thread::Builder::new().name(name.to_owned()).spawn(work).ok(),
    }
}

/// What a panic said.
pub fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}

/// Why a task did not end as it should.
pub fn why(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => format!("panicked: {}", words(&*panic)),
        Err(_) => "was dropped".to_owned(),
    }
}

thread_local! {
    static HERE: Cell<bool> = const { Cell::new(false) };
}

/// Whether everything that this thread begins from now on is done on it, and so in one order: for whoever wants to see the same thing
/// twice. Gives what was before.
pub fn all_here(here: bool) -> bool {
    HERE.replace(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_elsewhere_unless_all_is_to_be_done_here() {
        let own = std::thread::current().id();
        let place = || std::thread::current().id();
        assert_ne!(elsewhere(place).await.unwrap(), own);
        assert_ne!(beside("test", place).unwrap().join().unwrap(), own);
        assert!(!all_here(true));
        assert_eq!(elsewhere(place).await.unwrap(), own);
        assert!(beside("test", place).is_none());
        assert!(all_here(false));
        assert_eq!(apart(place), own, "there is no other");
    }
}
