//! `RwLock`, the handle, and its three guards.

use super::raw::{ReadHold, RwLine};
use ipc_core::raw::lock_line::Entry;
use ipc_core::raw::{Census, Guarded, Holder, Kind, Owner, Placed, PlainCell, State, View, fork_epoch};
use ipc_core::{Deadline, LockError, Plain, Schema, Segment};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

/// The process-shared readers-writer lock: any number of readers or one writer, in any processes.
///
/// For data that is read often and by several at once, for longer than a copy takes. For one value that is copied out whole
/// `ipc_core::Value` is cheaper, and a [`Lock`](crate::Lock) is half the work for whoever writes.
///
/// **Preference.** Writers first: from the moment a writer is next in line, readers that come wait, and it waits only for
/// those that had come before. Writers that never pause can starve readers; readers cannot starve writers.
///
/// **Cost.** 704 bytes and the data. A read lock is one compare-and-swap and one load, and one each to leave; readers do not
/// share a cache line until there are more than eight of them. A writer looks at 64 entries. Threads of any number may read
/// at once, of up to 64 processes; a process more waits for one of them to leave, looking every 1 to 50 ms.
///
/// # Differences from `std::sync::RwLock`
/// - An **upgradable** read lock, of which there is one at a time, shares with readers and can become a write lock without
///   letting go; a write lock can come down to either ([`WriteGuard::downgrade`]).
/// - Locking what this thread holds in a way that excludes it is `WouldDeadlock`, not a hang.
/// - Poisoning knows who and how to get out of it: `Inconsistent { cause }` until [`recover`](Self::recover) has succeeded, and
///   only after a *writer* that had begun to write.
///
/// Python's `multiprocessing` has no such lock.
///
/// # Process death
/// A reader that is killed blocks nobody: what it held goes with it. A writer that is killed before its first mutable access
/// is as if it had never come; afterwards everybody is told. Either is noticed within 100 ms by whoever waits. A holder that
/// is *stopped* keeps what it holds, and a leaked guard holds until its process ends.
///
/// # Examples
/// ```
/// use ipc_sync::{RwLock, UpgradableGuard, WriteGuard};
///
/// let prices = RwLock::new([100u64, 200])?;
/// assert_eq!(prices.read()?[0], 100);
/// prices.write()?[0] = 90;
///
/// let seen = prices.upgradable()?;            // others still read
/// if seen[1] > 150 {
///     let mut mine = UpgradableGuard::upgrade(seen)?;
///     mine[1] = 150;
///     let shared = WriteGuard::downgrade(mine); // nobody wrote in between
///     assert_eq!(shared[1], 150);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A guard stays in its thread:
/// ```compile_fail,E0277
/// let lock = ipc_sync::RwLock::new(0u64).unwrap();
/// let guard = lock.read().unwrap();
/// std::thread::scope(|s| {
///     s.spawn(move || drop(guard));
/// });
/// ```
pub struct RwLock<T: Plain = ()> {
    placed: Placed<RwLockState<T>>,
}

/// A [`RwLock`] in shared memory: a field of a `#[shared]` struct. At first it is free, and its data zero.
#[repr(C)]
pub struct RwLockState<T: Plain = ()> {
    line: RwLine,
    data: PlainCell<T>,
}

// SAFETY: 1. atomics, and a cell of a plain value. 2. the type of the data is all there is to tell. 3. not for all types: a
// segment refuses the rest.
unsafe impl<T: Plain> State for RwLockState<T> {
    const KIND: Kind = Kind::RWLOCK;
    const ELEMENT: Schema = T::SCHEMA;
    type Init = T;
    type Tail = ();
    type Handle = RwLock<T>;

    fn init(new: View<'_, Self>, data: Option<&T>) {
        new.line.init();
        if let Some(&data) = data {
            // SAFETY: nobody else has it yet.
            unsafe { new.data.store(data) };
        }
    }

    fn handle(placed: Placed<Self>) -> RwLock<T> {
        RwLock { placed }
    }
}

ipc_core::handle!(RwLock<T: Plain> of RwLockState<T>, "a readers-writer lock over data"; new(data: T) => &data);

impl<T: Plain> RwLock<T> {
    /// Waits until no writer is there or next, and shares the data with other readers.
    ///
    /// # Blocking
    /// Waits for a writer, or for one that waits itself: spins for 2–3 µs, then sleeps.
    ///
    /// # Process death
    /// As for the [type](Self).
    ///
    /// # Errors
    /// `Inconsistent` after a writer that died or panicked; `WouldDeadlock` if this thread writes, or reads while a writer
    /// waits for it; `Corrupt` if a word of the lock is damaged.
    #[inline]
    pub fn read(&self) -> Result<ReadGuard<'_, T>, LockError> {
        self.read_by(Deadline::NEVER)
    }

    /// Shares the data if that is possible at once; else `WouldBlock`.
    ///
    /// # Process death
    /// Who polls for over a millisecond and meets the same writer asks whether it lives.
    #[inline]
    pub fn try_read(&self) -> Result<ReadGuard<'_, T>, LockError> {
        let hold = self.line().try_read(self.placed.segment())?;
        Ok(self.read_guard(hold))
    }

    /// As [`read`](Self::read), giving up with `Timeout` after `timeout`.
    pub fn read_timeout(&self, timeout: Duration) -> Result<ReadGuard<'_, T>, LockError> {
        self.read_by(Deadline::after(timeout))
    }

    /// As [`read`](Self::read), giving up with `Timeout` at `deadline`.
    pub fn read_deadline(&self, deadline: Instant) -> Result<ReadGuard<'_, T>, LockError> {
        self.read_by(Deadline::at(deadline))
    }

    /// Waits until nobody else holds the lock.
    ///
    /// # Blocking
    /// Waits for the writer or upgradable holder before it, then for the readers that had come before: spins, then sleeps.
    ///
    /// # Process death
    /// As for the [type](Self).
    ///
    /// # Errors
    /// `Inconsistent` after a writer that died or panicked; `WouldDeadlock` if this thread holds the lock in any way;
    /// `Corrupt` if a word of the lock is damaged.
    #[inline]
    pub fn write(&self) -> Result<WriteGuard<'_, T>, LockError> {
        self.write_by(Deadline::NEVER)
    }

    /// Locks for writing if that is possible at once; else `WouldBlock`.
    ///
    /// # Process death
    /// Who polls for over a millisecond and meets the same holder asks whether it lives.
    #[inline]
    pub fn try_write(&self) -> Result<WriteGuard<'_, T>, LockError> {
        let acquired = self.line().try_write(self.placed.segment())?;
        Ok(self.write_guard(acquired.me, false))
    }

    /// As [`write`](Self::write), giving up with `Timeout` after `timeout`.
    pub fn write_timeout(&self, timeout: Duration) -> Result<WriteGuard<'_, T>, LockError> {
        self.write_by(Deadline::after(timeout))
    }

    /// As [`write`](Self::write), giving up with `Timeout` at `deadline`.
    pub fn write_deadline(&self, deadline: Instant) -> Result<WriteGuard<'_, T>, LockError> {
        self.write_by(Deadline::at(deadline))
    }

    /// Shares the data with readers, and keeps writers and other upgradable holders out.
    ///
    /// # Blocking
    /// Waits for a writer or an upgradable holder, not for readers.
    ///
    /// # Process death
    /// As for a reader.
    ///
    /// # Errors
    /// As [`read`](Self::read); `WouldDeadlock` if this thread writes or has it already.
    pub fn upgradable(&self) -> Result<UpgradableGuard<'_, T>, LockError> {
        self.upgradable_by(Deadline::NEVER)
    }

    /// As [`upgradable`](Self::upgradable), if that is possible at once; else `WouldBlock`.
    pub fn try_upgradable(&self) -> Result<UpgradableGuard<'_, T>, LockError> {
        let me = self.line().try_upgradable(self.placed.segment())?;
        Ok(UpgradableGuard { hold: self.held(me) })
    }

    /// As [`upgradable`](Self::upgradable), giving up with `Timeout` after `timeout`.
    pub fn upgradable_timeout(&self, timeout: Duration) -> Result<UpgradableGuard<'_, T>, LockError> {
        self.upgradable_by(Deadline::after(timeout))
    }

    /// As [`upgradable`](Self::upgradable), giving up with `Timeout` at `deadline`.
    pub fn upgradable_deadline(&self, deadline: Instant) -> Result<UpgradableGuard<'_, T>, LockError> {
        self.upgradable_by(Deadline::at(deadline))
    }

    /// Locks for writing; if a writer died or panicked while writing, runs `repair` on what is left and takes the mark away.
    ///
    /// On consistent data `repair` does not run: of several who call this at once, one repairs.
    ///
    /// # Process death
    /// If `repair` panics, or its process is killed inside, the mark stays, and the next one can try.
    pub fn recover(&self, repair: impl FnOnce(&mut T)) -> Result<WriteGuard<'_, T>, LockError> {
        let acquired = self.line().write(self.placed.segment(), Entry::Recover, Deadline::NEVER)?;
        let mut guard = self.write_guard(acquired.me, acquired.inconsistent);
        if acquired.inconsistent {
            repair(&mut *guard);
            guard.hold.check_fork();
            // SAFETY: held exclusively, by the process that took it.
            unsafe { self.line().mark_consistent(acquired.me) };
            (guard.inconsistent, guard.touched) = (false, false);
        }
        Ok(guard)
    }

    /// Whether a writer left the data half-written; a snapshot that never waits.
    pub fn is_inconsistent(&self) -> bool {
        self.line().line().is_inconsistent()
    }

    /// The writer or upgradable holder, if there is one; a snapshot that never waits, for people and logs.
    pub fn holder(&self) -> Option<Holder> {
        self.line().line().inspect(self.placed.segment())
    }

    /// How many read holds there are, those of the dead included until somebody meets them; a snapshot that never waits.
    pub fn readers(&self) -> u32 {
        self.line().readers().map(|(_, holds)| holds).sum()
    }

    #[inline]
    fn read_by(&self, deadline: Deadline) -> Result<ReadGuard<'_, T>, LockError> {
        let hold = self.line().read(self.placed.segment(), deadline)?;
        Ok(self.read_guard(hold))
    }

    #[inline]
    fn write_by(&self, deadline: Deadline) -> Result<WriteGuard<'_, T>, LockError> {
        let acquired = self.line().write(self.placed.segment(), Entry::Lock, deadline)?;
        Ok(self.write_guard(acquired.me, false))
    }

    fn upgradable_by(&self, deadline: Deadline) -> Result<UpgradableGuard<'_, T>, LockError> {
        let me = self.line().upgradable(self.placed.segment(), deadline)?;
        Ok(UpgradableGuard { hold: self.held(me) })
    }

    #[inline]
    fn read_guard(&self, hold: ReadHold) -> ReadGuard<'_, T> {
        ReadGuard { at: hold.at, hold: self.held(hold.me) }
    }

    #[inline]
    fn write_guard(&self, me: Owner, inconsistent: bool) -> WriteGuard<'_, T> {
        WriteGuard { hold: self.held(me), inconsistent, touched: false, panicking: std::thread::panicking() }
    }

    #[inline]
    fn held(&self, me: Owner) -> Held<'_, T> {
        let (segment, data) = (self.placed.segment(), self.placed.data.get());
        Held { line: self.line(), segment, data, me, epoch: fork_epoch(), not_send: PhantomData }
    }

    #[inline]
    fn line(&self) -> &RwLine {
        &self.placed.line
    }
}

/// Never waits: shows who holds it, not the data.
impl<T: Plain> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock")
            .field("type", &T::SCHEMA)
            .field("holder", &self.holder())
            .field("readers", &self.readers())
            .field("waiting_readers", &self.line().waiting_readers())
            .field("lock", self.line().line())
            .finish()
    }
}

impl<T: Plain> fmt::Debug for RwLockState<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLockState").field("type", &T::SCHEMA).field("lock", &self.line).finish()
    }
}

/// What the three guards have in common.
struct Held<'a, T: Plain> {
    line: &'a RwLine,
    segment: &'a Segment,
    data: NonNull<T>,
    me: Owner,
    epoch: u32,
    /// The words name a thread: another one must not give them back.
    not_send: PhantomData<*mut ()>,
}

impl<T: Plain> Clone for Held<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Plain> Copy for Held<'_, T> {}

impl<T: Plain> Held<'_, T> {
    #[inline]
    fn is_inherited(&self) -> bool {
        self.epoch != fork_epoch()
    }

    #[inline]
    fn check_fork(&self) {
        if self.is_inherited() {
            inherited();
        }
    }

    /// # Safety
    /// The hold is at least shared as long as the reference lives.
    #[inline]
    unsafe fn data(&self) -> &T {
        self.check_fork();
        // SAFETY: inside the mapping that the handle keeps, aligned, any bytes are a T; nobody writes while it is shared.
        unsafe { self.data.as_ref() }
    }
}

#[cold]
fn inherited() -> ! {
    panic!("this guard was inherited by fork: the lock belongs to the parent process");
}

/// Shared access to the data of a [`RwLock`], until dropped.
///
/// # Process death
/// A reader that is killed blocks nobody, and nobody is told. A leaked guard holds until its process ends. A guard inherited
/// by `fork` releases nothing in the child.
///
/// # Panics
/// Access through a guard inherited by `fork` panics: the lock is the parent's.
#[must_use = "the lock is released when the guard is dropped"]
pub struct ReadGuard<'a, T: Plain> {
    hold: Held<'a, T>,
    at: u32,
}

/// Shared access to the data of a [`RwLock`] that can become exclusive without letting go, until dropped.
///
/// # Process death
/// As for a [`ReadGuard`].
///
/// # Panics
/// As for a [`ReadGuard`].
#[must_use = "the lock is released when the guard is dropped"]
pub struct UpgradableGuard<'a, T: Plain> {
    hold: Held<'a, T>,
}

/// Exclusive access to the data of a [`RwLock`], until dropped.
///
/// # Process death
/// If the holder is killed before its first mutable access, it is as if it had never locked. Afterwards everybody gets
/// [`LockError::Inconsistent`]; a panic that drops the guard after mutable access does the same.
///
/// # Panics
/// As for a [`ReadGuard`].
#[must_use = "the lock is released when the guard is dropped"]
pub struct WriteGuard<'a, T: Plain> {
    hold: Held<'a, T>,
    inconsistent: bool,
    touched: bool,
    /// The thread was panicking before the guard was made: that panic says nothing about this data.
    panicking: bool,
}

// SAFETY: a shared guard gives `&T` only, to whichever thread; giving it back needs the guard itself, which stays put.
unsafe impl<T: Plain + Sync> Sync for ReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Plain + Sync> Sync for UpgradableGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Plain + Sync> Sync for WriteGuard<'_, T> {}

impl<'a, T: Plain> ReadGuard<'a, T> {
    /// Shared → upgradable, without letting go; the guard comes back if there is a writer or another upgradable holder.
    ///
    /// Never waits: two readers that waited for each other to let go would wait for ever.
    pub fn try_upgradable(guard: Self) -> Result<UpgradableGuard<'a, T>, Self> {
        guard.hold.check_fork();
        // SAFETY: the guard is this hold.
        if unsafe { guard.hold.line.try_read_to_upgradable(guard.hold.segment, guard.read_hold()) } {
            Ok(UpgradableGuard { hold: guard.into_hold() })
        } else {
            Err(guard)
        }
    }

    /// Shared → exclusive, without letting go; the guard comes back if anybody else holds the lock in any way.
    ///
    /// Never waits, as [`try_upgradable`](Self::try_upgradable).
    pub fn try_upgrade(guard: Self) -> Result<WriteGuard<'a, T>, Self> {
        guard.hold.check_fork();
        // SAFETY: the guard is this hold, and is moved: no reference through it is alive.
        if unsafe { guard.hold.line.try_read_to_write(guard.hold.segment, guard.read_hold()) } {
            Ok(WriteGuard::over(guard.into_hold()))
        } else {
            Err(guard)
        }
    }

    fn read_hold(&self) -> ReadHold {
        ReadHold { me: self.hold.me, at: self.at }
    }

    /// The hold goes over into another guard.
    fn into_hold(self) -> Held<'a, T> {
        let hold = self.hold;
        std::mem::forget(self);
        hold
    }
}

impl<'a, T: Plain> UpgradableGuard<'a, T> {
    /// Upgradable → exclusive: new readers wait, and those that are there are waited for. No writer comes in between.
    ///
    /// # Process death
    /// Readers that are killed are waited for no longer, within 100 ms.
    ///
    /// # Errors
    /// `WouldDeadlock` if this thread also has a [`ReadGuard`]; `Corrupt` if a word of the lock is damaged. The lock is then
    /// released; the forms below give the guard back.
    pub fn upgrade(guard: Self) -> Result<WriteGuard<'a, T>, LockError> {
        guard.upgrade_by(Deadline::NEVER)?;
        Ok(WriteGuard::over(guard.into_hold()))
    }

    /// As [`upgrade`](Self::upgrade), if nobody reads; else the guard comes back.
    pub fn try_upgrade(guard: Self) -> Result<WriteGuard<'a, T>, Self> {
        guard.hold.check_fork();
        // SAFETY: the guard is this hold, and is moved: no reference through it is alive.
        if unsafe { guard.hold.line.try_upgrade(guard.hold.segment, guard.hold.me) } {
            Ok(WriteGuard::over(guard.into_hold()))
        } else {
            Err(guard)
        }
    }

    /// As [`upgrade`](Self::upgrade); the guard comes back after `timeout`, or if it would be an error.
    pub fn upgrade_timeout(guard: Self, timeout: Duration) -> Result<WriteGuard<'a, T>, Self> {
        match guard.upgrade_by(Deadline::after(timeout)) {
            Ok(()) => Ok(WriteGuard::over(guard.into_hold())),
            Err(_) => Err(guard),
        }
    }

    /// As [`upgrade`](Self::upgrade); the guard comes back at `deadline`, or if it would be an error.
    pub fn upgrade_deadline(guard: Self, deadline: Instant) -> Result<WriteGuard<'a, T>, Self> {
        match guard.upgrade_by(Deadline::at(deadline)) {
            Ok(()) => Ok(WriteGuard::over(guard.into_hold())),
            Err(_) => Err(guard),
        }
    }

    /// Upgradable → shared: never waits.
    pub fn downgrade(guard: Self) -> ReadGuard<'a, T> {
        guard.hold.check_fork();
        // SAFETY: the guard is this hold.
        let hold = unsafe { guard.hold.line.downgrade_upgradable(guard.hold.me) };
        ReadGuard { at: hold.at, hold: guard.into_hold() }
    }

    fn upgrade_by(&self, deadline: Deadline) -> Result<(), LockError> {
        self.hold.check_fork();
        // SAFETY: the guard is this hold; the callers own it: no reference through it is alive.
        unsafe { self.hold.line.upgrade(self.hold.segment, self.hold.me, deadline) }
    }

    fn into_hold(self) -> Held<'a, T> {
        let hold = self.hold;
        std::mem::forget(self);
        hold
    }
}

impl<'a, T: Plain> WriteGuard<'a, T> {
    /// Exclusive → shared: never waits, and no writer comes in between.
    pub fn downgrade(guard: Self) -> ReadGuard<'a, T> {
        guard.finish();
        // SAFETY: the guard is this hold, over data that is whole, and is moved: no reference through it is alive.
        let hold = unsafe { guard.hold.line.downgrade(guard.hold.me) };
        ReadGuard { at: hold.at, hold: guard.into_hold() }
    }

    /// Exclusive → upgradable: never waits.
    pub fn downgrade_to_upgradable(guard: Self) -> UpgradableGuard<'a, T> {
        guard.finish();
        // SAFETY: as in `downgrade`.
        unsafe { guard.hold.line.downgrade_to_upgradable(guard.hold.me) };
        UpgradableGuard { hold: guard.into_hold() }
    }

    #[inline]
    fn over(hold: Held<'a, T>) -> Self {
        Self { hold, inconsistent: false, touched: false, panicking: std::thread::panicking() }
    }

    /// What was written is about to be seen by others.
    #[inline]
    fn finish(&self) {
        self.hold.check_fork();
        if self.touched {
            // SAFETY: the lock is still held exclusively, and the callers have the guard: no reference through it is alive.
            unsafe { T::scrub(self.hold.data) };
        }
    }

    fn into_hold(self) -> Held<'a, T> {
        let hold = self.hold;
        std::mem::forget(self);
        hold
    }

    #[cold]
    fn release_panicked(&self) {
        let (pid, name) = self.hold.segment.describe(self.hold.me);
        // SAFETY: called by `drop` alone: held exclusively, no reference through the guard is alive.
        unsafe { self.hold.line.release_panicked(pid, &name) };
    }
}

impl<T: Plain> Drop for ReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if !self.hold.is_inherited() {
            // SAFETY: the guard is this hold, and no reference through it is alive.
            unsafe { self.hold.line.release_read(self.read_hold()) };
        }
    }
}

impl<T: Plain> Drop for UpgradableGuard<'_, T> {
    fn drop(&mut self) {
        if !self.hold.is_inherited() {
            // SAFETY: the guard is this hold, and no reference through it is alive.
            unsafe { self.hold.line.release_upgradable() };
        }
    }
}

impl<T: Plain> Drop for WriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.hold.is_inherited() {
            return;
        }
        self.finish();
        if self.inconsistent {
            // SAFETY: held exclusively, no reference through the guard is alive.
            unsafe { self.hold.line.release_marked() };
        } else if self.touched && !self.panicking && std::thread::panicking() {
            self.release_panicked();
        } else {
            // SAFETY: as above.
            unsafe { self.hold.line.release_write(self.hold.me) };
        }
    }
}

impl<T: Plain> Deref for ReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: shared as long as the guard lives.
        unsafe { self.hold.data() }
    }
}

impl<T: Plain> Deref for UpgradableGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: shared as long as the guard lives.
        unsafe { self.hold.data() }
    }
}

impl<T: Plain> Deref for WriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: exclusive as long as the guard lives.
        unsafe { self.hold.data() }
    }
}

impl<T: Plain> DerefMut for WriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.hold.check_fork();
        if !self.touched {
            // SAFETY: the guard holds the lock exclusively, as `me`.
            unsafe { self.hold.line.touch(self.hold.me) };
            self.touched = true;
        }
        // SAFETY: as in `Held::data`; exclusive, and `&mut self` makes it the only reference of this process.
        unsafe { self.hold.data.as_mut() }
    }
}

macro_rules! shown {
    ($($guard:ident),*) => {
        $(
            impl<T: Plain + fmt::Debug> fmt::Debug for $guard<'_, T> {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.debug_tuple(stringify!($guard)).field(&**self).finish()
                }
            }

            impl<T: Plain + fmt::Display> fmt::Display for $guard<'_, T> {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    (**self).fmt(f)
                }
            }
        )*
    };
}

shown!(ReadGuard, UpgradableGuard, WriteGuard);
