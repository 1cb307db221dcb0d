//! Synchronisation between processes that survives `kill -9` of whoever uses it.
//!
//! ```
//! use ipc_sync::{Lock, Semaphore};
//!
//! let account = Lock::new(100i64)?;
//! *account.lock()? -= 30;
//!
//! let slots = Semaphore::new(4, 4)?;                  // at most four at a time
//! let slot = slots.acquire()?;                        // killed here, its permit comes back
//! assert_eq!(slots.available(), 3);
//! # drop(slot);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which one
//!
//! | you have | take | costs |
//! |---|---|---|
//! | one value that is read and written whole | [`ipc_core::Value`], or [`ipc_core::AtomicValue`] for a number | 64 bytes, or none |
//! | a critical section | [`Lock`] | 64 bytes |
//! | one that calls itself | [`RLock`]; better: pass the guard of a [`Lock`] | 80 bytes |
//! | data read by several at once, for longer than a copy takes | [`RwLock`] | 704 bytes |
//! | to look first and then perhaps write | [`RwLock::upgradable`] | – |
//! | several locks at once | [`lock_all`] | – |
//! | at most n at a time | [`Semaphore`]; [`BoundedSemaphore`] where n is all there ever is | 256 bytes and 8 for each |
//! | a count that others release: hand-over, a signal handler | [`AnonymousSemaphore`], [`BinarySemaphore`] | 128 bytes |
//! | to wait until something has happened | [`Event`] | 128 bytes |
//! | to wait, with a lock released, until its data has changed | [`Condition`] beside the lock | 64 bytes and 32 for each waiter |
//! | to go on together | [`Barrier`] | 192 bytes and 8 for each party |
//! | to do something once; to make a value once | [`Once`]; [`OnceValue`] | 8 bytes |
//! | items that go from one to another | `ipc_queue` | – |
//! | a program on `shared_memory` and `raw_sync` | the example `migrate`; the feature `raw_sync`, for its events | – |
//!
//! Every one of them can be anonymous (`Lock::new(..)`), have a name (`Lock::create("name", ..)`, `Lock::open("name")`), lie with
//! many others in one segment (`Lock::new_in(&segment, ..)`), or be a field of a shared struct (`LockState`). Bytes come on top of
//! the data; a segment of its own costs a page and a descriptor.
//!
//! # When somebody dies
//!
//! | killed | the others see |
//! |---|---|
//! | whoever holds a lock and has not written | nothing: the next one takes over, within 100 ms |
//! | whoever holds a lock and has begun to write | [`LockError::Inconsistent`] with pid and name, until `recover` has succeeded |
//! | a reader, or an upgradable holder | nothing; a writer goes on within 100 ms |
//! | whoever holds a [`Permit`] | it is free again, within 100 ms; not so what an [`AnonymousSemaphore`] gave: nobody knows whose it was |
//! | whoever sets an [`Event`] or releases | all of it, or nothing |
//! | a party of a [`Barrier`], waiting or between two passes | `Broken`, with pid and name, until `reset` |
//! | whoever initialises a [`Once`] | the next one does it |
//! | whoever waits | nothing; a [`Condition`]'s notification goes to another one |
//!
//! A process that is *stopped* keeps what it holds: nothing is ever concluded from time. [`Lock::holder`] tells who holds a lock,
//! and for how long others have waited.
//!
//! # From Python
//!
//! | `multiprocessing` | here | ≠ |
//! |---|---|---|
//! | `Lock` | [`Lock`] | holds data; a guard unlocks, in its own thread; locking again is an error, not a hang |
//! | `RLock` | [`RLock`] | holds data, copied in and out; others see a depth of 0 |
//! | – | [`RwLock`] | – |
//! | `Semaphore` | [`Semaphore`] | a permit is released by dropping it, and has a maximum; released by anybody: [`AnonymousSemaphore`] |
//! | `BoundedSemaphore` | [`BoundedSemaphore`] | the bound is exact |
//! | `Condition` | [`Condition`] | beside its lock, not around it; `notify` never waits for a waiter |
//! | `Barrier` | [`Barrier`] | a dead party breaks it; the action comes with `wait_with` |
//! | `Event` | [`Event`] | `set(); clear()` leaves nobody behind; resets itself, if so made |
//! | `with a, b:` | [`lock_all`] | in an order that cannot deadlock |
//! | `acquire(block=False)` | `try_lock()` | `Err(WouldBlock)`, or `Err(Inconsistent)` |
//! | `acquire(timeout=t)` | `lock_timeout(t)` | `Err(Timeout)`; on the monotonic clock |
//! | `release()` | dropping the guard | none too many, none by somebody else |
//! | a holder that is killed | everybody hangs | ≠ everybody is told |
//! | sent only while a process starts | sent at any time: by name, ticket, queue or pipe | |
//!
//! # Why not pthread's mutexes
//!
//! They can be shared and, with `robust`, survive a death. What made this crate build its own, each reproduced by
//! `cargo run -p ipc-sync --example why_not_pthread`:
//!
//! 1. A robust mutex keeps pointers *inside* the mutex. A peer that rewrites 16 shared bytes makes another process's `unlock`
//!    store a value of the peer's choice at an address of its choice, in private memory.
//! 2. Unlocked once after a death without `pthread_mutex_consistent`, it is not recoverable for ever. Here the mark stays until
//!    somebody has repaired the data, and anybody can.
//! 3. Of the locks that one thread holds, the kernel gives back 2048; the rest are held for ever.
//! 4. Without `robust` the dead hold for ever.
//!
//! Nor does it tell who died, whether the data was touched at all, or how long it has been waited for; its time-outs follow the
//! wall clock; and in two PID namespaces it takes two processes for one.

#[cfg(not(ipc_loom))]
mod barrier;
#[cfg(ipc_loom)]
pub mod barrier;
#[cfg(not(ipc_loom))]
mod condition;
#[cfg(ipc_loom)]
pub mod condition;
#[cfg(ipc_loom)]
pub mod count;
#[cfg(not(ipc_loom))]
mod count;
#[cfg(ipc_loom)]
pub mod event;
#[cfg(not(ipc_loom))]
mod event;
#[cfg(not(ipc_loom))]
pub mod inspect;
#[cfg(not(ipc_loom))]
mod lock;
#[cfg(not(ipc_loom))]
mod lock_all;
#[cfg(not(ipc_loom))]
mod once;
#[cfg(ipc_loom)]
pub mod once;
#[cfg(all(feature = "raw_sync", not(ipc_loom)))]
pub mod raw_sync;
#[cfg(not(ipc_loom))]
mod rlock;
#[cfg(not(ipc_loom))]
mod rwlock;
#[cfg(ipc_loom)]
pub mod rwlock;
#[cfg(ipc_loom)]
pub mod semaphore;
#[cfg(not(ipc_loom))]
mod semaphore;

#[cfg(not(ipc_loom))]
pub use barrier::{Arrival, Barrier, BarrierError, BarrierOptions, BarrierState, Breach};
#[cfg(not(ipc_loom))]
pub use condition::{Condition, ConditionError, ConditionOptions, ConditionState, Wake};
#[cfg(not(ipc_loom))]
pub use count::{
    AnonymousSemaphore, AnonymousSemaphoreState, BinarySemaphore, BinarySemaphoreState, CountError, ReleaseError,
};
#[cfg(not(ipc_loom))]
pub use event::{Event, EventError, EventState, Reset};
#[doc(hidden)]
pub use ipc_core::__private;
pub use ipc_core::__private::plain_via_sync as plain;
#[cfg(not(ipc_loom))]
pub use ipc_core::__private::shared_via_sync as shared;
#[cfg(not(ipc_loom))]
#[doc(no_inline)]
pub use ipc_core::raw::{Guard, Holder};
#[doc(no_inline)]
pub use ipc_core::{Cause, Deadline, Error, ErrorKind, LockError, Plain};
#[cfg(not(ipc_loom))]
#[doc(no_inline)]
pub use ipc_core::{Segment, SegmentOptions, Shared, Ticket};
#[cfg(not(ipc_loom))]
pub use lock::{Lock, LockState};
#[cfg(not(ipc_loom))]
pub use lock_all::{LockAllError, LockSet, lock_all, lock_all_deadline, lock_all_timeout, try_lock_all};
#[cfg(not(ipc_loom))]
pub use once::{Once, OnceError, OnceState, OnceValue, OnceValueState};
#[cfg(not(ipc_loom))]
pub use rlock::{RLock, RLockGuard, RLockState};
#[cfg(not(ipc_loom))]
pub use rwlock::{ReadGuard, RwLock, RwLockState, UpgradableGuard, WriteGuard};
#[cfg(not(ipc_loom))]
pub use semaphore::{
    AcquireError, AddError, BoundedSemaphore, BoundedSemaphoreHead, BoundedSemaphoreState, MAX_PERMITS, Permit,
    Permits, Semaphore, SemaphoreHead, SemaphoreInit, SemaphoreState,
};
