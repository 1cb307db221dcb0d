//! The only names of atomics, cells, spin hints and futex calls that the algorithms use.
//!
//! A build with `--cfg ipc_loom` puts loom's types in their place, so that the very code that runs on shared memory is
//! explored by the model checker on the heap. Loom's atomics are larger than the real ones and must be constructed, so an
//! algorithm never assumes that zero bytes are a valid state and computes sizes with `size_of`.
//!
//! A [`Futex`] is a 32-bit word that can be slept on, a [`Futex64`] a 64-bit word of which the *low half* can. Both are
//! shared between processes (never `FUTEX_PRIVATE_FLAG`).

use crate::Deadline;
use std::ops::Deref;

#[cfg(not(ipc_loom))]
pub use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

#[cfg(ipc_loom)]
pub use loom::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

/// Why a futex sleep ended. None of these promises that the word changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Somebody called wake, the word did not hold the expected value, or a signal arrived.
    Maybe,
    /// The deadline passed.
    TimedOut,
}

/// One pause in a spin loop.
#[inline]
pub fn spin_hint() {
    #[cfg(not(ipc_loom))]
    std::hint::spin_loop();
    #[cfg(ipc_loom)]
    loom::thread::yield_now();
}

/// Gives the processor to somebody else once.
#[inline]
pub fn yield_now() {
    #[cfg(not(ipc_loom))]
    std::thread::yield_now();
    #[cfg(ipc_loom)]
    loom::thread::yield_now();
}

/// The deadline of a sleeper's own re-check, `interval` from now.
#[inline]
pub fn recheck(interval: std::time::Duration) -> Deadline {
    #[cfg(not(ipc_loom))]
    return Deadline::after(interval);
    #[cfg(ipc_loom)]
    return model::recheck(interval);
}

#[cfg(ipc_loom)]
pub use model::{set_interrupts, set_rechecks};

/// Stands between a SeqCst read-modify-write and a SeqCst load that must not come before it.
///
/// The language already says so (both are in the one total order), and so does every target: no instruction is emitted. The
/// model checker knows that order for fences only.
#[inline]
pub fn total_order() {
    #[cfg(ipc_loom)]
    fence(Ordering::SeqCst);
}

/// Orders this thread's accesses for a handler or a killer that stops it between two instructions; no cost at run time.
///
/// The stores of a thread retire in program order, and all stores that retired before a death are visible to whoever has
/// seen the death. So a store that must not be lost without an earlier one needs the *compiler* held back, nothing more.
#[inline]
pub fn program_order() {
    #[cfg(not(ipc_loom))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
}

/// The cheap half of a barrier that one thread executes for all: between a store and a load that must not come before it.
///
/// Only the compiler is held back. Whether the store is visible is the business of [`interrupt_all`], in those rare threads
/// that have to know.
#[inline]
pub fn interruptible() {
    #[cfg(not(ipc_loom))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(ipc_loom)]
    model::interruptible();
}

/// The dear half: a full barrier in this thread, and in every thread of all processes that [`are_interrupted`] while this
/// call lasts. Of a thread with [`interruptible`] between its store and its load, and the caller with this between its own, at
/// least one sees the other. False if the system would not.
pub fn interrupt_all() -> bool {
    #[cfg(not(ipc_loom))]
    return crate::sys::membarrier::interrupt_all();
    #[cfg(ipc_loom)]
    return model::interrupt_all();
}

/// Whether the threads of this process are interrupted by [`interrupt_all`].
#[inline]
pub fn are_interrupted() -> bool {
    #[cfg(not(ipc_loom))]
    return crate::sys::membarrier::is_registered();
    #[cfg(ipc_loom)]
    return model::are_interrupted();
}

/// A cell in shared memory whose content is guarded by a protocol.
///
/// The closures keep each access short and let loom watch it.
#[repr(transparent)]
#[derive(Debug)]
pub struct UnsafeCell<T: ?Sized>(Inner<T>);

#[cfg(not(ipc_loom))]
type Inner<T> = std::cell::UnsafeCell<T>;
#[cfg(ipc_loom)]
type Inner<T> = loom::cell::UnsafeCell<T>;

impl<T> UnsafeCell<T> {
    /// A cell that holds `value`.
    pub fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    /// Gives `f` a pointer to read through.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        #[cfg(not(ipc_loom))]
        return f(self.0.get());
        #[cfg(ipc_loom)]
        return self.0.with(f);
    }

    /// Gives `f` a pointer to write through.
    #[inline]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        #[cfg(not(ipc_loom))]
        return f(self.0.get());
        #[cfg(ipc_loom)]
        return self.0.with_mut(f);
    }
}

/// A 32-bit word that threads of any process can sleep on.
#[repr(C)]
#[derive(Debug)]
pub struct Futex {
    word: AtomicU32,
    #[cfg(ipc_loom)]
    model: model::Sleepers,
}

impl Futex {
    /// A word holding `value`.
    pub fn new(value: u32) -> Self {
        Self {
            word: AtomicU32::new(value),
            #[cfg(ipc_loom)]
            model: model::Sleepers::new(),
        }
    }

    /// Sleeps while the word holds `expected`, until a wake or `deadline`.
    #[inline]
    pub fn wait(&self, expected: u32, deadline: Deadline) -> Woken {
        #[cfg(not(ipc_loom))]
        return crate::sys::futex::wait(&self.word, expected, deadline);
        #[cfg(ipc_loom)]
        return self.model.wait(|| self.word.load(Ordering::SeqCst) == expected, deadline);
    }

    /// Wakes up to `n` sleepers; callable from a signal handler.
    #[inline]
    pub fn wake(&self, n: u32) {
        #[cfg(not(ipc_loom))]
        crate::sys::futex::wake(&self.word, n);
        #[cfg(ipc_loom)]
        self.model.wake(n);
    }
}

impl Deref for Futex {
    type Target = AtomicU32;
    #[inline]
    fn deref(&self) -> &AtomicU32 {
        &self.word
    }
}

/// A 64-bit word whose low half threads of any process can sleep on.
#[repr(C)]
#[derive(Debug)]
pub struct Futex64 {
    word: AtomicU64,
    #[cfg(ipc_loom)]
    model: model::Sleepers,
}

impl Futex64 {
    /// A word holding `value`.
    pub fn new(value: u64) -> Self {
        Self {
            word: AtomicU64::new(value),
            #[cfg(ipc_loom)]
            model: model::Sleepers::new(),
        }
    }

    /// Sleeps while the low half of the word equals the low half of `expected`, until a wake or `deadline`.
    #[inline]
    pub fn wait(&self, expected: u64, deadline: Deadline) -> Woken {
        #[cfg(not(ipc_loom))]
        return crate::sys::futex::wait(self.low_half(), expected as u32, deadline);
        #[cfg(ipc_loom)]
        return self.model.wait(|| self.word.load(Ordering::SeqCst) as u32 == expected as u32, deadline);
    }

    /// Wakes up to `n` sleepers, and says how many; callable from a signal handler.
    #[inline]
    pub fn wake(&self, n: u32) -> u32 {
        #[cfg(not(ipc_loom))]
        return crate::sys::futex::wake(self.low_half(), n);
        #[cfg(ipc_loom)]
        return self.model.wake(n);
    }

    /// The half the kernel compares. It is only handed to the futex call, never accessed from here.
    #[cfg(not(ipc_loom))]
    fn low_half(&self) -> &AtomicU32 {
        const { assert!(cfg!(target_endian = "little")) };
        // SAFETY: the first four bytes of a little-endian u64 are its low half, aligned to 8, alive as long as `self`,
        // and an AtomicU32 may alias an AtomicU64 that is not accessed through it.
        unsafe { &*self.word.as_ptr().cast::<AtomicU32>() }
    }
}

impl Deref for Futex64 {
    type Target = AtomicU64;
    #[inline]
    fn deref(&self) -> &AtomicU64 {
        &self.word
    }
}

/// A futex for the model checker: a mutex and a condition variable make "compare and sleep" one step, so that a lost wake
/// shows as a deadlock. A deadline other than `NEVER` stands for the bounded re-check and may expire at any time.
#[cfg(ipc_loom)]
mod model {
    use super::{Deadline, Woken};
    use loom::sync::atomic::{AtomicU32, Ordering, fence};
    use loom::sync::{Condvar, Mutex};
    use std::cell::Cell;

    thread_local! {
        /// The threads of a model are coroutines of one thread, and models of other threads have their own.
        static RECHECKS: Cell<bool> = const { Cell::new(false) };
        static INTERRUPTS: Cell<bool> = const { Cell::new(true) };
    }

    loom::lazy_static! {
        /// What callers of `interrupt_all` did before it, for those who are interrupted.
        static ref ISSUED: AtomicU32 = AtomicU32::new(0);
        /// What the interrupted did before, for callers of `interrupt_all`.
        static ref SUFFERED: AtomicU32 = AtomicU32::new(0);
    }

    /// `membarrier`, as the moments at which it can strike.
    ///
    /// In truth the barrier strikes a thread anywhere during the call; a thread that is struck sees what the caller did before,
    /// and the caller returns with a view of what that thread did before. Here it strikes a thread at its next
    /// `interruptible`, and the caller does not wait for that: he is given less than in truth, never more. A SeqCst fence in
    /// both threads would be simpler, and would give the thread a barrier also against third parties who interrupt nobody: the
    /// very mistake that must not be hidden. So each half is one release-acquire edge in one direction: `SUFFERED` from those
    /// who passed already to the caller, `ISSUED` from the caller to those who pass later.
    pub(super) fn interruptible() {
        SUFFERED.fetch_add(1, Ordering::Release);
        ISSUED.fetch_add(0, Ordering::Acquire);
    }

    /// See [`interruptible`]; the caller's own barrier is a full one.
    pub(super) fn interrupt_all() -> bool {
        if are_interrupted() {
            fence(Ordering::SeqCst);
            ISSUED.fetch_add(1, Ordering::Release);
            SUFFERED.fetch_add(0, Ordering::Acquire);
            fence(Ordering::SeqCst);
        }
        are_interrupted()
    }

    pub(super) fn are_interrupted() -> bool {
        INTERRUPTS.get()
    }

    /// Whether the system of this model has `membarrier`. Called at the beginning, before there are other threads.
    pub fn set_interrupts(on: bool) {
        INTERRUPTS.set(on);
        // Created now, or whoever comes first would be seen by all who come later.
        ISSUED.load(Ordering::Relaxed);
        SUFFERED.load(Ordering::Relaxed);
    }

    /// Whether sleepers of this model wake up by themselves. Off, a lost wake is a deadlock that the checker reports; on, a
    /// sleeper gets its chance to repair what a stopped thread left.
    pub fn set_rechecks(on: bool) {
        RECHECKS.set(on);
    }

    pub(super) fn recheck(_: std::time::Duration) -> Deadline {
        if RECHECKS.get() { Deadline::PASSED } else { Deadline::NEVER }
    }

    pub struct Sleepers {
        /// How many are asleep.
        gate: Mutex<u32>,
        woken: Condvar,
    }

    impl std::fmt::Debug for Sleepers {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Sleepers")
        }
    }

    impl Sleepers {
        pub fn new() -> Self {
            Self { gate: Mutex::new(0), woken: Condvar::new() }
        }

        pub fn wait(&self, unchanged: impl Fn() -> bool, deadline: Deadline) -> Woken {
            let mut gate = self.gate.lock().unwrap();
            if !unchanged() {
                return Woken::Maybe;
            }
            if deadline != Deadline::NEVER {
                drop(gate);
                loom::thread::yield_now();
                return Woken::TimedOut;
            }
            *gate += 1;
            drop(self.woken.wait(gate).unwrap());
            Woken::Maybe
        }

        pub fn wake(&self, n: u32) -> u32 {
            let mut gate = self.gate.lock().unwrap();
            let woken = n.min(*gate);
            *gate -= woken;
            (0..woken).for_each(|_| self.woken.notify_one());
            woken
        }
    }
}
