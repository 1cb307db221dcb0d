//! Synchronisation between processes that survives `kill -9` of whoever uses it.
//!
//! So far: [`Lock`], the process-shared mutex. For one value that is read and written whole use [`ipc_core::Value`].
//!
//! ```
//! use ipc_sync::Lock;
//! let account = Lock::new(100i64)?;
//! *account.lock()? -= 30;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
pub use rlock::{RLock, RLockGuard, RLockState};
#[cfg(not(ipc_loom))]
pub use rwlock::{ReadGuard, RwLock, RwLockState, UpgradableGuard, WriteGuard};
