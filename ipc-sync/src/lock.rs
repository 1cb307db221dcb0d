//! `Lock`: the process-shared mutex.
//!
//! # Memory
//!
//! | offset            | type     | name |
//! |-------------------|----------|------|
//! | 0                 | LockLine | line |
//! | 64, aligned for T | T        | data |
//!
//! The word, the steps, the states and what is left by a death at each step are those of [`LockLine`], which `Value` and
//! `Array` use too; this file only gives it a name and data of its own.

use ipc_core::raw::{Guard, Kind, LockLine, Placed, PlainCell, RawLock, State, View};
use ipc_core::{Deadline, LockError, Plain, Schema};
use std::fmt;

// LK10 (differs): the doc test of a guard that leaves its thread, which does not compile.
/// The process-shared mutex: mutual exclusion between threads of any processes, with or without data inside.
///
/// For critical sections; for one value that is read and written whole, `ipc_core::Value` says it shorter. The bare lock is
/// `Lock::new(())`.
///
/// # Differences from `multiprocessing.Lock` and `std::sync::Mutex`
/// - The guard unlocks, and only in the thread that locked: there is no `release()` by somebody else.
/// - Locking again in the same thread is [`LockError::WouldDeadlock`](ipc_core::LockError::WouldDeadlock), not a hang.
/// - Poisoning knows who and how to get out of it: `Inconsistent { cause }` until [`recover`](Self::recover) has succeeded,
///   and only if the holder had begun to write.
///
/// # Process death
/// A holder that is killed blocks nobody: the next one takes over within 100 ms, and is told if the data may be
/// half-written. A bare lock has no data: it is never inconsistent. A holder that is *stopped* keeps the lock.
///
/// # Examples
/// ```
/// use ipc_sync::Lock;
/// let account = Lock::new(100i64)?;
/// *account.lock()? -= 30;
/// assert_eq!(*account.lock()?, 70);
///
/// let turn = Lock::new(())?;
/// let mine = turn.lock()?;
/// assert!(turn.try_lock().is_err());
/// drop(mine);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A guard stays in its thread:
/// ```compile_fail,E0277
/// let lock = ipc_sync::Lock::new(0u64).unwrap();
/// let guard = lock.lock().unwrap();
/// std::thread::scope(|s| {
///     s.spawn(move || drop(guard));
/// });
/// ```
#[doc(alias = "Mutex")]
pub struct Lock<T: Plain = ()> {
    placed: Placed<LockState<T>>,
}

/// A [`Lock`] in shared memory: a field of a `#[shared]` struct. At first it is free, and its data zero.
#[repr(C)]
pub struct LockState<T: Plain = ()> {
    line: LockLine,
    data: PlainCell<T>,
}

ipc_core::record! { "lock of a u64", LockState<u64> { line: LockLine, data: u64, .. } }

// SAFETY: 1. a line and a cell of a plain value. 2. the type of the data is all there is to tell. 3. not for all types: a
// segment refuses the rest.
unsafe impl<T: Plain> State for LockState<T> {
    const KIND: Kind = Kind::LOCK;
    const ELEMENT: Schema = T::SCHEMA;
    type Init = T;
    type Tail = ();
    type Handle = Lock<T>;

    fn init(new: View<'_, Self>, data: Option<&T>) {
        new.line.init();
        if let Some(&data) = data {
            // SAFETY: nobody else has it yet.
            unsafe { new.data.store(data) };
        }
    }

    fn handle(placed: Placed<Self>) -> Lock<T> {
        Lock { placed }
    }
}

ipc_core::handle!(Lock<T: Plain> of LockState<T>, "a lock over data"; new(data: T) => &data);

impl<T: Plain> Lock<T> {
    ipc_core::lock_verbs!(T);

    pub(crate) fn lock_by(&self, deadline: Deadline) -> Result<Guard<'_, T>, LockError> {
        self.raw().lock(deadline)
    }

    pub(crate) fn offset(&self) -> u64 {
        self.placed.offset()
    }

    #[inline]
    fn line(&self) -> &LockLine {
        &self.placed.line
    }

    #[inline]
    fn raw(&self) -> RawLock<'_, T> {
        // SAFETY: 1. in the mapping, aligned, any bytes are a T. 2. only this file touches it, under the line.
        unsafe { RawLock::new(self.line(), self.placed.segment(), self.placed.data.get()) }
    }
}

/// Never waits: shows who holds it, not the data.
impl<T: Plain> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("type", &T::SCHEMA)
            .field("holder", &self.holder())
            .field("lock", self.line())
            .finish()
    }
}

impl<T: Plain> fmt::Debug for LockState<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockState").field("type", &T::SCHEMA).field("lock", &self.line).finish()
    }
}
