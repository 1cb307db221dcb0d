//! Memory that forked peers share, for rivals and for the books of a run.

use std::io;
use std::ops::Deref;
use std::ptr::{self, NonNull};

/// A value in an anonymous shared mapping: every process forked later has the same one.
///
/// Never dropped in place; the mapping goes with the handle.
pub struct Shared<T> {
    value: NonNull<T>,
}

// SAFETY: only `&T` is given out, to whichever thread or process.
unsafe impl<T: Sync> Sync for Shared<T> {}
// SAFETY: as above; nothing in the handle belongs to a thread.
unsafe impl<T: Sync> Send for Shared<T> {}

impl<T> Shared<T> {
    /// Places `value`, which must mean the same in every process: no pointers to the heap.
    pub fn new(value: T) -> io::Result<Self> {
        let uninit = Self::uninit()?;
        // SAFETY: the mapping is large enough, aligned to a page, and nobody else's yet.
        unsafe { uninit.value.as_ptr().write(value) };
        Ok(uninit)
    }

    /// Zero bytes, to be initialised through [`as_ptr`](Self::as_ptr) before anything else.
    pub fn uninit() -> io::Result<Self> {
        const { assert!(align_of::<T>() <= 4096) };
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, wherever there is room.
        let start = unsafe { libc::mmap(ptr::null_mut(), Self::BYTES, access, kind, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { value: NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)? })
    }

    const BYTES: usize = if size_of::<T>() == 0 { 1 } else { size_of::<T>() };

    /// Where it lies.
    pub fn as_ptr(&self) -> *mut T {
        self.value.as_ptr()
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: mapped by `uninit`, of this length; no reference outlives `self`.
        unsafe { libc::munmap(self.value.as_ptr().cast(), Self::BYTES) };
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: initialised by `new`, or by whoever called `uninit`; mapped as long as `self`.
        unsafe { self.value.as_ref() }
    }
}
