//! `WaitWord`: an event count. Sleep until something may have changed; wake whoever sleeps.
//!
//! # Memory (one line of 64 bytes)
//!
//! | offset | type | name    | written by                                                  |
//! |--------|------|---------|-------------------------------------------------------------|
//! | 0      | u32  | event   | wakers: + 1 per notification; the futex                     |
//! | 4      | u32  | waiters | sleepers: `generation:16` in the high half, `count:16`      |
//! | 8      | 56 B | –       | nobody: zero                                                |
//!
//! Zero bytes are a word with nobody asleep: what lies in a new object needs no initialisation.
//!
//! # Steps
//!
//! Sleeper: **1** read `event` · **2** `waiters += 1` · **3** check the condition again · **4** sleep while `event` is what
//! step 1 read · **5** `waiters -= 1` if the generation is still that of step 2.
//! Waker: **a** make the condition true · **b** read `waiters`; nobody: done · **c** `event += 1` · **d** futex wake.
//!
//! # Happens before
//!
//! | label       | what                                                            | pairs with                                   |
//! |-------------|-----------------------------------------------------------------|----------------------------------------------|
//! | [wait/W1]   | step 2 is an RMW, SeqCst, before the check of step 3            | the SeqCst RMW or fence between a and b      |
//! | [wait/W2]   | step c, Release, before d                                       | step 1, Acquire                              |
//!
//! Either the waker sees the registration and wakes, or the sleeper's check sees the condition. This needs a full barrier
//! between a and b: callers of [`WaitWord::notify`] either make the condition true by a SeqCst read-modify-write, or call
//! [`WaitWord::notify_fenced`], which brings its own.
//!
//! # Death at step n
//!
//! | dies after | is left                         | who repairs it                                             | test                               |
//! |------------|---------------------------------|------------------------------------------------------------|------------------------------------|
//! | 2, 3, 4    | a count that nobody takes back  | wakers make one needless system call; `purge` by a repairer | `a_dead_sleeper_costs_a_wake_not_a_hang` |
//! | a, b, c    | sleepers that nobody wakes      | their own re-check: 1 ms, doubling to 50 ms                 | `crashpoints` (every operation that wakes) |
//!
//! # Wrap-around
//!
//! `event` wraps after 2^32 notifications: a sleeper is fooled only if exactly that many fall between its steps 1 and 4, and
//! then sleeps one re-check interval. For the count see [`Waiters`].
//!
//! Source: event counts (Reed and Kanodia, 1979); the futex form is folklore, the generation is ours.

use super::{Pad, Waiters};
use crate::Deadline;
use crate::shim::{self, Futex, Ordering, fence};
use std::time::Duration;

/// How long a sleeper sleeps before it looks at the state itself: the first time, and at most.
pub const RECHECK_FIRST: Duration = Duration::from_millis(1);
/// See [`RECHECK_FIRST`].
pub const RECHECK_MOST: Duration = Duration::from_millis(50);

/// An event count on a cache line of its own: the part every waiting operation is built from.
///
/// # Process death
/// A sleeper that is killed leaves its count behind, which costs wakers a system call until a repair calls
/// [`purge`](Self::purge). A waker that is killed before it woke anybody leaves sleepers to their re-check, at most 50 ms.
///
/// # Examples
/// ```
/// use ipc_core::raw::{WaitWord, Pause};
/// use ipc_core::Deadline;
/// use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
///
/// let (word, ready) = (WaitWord::new(), AtomicBool::new(false));
/// std::thread::scope(|s| {
///     s.spawn(|| { ready.swap(true, SeqCst); word.notify(1); });
///     let mut pause = Pause::new();
///     while !ready.load(SeqCst) {
///         word.sleep(&mut pause, Deadline::NEVER, || ready.load(SeqCst));
///     }
/// });
/// ```
#[repr(C, align(64))]
#[derive(Debug)]
pub struct WaitWord {
    event: Futex,
    waiters: Waiters,
    /// Said, so that a word written by value brings no bytes of the writer's stack along.
    rest: Pad<56>,
}

#[cfg(not(ipc_loom))]
const _: () = assert!(size_of::<WaitWord>() == 64);

#[cfg(not(ipc_loom))]
crate::record! { "wait word", WaitWord { event: u32, waiters: u32, rest: [u8; 56] } }

/// Why [`WaitWord::sleep`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slept {
    /// The condition held before falling asleep, or somebody woke us: look again.
    Woken,
    /// The re-check interval passed in silence: look at the state, and ask about the one member it waits for.
    Recheck,
    /// The caller's deadline passed.
    Deadline,
}

/// The growing re-check interval of one wait.
///
/// It keeps the point in time of the next re-check, not a length: however often a sleeper is woken for nothing, by signals
/// or by wakes meant for others, the re-check comes when it is due.
#[derive(Clone, Copy, Debug)]
pub struct Pause {
    interval: Duration,
    due: Option<Deadline>,
}

impl Pause {
    /// The first re-check is due [`RECHECK_FIRST`] after the first sleep begins.
    pub fn new() -> Self {
        Self { interval: RECHECK_FIRST, due: None }
    }

    /// The interval before the next re-check.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// When the next re-check is due.
    pub fn due(&mut self) -> Deadline {
        *self.due.get_or_insert_with(|| shim::recheck(self.interval))
    }

    /// The re-check is being made: the next one is due after twice the interval, up to [`RECHECK_MOST`].
    pub fn advance(&mut self) {
        *self = Self { interval: (self.interval * 2).min(RECHECK_MOST), due: None };
    }

    /// Starts over: what is waited for has changed.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Why a sleep until the earlier of `due` and `deadline` ended: by the clock, whatever it was that woke the sleeper.
    pub fn ended(&mut self, deadline: Deadline) -> Slept {
        if deadline.has_passed() {
            Slept::Deadline
        } else if self.due().has_passed() {
            self.advance();
            Slept::Recheck
        } else {
            Slept::Woken
        }
    }
}

impl Default for Pause {
    fn default() -> Self {
        Self::new()
    }
}

impl WaitWord {
    /// A word with nobody asleep.
    pub fn new() -> Self {
        Self { event: Futex::new(0), waiters: Waiters::new(), rest: Pad::new() }
    }

    /// Sleeps until notified, unless `ready()`; at most until `deadline`, and at most one re-check interval of `pause`.
    ///
    /// `ready` is called after registration: what it reads must be written by a SeqCst read-modify-write before the notifier
    /// looks for sleepers.
    #[cold]
    pub fn sleep(&self, pause: &mut Pause, deadline: Deadline, ready: impl FnOnce() -> bool) -> Slept {
        // 1. ORDERING: Acquire [wait/W2]: a later event value than this one means that the waker's step a is visible.
        let seen = self.event.load(Ordering::Acquire);
        // 2., 3.
        let registration = self.waiters.register();
        let slept = if ready() {
            Slept::Woken
        } else {
            // 4.
            self.event.wait(seen, deadline.min(pause.due()));
            pause.ended(deadline)
        };
        // 5.
        self.waiters.leave(registration);
        slept
    }

    /// Wakes up to `n` sleepers, if there are any: one load when nobody sleeps.
    ///
    /// The condition must have been made true by a SeqCst read-modify-write since; otherwise use
    /// [`notify_fenced`](Self::notify_fenced). Callable from a signal handler.
    #[inline]
    pub fn notify(&self, n: u32) {
        // b.
        if self.waiters.is_anybody() {
            self.wake(n);
        }
    }

    /// As [`notify`](Self::notify), for a condition made true by a plain store.
    #[inline]
    pub fn notify_fenced(&self, n: u32) {
        // ORDERING: SeqCst [wait/W1]: the caller's store is visible before `waiters` is read.
        fence(Ordering::SeqCst);
        self.notify(n);
    }

    /// Wakes up to `n` without asking whether anybody sleeps.
    #[cold]
    pub fn wake(&self, n: u32) {
        // c. ORDERING: Release [wait/W2]: whoever reads the new event value sees the condition.
        self.event.fetch_add(1, Ordering::Release);
        self.event.wake(n);
    }

    /// For a repairer: forgets the counts that the dead left, and wakes everybody to look again.
    pub fn purge(&self) {
        self.waiters.purge();
        self.wake(u32::MAX);
    }

    /// The registered sleepers, for waiting on several words at once.
    pub fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    /// The number of notifications so far, modulo 2^32, and the futex: for waiting on several words at once.
    pub fn event(&self) -> &Futex {
        &self.event
    }
}

impl Default for WaitWord {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_dead_sleeper_costs_a_wake_not_a_hang() {
        let word = WaitWord::new();
        word.waiters().register();
        word.notify(1);
        word.purge();
        assert!(!word.waiters().is_anybody());
    }

    #[test]
    fn the_interval_doubles_up_to_its_bound() {
        let mut pause = Pause::new();
        let steps: Vec<_> = std::iter::repeat_with(|| {
            let interval = pause.interval.as_millis();
            pause.advance();
            interval
        })
        .take(8)
        .collect();
        assert_eq!(steps, [1, 2, 4, 8, 16, 32, 50, 50]);
    }

    #[test]
    fn needless_wakes_do_not_put_the_recheck_off() {
        let mut pause = Pause::new();
        let due = pause.due();
        while pause.ended(Deadline::NEVER) == Slept::Woken {
            assert_eq!(pause.due(), due);
        }
        assert!(due.has_passed());
        assert!(pause.due() > due);
    }

    #[test]
    fn a_ready_condition_does_not_sleep() {
        let word = WaitWord::new();
        assert_eq!(word.sleep(&mut Pause::new(), Deadline::NEVER, || true), Slept::Woken);
        assert!(!word.waiters().is_anybody());
    }

    #[test]
    fn silence_is_a_recheck_and_the_deadline_a_deadline() {
        let word = WaitWord::new();
        assert_eq!(word.sleep(&mut Pause::new(), Deadline::NEVER, || false), Slept::Recheck);
        assert_eq!(word.sleep(&mut Pause::new(), Deadline::PASSED, || false), Slept::Deadline);
    }
}
