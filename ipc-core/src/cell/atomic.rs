//! `AtomicValue` and `AtomicArray`: std's atomics, shared between processes.
//!
//! | offset | type           | name                                        |
//! |--------|----------------|---------------------------------------------|
//! | 0      | T::Atomic      | the number of an `AtomicValue`              |
//! | 0      | T::Atomic × n  | those of an `AtomicArray`: tail of nothing  |
//!
//! There is no lock and nothing to repair: each operation is one instruction, done or not done.

use crate::error::Error;
use crate::raw::{Fixed, Kind, Placed, State, View};
use crate::{Plain, Schema};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::{
    AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering,
};

/// A number that the machine reads and writes in one piece: `u8` to `u64` and `i8` to `i64`.
pub trait AtomicPlain: Plain + sealed::Sealed {
    /// The atomic type of std that holds it.
    type Atomic: Send + Sync + fmt::Debug + 'static;

    /// Stores `self`.
    #[doc(hidden)]
    fn store_in(self, atomic: &Self::Atomic);
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! atomic_plain {
    ($($number:ty: $atomic:ty,)*) => {$(
        impl sealed::Sealed for $number {}

        impl AtomicPlain for $number {
            type Atomic = $atomic;

            fn store_in(self, atomic: &$atomic) {
                // ORDERING: Relaxed: whoever publishes the object publishes this.
                atomic.store(self, Ordering::Relaxed);
            }
        }
    )*};
}

atomic_plain! {
    u8: AtomicU8, u16: AtomicU16, u32: AtomicU32, u64: AtomicU64,
    i8: AtomicI8, i16: AtomicI16, i32: AtomicI32, i64: AtomicI64,
}

/// One atomic number that processes share. It dereferences to the atomic of std, with all of its operations.
///
/// A type of its own, not a mode of [`Value`](crate::Value): an atomic access beside a guard's `&mut` would be a data race.
///
/// # Process death
/// Every operation is one instruction: done or not done. Nothing is ever marked, nobody ever waits.
///
/// # Examples
/// ```
/// use ipc_core::AtomicValue;
/// use std::sync::atomic::Ordering;
/// let hits = AtomicValue::new(0u64)?;
/// hits.fetch_add(2, Ordering::Relaxed);
/// assert_eq!(hits.load(Ordering::Relaxed), 2);
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub struct AtomicValue<T: AtomicPlain> {
    placed: Placed<AtomicState<T>>,
}

/// An [`AtomicValue`] in shared memory: a field of a `#[shared]` struct. At first it is zero.
#[repr(C)]
pub struct AtomicState<T: AtomicPlain> {
    number: T::Atomic,
}

// SAFETY: 1. an atomic. 2. its type is all there is to tell. 3. at most 8.
unsafe impl<T: AtomicPlain> State for AtomicState<T> {
    const KIND: Kind = Kind::ATOMIC_VALUE;
    const ELEMENT: Schema = T::SCHEMA;
    type Init = T;
    type Tail = ();
    type Handle = AtomicValue<T>;

    fn init(new: View<'_, Self>, value: Option<&T>) {
        if let Some(value) = value {
            value.store_in(&new.number);
        }
    }

    fn handle(placed: Placed<Self>) -> AtomicValue<T> {
        AtomicValue { placed }
    }
}

handle!(AtomicValue<T: AtomicPlain> of AtomicState<T>, "a number"; new(value: T) => &value);

/// A fixed number of atomic numbers that processes share. It dereferences to a slice of atomics of std.
///
/// # Process death
/// As [`AtomicValue`]: every operation is one instruction.
///
/// # Examples
/// ```
/// use ipc_core::AtomicArray;
/// use std::sync::atomic::Ordering::Relaxed;
/// let buckets = AtomicArray::<u32>::new(256)?;
/// buckets[7].fetch_add(1, Relaxed);
/// assert_eq!(buckets.iter().map(|b| b.load(Relaxed)).sum::<u32>(), 1);
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub struct AtomicArray<T: AtomicPlain> {
    placed: Placed<AtomicArrayHead<T>>,
}

/// An [`AtomicArray`] of `N` in shared memory: a field of a `#[shared]` struct. At first its numbers are zero.
pub type AtomicArrayState<T, const N: usize> = Fixed<AtomicArrayHead<T>, N>;

/// What the numbers of an [`AtomicArray`] follow: nothing.
#[repr(C)]
pub struct AtomicArrayHead<T: AtomicPlain> {
    marker: PhantomData<T>,
}

// SAFETY: 1. the tail is atomics. 2. their type is all there is to tell, beside their number. 3. at most 8.
unsafe impl<T: AtomicPlain> State for AtomicArrayHead<T> {
    const KIND: Kind = Kind::ATOMIC_ARRAY;
    const ELEMENT: Schema = T::SCHEMA;
    type Init = usize;
    type Tail = T::Atomic;
    type Handle = AtomicArray<T>;

    fn len(len: &usize, _members: u32) -> Result<usize, Error> {
        Ok(*len)
    }

    fn init(_new: View<'_, Self>, _len: Option<&usize>) {}

    fn handle(placed: Placed<Self>) -> AtomicArray<T> {
        AtomicArray { placed }
    }
}

handle!(tailed AtomicArray<T: AtomicPlain> of AtomicArrayHead<T>, "an array of `len` zeroes"; new(len: usize) => &len);

impl<T: AtomicPlain> Deref for AtomicValue<T> {
    type Target = T::Atomic;

    #[inline]
    fn deref(&self) -> &T::Atomic {
        &self.placed.number
    }
}

impl<T: AtomicPlain> Deref for AtomicArray<T> {
    type Target = [T::Atomic];

    #[inline]
    fn deref(&self) -> &[T::Atomic] {
        self.placed.tail()
    }
}

impl<T: AtomicPlain> fmt::Debug for AtomicValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AtomicValue").field(&**self).finish()
    }
}

impl<T: AtomicPlain> fmt::Debug for AtomicArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtomicArray").field("type", &T::SCHEMA).field("len", &self.len()).finish()
    }
}

impl<T: AtomicPlain> fmt::Debug for AtomicState<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AtomicState").field(&self.number).finish()
    }
}
