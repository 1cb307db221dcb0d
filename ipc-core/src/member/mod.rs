//! Members: who is attached to a segment, and whether they live.

pub(crate) mod fork;
mod gate;
mod own;
pub(crate) mod row_lock;
pub(crate) mod table;
pub(crate) mod verdict;

pub use own::fork_epoch;
pub(crate) use own::{Orphan, is_in_order};
pub use row_lock::RepairRight;
