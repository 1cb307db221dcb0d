//! The scenarios, under the names that tables and documents use.
//!
//! # Adding a row
//!
//! A comparison is one call of [`compare`](crate::rounds::compare): the cases, the number of rounds, and the contenders, of
//! which one is [`Role::Ours`](crate::report::Role::Ours). A contender brings, in each of its turns, one figure per case, or says
//! that its result was wrong. Rivals with the verbs of a lock implement [`Mutual`](crate::rivals::Mutual) or
//! [`ReadersWriter`](crate::rivals::ReadersWriter); ours do in `ours.rs`. Workers are started by
//! [`race`](crate::peers::race), which says whether they are processes. Whoever cannot run here is
//! [`absent`](crate::rounds::Contender::absent), with a reason: a row is never left out.

pub mod contended;
pub mod crash_recovery;
pub mod readers_writers;
pub mod uncontended;
pub mod wake;
