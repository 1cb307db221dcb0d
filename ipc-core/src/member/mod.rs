//! Members: who is attached to a segment, and whether they live.

pub(crate) mod fork;
mod gate;
pub(crate) mod row_lock;
pub(crate) mod table;
pub(crate) mod verdict;

pub use fork::fork_epoch;
pub use row_lock::RepairRight;
