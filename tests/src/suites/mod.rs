//! Conformance suites: what every type of a family must do, in every placement. Ids are those of SEMANTICS.

pub mod locked;
pub mod queue;
pub mod rlock;
pub mod rwlock;
pub mod shared;
