//! What an algorithm may ask about the processes around it.
//!
//! The algorithms of this workspace do not know segments, rows or system calls: they ask a [`Census`]. [`Segment`] answers
//! from its member table and row locks; the loom models answer from a word on the heap.
//!
//! [`Segment`]: crate::Segment

use super::Owner;
use crate::MemberError;
use std::borrow::Cow;

/// Whether a member lives. Only [`Verdict::Dead`] permits repair; `Unknown` is treated as alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its process exists, running, stopped or a zombie in the making.
    Alive,
    /// Its process is gone; none of its stores can arrive any more.
    Dead,
    /// The system would not say.
    Unknown,
}

/// The members of a segment, as an algorithm sees them.
pub trait Census {
    /// The exclusive right to repair what one dead member left; given back when dropped.
    type Repair;

    /// The calling thread as an owner; registers the process first if it has no row yet (after a fork).
    fn me(&self) -> Result<Owner, MemberError>;

    /// Whether `who` lives. A process never asks the system about itself: its own row is `Alive`. Costs a system call.
    fn verdict(&self, who: Owner) -> Verdict;

    /// Takes the right to repair what `who` left, if `who` is dead and nobody else is repairing it.
    fn begin_repair(&self, who: Owner) -> Option<Self::Repair>;

    /// Pid and name of `who` as recorded when it registered, for messages; pid 0 if the row has been reused.
    fn describe(&self, who: Owner) -> (u32, Cow<'static, str>);
}
