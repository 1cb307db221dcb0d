//! `RawLock`: a lock line, the data it protects and the census, with the verbs of every lock; and `Guard`, the one guard.

use super::lock_line::{Acquired, Entry};
use super::{Census, LockError, LockLine, Owner, Verdict, fork_epoch, scrub_padding};
use crate::shim::{AtomicU32, Ordering};
use crate::{Corrupt, Deadline, Plain, Segment};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A lock line together with the data it protects: the mechanism behind `Value`, `Array` and `Lock`.
pub struct RawLock<'a, T: ?Sized, C = Segment> {
    line: &'a LockLine,
    census: &'a C,
    data: Data<'a, T>,
}

/// The guard came to recover, and has not yet.
const INCONSISTENT: u64 = 1;
/// The line says that the data is being written.
const TOUCHED: u64 = 2;
/// The thread was panicking before the guard was made: that panic says nothing about this data.
const PANICKING: u64 = 4;

/// Where the data lies.
enum Data<'a, T: ?Sized> {
    /// In one place.
    One(NonNull<T>),
    /// In one of two, as the word says: 1 or 2.
    Either { which: &'a AtomicU32, copies: [NonNull<T>; 2] },
}

impl<T: ?Sized> Clone for Data<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Data<'_, T> {}

impl<T: ?Sized> Data<'_, T> {
    #[inline]
    fn current(&self) -> Result<NonNull<T>, Corrupt> {
        match self {
            Self::One(data) => Ok(*data),
            Self::Either { which, copies } => match which.load(Ordering::Relaxed) {
                1 => Ok(copies[0]),
                2 => Ok(copies[1]),
                found => Err(Corrupt { what: "index of the current copy", found: found.into() }),
            },
        }
    }
}

impl<'a, T: ?Sized + Guarded, C: Census> RawLock<'a, T, C> {
    /// Puts the three together.
    ///
    /// # Safety
    /// 1. `data` points to a `T` that stays mapped and valid for any byte pattern as long as `'a`.
    /// 2. All access to it, from every process, goes through this `line`.
    /// 3. `census` tells the truth about the members that own words of this segment.
    pub unsafe fn new(line: &'a LockLine, census: &'a C, data: NonNull<T>) -> Self {
        Self { line, census, data: Data::One(data) }
    }

    /// For data that is kept twice, so that it can be replaced by one store to `which`.
    ///
    /// # Safety
    /// As [`new`](Self::new), for both copies.
    pub(crate) unsafe fn either(
        line: &'a LockLine,
        census: &'a C,
        which: &'a AtomicU32,
        copies: [NonNull<T>; 2],
    ) -> Self {
        Self { line, census, data: Data::Either { which, copies } }
    }

    /// The lock was given, and what it protects cannot be found.
    #[cold]
    #[inline(never)]
    fn refuse(&self, acquired: Acquired, corrupt: Corrupt) -> LockError {
        // SAFETY: acquired by the caller; no guard was made.
        unsafe { self.line.release_unchanged(acquired.inconsistent) };
        corrupt.into()
    }

    /// Locks, waiting until `deadline`. See [`LockLine::acquire`].
    #[inline(always)]
    pub fn lock(&self, deadline: Deadline) -> Result<Guard<'a, T, C>, LockError> {
        self.guard(self.line.acquire(self.census, Entry::Lock, deadline)?)
    }

    /// Locks if that is possible at once. See [`LockLine::try_acquire`].
    #[inline(always)]
    pub fn try_lock(&self) -> Result<Guard<'a, T, C>, LockError> {
        self.guard(self.line.try_acquire(self.census)?)
    }

    /// Locks; if the data is marked inconsistent, runs `repair` on it and takes the mark away.
    ///
    /// On consistent data `repair` does not run. If `repair` panics, or its process dies inside, the mark stays.
    pub fn recover(&self, repair: impl FnOnce(&mut T), deadline: Deadline) -> Result<Guard<'a, T, C>, LockError> {
        let acquired = self.line.acquire(self.census, Entry::Recover, deadline)?;
        let mut guard = self.guard(acquired)?;
        if guard.is(INCONSISTENT) {
            repair(&mut *guard);
            guard.check_fork();
            // SAFETY: we hold the lock, as the process that took it.
            unsafe { self.line.mark_consistent(acquired.me) };
            guard.state &= !(INCONSISTENT | TOUCHED);
        }
        Ok(guard)
    }

    /// Whether nobody gets the data by waiting any longer: it is marked inconsistent, or the holder is dead.
    ///
    /// Costs a system call if somebody holds the lock. For a sleeper's re-check: what it says may change at once.
    pub fn is_lost(&self) -> bool {
        let holder = || self.line.holder().is_some_and(|holder| self.census.verdict(holder) == Verdict::Dead);
        self.line.is_inconsistent() || holder()
    }

    #[inline(always)]
    fn guard(&self, acquired: Acquired) -> Result<Guard<'a, T, C>, LockError> {
        let data = match self.data.current() {
            Ok(data) => data,
            Err(corrupt) => return Err(self.refuse(acquired, corrupt)),
        };
        Ok(Guard {
            line: self.line,
            census: self.census,
            data,
            home: self.data,
            me: acquired.me,
            state: u64::from(fork_epoch()) << 32
                | if acquired.inconsistent { INCONSISTENT } else { 0 }
                | if std::thread::panicking() { PANICKING } else { 0 },
            not_send: PhantomData,
        })
    }
}

/// What a guard gives access to: a plain value, or a slice of them.
///
/// Assigning through `&mut` may leave anything in padding, even bytes of this process's stack, so it is zeroed before others
/// see it.
pub trait Guarded {
    /// Zeroes the padding.
    ///
    /// # Safety
    /// As for [`scrub_padding`](super::scrub_padding), for every element.
    #[doc(hidden)]
    unsafe fn scrub(data: NonNull<Self>);
}

impl<T: Plain> Guarded for T {
    #[inline]
    unsafe fn scrub(data: NonNull<T>) {
        if const { T::SCHEMA.has_padding() } {
            // SAFETY: handed on.
            unsafe { scrub_padding(data.as_ptr()) };
        }
    }
}

impl<T: Plain> Guarded for [T] {
    #[inline]
    unsafe fn scrub(data: NonNull<[T]>) {
        if const { T::SCHEMA.has_padding() } {
            for i in 0..data.len() {
                // SAFETY: inside the slice.
                let element = unsafe { data.cast::<T>().add(i) };
                // SAFETY: handed on.
                unsafe { scrub_padding(element.as_ptr()) };
            }
        }
    }
}

/// Access to data under its lock, until dropped.
///
/// # Process death
/// If the holder is killed before its first mutable access, the lock is simply free again. Afterwards, the next locker gets
/// [`LockError::Inconsistent`]; a panic that drops a guard after mutable access does the same. A leaked guard holds until its
/// process ends or drops its last handle of the segment. A guard inherited by `fork` releases nothing in the child.
///
/// # Panics
/// Access through a guard inherited by `fork` panics: the lock is the parent's.
#[must_use = "the lock is released when the guard is dropped"]
pub struct Guard<'a, T: ?Sized + Guarded, C: Census = Segment> {
    line: &'a LockLine,
    census: &'a C,
    data: NonNull<T>,
    /// For locking again after [`unlock`](Self::unlock): `data` may be the other copy by then.
    home: Data<'a, T>,
    me: Owner,
    /// The fork epoch in the high half, the flags below in the low one: one word, because a guard is moved around, and a wide
    /// load that follows narrow stores stalls.
    state: u64,
    /// The word names a thread: another one must not unlock.
    not_send: PhantomData<*mut ()>,
}

// SAFETY: a shared guard gives `&T` only, to whichever thread; unlocking needs the guard itself, which stays put.
unsafe impl<T: ?Sized + Guarded + Sync, C: Census + Sync> Sync for Guard<'_, T, C> {}

impl<'a, T: ?Sized + Guarded, C: Census> Guard<'a, T, C> {
    /// Unlocks, as dropping the guard does, and keeps the lock: for what waits with the lock released, as a condition does.
    ///
    /// # Panics
    /// If the guard was inherited by `fork`.
    pub fn unlock(guard: Self) -> RawLock<'a, T, C> {
        guard.check_fork();
        RawLock { line: guard.line, census: guard.census, data: guard.home }
    }
}

impl<T: ?Sized + Guarded> Guard<'_, T> {
    /// A number that no other lock has, in whichever segment, and that is the same in all processes; never 0.
    ///
    /// Segment ids are random, so two locks of two segments could agree by chance: once in 2^64.
    pub fn lock_id(guard: &Self) -> u64 {
        guard.census.tell_apart(guard.line)
    }
}

impl<T: ?Sized + Guarded, C: Census> Guard<'_, T, C> {
    /// The holder as it stands in the word.
    pub fn owner(guard: &Self) -> Owner {
        guard.me
    }

    /// The data, without counting as a writer: for stores that are whole or absent whoever dies, such as one aligned word.
    #[inline]
    pub(crate) fn data(guard: &Self) -> NonNull<T> {
        guard.check_fork();
        guard.data
    }

    /// The holder is about to write without going through `&mut`.
    #[inline]
    pub(crate) fn touch(guard: &mut Self) {
        guard.check_fork();
        if !guard.is(TOUCHED) {
            // SAFETY: the guard holds the lock as `me`.
            unsafe { guard.line.touch(guard.me) };
            guard.state |= TOUCHED;
        }
    }

    #[inline]
    fn is(&self, flag: u64) -> bool {
        self.state & flag != 0
    }

    #[inline]
    fn is_inherited(&self) -> bool {
        (self.state >> 32) as u32 != fork_epoch()
    }

    #[inline]
    fn check_fork(&self) {
        if self.is_inherited() {
            inherited();
        }
    }
}

#[cold]
fn inherited() -> ! {
    panic!("this guard was inherited by fork: the lock belongs to the parent process");
}

impl<T: ?Sized + Guarded, C: Census> Deref for Guard<'_, T, C> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.check_fork();
        // SAFETY: RawLock::new: valid for any bytes, and only the holder of the line, which we are, has access.
        unsafe { self.data.as_ref() }
    }
}

impl<T: ?Sized + Guarded, C: Census> DerefMut for Guard<'_, T, C> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        Self::touch(self);
        // SAFETY: as in `deref`; and `&mut self` makes it the only reference of this process.
        unsafe { self.data.as_mut() }
    }
}

impl<T: ?Sized + Guarded, C: Census> Drop for Guard<'_, T, C> {
    /// Small, and without giving away its own address: so it is inlined, and a guard stays in registers.
    #[inline]
    fn drop(&mut self) {
        if self.is_inherited() {
            return;
        }
        if self.is(INCONSISTENT | TOUCHED) {
            // SAFETY: still ours: the lock is released below, and no reference through the guard can be alive.
            unsafe { T::scrub(self.data) };
            if self.is(INCONSISTENT) || !self.is(PANICKING) && std::thread::panicking() {
                // SAFETY: the guard holds the lock, and no reference through it can be alive.
                return unsafe { release_marked(self.line, self.census, self.me, self.is(INCONSISTENT)) };
            }
            // SAFETY: as above.
            unsafe { self.line.untouch() };
        }
        // SAFETY: as above; the data is consistent, and the line says that it is untouched.
        unsafe { self.line.release_untouched() };
    }
}

/// The data was inconsistent and still is, or a panic has made it so.
///
/// # Safety
/// As [`LockLine::release`], by the holder `me`.
#[cold]
#[inline(never)]
unsafe fn release_marked(line: &LockLine, census: &impl Census, me: Owner, inconsistent: bool) {
    if inconsistent {
        // SAFETY: handed on.
        unsafe { line.release_unchanged(true) };
    } else {
        let (pid, name) = census.describe(me);
        // SAFETY: handed on.
        unsafe { line.release_panicked(pid, &name) };
    }
}

impl<T: ?Sized + Guarded + fmt::Debug, C: Census> fmt::Debug for Guard<'_, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&&**self).finish()
    }
}

impl<T: ?Sized + Guarded + fmt::Display, C: Census> fmt::Display for Guard<'_, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
