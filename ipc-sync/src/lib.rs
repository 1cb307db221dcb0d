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

pub mod barrier;
pub mod condition;
#[cfg(not(ipc_loom))]
mod lock;
pub mod once;

#[cfg(not(ipc_loom))]
pub use barrier::{Arrival, Barrier, BarrierError, BarrierOptions, BarrierState, Breach};
#[cfg(not(ipc_loom))]
pub use condition::{Condition, ConditionError, ConditionOptions, ConditionState, Wake};
#[doc(hidden)]
pub use ipc_core::__private;
pub use ipc_core::__private::plain_via_sync as plain;
#[cfg(not(ipc_loom))]
#[doc(no_inline)]
pub use ipc_core::raw::Guard;
#[doc(no_inline)]
pub use ipc_core::{Cause, Deadline, Error, ErrorKind, LockError, Plain};
#[cfg(not(ipc_loom))]
#[doc(no_inline)]
pub use ipc_core::{Segment, SegmentOptions, Ticket};
#[cfg(not(ipc_loom))]
pub use lock::{Lock, LockState};
#[cfg(not(ipc_loom))]
pub use once::{Once, OnceError, OnceState, OnceValue, OnceValueState};
