//! `AtomicValue` and `AtomicArray`: std's atomics, shared between processes.
//!
//! | offset | type           | name     |
//! |--------|----------------|----------|
//! | 0      | T::Atomic × n  | elements |
//!
//! There is no lock and nothing to repair: each operation is one instruction, done or not done.

use crate::error::{Corrupt, Error, ErrorKind};
use crate::raw::{Blueprint, Kind, Object, Place};
use crate::{Plain, Segment, SegmentOptions};
use std::alloc::Layout;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64};

/// A number that the machine reads and writes in one piece: `u8` to `u64` and `i8` to `i64`.
pub trait AtomicPlain: Plain + sealed::Sealed {
    /// The atomic type of std that holds it.
    type Atomic: Sync + fmt::Debug + 'static;

    /// An atomic that holds `self`.
    #[doc(hidden)]
    fn into_atomic(self) -> Self::Atomic;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! atomic_plain {
    ($($number:ty: $atomic:ty,)*) => {$(
        impl sealed::Sealed for $number {}

        impl AtomicPlain for $number {
            type Atomic = $atomic;

            fn into_atomic(self) -> $atomic {
                <$atomic>::new(self)
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
    object: Object,
    marker: PhantomData<T>,
}

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
    object: Object,
    len: usize,
    marker: PhantomData<T>,
}

impl<T: AtomicPlain> AtomicValue<T> {
    const KIND: Kind = Kind::ATOMIC_VALUE;

    /// A number in an anonymous segment of its own.
    pub fn new(value: T) -> Result<Self, Error> {
        Self::place(Place::New, value, &SegmentOptions::default())
    }

    /// A number with a name, which must be free. [`Segment::unlink`] removes the name.
    pub fn create(name: &str, value: T) -> Result<Self, Error> {
        Self::place(Place::Create(name), value, &SegmentOptions::default())
    }

    /// The number that somebody created under this name.
    pub fn open(name: &str) -> Result<Self, Error> {
        Self::claim(Object::open(Place::Open(name), Self::KIND, &Self::schema())?)
    }

    /// Opens the number of this name, or creates it with `value`.
    pub fn open_or_create(name: &str, value: T) -> Result<Self, Error> {
        Self::place(Place::OpenOrCreate(name), value, &SegmentOptions::default())
    }

    /// An unnamed number in this segment: no system call.
    pub fn new_in(segment: &Segment, value: T) -> Result<Self, Error> {
        Self::place(Place::NewIn(segment), value, &SegmentOptions::default())
    }

    /// A number under a name of this segment, which must be free.
    pub fn create_in(segment: &Segment, name: &str, value: T) -> Result<Self, Error> {
        Self::place(Place::CreateIn(segment, name), value, &SegmentOptions::default())
    }

    /// The number under this name of this segment.
    pub fn open_in(segment: &Segment, name: &str) -> Result<Self, Error> {
        Self::claim(Object::open(Place::OpenIn(segment, name), Self::KIND, &Self::schema())?)
    }

    /// Creates or opens as `place` says, with choices for a new segment.
    pub fn place(place: Place<'_>, value: T, options: &SegmentOptions) -> Result<Self, Error> {
        Self::claim(elements(place, Self::KIND, 1, value, options)?)
    }

    fn schema() -> Cow<'static, str> {
        T::SCHEMA.text()
    }

    fn claim(object: Object) -> Result<Self, Error> {
        match count::<T>(&object)? {
            1 => Ok(Self { object, marker: PhantomData }),
            found => Err(Corrupt { what: "length of an AtomicValue", found: found as u64 }.into()),
        }
    }
}

impl<T: AtomicPlain> AtomicArray<T> {
    const KIND: Kind = Kind::ATOMIC_ARRAY;

    /// `len` zeroes in an anonymous segment of their own.
    pub fn new(len: usize) -> Result<Self, Error> {
        Self::place(Place::New, len, &SegmentOptions::default())
    }

    /// `len` zeroes with a name, which must be free. [`Segment::unlink`] removes the name.
    pub fn create(name: &str, len: usize) -> Result<Self, Error> {
        Self::place(Place::Create(name), len, &SegmentOptions::default())
    }

    /// The numbers that somebody created under this name, however many.
    pub fn open(name: &str) -> Result<Self, Error> {
        Self::claim(Object::open(Place::Open(name), Self::KIND, &Self::schema())?)
    }

    /// Opens the numbers of this name, however many, or creates `len` zeroes.
    pub fn open_or_create(name: &str, len: usize) -> Result<Self, Error> {
        Self::place(Place::OpenOrCreate(name), len, &SegmentOptions::default())
    }

    /// `len` zeroes, unnamed, in this segment: no system call.
    pub fn new_in(segment: &Segment, len: usize) -> Result<Self, Error> {
        Self::place(Place::NewIn(segment), len, &SegmentOptions::default())
    }

    /// `len` zeroes under a name of this segment, which must be free.
    pub fn create_in(segment: &Segment, name: &str, len: usize) -> Result<Self, Error> {
        Self::place(Place::CreateIn(segment, name), len, &SegmentOptions::default())
    }

    /// The numbers under this name of this segment.
    pub fn open_in(segment: &Segment, name: &str) -> Result<Self, Error> {
        Self::claim(Object::open(Place::OpenIn(segment, name), Self::KIND, &Self::schema())?)
    }

    /// Creates or opens as `place` says, with choices for a new segment.
    pub fn place(place: Place<'_>, len: usize, options: &SegmentOptions) -> Result<Self, Error> {
        // SAFETY: any bytes are a T, so zero bytes are.
        let zero: T = unsafe { std::mem::zeroed() };
        Self::claim(elements(place, Self::KIND, len, zero, options)?)
    }

    fn schema() -> Cow<'static, str> {
        T::SCHEMA.text()
    }

    fn claim(object: Object) -> Result<Self, Error> {
        Ok(Self { len: count::<T>(&object)?, object, marker: PhantomData })
    }
}

/// Places `len` atomics that hold `value`.
fn elements<T: AtomicPlain>(
    place: Place<'_>,
    kind: Kind,
    len: usize,
    value: T,
    options: &SegmentOptions,
) -> Result<Object, Error> {
    let init = |body: NonNull<u8>| {
        for index in 0..len {
            let element = body.as_ptr().wrapping_add(index * size_of::<T>()).cast::<T::Atomic>();
            // SAFETY: the layout has room for `len` of them; nobody else has the object yet.
            unsafe { element.write(value.into_atomic()) };
        }
    };
    let bytes = (len as u64).saturating_mul(size_of::<T>() as u64);
    let layout = Layout::array::<T::Atomic>(len).map_err(|_| ErrorKind::OutOfMemory { bytes })?;
    let plan = Blueprint { kind, schema: T::SCHEMA.text(), count: len as u64, layout, init: &init };
    Object::place(place, &plan, options)
}

/// How many there are, if so many fit.
fn count<T: AtomicPlain>(object: &Object) -> Result<usize, Error> {
    usize::try_from(object.count())
        .ok()
        .filter(|&len| Layout::array::<T::Atomic>(len).is_ok_and(|layout| object.holds(layout)))
        .ok_or_else(|| Corrupt { what: "number of atomics", found: object.count() }.into())
}

impl<T: AtomicPlain> Deref for AtomicValue<T> {
    type Target = T::Atomic;

    #[inline]
    fn deref(&self) -> &T::Atomic {
        // SAFETY: `claim` has checked that the body holds one; `object` keeps the mapping; an atomic may be shared.
        unsafe { self.object.body().cast::<T::Atomic>().as_ref() }
    }
}

impl<T: AtomicPlain> Deref for AtomicArray<T> {
    type Target = [T::Atomic];

    #[inline]
    fn deref(&self) -> &[T::Atomic] {
        let elements = NonNull::slice_from_raw_parts(self.object.body().cast::<T::Atomic>(), self.len);
        // SAFETY: `claim` has checked that the body holds `len`; `object` keeps the mapping; atomics may be shared.
        unsafe { elements.as_ref() }
    }
}

object_handle!(AtomicValue<T: AtomicPlain>);
object_handle!(AtomicArray<T: AtomicPlain>);

impl<T: AtomicPlain> fmt::Debug for AtomicValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AtomicValue").field(&**self).finish()
    }
}

impl<T: AtomicPlain> fmt::Debug for AtomicArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtomicArray").field("type", &Self::schema()).field("len", &self.len).finish()
    }
}
