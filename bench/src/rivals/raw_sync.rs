//! `raw_sync::locks::Mutex`: a process-shared pthread mutex behind a trait object.

use super::Mutual;
use crate::shared::Shared;
use raw_sync::locks::{LockImpl, LockInit};
use std::io;

/// The mutex and the memory it lies in.
pub struct RawSync {
    lock: Box<dyn LockImpl>,
    _memory: Shared<[u64; 16]>,
}

// SAFETY: the trait object holds a pointer into the mapping; `lock` and `release` go straight to libc.
unsafe impl Sync for RawSync {}

impl Mutual for RawSync {
    const NAME: &'static str = "raw_sync Mutex";
    const CROSSES_PROCESSES: bool = true;

    fn create() -> io::Result<Self> {
        let memory = Shared::new([0u64; 16])?;
        let start = memory.as_ptr().cast::<u8>();
        // SAFETY: a pthread mutex has 40 bytes; the data pointer is never followed.
        let (lock, _) = unsafe { raw_sync::locks::Mutex::new(start, start) }
            .map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self { lock, _memory: memory })
    }

    #[inline]
    fn exclusively<R>(&self, section: impl FnOnce() -> R) -> Option<R> {
        let _held = self.lock.lock().ok()?;
        Some(section())
    }
}
