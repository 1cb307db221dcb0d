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
//! # Which
//!
//! | you want | take |
//! |---|---|
//! | one at a time in a critical section | [`Lock`]; for one value that is read and written whole, `ipc_core::Value` |
//! | the same, again and again in one thread | [`RLock`]; several locks at once: [`lock_all`] |
//! | many readers or one writer | [`RwLock`] |
//! | at most n at a time, surviving the death of each | [`Semaphore`]; [`BoundedSemaphore`] where n is all there ever is |
//! | a count that others release: hand-over, signalling from a handler | [`AnonymousSemaphore`], [`BinarySemaphore`] |
//! | to wait until something has happened | [`Event`] |
//!
//! # When somebody dies
//!
//! | killed | the others see, within 100 ms |
//! |---|---|
//! | a holder of a lock | nothing, or `Inconsistent` if it had begun to write |
//! | a holder of a [`Permit`] | its permit is available again |
//! | who has acquired an [`AnonymousSemaphore`] | one permit fewer: nobody knows whose it was |
//! | a waiter for anything | nothing |
//! | who was setting an [`Event`] or releasing | all of it, or nothing |

#[cfg(ipc_loom)]
pub mod count;
#[cfg(not(ipc_loom))]
mod count;
#[cfg(ipc_loom)]
pub mod event;
#[cfg(not(ipc_loom))]
mod event;
#[cfg(not(ipc_loom))]
mod lock;
#[cfg(not(ipc_loom))]
mod lock_all;
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
pub use count::{
    AnonymousSemaphore, AnonymousSemaphoreState, BinarySemaphore, BinarySemaphoreState, CountError, ReleaseError,
};
#[cfg(not(ipc_loom))]
pub use event::{Event, EventError, EventState, Reset};
#[doc(hidden)]
pub use ipc_core::__private;
pub use ipc_core::__private::plain_via_sync as plain;
#[cfg(not(ipc_loom))]
#[doc(no_inline)]
pub use ipc_core::raw::{Guard, Holder};
#[doc(no_inline)]
pub use ipc_core::{Cause, Deadline, Error, ErrorKind, LockError, Plain};
#[cfg(not(ipc_loom))]
#[doc(no_inline)]
pub use ipc_core::{Segment, SegmentOptions, Ticket};
#[cfg(not(ipc_loom))]
pub use lock::{Lock, LockState};
#[cfg(not(ipc_loom))]
pub use lock_all::{LockAllError, LockSet, lock_all, lock_all_deadline, lock_all_timeout, try_lock_all};
#[cfg(not(ipc_loom))]
pub use rlock::{RLock, RLockGuard, RLockState};
#[cfg(not(ipc_loom))]
pub use rwlock::{ReadGuard, RwLock, RwLockState, UpgradableGuard, WriteGuard};
#[cfg(not(ipc_loom))]
pub use semaphore::{
    AcquireError, AddError, BoundedSemaphore, BoundedSemaphoreHead, BoundedSemaphoreState, MAX_PERMITS, Permit,
    Permits, Semaphore, SemaphoreHead, SemaphoreInit, SemaphoreState,
};
