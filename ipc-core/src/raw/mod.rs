//! Build your own primitive: the parts that the types of this workspace are made of.
//!
//! | part | what it is |
//! |---|---|
//! | [`State`], [`Placed`], [`View`], [`Fixed`], [`Shareable`] | **start here**: a primitive, placed and found in every way |
//! | [`PlainCell`], [`Pad`] | fields of a state: plain data, explicit padding |
//! | [`Object`], [`Blueprint`], [`Place`], [`Kind`] | something placed in a segment, by hand |
//! | [`Owner`], [`Census`], [`Verdict`] | who owns a word, and whether they live |
//! | [`LockLine`], [`RawLock`], [`Guard`] | the crash-aware lock word, with data, with the guard |
//! | [`Holder`] | who holds a lock line, for people |
//! | [`WaitWord`], [`Waiters`], [`Pause`], [`Backoff`] | sleeping until something may have changed |
//! | [`Waitable`] | what a `select` asks of what it waits for |
//! | [`met_for_long`] | when a verb that does not wait asks for a verdict |
//! | [`fork_epoch`] | how a handle notices that it was inherited by `fork` |

mod backoff;
mod census;
mod crowd;
#[cfg(not(ipc_loom))]
mod guard;
mod holder;
pub mod lock_line;
mod owner;
mod pad;
#[cfg(not(ipc_loom))]
mod placed;
#[cfg(not(ipc_loom))]
mod plain_cell;
mod poller;
#[cfg(not(ipc_loom))]
mod state;
mod wait_word;
mod waitable;
mod waiters;

#[cfg(not(ipc_loom))]
pub use crate::layout::entry::Kind;
#[cfg(not(ipc_loom))]
pub use crate::member::{RepairRight, fork_epoch};
pub use crate::plain::{load_plain, scrub_padding, store_plain};
#[cfg(not(ipc_loom))]
pub use crate::segment::{Blueprint, Object, Place};
pub use backoff::Backoff;
pub use census::{Census, Verdict};
#[cfg(not(ipc_loom))]
pub use guard::{Guard, Guarded, RawLock};
pub use holder::Holder;
pub use lock_line::{Cause, LockError, LockLine};
pub use owner::Owner;
pub use pad::Pad;
#[cfg(not(ipc_loom))]
pub use placed::Placed;
#[cfg(not(ipc_loom))]
pub use plain_cell::PlainCell;
pub use poller::met_for_long;
#[cfg(not(ipc_loom))]
pub use state::{Fixed, Shareable, State, View};
pub use wait_word::{Pause, RECHECK_FIRST, RECHECK_MOST, Slept, WaitWord};
pub use waitable::Waitable;
pub use waiters::{Registration, Waiters};
