//! `lock_all`: several locks at once, without deadlock.
//!
//! Whoever locks several locks one after the other can meet somebody who locks the same ones in another order, and then both
//! wait for ever. [`lock_all`] locks in one order that all processes agree on, whatever order they were given in: by segment id,
//! then by offset in the segment. Both are the same wherever the segment is mapped.
//!
//! # Process death
//!
//! Nothing is kept but the locks themselves: killed with some of them taken, each is taken over as any lock of the dead.

use crate::{Lock, RLock, RLockGuard};
use ipc_core::raw::Guard;
use ipc_core::{Deadline, LockError, Plain};
use std::time::{Duration, Instant};

/// Locks all of them, or none: a deadlock among those who lock through this function is not possible.
///
/// Takes a slice or an array of locks, or of references to them, and gives a `Vec` of guards; or a tuple of references to two
/// to eight locks of any types, and gives a tuple of guards. Guards come in the order in which the locks were given. Do not hold
/// another lock meanwhile: that one has no place in the order.
///
/// # Blocking
/// Waits for one lock after the other, holding those before it in the order.
///
/// # Process death
/// As for each of the locks.
///
/// # Errors
/// [`LockAllError`]: one of them could not be locked, or is there twice. All that had been locked are released. After
/// `Inconsistent`, `recover` that lock and call again.
///
/// # Examples
/// ```
/// use ipc_sync::{Lock, lock_all};
/// let (from, to) = (Lock::new(100i64)?, Lock::new(0i64)?);
/// {
///     let (mut from, mut to) = lock_all((&from, &to))?;
///     *from -= 30;
///     *to += 30;
/// }
/// let sum: i64 = lock_all(&[&from, &to])?.iter().map(|balance| **balance).sum();
/// assert_eq!(sum, 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn lock_all<S: LockSet>(locks: S) -> Result<S::Guards, LockAllError> {
    locks.take_all(Until(Some(Deadline::NEVER)))
}

/// As [`lock_all`], if all of them are free; else the error is `WouldBlock`.
pub fn try_lock_all<S: LockSet>(locks: S) -> Result<S::Guards, LockAllError> {
    locks.take_all(Until(None))
}

/// As [`lock_all`], giving up with `Timeout` after `timeout`.
pub fn lock_all_timeout<S: LockSet>(locks: S, timeout: Duration) -> Result<S::Guards, LockAllError> {
    locks.take_all(Until(Some(Deadline::after(timeout))))
}

/// As [`lock_all`], giving up with `Timeout` at `deadline`.
pub fn lock_all_deadline<S: LockSet>(locks: S, deadline: Instant) -> Result<S::Guards, LockAllError> {
    locks.take_all(Until(Some(Deadline::at(deadline))))
}

/// Why several locks were not locked; none of them is. Places are those in the set that was given, from 0.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockAllError {
    /// The same lock is there twice.
    #[error("locks {first} and {second} of the set are the same one")]
    Duplicate {
        /// Where it comes first.
        first: usize,
        /// Where it comes again.
        second: usize,
    },
    /// One of them could not be locked.
    #[error("lock {index} of the set: {error}")]
    Lock {
        /// Which.
        index: usize,
        /// Why.
        error: LockError,
    },
}

/// How long to wait for one lock; `None`: not at all.
#[derive(Clone, Copy)]
#[doc(hidden)]
pub struct Until(Option<Deadline>);

/// The place of a lock in the order: its segment's id and its offset there.
type Rank = (u128, u64);

/// One of several locks: [`Lock`] and [`RLock`].
#[doc(hidden)]
pub trait Lockable: sealed::Sealed {
    type Guard;
    fn rank(&self) -> (u128, u64);
    fn take(self, until: Until) -> Result<Self::Guard, LockError>;
}

/// A slice, an array or a tuple of locks: what [`lock_all`] takes.
pub trait LockSet: sealed::Sealed {
    /// A guard for each, in the same order.
    type Guards;
    #[doc(hidden)]
    fn take_all(self, until: Until) -> Result<Self::Guards, LockAllError>;
}

mod sealed {
    pub trait Sealed {}
}

impl<T: Plain> sealed::Sealed for &Lock<T> {}
impl<'a, T: Plain> Lockable for &'a Lock<T> {
    type Guard = Guard<'a, T>;

    fn rank(&self) -> Rank {
        (self.segment().id(), self.offset())
    }

    fn take(self, until: Until) -> Result<Guard<'a, T>, LockError> {
        match until.0 {
            Some(deadline) => self.lock_by(deadline),
            None => self.try_lock(),
        }
    }
}

impl<T: Plain> sealed::Sealed for &RLock<T> {}
impl<'a, T: Plain> Lockable for &'a RLock<T> {
    type Guard = RLockGuard<'a, T>;

    fn rank(&self) -> Rank {
        (self.segment().id(), self.offset())
    }

    fn take(self, until: Until) -> Result<RLockGuard<'a, T>, LockError> {
        match until.0 {
            Some(deadline) => self.lock_by(deadline),
            None => self.try_lock(),
        }
    }
}

impl<'a, L> sealed::Sealed for &&'a L where &'a L: Lockable {}
impl<'a, L> Lockable for &&'a L
where
    &'a L: Lockable,
{
    type Guard = <&'a L as Lockable>::Guard;

    fn rank(&self) -> Rank {
        (**self).rank()
    }

    fn take(self, until: Until) -> Result<Self::Guard, LockError> {
        (*self).take(until)
    }
}

/// The order in which to lock, as places in the set.
fn order(ranks: &[Rank]) -> Result<Vec<usize>, LockAllError> {
    let mut order: Vec<usize> = (0..ranks.len()).collect();
    // Stable: of two equal ones the first comes first.
    order.sort_by_key(|&place| ranks[place]);
    match order.windows(2).find(|pair| ranks[pair[0]] == ranks[pair[1]]) {
        Some(&[first, second]) => Err(LockAllError::Duplicate { first, second }),
        _ => Ok(order),
    }
}

impl<'a, L> sealed::Sealed for &'a [L] where &'a L: Lockable {}
impl<'a, L> LockSet for &'a [L]
where
    &'a L: Lockable,
{
    type Guards = Vec<<&'a L as Lockable>::Guard>;

    fn take_all(self, until: Until) -> Result<Self::Guards, LockAllError> {
        let ranks: Vec<_> = self.iter().map(|lock| lock.rank()).collect();
        let mut guards: Vec<_> = self.iter().map(|_| None).collect();
        for index in order(&ranks)? {
            let guard = self[index].take(until).map_err(|error| LockAllError::Lock { index, error })?;
            guards[index] = Some(guard);
        }
        // Every place was in the order.
        Ok(guards.into_iter().flatten().collect())
    }
}

impl<'a, L, const N: usize> sealed::Sealed for &'a [L; N] where &'a L: Lockable {}
impl<'a, L, const N: usize> LockSet for &'a [L; N]
where
    &'a L: Lockable,
{
    type Guards = Vec<<&'a L as Lockable>::Guard>;

    fn take_all(self, until: Until) -> Result<Self::Guards, LockAllError> {
        self.as_slice().take_all(until)
    }
}

macro_rules! tuples {
    ($(($($lock:ident $guard:ident $place:tt),+))+) => {
        $(
            impl<$($lock: Lockable),+> sealed::Sealed for ($($lock,)+) {}
            impl<$($lock: Lockable + Copy),+> LockSet for ($($lock,)+) {
                type Guards = ($($lock::Guard,)+);

                fn take_all(self, until: Until) -> Result<Self::Guards, LockAllError> {
                    $(let mut $guard = None;)+
                    for index in order(&[$(self.$place.rank()),+])? {
                        let taken = match index {
                            $($place => self.$place.take(until).map(|guard| $guard = Some(guard)),)+
                            _ => Ok(()),
                        };
                        taken.map_err(|error| LockAllError::Lock { index, error })?;
                    }
                    match ($($guard,)+) {
                        ($(Some($guard),)+) => Ok(($($guard,)+)),
                        _ => unreachable!("every place is in the order"),
                    }
                }
            }
        )+
    };
}

tuples! {
    (A a 0, B b 1)
    (A a 0, B b 1, C c 2)
    (A a 0, B b 1, C c 2, D d 3)
    (A a 0, B b 1, C c 2, D d 3, E e 4)
    (A a 0, B b 1, C c 2, D d 3, E e 4, F f 5)
    (A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6)
    (A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6, H h 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_order_for_everybody() {
        let (a, b, c) = ((1, 64), (1, 128), (2, 0));
        assert_eq!(order(&[c, a, b]), Ok(vec![1, 2, 0]));
        assert_eq!(order(&[b, a, c]), Ok(vec![1, 0, 2]));
        assert_eq!(order(&[]), Ok(vec![]));
    }

    #[test]
    fn the_same_one_twice_is_refused() {
        assert_eq!(order(&[(2, 0), (1, 0), (2, 0)]), Err(LockAllError::Duplicate { first: 0, second: 2 }));
    }
}
