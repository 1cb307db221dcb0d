//! `Value`: one plain value under a lock.
//!
//! # Memory
//!
//! | offset            | type      | name    | written by                                              |
//! |-------------------|-----------|---------|---------------------------------------------------------|
//! | 0                 | LockLine  | line    | see there                                               |
//! | 64                | u32       | current | the holder, step 2: 1 or 2, the copy that counts        |
//! | 72 or as T needs  | T         | first   | the holder                                              |
//! | behind it         | T         | second  | the holder; never, if T is one machine word             |
//!
//! # Replacing a value: steps, under the lock
//!
//! One word (size = alignment ≤ 8): **1** one store to the first. Otherwise: **1** the copy that is not current is written, **2** `current` names it.
//! `set` and `update` never mark the data: whoever dies, the others see the old value or the new, whole.
//!
//! | dies after  | is left                              | test                                   |
//! |-------------|--------------------------------------|----------------------------------------|
//! | part of 1   | the old value, current               | `crashpoints` value.set                |
//! | 2           | the new value                        | `crashpoints` value.set                |
//!
//! Through the guard of `lock`, data is written in place; a death in the middle is told, see [`LockLine`].

use crate::error::Corrupt;
use crate::plain::{load_plain, store_plain};
use crate::raw::{Guard, Kind, LockLine, Placed, PlainCell, RawLock, State, View};
use crate::shim::{self, AtomicU32, Ordering};
use crate::{Deadline, LockError, Plain, Schema};
use std::fmt;
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
    placed: Placed<ValueState<T>>,
}

/// A [`Value`] in shared memory: a field of a `#[shared]` struct. At first it is zero.
#[repr(C)]
pub struct ValueState<T: Plain> {
    line: LockLine,
    current: AtomicU32,
    copies: [Copied<T>; 2],
}

crate::record! { "value of a u64", ValueState<u64> { line: LockLine, current: u32, copies: [u64; 2], .. } }

/// Copies are moved by words of 8 bytes.
#[repr(C, align(8))]
struct Copied<T: Plain>(PlainCell<T>);

// SAFETY: 1. a line, an atomic and cells of plain values. 2. the type of the value is all there is to tell. 3. not for all
// types: a segment refuses the rest.
unsafe impl<T: Plain> State for ValueState<T> {
    const KIND: Kind = Kind::VALUE;
    const ELEMENT: Schema = T::SCHEMA;
    type Init = T;
    type Tail = ();
    type Handle = Value<T>;

    fn init(new: View<'_, Self>, value: Option<&T>) {
        new.line.init();
        new.current.store(1, Ordering::Relaxed);
        if let Some(&value) = value {
            // SAFETY: nobody else has it yet.
            unsafe { new.copies[0].0.store(value) };
        }
    }

    fn check(at: View<'_, Self>) -> Result<(), Corrupt> {
        match at.current.load(Ordering::Relaxed) {
            1 | 2 => Ok(()),
            found => Err(Corrupt { what: "index of the current copy", found: found.into() }),
        }
    }

    fn handle(placed: Placed<Self>) -> Value<T> {
        Value { placed }
    }
}

handle!(Value<T: Plain> of ValueState<T>, "a value"; new(value: T) => &value);

impl<T: Plain> Value<T> {
    /// Whether one store replaces the value.
    pub(crate) const ONE_WORD: bool = size_of::<T>() == 0 || (size_of::<T>() == align_of::<T>() && size_of::<T>() <= 8);

    /// Where the value, or the first copy of it, begins.
    pub(crate) const FIRST_AT: usize = std::mem::offset_of!(ValueState<T>, copies);

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
        self.placed.current.store(index, Ordering::Relaxed);
    }

    #[inline]
    fn line(&self) -> &LockLine {
        &self.placed.line
    }

    #[inline]
    fn raw(&self) -> RawLock<'_, T> {
        let (line, segment) = (self.line(), self.placed.segment());
        let [first, second] = self.copies();
        if Self::ONE_WORD {
            // SAFETY: 1. in the mapping, aligned, any bytes are a T. 2. only this file touches it, under the line.
            unsafe { RawLock::new(line, segment, first) }
        } else {
            // SAFETY: as above, for both.
            unsafe { RawLock::either(line, segment, &self.placed.current, [first, second]) }
        }
    }

    #[inline]
    fn copies(&self) -> [NonNull<T>; 2] {
        self.placed.copies.each_ref().map(|copy| copy.0.get())
    }
}

/// Never waits: shows who holds it, not the value.
impl<T: Plain> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").field("type", &T::SCHEMA).field("lock", self.line()).finish()
    }
}

impl<T: Plain> fmt::Debug for ValueState<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueState").field("type", &T::SCHEMA).field("lock", &self.line).finish()
    }
}
