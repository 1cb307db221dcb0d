//! `RLock`: the re-entrant lock.
//!
//! # Memory
//!
//! | offset            | type     | name     | written by                                                      |
//! |-------------------|----------|----------|-----------------------------------------------------------------|
//! | 0                 | LockLine | line     | see [`LockLine`]                                                |
//! | 64                | u64      | thread   | the holder: its number in its process; 0: nobody                |
//! | 72                | u32      | depth    | the holder: guards alive; 0 while it recovers                   |
//! | 76                | u32      | panicked | the holder: 1 once a guard went in a panic after writing        |
//! | 80, aligned for T | T        | data     | the holder                                                      |
//!
//! # Whose lock it is
//!
//! The line names member and thread, but its thread tokens end at 8 191 and are 0 from then on: enough to find a deadlock by,
//! not to grant entry by. So the holder writes a number of its own, 64 bits, unique in its process and never used again, and
//! a thread is the holder if the line names its member *and* `thread` holds its number. Nobody else can make both true: the
//! number is written after the line is taken and cleared before it is given back, and a forked child, which inherits numbers,
//! is another member.
//!
//! # Steps
//!
//! **1** is it mine? then `depth + 1`; else **2** take the line; **3** `thread = my number`, `depth = 1`. **4** write: `touched =
//! me`, then the data. **5** a guard goes: `depth − 1`; the last one: **6** `thread = 0`, **7** give the line back.
//!
//! # Death at step n
//!
//! | dies after | is left                                  | who repairs it                                           | test |
//! |------------|------------------------------------------|----------------------------------------------------------|------|
//! | 1, 2, 3, 5 | the line of the dead, any depth          | the next locker takes over, and starts at depth 1        | `killed_at_depth_3_is_recovered_at_depth_0` |
//! | 4          | the same, touched                        | the same marks; `recover`                                | `killed_while_writing_is_told_until_recovered` |
//! | 6, 7       | as a [`LockLine`]                        | as there                                                 | `crashpoints` RLock::lock |
//!
//! `thread`, `depth` and `panicked` of the dead mean nothing: whoever takes the line next writes all three.

use ipc_core::raw::lock_line::Entry;
use ipc_core::raw::{Census, Holder, Kind, LockLine, Owner, Placed, PlainCell, State, View, fork_epoch};
use ipc_core::{Deadline, LockError, Plain, Schema};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The process-shared re-entrant lock: the thread that holds it may lock it again.
///
/// For code that locks and calls code that locks. Where you can, use a [`Lock`](crate::Lock): a lock that can be entered twice
/// cannot promise that its data is whole when you enter, since it may be your own caller who is half-way through.
///
/// **The data** is copied in and out ([`RLockGuard::get`], [`set`](RLockGuard::set), [`update`](RLockGuard::update)), as with
/// `std::cell::Cell`. Two guards of one thread are alive at once, so neither can give a `&mut`, and a `&` would change under
/// its reader when the other one writes; for the same reason a `ReentrantMutex` of parking_lot gives `&T` only, and its users
/// put a `RefCell` inside, which has no place in shared memory.
///
/// # Differences from `multiprocessing.RLock`
/// - Guards unlock, and only in the thread that locked: there is no `release()` too many, and none by another thread.
/// - [`depth`](Self::depth) tells the owner how often it has locked; other threads see 0.
/// - The holder's death is told; see below.
///
/// # Process death
/// A holder that is killed, at whatever depth, blocks nobody: the next one takes over within 100 ms and is at depth 1. If
/// the dead one had begun to write, everybody gets `Inconsistent` until [`recover`](Self::recover) has succeeded.
///
/// # Examples
/// ```
/// use ipc_sync::RLock;
/// let total = RLock::new(0u64)?;
/// let outer = total.lock()?;
/// outer.set(1);
/// {
///     let inner = total.lock()?;          // the same thread: at once
///     inner.update(|n| *n += 1);
///     assert_eq!(total.depth(), 2);
/// }
/// assert_eq!(outer.get(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A guard stays in its thread:
/// ```compile_fail,E0277
/// let lock = ipc_sync::RLock::new(0u64).unwrap();
/// let guard = lock.lock().unwrap();
/// std::thread::scope(|s| {
///     s.spawn(move || drop(guard));
/// });
/// ```
#[doc(alias = "ReentrantMutex")]
pub struct RLock<T: Plain = ()> {
    placed: Placed<RLockState<T>>,
}

/// An [`RLock`] in shared memory: a field of a `#[shared]` struct. At first it is free, and its data zero.
#[repr(C)]
pub struct RLockState<T: Plain = ()> {
    line: LockLine,
    thread: AtomicU64,
    depth: AtomicU32,
    panicked: AtomicU32,
    data: PlainCell<T>,
}

ipc_core::record! { "rlock of a u64", RLockState<u64> {
    line: LockLine,
    thread: u64,
    depth: u32,
    panicked: u32,
    data: u64,
    ..
} }

// SAFETY: 1. a line, atomics and a cell of a plain value. 2. the type of the data is all there is to tell. 3. not for all
// types: a segment refuses the rest.
unsafe impl<T: Plain> State for RLockState<T> {
    const KIND: Kind = Kind::RLOCK;
    const ELEMENT: Schema = T::SCHEMA;
    type Init = T;
    type Tail = ();
    type Handle = RLock<T>;

    fn init(new: View<'_, Self>, data: Option<&T>) {
        new.line.init();
        if let Some(&data) = data {
            // SAFETY: nobody else has it yet.
            unsafe { new.data.store(data) };
        }
    }

    fn handle(placed: Placed<Self>) -> RLock<T> {
        RLock { placed }
    }
}

ipc_core::handle!(RLock<T: Plain> of RLockState<T>, "a re-entrant lock over data"; new(data: T) => &data);

impl<T: Plain> RLock<T> {
    /// Locks, at once if this thread holds it already.
    ///
    /// # Blocking
    /// Waits for a holder that is another thread: spins for 2–3 µs, then sleeps.
    ///
    /// # Process death
    /// As for the [type](Self).
    ///
    /// # Errors
    /// `Inconsistent`; `WouldDeadlock` inside the closure of this thread's own [`recover`](Self::recover); `Corrupt` if a word
    /// of the lock is damaged, and after `u32::MAX` guards.
    #[inline]
    pub fn lock(&self) -> Result<RLockGuard<'_, T>, LockError> {
        self.lock_by(Deadline::NEVER)
    }

    /// Locks if that is possible at once; else `WouldBlock`.
    ///
    /// # Process death
    /// Who polls for over a millisecond and meets the same holder asks whether it lives, and takes over from the dead.
    pub fn try_lock(&self) -> Result<RLockGuard<'_, T>, LockError> {
        match self.enter_again()? {
            Some(guard) => Ok(guard),
            None => Ok(self.entered(self.placed.line.try_acquire(self.segment())?.me)),
        }
    }

    /// As [`lock`](Self::lock), giving up with `Timeout` after `timeout`.
    pub fn lock_timeout(&self, timeout: Duration) -> Result<RLockGuard<'_, T>, LockError> {
        self.lock_by(Deadline::after(timeout))
    }

    /// As [`lock`](Self::lock), giving up with `Timeout` at `deadline`.
    pub fn lock_deadline(&self, deadline: Instant) -> Result<RLockGuard<'_, T>, LockError> {
        self.lock_by(Deadline::at(deadline))
    }

    pub(crate) fn lock_by(&self, deadline: Deadline) -> Result<RLockGuard<'_, T>, LockError> {
        match self.enter_again()? {
            Some(guard) => Ok(guard),
            None => Ok(self.entered(self.placed.line.acquire(self.segment(), Entry::Lock, deadline)?.me)),
        }
    }

    /// Locks; if somebody died or panicked while writing, runs `repair` on a copy of what is left, puts it back and takes the
    /// mark away.
    ///
    /// On consistent data, and where this thread holds the lock already, `repair` does not run.
    ///
    /// # Process death
    /// If `repair` panics, or its process is killed inside, the mark stays, and the next one can try.
    pub fn recover(&self, repair: impl FnOnce(&mut T)) -> Result<RLockGuard<'_, T>, LockError> {
        if let Some(guard) = self.enter_again()? {
            return Ok(guard);
        }
        let acquired = self.placed.line.acquire(self.segment(), Entry::Recover, Deadline::NEVER)?;
        if acquired.inconsistent {
            self.own(0);
            let recovering = Recovering { lock: self, epoch: fork_epoch() };
            // SAFETY: the line is ours.
            let mut data = unsafe { self.placed.data.load() };
            repair(&mut data);
            recovering.succeed(acquired.me, data);
        }
        Ok(self.entered(acquired.me))
    }

    /// How often this thread has locked it and not let go: 0 for every thread but the holder.
    pub fn depth(&self) -> u32 {
        if self.is_mine() { self.placed.depth.load(Ordering::Relaxed) } else { 0 }
    }

    /// Whether this thread holds it.
    pub fn is_owned(&self) -> bool {
        self.is_mine()
    }

    /// Whether somebody left the data half-written; a snapshot that never waits.
    pub fn is_inconsistent(&self) -> bool {
        self.placed.line.is_inconsistent()
    }

    /// Who holds the lock, if anybody: pid, name and thread, and how long others have waited; a snapshot that never waits.
    pub fn holder(&self) -> Option<Holder> {
        self.placed.line.inspect(self.segment())
    }

    pub(crate) fn offset(&self) -> u64 {
        self.placed.offset()
    }

    fn is_mine(&self) -> bool {
        // Only this thread writes its own number, so there is no order to keep.
        self.placed.thread.load(Ordering::Relaxed) == my_number()
            && self
                .placed
                .line
                .holder()
                .is_some_and(|holder| self.segment().me().is_ok_and(|me| me.member() == holder.member()))
    }

    /// Step 1; `None` if it is not ours.
    #[inline]
    fn enter_again(&self) -> Result<Option<RLockGuard<'_, T>>, LockError> {
        if !self.is_mine() {
            return Ok(None);
        }
        let (Some(holder), depth) = (self.placed.line.holder(), self.placed.depth.load(Ordering::Relaxed)) else {
            return Ok(None);
        };
        match depth.checked_add(1) {
            Some(1) => Err(LockError::WouldDeadlock),
            Some(more) => {
                self.placed.depth.store(more, Ordering::Relaxed);
                Ok(Some(self.guard(holder)))
            }
            None => Err(ipc_core::Corrupt { what: "depth of an RLock", found: depth.into() }.into()),
        }
    }

    /// Step 3, after 2.
    #[inline]
    fn entered(&self, me: Owner) -> RLockGuard<'_, T> {
        self.own(1);
        self.guard(me)
    }

    #[inline]
    fn own(&self, depth: u32) {
        self.placed.panicked.store(0, Ordering::Relaxed);
        self.placed.depth.store(depth, Ordering::Relaxed);
        self.placed.thread.store(my_number(), Ordering::Relaxed);
    }

    #[inline]
    fn guard(&self, me: Owner) -> RLockGuard<'_, T> {
        RLockGuard {
            lock: self,
            me,
            epoch: fork_epoch(),
            panicking: std::thread::panicking(),
            wrote: Cell::new(false),
            not_send: PhantomData,
        }
    }

    /// Steps 6 and 7, for the thread whose last guard goes.
    #[inline]
    fn leave(&self, me: Owner) {
        self.placed.thread.store(0, Ordering::Relaxed);
        if self.placed.panicked.load(Ordering::Relaxed) != 0 {
            let (pid, name) = self.segment().describe(me);
            // SAFETY: the line is ours; no reference to the data is ever given out.
            unsafe { self.placed.line.release_panicked(pid, &name) };
        } else {
            // SAFETY: as above.
            unsafe { self.placed.line.release() };
        }
    }
}

/// A recovery under way: if it is left by a panic, the mark stays.
struct Recovering<'a, T: Plain> {
    lock: &'a RLock<T>,
    epoch: u32,
}

impl<T: Plain> Recovering<'_, T> {
    fn succeed(self, me: Owner, data: T) {
        if self.epoch != fork_epoch() {
            inherited();
        }
        // SAFETY: the line is ours, and nobody has a reference to the data.
        unsafe { self.lock.placed.data.store(data) };
        // SAFETY: the line is ours, taken as `me`.
        unsafe { self.lock.placed.line.mark_consistent(me) };
        std::mem::forget(self);
    }
}

impl<T: Plain> Drop for Recovering<'_, T> {
    fn drop(&mut self) {
        if self.epoch == fork_epoch() {
            self.lock.placed.thread.store(0, Ordering::Relaxed);
            // SAFETY: the line is ours, and nobody has a reference to the data.
            unsafe { self.lock.placed.line.release_unchanged(true) };
        }
    }
}

#[cold]
fn inherited() -> ! {
    panic!("this guard was inherited by fork: the lock belongs to the parent process");
}

/// A number that no other thread of this process has or will have; never 0.
#[inline]
fn my_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static NUMBER: Cell<u64> = const { Cell::new(0) };
    }
    match NUMBER.get() {
        0 => {
            let fresh = NEXT.fetch_add(1, Ordering::Relaxed);
            NUMBER.set(fresh);
            fresh
        }
        number => number,
    }
}

/// One level of an [`RLock`]: its data can be copied in and out until the guard is dropped. The last one of its thread unlocks.
///
/// # Process death
/// See [`RLock`]. A leaked guard holds until its process ends. A guard inherited by `fork` releases nothing in the child.
///
/// # Panics
/// Access through a guard inherited by `fork` panics: the lock is the parent's. A panic that drops a guard through which data
/// was written marks it, as soon as the thread's last guard goes.
#[must_use = "the lock is released when the guard is dropped"]
pub struct RLockGuard<'a, T: Plain> {
    lock: &'a RLock<T>,
    me: Owner,
    epoch: u32,
    /// The thread was panicking before the guard was made: that panic says nothing about this data.
    panicking: bool,
    wrote: Cell<bool>,
    /// The words name a thread: another one must not unlock.
    not_send: PhantomData<*mut ()>,
}

impl<T: Plain> RLockGuard<'_, T> {
    /// A copy of the data.
    #[inline]
    pub fn get(&self) -> T {
        self.check_fork();
        // SAFETY: the lock is ours, so no other thread writes.
        unsafe { self.lock.placed.data.load() }
    }

    /// Replaces the data.
    ///
    /// # Process death
    /// Killed inside, or anywhere until the thread's last guard goes: everybody else is told.
    #[inline]
    pub fn set(&self, data: T) {
        self.check_fork();
        self.wrote.set(true);
        // 4. SAFETY: the line is ours, taken as `me`.
        unsafe { self.lock.placed.line.touch(self.me) };
        // SAFETY: the lock is ours, and no reference to the data is ever given out.
        unsafe { self.lock.placed.data.store(data) };
    }

    /// Replaces the data by what `change` makes of a copy of it; what `change` returns comes back.
    ///
    /// If `change` locks again and writes, that write is lost when it returns.
    #[inline]
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut data = self.get();
        let result = change(&mut data);
        self.set(data);
        result
    }

    #[inline]
    fn check_fork(&self) {
        if self.epoch != fork_epoch() {
            inherited();
        }
    }
}

impl<T: Plain> Drop for RLockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.epoch != fork_epoch() {
            return;
        }
        if self.wrote.get() && !self.panicking && std::thread::panicking() {
            self.lock.placed.panicked.store(1, Ordering::Relaxed);
        }
        // 5. Whoever scribbles here makes this thread let go too early or too late; `depth` 0 is taken for 1.
        match self.lock.placed.depth.load(Ordering::Relaxed) {
            0 | 1 => self.lock.leave(self.me),
            depth => self.lock.placed.depth.store(depth - 1, Ordering::Relaxed),
        }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for RLockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RLockGuard").field(&self.get()).finish()
    }
}

/// Never waits: shows who holds it, not the data.
impl<T: Plain> fmt::Debug for RLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLock")
            .field("type", &T::SCHEMA)
            .field("holder", &self.holder())
            .field("depth", &self.depth())
            .field("lock", &self.placed.line)
            .finish()
    }
}

impl<T: Plain> fmt::Debug for RLockState<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLockState").field("type", &T::SCHEMA).field("lock", &self.line).finish()
    }
}
