//! Crash-safe shared memory for processes.

#[cfg(not(ipc_loom))]
#[macro_use]
mod cell;
#[doc(hidden)]
pub mod __private;
mod deadline;
mod error;
#[cfg(not(ipc_loom))]
mod layout;
#[cfg(not(ipc_loom))]
mod member;
mod plain;
pub mod raw;
#[cfg(not(ipc_loom))]
mod segment;
pub mod shim;
#[cfg_attr(ipc_loom, allow(dead_code))]
mod sys;
#[cfg(all(feature = "serde", not(ipc_loom)))]
pub mod transport;

#[cfg(not(ipc_loom))]
pub use cell::{Array, ArrayError, AtomicArray, AtomicPlain, AtomicValue, Value};
pub use deadline::Deadline;
pub use error::{Corrupt, Error, ErrorKind, MemberError, NameProblem};
#[cfg(not(ipc_loom))]
pub use member::table::set_member_name;
pub use plain::{Field, Plain, Schema, plain};
pub use raw::lock_line::{Cause, LockError};
#[cfg(not(ipc_loom))]
pub use segment::{Segment, SegmentOptions, Ticket};
