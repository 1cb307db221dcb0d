//! Build your own primitive: the parts that the types of this workspace are made of.

mod backoff;
mod census;
mod owner;
mod wait_word;

pub use crate::plain::{load_plain, scrub_padding, store_plain};
pub use backoff::Backoff;
pub use census::{Census, Verdict};
pub use owner::Owner;
pub use wait_word::{Pause, RECHECK_FIRST, RECHECK_MOST, Slept, WaitWord};
