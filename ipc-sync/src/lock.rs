//! `Lock`: the process-shared mutex.
//!
//! # Memory
//!
//! | offset            | type     | name |
//! |-------------------|----------|------|
//! | 0                 | LockLine | line |
//! | 64, aligned for T | T        | data |
//!
//! The word, the steps, the states and what is left by a death at each step are those of [`LockLine`], which `Value` and
//! `Array` use too; this file only gives it a name and data of its own.

use ipc_core::raw::{Blueprint, Kind, LockLine, Object, Place, RawLock, store_plain};
use ipc_core::{Corrupt, Error, ErrorKind, Plain, Segment, SegmentOptions};
use std::alloc::Layout;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// The process-shared mutex: mutual exclusion between threads of any processes, with or without data inside.
///
/// For critical sections; for one value that is read and written whole, `ipc_core::Value` says it shorter. The bare lock is
/// `Lock::new(())`.
///
/// # Differences from `multiprocessing.Lock` and `std::sync::Mutex`
/// - The guard unlocks, and only in the thread that locked: there is no `release()` by somebody else.
/// - Locking again in the same thread is [`LockError::WouldDeadlock`](ipc_core::LockError::WouldDeadlock), not a hang.
/// - Poisoning knows who and how to get out of it: `Inconsistent { cause }` until [`recover`](Self::recover) has succeeded,
///   and only if the holder had begun to write.
///
/// # Process death
/// A holder that is killed blocks nobody: the next one takes over within 100 ms, and is told if the data may be
/// half-written. A bare lock has no data: it is never inconsistent. A holder that is *stopped* keeps the lock.
///
/// # Examples
/// ```
/// use ipc_sync::Lock;
/// let account = Lock::new(100i64)?;
/// *account.lock()? -= 30;
/// assert_eq!(*account.lock()?, 70);
///
/// let turn = Lock::new(())?;
/// let mine = turn.lock()?;
/// assert!(turn.try_lock().is_err());
/// drop(mine);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A guard stays in its thread:
/// ```compile_fail,E0277
/// let lock = ipc_sync::Lock::new(0u64).unwrap();
/// let guard = lock.lock().unwrap();
/// std::thread::scope(|s| {
///     s.spawn(move || drop(guard));
/// });
/// ```
#[doc(alias = "Mutex")]
pub struct Lock<T: Plain = ()> {
    object: Object,
    line: NonNull<LockLine>,
    marker: PhantomData<T>,
}

// SAFETY: the pointer leads into the segment that `object` keeps mapped; the data is Plain, hence Send, and reached under
// the lock only.
unsafe impl<T: Plain> Send for Lock<T> {}
// SAFETY: as for `Send`: the lock serialises all access.
unsafe impl<T: Plain> Sync for Lock<T> {}

impl<T: Plain> Lock<T> {
    const KIND: Kind = Kind::LOCK;
    const ALIGN: usize =
        if align_of::<T>() > align_of::<LockLine>() { align_of::<T>() } else { align_of::<LockLine>() };
    const DATA_AT: usize = size_of::<LockLine>().next_multiple_of(Self::ALIGN);
    const BYTES: usize = Self::DATA_AT + size_of::<T>();

    /// A lock in an anonymous segment of its own.
    ///
    /// # Errors
    /// As [`Segment::new`].
    pub fn new(data: T) -> Result<Self, Error> {
        Self::place(Place::New, data, &SegmentOptions::default())
    }

    /// A lock with a name, which must be free. [`Segment::unlink`] removes the name.
    ///
    /// # Errors
    /// As [`Segment::create`].
    pub fn create(name: &str, data: T) -> Result<Self, Error> {
        Self::place(Place::Create(name), data, &SegmentOptions::default())
    }

    /// The lock that somebody created under this name.
    ///
    /// # Errors
    /// As [`Segment::open`]; `WrongKind` and `WrongType` if the name belongs to something else.
    pub fn open(name: &str) -> Result<Self, Error> {
        Self::claim(Object::open(Place::Open(name), Self::KIND, &Self::schema())?)
    }

    /// Opens the lock of this name, or creates it with `data`; of several who try at once, one creates.
    pub fn open_or_create(name: &str, data: T) -> Result<Self, Error> {
        Self::place(Place::OpenOrCreate(name), data, &SegmentOptions::default())
    }

    /// An unnamed lock in this segment: no system call.
    ///
    /// # Errors
    /// `NoSpace` if the segment is full.
    pub fn new_in(segment: &Segment, data: T) -> Result<Self, Error> {
        Self::place(Place::NewIn(segment), data, &SegmentOptions::default())
    }

    /// A lock under a name of this segment, which must be free.
    pub fn create_in(segment: &Segment, name: &str, data: T) -> Result<Self, Error> {
        Self::place(Place::CreateIn(segment, name), data, &SegmentOptions::default())
    }

    /// The lock under this name of this segment.
    pub fn open_in(segment: &Segment, name: &str) -> Result<Self, Error> {
        Self::claim(Object::open(Place::OpenIn(segment, name), Self::KIND, &Self::schema())?)
    }

    /// Creates or opens as `place` says, with choices for a new segment.
    pub fn place(place: Place<'_>, data: T, options: &SegmentOptions) -> Result<Self, Error> {
        let init = |body: NonNull<u8>| {
            // SAFETY: the body begins with the line, aligned to 64.
            unsafe { body.cast::<LockLine>().write(LockLine::new()) };
            // SAFETY: the body is BYTES long.
            let place = unsafe { body.add(Self::DATA_AT) }.cast::<T>();
            // SAFETY: inside the body, aligned by DATA_AT; nobody else has the object yet.
            unsafe { store_plain(place.as_ptr(), data) };
        };
        let plan =
            Blueprint { kind: Self::KIND, schema: Self::schema(), count: 1, layout: Self::layout()?, init: &init };
        Self::claim(Object::place(place, &plan, options)?)
    }

    ipc_core::lock_verbs!(T);

    #[inline]
    fn line(&self) -> &LockLine {
        // SAFETY: `claim` has checked that a whole body lies here; the line is atomics only; `object` keeps the mapping.
        unsafe { self.line.as_ref() }
    }

    #[inline]
    fn raw(&self) -> RawLock<'_, T> {
        // SAFETY: the body is BYTES long, as `claim` has checked.
        let data = unsafe { self.line.byte_add(Self::DATA_AT) }.cast::<T>();
        // SAFETY: 1. in the mapping, aligned, any bytes are a T. 2. only this file touches it, under the line.
        unsafe { RawLock::new(self.line(), self.object.segment(), data) }
    }

    fn layout() -> Result<Layout, Error> {
        Layout::from_size_align(Self::BYTES, Self::ALIGN)
            .map_err(|_| ErrorKind::OutOfMemory { bytes: Self::BYTES as u64 }.into())
    }

    fn schema() -> std::borrow::Cow<'static, str> {
        T::SCHEMA.text()
    }

    fn claim(object: Object) -> Result<Self, Error> {
        if !object.holds(Self::layout()?) || object.count() != 1 {
            return Err(Corrupt { what: "size of a Lock", found: object.len() as u64 }.into());
        }
        Ok(Self { line: object.body().cast(), object, marker: PhantomData })
    }
}

ipc_core::object_handle!(Lock<T: Plain>);

/// Never waits: shows who holds it, not the data.
impl<T: Plain> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("type", &Self::schema()).field("lock", self.line()).finish()
    }
}
