//! `LockLine`: the crash-aware lock word behind `Value`, `Array` and `Lock`.
//!
//! # Memory (one line of 64 bytes)
//!
//! | offset | type | name         | written by                                                                       |
//! |--------|------|--------------|----------------------------------------------------------------------------------|
//! | 0      | u64  | owner        | whoever locks, unlocks or takes over; its low half is the futex                  |
//! | 8      | u64  | touched      | the holder, before its first mutable access: itself; cleared before it unlocks    |
//! | 16     | u32  | crowd        | sleepers, and how to unlock: see `Crowd`                                       |
//! | 20     | u32  | cause        | who marks the data inconsistent: 0 none, 1 owner died, 2 panicked                 |
//! | 24     | u64  | waited_since | the first of the sleepers: `CLOCK_MONOTONIC` in ns                               |
//! | 32     | u32  | culprit_pid  | with `cause`                                                                     |
//! | 36     | u16  | culprit_len  | with `cause`                                                                     |
//! | 38     | u16  | calm         | the holder: unlocks in a row that met nobody                                     |
//! | 40     | 24 B | culprit      | with `cause`: name of the process, cut to 24 bytes                                |
//!
//! # States of the owner word
//!
//! ```text
//!  63           32 31    16 15      3    2          1         0
//! ┌───────────────┬────────┬─────────┬──────┬─────────────┬───────┐
//! │  generation   │  row   │ thread  │ HELD │ INCONSISTENT│ VALID │
//! └───────────────┴────────┴─────────┴──────┴─────────────┴───────┘
//!   nobody, VALID                        free
//!   nobody, VALID, INCONSISTENT          free; the data must be recovered before it is used
//!   owner,  VALID, HELD                  held
//!   owner,  VALID, HELD, INCONSISTENT    held by one who recovers (or is about to mark)
//!   anything else                        corrupt: a punched hole reads as zero
//! ```
//!
//! HELD says nothing that the owner does not, except in the low half, which is what sleepers compare: row 0 and an unknown
//! thread would look free there.
//!
//! | state                | lock                         | recover              | owner unlocks  | owner dies, touched | owner dies, untouched |
//! |----------------------|------------------------------|----------------------|----------------|---------------------|-----------------------|
//! | free                 | held                         | held                 |                |                     |                       |
//! | free, inconsistent   | `Inconsistent`, unchanged    | held, inconsistent   |                |                     |                       |
//! | held                 | waits                        | waits                | free           | free, inconsistent  | held by the taker     |
//! | held, inconsistent   | waits                        | waits                | free, inconsistent, or free after `mark_consistent` | free, inconsistent | free, inconsistent |
//!
//! # Steps
//!
//! **1** lock: one CAS free → me. **2** first mutable access: `touched = me`. **3** the data is written. **4** unlock:
//! `touched = 0`, and look at `crowd`. Quiet: **5a** store owner = free, **6a** look at `crowd` again; still quiet: done, else
//! a fence and 6b. Crowded: **5b** exchange owner → free, **6b** look at `crowd`; somebody whom nobody is waking: **7** WAKING,
//! wake one; there was none: take WAKING away, and look at the owner once more. A holder that met nobody for `CALM` unlocks in a
//! row turns the lock quiet before 5b.
//! Waiting: **8** spin, **9** register in `crowd`, which becomes crowded; if it was quiet, **9a** interrupt all, **10** read the
//! owner again, **11** sleep on its low half, at most one re-check interval, **12** leave; on expiry ask about the owner, **13**
//! dead: one CAS dead → me, with INCONSISTENT if it had touched the data; then **14** write cause and culprit, **15** exchange
//! owner → free, inconsistent, **16** wake all. Recovery: lock as above, ignoring the mark; **17** repair the data, **18** clear
//! `touched` and `cause`, **19** owner → me without the mark.
//!
//! # Two ways to unlock
//!
//! A store costs nothing, but it may be on its way while the look of step 6a is done already: who registers in between sees a
//! held lock, and is not seen. An exchange is a full barrier and costs as much as locking. So the barrier is paid by whoever
//! sleeps: one call that interrupts every running thread of all members, and strikes each of them before its store (whose look
//! then finds the sleeper), or after it (then the sleeper finds the lock free). Since that is dear, it is paid once per crowd:
//! the word is CROWDED from then on, unlocks are exchanges, and sleepers need no barrier of others, until nobody came for a
//! while. CROWDED and the count are one word, so nobody turns the lock quiet while a sleeper relies on the opposite.
//!
//! The second sleeper of a crowd may register while the first is still in 9a, and sleep without having seen an unlock that is
//! on its way. The first one answers for it: after its barrier it finds the lock free, or held by somebody whose unlock will
//! look after the barrier, and each finds the second one in the word.
//!
//! A process that cannot be interrupted (an old kernel, a filter of system calls) always unlocks by exchange. One that cannot
//! interrupt makes the lock crowded for ever before it sleeps; only that one sleep may end by its re-check instead of a wake.
//!
//! # Happens before
//!
//! | label      | release side                                    | acquire side                                                   |
//! |------------|-------------------------------------------------|----------------------------------------------------------------|
//! | [lock/L1]  | step 5a, store; 5b or 15, exchange              | step 1 or 13, CAS: the next holder sees the data               |
//! | [lock/L4]  | step 1 or 13, CAS: whoever reads the owner      | the look before 13, Acquire: also sees that owner's member row |
//! | [lock/L2]  | step 5b SeqCst, then 6b SeqCst                  | step 9 SeqCst, then 10 SeqCst: one of the two sees the other   |
//! | [lock/L6]  | step 5a, `interruptible`, 6a                    | step 9, 9a `interrupt_all`, 10: one of the two sees the other  |
//! | [lock/L5]  | step 5b or the fence, then the look at WAKING   | WAKING taken away in 7 or 12, then the owner: one sees the other |
//! | [lock/L3]  | step 14 before 15                               | Acquire load of the owner, then the cause                      |
//!
//! A dead owner's stores are visible to whoever has the verdict: the verdict comes through the kernel after its teardown.
//!
//! # Death at step n
//!
//! | dies after      | is left                                   | who repairs it                        | test                                        |
//! |-----------------|-------------------------------------------|---------------------------------------|---------------------------------------------|
//! | 1               | held, untouched                           | the next locker takes over, silently  | `killed_before_touching_poisons_nobody`     |
//! | 2, 3            | held, touched                             | the next locker marks; `recover`      | `killed_while_writing_is_told`              |
//! | 4               | held, untouched, data complete            | as after 1                            | `crashpoints` value.lock                    |
//! | 5, 6            | free; sleepers not woken                  | their re-check, at most 50 ms         | `crashpoints` value.lock                    |
//! | 7               | free, WAKING; sleepers not woken          | their re-check; leaving takes WAKING away | `crashpoints` value.lock                |
//! | 9               | crowded without a barrier: an unlock on its way may miss who comes now | their re-check | `crashpoints` value.lock              |
//! | 9a, 10, 11      | a registration too many                   | `purge` at the next take-over         | `Crowd`                                   |
//! | 11, when woken  | WAKING: the others are not woken          | their re-check; leaving takes WAKING away | `a_woken_sleeper_that_dies_delays_the_others` |
//! | 13, 14          | held by the dead taker, inconsistent      | the next locker repeats 13            | `a_taker_that_dies_leaves_the_mark`         |
//! | 15              | free, inconsistent; sleepers not woken    | their re-check                        | `crashpoints` value.recover                 |
//! | 17, 18          | held, inconsistent                        | the next locker takes over the mark   | `killed_while_recovering_leaves_the_mark`   |
//!
//! # ABA
//!
//! The take-over CAS compares generation, row and thread. The same value can only come back if the owner it names locks
//! again, which the dead do not. A sleeper compares the low half only: it may sleep on although another generation of the
//! same row and thread holds the lock, for at most one re-check interval, and nothing else depends on it.
//!
//! # Not promised
//!
//! No fairness beyond the kernel's wake order; a holder that is stopped blocks the others as long as it is stopped.
//!
//! Sources: Drepper, "Futexes are tricky" (2011); the truth table follows parking_lot's habit; the take-over is ours.

use super::crowd::Crowd;
use super::{Backoff, Census, Owner, Pause, Slept, Verdict, met_for_long};
use crate::deadline::now_ns;
use crate::shim::{self, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Futex64, Ordering, Woken};
use crate::{Corrupt, Deadline, MemberError};
use std::fmt;

const VALID: u64 = 0b001;
const INCONSISTENT: u64 = 0b010;
const HELD: u64 = 0b100;
const FREE: u64 = VALID;

const DIED: u32 = 1;
const PANICKED: u32 = 2;
const NAME_BYTES: usize = 24;

/// After how many unlocks in a row that met nobody a crowded lock becomes quiet. An exchange costs some nanoseconds more than
/// a store, turning back a microsecond or two, once per crowd.
const CALM: u16 = if cfg!(ipc_loom) { 0 } else { 256 };

/// The lock word and what belongs to it; a line of its own.
#[repr(C, align(64))]
pub struct LockLine {
    owner: Futex64,
    touched: AtomicU64,
    crowd: Crowd,
    cause: AtomicU32,
    waited_since: AtomicU64,
    culprit_pid: AtomicU32,
    culprit_len: AtomicU16,
    calm: AtomicU16,
    culprit: [AtomicU8; NAME_BYTES],
}

#[cfg(not(ipc_loom))]
const _: () = assert!(size_of::<LockLine>() == 64);

#[cfg(not(ipc_loom))]
crate::record! { "lock line", LockLine {
    owner: u64,
    touched: u64,
    crowd: u32,
    cause: u32,
    waited_since: u64,
    culprit_pid: u32,
    culprit_len: u16,
    calm: u16,
    culprit: [u8; 24],
} }

/// Why a lock was not given.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// A holder left the data half-written. The lock is not held; every attempt gets this until `recover` has succeeded.
    #[error("{cause}; the data may be half-written: call `recover`")]
    Inconsistent {
        /// Who left it so.
        cause: Cause,
    },
    /// `try_lock`: somebody holds it.
    #[error("somebody else holds the lock")]
    WouldBlock,
    /// The time passed while somebody else held it.
    #[error("the lock was not free in time")]
    Timeout,
    /// The calling thread holds it already and would wait for itself for ever.
    #[error("this thread holds the lock already; drop its guard first")]
    WouldDeadlock,
    /// The lock word holds a value that no member wrote.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// This process is not a member of the segment and could not become one (first use after a fork).
    #[error(transparent)]
    Member(#[from] MemberError),
}

/// Who left data inconsistent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The process died holding the lock, after it had begun to write.
    OwnerDied {
        /// Its pid in its own PID namespace; 0 if its row has been reused since.
        pid: u32,
        /// Its name, at most 24 bytes.
        name: String,
    },
    /// A thread of it panicked while it held the lock, after it had begun to write.
    Panicked {
        /// Its pid in its own PID namespace.
        pid: u32,
        /// Its name, at most 24 bytes.
        name: String,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pid, name, what) = match self {
            Self::OwnerDied { pid, name } => (pid, name, "died holding the lock"),
            Self::Panicked { pid, name } => (pid, name, "panicked holding the lock"),
        };
        if *pid == 0 { write!(f, "a process {what}") } else { write!(f, "process {pid} ({name}) {what}") }
    }
}

/// Whether an acquirer minds the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Inconsistent data is an error.
    Lock,
    /// Inconsistent data is what it came for.
    Recover,
}

/// A lock just acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acquired {
    /// The caller as it stands in the word.
    pub me: Owner,
    /// Whether the mark is set; only with [`Entry::Recover`].
    pub inconsistent: bool,
}

/// What an owner word says, see the table at the head of this file.
#[cfg(not(ipc_loom))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    Free { inconsistent: bool },
    Held { owner: Owner, inconsistent: bool, touched: bool },
    Corrupt { word: u64 },
}

impl LockLine {
    /// A free lock over consistent data.
    pub fn new() -> Self {
        Self {
            owner: Futex64::new(FREE),
            touched: AtomicU64::new(0),
            crowd: Crowd::new(),
            cause: AtomicU32::new(0),
            waited_since: AtomicU64::new(0),
            culprit_pid: AtomicU32::new(0),
            culprit_len: AtomicU16::new(0),
            calm: AtomicU16::new(0),
            culprit: std::array::from_fn(|_| AtomicU8::new(0)),
        }
    }

    /// Makes a free lock over consistent data of a line of zero bytes, in place.
    pub fn init(&self) {
        // ORDERING: Relaxed: whoever publishes the memory around it publishes this.
        self.owner.store(FREE, Ordering::Relaxed);
    }

    /// Locks: one CAS if the lock is free, else waits until `deadline`.
    ///
    /// # Blocking
    /// Spins for 2–3 µs, then sleeps.
    ///
    /// # Process death
    /// A holder that died without touching the data is replaced within one re-check interval, at most 50 ms. If it had begun
    /// to write, everybody gets [`LockError::Inconsistent`] until [`Entry::Recover`] is followed by
    /// [`mark_consistent`](Self::mark_consistent).
    #[inline(always)]
    pub fn acquire(&self, census: &impl Census, entry: Entry, deadline: Deadline) -> Result<Acquired, LockError> {
        if let Some(me) = self.acquire_free(census) {
            return Ok(Acquired { me, inconsistent: false });
        }
        // Taken apart and put together, so that what is acquired at once stays in registers.
        match self.acquire_slow(census, entry, deadline) {
            Ok(acquired) => Ok(acquired),
            Err(error) => Err(error),
        }
    }

    /// Locks if that is possible at once. [`LockError::WouldBlock`] also if the caller itself holds it.
    ///
    /// # Process death
    /// A poller that meets the same holder for over a millisecond asks whether it lives, and takes over from the dead.
    #[inline(always)]
    pub fn try_acquire(&self, census: &impl Census) -> Result<Acquired, LockError> {
        if let Some(me) = self.acquire_free(census) {
            return Ok(Acquired { me, inconsistent: false });
        }
        match self.try_acquire_slow(census) {
            Ok(acquired) => Ok(acquired),
            Err(error) => Err(error),
        }
    }

    /// The holder is about to write to the data: from now on its death is told.
    ///
    /// # Safety
    /// The caller holds this lock, as [`acquire`](Self::acquire) told it, and `me` is the owner it was told.
    #[inline]
    pub unsafe fn touch(&self, me: Owner) {
        // 2. Program order is enough: see `program_order`.
        self.touched.store(me.word(), Ordering::Relaxed);
        shim::program_order();
    }

    /// Unlocks consistent data.
    ///
    /// # Safety
    /// The caller holds this lock, as [`acquire`](Self::acquire) told it, and has no reference to the data any more.
    #[inline]
    pub unsafe fn release(&self) {
        // SAFETY: handed on.
        unsafe { self.untouch() };
        // SAFETY: handed on.
        unsafe { self.release_untouched() };
    }

    /// The data is whole again: from now on the holder's death is not told.
    ///
    /// # Safety
    /// As [`release`](Self::release).
    #[inline]
    pub(super) unsafe fn untouch(&self) {
        shim::program_order();
        // 4.
        self.touched.store(0, Ordering::Relaxed);
    }

    /// Unlocks consistent data that is not touched, or not any more.
    ///
    /// # Safety
    /// As [`release`](Self::release).
    #[inline]
    pub(super) unsafe fn release_untouched(&self) {
        self.release_as(FREE, 1);
    }

    /// Unlocks data that the holder had not touched, or did not restore: the mark stays as it was.
    ///
    /// # Safety
    /// The caller holds this lock, as [`acquire`](Self::acquire) told it, and has no reference to the data any more.
    pub unsafe fn release_unchanged(&self, inconsistent: bool) {
        if inconsistent { self.release_as(FREE | INCONSISTENT, u32::MAX) } else { self.release_as(FREE, 1) }
    }

    /// Unlocks data that a panic left half-written: nobody gets it before a recovery. `pid` and `name` are the caller's.
    ///
    /// # Safety
    /// The caller holds this lock, as [`acquire`](Self::acquire) told it, and has no reference to the data any more.
    #[cold]
    pub unsafe fn release_panicked(&self, pid: u32, name: &str) {
        // 14.
        self.write_cause(PANICKED, pid, name);
        self.release_as(FREE | INCONSISTENT, u32::MAX);
    }

    /// After a recovery: the data is good again. The lock stays held.
    ///
    /// # Safety
    /// The caller holds this lock, as [`acquire`](Self::acquire) told it, and `me` is the owner it was told.
    pub unsafe fn mark_consistent(&self, me: Owner) {
        shim::program_order();
        // 18. Before 19: a death in between leaves the mark.
        self.touched.store(0, Ordering::Relaxed);
        self.cause.store(0, Ordering::Relaxed);
        shim::program_order();
        // 19. ORDERING: Relaxed: only the holder writes a held word; the next holder is ordered by the unlock.
        self.owner.store(held_by(me), Ordering::Relaxed);
    }

    /// Who holds it, if anybody; a snapshot.
    pub fn holder(&self) -> Option<Owner> {
        let owner = Owner::from_word(self.owner.load(Ordering::Relaxed));
        owner.is_somebody().then_some(owner)
    }

    /// Whether the data is marked inconsistent; a snapshot.
    pub fn is_inconsistent(&self) -> bool {
        self.owner.load(Ordering::Relaxed) & INCONSISTENT != 0
    }

    /// The owner word as it is; for inspection of a private copy.
    #[cfg(not(ipc_loom))]
    pub(crate) fn word(&self) -> u64 {
        self.owner.load(Ordering::Relaxed)
    }

    /// What the owner word says; for inspection of a private copy.
    #[cfg(not(ipc_loom))]
    pub(crate) fn decode(&self) -> Decoded {
        let word = self.word();
        let inconsistent = word & INCONSISTENT != 0;
        if is_free(word) {
            return Decoded::Free { inconsistent };
        }
        match valid_owner(word) {
            Ok(owner) => {
                let touched = Owner::from_word(self.touched.load(Ordering::Relaxed)).is_somebody();
                Decoded::Held { owner, inconsistent, touched }
            }
            Err(Corrupt { found, .. }) => Decoded::Corrupt { word: found },
        }
    }

    /// Who is recorded as the one that left the data inconsistent; a number that is no cause, else.
    #[cfg(not(ipc_loom))]
    pub(crate) fn mark(&self) -> Result<Option<Cause>, u32> {
        match self.cause.load(Ordering::Relaxed) {
            0 => Ok(None),
            DIED | PANICKED => Ok(Some(self.cause_now())),
            other => Err(other),
        }
    }

    /// How many are registered as sleeping, the dead included.
    #[cfg(not(ipc_loom))]
    pub(crate) fn sleepers(&self) -> u32 {
        self.crowd.count()
    }

    /// Since when somebody sleeps on it, in nanoseconds of `CLOCK_MONOTONIC`; `None` if nobody does.
    pub fn waited_since_ns(&self) -> Option<u64> {
        (self.crowd.count() != 0).then(|| self.waited_since.load(Ordering::Relaxed))
    }

    /// How many are registered as sleeping on it, the dead included.
    pub(crate) fn waiting(&self) -> u32 {
        self.crowd.count()
    }

    /// Step 1, if the lock is free and the caller a member already.
    #[inline(always)]
    fn acquire_free(&self, census: &impl Census) -> Option<Owner> {
        let me = census.me().ok()?;
        // 1. ORDERING: AcqRel [lock/L1], [lock/L4]: pairs with the store or exchange of the last holder.
        self.owner.compare_exchange(FREE, held_by(me), Ordering::AcqRel, Ordering::Relaxed).ok().map(|_| me)
    }

    #[inline]
    fn release_as(&self, free: u64, wake: u32) {
        let stored = shim::are_interrupted() && self.crowd.glance().is_quiet();
        if stored {
            // 5a. ORDERING: Release [lock/L1] publishes the data.
            self.owner.store(free, Ordering::Release);
            // [lock/L6]: who registers and then finds the lock still held has interrupted us before this look, or is seen by it.
            shim::interruptible();
            // 6a.
            if self.crowd.glance().is_quiet() {
                return;
            }
        }
        self.release_crowded(free, wake, stored);
    }

    /// The lock is crowded; if `stored`, it has become so since the caller looked, and has been given up already.
    #[cold]
    #[inline(never)]
    fn release_crowded(&self, free: u64, wake: u32, stored: bool) {
        if stored {
            // ORDERING: SeqCst [lock/L2], [lock/L5]: the store, which may be on its way, before the look at `crowd`: the
            // sleepers of a crowd wait for no barrier.
            shim::fence(Ordering::SeqCst);
        } else {
            self.grow_calm();
            // 5b. ORDERING: SeqCst [lock/L1] publishes the data; [lock/L2], [lock/L5] before the look at `crowd`.
            self.owner.swap(free, Ordering::SeqCst);
        }
        // 6b.
        if self.crowd.look().is_anybody() {
            if wake == 1 { self.wake_one() } else { self.wake_all() }
        }
    }

    /// Still holding: counts the unlocks that meet nobody, and turns the lock quiet after `CALM` of them.
    fn grow_calm(&self) {
        let calm = self.calm.load(Ordering::Relaxed);
        if self.crowd.glance().is_anybody() {
            self.calm.store(0, Ordering::Relaxed);
        } else if calm < CALM {
            self.calm.store(calm + 1, Ordering::Relaxed);
        } else {
            self.calm.store(0, Ordering::Relaxed);
            self.crowd.calm_down();
        }
    }

    /// Wakes one sleeper, unless somebody is being woken already.
    fn wake_one(&self) {
        // 7.
        if self.crowd.begin_wake() && self.owner.wake(1) == 0 {
            self.crowd.end_wake();
            // Who unlocked while WAKING stood has left the waking to us, and a sleeper may have lain down since.
            // ORDERING: SeqCst [lock/L5].
            if is_free(self.owner.load(Ordering::SeqCst)) {
                self.owner.wake(1);
            }
        }
    }

    fn wake_all(&self) {
        self.owner.wake(u32::MAX);
    }

    #[cold]
    #[inline(never)]
    fn acquire_slow(&self, census: &impl Census, entry: Entry, deadline: Deadline) -> Result<Acquired, LockError> {
        let me = census.me()?;
        let mut backoff = Backoff::new();
        let mut pause = Pause::new();
        loop {
            // ORDERING: Acquire [lock/L4]: the member row of the owner is at least as new.
            let seen = self.owner.load(Ordering::Acquire);
            if is_free(seen) {
                if let Some(done) = self.enter_free(me, seen, entry) {
                    return done;
                }
            } else {
                let holder = valid_owner(seen)?;
                if holder == me && me.thread() != 0 {
                    return Err(LockError::WouldDeadlock);
                }
                if deadline != Deadline::PASSED && backoff.spin() {
                    continue;
                }
                let slept = self.sleep(seen, &mut pause, deadline);
                if slept == Slept::Woken {
                    backoff = Backoff::new();
                }
                if slept != Slept::Woken
                    && self.owner.load(Ordering::Relaxed) == seen
                    && census.verdict(holder) == Verdict::Dead
                    && let Some(done) = self.take_over(census, me, seen, entry)
                {
                    return done;
                }
            }
            // Whoever won the race in between, or scribbles: the deadline holds.
            if deadline.has_passed() {
                return self.last_try(me, entry);
            }
        }
    }

    /// The deadline has passed; but who was woken at the same moment must not let the wake go to waste.
    fn last_try(&self, me: Owner, entry: Entry) -> Result<Acquired, LockError> {
        let seen = self.owner.load(Ordering::Relaxed);
        let done = if is_free(seen) { self.enter_free(me, seen, entry) } else { None };
        done.unwrap_or(Err(LockError::Timeout))
    }

    /// Locks a free word; `None` if somebody was faster.
    fn enter_free(&self, me: Owner, seen: u64, entry: Entry) -> Option<Result<Acquired, LockError>> {
        let marked = seen & INCONSISTENT;
        if marked != 0 && entry == Entry::Lock {
            return self.read_cause(seen).map(|cause| Err(LockError::Inconsistent { cause }));
        }
        // 1. ORDERING: AcqRel [lock/L1], [lock/L4].
        self.owner
            .compare_exchange(seen, held_by(me) | marked, Ordering::AcqRel, Ordering::Relaxed)
            .ok()
            .map(|_| Ok(Acquired { me, inconsistent: marked != 0 }))
    }

    /// Replaces a dead holder; `None` if somebody was faster.
    fn take_over(
        &self,
        census: &impl Census,
        me: Owner,
        seen: u64,
        entry: Entry,
    ) -> Option<Result<Acquired, LockError>> {
        // The dead write no more, so this cannot change before the CAS below succeeds.
        let touched = Owner::from_word(self.touched.load(Ordering::Relaxed));
        let marked = if touched.is_somebody() { INCONSISTENT } else { seen & INCONSISTENT };
        // 13. ORDERING: AcqRel [lock/L1], [lock/L4]: the dead holder's stores, ordered by the verdict.
        self.owner.compare_exchange(seen, held_by(me) | marked, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        self.crowd.purge();
        if marked == 0 {
            // The living among those just forgotten register again.
            self.wake_all();
            return Some(Ok(Acquired { me, inconsistent: false }));
        }
        // 14. The first cause is the one that counts: a recoverer that died adds nothing.
        if self.cause.load(Ordering::Relaxed) == 0 {
            let (pid, name) = census.describe(if touched.is_somebody() { touched } else { Owner::from_word(seen) });
            self.write_cause(DIED, pid, &name);
        }
        if entry == Entry::Recover {
            return Some(Ok(Acquired { me, inconsistent: true }));
        }
        // 15., 16.
        let cause = self.cause_now();
        self.owner.swap(FREE | INCONSISTENT, Ordering::SeqCst);
        self.wake_all();
        Some(Err(LockError::Inconsistent { cause }))
    }

    #[cold]
    #[inline(never)]
    fn try_acquire_slow(&self, census: &impl Census) -> Result<Acquired, LockError> {
        let me = census.me()?;
        // ORDERING: Acquire [lock/L4]: the member row of the owner is at least as new.
        let seen = self.owner.load(Ordering::Acquire);
        if is_free(seen) {
            return self.enter_free(me, seen, Entry::Lock).unwrap_or(Err(LockError::WouldBlock));
        }
        let holder = valid_owner(seen)?;
        let dead = met_for_long(self, seen) && census.verdict(holder) == Verdict::Dead;
        let done = if dead { self.take_over(census, me, seen, Entry::Lock) } else { None };
        done.unwrap_or(Err(LockError::WouldBlock))
    }

    /// Steps 9 to 12.
    fn sleep(&self, seen: u64, pause: &mut Pause, deadline: Deadline) -> Slept {
        match self.doze(seen, || deadline.min(pause.due())) {
            None => Slept::Woken,
            Some(_) => pause.ended(deadline),
        }
    }

    /// Sleeps until woken or `until()`; `None` if the owner was another one before.
    fn doze(&self, seen: u64, until: impl FnOnce() -> Deadline) -> Option<Woken> {
        let seat = self.crowd.register();
        if seat.first {
            self.waited_since.store(now_ns(), Ordering::Relaxed);
        }
        // 9a. [lock/L6]: whoever unlocks by a store has been seen by what follows, or will see the registration.
        if seat.turned && !shim::interrupt_all() {
            self.crowd.crowd_for_ever();
        }
        // 10. ORDERING: SeqCst [lock/L2]: not before the registration. 11.
        let same = self.owner.load(Ordering::SeqCst) == seen;
        let slept = same.then(|| self.owner.wait(seen, until()));
        // 12.
        self.crowd.leave(seat);
        slept
    }

    fn write_cause(&self, cause: u32, pid: u32, name: &str) {
        let name = &name.as_bytes()[..name.len().min(NAME_BYTES)];
        self.culprit_pid.store(pid, Ordering::Relaxed);
        self.culprit_len.store(name.len() as u16, Ordering::Relaxed);
        for (byte, &value) in self.culprit.iter().zip(name) {
            byte.store(value, Ordering::Relaxed);
        }
        self.cause.store(cause, Ordering::Relaxed);
    }

    /// The cause that belongs to the word `seen`; `None` if the word changed meanwhile.
    fn read_cause(&self, seen: u64) -> Option<Cause> {
        // ORDERING: Acquire [lock/L3]: the cause was written before the word was.
        let before = self.owner.load(Ordering::Acquire);
        let cause = self.cause_now();
        shim::fence(Ordering::Acquire);
        (before == seen && self.owner.load(Ordering::Relaxed) == seen).then_some(cause)
    }

    fn cause_now(&self) -> Cause {
        let len = usize::from(self.culprit_len.load(Ordering::Relaxed)).min(NAME_BYTES);
        let bytes: Vec<u8> = self.culprit[..len].iter().map(|b| b.load(Ordering::Relaxed)).collect();
        let (pid, name) = (self.culprit_pid.load(Ordering::Relaxed), String::from_utf8_lossy(&bytes).into_owned());
        match self.cause.load(Ordering::Relaxed) {
            PANICKED => Cause::Panicked { pid, name },
            _ => Cause::OwnerDied { pid, name },
        }
    }
}

impl Default for LockLine {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LockLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockLine")
            .field("holder", &self.holder())
            .field("inconsistent", &self.is_inconsistent())
            .field("waiters", &self.crowd.count())
            .finish()
    }
}

fn held_by(me: Owner) -> u64 {
    me.word() | VALID | HELD
}

/// Nobody holds it, whether or not the data is marked.
fn is_free(word: u64) -> bool {
    word & !INCONSISTENT == FREE
}

fn valid_owner(word: u64) -> Result<Owner, Corrupt> {
    let owner = Owner::from_word(word);
    if word & (VALID | HELD) == VALID | HELD && owner.is_somebody() {
        Ok(owner)
    } else {
        Err(Corrupt { what: "lock word", found: word })
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;
    use std::borrow::Cow;

    /// A member that takes everybody for alive.
    struct Trusting(u16);

    impl Census for Trusting {
        type Repair = ();

        fn me(&self) -> Result<Owner, MemberError> {
            Ok(Owner::new(1, self.0, 1))
        }

        fn verdict(&self, _: Owner) -> Verdict {
            Verdict::Alive
        }

        fn begin_repair(&self, _: Owner) -> Option<()> {
            None
        }

        fn describe(&self, _: Owner) -> (u32, Cow<'static, str>) {
            (0, "".into())
        }
    }

    fn hand_over(line: &LockLine) {
        let before = line.crowd.count();
        line.acquire(&Trusting(1), Entry::Lock, Deadline::NEVER).unwrap();
        std::thread::scope(|s| {
            let next = s.spawn(|| {
                line.acquire(&Trusting(2), Entry::Lock, Deadline::NEVER).unwrap();
                // SAFETY: acquired above.
                unsafe { line.release() };
            });
            while line.crowd.count() == before {
                std::thread::yield_now();
            }
            // SAFETY: acquired above.
            unsafe { line.release() };
            next.join().unwrap();
        });
    }

    #[test]
    fn a_crowded_lock_becomes_quiet_when_nobody_comes() {
        let line = LockLine::new();
        hand_over(&line);
        assert!(!line.crowd.glance().is_quiet());
        for _ in 0..=CALM {
            line.acquire(&Trusting(1), Entry::Lock, Deadline::NEVER).unwrap();
            // SAFETY: acquired above.
            unsafe { line.release() };
        }
        assert!(line.crowd.glance().is_quiet());
    }

    #[test]
    fn a_woken_sleeper_that_dies_delays_the_others() {
        let line = LockLine::new();
        line.crowd.register();
        assert!(line.crowd.begin_wake());
        hand_over(&line);
        assert!(line.crowd.begin_wake(), "who came back by its re-check has taken WAKING away");
    }

    /// Workers that never spin, on a lock that becomes quiet at every chance; how often they slept. No sleeper looks by itself
    /// for a minute: a wake that is lost is a hang, and told.
    fn storm(sleeps: u64) -> u64 {
        crate::sys::membarrier::register();
        let (line, slept) = (LockLine::new(), AtomicU64::new(0));
        let line = &line;
        std::thread::scope(|s| {
            for number in 1..=4 {
                let slept = &slept;
                s.spawn(move || {
                    let me = held_by(Owner::new(1, number, 1));
                    loop {
                        match line.owner.compare_exchange(FREE, me, Ordering::AcqRel, Ordering::Relaxed) {
                            Ok(_) => {
                                // The next unlock that finds nobody turns the lock quiet.
                                line.calm.store(CALM, Ordering::Relaxed);
                                if slept.load(Ordering::Relaxed) % 7 < 3 {
                                    std::thread::yield_now();
                                }
                                line.release_as(FREE, 1);
                                // Only here: who leaves when it has just been woken takes the others' wake along.
                                if slept.load(Ordering::Relaxed) >= sleeps {
                                    break;
                                }
                            }
                            Err(seen) => {
                                let minute = || Deadline::after(std::time::Duration::from_secs(60));
                                let woken = line.doze(seen, minute);
                                assert!(woken != Some(Woken::TimedOut), "a wake was lost: {line:?}");
                                slept.fetch_add(woken.is_some().into(), Ordering::Relaxed);
                            }
                        }
                    }
                });
            }
        });
        slept.into_inner()
    }

    #[test]
    fn sleepers_are_woken() {
        assert!(storm(2_000) >= 2_000);
    }

    /// `cargo test --release -p ipc-core --lib -- --ignored a_million_sleeps`
    #[test]
    #[ignore = "takes half a minute"]
    fn a_million_sleeps_and_no_lost_wake() {
        assert!(storm(1_000_000) >= 1_000_000);
    }
}
