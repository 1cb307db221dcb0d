//! `sem_t`, shared between processes.

use super::Mutual;
use crate::shared::Shared;
use std::cell::UnsafeCell;
use std::io;

/// A POSIX semaphore of one permit: as a lock, and what our Semaphore is measured against.
pub struct PosixSem {
    semaphore: Shared<Cell>,
}

#[repr(transparent)]
struct Cell(UnsafeCell<libc::sem_t>);

// SAFETY: only the calls of libc touch it, which may come from any thread of any process that maps it.
unsafe impl Sync for Cell {}

impl PosixSem {
    /// Takes a permit.
    #[inline]
    pub fn wait(&self) -> bool {
        loop {
            // SAFETY: initialised in `create`, mapped as long as `self`.
            if unsafe { libc::sem_wait(self.semaphore.0.get()) } == 0 {
                return true;
            }
            if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
                return false;
            }
        }
    }

    /// Gives one back.
    #[inline]
    pub fn post(&self) -> bool {
        // SAFETY: as in `wait`.
        unsafe { libc::sem_post(self.semaphore.0.get()) == 0 }
    }
}

impl Mutual for PosixSem {
    const NAME: &'static str = "POSIX sem";
    const CROSSES_PROCESSES: bool = true;

    fn create() -> io::Result<Self> {
        let semaphore = Shared::<Cell>::uninit()?;
        // SAFETY: the mapping is large enough and aligned to a page.
        let code = unsafe { libc::sem_init(semaphore.as_ptr().cast(), 1, 1) };
        if code == 0 { Ok(Self { semaphore }) } else { Err(io::Error::last_os_error()) }
    }

    #[inline]
    fn exclusively<R>(&self, section: impl FnOnce() -> R) -> Option<R> {
        if !self.wait() {
            return None;
        }
        let done = section();
        self.post().then_some(done)
    }
}
