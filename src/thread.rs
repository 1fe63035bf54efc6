//! Work that takes its time, on a thread that has other things to do.

/// Up to so many octets are hashed, ciphered and written sooner than another thread would have begun with something else.
const SOON: usize = 64 << 10;

/// Does work on so many octets: at once where that is little, else so that the other connections of this thread go on meanwhile.
/// A thread that is to be another one must be woken, which costs more than a signature on a small message.
pub fn work<T>(octets: usize, work: impl FnOnce() -> T) -> T {
    match octets > SOON {
        true => tokio::task::block_in_place(work),
        false => work(),
    }
}
