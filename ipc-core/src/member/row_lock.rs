//! Row locks: the authority on who lives.
//!
//! A member holds the write lock on one byte of the segment's file, far behind its content, through an open file description
//! of its own that only a [`KeeperPage`] keeps open. The kernel drops the lock when the address space goes, by death or exec,
//! and at no other time: closing descriptors, passing them to others and forking do not touch it.
//!
//! Queries go through the segment's own descriptor, whose description never holds such a lock. The right to repair what one
//! dead member left is a second byte per row: taking it through a fresh description excludes every other repairer, in this
//! process and outside, and does not keep a new member from using the row.

use super::fork::{self, Hold};
use crate::layout::header::{MAX_ROWS, REPAIR_LOCKS_AT, ROW_LOCKS_AT};
use crate::sys::fds;
use crate::sys::mapping::KeeperPage;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Whether somebody else holds the lock of this row.
pub(crate) fn is_held(segment: BorrowedFd<'_>, row: u16) -> io::Result<bool> {
    fds::is_any_byte_locked(segment, ROW_LOCKS_AT + u64::from(row), 1)
}

/// Whether anybody else holds the lock of any row: whether there is a member.
pub(crate) fn is_any_held(segment: BorrowedFd<'_>) -> io::Result<bool> {
    fds::is_any_byte_locked(segment, ROW_LOCKS_AT, u64::from(MAX_ROWS))
}

/// A description of its own, with which to try for row locks.
pub(crate) struct Candidate(OwnedFd);

impl Candidate {
    /// Reopens the segment. The caller holds the fork gate: a child must not inherit the descriptor.
    pub(crate) fn new(segment: BorrowedFd<'_>) -> io::Result<Self> {
        fds::reopen(segment).map(Self)
    }

    /// Takes the lock of this row, if it is free.
    pub(crate) fn try_lock(&self, row: u16) -> io::Result<bool> {
        fds::try_lock_byte(self.0.as_fd(), ROW_LOCKS_AT + u64::from(row))
    }

    /// Ties the locks taken to the address space and closes the descriptor.
    pub(crate) fn keep(self) -> io::Result<KeeperPage> {
        KeeperPage::new(&self.0)
    }
}

/// The exclusive right to repair what one dead member left; given back when dropped.
///
/// While it is held the process does not fork: a child would share the lock.
#[derive(Debug)]
pub struct RepairRight {
    _lock: OwnedFd,
    _no_fork: Hold,
}

impl RepairRight {
    /// Takes the right for this row, if nobody has it.
    pub(crate) fn take(segment: BorrowedFd<'_>, row: u16) -> io::Result<Option<Self>> {
        let no_fork = fork::hold();
        let lock = fds::reopen(segment)?;
        let taken = fds::try_lock_byte(lock.as_fd(), REPAIR_LOCKS_AT + u64::from(row))?;
        Ok(taken.then_some(Self { _lock: lock, _no_fork: no_fork }))
    }
}
