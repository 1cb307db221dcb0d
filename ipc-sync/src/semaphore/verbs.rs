//! The verbs over a table: one or several permits, waiting or not, and adding permits.

use super::error::{AcquireError, AddError};
use super::permit::{ABSENT, FREE};
use super::reclaim::Rounds;
use super::state::Table;
use ipc_core::raw::lock_line::Entry;
use ipc_core::raw::{Backoff, Census, LockError, LockLine, Owner, Pause, Slept, met_for_long};
use ipc_core::{Corrupt, Deadline};

impl Table<'_> {
    /// Takes a permit if one is free.
    #[inline]
    pub fn try_acquire(&self, census: &impl Census) -> Result<(u32, Owner), AcquireError> {
        let me = census.me()?;
        match self.take_first(me) {
            Some(index) => Ok((index, me)),
            None => self.try_slow(census, me),
        }
    }

    /// Takes a permit, waiting until `deadline`.
    #[inline]
    pub fn acquire(&self, census: &impl Census, deadline: Deadline) -> Result<(u32, Owner), AcquireError> {
        let me = census.me()?;
        match self.take_first(me) {
            Some(index) => Ok((index, me)),
            None => self.acquire_slow(census, me, deadline).map(|index| (index, me)),
        }
    }

    /// Takes `n` permits, or none.
    pub fn try_acquire_many(&self, census: &impl Census, n: u32) -> Result<(Vec<u32>, Owner), AcquireError> {
        let busy = |error| if error == AcquireError::Timeout { AcquireError::WouldBlock } else { error };
        self.gather(census, n, Deadline::PASSED, |me| self.try_slow(census, me).map(|(index, _)| index)).map_err(busy)
    }

    /// Takes `n` permits, keeping what it has got so far while it waits for the rest.
    pub fn acquire_many(
        &self,
        census: &impl Census,
        n: u32,
        deadline: Deadline,
    ) -> Result<(Vec<u32>, Owner), AcquireError> {
        self.gather(census, n, deadline, |me| self.acquire_slow(census, me, deadline))
    }

    /// Makes `n` absent permits free, or changes nothing.
    ///
    /// # Process death
    /// Killed inside, some of the `n` have been added.
    pub fn add(&self, census: &impl Census, n: u32) -> Result<(), AddError> {
        // 13. Under the lock the number of absent permits only grows: what is counted is still there afterwards.
        let _turn = Turn::take(&self.head.adding, census, Deadline::NEVER)?;
        let room = self.count(ABSENT);
        if n > room {
            return Err(AddError::Full { asked: n, room });
        }
        let mut left = n;
        for index in 0..self.spans.permits() {
            if left == 0 {
                break;
            }
            // 14.
            if self.slot(index).change(ABSENT, FREE) {
                self.slot(index).offer();
                left -= 1;
            }
        }
        match left {
            0 => Ok(()),
            left => Err(Corrupt { what: "absent permits that vanished", found: left.into() }.into()),
        }
    }

    #[cold]
    fn try_slow(&self, census: &impl Census, me: Owner) -> Result<(u32, Owner), AcquireError> {
        if let Some(index) = self.search(me) {
            return Ok((index, me));
        }
        // The obstacle is the table, whoever holds what: it stays the same as long as nothing is free.
        let asked = met_for_long(self.head, FREE) && self.reclaim(census, &mut Rounds::begin())?;
        let found = if asked { self.search(me) } else { None };
        found.map(|index| (index, me)).ok_or(AcquireError::WouldBlock)
    }

    #[cold]
    fn acquire_slow(&self, census: &impl Census, me: Owner, deadline: Deadline) -> Result<u32, AcquireError> {
        let (mut backoff, mut pause) = (Backoff::new(), Pause::new());
        let mut rounds = Rounds::begin();
        loop {
            if let Some(index) = self.search(me) {
                return Ok(index);
            }
            if backoff.spin() {
                continue;
            }
            // 8.
            match self.head.freed.sleep(&mut pause, deadline, || self.is_any_free()) {
                // Others may be quicker again and again, or somebody scribbles: the deadline holds.
                Slept::Woken if !deadline.has_passed() => {}
                Slept::Recheck => _ = self.reclaim(census, &mut rounds)?,
                Slept::Deadline | Slept::Woken => {
                    self.reclaim(census, &mut rounds)?;
                    return self.search(me).ok_or(AcquireError::Timeout);
                }
            }
        }
    }

    fn gather(
        &self,
        census: &impl Census,
        n: u32,
        deadline: Deadline,
        mut next: impl FnMut(Owner) -> Result<u32, AcquireError>,
    ) -> Result<(Vec<u32>, Owner), AcquireError> {
        if n > self.spans.permits() {
            return Err(AcquireError::TooMany { asked: n, maximum: self.spans.permits() });
        }
        // 11. One at a time: two that each have half of what both need would wait for each other.
        let _turn = Turn::take(&self.head.gathering, census, deadline)?;
        let me = census.me()?;
        let mut gathered = Gathered { table: self, me, indexes: Vec::with_capacity(n as usize) };
        for _ in 0..n {
            let index = next(me)?;
            gathered.indexes.push(index);
        }
        Ok((std::mem::take(&mut gathered.indexes), me))
    }
}

/// Permits on the way to be `n`; given back if they do not become so many.
struct Gathered<'a> {
    table: &'a Table<'a>,
    me: Owner,
    indexes: Vec<u32>,
}

impl Drop for Gathered<'_> {
    fn drop(&mut self) {
        // 12.
        self.indexes.iter().for_each(|&index| self.table.slot(index).release(self.me));
    }
}

/// An internal lock, taken. It protects no data: a mark that a scribbler set on it is ignored and goes with the release.
struct Turn<'a>(&'a LockLine);

impl<'a> Turn<'a> {
    fn take(line: &'a LockLine, census: &impl Census, deadline: Deadline) -> Result<Self, LockError> {
        line.acquire(census, Entry::Recover, deadline)?;
        Ok(Self(line))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // SAFETY: taken by `take` in this thread, as `Turn` does not leave the call that made it; there is no data.
        unsafe { self.0.release() };
    }
}
