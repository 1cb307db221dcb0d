//! The protocol of the condition, over cells that lie anywhere. The steps are those of the [module](super).

use super::cell::{self, Cell, Kind};
use ipc_core::raw::{Backoff, Census, Owner, Pause, Slept, Verdict};
use ipc_core::shim::{self, AtomicU32, AtomicU64, Ordering};
use ipc_core::{Corrupt, Deadline, LockError, MemberError};

/// What a condition has once; a line of its own.
#[repr(C, align(64))]
pub struct ConditionHead {
    lock: AtomicU64,
    next: AtomicU64,
    used: AtomicU32,
}

#[cfg(not(ipc_loom))]
const _: () = assert!(size_of::<ConditionHead>() == 64);

impl ConditionHead {
    /// A condition that no lock has been used with.
    pub fn new() -> Self {
        Self { lock: AtomicU64::new(UNBOUND), next: AtomicU64::new(FIRST), used: AtomicU32::new(0) }
    }

    /// The same, of zero bytes, with its cells.
    pub fn init(&self, cells: &[Cell]) {
        // ORDERING: Relaxed, as below: whoever publishes the memory around it publishes this.
        self.next.store(FIRST, Ordering::Relaxed);
        cells.iter().for_each(|cell| cell.word.store(cell::FREE, Ordering::Relaxed));
    }
}

impl Default for ConditionHead {
    fn default() -> Self {
        Self::new()
    }
}

const UNBOUND: u64 = 0;
/// The first ticket.
const FIRST: u64 = 1;

/// Who loses so often against others meets somebody who scribbles.
const ATTEMPTS_PER_CELL: usize = 4;

/// Why a wait could not begin, or ended without the lock. The lock is not held, and the caller does not wait any more.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// The guard belongs to another lock than the one this condition was first waited on with.
    #[error("this condition belongs to another lock: a condition is waited on with one lock all its life")]
    WrongLock,
    /// As many wait already as the condition has cells, and all of them live.
    #[error("all {cells} cells of the condition belong to living waiters; create it with more `.cells(n)`")]
    NoCell {
        /// How many there are.
        cells: usize,
    },
    /// The lock was not given back: its holder died or panicked while writing (`Inconsistent`), or its word is damaged.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A cell holds a value that no member wrote.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// This process is not a member of the condition's segment and could not become one (first use after a fork).
    #[error(transparent)]
    Member(#[from] MemberError),
}

/// Why a wait ended with the lock held again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Somebody notified this waiter, or one that died with its notification.
    Notified,
    /// The holder of the lock died, and might have been the one to notify: look at the data.
    HolderDied,
    /// The time passed, and nobody had notified this waiter.
    TimedOut,
}

impl Wake {
    /// Whether the time passed in vain.
    pub fn timed_out(self) -> bool {
        self == Self::TimedOut
    }
}

/// Why a sleep ended, before the lock is taken again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The cell is notified.
    Notified,
    /// The lock is held by the dead, or its data is marked.
    LockLost,
    /// The deadline passed.
    Deadline,
}

/// One wait: the cell, and who has it.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    me: Owner,
    ticket: u64,
    cell: usize,
}

/// A condition where it lies, and who is asked about the living.
#[derive(Clone, Copy)]
pub struct Waiting<'a, C> {
    /// What it has once.
    pub head: &'a ConditionHead,
    /// Its cells.
    pub cells: &'a [Cell],
    /// Knows the members.
    pub census: &'a C,
}

impl<C: Census> Waiting<'_, C> {
    /// Steps 1 to 4: takes a cell. The caller holds the lock that `lock`, which is not 0, identifies.
    pub fn enter(&self, lock: u64) -> Result<Wait, ConditionError> {
        self.bind(lock)?;
        let me = self.census.me()?;
        // 2. ORDERING: Relaxed: waiters follow each other through the lock.
        let ticket = self.head.next.fetch_add(1, Ordering::Relaxed);
        self.take_cell(me, ticket)
            .or_else(|| {
                self.free_the_dead();
                self.take_cell(me, ticket)
            })
            .map(|cell| Wait { me, ticket, cell })
            .ok_or(ConditionError::NoCell { cells: self.cells.len() })
    }

    /// Steps 6 to 9: sleeps until notified, until `deadline`, or until a re-check finds that the lock is `lost`.
    ///
    /// The caller has unlocked. Whatever the outcome, [`leave`](Self::leave) is next.
    pub fn sleep(&self, wait: &mut Wait, deadline: Deadline, lost: impl Fn() -> bool) -> Result<Ended, Corrupt> {
        let (mut backoff, mut pause) = (Backoff::new(), Pause::new());
        loop {
            let word = &self.cells[wait.cell].word;
            // ORDERING: Relaxed: the data follows the lock, not the notification.
            let seen = word.load(Ordering::Relaxed);
            match cell::kind(seen) {
                Kind::Notified(owner) if owner == wait.me => return Ok(Ended::Notified),
                Kind::Waiting(owner) if owner == wait.me => {}
                _ => return Err(cell::corrupt(seen)),
            }
            if deadline != Deadline::PASSED && backoff.spin() {
                continue;
            }
            // 6.
            word.wait(seen, deadline.min(pause.due()));
            let slept = pause.ended(deadline);
            if word.load(Ordering::Relaxed) != seen {
                continue;
            }
            if self.inherit(wait, slept != Slept::Woken) {
                return Ok(Ended::Notified);
            }
            match slept {
                Slept::Woken => {}
                Slept::Deadline => return Ok(Ended::Deadline),
                Slept::Recheck if lost() => return Ok(Ended::LockLost),
                Slept::Recheck => self.free_a_dead_head(wait),
            }
        }
    }

    /// Step 11: gives the cell back; whether it had been notified. The caller holds the lock again, or has been refused it.
    pub fn leave(&self, wait: Wait) -> Result<bool, Corrupt> {
        let word = &self.cells[wait.cell].word;
        let mut seen = word.load(Ordering::Relaxed);
        // It can change once: from waiting to notified.
        for _ in 0..2 {
            let notified = match cell::kind(seen) {
                Kind::Notified(owner) if owner == wait.me => true,
                Kind::Waiting(owner) if owner == wait.me => false,
                _ => break,
            };
            // ORDERING: AcqRel [cond/C1], [cond/C2]: what was said about this wait is not read into the next one.
            match word.compare_exchange(seen, cell::FREE, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Ok(notified),
                Err(now) => seen = now,
            }
        }
        Err(cell::corrupt(seen))
    }

    /// Notifies up to `most` of those who wait, the longest waiting first; how many. Callable from a signal handler.
    pub fn notify(&self, most: usize) -> usize {
        // a. ORDERING: Acquire [cond/C3]: for a notifier without the lock, whatever it happens to see.
        let until = self.head.next.load(Ordering::Acquire);
        let used = self.used();
        if most >= used {
            return (0..used)
                .filter(|&at| self.waits(at, until).is_some_and(|seen| self.mark(at, seen, until)))
                .count();
        }
        let mut marked = 0;
        for _ in 0..ATTEMPTS_PER_CELL * used {
            if marked == most {
                break;
            }
            // b.
            let Some((at, seen)) = self.longest_waiting(until, None) else { break };
            marked += usize::from(self.mark(at, seen, until));
        }
        marked
    }

    /// How many wait without a notification, the dead among them included; a snapshot.
    pub fn count(&self) -> usize {
        (0..self.used()).filter(|&at| self.waits(at, u64::MAX).is_some()).count()
    }

    /// Step 1.
    fn bind(&self, lock: u64) -> Result<(), ConditionError> {
        // ORDERING: Relaxed: it guards nothing but itself.
        let bound = self.head.lock.load(Ordering::Relaxed);
        let bound = if bound == UNBOUND {
            let bind = self.head.lock.compare_exchange(UNBOUND, lock, Ordering::Relaxed, Ordering::Relaxed);
            bind.map_or_else(|other| other, |_| lock)
        } else {
            bound
        };
        if bound == lock { Ok(()) } else { Err(ConditionError::WrongLock) }
    }

    /// Steps 3 and 4, in the first free cell: so those that are looked at stay few.
    fn take_cell(&self, me: Owner, ticket: u64) -> Option<usize> {
        self.cells.iter().enumerate().find_map(|(at, cell)| {
            if cell.word.load(Ordering::Relaxed) != cell::FREE {
                return None;
            }
            // 3. Before 4, and nobody else is about to take a cell: that needs the lock.
            cell.ticket.store(ticket, Ordering::Relaxed);
            self.head.used.fetch_max(at as u32 + 1, Ordering::Relaxed);
            shim::program_order();
            // 4. ORDERING: AcqRel [cond/C1], [cond/C3].
            let taken = cell.word.compare_exchange(cell::FREE, cell::waiting(me), Ordering::AcqRel, Ordering::Relaxed);
            taken.is_ok().then_some(at)
        })
    }

    /// Steps 7 to 9; whether there is a notification for us now. Those who look after the dead `ask`.
    fn inherit(&self, wait: &mut Wait, ask: bool) -> bool {
        for at in (0..self.used()).filter(|&at| at != wait.cell) {
            let heir = &self.cells[at];
            // ORDERING: Acquire [cond/C2]: `until` belongs to this notification.
            let seen = heir.word.load(Ordering::Acquire);
            let is_ours = || heir.until.load(Ordering::Relaxed) > wait.ticket;
            let orphaned = match cell::kind(seen) {
                Kind::Pending => is_ours(),
                Kind::Notified(owner) => ask && is_ours() && self.census.verdict(owner) == Verdict::Dead,
                _ => false,
            };
            // 7. ORDERING: AcqRel [cond/C2]: `until` stays, for whoever inherits from us.
            let ours = cell::notified(wait.me);
            if !orphaned || heir.word.compare_exchange(seen, ours, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            // 8. ORDERING: AcqRel, as in `leave`.
            let mine = &self.cells[wait.cell].word;
            let only = mine.compare_exchange(cell::waiting(wait.me), cell::FREE, Ordering::AcqRel, Ordering::Relaxed);
            if only.is_ok() {
                wait.cell = at;
            } else {
                self.give_back(at, wait.me);
            }
            return true;
        }
        false
    }

    /// Step 9.
    fn give_back(&self, at: usize, me: Owner) {
        let spare = &self.cells[at];
        // ORDERING: AcqRel [cond/C2].
        let given = spare.word.compare_exchange(cell::notified(me), cell::PENDING, Ordering::AcqRel, Ordering::Relaxed);
        let until = spare.until.load(Ordering::Relaxed);
        if given.is_ok()
            && let Some((next, _)) = self.longest_waiting(until, None)
        {
            self.cells[next].word.wake(1);
        }
    }

    /// Steps c to e.
    fn mark(&self, at: usize, seen: u64, until: u64) -> bool {
        let cell = &self.cells[at];
        // c. It only grows: of two who notify at once, the earlier one's does not overwrite the later one's.
        cell.until.fetch_max(until, Ordering::Relaxed);
        shim::program_order();
        // d. ORDERING: AcqRel [cond/C2].
        let owner = Owner::from_word(seen);
        let marked =
            cell.word.compare_exchange(seen, cell::notified(owner), Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if marked {
            // e.
            cell.word.wake(1);
        }
        marked
    }

    /// The word of a cell that waits with a ticket below `until`.
    fn waits(&self, at: usize, until: u64) -> Option<u64> {
        let cell = &self.cells[at];
        // ORDERING: Acquire [cond/C1]: the ticket belongs to this wait.
        let seen = cell.word.load(Ordering::Acquire);
        let waits = matches!(cell::kind(seen), Kind::Waiting(_)) && cell.ticket.load(Ordering::Relaxed) < until;
        waits.then_some(seen)
    }

    /// The cell with the lowest ticket of those that wait, and its word.
    fn longest_waiting(&self, until: u64, except: Option<usize>) -> Option<(usize, u64)> {
        (0..self.used())
            .filter(|&at| Some(at) != except)
            .filter_map(|at| {
                self.waits(at, until).map(|seen| (self.cells[at].ticket.load(Ordering::Relaxed), at, seen))
            })
            .min()
            .map(|(_, at, seen)| (at, seen))
    }

    /// The dead who wait in front of us would swallow notifications: the first of them is asked about, and goes.
    fn free_a_dead_head(&self, wait: &Wait) {
        if let Some((at, seen)) = self.longest_waiting(wait.ticket, Some(wait.cell)) {
            self.free_if_dead(at, seen);
        }
    }

    /// All cells are taken: the only time when all owners are asked about.
    #[cold]
    fn free_the_dead(&self) {
        for at in 0..self.cells.len() {
            if let Some(seen) = self.waits(at, u64::MAX) {
                self.free_if_dead(at, seen);
            }
        }
        for at in 0..self.cells.len() {
            let cell = &self.cells[at];
            let seen = cell.word.load(Ordering::Acquire);
            let has_no_heir = || self.longest_waiting(cell.until.load(Ordering::Relaxed), None).is_none();
            match cell::kind(seen) {
                Kind::Notified(_) if has_no_heir() => self.free_if_dead(at, seen),
                Kind::Pending if has_no_heir() => self.free(at, seen),
                _ => {}
            }
        }
    }

    fn free_if_dead(&self, at: usize, seen: u64) {
        if self.census.verdict(Owner::from_word(seen)) == Verdict::Dead {
            self.free(at, seen);
        }
    }

    fn free(&self, at: usize, seen: u64) {
        // ORDERING: AcqRel, as in `leave`. A lost race is with somebody who found a use for it.
        let _ = self.cells[at].word.compare_exchange(seen, cell::FREE, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// How many cells are worth a look.
    fn used(&self) -> usize {
        // ORDERING: Relaxed: raised before the cell was taken, so whoever sees the cell taken by way of the lock sees this.
        (self.head.used.load(Ordering::Relaxed) as usize).min(self.cells.len())
    }
}
