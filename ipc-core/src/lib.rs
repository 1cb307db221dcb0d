//! Crash-safe shared memory for processes.

#[doc(hidden)]
pub mod __private;
mod deadline;
mod error;
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
pub use plain::{Field, Plain, Schema, plain};
