//! Those we are compared with, each behind the same few verbs.
//!
//! | rival | crosses processes | of |
//! |---|---|---|
//! | std, parking_lot `Mutex` and `RwLock` | no: their workers are threads of one process | Rust |
//! | pthread mutex, plain and robust; pthread rwlock; POSIX semaphore | yes | libc |
//! | raw_sync `Mutex` | yes | crates.io |
//! | `multiprocessing.Lock`, `Value`, `Semaphore` | yes | CPython, where there is a `python3` |

pub mod in_process;
pub mod posix_sem;
pub mod pthread;
pub mod python;
pub mod raw_sync;

/// Mutual exclusion, ours or a rival's.
pub trait Mutual: Sync + Sized {
    /// As it stands in tables.
    const NAME: &'static str;
    /// Whether forked processes can share it; else its workers are threads.
    const CROSSES_PROCESSES: bool;

    /// A free one.
    fn create() -> std::io::Result<Self>;

    /// Runs `section` under the lock; `None` if the lock was not given or not given back.
    fn exclusively<R>(&self, section: impl FnOnce() -> R) -> Option<R>;
}

/// A lock that many readers, or one writer, may hold.
pub trait ReadersWriter: Sync + Sized {
    /// As it stands in tables.
    const NAME: &'static str;
    /// Whether forked processes can share it; else its workers are threads.
    const CROSSES_PROCESSES: bool;

    /// A free one.
    fn create() -> std::io::Result<Self>;

    /// Runs `section` while no writer is in.
    fn read<R>(&self, section: impl FnOnce() -> R) -> Option<R>;

    /// Runs `section` alone.
    fn write<R>(&self, section: impl FnOnce() -> R) -> Option<R>;
}
