//! `PlainCell`: room for a plain value among the fields of a state.

use crate::Plain;
use crate::plain::{load_plain, store_plain};
use std::cell::UnsafeCell;
use std::fmt;
use std::ptr::NonNull;

/// Room for a plain value in shared memory, reached as a protocol around it says: under a lock, say.
///
/// A reference to the cell is harmless whoever writes the bytes; a reference to the value inside is the business of
/// whoever owns it, see [`RawLock`](super::RawLock).
#[repr(transparent)]
pub struct PlainCell<T>(UnsafeCell<T>);

// SAFETY: the cell hands out a pointer; what is done with it is its user's duty.
unsafe impl<T: Plain> Sync for PlainCell<T> {}

impl<T: Plain> PlainCell<T> {
    /// Where the value lies.
    #[inline]
    pub fn get(&self) -> NonNull<T> {
        NonNull::from(&self.0).cast()
    }

    /// A copy of the value. See [`load_plain`].
    ///
    /// # Safety
    /// No other thread of this process writes the value meanwhile, except by [`store`](Self::store).
    #[inline]
    pub unsafe fn load(&self) -> T {
        // SAFETY: 1. a cell is aligned and its bytes are initialised, as those of a segment are. 2. passed on; the pointer
        // comes from an `UnsafeCell`.
        unsafe { load_plain(self.get().as_ptr()) }
    }

    /// Replaces the value, its padding zeroed. See [`store_plain`].
    ///
    /// # Safety
    /// No reference to the value is alive in this process, and no other thread of it accesses the value meanwhile, except by
    /// [`load`](Self::load) and this.
    #[inline]
    pub unsafe fn store(&self, value: T) {
        // SAFETY: 1. a cell is aligned and may be written through a shared reference. 2. passed on.
        unsafe { store_plain(self.get().as_ptr(), value) }
    }
}

impl<T> fmt::Debug for PlainCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainCell")
    }
}
