//! `Array`: a fixed number of plain elements under one lock.
//!
//! # Memory
//!
//! | offset              | type     | name     |
//! |---------------------|----------|----------|
//! | 0                   | LockLine | line     |
//! | 64, aligned for T   | T × len  | elements, the tail |
//!
//! The length is the object's count, copied into the handle when it attaches; in a shared struct it is part of the type.
//!
//! An element of one machine word is replaced by one store, which does not mark the data; anything larger is written in
//! place behind the dirty mark, and a death in the middle is told, see [`LockLine`].

use crate::error::Error;
use crate::plain::{load_plain, store_plain};
use crate::raw::{Fixed, Guard, Kind, LockLine, Placed, PlainCell, RawLock, State, View};
use crate::{Deadline, LockError, Plain, Schema};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::NonNull;

/// A fixed number of elements that processes share, reached only under one lock.
///
/// Each call takes the lock once, so a slice is copied out or in as a whole; for several accesses take
/// [`lock`](Self::lock) and use the guard, which is a slice.
///
/// # Differences from `multiprocessing.Array`
/// An index beyond the end is an error value. There is no access around the lock.
///
/// # Process death
/// A process that dies while it writes an element of more than one machine word, several elements, or through the guard,
/// leaves the array marked: [`LockError::Inconsistent`] until [`recover`](Self::recover).
///
/// # Examples
/// ```
/// use ipc_core::Array;
/// let squares = Array::<u64>::new(10)?;
/// for (i, square) in squares.lock()?.iter_mut().enumerate() {
///     *square = (i * i) as u64;
/// }
/// assert_eq!(squares.get(3)?, 9);
/// assert_eq!(squares.to_vec()?[8..], [64, 81]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Array<T: Plain> {
    placed: Placed<ArrayHead<T>>,
}

/// An [`Array`] of `N` in shared memory: a field of a `#[shared]` struct. At first its elements are zero.
pub type ArrayState<T, const N: usize> = Fixed<ArrayHead<T>, N>;

/// What the elements of an [`Array`] follow.
#[repr(C)]
pub struct ArrayHead<T: Plain> {
    line: LockLine,
    marker: PhantomData<T>,
}

// SAFETY: 1. a line; the tail is cells of plain values. 2. the type of the elements is all there is to tell, beside their
// number. 3. not for all types: a segment refuses the rest.
unsafe impl<T: Plain> State for ArrayHead<T> {
    const KIND: Kind = Kind::ARRAY;
    const ELEMENT: Schema = T::SCHEMA;
    type Init = usize;
    type Tail = PlainCell<T>;
    type Handle = Array<T>;

    fn len(len: &usize, _members: u32) -> Result<usize, Error> {
        Ok(*len)
    }

    fn init(new: View<'_, Self>, _len: Option<&usize>) {
        new.line.init();
    }

    fn handle(placed: Placed<Self>) -> Array<T> {
        Array { placed }
    }
}

handle!(tailed Array<T: Plain> of ArrayHead<T>, "an array of `len` zeroed elements"; new(len: usize) => &len);

/// Why an access to an [`Array`] failed.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArrayError {
    /// Some of the elements do not exist.
    #[error("elements {start}..{end} of an array of {len}")]
    OutOfRange {
        /// The first element asked for.
        start: usize,
        /// One past the last.
        end: usize,
        /// How many the array has.
        len: usize,
    },
    /// The lock was not given.
    #[error(transparent)]
    Lock(#[from] LockError),
}

impl<T: Plain> Array<T> {
    const ONE_WORD: bool = size_of::<T>() == align_of::<T>() && size_of::<T>() <= 8;

    /// The elements of a slice in an anonymous segment of their own.
    ///
    /// # Errors
    /// As [`Segment::new`](crate::Segment::new).
    pub fn from_slice(elements: &[T]) -> Result<Self, Error> {
        let array = Self::new(elements.len())?;
        for (cell, &value) in array.placed.tail().iter().zip(elements) {
            // SAFETY: nobody else has it yet.
            unsafe { cell.store(value) };
        }
        Ok(array)
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.placed.tail().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of one element.
    pub fn get(&self, index: usize) -> Result<T, ArrayError> {
        self.check(index..index.saturating_add(1))?;
        let guard = self.raw().lock(Deadline::NEVER)?;
        // SAFETY: inside the array; we hold the lock, and no reference to an element exists.
        Ok(unsafe { load_plain(self.element(&guard, index)) })
    }

    /// Replaces one element.
    ///
    /// # Process death
    /// An element of one machine word is replaced whole or not at all; a larger one half-written is told.
    pub fn set(&self, index: usize, value: T) -> Result<(), ArrayError> {
        self.check(index..index.saturating_add(1))?;
        let mut guard = self.raw().lock(Deadline::NEVER)?;
        self.store(&mut guard, index, value);
        Ok(())
    }

    /// Replaces one element by what `change` makes of it; what `change` returns comes back.
    ///
    /// `change` works on a private copy: if it panics, the element is unchanged.
    pub fn update<R>(&self, index: usize, change: impl FnOnce(&mut T) -> R) -> Result<R, ArrayError> {
        self.check(index..index.saturating_add(1))?;
        let mut guard = self.raw().lock(Deadline::NEVER)?;
        // SAFETY: as in `get`.
        let mut value = unsafe { load_plain(self.element(&guard, index)) };
        let result = change(&mut value);
        self.store(&mut guard, index, value);
        Ok(result)
    }

    /// A copy of all elements, taken at once.
    pub fn to_vec(&self) -> Result<Vec<T>, ArrayError> {
        self.read(0..self.len())
    }

    /// A copy of some elements, taken at once.
    pub fn read(&self, range: Range<usize>) -> Result<Vec<T>, ArrayError> {
        self.check(range.clone())?;
        let guard = self.raw().lock(Deadline::NEVER)?;
        // SAFETY: as in `get`.
        Ok(range.map(|index| unsafe { load_plain(self.element(&guard, index)) }).collect())
    }

    /// Replaces the elements from `start` on by those of a slice, at once.
    ///
    /// # Process death
    /// Killed in between, the array is marked.
    pub fn write(&self, start: usize, elements: &[T]) -> Result<(), ArrayError> {
        self.check(start..start.saturating_add(elements.len()))?;
        let mut guard = self.raw().lock(Deadline::NEVER)?;
        Guard::touch(&mut guard);
        for (index, &value) in (start..).zip(elements) {
            // SAFETY: as in `get`.
            unsafe { store_plain(self.element(&guard, index), value) };
        }
        Ok(())
    }

    lock_verbs!([T]);

    fn store(&self, guard: &mut Guard<'_, [T]>, index: usize, value: T) {
        if !Self::ONE_WORD {
            Guard::touch(guard);
        }
        // SAFETY: inside the array, as the callers have checked; we hold the lock, and no reference to an element exists.
        unsafe { store_plain(self.element(guard, index), value) };
    }

    /// Where an element lies; the caller has checked the index.
    fn element(&self, guard: &Guard<'_, [T]>, index: usize) -> *mut T {
        debug_assert!(index < self.len());
        Guard::data(guard).cast::<T>().as_ptr().wrapping_add(index)
    }

    fn check(&self, range: Range<usize>) -> Result<(), ArrayError> {
        if range.start <= range.end && range.end <= self.len() {
            return Ok(());
        }
        Err(ArrayError::OutOfRange { start: range.start, end: range.end, len: self.len() })
    }

    #[inline]
    fn line(&self) -> &LockLine {
        &self.placed.line
    }

    #[inline]
    fn raw(&self) -> RawLock<'_, [T]> {
        let tail = NonNull::from(self.placed.tail());
        let elements = NonNull::slice_from_raw_parts(tail.cast::<T>(), tail.len());
        // SAFETY: 1. all of the tail lies in the mapping, a cell is laid out as its value, any bytes are a T. 2. only this
        // file touches them, under the line.
        unsafe { RawLock::new(self.line(), self.placed.segment(), elements) }
    }
}

/// Never waits: shows who holds it, not the elements.
impl<T: Plain> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Array").field("type", &T::SCHEMA).field("len", &self.len()).field("lock", self.line()).finish()
    }
}

impl<T: Plain> fmt::Debug for ArrayHead<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrayHead").field("type", &T::SCHEMA).field("lock", &self.line).finish()
    }
}
