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

mod lock;

#[doc(hidden)]
pub use ipc_core::__private;
pub use ipc_core::__private::plain_via_sync as plain;
pub use ipc_core::__private::shared_via_sync as shared;
#[doc(no_inline)]
pub use ipc_core::raw::Guard;
#[doc(no_inline)]
pub use ipc_core::{Cause, Deadline, Error, ErrorKind, LockError, Plain, Segment, SegmentOptions, Shared, Ticket};
pub use lock::{Lock, LockState};
