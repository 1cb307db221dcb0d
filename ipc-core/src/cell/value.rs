//! `Value`: one plain value under a lock.
//!
//! # Memory
//!
//! | offset       | type      | name    | present                                            |
//! |--------------|-----------|---------|----------------------------------------------------|
//! | 0            | LockLine  | line    | always                                             |
//! | 64           | T         | data    | if T is one machine word: size = alignment ≤ 8      |
//! | 64           | u32       | current | otherwise: 1 or 2                                  |
//! | then aligned | T, T      | copies  | otherwise                                          |
//!
//! # Replacing a value: steps, under the lock
//!
//! One word: **1** one store. Otherwise: **1** the copy that is not current is written, **2** `current` names it.
//! `set` and `update` never mark the data: whoever dies, the others see the old value or the new, whole.
//!
//! | dies after  | is left                              | test                                   |
//! |-------------|--------------------------------------|----------------------------------------|
//! | part of 1   | the old value, current               | `crashpoints` value.set                |
//! | 2           | the new value                        | `crashpoints` value.set                |
//!
//! Through the guard of `lock`, data is written in place; a death in the middle is told, see [`LockLine`].

use crate::error::{Error, ErrorKind};
use crate::plain::{load_plain, store_plain};
use crate::raw::{Blueprint, Guard, Kind, LockLine, Object, Place, RawLock};
use crate::shim::{self, AtomicU32, Ordering};
use crate::{Deadline, LockError, Plain, Segment, SegmentOptions};
use std::alloc::Layout;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// One value that processes share, reached only under its lock.
///
/// For data that is read and written whole: [`get`](Self::get), [`set`](Self::set), [`update`](Self::update). For a counter
/// that needs no lock use [`AtomicValue`](crate::AtomicValue); for critical sections around other things, `ipc_sync::Lock`.
///
/// # Differences from `multiprocessing.Value`
/// There is no way to the data around the lock, so `value += 1` that loses updates cannot be written. The lock is not
/// recursive: use the guard. A process that dies holding it does not stop the others.
///
/// # Process death
/// `set` and `update` are whole or absent, whoever dies. A holder of [`lock`](Self::lock)'s guard that dies after it has
/// begun to write is told to the others: [`LockError::Inconsistent`].
///
/// # Examples
/// ```
/// use ipc_core::Value;
/// let sum = Value::new(0u64)?;
/// sum.update(|s| *s += 5)?;
/// *sum.lock()? += 1;
/// assert_eq!(sum.get()?, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Value<T: Plain> {
    object: Object,
    line: NonNull<LockLine>,
    marker: PhantomData<T>,
}

// SAFETY: the pointer leads into the segment that `object` keeps mapped; the data is Plain, hence Send, and reached under
// the lock only.
unsafe impl<T: Plain> Send for Value<T> {}
// SAFETY: as for `Send`: the lock serialises all access.
unsafe impl<T: Plain> Sync for Value<T> {}

impl<T: Plain> Value<T> {
    const KIND: Kind = Kind::VALUE;

    /// Whether one store replaces the value.
    pub(crate) const ONE_WORD: bool = size_of::<T>() == 0 || (size_of::<T>() == align_of::<T>() && size_of::<T>() <= 8);

    const LINE_BYTES: usize = size_of::<LockLine>();
    /// Where the value, or the first copy of it, begins.
    pub(crate) const FIRST_AT: usize = if Self::ONE_WORD {
        Self::LINE_BYTES
    } else {
        (Self::LINE_BYTES + size_of::<AtomicU32>()).next_multiple_of(Self::COPY_ALIGN)
    };
    const SECOND_AT: usize = (Self::FIRST_AT + size_of::<T>()).next_multiple_of(Self::COPY_ALIGN);
    const COPY_ALIGN: usize = if align_of::<T>() > 8 { align_of::<T>() } else { 8 };
    const BYTES: usize =
        if Self::ONE_WORD { Self::FIRST_AT + size_of::<T>() } else { Self::SECOND_AT + size_of::<T>() };

    /// A value in an anonymous segment of its own.
    ///
    /// # Errors
    /// As [`Segment::new`].
    pub fn new(value: T) -> Result<Self, Error> {
        Self::place(Place::New, value, &SegmentOptions::default())
    }

    /// A value with a name, which must be free. [`Segment::unlink`] removes the name.
    ///
    /// # Errors
    /// As [`Segment::create`].
    pub fn create(name: &str, value: T) -> Result<Self, Error> {
        Self::place(Place::Create(name), value, &SegmentOptions::default())
    }

    /// The value that somebody created under this name.
    ///
    /// # Errors
    /// As [`Segment::open`]; `WrongKind` and `WrongType` if the name belongs to something else.
    pub fn open(name: &str) -> Result<Self, Error> {
        Self::claim(Object::open(Place::Open(name), Self::KIND, &Self::schema())?)
    }

    /// Opens the value of this name, or creates it with `value`; of several who try at once, one creates.
    pub fn open_or_create(name: &str, value: T) -> Result<Self, Error> {
        Self::place(Place::OpenOrCreate(name), value, &SegmentOptions::default())
    }

    /// An unnamed value in this segment: no system call.
    ///
    /// # Errors
    /// `NoSpace` if the segment is full.
    pub fn new_in(segment: &Segment, value: T) -> Result<Self, Error> {
        Self::place(Place::NewIn(segment), value, &SegmentOptions::default())
    }

    /// A value under a name of this segment, which must be free.
    pub fn create_in(segment: &Segment, name: &str, value: T) -> Result<Self, Error> {
        Self::place(Place::CreateIn(segment, name), value, &SegmentOptions::default())
    }

    /// The value under this name of this segment.
    pub fn open_in(segment: &Segment, name: &str) -> Result<Self, Error> {
        Self::claim(Object::open(Place::OpenIn(segment, name), Self::KIND, &Self::schema())?)
    }

    /// Creates or opens as `place` says, with choices for a new segment.
    pub fn place(place: Place<'_>, value: T, options: &SegmentOptions) -> Result<Self, Error> {
        let init = |body: NonNull<u8>| Self::init(body, value);
        let plan =
            Blueprint { kind: Self::KIND, schema: Self::schema(), count: 1, layout: Self::layout()?, init: &init };
        Self::claim(Object::place(place, &plan, options)?)
    }

    /// A copy of the value.
    ///
    /// # Blocking
    /// As [`lock`](Self::lock), which it does.
    #[inline]
    pub fn get(&self) -> Result<T, LockError> {
        self.get_by(Deadline::NEVER)
    }

    /// As [`get`](Self::get), giving up with `Timeout` at `deadline`.
    #[inline]
    pub fn get_by(&self, deadline: Deadline) -> Result<T, LockError> {
        let guard = self.raw().lock(deadline)?;
        // SAFETY: the guard's place is a T in the mapping; we hold the lock, and no reference to it exists.
        Ok(unsafe { load_plain(Guard::data(&guard).as_ptr()) })
    }

    /// Replaces the value.
    ///
    /// # Process death
    /// Killed anywhere inside, the others see the old value or the new, whole; the data is never marked.
    #[inline]
    pub fn set(&self, value: T) -> Result<(), LockError> {
        let guard = self.raw().lock(Deadline::NEVER)?;
        self.replace(&guard, value);
        Ok(())
    }

    /// Replaces the value by what `change` makes of it; what `change` returns comes back.
    ///
    /// `change` works on a private copy. If it panics, the value is unchanged and the lock free.
    ///
    /// # Process death
    /// As [`set`](Self::set).
    #[inline]
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, LockError> {
        let guard = self.raw().lock(Deadline::NEVER)?;
        // SAFETY: as in `get_by`.
        let mut value = unsafe { load_plain(Guard::data(&guard).as_ptr()) };
        let result = change(&mut value);
        self.replace(&guard, value);
        Ok(result)
    }

    lock_verbs!(T);

    /// Steps 1 and 2.
    #[inline]
    fn replace(&self, guard: &Guard<'_, T>, value: T) {
        let current = Guard::data(guard);
        if Self::ONE_WORD {
            // 1. SAFETY: as in `get_by`; one word, so old or new whoever dies.
            unsafe { store_plain(current.as_ptr(), value) };
            return;
        }
        let [first, second] = self.copies();
        let (spare, index) = if current == first { (second, 2) } else { (first, 1) };
        // 1. SAFETY: a T in the mapping that nobody looks at: it is not current, and we hold the lock.
        unsafe { store_plain(spare.as_ptr(), value) };
        shim::program_order();
        // 2. ORDERING: Relaxed: the next holder is ordered by the lock; against death program order is enough.
        self.current().store(index, Ordering::Relaxed);
    }

    #[inline]
    fn line(&self) -> &LockLine {
        // SAFETY: `claim` has checked that a whole body lies here; the line is atomics only; `object` keeps the mapping.
        unsafe { self.line.as_ref() }
    }

    #[inline]
    fn raw(&self) -> RawLock<'_, T> {
        let (line, segment) = (self.line(), self.object.segment());
        let [first, second] = self.copies();
        if Self::ONE_WORD {
            // SAFETY: 1. in the mapping, aligned, any bytes are a T. 2. only this file touches it, under the line.
            unsafe { RawLock::new(line, segment, first) }
        } else {
            // SAFETY: as above, for both.
            unsafe { RawLock::either(line, segment, self.current(), [first, second]) }
        }
    }

    /// Only where the value is kept twice.
    #[inline]
    fn current(&self) -> &AtomicU32 {
        // SAFETY: without ONE_WORD the body has this word behind the line.
        let current = unsafe { self.line.byte_add(Self::LINE_BYTES) }.cast::<AtomicU32>();
        // SAFETY: as above; an atomic may be shared.
        unsafe { current.as_ref() }
    }

    #[inline]
    fn copies(&self) -> [NonNull<T>; 2] {
        // SAFETY: the body is BYTES long, as `claim` has checked.
        let first = unsafe { self.line.byte_add(Self::FIRST_AT) }.cast();
        let second_at = if Self::ONE_WORD { Self::FIRST_AT } else { Self::SECOND_AT };
        // SAFETY: as above.
        [first, unsafe { self.line.byte_add(second_at) }.cast()]
    }

    fn init(body: NonNull<u8>, value: T) {
        // SAFETY: the body is BYTES long and aligned to the line's 64.
        unsafe { body.cast::<LockLine>().write(LockLine::new()) };
        if !Self::ONE_WORD {
            // SAFETY: inside the body, aligned to 64.
            let current = unsafe { body.add(Self::LINE_BYTES) }.cast::<AtomicU32>();
            // SAFETY: as above.
            unsafe { current.write(AtomicU32::new(1)) };
        }
        // SAFETY: inside the body, aligned by FIRST_AT.
        let first = unsafe { body.add(Self::FIRST_AT) }.cast::<T>();
        // SAFETY: nobody else has the object yet.
        unsafe { store_plain(first.as_ptr(), value) };
    }

    fn layout() -> Result<Layout, Error> {
        Layout::from_size_align(Self::BYTES, Self::COPY_ALIGN.max(align_of::<LockLine>()))
            .map_err(|_| ErrorKind::OutOfMemory { bytes: Self::BYTES as u64 }.into())
    }

    fn schema() -> Cow<'static, str> {
        T::SCHEMA.text()
    }

    fn claim(object: Object) -> Result<Self, Error> {
        if !object.holds(Self::layout()?) || object.count() != 1 {
            return Err(crate::Corrupt { what: "size of a Value", found: object.len() as u64 }.into());
        }
        Ok(Self { line: object.body().cast(), object, marker: PhantomData })
    }
}

object_handle!(Value<T: Plain>);

/// Never waits: shows who holds it, not the value.
impl<T: Plain> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").field("type", &Self::schema()).field("lock", self.line()).finish()
    }
}
