//! Crash-safe shared memory for processes.

mod deadline;
mod error;
pub mod raw;
pub mod shim;
#[cfg_attr(ipc_loom, allow(dead_code))]
mod sys;

pub use deadline::Deadline;
pub use error::{Corrupt, Error, ErrorKind, MemberError, NameProblem};
