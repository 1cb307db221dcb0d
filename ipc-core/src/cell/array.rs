//! `Array`: a fixed number of plain elements under one lock.
//!
//! # Memory
//!
//! | offset              | type     | name     |
//! |---------------------|----------|----------|
//! | 0                   | LockLine | line     |
//! | 64, aligned for T   | T × len  | elements |
//!
//! The length is the object's count, copied into the handle when it attaches.
//!
//! An element of one machine word is replaced by one store, which does not mark the data; anything larger is written in
//! place behind the dirty mark, and a death in the middle is told, see [`LockLine`].

use crate::error::{Corrupt, Error, ErrorKind};
use crate::plain::{load_plain, store_plain};
use crate::raw::{Blueprint, Guard, Kind, LockLine, Object, Place, RawLock};
use crate::{Deadline, LockError, Plain, Segment, SegmentOptions};
use std::alloc::Layout;
use std::borrow::Cow;
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
    object: Object,
    line: NonNull<LockLine>,
    len: usize,
    marker: PhantomData<T>,
}

// SAFETY: the pointer leads into the segment that `object` keeps mapped; elements are Plain, hence Send, and reached under
// the lock only.
unsafe impl<T: Plain> Send for Array<T> {}
// SAFETY: as for `Send`: the lock serialises all access.
unsafe impl<T: Plain> Sync for Array<T> {}

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
    const KIND: Kind = Kind::ARRAY;
    const ALIGN: usize =
        if align_of::<T>() > align_of::<LockLine>() { align_of::<T>() } else { align_of::<LockLine>() };
    const FIRST_AT: usize = size_of::<LockLine>().next_multiple_of(Self::ALIGN);
    const ONE_WORD: bool = size_of::<T>() == align_of::<T>() && size_of::<T>() <= 8;

    /// `len` zeroed elements in an anonymous segment of their own.
    ///
    /// # Errors
    /// As [`Segment::new`].
    pub fn new(len: usize) -> Result<Self, Error> {
        Self::place(Place::New, len, &SegmentOptions::default())
    }

    /// The elements of a slice in an anonymous segment of their own.
    pub fn from_slice(elements: &[T]) -> Result<Self, Error> {
        Self::filled(Place::New, elements.len(), Some(elements), &SegmentOptions::default())
    }

    /// `len` zeroed elements with a name, which must be free. [`Segment::unlink`] removes the name.
    pub fn create(name: &str, len: usize) -> Result<Self, Error> {
        Self::place(Place::Create(name), len, &SegmentOptions::default())
    }

    /// The array that somebody created under this name, whatever its length.
    ///
    /// # Errors
    /// As [`Segment::open`]; `WrongKind` and `WrongType` if the name belongs to something else.
    pub fn open(name: &str) -> Result<Self, Error> {
        Self::claim(Object::open(Place::Open(name), Self::KIND, &Self::schema())?)
    }

    /// Opens the array of this name, whatever its length, or creates it with `len` zeroed elements.
    pub fn open_or_create(name: &str, len: usize) -> Result<Self, Error> {
        Self::place(Place::OpenOrCreate(name), len, &SegmentOptions::default())
    }

    /// `len` zeroed elements, unnamed, in this segment: no system call.
    pub fn new_in(segment: &Segment, len: usize) -> Result<Self, Error> {
        Self::place(Place::NewIn(segment), len, &SegmentOptions::default())
    }

    /// `len` zeroed elements under a name of this segment, which must be free.
    pub fn create_in(segment: &Segment, name: &str, len: usize) -> Result<Self, Error> {
        Self::place(Place::CreateIn(segment, name), len, &SegmentOptions::default())
    }

    /// The array under this name of this segment.
    pub fn open_in(segment: &Segment, name: &str) -> Result<Self, Error> {
        Self::claim(Object::open(Place::OpenIn(segment, name), Self::KIND, &Self::schema())?)
    }

    /// Creates or opens as `place` says, with choices for a new segment.
    pub fn place(place: Place<'_>, len: usize, options: &SegmentOptions) -> Result<Self, Error> {
        Self::filled(place, len, None, options)
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
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
        self.read(0..self.len)
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
        debug_assert!(index < self.len);
        Guard::data(guard).cast::<T>().as_ptr().wrapping_add(index)
    }

    fn check(&self, range: Range<usize>) -> Result<(), ArrayError> {
        if range.start <= range.end && range.end <= self.len {
            return Ok(());
        }
        Err(ArrayError::OutOfRange { start: range.start, end: range.end, len: self.len })
    }

    #[inline]
    fn line(&self) -> &LockLine {
        // SAFETY: `claim` has checked that a whole body lies here; the line is atomics only; `object` keeps the mapping.
        unsafe { self.line.as_ref() }
    }

    #[inline]
    fn raw(&self) -> RawLock<'_, [T]> {
        // SAFETY: the body is longer than FIRST_AT.
        let first = unsafe { self.line.byte_add(Self::FIRST_AT) }.cast::<T>();
        let elements = NonNull::slice_from_raw_parts(first, self.len);
        // SAFETY: 1. `claim` has checked that all elements lie in the body; any bytes are a T. 2. only this file touches
        // them, under the line.
        unsafe { RawLock::new(self.line(), self.object.segment(), elements) }
    }

    fn filled(place: Place<'_>, len: usize, elements: Option<&[T]>, options: &SegmentOptions) -> Result<Self, Error> {
        let init = |body: NonNull<u8>| {
            // SAFETY: the body begins with the line, aligned to 64.
            unsafe { body.cast::<LockLine>().write(LockLine::new()) };
            for (index, &value) in elements.unwrap_or_default().iter().enumerate() {
                let element = body.as_ptr().wrapping_add(Self::FIRST_AT).cast::<T>().wrapping_add(index);
                // SAFETY: the layout has room for all of them; nobody else has the object yet.
                unsafe { store_plain(element, value) };
            }
        };
        let plan = Blueprint {
            kind: Self::KIND,
            schema: Self::schema(),
            count: len as u64,
            layout: Self::layout(len)?,
            init: &init,
        };
        Self::claim(Object::place(place, &plan, options)?)
    }

    fn layout(len: usize) -> Result<Layout, Error> {
        size_of::<T>()
            .checked_mul(len)
            .and_then(|bytes| bytes.checked_add(Self::FIRST_AT))
            .and_then(|bytes| Layout::from_size_align(bytes, Self::ALIGN).ok())
            .ok_or_else(|| {
                let bytes = (len as u64).saturating_mul(size_of::<T>() as u64);
                ErrorKind::OutOfMemory { bytes }.into()
            })
    }

    fn schema() -> Cow<'static, str> {
        T::SCHEMA.text()
    }

    fn claim(object: Object) -> Result<Self, Error> {
        let fits = usize::try_from(object.count())
            .ok()
            .filter(|&len| Self::layout(len).is_ok_and(|layout| object.holds(layout)));
        let len = fits.ok_or(Corrupt { what: "length of an Array", found: object.count() })?;
        Ok(Self { line: object.body().cast(), object, len, marker: PhantomData })
    }
}

object_handle!(Array<T: Plain>);

/// Never waits: shows who holds it, not the elements.
impl<T: Plain> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Array")
            .field("type", &Self::schema())
            .field("len", &self.len)
            .field("lock", self.line())
            .finish()
    }
}
