//! Tests across processes, and what they are made of.

pub mod page;
pub mod step;
