//! Crash-safe shared memory for processes.

#[doc(hidden)]
pub mod __private;
mod deadline;
mod error;
mod plain;
pub mod raw;
pub mod shim;
#[cfg_attr(ipc_loom, allow(dead_code))]
mod sys;

pub use deadline::Deadline;
pub use error::{Corrupt, Error, ErrorKind, MemberError, NameProblem};
pub use plain::{Field, Plain, Schema, plain};
