//! The cell of one waiter, and what its word says.
//!
//! | offset | type | name   | written by                                                                       |
//! |--------|------|--------|----------------------------------------------------------------------------------|
//! | 0      | u64  | word   | see below; its low half is the futex                                              |
//! | 8      | u64  | ticket | who takes the cell, before it does: its place in the order of waiting             |
//! | 16     | u64  | until  | who notifies, before it does: the first ticket that this notification is not for  |
//! | 24     | 8 B  | –      | nobody                                                                            |
//!
//! ```text
//!  63           32 31    16 15      3 2    0
//! ┌───────────────┬────────┬─────────┬──────┐
//! │  generation   │  row   │ thread  │ kind │
//! └───────────────┴────────┴─────────┴──────┘
//!   nobody, FREE       can be taken
//!   owner,  WAITING    its owner sleeps, or is about to
//!   owner,  NOTIFIED   its owner has a notification, and has not returned from `wait` yet
//!   nobody, PENDING    a notification that its owner had no use for: for whoever waits with a ticket below `until`
//!   anything else      corrupt: a punched hole reads as zero
//! ```

use ipc_core::Corrupt;
use ipc_core::raw::Owner;
use ipc_core::shim::{AtomicU64, Futex64};

/// A place for one waiter.
#[repr(C, align(32))]
pub struct Cell {
    pub(super) word: Futex64,
    pub(super) ticket: AtomicU64,
    pub(super) until: AtomicU64,
}

#[cfg(not(ipc_loom))]
const _: () = assert!(size_of::<Cell>() == 32);

impl Cell {
    /// A cell that nobody has.
    pub fn new() -> Self {
        Self { word: Futex64::new(FREE), ticket: AtomicU64::new(0), until: AtomicU64::new(0) }
    }
}

impl Default for Cell {
    fn default() -> Self {
        Self::new()
    }
}

const KIND: u64 = 0b111;
/// The word of a cell that can be taken.
pub(super) const FREE: u64 = 1;
const WAITING: u64 = 2;
const NOTIFIED: u64 = 3;
/// The word of a notification without an owner.
pub(super) const PENDING: u64 = 4;

/// What a word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Free,
    Waiting(Owner),
    Notified(Owner),
    Pending,
    Corrupt,
}

pub(super) fn waiting(owner: Owner) -> u64 {
    owner.word() | WAITING
}

pub(super) fn notified(owner: Owner) -> u64 {
    owner.word() | NOTIFIED
}

pub(super) fn kind(word: u64) -> Kind {
    let owner = Owner::from_word(word);
    match (word & KIND, owner.is_somebody()) {
        (WAITING, true) => Kind::Waiting(owner),
        (NOTIFIED, true) => Kind::Notified(owner),
        _ if word == FREE => Kind::Free,
        _ if word == PENDING => Kind::Pending,
        _ => Kind::Corrupt,
    }
}

pub(super) fn corrupt(found: u64) -> Corrupt {
    Corrupt { what: "cell of a condition", found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back() {
        let owner = Owner::new(7, 3, 9);
        assert_eq!(kind(waiting(owner)), Kind::Waiting(owner));
        assert_eq!(kind(notified(owner)), Kind::Notified(owner));
        assert_eq!((kind(FREE), kind(PENDING)), (Kind::Free, Kind::Pending));
    }

    #[test]
    fn what_no_member_wrote_is_corrupt() {
        let nobody_waits = WAITING;
        let somebody_free = Owner::new(1, 1, 1).word() | FREE;
        for word in [0, nobody_waits, somebody_free, 5, 6, 7, Owner::new(1, 1, 1).word()] {
            assert_eq!(kind(word), Kind::Corrupt, "{word:#x}");
        }
    }
}
