//! The rivals from libc: process-shared mutex, plain or robust, and reader-writer lock.

use super::{Mutual, ReadersWriter};
use crate::shared::Shared;
use std::cell::UnsafeCell;
use std::io;
use std::mem::MaybeUninit;

/// A libc object, which brings its own synchronisation.
#[repr(transparent)]
struct Foreign<T>(UnsafeCell<T>);

// SAFETY: only the calls of libc touch it, which may come from any thread of any process that maps it.
unsafe impl<T> Sync for Foreign<T> {}

/// A `pthread_mutex_t` with `PTHREAD_PROCESS_SHARED`, and `PTHREAD_MUTEX_ROBUST` if so chosen.
pub struct PthreadMutex<const ROBUST: bool> {
    mutex: Shared<Foreign<libc::pthread_mutex_t>>,
}

/// How a robust mutex was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// As always.
    Free,
    /// Its last holder is dead; it has been made consistent.
    OwnerDied,
}

impl<const ROBUST: bool> PthreadMutex<ROBUST> {
    /// Locks.
    #[inline]
    pub fn lock(&self) -> io::Result<Given> {
        // SAFETY: initialised in `create`, mapped as long as `self`.
        match unsafe { libc::pthread_mutex_lock(self.mutex.0.get()) } {
            0 => Ok(Given::Free),
            libc::EOWNERDEAD => self.restore(),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }

    #[cold]
    fn restore(&self) -> io::Result<Given> {
        // SAFETY: as in `lock`; held by the caller, and inconsistent.
        succeeded(unsafe { libc::pthread_mutex_consistent(self.mutex.0.get()) })?;
        Ok(Given::OwnerDied)
    }

    /// Unlocks, after a `lock` in this thread.
    #[inline]
    pub fn unlock(&self) -> bool {
        // SAFETY: as in `lock`; the callers hold it.
        unsafe { libc::pthread_mutex_unlock(self.mutex.0.get()) == 0 }
    }
}

impl<const ROBUST: bool> Mutual for PthreadMutex<ROBUST> {
    const NAME: &'static str = if ROBUST { "pthread robust" } else { "pthread process-shared" };
    const CROSSES_PROCESSES: bool = true;

    fn create() -> io::Result<Self> {
        let mutex = Shared::<Foreign<libc::pthread_mutex_t>>::uninit()?;
        let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
        let attributes = attributes.as_mut_ptr();
        // SAFETY: the pointer is valid for writes.
        succeeded(unsafe { libc::pthread_mutexattr_init(attributes) })?;
        // SAFETY: initialised above.
        succeeded(unsafe { libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED) })?;
        if ROBUST {
            // SAFETY: initialised above.
            succeeded(unsafe { libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST) })?;
        }
        // SAFETY: the mapping is large enough and aligned to a page; the attributes are initialised.
        succeeded(unsafe { libc::pthread_mutex_init(mutex.as_ptr().cast(), attributes) })?;
        Ok(Self { mutex })
    }

    #[inline]
    fn exclusively<R>(&self, section: impl FnOnce() -> R) -> Option<R> {
        self.lock().ok()?;
        let done = section();
        self.unlock().then_some(done)
    }
}

/// A `pthread_rwlock_t` with `PTHREAD_PROCESS_SHARED`.
pub struct PthreadRwLock {
    lock: Shared<Foreign<libc::pthread_rwlock_t>>,
}

impl PthreadRwLock {
    #[inline]
    fn unlock(&self) -> bool {
        // SAFETY: initialised in `create`, mapped as long as `self`; the callers hold it.
        unsafe { libc::pthread_rwlock_unlock(self.lock.0.get()) == 0 }
    }
}

impl ReadersWriter for PthreadRwLock {
    const NAME: &'static str = "pthread rwlock";
    const CROSSES_PROCESSES: bool = true;

    fn create() -> io::Result<Self> {
        let lock = Shared::<Foreign<libc::pthread_rwlock_t>>::uninit()?;
        let mut attributes = MaybeUninit::<libc::pthread_rwlockattr_t>::uninit();
        let attributes = attributes.as_mut_ptr();
        // SAFETY: the pointer is valid for writes.
        succeeded(unsafe { libc::pthread_rwlockattr_init(attributes) })?;
        // SAFETY: initialised above.
        succeeded(unsafe { libc::pthread_rwlockattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED) })?;
        // SAFETY: the mapping is large enough and aligned to a page; the attributes are initialised.
        succeeded(unsafe { libc::pthread_rwlock_init(lock.as_ptr().cast(), attributes) })?;
        Ok(Self { lock })
    }

    #[inline]
    fn read<R>(&self, section: impl FnOnce() -> R) -> Option<R> {
        // SAFETY: initialised in `create`, mapped as long as `self`.
        succeeded(unsafe { libc::pthread_rwlock_rdlock(self.lock.0.get()) }).ok()?;
        let done = section();
        self.unlock().then_some(done)
    }

    #[inline]
    fn write<R>(&self, section: impl FnOnce() -> R) -> Option<R> {
        // SAFETY: as in `read`.
        succeeded(unsafe { libc::pthread_rwlock_wrlock(self.lock.0.get()) }).ok()?;
        let done = section();
        self.unlock().then_some(done)
    }
}

fn succeeded(code: libc::c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}
