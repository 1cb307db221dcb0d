//! The verdict on a member: Alive, Dead or Unknown.
//!
//! 1. The generation of its row has moved on, or there is no such row: dead.
//! 2. Its row lock is free: dead.
//! 3. The lock is held, but a pidfd of the same boot and PID namespace says the process is gone: dead (somebody else shares
//!    the description).
//! 4. The lock is held: alive. The system would not say, or the segment's descriptor number belongs to another file by now:
//!    whatever the pidfd says, else unknown.
//!
//! Never asked: `kill`, a state letter in /proc, a missing /proc entry, a heartbeat. A stopped process is alive however long.

use super::row_lock::{self, RepairRight};
use crate::MemberError;
use crate::raw::{Census, Owner, Verdict};
use crate::segment::Segment;
use crate::sys::process::{Identity, Trust};
use std::borrow::Cow;
use std::io;
use std::os::fd::BorrowedFd;

/// Steps 2 to 4, of a row and what was recorded there.
pub(crate) fn of_row(segment: io::Result<BorrowedFd<'_>>, row: u16, identity: &Identity) -> Verdict {
    match segment.and_then(|segment| row_lock::is_held(segment, row)) {
        Ok(false) => Verdict::Dead,
        Ok(true) if identity.verdict(Trust::KernelOnly) == Verdict::Dead => Verdict::Dead,
        Ok(true) => Verdict::Alive,
        Err(_) => identity.verdict(Trust::StartTime),
    }
}

impl Census for Segment {
    type Repair = RepairRight;

    #[inline]
    fn me(&self) -> Result<Owner, MemberError> {
        self.inner().me()
    }

    fn verdict(&self, who: Owner) -> Verdict {
        let Some(row) = self.inner().rows().get(usize::from(who.row())) else { return Verdict::Dead };
        if row.generation() != who.generation() || !who.is_somebody() {
            return Verdict::Dead;
        }
        if self.inner().is_me(who) {
            return Verdict::Alive;
        }
        // Read before the lock is asked: if the row changes hands meanwhile, the generation tells.
        let identity = row.identity();
        let verdict = of_row(self.inner().own_fd(), who.row(), &identity);
        if row.generation() == who.generation() { verdict } else { Verdict::Dead }
    }

    fn begin_repair(&self, who: Owner) -> Option<RepairRight> {
        if self.verdict(who) != Verdict::Dead || usize::from(who.row()) >= self.inner().rows().len() {
            return None;
        }
        let segment = self.inner().own_fd().ok()?;
        let right = RepairRight::take(segment, who.row()).ok().flatten()?;
        (self.verdict(who) == Verdict::Dead).then_some(right)
    }

    fn describe(&self, who: Owner) -> (u32, Cow<'static, str>) {
        match self.inner().rows().get(usize::from(who.row())) {
            Some(row) => {
                let (pid, name) = (row.identity().pid, row.name());
                if row.generation() == who.generation() { (pid, name.into()) } else { (0, "".into()) }
            }
            None => (0, "".into()),
        }
    }
}
