//! What the code written by the attribute macros names. Not for people; it may change in any release.
//!
//! A crate that re-exports `#[plain]` to users who depend on that crate alone re-exports this module at its root too, and
//! takes the form of the attribute that leads there: `pub use ipc_core::__private::plain_via_queue as plain;`.

pub use crate::plain::{Field, Plain, Schema};
pub use ipc_core_macros::{plain_via_process, plain_via_queue, plain_via_sync};
pub use ipc_core_macros::{shared_via_process, shared_via_sync};
#[cfg(feature = "serde")]
pub use serde;
pub use zerocopy;

#[cfg(not(ipc_loom))]
pub use crate::raw::{Kind, Placed, Shareable, State, View};
#[cfg(not(ipc_loom))]
pub use crate::{Composite, Corrupt, Shared, plain_is_shareable};

/// Nothing is placed in a loom build.
#[cfg(ipc_loom)]
#[doc(hidden)]
#[macro_export]
macro_rules! plain_is_shareable {
    ($($anything:tt)*) => {};
}
#[cfg(ipc_loom)]
pub use crate::plain_is_shareable;

use std::ops::Range;

/// Visits the bytes from `end`, where a field ends, to `next`, where the next one or the struct's end is.
#[inline(always)]
pub fn gap(base: usize, end: usize, next: usize, visit: &mut impl FnMut(Range<usize>)) {
    if end < next {
        visit(base + end..base + next);
    }
}
