//! The rival from libc: a process-shared mutex, plain or robust, in shared memory.

use std::io;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// A `pthread_mutex_t` with `PTHREAD_PROCESS_SHARED`.
pub struct PthreadMutex {
    mutex: NonNull<libc::pthread_mutex_t>,
    _mapping: memmap2::MmapRaw,
}

impl PthreadMutex {
    /// A new mutex in a mapping of its own.
    pub fn new(robust: bool) -> io::Result<Self> {
        let mapping: memmap2::MmapRaw = memmap2::MmapOptions::new().len(4096).map_anon()?.into();
        let mutex = NonNull::new(mapping.as_mut_ptr()).ok_or(io::ErrorKind::OutOfMemory)?.cast();
        let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
        let attributes = attributes.as_mut_ptr();
        // SAFETY: the pointer is valid for writes.
        succeeded(unsafe { libc::pthread_mutexattr_init(attributes) })?;
        // SAFETY: initialised above.
        succeeded(unsafe { libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED) })?;
        if robust {
            // SAFETY: initialised above.
            succeeded(unsafe { libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST) })?;
        }
        // SAFETY: the mapping is a page, aligned to a page; the attributes are initialised.
        succeeded(unsafe { libc::pthread_mutex_init(mutex.as_ptr(), attributes) })?;
        Ok(Self { mutex, _mapping: mapping })
    }

    /// Locks; whether that worked.
    #[inline]
    pub fn lock(&self) -> bool {
        // SAFETY: initialised in `new`, mapped as long as `self`.
        unsafe { libc::pthread_mutex_lock(self.mutex.as_ptr()) == 0 }
    }

    /// Unlocks, after a `lock` in this thread.
    #[inline]
    pub fn unlock(&self) -> bool {
        // SAFETY: as in `lock`; a mutex that is not held is an error code, not undefined, for robust ones, and the callers
        // hold it.
        unsafe { libc::pthread_mutex_unlock(self.mutex.as_ptr()) == 0 }
    }
}

fn succeeded(code: libc::c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}
