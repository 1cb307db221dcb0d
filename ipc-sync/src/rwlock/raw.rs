//! The steps of the `RwLock`: generic over the census and the number of entries, so that loom drives them on the heap.

use super::state::{FREE, OPEN, closed_by, closer, holds, home, is_held_by, one, one_less, one_more, reader, spread};
use ipc_core::raw::lock_line::{Acquired, Entry};
use ipc_core::raw::{
    Backoff, Census, LockError, LockLine, Owner, Pad, Pause, Slept, Verdict, WaitWord, Waiters, met_for_long,
};
use ipc_core::shim::{self, AtomicU64, Futex64, Ordering};
use ipc_core::{Corrupt, Deadline};

/// Entries of a lock: as many as a segment has member rows unless told otherwise.
pub const ENTRIES: usize = 64;

/// The words of one lock; see the module above for their meaning.
#[repr(C, align(64))]
pub struct RwLine<const N: usize = ENTRIES> {
    line: LockLine,
    gate: Gate,
    drained: WaitWord,
    entries: [AtomicU64; N],
}

#[cfg(not(ipc_loom))]
const _: () = assert!(size_of::<RwLine>() == 704);

/// What readers look at, on a line of its own: between two writers nobody writes to it.
#[repr(C, align(64))]
struct Gate {
    word: Futex64,
    waiters: Waiters,
    /// Said, so that every byte of the line is somebody's.
    rest: Pad<52>,
}

/// A read hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadHold {
    /// The caller.
    pub me: Owner,
    /// The entry that says so; [`LINE`] if there was none left and it is the lock line instead.
    pub at: u32,
}

/// Instead of an entry: who came down from an exclusive or upgradable hold when all entries were taken keeps the lock line.
/// Readers share with it; only upgradable holds and writers wait, as for any reader.
pub const LINE: u32 = u32::MAX;

impl<const N: usize> RwLine<N> {
    /// Nobody holds it; the data is consistent.
    pub fn new() -> Self {
        Self {
            line: LockLine::new(),
            gate: Gate { word: Futex64::new(OPEN), waiters: Waiters::new(), rest: Pad::new() },
            drained: WaitWord::new(),
            entries: std::array::from_fn(|_| AtomicU64::new(FREE)),
        }
    }

    /// Makes a free lock over consistent data of zero bytes, in place.
    pub fn init(&self) {
        self.line.init();
        // ORDERING: Relaxed: whoever publishes the memory around it publishes this.
        self.gate.word.store(OPEN, Ordering::Relaxed);
        self.entries.iter().for_each(|entry| entry.store(FREE, Ordering::Relaxed));
    }

    /// The line of writers and upgradable holders.
    pub fn line(&self) -> &LockLine {
        &self.line
    }

    /// The read holds there are, each member with its number, at one look; a snapshot.
    pub fn readers(&self) -> impl Iterator<Item = (Owner, u32)> {
        self.entries.iter().filter_map(|entry| {
            let entry = entry.load(Ordering::Relaxed);
            reader(entry).ok().map(|owner| (owner, holds(entry)))
        })
    }

    /// How many readers sleep until a writer is done; a snapshot.
    pub fn waiting_readers(&self) -> u32 {
        self.gate.waiters.count()
    }

    // Readers.

    /// Takes a read hold: one CAS and one load if no writer is there or waits, else waits until `deadline`.
    #[inline]
    pub fn read(&self, census: &impl Census, deadline: Deadline) -> Result<ReadHold, LockError> {
        let me = census.me()?;
        match self.enter_at(home(me), me) {
            Some(hold) => Ok(hold),
            None => self.read_slow(census, me, deadline),
        }
    }

    /// Takes a read hold if that is possible at once.
    #[inline]
    pub fn try_read(&self, census: &impl Census) -> Result<ReadHold, LockError> {
        let me = census.me()?;
        match self.enter_at(home(me), me) {
            Some(hold) => Ok(hold),
            None => self.try_read_slow(census, me),
        }
    }

    /// Gives a read hold back.
    ///
    /// # Safety
    /// The caller has this hold, as it was told, and no reference to the data any more.
    #[inline]
    pub unsafe fn release_read(&self, hold: ReadHold) {
        if hold.at == LINE {
            return self.release_line();
        }
        self.unmark(hold);
        self.tell_if_closed();
    }

    /// For a reader that has the line instead of an entry.
    #[cold]
    fn release_line(&self) {
        // SAFETY: the caller's hold is the line; a reader touches nothing.
        unsafe { self.line.release_unchanged(false) };
    }

    /// Steps 1 and 2 at the entry where a thread begins to look.
    #[inline]
    fn enter_at(&self, n: usize, me: Owner) -> Option<ReadHold> {
        let at = spread::<N>(n);
        // 1. ORDERING: SeqCst [rw/R1], before the look at the gate.
        self.entries[at].compare_exchange(FREE, one(me), Ordering::SeqCst, Ordering::Relaxed).ok()?;
        let hold = ReadHold { me, at: at as u32 };
        self.look(hold)
    }

    /// Step 2: whether a marked entry is a hold. If not, it is unmarked again.
    #[inline]
    fn look(&self, hold: ReadHold) -> Option<ReadHold> {
        shim::total_order();
        // 2. ORDERING: SeqCst [rw/R1], after the mark; Acquire [rw/R3]: what the last writer wrote.
        if self.gate.word.load(Ordering::SeqCst) == OPEN {
            return Some(hold);
        }
        self.take_back(hold)
    }

    /// Step 3.
    #[cold]
    fn take_back(&self, hold: ReadHold) -> Option<ReadHold> {
        self.unmark(hold);
        self.tell_if_closed();
        None
    }

    /// Marks an entry; `None` if others have all of them.
    fn mark(&self, me: Owner) -> Option<ReadHold> {
        let places = || (0..N).map(|n| spread::<N>(home(me) + n));
        let free = places().find(|&at| {
            let entry = &self.entries[at];
            // 1. ORDERING: SeqCst [rw/R1].
            entry.load(Ordering::Relaxed) == FREE
                && entry.compare_exchange(FREE, one(me), Ordering::SeqCst, Ordering::Relaxed).is_ok()
        });
        let at = free.or_else(|| places().find(|&at| self.join(at, me)))?;
        Some(ReadHold { me, at: at as u32 })
    }

    /// One hold more in an entry that this member has already, or that has become free.
    fn join(&self, at: usize, me: Owner) -> bool {
        let entry = &self.entries[at];
        let mut seen = entry.load(Ordering::Relaxed);
        loop {
            let more = if seen == FREE { Some(one(me)) } else { one_more(seen, me) };
            let Some(more) = more else { return false };
            // 1. ORDERING: SeqCst [rw/R1].
            match entry.compare_exchange(seen, more, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(changed) => seen = changed,
            }
        }
    }

    /// Step 4. What is not this member's any more (somebody scribbles) is left alone.
    #[inline]
    fn unmark(&self, hold: ReadHold) {
        let Some(entry) = self.entries.get(hold.at as usize) else { return };
        // 4. ORDERING: SeqCst: Release [rw/R2] ends the reads; [rw/R4] before the look at the gate.
        if let Err(seen) = entry.compare_exchange(one(hold.me), FREE, Ordering::SeqCst, Ordering::Relaxed) {
            self.unmark_shared(entry, seen, hold.me);
        }
    }

    /// Step 4 where threads share an entry.
    #[cold]
    fn unmark_shared(&self, entry: &AtomicU64, mut seen: u64, me: Owner) {
        while let Some(less) = one_less(seen, me) {
            // 4. ORDERING: SeqCst, as above.
            match entry.compare_exchange(seen, less, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return,
                Err(changed) => seen = changed,
            }
        }
    }

    /// Steps 5 and 6: a writer that waits for readers to leave looks again.
    #[inline]
    fn tell_if_closed(&self) {
        shim::total_order();
        // 5. ORDERING: SeqCst [rw/R4].
        if self.gate.word.load(Ordering::SeqCst) != OPEN {
            self.tell();
        }
    }

    /// 6.
    #[cold]
    fn tell(&self) {
        self.drained.notify(u32::MAX);
    }

    #[cold]
    fn read_slow(&self, census: &impl Census, me: Owner, deadline: Deadline) -> Result<ReadHold, LockError> {
        let (mut backoff, mut pause, mut asked) = (Backoff::new(), Pause::new(), home(me));
        loop {
            let seen = self.gate.word.load(Ordering::Acquire);
            if seen == OPEN {
                match self.mark(me) {
                    Some(hold) => {
                        if let Some(hold) = self.look(hold) {
                            return Ok(hold);
                        }
                    }
                    None => {
                        asked += 1;
                        self.sleep_crowded(census, asked, &mut pause, deadline);
                    }
                }
            } else {
                let closer = closer(seen)?;
                if me.thread() != 0 && closer == me {
                    return Err(LockError::WouldDeadlock);
                }
                if self.is_left(seen) {
                    self.settle(census, deadline)?;
                } else if deadline != Deadline::PASSED && backoff.spin() {
                    continue;
                } else if self.is_reading(me) {
                    return Err(LockError::WouldDeadlock);
                } else {
                    let slept = self.sleep_at_gate(seen, &mut pause, deadline);
                    let dead = || census.verdict(closer) == Verdict::Dead;
                    if slept != Slept::Woken && self.gate.word.load(Ordering::Relaxed) == seen && dead() {
                        self.settle(census, deadline)?;
                    }
                }
            }
            if deadline.has_passed() {
                return self.mark(me).and_then(|hold| self.look(hold)).ok_or(LockError::Timeout);
            }
        }
    }

    #[cold]
    fn try_read_slow(&self, census: &impl Census, me: Owner) -> Result<ReadHold, LockError> {
        let seen = self.gate.word.load(Ordering::Acquire);
        if seen != OPEN {
            let closer = closer(seen)?;
            let dead = || met_for_long(&self.gate, seen) && census.verdict(closer) == Verdict::Dead;
            if !self.is_left(seen) && !dead() {
                return Err(LockError::WouldBlock);
            }
            self.line.try_acquire(census)?;
            self.open_and_release();
        }
        self.mark(me).and_then(|hold| self.look(hold)).ok_or(LockError::WouldBlock)
    }

    /// Whether this thread is known to read, so that a writer that waits for it must not be waited for. Looked up before each
    /// sleep only.
    fn is_reading(&self, me: Owner) -> bool {
        self.entries.iter().any(|entry| is_held_by(entry.load(Ordering::Relaxed), me))
    }

    /// Whether the gate was left closed: only the holder of the line closes it, and opens it before it leaves, unless it
    /// leaves the data marked, or dies.
    fn is_left(&self, seen: u64) -> bool {
        self.line.holder().is_none() && self.gate.word.load(Ordering::Relaxed) == seen
    }

    /// Takes the line, as its next holder would, to open a gate that was left closed. `Inconsistent` if the data is marked.
    fn settle(&self, census: &impl Census, deadline: Deadline) -> Result<(), LockError> {
        self.acquire_line(census, Entry::Lock, deadline)?;
        self.open_and_release();
        Ok(())
    }

    /// Every entry belongs to somebody else, and nobody tells when one becomes free: look again at each re-check, and take
    /// away the hold of one of the dead.
    fn sleep_crowded(&self, census: &impl Census, asked: usize, pause: &mut Pause, deadline: Deadline) {
        let entry = &self.entries[spread::<N>(asked)];
        let seen = entry.load(Ordering::Acquire);
        if seen == FREE {
            return;
        }
        self.drained.sleep(pause, deadline, || entry.load(Ordering::SeqCst) != seen);
        if let Ok(holder) = reader(seen) {
            self.forget_if_dead(census, entry, seen, holder);
        }
    }

    fn sleep_at_gate(&self, seen: u64, pause: &mut Pause, deadline: Deadline) -> Slept {
        let registration = self.gate.waiters.register();
        // ORDERING: SeqCst [rw/W5]: not before the registration.
        let slept = if self.gate.word.load(Ordering::SeqCst) != seen {
            Slept::Woken
        } else {
            self.gate.word.wait(seen, deadline.min(pause.due()));
            pause.ended(deadline)
        };
        self.gate.waiters.leave(registration);
        slept
    }

    // Writers.

    /// Takes the lock exclusively: the line first, which keeps other writers out, then the gate, which keeps new readers
    /// out, then the readers are waited for.
    pub fn write(&self, census: &impl Census, entry: Entry, deadline: Deadline) -> Result<Acquired, LockError> {
        let acquired = self.acquire_line(census, entry, deadline)?;
        match self.exclude(census, acquired.me, deadline) {
            Ok(()) => Ok(acquired),
            Err(error) => {
                self.back_out(acquired.inconsistent);
                Err(error)
            }
        }
    }

    /// Takes the lock exclusively if that is possible at once. Readers are disturbed only if it seems to be.
    pub fn try_write(&self, census: &impl Census) -> Result<Acquired, LockError> {
        let acquired = self.line.try_acquire(census)?;
        match self.exclude_at_once(census, acquired.me, None) {
            Ok(true) => Ok(acquired),
            Ok(false) => {
                self.back_out(false);
                Err(LockError::WouldBlock)
            }
            Err(corrupt) => {
                self.back_out(false);
                Err(corrupt.into())
            }
        }
    }

    /// The holder is about to write to the data: from now on its death is told.
    ///
    /// # Safety
    /// The caller holds the lock exclusively, as `me`.
    #[inline]
    pub unsafe fn touch(&self, me: Owner) {
        // SAFETY: handed on: an exclusive hold includes the line.
        unsafe { self.line.touch(me) };
    }

    /// After a recovery, and before a written lock is shared: the data is good. The lock stays held.
    ///
    /// # Safety
    /// The caller holds the lock exclusively, as `me`.
    #[inline]
    pub unsafe fn mark_consistent(&self, me: Owner) {
        // SAFETY: handed on.
        unsafe { self.line.mark_consistent(me) };
    }

    /// Gives an exclusive hold over good data back.
    ///
    /// # Safety
    /// The caller holds the lock exclusively, as `me`, and has no reference to the data any more.
    pub unsafe fn release_write(&self, me: Owner) {
        // 12. SAFETY: handed on.
        unsafe { self.line.mark_consistent(me) };
        self.open_and_release();
    }

    /// Gives an exclusive hold over marked data back: the gate stays closed, and whoever comes is told.
    ///
    /// # Safety
    /// The caller holds the lock exclusively, and has no reference to the data any more.
    pub unsafe fn release_marked(&self) {
        // SAFETY: handed on.
        unsafe { self.line.release_unchanged(true) };
        self.wake_readers();
    }

    /// As [`release_marked`](Self::release_marked), for data that a panic left half-written just now.
    ///
    /// # Safety
    /// As there; `pid` and `name` are the caller's.
    #[cold]
    pub unsafe fn release_panicked(&self, pid: u32, name: &str) {
        // SAFETY: handed on.
        unsafe { self.line.release_panicked(pid, name) };
        self.wake_readers();
    }

    fn acquire_line(&self, census: &impl Census, entry: Entry, deadline: Deadline) -> Result<Acquired, LockError> {
        // 7.
        let acquired = self.line.acquire(census, entry, deadline);
        if let Err(LockError::Inconsistent { .. }) = acquired {
            // Perhaps found just now: readers that sleep at the gate are told, too.
            self.wake_readers();
        }
        acquired
    }

    /// Steps 8 and 9, for the holder of the line.
    fn exclude(&self, census: &impl Census, me: Owner, deadline: Deadline) -> Result<(), LockError> {
        self.close(me);
        let mut some_died = false;
        for entry in &self.entries {
            // 9. ORDERING: SeqCst [rw/R1], after the gate; Acquire [rw/R2]: the readers' reads are over.
            if entry.load(Ordering::SeqCst) != FREE {
                self.drain(census, entry, me, deadline, &mut some_died)?;
            }
        }
        Ok(())
    }

    fn close(&self, me: Owner) {
        // 8. ORDERING: SeqCst [rw/R1], before the look at the entries.
        self.gate.word.swap(closed_by(me), Ordering::SeqCst);
        shim::total_order();
    }

    /// Waits until an entry is free. Where one reader has died others may have, too: then it asks before it waits.
    #[cold]
    fn drain(
        &self,
        census: &impl Census,
        entry: &AtomicU64,
        me: Owner,
        deadline: Deadline,
        some_died: &mut bool,
    ) -> Result<(), LockError> {
        let (mut backoff, mut pause) = (Backoff::new(), Pause::new());
        loop {
            // ORDERING: SeqCst [rw/R1], Acquire [rw/R2].
            let seen = entry.load(Ordering::SeqCst);
            if seen == FREE {
                return Ok(());
            }
            let holder = reader(seen)?;
            if is_held_by(seen, me) {
                return Err(LockError::WouldDeadlock);
            }
            if *some_died && self.forget_if_dead(census, entry, seen, holder) {
                continue;
            }
            if deadline != Deadline::PASSED && backoff.spin() {
                continue;
            }
            let slept = self.drained.sleep(&mut pause, deadline, || entry.load(Ordering::SeqCst) != seen);
            if slept != Slept::Woken && self.forget_if_dead(census, entry, seen, holder) {
                *some_died = true;
                continue;
            }
            if deadline.has_passed() {
                return if entry.load(Ordering::SeqCst) == FREE { Ok(()) } else { Err(LockError::Timeout) };
            }
        }
    }

    /// Frees an entry of a dead member. The dead write no more, so one CAS takes away exactly what they held.
    fn forget_if_dead(&self, census: &impl Census, entry: &AtomicU64, seen: u64, holder: Owner) -> bool {
        entry.load(Ordering::Relaxed) == seen
            && census.verdict(holder) == Verdict::Dead
            && entry.compare_exchange(seen, FREE, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Closes the gate if nobody reads (but for the caller's own hold), and keeps it closed if still nobody does.
    fn exclude_at_once(&self, census: &impl Census, me: Owner, own: Option<ReadHold>) -> Result<bool, Corrupt> {
        if !self.is_drained(census, own)? {
            return Ok(false);
        }
        self.close(me);
        self.is_drained(census, own)
    }

    fn is_drained(&self, census: &impl Census, own: Option<ReadHold>) -> Result<bool, Corrupt> {
        for (at, entry) in self.entries.iter().enumerate() {
            // 9. ORDERING: SeqCst [rw/R1], Acquire [rw/R2].
            let seen = entry.load(Ordering::SeqCst);
            if seen == FREE || own.is_some_and(|own| own.at as usize == at && holds(seen) == 1) {
                continue;
            }
            let holder = reader(seen)?;
            if !met_for_long(entry, seen) || !self.forget_if_dead(census, entry, seen, holder) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives the line back without having had the lock.
    fn back_out(&self, inconsistent: bool) {
        if inconsistent {
            // SAFETY: the caller holds the line, and had no access to the data; the gate stays closed.
            unsafe { self.release_marked() };
        } else {
            self.open_and_release();
        }
    }

    /// Step 13, for the holder of the line; whether the gate was closed.
    fn open(&self) -> bool {
        // Only the holder of the line writes to it.
        let closed = self.gate.word.load(Ordering::Relaxed) != OPEN;
        if closed {
            // 13. ORDERING: SeqCst: Release [rw/R3] publishes the data; [rw/W5] before the look at the sleepers.
            self.gate.word.swap(OPEN, Ordering::SeqCst);
        }
        closed
    }

    /// Steps 13 to 15, for the holder of the line over good data.
    fn open_and_release(&self) {
        let opened = self.open();
        // 14. SAFETY: the callers hold the line and have no reference to the data.
        unsafe { self.line.release_unchanged(false) };
        if opened {
            // 15.
            self.wake_readers();
        }
    }

    /// Steps 13 and 15: the line stays held.
    fn open_only(&self) {
        if self.open() {
            self.wake_readers();
        }
    }

    #[inline]
    fn wake_readers(&self) {
        if self.gate.waiters.is_anybody() {
            self.wake_readers_now();
        }
    }

    #[cold]
    fn wake_readers_now(&self) {
        self.gate.word.wake(u32::MAX);
    }

    // Upgradable holders: they have the line, and leave the gate open.

    /// Takes the one upgradable hold there can be: it shares with readers, and keeps writers and other upgradable holders out.
    pub fn upgradable(&self, census: &impl Census, deadline: Deadline) -> Result<Owner, LockError> {
        let acquired = self.acquire_line(census, Entry::Lock, deadline)?;
        // A dead writer may have left it closed.
        self.open_only();
        Ok(acquired.me)
    }

    /// Takes an upgradable hold if that is possible at once.
    pub fn try_upgradable(&self, census: &impl Census) -> Result<Owner, LockError> {
        let acquired = self.line.try_acquire(census)?;
        self.open_only();
        Ok(acquired.me)
    }

    /// Gives an upgradable hold back.
    ///
    /// # Safety
    /// The caller has it, and no reference to the data any more.
    pub unsafe fn release_upgradable(&self) {
        // SAFETY: handed on; nothing was touched.
        unsafe { self.line.release_unchanged(false) };
    }

    /// Upgradable → exclusive; the hold stays upgradable if that fails.
    ///
    /// # Safety
    /// The caller has the upgradable hold, as `me`, and no reference to the data any more.
    pub unsafe fn upgrade(&self, census: &impl Census, me: Owner, deadline: Deadline) -> Result<(), LockError> {
        self.exclude(census, me, deadline).inspect_err(|_| self.open_only())
    }

    /// Upgradable → exclusive, if nobody reads; else the hold stays upgradable.
    ///
    /// # Safety
    /// As for [`upgrade`](Self::upgrade).
    pub unsafe fn try_upgrade(&self, census: &impl Census, me: Owner) -> bool {
        let done = self.exclude_at_once(census, me, None) == Ok(true);
        if !done {
            self.open_only();
        }
        done
    }

    /// Exclusive → shared: never waits, and no writer comes in between.
    ///
    /// # Safety
    /// The caller holds the lock exclusively, as `me`, over good data, and has no reference to it any more.
    pub unsafe fn downgrade(&self, me: Owner) -> ReadHold {
        // Before the line goes: the next writer finds it.
        let hold = self.mark(me);
        // SAFETY: handed on.
        unsafe { self.line.mark_consistent(me) };
        match hold {
            Some(hold) => {
                self.open_and_release();
                hold
            }
            None => {
                self.open_only();
                ReadHold { me, at: LINE }
            }
        }
    }

    /// Exclusive → upgradable: never waits.
    ///
    /// # Safety
    /// As for [`downgrade`](Self::downgrade).
    pub unsafe fn downgrade_to_upgradable(&self, me: Owner) {
        // SAFETY: handed on.
        unsafe { self.line.mark_consistent(me) };
        self.open_only();
    }

    /// Upgradable → shared: never waits.
    ///
    /// # Safety
    /// The caller has the upgradable hold, as `me`.
    pub unsafe fn downgrade_upgradable(&self, me: Owner) -> ReadHold {
        match self.mark(me) {
            Some(hold) => {
                // SAFETY: handed on; the entry is marked, so the next writer waits for it.
                unsafe { self.line.release_unchanged(false) };
                hold
            }
            None => ReadHold { me, at: LINE },
        }
    }

    /// Shared → upgradable, if no writer and no other upgradable holder is there.
    ///
    /// # Safety
    /// The caller has this hold.
    pub unsafe fn try_read_to_upgradable(&self, census: &impl Census, hold: ReadHold) -> bool {
        if hold.at == LINE {
            return true;
        }
        if self.line.try_acquire(census).is_err() {
            return false;
        }
        self.open_only();
        self.unmark(hold);
        true
    }

    /// Shared → exclusive, if nobody else holds in any way.
    ///
    /// # Safety
    /// The caller has this hold, and no reference to the data any more.
    pub unsafe fn try_read_to_write(&self, census: &impl Census, hold: ReadHold) -> bool {
        if hold.at == LINE {
            // SAFETY: a hold of the line with the gate open is an upgradable one.
            return unsafe { self.try_upgrade(census, hold.me) };
        }
        if self.line.try_acquire(census).is_err() {
            return false;
        }
        let done = self.exclude_at_once(census, hold.me, Some(hold)) == Ok(true);
        if done {
            self.unmark(hold);
        } else {
            self.back_out(false);
        }
        done
    }
}

impl<const N: usize> Default for RwLine<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> std::fmt::Debug for RwLine<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let closed = self.gate.word.load(Ordering::Relaxed) != OPEN;
        f.debug_struct("RwLine")
            .field("line", &self.line)
            .field("closed", &closed)
            .field("readers", &self.readers().collect::<Vec<_>>())
            .field("waiting_readers", &self.waiting_readers())
            .finish()
    }
}
