//! Conformance suites: what every type of a family must do, in every placement. Ids are those of SEMANTICS.

pub mod barrier;
pub mod condition;
pub mod count;
pub mod event;
pub mod locked;
pub mod once;
pub mod queue;
pub mod rlock;
pub mod rwlock;
pub mod semaphore;
pub mod shared;
